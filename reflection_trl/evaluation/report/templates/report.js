const data = JSON.parse($("data").textContent);
const words = text => text.replaceAll("_", " ");
const CLASSES = data.runs.length > 1
  ? {won: ["+", "won"], lost: ["−", "lost"], both: ["✓", "both passed"], neither: ["×", "neither"], absent: ["", "not in both"]}
  : {both: ["✓", "passed"], neither: ["×", "failed"], absent: ["", "no answer"]};
const CELLS = Object.keys(CLASSES);
const state = {benchmark: 0, baseline: 1, kind: "", only: "", task: ""};
let visible = [];

// A side of a task: [answers in all, passed, kinds of failure, [[sample, passed, kind, detail, code], ...]], the last two numbers of texts
const share = side => side[1] / side[0];
const answered = task => task.runs[0] && (data.runs.length === 1 || task.runs[state.baseline]);

// How a task went, and how strongly: from 0 to 1
function judge(task) {
  if (!answered(task)) return ["absent", 1];
  const ours = share(task.runs[0]), theirs = data.runs.length > 1 ? share(task.runs[state.baseline]) : ours;
  if (ours > theirs) return ["won", ours - theirs];
  if (ours < theirs) return ["lost", theirs - ours];
  return ours > 0 ? ["both", ours] : ["neither", 1];
}

function describe(task) {
  const [name] = judge(task), facts = [0, state.baseline].filter((run, place) => task.runs[run] && (place === 0 || data.runs.length > 1)).map(run => {
    const [all, passed, kinds] = task.runs[run];
    return `${data.runs[run]}: ${all > 1 ? `${passed} of ${all} passed` : passed ? "passed" : words(kinds[0])}`;
  });
  return printable(`${task.id}: ${CLASSES[name][1]}. ${facts.join("; ")}`);
}

function cell(task) {
  const [name, strength] = judge(task), selected = task.id === state.task;
  const shade = strength < 1 ? `--shade:color-mix(in srgb, var(--${name}) ${Math.round(15 + 45 * strength)}%, var(--card))` : null;
  return el(`button.cell.${name}${shade ? ".pale" : ""}`, {role: "option", "aria-selected": String(selected), tabindex: selected ? 0 : -1, style: shade,
    title: describe(task), "aria-label": describe(task), "data-task": task.id}, CLASSES[name][0]);
}

function draw() {
  const tasks = data.benchmarks[state.benchmark]?.tasks ?? [];
  const kinds = new Map(), runs = data.runs.length > 1 ? [0, state.baseline] : [0];
  for (const task of tasks) for (const kind of new Set(runs.flatMap(run => task.runs[run]?.[2] ?? []))) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  if (!kinds.has(state.kind)) state.kind = "";
  $("kind").replaceChildren(el("option", {value: ""}, "any type"), ...[...kinds].sort(([, a], [, b]) => b - a).map(([kind, count]) => el("option", {value: kind}, `${printable(words(kind))} (${count})`)));
  $("kind").value = state.kind;
  const like = tasks.filter(task => !state.kind || runs.some(run => task.runs[run]?.[2].includes(state.kind)));
  const counts = Object.fromEntries(CELLS.map(name => [name, 0]));
  like.forEach(task => counts[judge(task)[0]]++);
  const focus = document.activeElement?.dataset?.only;
  $("classes").replaceChildren(el("button.class", {"data-only": "", "aria-pressed": String(!state.only)}, `all ${number(like.length)}`),
    ...CELLS.filter(name => counts[name] || name !== "absent").map(name => el("button.class", {"data-only": name, "aria-pressed": String(state.only === name)},
      el(`span.cell.${name}`, {"aria-hidden": "true"}, CLASSES[name][0]), `${CLASSES[name][1]} ${number(counts[name])}`)));
  if (focus !== undefined) document.querySelector(`.class[data-only="${focus}"]`)?.focus();
  visible = like.filter(task => !state.only || judge(task)[0] === state.only);
  $("cells").replaceChildren(...visible.length ? visible.map(cell) : [el("p.empty", {style: "grid-column:1/-1"}, "No problem matches.")]);
  if (!visible.some(task => task.id === state.task)) {
    state.task = "";
    $("cells").firstElementChild?.setAttribute("tabindex", "0");
  }
  drawDetail();
}

