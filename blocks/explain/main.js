"use strict";
// The page comes alive: the walk, its keys, the address, and what is taken away from here.

const state = new State(JSON.parse(byId("data").textContent));
const figures = new Figures(state, byId("figure"));
const panels = new Panels(state);
const learning = new Learning(state);
const race = state.page.compare ? new Comparison(state.page.compare) : null;
let playing = null;

function say(text) { byId("live").textContent = text; }
function busy(on) { document.body.classList.toggle("busy", on); }
function refresh() {
  figures.draw();
  panels.draw();
  learning.draw();
  const line = state.current, bar = byId("progress");
  bar.max = state.stops.length - 1;
  bar.value = state.position;
  bar.setAttribute("aria-valuetext", state.position ? `${where(line, state)}: ${line.symbol}` : "before the first value");
  for (const button of document.querySelectorAll("[data-phase]")) button.setAttribute("aria-current", String(button.dataset.phase === (state.position ? line.phase : "given")));
  if (document.activeElement !== byId("step")) byId("step").value = line.step[0] ?? "";
}
function go(move) { // to another stop: said aloud, and in the address
  move();
  refresh();
  const line = state.current;
  say(state.position ? `${where(line, state)}. ${line.symbol} = ${[...shown(state.value(state.line), state.example, state.page.dims).data].slice(0, 8).map(long).join(", ")}${line.parts.length > 1 ? `, the sum of ${line.parts.length} parts` : ""}` : "Start: what is given");
  if (location.protocol === "about:") return; // in a frame that has no address of its own
  const to = `#${state.position ? encodeURIComponent(line.symbol) : ""}`;
  try { history.replaceState(null, "", to); } catch { location.hash = to; }
}
function edit(name, at, number, again) {
  if (state.set(name, at, number, again)) { refresh(); say(`changed; the loss is ${long(state.loss)}`); }
}
function play(on) {
  clearTimeout(playing);
  playing = null;
  if (on && state.position === state.stops.length - 1) go(() => state.go(0));
  const next = () => {
    go(() => state.go(state.position + 1));
    if (state.position < state.stops.length - 1) playing = setTimeout(next, 2200 / byId("speed").value);
    else play(false);
  };
  if (on) playing = setTimeout(next, 0);
  byId("play").textContent = on ? "❚❚ Pause" : "▶ Play";
  byId("play").setAttribute("aria-pressed", String(on));
}
function phaseBy(by) {
  const now = state.position ? PHASES.indexOf(state.current.phase) : 0, to = PHASES[Math.max(0, Math.min(PHASES.length - 1, now + by))];
  go(() => state.go(to === "given" ? 0 : Math.max(0, state.firstOf(to))));
}
function fromAddress() {
  let symbol = "";
  try { symbol = decodeURIComponent(location.hash.slice(1)); } catch { /* no symbol */ }
  if (symbol && state.goTo(symbol)) refresh();
}

// --- what is taken away

function save(name, text, type) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
// --- controls

const on = (id, event, f) => byId(id).addEventListener(event, f);
on("first", "click", () => go(() => state.go(0)));
on("back", "click", () => go(() => state.go(state.position - 1)));
on("next", "click", () => go(() => state.go(state.position + 1)));
on("last", "click", () => go(() => state.go(state.stops.length - 1)));
on("play", "click", () => play(playing === null));
on("progress", "input", (e) => go(() => state.go(+e.target.value)));
on("step", "change", (e) => {
  const phase = state.position && state.firstOf(state.current.phase, +e.target.value) >= 0 ? state.current.phase : "forward";
  const to = state.firstOf(phase, +e.target.value);
  if (to >= 0) go(() => state.go(to));
});
for (const button of document.querySelectorAll("[data-phase]")) button.addEventListener("click", () => go(() => state.go(button.dataset.phase === "given" ? 0 : Math.max(0, state.firstOf(button.dataset.phase)))));
on("larger", "click", () => figures.zoom(1.25));
on("smaller", "click", () => figures.zoom(0.8));
on("undo", "click", () => { state.undo(); refresh(); say(`undone; the loss is ${long(state.loss)}`); });
on("reset", "click", () => { state.reset(); refresh(); say("as at the beginning"); });
on("brick", "change", () => { panels.held = true; panels.weights(); });
let dragged = false;
on("slider", "input", (e) => { edit(panels.chosen.name, panels.chosen.at, e.target.valueAsNumber, dragged); dragged = true; });
on("slider", "change", () => { dragged = false; });
on("field", "change", (e) => edit(panels.chosen.name, panels.chosen.at, e.target.valueAsNumber));
on("check", "click", () => panels.check());
on("hide", "change", () => { panels.predicted = null; byId("verdict").textContent = ""; panels.number(); });
on("guessed", "click", () => panels.predict(byId("guess").valueAsNumber));
on("save-python", "click", () => save("state.py", pythonOf(state), "text/x-python"));
on("save-svg", "click", () => save("figure.svg", figures.file(), "image/svg+xml"));
addEventListener("hashchange", fromAddress);
addEventListener("resize", () => { figures.resize(); figures.draw(); });
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input:not([type=range]), select, textarea")) {
    if ((e.ctrlKey || e.metaKey) && e.key === "z" && !e.target.matches("input")) byId("undo").click();
    return;
  }
  if (e.target.matches("input[type=range]") && e.target.id !== "progress") return;
  const moves = {
    ArrowRight: () => go(() => state.go(state.position + 1)), ArrowLeft: () => go(() => state.go(state.position - 1)),
    Home: () => go(() => state.go(0)), End: () => go(() => state.go(state.stops.length - 1)),
    PageDown: () => phaseBy(1), PageUp: () => phaseBy(-1), " ": () => play(playing === null),
  };
  if (!moves[e.key] || (e.key === " " && e.target.matches("button, summary"))) return;
  e.preventDefault();
  moves[e.key]();
});

// --- begin

byId("about").textContent = `${state.page.title}${state.page.task ? `, ${state.page.task}` : ""}: ${state.page.steps} steps, ${state.weights.reduce((n, name) => n + state.feeds[name].data.length, 0)} weights`;
byId("step").append(el("option", { value: "" }, "–"), ...Array.from({ length: state.page.steps }, (_, t) => el("option", { value: t + 1 }, String(t + 1))));
const batch = state.page.dims.batch ?? 1;
if (batch > 1) {
  byId("examples").hidden = false;
  byId("example").append(...Array.from({ length: batch }, (_, i) => el("option", { value: i }, String(i + 1))));
  on("example", "change", (e) => { state.example = +e.target.value; refresh(); });
}
byId("compare").hidden = !race;
if (state.page.lesson) {
  lessonPanel(state, state.page.lesson);
  if (state.page.lesson.start) state.goTo(state.page.lesson.start);
}
fromAddress();
refresh();
