// What the pages for people share. Contents of rows and answers only ever become text nodes.
const $ = id => document.getElementById(id);
const number = n => n.toLocaleString("en");

// Light or dark: what the link asks for, else what the system has; set before anything is drawn, so that nothing flashes up
const asked = new URLSearchParams(location.hash.slice(1));
const system = matchMedia("(prefers-color-scheme: dark)");
const setTheme = () => { document.documentElement.dataset.theme = asked.get("theme") || (system.matches ? "dark" : "light"); };
system.addEventListener("change", setTheme);
// Paper is white
addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "light"; });
addEventListener("afterprint", setTheme);
setTheme();

function toggleTheme() {
  asked.set("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  setTheme();
}

// An element: its tag with classes ("pre.lines"), its properties, its children; a string among them is text
function el(names, properties = {}, ...children) {
  const [tag, ...classes] = names.split(".");
  const element = document.createElement(tag);
  element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

// Text in which nothing acts on the page: control characters as pictures, those that turn the direction as escapes
function printable(text) {
  return text.replace(/[\0-\x08\x0b-\x1f]/g, c => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      c => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const LITERALS = new Set("True False None true false null nil undefined NULL nullptr self this".split(" "));
const KEYWORDS = new Set(`and as assert async await break case catch class const continue def default del delete do done echo elif else enum except export
  extends fi final finally fn for foreach from function global if impl implements import in interface is lambda let local loop match mod mut namespace new
  nonlocal not or pass private protected pub public raise return static struct switch template then throw throws trait try type typename typeof use using
  var void while with yield int long double float char bool boolean string auto unsigned`.split(/\s+/));
const HASH_COMMENT = "#[^\\n]*", SLASH_COMMENT = "//[^\\n]*|/\\*[^]*?(?:\\*/|$)";
const QUOTED = `"(?:\\\\.|[^"\\\\\\n])*"?`, SINGLE = `'(?:\\\\.|[^'\\\\\\n])*'?`, BACKTICK = "`(?:\\\\[^]|[^`\\\\])*`?";
const TRIPLE = `"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)`;
const SYNTAX = {
  python: [HASH_COMMENT, `${TRIPLE}|${QUOTED}|${SINGLE}`],
  bash: ["(?<=^|\\s)" + HASH_COMMENT, `${QUOTED}|${SINGLE}`],
  rust: [SLASH_COMMENT, `${QUOTED}|'(?:\\\\.|[^'\\\\\\n])'`], // a lone quote begins a lifetime
  php: [`${HASH_COMMENT}|${SLASH_COMMENT}`, `${QUOTED}|${SINGLE}`],
  javascript: [SLASH_COMMENT, `${QUOTED}|${SINGLE}|${BACKTICK}`],
};
const FAMILY = {py: "python", python3: "python", "": "python", sh: "bash", shell: "bash", rs: "rust"};

// Code as [class, text] pairs; strings and comments may span lines
function* tokens(code, language) {
  const name = language.toLowerCase();
  const [comment, string] = SYNTAX[FAMILY[name] ?? name] ?? SYNTAX.javascript;
  const pattern = new RegExp(`(${comment})|(${string})|(\\b\\d[\\w.]*)|([A-Za-z_$][\\w$]*)(\\s*\\()?`, "g");
  let end = 0;
  for (const match of code.matchAll(pattern)) {
    if (match.index > end) yield ["", code.slice(end, match.index)];
    end = match.index + match[0].length;
    const [all, isComment, isString, isNumber, word, call] = match;
    if (isComment) yield ["comment", all];
    else if (isString) yield ["string", all];
    else if (isNumber || LITERALS.has(word)) yield ["literal", word ?? all];
    else yield [KEYWORDS.has(word) ? "keyword" : call ? "call" : "", word];
    if (call) yield ["", call];
  }
  yield ["", code.slice(end)];
}

const CLIP = 20000; // characters of a block that are drawn unasked

// Code with numbered lines, colored; `marks` maps the number of a line to its class
function codeLines(code, language, marks = new Map()) {
  const pre = el("pre.lines"), clipped = code.length > CLIP;
  const draw = shown => {
    let line = el("span.line"), count = 1;
    const lines = [line];
    for (const [name, text] of tokens(shown, language)) {
      text.split("\n").forEach((piece, index) => {
        if (index) {
          line.append("\n");
          lines.push(line = el("span.line"));
        }
        if (piece) line.append(name ? el(`span.${name}`, {}, printable(piece)) : printable(piece));
      });
    }
    for (line of lines) {
      line.dataset.line = count;
      if (marks.has(count)) line.classList.add(...marks.get(count).split(" "));
      count++;
    }
    pre.replaceChildren(...lines);
  };
  draw(code.slice(0, CLIP));
  return clipped ? withRest(pre, code, draw) : pre;
}

// Any other text
function plainText(text, names = "pre") {
  const pre = el(names, {dir: "auto"}, printable(text.slice(0, CLIP)));
  return text.length > CLIP ? withRest(pre, text, all => pre.replaceChildren(printable(all))) : pre;
}

function withRest(pre, text, draw) {
  const more = el("button.rest", {onclick: () => { draw(text); more.remove(); }}, `Show all ${number(text.length)} characters`);
  return el("div", {}, pre, more);
}

// A button that copies a text, the original characters and not their pictures; a function gives it when it is needed
function copyButton(text, label = "Copy", title = label) {
  const button = el("button.copy", {title, "aria-label": title}, label);
  button.addEventListener("click", async () => {
    const wanted = typeof text === "function" ? text() : text;
    try {
      await navigator.clipboard.writeText(wanted);
    } catch { // no permission, or an old browser
      const area = el("textarea.sr", {"aria-hidden": "true"});
      area.value = wanted;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1200);
  });
  return button;
}

// Whether a key press is meant for the page, and not for a field or the browser
const forPage = event => !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input:not([type=range]), select, textarea, dialog");
