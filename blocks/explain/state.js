"use strict";
// What a page knows: the graph with its feeds, all values of one update, where the walk stands, what was learnt, and what
// can be undone. Nothing here is seen; figure.js, panels.js and learn.js show it.

const PHASES = ["given", "forward", "loss", "backward", "update"];
const OPEN = "\ue000", CLOSE = "\ue001"; // around the symbols in a rule

class State {
  constructor(page) {
    this.page = page;
    this.lines = linesOf(page.lines);
    this.symbols = new Map(this.lines.map((line, i) => [line.symbol, i]));
    this.feeds = own({});
    for (const [name, v] of Object.entries(page.feeds)) this.feeds[name] = interpreter.array(v);
    this.first = own(this.feeds);
    this.gradients = new Map(); // of a line → the line of its gradient
    this.lines.forEach((line, i) => { if (line.phase === "backward") this.gradients.set(line.of, i); });
    this.weights = this.lines.filter((line) => line.kind === "weight" && line.phase === "given").map((line) => line.fed);
    this.learnt = Object.keys(page.graph.outputs).filter((name) => name.startsWith("new/"));
    [this.lr, this.counter] = [page.rate, page.count];
    this.training = pruned(page.graph, [...this.learnt, page.lossName]);
    this.stops = stopsOf(this.lines);
    this.position = 0;
    this.example = 0;
    this.past = [];
    this.compute();
    this.startAgain();
  }

  // --- values

  compute() {
    this.values = new Array(this.page.graph.nodes.length);
    interpreter.run(this.page.graph, this.feeds, (i, v) => { this.values[i] = v; }, this.page.dims);
  }
  value(line) { return this.values[this.lines[line].node]; }
  part(part) { return this.values[part.node]; }
  get loss() { return this.values[this.page.loss].data[0]; }

  gradientOf(name) { // of what is fed, or null
    const line = this.lines.findIndex((l) => l.fed === name);
    const g = this.gradients.get(line);
    return g === undefined ? null : this.value(g);
  }

  overTime(name) { // whether what is fed has steps in front
    const first = this.page.graph.nodes.find((node) => node.name === name)?.attrs.shape[0];
    return typeof first === "string" && first !== "batch";
  }

  lossAt(feeds) {
    return interpreter.run(this.training, feeds, null, this.page.dims)[this.page.lossName].data[0];
  }

  difference(name, at, step = 1e-5) { // (L(w + ε) − L(w − ε)) / 2ε
    const moved = (by) => {
      const v = this.feeds[name], data = v.data.slice();
      data[at] += by;
      const feeds = own(this.feeds);
      feeds[name] = { ...v, data };
      return this.lossAt(feeds);
    };
    return (moved(step) - moved(-step)) / (2 * step);
  }

  // --- changes, each of which can be undone

  remember() {
    this.past.push({ feeds: this.feeds, trail: this.trail, at: this.at });
    if (this.past.length > 200) this.past.shift();
  }
  set(name, at, number, again = false) { // again: one more change of what was changed last, as a slider makes it
    if (!Number.isFinite(number)) return false;
    if (!again) this.remember();
    const data = this.feeds[name].data.slice();
    data[at] = number;
    this.feeds = own(this.feeds);
    this.feeds[name] = { ...this.feeds[name], data };
    this.compute();
    if (name === this.lr) this.trail[this.at].loss = this.loss;
    else this.startAgain();
    return true;
  }
  undo() {
    const before = this.past.pop();
    if (!before) return false;
    Object.assign(this, before);
    this.compute();
    return true;
  }
  reset() {
    this.remember();
    this.feeds = own(this.first);
    this.compute();
    this.startAgain();
  }

  // --- learning: the trail holds the weights and the loss before each update

  startAgain() {
    this.trail = [{ loss: this.loss, feeds: this.feeds }];
    this.at = 0;
  }
  learn(updates, again = false) { // again: more of what was begun, to be undone with it
    if (!again) this.remember();
    this.trail = this.trail.slice(0, this.at + 1);
    for (let i = 0; i < updates; i++) {
      const out = interpreter.run(this.training, this.feeds, null, this.page.dims), next = own(this.feeds);
      for (const name of this.learnt) next[name.slice(4)] = out[name];
      if (this.counter && next[this.counter]) next[this.counter] = { ...next[this.counter], data: next[this.counter].data.map((n) => n + 1) };
      this.feeds = next;
      this.trail[this.trail.length - 1].loss = out[this.page.lossName].data[0];
      this.trail.push({ loss: NaN, feeds: next });
      if (!Number.isFinite(out[this.page.lossName].data[0])) break;
    }
    this.at = this.trail.length - 1;
    this.compute();
    this.trail[this.at].loss = this.loss;
  }
  rewind(at) {
    this.at = Math.max(0, Math.min(at, this.trail.length - 1));
    const rate = this.lr && this.feeds[this.lr];
    this.feeds = own(this.trail[this.at].feeds);
    if (rate) this.feeds[this.lr] = rate;
    this.compute();
  }

  // --- the walk

