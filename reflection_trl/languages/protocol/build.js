// Checks an answer in TypeScript together with its tests, as one file, and translates each of the two for itself.
//
// `node build.js TYPESCRIPT EPILOGUE`: reads main.ts (both), answer.ts and tests.ts; writes main.js (the answer, then the epilogue),
// tests.js and tests.js.map. Errors are printed as tsc prints them.
"use strict";

const fs = require("node:fs");
const [library, epilogue] = process.argv.slice(2);
const ts = require(library);

const options = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.CommonJS,
  moduleDetection: ts.ModuleDetectionKind && ts.ModuleDetectionKind.Force,
  typeRoots: ["."],
  esModuleInterop: true,
};
const program = ts.createProgram(["main.ts", "node.d.ts"], { ...options, noEmit: true });
const errors = ts.sortAndDeduplicateDiagnostics(ts.getPreEmitDiagnostics(program));
for (const error of errors) {
  const text = ts.flattenDiagnosticMessageText(error.messageText, "\n");
  const at = error.file && error.file.getLineAndCharacterOfPosition(error.start);
  console.log(`${at ? `${error.file.fileName}(${at.line + 1},${at.character + 1}): ` : ""}error TS${error.code}: ${text}`);
}
if (errors.length) process.exit(2);

function translated(file, fileName, settings) {
  return ts.transpileModule(fs.readFileSync(file, "utf8"), { fileName, compilerOptions: { ...options, ...settings } });
}

const answer = translated("answer.ts", "main.ts", { inlineSourceMap: true, inlineSources: true });
const comment = answer.outputText.lastIndexOf("\n//# sourceMappingURL=");
fs.writeFileSync("main.js", `${answer.outputText.slice(0, comment)}\n;${epilogue}${answer.outputText.slice(comment)}`);
const tests = translated("tests.ts", "tests.ts", { sourceMap: true });
fs.writeFileSync("tests.js", tests.outputText.replace(/\n\/\/# sourceMappingURL=[^\n]*\s*$/, "\n"));
fs.writeFileSync("tests.js.map", tests.sourceMapText);
