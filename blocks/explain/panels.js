"use strict";
// The panels: what is computed now, with its rule in symbols and in numbers; the weights and their gradients so far; what
// is given; and one number that is looked at, changed, checked and predicted.

function typeset(text) { // a formula: what stands behind an underscore is lowered, a number behind ^ raised
  const out = el("span", { class: "formula" });
  for (const piece of text.split(/(_[A-Za-z0-9α-ωΑ-Ω]+|_\([^)]*\)|\^[-−\d.]+)/)) {
    if (/^_./.test(piece)) out.append(el("sub", {}, piece.slice(1).replace(/^\(|\)$/g, "")));
    else if (/^\^./.test(piece)) out.append(el("sup", {}, piece.slice(1)));
    else out.append(piece);
  }
  return out;
}
const symbols = (rule) => rule.split(new RegExp(`(${OPEN}[^${CLOSE}]*${CLOSE})`)).map((p) => (p[0] === OPEN ? { symbol: p.slice(1, -1) } : { text: p }));

class Panels {
  constructor(state) {
    this.state = state;
    this.unit = [0, 0]; // of a row, and of a column: which numbers are put into a rule
    this.chosen = null; // {name, at}: a number that is fed
    this.predicted = null;
  }

  draw() {
    this.now();
    this.weights();
    this.given();
    this.number();
  }

  // --- now

  now() {
    const { state } = this, line = state.current, start = state.position === 0;
    const box = byId("now-body"), v = start ? null : this.value(state.line);
    byId("where").textContent = start ? "Everything that is given is there; nothing is computed yet." : where(line, state);
    if (start) {
      box.replaceChildren(el("p", {}, "Press → or “Next”: the values come first, step by step, then the loss, then the gradients, backwards, then the update."));
      return;
    }
    const parts = [this.equation(line.symbol, line.rule)];
    for (const i of line.phase === "forward" ? state.stop.inside.filter((i) => /\.net/.test(state.lines[i].symbol)) : []) parts.push(this.equation(state.lines[i].symbol, state.lines[i].rule, true));
    parts.push(this.inNumbers(line, v));
    for (const i of line.phase === "forward" ? state.stop.inside.filter((i) => /\.net/.test(state.lines[i].symbol)) : []) parts.push(this.inNumbers(state.lines[i], this.value(i), true));
    parts.push(this.grid(v, this.unit, (at) => { this.unit = at; this.draw(); }, `numbers of ${line.symbol}`));
    if (line.parts.length > 1) parts.push(this.sum(line));
    for (const i of line.phase === "backward" ? state.stop.inside : []) {
      parts.push(el("hr"), this.equation(state.lines[i].symbol, state.lines[i].rule, true), this.inNumbers(state.lines[i], this.value(i), true));
      parts.push(this.grid(this.value(i), this.unit, null, `numbers of ${state.lines[i].symbol}`));
    }
    box.replaceChildren(...parts.filter(Boolean));
  }
  value(line) { return shown(this.state.value(line), this.state.example, this.state.page.dims); }

  equation(symbol, rule, small) {
    const right = el("span");
    for (const piece of symbols(rule)) {
      if (piece.text !== undefined) right.append(typeset(piece.text));
      else if (this.state.stops.some((s) => s.line === this.state.symbols.get(piece.symbol))) right.append(el("button", { class: "symbol", onclick: () => go(() => this.state.goTo(piece.symbol)) }, typeset(piece.symbol)));
      else right.append(typeset(piece.symbol));
    }
    const bare = rule.replaceAll(OPEN, "").replaceAll(CLOSE, "");
    return el("p", { class: small ? "equation small" : "equation" }, symbol ? el("b", {}, typeset(symbol)) : null, ...(!symbol ? [right] : bare && bare !== symbol ? [" = ", right] : bare ? [" = ", right].slice(0, 0) : []));
  }