  get stop() { return this.stops[this.position]; }
  get line() { return this.stop.line; }
  get current() { return this.lines[this.line]; }
  go(position) {
    this.position = Math.max(0, Math.min(position, this.stops.length - 1));
    return this.position;
  }
  goTo(symbol) { // the stop of a symbol; false if there is none
    const line = this.symbols.get(symbol);
    const at = this.stops.findIndex((s) => s.line === line || s.inside.includes(line));
    if (line === undefined || at < 0) return false;
    this.go(at);
    return true;
  }
  firstOf(phase, step) { // the first stop of a phase, at a step if given
    return this.stops.findIndex((s) => this.lines[s.line].phase === phase && (step === undefined || this.lines[s.line].step[0] === step));
  }
  known(line) { // whether a value is computed where the walk stands
    if (this.lines[line].phase === "given" || isInput(this.lines[line])) return true;
    return line <= this.stop.last;
  }
  soFar(line) { // the parts of a gradient that were handed back until now
    return this.lines[line].parts.filter((part) => {
      const from = this.gradients.get(this.symbols.get(part.through));
      return this.known(from ?? line);
    });
  }
}

// The lines of a page, with what it leaves out: what is usual, and what follows from others.
function linesOf(phases) {
  const lines = Object.entries(phases).flatMap(([phase, some]) => some.map((line) => ({ phase, step: [], brick: null, inside: false, kind: "value", parts: [], ...line })));
  for (const line of lines) line.symbol ??= `∂L/∂${lines[line.of].symbol}`;
  const symbol = (piece) => (typeof piece === "number" ? lines[piece].symbol : piece);
  const said = (rule) => rule.map((piece) => (typeof piece === "number" ? OPEN + symbol(piece) + CLOSE : piece)).join("");
  return lines.map((line) => {
    const parts = line.parts.map((part) => ({ ...part, through: symbol(part.through), rule: said(part.rule) }));
    return { ...line, parts, rule: line.rule ? said(line.rule) : parts.map(({ rule }, i) => (i === 0 ? rule : rule.startsWith("−") ? ` − ${rule.slice(1)}` : ` + ${rule}`)).join("") };
  });
}

const own = (feeds) => Object.assign(Object.create(null), feeds); // a copy, in which every name is only a name
function isInput(line) { return line.phase === "forward" && line.kind === "input"; }

// Where the walk stops: at each value but what is fed and what stays inside of its brick. That is shown with the brick's
// result: forwards it comes before, backwards after it.
function stopsOf(lines) {
  const stops = [{ line: 0, inside: [], last: -1 }];
  let waiting = [];
  lines.forEach((line, i) => {
    if (line.phase === "given" || isInput(line) || line.kind === "sequence" || (line.phase === "backward" && lines[line.of]?.kind === "input")) return;
    if (line.inside && line.phase === "forward") waiting.push(i);
    else if (line.inside && line.phase === "backward" && stops.length > 1) { stops.at(-1).inside.push(i); stops.at(-1).last = i; }
    else { stops.push({ line: i, inside: waiting, last: i }); waiting = []; }
  });
  return stops;
}

// A graph with some outputs and what they need alone, each value once.
function pruned(graph, names) {
  const needed = new Set(names.map((name) => graph.outputs[name]));
  for (let i = graph.nodes.length - 1; i >= 0; i--) if (needed.has(i)) graph.nodes[i].operands?.forEach((o) => needed.add(o));
  const nodes = [], number = new Map(), made = new Map();
  graph.nodes.forEach((node, i) => {
    if (!needed.has(i)) return;
    const again = { ...node, operands: node.operands?.map((o) => number.get(o)) };
    const key = interpreter.FED.includes(node.op) ? `=${node.name}` : JSON.stringify([node.op, again.operands, node.attrs]);
    if (!made.has(key)) made.set(key, nodes.push(again) - 1);
    number.set(i, made.get(key));
  });
  return { nodes, outputs: Object.fromEntries(names.map((name) => [name, number.get(graph.outputs[name])])) };
}

// --- numbers as they are written

const minus = (text) => text.replace("-", "−");
function short(v) { // at most five characters, for the figure
  if (Number.isNaN(v)) return "nan";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "−∞";
  const size = Math.abs(v);
  if (size === 0) return "0";
  if (size < 0.005) return minus(v.toExponential(0).replace("e-", "e−"));
  return minus(size < 9.995 ? v.toFixed(2) : size < 99.95 ? v.toFixed(1) : size < 9999 ? v.toFixed(0) : v.toExponential(0).replace("e+", "e"));
}
function long(v) { // four digits
  if (!Number.isFinite(v)) return short(v);
  if (v === 0) return "0";
  const size = Math.abs(v);
  return minus(size < 1e-3 || size >= 1e5 ? v.toExponential(3).replace("e-", "e−").replace("e+", "e") : String(+v.toPrecision(4)));
}
const norm = (v) => Math.sqrt(v.data.reduce((s, x) => s + x * x, 0));

// The numbers of one example, where a value has several: those that a figure shows.
function shown(v, example, dims) {
  const batch = dims.batch ?? 1;
  if (batch > 1 && v.shape.length && v.shape[0] === batch) {
    const row = v.data.length / batch, at = Math.min(example, batch - 1);
    return { ...v, shape: v.shape.slice(1), data: v.data.subarray(at * row, (at + 1) * row) };
  }
  return batch === 1 && v.shape[0] === 1 && v.shape.length > 1 ? { ...v, shape: v.shape.slice(1) } : v;
}

if (typeof module !== "undefined") module.exports = { State };
