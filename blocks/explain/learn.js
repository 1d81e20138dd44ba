"use strict";
// Learning: updates with the loss drawn, rewound to any; and an SRN beside an LSTM on one task with a long lag.

class Learning {
  constructor(state) {
    this.state = state;
    for (const button of document.querySelectorAll("[data-learn]")) button.addEventListener("click", () => this.learn(+button.dataset.learn));
    byId("rewind").addEventListener("input", (e) => { state.rewind(+e.target.value); refresh(); });
    byId("rate").addEventListener("change", (e) => edit(state.lr, 0, e.target.valueAsNumber));
  }
  learn(updates) { // in pieces, so that the page stays alive
    const { state } = this;
    let left = updates;
    const piece = () => {
      const until = performance.now() + 60;
      while (left > 0 && performance.now() < until) { const now = Math.min(left, 5); state.learn(now, left < updates); left -= now; }
      refresh();
      if (left > 0 && Number.isFinite(state.loss)) requestAnimationFrame(piece);
      else { busy(false); say(`${updates} updates: the loss is ${long(state.loss)}`); }
    };
    busy(true);
    piece();
  }
  draw() {
    const { state } = this, rewind = byId("rewind");
    rewind.max = state.trail.length - 1;
    rewind.value = state.at;
    if (document.activeElement !== byId("rate") && state.lr) byId("rate").value = +state.feeds[state.lr].data[0].toPrecision(6);
    byId("loss").textContent = `L = ${long(state.loss)} after ${state.at} update${state.at === 1 ? "" : "s"}`;
    byId("undo").disabled = !state.past.length;
    const chart = curve(state.trail.map((t) => t.loss), state.at);
    byId("curve").replaceChildren(chart);
  }
}

function curve(losses, at) { // the loss, by order of magnitude where it spans more than one
  const w = 320, h = 130, left = 44, bottom = 20, known = losses.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)], log = low > 0 && high / low > 10;
  const f = log ? Math.log : (x) => x, y = (v) => 8 + (h - bottom - 8) * (high === low ? 0.5 : (f(high) - f(v)) / (f(high) - f(low)));
  const x = (i) => left + (w - left - 8) * (losses.length > 1 ? i / (losses.length - 1) : 0);
  const every = Math.max(1, Math.floor(losses.length / 300)), points = losses.map((v, i) => [x(i), v]).filter(([, v], i) => Number.isFinite(v) && (i % every === 0 || i === losses.length - 1));
  const out = svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `the loss over ${losses.length - 1} updates, from ${long(losses[0])} to ${long(known.at(-1) ?? NaN)}${log ? ", logarithmic" : ""}` });
  out.append(svg("path", { class: "axis", d: `M${left} 6V${h - bottom}H${w - 6}` }));
  out.append(svg("text", { x: left - 4, y: 14, "text-anchor": "end" }, short(high)), svg("text", { x: left - 4, y: h - bottom, "text-anchor": "end" }, short(low)));
  out.append(svg("text", { x: w - 6, y: h - 6, "text-anchor": "end" }, `${losses.length - 1} updates`));
  if (points.length > 1) out.append(svg("polyline", { class: "curve", points: points.map(([px, v]) => `${px.toFixed(1)},${y(v).toFixed(1)}`).join(" ") }));
  if (Number.isFinite(losses[at])) out.append(svg("circle", { class: "dot", cx: x(at), cy: y(losses[at]), r: 4 }));
  return out;
}

class Comparison { // both cells learn together; the heat map shows ‖∂L/∂state(t)‖
  constructor({ data, cells }) {
    const arrays = (named) => Object.fromEntries(Object.entries(named).map(([n, v]) => [n, interpreter.array(v)]));
    this.runs = cells.map((cell) => ({ ...cell, feeds: { ...arrays(data), ...arrays(cell.weights) }, losses: [] }));
    this.updates = 0;
    for (const button of document.querySelectorAll("[data-race]")) button.addEventListener("click", () => this.race(+button.dataset.race));
    this.measure();
    this.draw();
  }
  measure() { for (const run of this.runs) run.out = interpreter.run(run.graph, run.feeds); }
  race(updates) {
    const rate = byId("race-rate").valueAsNumber || 0.1;
    let left = updates;
    const piece = () => {
      const until = performance.now() + 80;
      do {
        for (const run of this.runs) {
          run.losses.push(run.out.loss.data[0]);
          const next = { ...run.feeds };
          for (const n of Object.keys(run.weights)) { const g = run.out[`grad/${n}`].data; next[n] = { ...next[n], data: next[n].data.map((x, i) => x - rate * g[i]) }; }
          run.feeds = next;
        }
        this.measure();
        this.updates++;
      } while (--left > 0 && performance.now() < until);
      this.draw();
      if (left > 0) requestAnimationFrame(piece);
      else { busy(false); say(this.said()); }
    };
    busy(true);
    piece();
  }
  said() { return `after ${this.updates} updates: ${this.runs.map((run) => `${run.name} loss ${long(run.out.loss.data[0])}`).join(", ")}`; }
  norms(run, probe) {
    const g = run.out[`grad/${probe}`], row = g.data.length / g.shape[0];
    return Array.from({ length: g.shape[0] }, (_, t) => Math.sqrt(g.data.subarray(t * row, (t + 1) * row).reduce((s, x) => s + x * x, 0)));
  }
  draw() {
    const rows = this.runs.flatMap((run) => run.probes.map((probe) => [`${run.name} ${probe.slice(6)}`, this.norms(run, probe)]));
    const all = rows.flatMap(([, r]) => r).filter((x) => x > 0), high = Math.log10(Math.max(...all, 1e-30)), low = Math.max(Math.min(...all.map(Math.log10)), high - 8);
    const steps = rows[0][1].length, left = 62, cell = 15, h = rows.length * 26 + 34;
    const out = svg("svg", { viewBox: `0 0 ${left + steps * cell + 8} ${h}`, role: "img", "aria-label": `how large the gradient of each state is at each step: ${rows.map(([n, r]) => `${n} ${long(r[0])} at step 1, ${long(r.at(-1))} at step ${steps}`).join("; ")}` });
    rows.forEach(([name, r], i) => {
      out.append(svg("text", { x: left - 6, y: i * 26 + 20, "text-anchor": "end" }, name));
      r.forEach((x, t) => {
        const part = x > 0 ? Math.max(0.02, (Math.log10(x) - low) / (high - low || 1)) : 0, size = 3 + (cell - 5) * part;
        const tile = svg("rect", { class: "heat", x: left + t * cell, y: i * 26 + 6, width: cell - 1, height: 20, "fill-opacity": (0.08 + 0.92 * part).toFixed(2) }, svg("title", {}, `${name}, step ${t + 1}: ${long(x)}`));
        out.append(tile, svg("rect", { class: "tick", x: left + t * cell + (cell - 1 - size) / 2, y: i * 26 + 27, width: size, height: 2 }));
      });
    });
    [1, 5, 10, 15, 20].filter((t) => t <= steps).forEach((t) => out.append(svg("text", { x: left + (t - 0.5) * cell, y: h - 8, "text-anchor": "middle" }, `${t}`)));
    byId("heat").replaceChildren(out);
    byId("heat-scale").textContent = `Strong: ${long(10 ** high)}, faint: ${long(10 ** low)} and less; ${this.said()}.`;
  }
}