// Lines that both programs have, in order: what remains is marked, and gaps keep the rest side by side
function align(left, right) {
  const a = left.split("\n"), b = right.split("\n");
  if (a.length * b.length > 4e6) return null;
  const longest = Array.from({length: a.length + 1}, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--)
    longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const marks = [new Map(), new Map()], gaps = [[], []]; // gaps: before which line, how many
  let i = 0, j = 0, alone = [0, 0];
  const settle = () => {
    const [x, y] = alone;
    if (x < y) gaps[0].push([i, y - x]);
    if (y < x) gaps[1].push([j, x - y]);
    alone = [0, 0];
  };
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { settle(); i++; j++; }
    else if (j >= b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) { marks[0].set(++i, "only"); alone[0]++; }
    else { marks[1].set(++j, "only"); alone[1]++; }
  }
  settle();
  return {marks, gaps, same: !marks[0].size && !marks[1].size};
}

function drawSide(task, run, place, sample, difference, choose) {
  const side = task.runs[run], language = data.benchmarks[state.benchmark].language;
  if (!side) return el("article.side", {}, el("header", {}, el("b", {}, printable(data.runs[run])), el("span.chip", {}, "no answer")));
  const [all, passed, , answers] = side, [number_, right, kind, detail, code] = answers[sample], text = data.texts[code];
  const pre = codeLines(text, language, difference?.marks[place]);
  const lines = pre.matches("pre") ? pre : pre.querySelector("pre");
  const drawn = [...lines.children];
  for (const [before, count] of difference && text.length <= CLIP ? difference.gaps[place] : [])
    for (let gap = 0; gap < count; gap++) drawn[before] ? drawn[before].before(el("span.gap")) : lines.append(el("span.gap"));
  return el(`article.side.${right ? "passed" : "failed"}`, {"aria-label": printable(data.runs[run])},
    el("header", {}, el("b", {}, printable(data.runs[run])), el(`span.chip.${right ? "good" : "bad"}`, {}, right ? "passed" : printable(words(kind))),
      all > 1 ? el("span.soft", {}, `${passed} of ${all} passed`) : null,
      answers.length > 1 ? el("select", {"aria-label": `Answer of ${printable(data.runs[run])}`, onchange: event => choose(+event.target.value)}, answers.map((answer, index) =>
        el("option", {value: index, selected: index === sample}, `answer ${answer[0]}: ${answer[1] ? "passed" : printable(words(answer[2]))}`))) : null,
      el("span.grow"), copyButton(text, "Copy", `Copy the code of ${printable(data.runs[run])}`)),
    !right && data.texts[detail] ? plainText(data.texts[detail], "pre.why") : el("div"), text ? pre : el("p.empty", {style: "padding:0 14px"}, "The answer holds no code."));
}

function drawDetail(samples = [0, 0]) {
  const place = visible.findIndex(task => task.id === state.task), task = visible[place];
  save();
  if (!task) {
    $("detail").replaceChildren(visible.length ? el("p.empty", {}, "Choose a problem to see its answers.") : "");
    return;
  }
  const runs = data.runs.length > 1 ? [0, state.baseline] : [0];
  const codes = runs.map((run, index) => task.runs[run] && data.texts[task.runs[run][3][samples[index]][4]]);
  const difference = codes.length > 1 && codes.every(code => code) ? align(...codes) : null;
  $("detail").replaceChildren(...[
    el("div.bar.head", {}, el("h3", {}, printable(task.id)), el(`span.cell.${judge(task)[0]}`, {"aria-hidden": "true"}, CLASSES[judge(task)[0]][0]), el("span.soft", {}, CLASSES[judge(task)[0]][1]),
      difference?.same ? el("span.chip", {}, "the same code") : null, el("span.grow"),
      el("span.bar", {}, el("button", {id: "before", disabled: place <= 0, onclick: () => go(place - 1, "before")}, "← Before"), el("button", {id: "next", disabled: place >= visible.length - 1, onclick: () => go(place + 1, "next")}, "Next →"))),
    task.problem === null ? null : el("details.problem", {open: true}, el("summary", {}, "Problem"), plainText(data.texts[task.problem], "pre.prose")),
    el(`div.sides${runs.length > 1 ? "" : ".one"}`, {}, runs.map((run, index) => drawSide(task, run, index, samples[index], difference,
      sample => drawDetail(samples.map((old, other) => other === index ? sample : old)))))].filter(part => part));
}