  inNumbers(line, v, small) { // the rule with the numbers of one unit put in
    const out = el("p", { class: small ? "numbers small" : "numbers" });
    const rule = line.rule, pieces = symbols(rule);
    if (!rule || v.data.length === 0 || pieces.length < 2 || rule.length > 900) return null;
    const examples = this.state.page.dims.batch ?? 1;
    if (examples > 1 && line.phase === "backward" && line.kind === "weight") return el("p", { class: "numbers" }, `added up over ${examples} examples`);
    const at = this.inside(v);
    out.append(el("span", { class: "unit" }, v.data.length > 1 ? `unit ${at.map((i) => i + 1).join(", ")}: ` : ""), el("b", {}, long(v.data[flat(at, v.shape)])), " = ");
    pieces.forEach((piece, i) => {
      if (piece.text !== undefined) out.append(typeset(piece.text.replace(/^ᵀ/, "").replace(pieces[i - 1]?.symbol.includes("…") ? /^\(\d+\)/ : "", "").replaceAll("⊙", "·").replaceAll(/Σ_batch\(/g, "(")));
      else out.append(el("span", { class: "put", title: piece.symbol }, this.put(piece.symbol, v.shape, at, pieces[i + 1]?.text ?? "", pieces[i - 1]?.text ?? "")));
    });
    return out;
  }
  inside(v) { // the unit that is chosen, within a shape
    return v.shape.map((d, i) => Math.min(this.unit[i + 2 - v.shape.length] ?? 0, d - 1));
  }
  put(symbol, shape, at, behind, before) { // what stands for a symbol in a rule: a number, or the numbers of a product
    const line = this.state.symbols.get(symbol);
    if (line === undefined) return symbol === this.state.lr ? long(this.state.feeds[symbol].data[0]) : symbol;
    const step = symbol.includes("…") && behind.match(/^\((\d+)\)/), v = step ? this.atStep(line, step[1] - 1) : this.value(line), turned = behind.startsWith("ᵀ"), factor = /^ᵀ? · /.test(behind) || / · $/.test(before);
    const bracket = before.endsWith("(") && behind.startsWith(")") ? long : bracketed;
    if (v.data.length === 1 || (symbol.includes("…") && !step && v.data.every((x) => x === v.data[0]))) return bracket(v.data[0]); // or the same at all steps
    if (factor && v.shape.length === 2) return list(turned ? row(v, at.at(-1)) : column(v, at.at(-1)));
    if (factor && shape.length === 2 && v.shape.length === 1) return bracket(v.data[Math.min(turned ? at[0] : at[1], v.data.length - 1)]);
    if (factor) return list(v.data);
    const same = v.shape.length === shape.length && v.shape.every((d, i) => d === shape[i]);
    if (same) return bracket(v.data[flat(at, v.shape)]);
    return v.shape.length === 1 && v.shape[0] === shape.at(-1) ? bracket(v.data[at.at(-1)]) : list(v.data);
  }

  atStep(line, t) { // a sequence at one step
    const v = this.state.value(line), row = v.data.length / v.shape[0];
    return shown({ ...v, shape: v.shape.slice(1), data: v.data.subarray(t * row, (t + 1) * row) }, this.state.example, this.state.page.dims);
  }

  sum(line) { // what a gradient is the sum of; a part that is not handed back yet is not zero
    const { state } = this, rows = line.parts.map((part) => {
      const v = shown(state.part(part), state.example, state.page.dims);
      return el("tr", {}, el("td", {}, "through ", typeset(part.through)), el("td", {}, this.equation("", part.rule, true)), el("td", {}, this.grid(v, this.unit, null, `part through ${part.through}`)), el("td", {}, `‖${long(norm(v))}‖`));
    });
    const v = this.value(state.lines.indexOf(line));
    rows.push(el("tr", { class: "total" }, el("td", {}, "added up"), el("td", {}, "Σ"), el("td", {}, this.grid(v, this.unit, null, "the sum")), el("td", {}, `‖${long(norm(v))}‖`)));
    return el("table", { class: "parts" }, el("caption", {}, `The sum of ${line.parts.length} parts`), el("tbody", {}, ...rows));
  }

  grid(v, chosen, choose, label) { // numbers as coloured cells: rows and columns of a matrix, one row of a vector
    const [rows, columns] = v.shape.length > 1 ? [v.data.length / v.shape.at(-1), v.shape.at(-1)] : [1, v.data.length];
    const top = v.data.reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), 0) || 1;
    if (v.data.length > 400) return el("div", {}, picture(v, rows, columns, top, label), el("p", {}, `${v.shape.join(" × ")} numbers, ‖${long(norm(v))}‖`));
    const wide = columns <= 6, table = el("table", { class: wide ? "grid" : "grid tight", "aria-label": label });
    const at = chosen && this.inside({ shape: rows > 1 ? [rows, columns] : [columns] });
    for (let r = 0; r < rows; r++) {
      const cells = [];
      for (let c = 0; c < columns; c++) {
        const x = v.data[r * columns + c], here = at && at.at(-1) === c && (rows === 1 || at[0] === r);
        const cell = el("td", { class: `${x < 0 ? "minus" : "plus"}${here ? " here" : ""}`, title: long(x), style: `--strength:${strength(x, top)}` });
        const text = wide ? long(x) : "";
        cell.append(choose ? el("button", { "aria-label": `number ${r + 1}, ${c + 1}: ${long(x)}`, onclick: () => choose(rows > 1 ? [r, c] : [0, c]) }, text || "·") : text);
        cells.push(cell);
      }
      table.append(el("tr", {}, ...cells));
    }
    return table;
  }

  // --- weights: of the brick at hand, with their gradients so far

  weights() {
    const { state } = this, brick = byId("brick");
    const all = state.lines.map((line, i) => i).filter((i) => state.lines[i].phase === "given" && state.lines[i].kind === "weight");
    const names = [...new Set(all.map((i) => state.lines[i].brick ?? state.lines[i].symbol))];
    if (!brick.options.length) brick.append(...names.map((name) => el("option", { value: name }, name)));
    const now = state.current.brick;
    if (now && names.includes(now) && !this.held) brick.value = now;
    const back = ["backward", "update"].includes(state.current.phase);
    const rows = all.filter((i) => (state.lines[i].brick ?? state.lines[i].symbol) === brick.value).map((i) => {
      const line = state.lines[i], g = state.gradients.get(i), v = state.value(i);
      const head = el("h3", {}, typeset(line.symbol), el("small", {}, ` ${v.shape.join(" × ")}`));
      const choose = (at) => { this.choose(line.fed, flat(v.shape.length > 1 ? at : [at[1]], v.shape.length > 1 ? [v.data.length / v.shape.at(-1), v.shape.at(-1)] : [v.data.length])); };
      return el("div", { class: "weight" }, head, this.grid(v, null, choose, line.symbol), g === undefined ? el("p", {}, "the loss does not depend on it") : this.soFar(g, back));
    });
    byId("weights-body").replaceChildren(...rows);
  }
  soFar(g, back) { // the gradient of a weight, growing step by step
    const { state } = this, line = state.lines[g], parts = back ? state.soFar(g) : [];
    if (!parts.length) return el("p", { class: "unknown" }, typeset(line.symbol), ": not computed yet");
    const shape = state.part(parts[0]), sum = { ...shape, data: new Float64Array(shape.data.length) };
    for (const part of parts) state.part(part).data.forEach((x, i) => { sum.data[i] += x; });
    const sizes = line.parts.map((part) => (parts.includes(part) ? norm(state.part(part)) : null)), top = Math.max(...sizes.map((s) => s ?? 0)) || 1;
    const bars = el("div", { class: "bars", role: "img", "aria-label": `parts: ${line.parts.map((p, i) => `${p.through} ${sizes[i] === null ? "not yet" : long(sizes[i])}`).join("; ")}` });
    line.parts.forEach((part, i) => bars.append(el("span", { class: sizes[i] === null ? "bar none" : "bar", title: `${part.through}: ${sizes[i] === null ? "not yet" : long(sizes[i])}`, style: `--size:${sizes[i] === null ? 1 : sizes[i] / top}` })));
    return el("div", {}, el("p", { class: "so-far" }, typeset(line.symbol), ` after ${parts.length} of ${line.parts.length} parts`), this.grid(sum, null, null, `${line.symbol} so far`), bars);
  }

  // --- what is given

  given() {
    const { state } = this, box = byId("given-body");
    if (box.contains(document.activeElement) && document.activeElement.matches("input")) return this.refresh(box);
    const fed = state.lines.filter((line) => line.phase === "given" && line.kind !== "weight");
    box.replaceChildren(...fed.map((line) => {
      const v = state.feeds[line.fed];
      if (v.data.length > 240) return el("p", {}, typeset(line.symbol), `: ${v.shape.join(" × ")} numbers`);
      const width = v.shape.at(-1) ?? 1, steps = state.overTime(line.fed);
      const per = steps ? v.data.length / v.shape[0] : width, count = v.data.length / per, rows = [];
      for (let r = 0; r < count; r++) {
        const place = steps ? ` at step ${r + 1}` : count > 1 ? `, row ${r + 1}` : "";
        const cells = Array.from({ length: per }, (_, c) => el("td", {}, this.input(line.fed, r * per + c, `${line.symbol}${place}, number ${c + 1}`)));
        const head = steps ? [el("th", { scope: "row" }, `${line.symbol}(${r + 1})`)] : r ? [] : [el("th", { scope: "rowgroup", rowspan: count }, line.symbol)];
        rows.push(el("tr", {}, ...head, ...cells));
      }
      return el("table", { class: "inputs" }, el("tbody", {}, ...rows));
    }));
  }
  input(name, at, label) {
    const v = this.state.feeds[name], whole = v.dtype !== "float", x = v.data[at];
    return el("input", {
      type: "number", step: whole ? 1 : 0.1, ...typed(x), "aria-label": label, "data-name": name, "data-at": at,
      onchange: (e) => edit(name, at, e.target.valueAsNumber), onfocus: () => this.choose(name, at, true),
    });
  }
  refresh(box) {
    for (const input of box.querySelectorAll("input")) if (input !== document.activeElement) Object.assign(input, typed(this.state.feeds[input.dataset.name].data[input.dataset.at]));
  }

  // --- one number

  choose(name, at, quiet) {
    this.chosen = { name, at };
    this.predicted = null;
    this.number();
    if (!quiet) byId("number").scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
  }
  number() {
    const { state, chosen } = this;
    byId("number-none").hidden = Boolean(chosen);
    byId("number-body").hidden = !chosen;
    if (!chosen) return;
    const v = state.feeds[chosen.name], x = v.data[chosen.at], g = state.gradientOf(chosen.name);
    byId("number-name").replaceChildren(typeset(chosen.name), ` [${index(chosen.at, v.shape).map((i) => i + 1).join(", ")}]`);
    const slider = byId("slider"), field = byId("field");
    if (document.activeElement !== slider) { slider.min = Math.min(-3, Math.floor(x * 2)); slider.max = Math.max(3, Math.ceil(x * 2)); slider.value = x; }
    if (document.activeElement !== field) field.value = +x.toPrecision(6);
    slider.disabled = field.disabled = v.dtype !== "float" && v.dtype !== "int";
    const known = g && (this.predicted !== null || !byId("hide").checked);
    byId("gradient").textContent = !g ? "the loss does not depend on it" : known ? long(g.data[chosen.at]) : "hidden: predict it";
    byId("checked").textContent = "";
  }
  check() {
    const { name, at } = this.chosen, g = this.state.gradientOf(name), d = this.state.difference(name, at);
    const own = g ? g.data[at] : 0;
    byId("checked").textContent = `finite difference ${long(d)}, gradient ${long(own)}, apart by ${long(Math.abs(d - own))}`;
    say(byId("checked").textContent);
  }
  predict(guess) {
    if (!this.chosen || !Number.isFinite(guess)) return;
    const g = this.state.gradientOf(this.chosen.name), own = g ? g.data[this.chosen.at] : 0, off = Math.abs(guess - own);
    this.predicted = guess;
    this.number();
    const right = off <= 0.05 * Math.max(Math.abs(own), 1e-12) || off < 5e-4;
    byId("verdict").textContent = right ? `Right: it is ${long(own)}.` : `It is ${long(own)}; you are off by ${long(off)}${Math.sign(guess) === Math.sign(own) ? "" : ", and the sign is the other one"}.`;
    say(byId("verdict").textContent);
  }
}

