"""What a page holds, as JSON in a script: numbers that are not finite are texts, and no text ends the script."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from ..errors import BlocksError
from ..files import to_json
from ..graph import OPS, Graph, subgraphs


def script_json(document: Any) -> str:
    """A document as JSON that may stand in a script of a page."""
    text = json.dumps(_finite(document), ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value


def array_json(array: np.ndarray) -> dict[str, Any]:
    """An array, as `files.to_json` writes those of a graph."""
    return {"array": {"dtype": str(array.dtype), "shape": list(array.shape), "data": array.ravel().tolist()}}


USUAL: dict[str, Any] = {"default": None, "keepdims": False, "reverse": False, "each": [], "every": None}


def graph_json(graph: Graph, outputs: Callable[[str], bool] = lambda name: True) -> dict[str, Any]:
    """A graph for the interpreter in JavaScript: what `files.to_json` writes, without what only figures need, and
    what is usual; of its outputs those with such names."""
    document = _bare(json.loads(to_json(graph)))
    return {**document, "outputs": {name: node for name, node in document["outputs"].items() if outputs(name)}}


def _bare(document: dict[str, Any]) -> dict[str, Any]:
    nodes = []
    for node in document["nodes"]:
        attrs = {
            k: {"graph": _bare(v["graph"])} if k == "body" else v
            for k, v in node["attrs"].items()
            if k != "init" and not (k in USUAL and v == USUAL[k]) and (node["op"], k, v) != ("input", "dtype", "float")
        }
        said = {"op": node["op"], "operands": node["operands"], "attrs": attrs, "name": node.get("name")}
        nodes.append({key: value for key, value in said.items() if value})
    return {"nodes": nodes, "outputs": document["outputs"]}


def script(name: str) -> str:
    """A file of this folder."""
    return (files(__package__) / name).read_text(encoding="utf-8")


def rows_for(graph: Graph) -> dict[str, str]:
    """JavaScript for the operations of a graph that the interpreter does not have, as their rows say:
    ``elementwise(..., rows={"javascript": "Math.sinh({0})"})``.

    Raises BlocksError naming an operation that has none.
    """
    known, found = known_rows(), {}
    for name in sorted(operations(graph) - known):
        row = OPS[name].rows.get("javascript")
        if row is None:
            raise BlocksError(
                f"the page has no JavaScript for the operation {name!r}; say it where you define it: "
                "elementwise(..., rows={'javascript': 'Math.sinh({0})'})"
            )
        found[name] = row.format("a", "b", "c")
    return found


def operations(graph: Graph) -> set[str]:
    """The names of all operations of a graph, in its loops too."""
    found: set[str] = set()
    pending = [graph]
    while pending:
        for node in pending.pop().order():
            found.add(node.op.name)
            pending += subgraphs(node).values()
    return found


def known_rows() -> set[str]:
    """The operations that the interpreter in JavaScript has a row for, read off its table."""
    table = script("interpret.js").partition("const ROWS = {")[2].partition("\n  };")[0]
    lines = (line for line in table.splitlines() if line.startswith("    ") and not line.startswith("     "))
    return {line.strip().partition(":")[0] for line in lines if ":" in line}