function go(place, focus = "cell") {
  if (place < 0 || place >= visible.length) return;
  state.task = visible[place].id;
  [...$("cells").children].forEach((cell, index) => {
    cell.setAttribute("aria-selected", String(index === place));
    cell.tabIndex = index === place ? 0 : -1;
  });
  drawDetail();
  if (focus === "cell") $("cells").children[place].focus();
  else ($(focus).disabled ? $("cells").children[place] : $(focus)).focus();
}

function save() {
  const link = new URLSearchParams({benchmark: data.benchmarks[state.benchmark]?.name ?? ""});
  if (data.runs.length > 2) link.set("baseline", state.baseline);
  for (const name of ["only", "kind", "task"]) if (state[name]) link.set(name, state[name]);
  if (asked.get("theme")) link.set("theme", asked.get("theme"));
  if (touched) history.replaceState(null, "", `#${link}`);
}

function load() {
  const link = new URLSearchParams(location.hash.slice(1));
  state.benchmark = Math.max(0, data.benchmarks.findIndex(one => one.name === link.get("benchmark")));
  state.baseline = Math.min(Math.max(1, parseInt(link.get("baseline")) || 1), Math.max(1, data.runs.length - 1));
  Object.assign(state, {only: CELLS.includes(link.get("only")) ? link.get("only") : "", kind: link.get("kind") ?? "", task: link.get("task") ?? ""});
  $("benchmark").value = state.benchmark;
  $("baseline").value = state.baseline;
  draw();
  if (state.task) $("problems").scrollIntoView({behavior: "instant"});
}

let touched = false; // the address stays as it is until something is chosen
const change = act => { touched = true; act(); };
$("benchmark").append(...data.benchmarks.map((one, index) => el("option", {value: index}, printable(one.name))));
$("baseline").append(...data.runs.slice(1).map((run, index) => el("option", {value: index + 1}, printable(run))));
$("against").hidden = data.runs.length < 2;
$("problems").hidden = !data.benchmarks.length;
for (const name of ["benchmark", "baseline", "kind"])
  $(name).addEventListener("change", event => change(() => { state[name] = name === "kind" ? event.target.value : +event.target.value; draw(); }));
$("classes").addEventListener("click", event => {
  const button = event.target.closest("button");
  if (button) change(() => { state.only = state.only === button.dataset.only ? "" : button.dataset.only; draw(); });
});
$("cells").addEventListener("click", event => {
  const button = event.target.closest(".cell");
  if (button) change(() => go(visible.findIndex(task => task.id === button.dataset.task)));
});
$("cells").addEventListener("keydown", event => {
  const cells = [...$("cells").children], place = cells.indexOf(document.activeElement);
  if (place < 0 || !visible.length) return;
  const columns = cells.findIndex(cell => cell.offsetTop > cells[0].offsetTop), across = columns < 0 ? cells.length : columns;
  const to = {ArrowRight: place + 1, ArrowLeft: place - 1, ArrowDown: place + across, ArrowUp: place - across, Home: 0, End: cells.length - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  change(() => go(to));
});
document.addEventListener("keydown", event => {
  const place = visible.findIndex(task => task.id === state.task);
  if (!forPage(event)) return;
  if (event.key === "d") change(() => { toggleTheme(); save(); });
  if (event.key === "j" || event.key === "ArrowRight") change(() => go(place + 1));
  if (event.key === "k" || event.key === "ArrowLeft") change(() => go(place - 1));
});
$("theme").addEventListener("click", () => change(() => { toggleTheme(); save(); }));
addEventListener("hashchange", load);
load();
