"use strict";
// The interpreter of a graph, node by node, as blocks/interpret.py is: the same operations, loops and named dimensions,
// in double precision. A graph is what `blocks.to_json` writes; a value is {dtype, shape, data}, its numbers row by row.
//
//   interpreter.run(graph, feeds, watch)      name → value of the outputs; watch(number of the node, value, steps, graph)
//
// Booleans are 0 and 1. Integers are exact up to 2^53.

const interpreter = (() => {
  const value = (dtype, shape, data) => ({ dtype, shape, data });
  const count = (shape) => shape.reduce((n, d) => n * d, 1);
  const zeros = (dtype, shape) => value(dtype, shape, new Float64Array(count(shape)));
  const strides = (shape) => {
    const out = new Array(shape.length);
    for (let i = shape.length - 1, n = 1; i >= 0; n *= shape[i--]) out[i] = n;
    return out;
  };
  const same = (a, b) => a.length === b.length && a.every((d, i) => d === b[i]);
  const without = (shape, axis) => shape.filter((_, i) => i !== axis);
  const spread = (from, to) => { // the strides of a shape that is repeated to another one, by NumPy's rule
    const own = strides(from), ahead = to.length - from.length;
    return to.map((_, i) => (i < ahead || from[i - ahead] === 1 ? 0 : own[i - ahead]));
  };

  function places(shape, steps, start = 0) { // where each number of a shape stands, whose axes go in such steps
    const out = new Int32Array(count(shape)), at = new Array(shape.length).fill(0);
    for (let i = 0, here = start; i < out.length; i++) {
      out[i] = here;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        here += steps[axis];
        if (++at[axis] < shape[axis]) break;
        here -= steps[axis] * shape[axis];
        at[axis] = 0;
      }
    }
    return out;
  }

  function view(x, shape, steps, start = 0) {
    const from = places(shape, steps, start), out = zeros(x.dtype, shape);
    for (let i = 0; i < from.length; i++) out.data[i] = x.data[from[i]];
    return out;
  }
  const repeated = (x, shape) => (same(x.shape, shape) ? x : view(x, shape, spread(x.shape, shape)));
  const reshaped = (x, shape) => value(x.dtype, shape, x.data);
  const permuted = (x, axes) => view(x, axes.map((a) => x.shape[a]), axes.map((a) => strides(x.shape)[a]));
  const swapped = (x) => permuted(x, [...x.shape.keys()].map((i, _, all) => (i < all.length - 2 ? i : 2 * all.length - 3 - i)));
  const typed = (x, dtype) => (x.dtype === dtype ? x : value(dtype, x.shape, x.data));

  function broadcast(shapes) {
    const rank = Math.max(...shapes.map((s) => s.length));
    return Array.from({ length: rank }, (_, i) => {
      const here = shapes.map((s) => s[i - rank + s.length] ?? 1).filter((d) => d !== 1);
      if (new Set(here).size > 1) throw new Error(`${shapes.map((s) => `(${s})`).join(" and ")} do not fit`);
      return here[0] ?? 1;
    });
  }

  // --- elementwise: a row is a function of numbers, and the type of its result, if it is not that of its operands

  function elementwise(f, dtype, direct) { // direct(out, a, b): the same as a loop of its own, for operands of one shape
    return (operands) => {
      const first = operands[0].shape, alike = operands.every((o) => same(o.shape, first));
      const shape = alike ? first : broadcast(operands.map((o) => o.shape));
      const last = operands[operands.length - 1].dtype, whole = last === "int";
      const out = zeros(dtype ?? last, shape), to = out.data, n = to.length;
      if (direct && alike) { direct(to, operands[0].data, operands[1].data); return out; }
      const one = (o) => o.data.length === 1; // a number for all places: its step is 0
      const [a, b, c] = operands.map((o) => (one(o) ? o : repeated(o, shape)).data), [p, q, r] = operands.map((o) => +!one(o));
      if (!b) for (let i = 0; i < n; i++) to[i] = f(a[i], whole);
      else if (!c) for (let i = 0; i < n; i++) to[i] = f(a[i * p], b[i * q], whole);
      else for (let i = 0; i < n; i++) to[i] = f(a[i * p], b[i * q], c[i * r]);
      return out;
    };
  }
  const floating = (f) => elementwise(f, "float"), comparison = (f) => elementwise((a, b) => +f(a, b), "bool");
  const logistic = (x) => { const e = Math.exp(-Math.abs(x)); return (x >= 0 ? 1 : e) / (1 + e); };
  const mod = (a, b, whole) => {
    if (b === 0) return whole ? 0 : NaN;
    const m = a % b;
    return m !== 0 && (m < 0) !== (b < 0) ? m + b : m;
  };
  const divided = (a, b, whole) => {
    if (b === 0) return whole ? 0 : a / b;
    const q = (a - mod(a, b)) / b, down = Math.floor(q);
    return q - down > 0.5 ? down + 1 : down;
  };
  const even = (x) => { const r = Math.round(x); return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r; };
  const twice = 2 * Math.sqrt(2 / Math.PI);

  // --- along axes

  function reduced(x, axes, start, f) { // axes that are reduced get length 1
    const shape = x.shape.map((d, i) => (axes.includes(i) ? 1 : d)), out = zeros(x.dtype, shape);
    out.data.fill(start);
    const to = places(x.shape, spread(shape, x.shape));
    for (let i = 0; i < to.length; i++) out.data[to[i]] = f(out.data[to[i]], x.data[i]);
    return out;
  }
  const kept = (x, out, { axis, keepdims }) =>
    keepdims ? out : reshaped(out, x.shape.filter((_, i) => !axis.includes(i)));
  const sum = (x, attrs) => kept(x, reduced(x, attrs.axis, 0, (a, b) => a + b), attrs);

  function lines(x, axis, f, dtype = x.dtype) { // each line of numbers along an axis, as an array, to another one
    const out = zeros(dtype, x.shape), n = x.shape[axis], step = strides(x.shape)[axis];
    const starts = places(without(x.shape, axis), without(strides(x.shape), axis));
    for (const start of starts) {
      const line = Float64Array.from({ length: n }, (_, i) => x.data[start + i * step]);
      f(line).forEach((v, i) => { out.data[start + i * step] = v; });
    }
    return out;
  }
  const exponents = (line) => { const top = line.reduce((a, b) => Math.max(a, b), -Infinity); return line.map((v) => v - top); };
  const total = (line) => line.reduce((a, b) => a + b, 0);
  const logSoftmax = (line) => { const z = exponents(line), log = Math.log(total(z.map(Math.exp))); return z.map((v) => v - log); };
  const softmax = (line) => { const e = exponents(line).map(Math.exp), all = total(e); return e.map((v) => v / all); };
  const rms = (line, { epsilon }) => { const size = Math.sqrt(total(line.map((v) => v * v)) / line.length + epsilon); return line.map((v) => v / size); };
  const centred = (line) => { const mean = total(line) / line.length; return line.map((v) => v - mean); };
  const running = (line) => { let so = 0; return line.map((v) => (so += v)); };

  // --- products

  function matmul(x, w) {
    if (w.shape.length === 2) return product(reshaped(x, [count(x.shape.slice(0, -1)), x.shape.at(-1)]), w, [...x.shape.slice(0, -1), w.shape[1]]);
    const lead = broadcast([x.shape.slice(0, -2), w.shape.slice(0, -2)]);
    const [n, k] = x.shape.slice(-2), m = w.shape.at(-1), out = zeros("float", [...lead, n, m]);
    const xs = places(lead, spread(x.shape.slice(0, -2), lead)), ws = places(lead, spread(w.shape.slice(0, -2), lead));
    for (let i = 0; i < xs.length; i++) {
      const a = value("float", [n, k], x.data.subarray(xs[i] * n * k)), b = value("float", [k, m], w.data.subarray(ws[i] * k * m));
      out.data.set(product(a, b, [n, m]).data, i * n * m);
    }
    return out;
  }

  function product(x, w, shape) { // of two matrices
    const [n, k] = x.shape, m = w.shape[1], out = zeros("float", shape), to = out.data;
    for (let i = 0; i < n; i++)
      for (let j = 0; j < k; j++) {
        const a = x.data[i * k + j];
        for (let l = 0; l < m; l++) to[i * m + l] += a * w.data[j * m + l];
      }
    return out;
  }

  function outer(a, b, { each = [] }) {
    if (!each.length) {
      const n = a.shape.at(-1), m = b.shape.at(-1), rows = a.data.length / n, out = zeros("float", [n, m]), to = out.data;
      for (let r = 0; r < rows; r++)
        for (let i = 0; i < n; i++) {
          const x = a.data[r * n + i];
          for (let j = 0; j < m; j++) to[i * m + j] += x * b.data[r * m + j];
        }
      return out;
    }
    const rows = (x) => {
      const last = x.shape.length - 1, summed = [...x.shape.keys()].filter((i) => i < last && !each.includes(i));
      const moved = permuted(x, [...each, ...summed, last]);
      return reshaped(moved, [...each.map((i) => x.shape[i]), count(summed.map((i) => x.shape[i])), x.shape[last]]);
    };
    return matmul(swapped(rows(a)), rows(b));
  }

  // --- shapes, rows by number, masks

  const ends = (length, start, stop) => { // as Python's slice
    const whole = (i) => Math.min(Math.max(i < 0 ? i + length : i, 0), length);
    return [whole(start), stop === null ? length : whole(stop)];
  };
  function slice(x, { start, stop, axis }) {
    if (Math.max(Math.abs(start), Math.abs(stop ?? 0)) > x.shape[axis]) throw new Error(`[${start}:${stop}] reaches beyond the ${x.shape[axis]} elements of axis ${axis}`);
    const [from, to] = ends(x.shape[axis], start, stop), steps = strides(x.shape);
    return view(x, x.shape.map((d, i) => (i === axis ? to - from : d)), steps, from * steps[axis]);
  }
  function pad(g, { start, stop, axis, shape }, run) {
    const out = zeros(g.dtype, run.shape(shape)), steps = strides(out.shape), [from] = ends(out.shape[axis], start, stop);
    places(g.shape, steps, from * steps[axis]).forEach((to, i) => { out.data[to] = g.data[i]; });
    return out;
  }
  function concat(xs, { axis }) {
    const out = zeros(xs[0].dtype, xs[0].shape.map((d, i) => (i === axis ? xs.reduce((n, x) => n + x.shape[axis], 0) : d)));
    let start = 0;
    for (const x of xs) {
      places(x.shape, strides(out.shape), start * strides(out.shape)[axis]).forEach((to, i) => { out.data[to] = x.data[i]; });
      start += x.shape[axis];
    }
    return out;
  }
  function known(ids, classes) {
    const wrong = ids.data.find((i) => !(i >= 0 && i < classes));
    if (wrong !== undefined) throw new Error(`the id ${wrong} is outside of 0 to ${classes - 1}`);
    return ids.data;
  }
  function parts(x, axis = 0) { // along an axis
    return Array.from({ length: x.shape[axis] }, (_, i) => reshaped(slice(x, { start: i, stop: i + 1, axis }), without(x.shape, axis)));
  }
  function stacked(rows, axis = 0) {
    return concat(rows.map((r) => reshaped(r, [...r.shape.slice(0, axis), 1, ...r.shape.slice(axis)])), { axis });
  }
  function gather(table, ids, { each = 0 }) {
    if (each) return stacked(parts(table).map((t, i) => gather(t, parts(ids)[i], {})));
    const row = count(table.shape.slice(1)), out = zeros("float", [...ids.shape, ...table.shape.slice(1)]);
    known(ids, table.shape[0]).forEach((id, i) => out.data.set(table.data.subarray(id * row, (id + 1) * row), i * row));
    return out;
  }
  function scatter(g, ids, { rows, each = 0 }) {
    if (each) return stacked(parts(g).map((v, i) => scatter(v, parts(ids)[i], { rows })));
    const width = g.shape.slice(ids.shape.length), row = count(width), out = zeros("float", [rows, ...width]);
    known(ids, rows).forEach((id, i) => { for (let j = 0; j < row; j++) out.data[id * row + j] += g.data[i * row + j]; });
    return out;
  }

  function held(m) { // for each step and sequence the step and the sequence whose value it has; null: all have their own
    const [steps, sequences] = m.shape, at = (t, b) => m.data[t * sequences + b] !== 0;
    if (m.data.every((v) => v !== 0) || !m.data.some((v) => v !== 0)) return null;
    const from = Array.from({ length: sequences }, (_, b) => {
      let last = Array.from({ length: steps }, (_, t) => t).find((t) => at(t, b));
      return last === undefined ? null : Array.from({ length: steps }, (_, t) => (at(t, b) ? (last = t) : last));
    });
    const other = from.findIndex((f) => f !== null);
    return (t, b) => (from[b] ? from[b][t] * sequences + b : from[other][t] * sequences + other);
  }
  function trialwise(f) { // masks of several trials, each by itself
    return (x, m) => (m.shape.length > 2 ? stacked(parts(x, 1).map((v, r) => f(v, parts(m, 1)[r])), 1) : f(x, m));
  }
  const hold = trialwise((x, m) => {
    const from = held(m), row = count(x.shape.slice(2));
    if (!from) return x;
    const out = zeros(x.dtype, x.shape);
    for (let i = 0; i < m.data.length; i++) {
      const at = from(Math.floor(i / m.shape[1]), i % m.shape[1]);
      out.data.set(x.data.subarray(at * row, (at + 1) * row), i * row);
    }
    return out;
  });
  const release = trialwise((g, m) => {
    const from = held(m), row = count(g.shape.slice(2));
    if (!from) return g;
    const out = value(g.dtype, g.shape, g.data.slice());
    m.data.forEach((v, i) => { if (!v) out.data.fill(0, i * row, (i + 1) * row); });
    m.data.forEach((v, i) => {
      if (v) return;
      const at = from(Math.floor(i / m.shape[1]), i % m.shape[1]);
      for (let j = 0; j < row; j++) out.data[at * row + j] += g.data[i * row + j];
    });
    return out;
  });
  function last(x, m) {
    const shape = x.shape.slice(1), row = count(x.shape.slice(m.shape.length)), out = zeros(x.dtype, shape), n = count(m.shape.slice(1));
    for (let b = 0; b < n; b++)
      for (let t = m.shape[0] - 1; t >= 0; t--)
        if (m.data[t * n + b] !== 0) {
          out.data.set(x.data.subarray((t * n + b) * row, (t * n + b + 1) * row), b * row);
          break;
        }
    return out;
  }

  // --- losses

  function crossEntropy(logits, target) {
    const n = logits.shape.at(-1), log = lines(logits, logits.shape.length - 1, logSoftmax), out = zeros("float", logits.shape.slice(0, -1));
    const ids = target.shape.length < logits.shape.length ? known(target, n) : null;
    for (let i = 0; i < out.data.length; i++)
      if (ids) out.data[i] = -log.data[i * n + ids[i]];
      else for (let j = 0; j < n; j++) out.data[i] -= target.data[i * n + j] * log.data[i * n + j];
    return out;
  }
  function weightedMean(x, w, { empty = null }) {
    const weights = repeated(w, x.shape).data, all = total(weights);
    if (all === 0 && !weights.some((v) => v !== 0)) {
      if (empty === null) throw new Error("the mask masks everything: nothing is left to learn from");
      return value("float", [], Float64Array.of(empty));
    }
    return value("float", [], Float64Array.of(x.data.reduce((s, v, i) => s + v * weights[i], 0) / all));
  }

  // --- the loop

  function loop(operands, attrs, run) {
    if (attrs.every != null) throw new Error("a loop over blocks of steps is for compiled programs");
    const body = attrs.body.graph, now = Object.create(null), out = Object.create(null), n = run.dims[attrs.time];
    attrs.ports.forEach((port, i) => { now[port] = operands[i]; });
    const sequences = attrs.sequences.map((name) => [name, now[name], strides(now[name].shape)[0]]);
    for (let i = 0; i < n; i++) {
      const t = attrs.reverse ? n - 1 - i : i;
      for (const [name, whole, row] of sequences) now[name] = value(whole.dtype, whole.shape.slice(1), whole.data.subarray(t * row, (t + 1) * row));
      const results = execute(body, now, { ...run, steps: [...run.steps, t] });
      for (const name of attrs.stacked) {
        const r = results[name];
        out[name] ??= zeros(r.dtype, [n, ...r.shape]);
        out[name].data.set(r.data, t * r.data.length);
      }
      for (const s of attrs.states) now[s] = results["next/" + s];
    }
    for (const s of attrs.states) out["final/" + s] = now[s];
    return out;
  }

  // --- the table: (operands, attributes, run) → value

  const one = (f) => ([x], attrs, run) => f(x, attrs, run), two = (f) => ([a, b], attrs, run) => f(a, b, attrs, run);
  const ROWS = {
    add: elementwise((a, b) => a + b, undefined, (to, a, b) => { for (let i = 0; i < to.length; i++) to[i] = a[i] + b[i]; }),
    subtract: elementwise((a, b) => a - b, undefined, (to, a, b) => { for (let i = 0; i < to.length; i++) to[i] = a[i] - b[i]; }),
    multiply: elementwise((a, b) => a * b, undefined, (to, a, b) => { for (let i = 0; i < to.length; i++) to[i] = a[i] * b[i]; }),
    divide: floating((a, b) => a / b),
    power: floating((a, b) => (a === 1 || b === 0 ? 1 : a ** b)),
    maximum: elementwise((a, b) => Math.max(a, b)),
    minimum: elementwise((a, b) => Math.min(a, b)),
    floor_divide: elementwise(divided),
    mod: elementwise(mod),
    negative: elementwise((x) => -x),
    exp: floating(Math.exp),
    expm1: floating(Math.expm1),
    log: floating(Math.log),
    sqrt: floating(Math.sqrt),
    sin: floating(Math.sin),
    cos: floating(Math.cos),
    floor: floating(Math.floor),
    round: floating(even),
    abs: elementwise(Math.abs),
    sign: elementwise(Math.sign),
    sigm: floating(logistic),
    tanh: floating(Math.tanh),
    relu: floating((x) => Math.max(x, 0)),
    softplus: floating((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
    silu: floating((x) => x * logistic(x)),
    gelu: floating((x) => x * logistic(twice * (x + 0.044715 * x ** 3))),
    greater: comparison((a, b) => a > b),
    greater_equal: comparison((a, b) => a >= b),
    less: comparison((a, b) => a < b),
    less_equal: comparison((a, b) => a <= b),
    equal: comparison((a, b) => a === b),
    not_equal: comparison((a, b) => a !== b),
    logical_and: comparison((a, b) => a && b),
    logical_or: comparison((a, b) => a || b),
    logical_not: elementwise((a) => +!a, "bool"),
    where: elementwise((c, a, b) => (c !== 0 ? a : b)),
    stop_gradient: one((x) => x),
    cast: one((x, { dtype }) => typed(x, dtype)),
    truncate: elementwise(Math.trunc, "int"),
    input: () => { throw new Error("an input is fed"); },
    parameter: () => { throw new Error("weights are fed"); },
    draw: () => { throw new Error("a draw is fed"); },
    constant: (_, attrs) => attrs.made ??= array(attrs.value),
    sum: one(sum),
    mean: one((x, attrs) => { const n = count(attrs.axis.map((a) => x.shape[a])), s = sum(x, attrs); return value("float", s.shape, s.data.map((v) => v / n)); }),
    max: one((x, attrs) => kept(x, reduced(x, attrs.axis, -Infinity, Math.max), attrs)),
    softmax: one((x, { axis }) => lines(x, axis, softmax)),
    log_softmax: one((x, { axis }) => lines(x, axis, logSoftmax)),
    size: (_, { dims }, run) => value("float", [], Float64Array.of(count(run.shape(dims)))),
    broadcast: one((x, { shape }, run) => repeated(x, run.shape(shape))),
    reshape: one((x, { shape }, run) => reshaped(x, run.shape(shape))),
    moveaxis: one((x, { source, destination }) => { const axes = without([...x.shape.keys()], source); axes.splice(destination, 0, source); return permuted(x, axes); }),
    concat: concat,
    slice: one(slice),
    pad: one(pad),
    gather: two(gather),
    scatter: two(scatter),
    one_hot: one((ids, { classes }) => { const out = zeros("float", [...ids.shape, classes]); known(ids, classes).forEach((id, i) => { out.data[i * classes + id] = 1; }); return out; }),
    matmul: two(matmul),
    transpose: one(swapped),
    outer: two(outer),
    outer_each: two((a, b) => ROWS.multiply([reshaped(a, [...a.shape, 1]), reshaped(b, [...b.shape.slice(0, -1), 1, b.shape.at(-1)])])),
    loop: loop,
    pick: ([values], { output }) => values[output],
    mask: one((m) => typed(m, "float")),
    hold: two(hold),
    release: two(release),
    weighted_mean: two(weightedMean),
    weighted_sum: two((x, w) => value("float", [], Float64Array.of(total(ROWS.multiply([x, w]).data)))),
    last: two(last),
    cross_entropy: two(crossEntropy),
    layernorm: one((x, attrs) => lines(x, attrs.axis, (line) => rms(centred(line), attrs))),
    rmsnorm: one((x, attrs) => lines(x, attrs.axis, (line) => rms(line, attrs))),
    cumsum: one((x, { axis, reverse }) => lines(x, axis, (line) => (reverse ? running(line.reverse()).reverse() : running(line)))),
    argmax: one((x, { axis, keepdims }) => {
      const at = lines(x, axis, (line) => { const best = line.some(Number.isNaN) ? line.findIndex(Number.isNaN) : line.indexOf(line.reduce((a, b) => Math.max(a, b))); return line.map(() => best); }, "int");
      return kept(at, slice(at, { start: 0, stop: 1, axis }), { axis: [axis], keepdims });
    }),
  };

  // --- running

  const NUMBERS = { nan: NaN, inf: Infinity, "-inf": -Infinity }; // JSON has no such numbers: they are texts
  const number = (v) => (typeof v === "string" ? NUMBERS[v] : +v);
  const array = ({ array: { dtype, shape, data } }) =>
    value(/^float/.test(dtype) ? "float" : /^bool/.test(dtype) ? "bool" : "int", shape, Float64Array.from(data, number));
  const MEANS = { uniform: ([low, high]) => low + 0.5 * (high - low), normal: ([mean]) => mean, bernoulli: ([p]) => p };
  const FED = ["input", "parameter", "draw"];

  function execute(graph, feeds, run) {
    const values = new Array(graph.nodes.length);
    graph.nodes.forEach((node, i) => {
      if (FED.includes(node.op)) values[i] = feeds[node.name];
      else values[i] = ROWS[node.op]((node.operands ?? []).map((o) => values[o]), node.attrs ?? {}, run);
      run.watch?.(i, values[i], run.steps, graph);
    });
    const out = Object.create(null);
    for (const [name, i] of Object.entries(graph.outputs)) out[name] = values[i];
    return out;
  }

  // What a graph is fed, and the sizes of its named dimensions; `known` has those that no feed tells. Inputs that are not
  // fed have their default, draws their expectation.
  function bind(graph, feeds, known = {}) {
    const dims = { ...known }, all = Object.create(null), shape = (s) => s.map((d) => {
      if (typeof d === "string" && !(d in dims)) throw new Error(`the size of '${d}' is not known`);
      return typeof d === "string" ? dims[d] : d;
    });
    const leaves = graph.nodes.filter((node) => FED.includes(node.op));
    for (const { name, attrs } of leaves)
      if (Object.hasOwn(feeds, name)) {
        all[name] = feeds[name];
        attrs.shape.forEach((d, i) => { if (typeof d === "string") dims[d] = feeds[name].shape[i]; });
      }
    for (const { name, op, attrs } of leaves) {
      if (name in all) continue;
      if (op !== "draw" && attrs.default == null) throw new Error(`'${name}' is not fed`);
      const first = op === "draw" ? MEANS[attrs.law](attrs.of) : 0;
      all[name] = zeros(attrs.dtype ?? "float", shape(attrs.shape));
      all[name].data.fill(first);
      if (attrs.default?.array) all[name] = typed(repeated(array(attrs.default), all[name].shape), attrs.dtype ?? "float");
    }
    return [all, { dims, shape, steps: [] }];
  }

  function run(graph, feeds, watch, known) {
    const [all, context] = bind(graph, feeds, known);
    return execute(graph, all, { ...context, watch });
  }

  return { run, bind, execute, value, array, count, elementwise, ROWS, FED };
})();
if (typeof module !== "undefined") module.exports = interpreter;