function typed(x) { // a number in a field; infinity is none to it, and stands there as a hint
  return Number.isFinite(x) ? { value: +x.toPrecision(4), placeholder: "" } : { value: "", placeholder: long(x) };
}

function picture(v, rows, columns, top, label) { // many numbers as one picture: a point each
  const canvas = el("canvas", { class: "many", width: columns, height: rows, role: "img", "aria-label": `${label}: ${rows} × ${columns} numbers` });
  const style = getComputedStyle(document.documentElement), [plus, minus] = ["--plus", "--minus"].map((name) => style.getPropertyValue(name).trim());
  const pen = canvas.getContext("2d");
  v.data.forEach((x, i) => {
    pen.globalAlpha = Math.min(1, Math.abs(x) / top) || 0;
    pen.fillStyle = x < 0 ? minus : plus;
    pen.fillRect(i % columns, Math.floor(i / columns), 1, 1);
  });
  return canvas;
}
const flat = (at, shape) => at.reduce((n, i, axis) => n * shape[axis] + i, 0);
const index = (at, shape) => { const out = []; for (let axis = shape.length - 1; axis >= 0; axis--) { out.unshift(at % shape[axis]); at = Math.floor(at / shape[axis]); } return out; };
const bracketed = (x) => (x < 0 ? `(${long(x)})` : long(x));
const list = (data) => (data.length === 1 ? bracketed(data[0]) : data.length <= 4 ? `[${[...data].map(long).join(", ")}]` : `[${long(data[0])}, … ${data.length} numbers]`);
const column = (v, c) => Array.from({ length: v.shape[0] }, (_, r) => v.data[r * v.shape[1] + Math.min(c, v.shape[1] - 1)]);
const row = (v, r) => v.data.slice(r * v.shape[1], (r + 1) * v.shape[1]);
const TITLES = { given: "Given", forward: "Forward", loss: "Loss", backward: "Backward", update: "Update" };
function where(line, state) {
  const step = line.step.length ? `, step ${line.step.join(", ")} of ${state.page.steps}` : "", brick = line.brick ? `, brick ${line.brick}` : "";
  return `${TITLES[line.phase]}${step}${brick} · ${state.position} of ${state.stops.length - 1}`;
}
