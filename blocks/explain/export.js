"use strict";
// The state of the page as Python that gives the same numbers: the graph, what it is fed, the optimizer.

function pythonOf(state) {
  const rate = state.lr ? state.feeds[state.lr].data[0] : 0.1, shown = (name) => name !== state.lr && name !== state.counter && !isSlot(state, name);
  const rows = Object.entries(state.feeds).filter(([name]) => shown(name)).map(([name, v]) => `    ${pythonText(name)}: np.array(${nested(v.data, v.shape)}, dtype=${TYPES[v.dtype]}),`);
  return [
    "import numpy as np", "", "import blocks as bk", "",
    `graph = bk.from_json(${pythonText(state.page.source)})`, "feeds = {", ...rows, "}",
    `trace = bk.trace(graph, feeds, optimizer=bk.SGD(${pythonNumber(rate)}))`, "print(trace.table())",
    `print(${pythonText(state.current.symbol)}, trace[${pythonText(state.current.symbol)}])`, "",
  ].join("\n");
}

const TYPES = { float: "np.float64", int: "np.int64", bool: "np.bool_" };
const isSlot = (state, name) => state.learnt.includes(`new/${name}`) && !state.weights.includes(name);
function nested(data, shape) {
  if (!shape.length) return pythonNumber(data[0]);
  const row = data.length / shape[0];
  return `[${Array.from({ length: shape[0] }, (_, i) => nested(data.subarray(i * row, (i + 1) * row), shape.slice(1))).join(", ")}]`;
}
function pythonNumber(x) {
  if (Number.isNaN(x)) return "np.nan";
  return Number.isFinite(x) ? (Object.is(x, -0) ? "-0.0" : String(x)) : x > 0 ? "np.inf" : "-np.inf";
}
const pythonText = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
