"""Files: a graph as JSON, and how a file is written whole.

What is read is not trusted. A graph is rebuilt node by node through the same checks that a user's wiring
goes through; operations are looked up in the table and nowhere else; nothing is evaluated or imported;
and a graph whose values would not fit into memory is refused before anything is computed.
"""

from __future__ import annotations

import glob
import json
import math
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from .arguments import checked
from .errors import BlocksError
from .graph import FED, OPS, Graph, Node, Stamp, apply, check_graph
from .ops.elementwise import already_aligned
from .ops.leaves import GIVEN, check_name

VERSION = 1  # of both formats, graphs and models; a file of a newer version is refused
MAX_DEPTH = 16  # loops in loops
MAX_NUMBERS = 2**27  # features of all nodes of a graph from a file, together: 1 GiB
ARRAYS = tuple(dict.fromkeys(np.dtype(c).name for c in "?bhilqBHILQefd"))  # what a constant may be an array of
FORMAT = "blocks-graph"


class ModelFileError(BlocksError):
    """A file that is no model, or broken, or too new, or hostile."""


@checked
def to_json(graph: Graph) -> str:
    """A graph as JSON text, first weights' recipes included, weights themselves not; see `from_json`.

    Raises BlocksError for what is no graph.
    """
    check_graph(graph, "to_json")
    return json.dumps({"format": FORMAT, "version": VERSION, **_encode_graph(graph)})


def _encode_graph(graph: Graph) -> dict[str, Any]:
    number = {node: i for i, node in enumerate(graph.order())}
    nodes = []
    for node in graph.order():
        entry: dict[str, Any] = {"op": node.op.name, "operands": [number[o] for o in node.operands]}
        entry["attrs"] = {k: _encode(v) for k, v in node.attrs.items()}
        labels = {"name": node.name, "brick": node.brick, "role": node.role, "step": node.step}
        nodes.append(entry | {k: v for k, v in labels.items() if v not in (None, "operation")})
    return {"nodes": nodes, "outputs": {name: number[node] for name, node in graph.outputs.items()}}


def _encode(value: Any) -> Any:
    if isinstance(value, Graph):
        return {"graph": _encode_graph(value)}
    if isinstance(value, np.ndarray):
        return {"array": {"dtype": str(value.dtype), "shape": value.shape, "data": value.ravel().tolist()}}
    if isinstance(value, tuple):
        return [_encode(v) for v in value]
    if callable(value):  # what makes first weights: no code goes into a file
        return GIVEN
    return value


@checked
def from_json(text: str) -> Graph:
    """The graph that `to_json` wrote.

    Raises ModelFileError, naming the node, for anything else: text that is no JSON or no graph, a newer
    version, an unknown operation, operands that do not fit, or sizes beyond all memory.
    """
    return graph_from(parse(text), FORMAT)


def parse(text: str) -> dict[str, Any]:
    """A JSON object. Raises ModelFileError for any other text."""
    if not isinstance(text, str | bytes):
        raise ModelFileError(f"this is no JSON text: it is a {type(text).__name__}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"this is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ModelFileError("this is no graph: a graph is a JSON object")
    return document


def graph_from(document: Any, expected: str) -> Graph:
    """The graph that a document holds; see `from_json`."""
    check_version(document, expected)
    budget = [MAX_NUMBERS]
    return _decode_graph(document, 0, budget).verify()


def check_version(document: Any, expected: str) -> None:
    """Raises ModelFileError unless the document says that it is of this format, and not a newer one."""
    if not isinstance(document, dict) or document.get("format") != expected:
        raise ModelFileError(f"this is no {expected} document")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFileError(f"its version is {version!r:.40}, which is no version")
    if version > VERSION:
        raise ModelFileError(f"it is of version {version}; this blocks reads up to {VERSION}: install a newer one")


def _decode_graph(document: Any, depth: int, budget: list[int]) -> Graph:
    if depth > MAX_DEPTH:
        raise ModelFileError(f"loops are nested more than {MAX_DEPTH} deep")
    if not isinstance(document, dict):
        raise ModelFileError("a graph is a JSON object")
    entries, outputs = document.get("nodes"), document.get("outputs")
    if not isinstance(entries, list) or not isinstance(outputs, dict):
        raise ModelFileError("a graph has a list of nodes and an object of outputs")
    nodes: list[Node] = []
    for i, entry in enumerate(entries):
        label = f"node {i}"
        try:
            label = f"node {i} ({entry['op']!s:.60})"
            nodes.append(_decode_node(entry, nodes, depth, budget))
        except ModelFileError as error:
            raise ModelFileError(f"{label}: {error}") from None
        except Exception as error:  # whatever a crafted attribute made an operation do
            raise ModelFileError(f"{label}: {type(error).__name__}: {error!s:.300}") from None
    try:
        return Graph({str(name): nodes[_index(k, len(nodes))] for name, k in outputs.items()})
    except BlocksError as error:
        raise ModelFileError(str(error)) from None


def _index(value: Any, count: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise ModelFileError(f"it refers to node {value!r:.40}, which does not stand before it")
    return value


def _decode_node(entry: Any, nodes: list[Node], depth: int, budget: list[int]) -> Node:
    op = OPS.get(entry["op"]) if isinstance(entry["op"], str) else None
    if op is None:
        raise ModelFileError("there is no such operation in this version of blocks")
    operands = [nodes[_index(k, len(nodes))] for k in entry.get("operands", [])]
    attrs = {str(k): _decode(v, depth, budget) for k, v in entry.get("attrs", {}).items()}
    labels = {k: entry.get(k) for k in ("name", "brick", "role")}
    for key, value in labels.items():
        if value is not None:
            check_name(value, f"its {key}")
    step = entry.get("step")
    if step is not None and (not isinstance(step, int) or isinstance(step, bool)):
        raise ModelFileError(f"its step is {step!r:.40}")
    if op.name in FED and labels["name"] is None:
        raise ModelFileError("it has no name")
    with already_aligned():
        node = apply(op, *operands, **attrs)
    if node.op is not op:
        raise ModelFileError("its operands do not fit")
    budget[0] -= math.prod(d for d in node.shape if isinstance(d, int))
    if budget[0] < 0:
        raise ModelFileError(f"the graph holds more than {MAX_NUMBERS} numbers, more than a model needs")
    stamp = Stamp(labels["name"], labels["brick"], labels["role"] or "operation", step)
    return Node(op, node.operands, node.attrs, stamp)


def _decode(value: Any, depth: int, budget: list[int]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v, depth, budget) for v in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"graph"}:
        return _decode_graph(value["graph"], depth + 1, budget)
    if set(value) == {"array"}:
        spec = value["array"]
        if spec["dtype"] not in ARRAYS:
            raise ModelFileError(f"an array of {spec['dtype']!r:.40} is not known; known are {', '.join(ARRAYS)}")
        array = np.array(spec["data"], dtype=spec["dtype"])
        shape = tuple(spec["shape"])
        if array.ndim != 1 or math.prod(shape) != array.size or any(n < 0 for n in shape):
            raise ModelFileError(f"an array of shape {shape!r:.60} does not have {array.size} numbers")
        return array.reshape(shape)
    raise ModelFileError("an attribute is neither a number, a text, a list, an array nor a graph")


# --- writing ---------------------------------------------------------------------------------------


def partial_name(path: Path) -> Path:
    """Where a file is written before it is whole: a name of its own for every writer."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that at every moment, even in a crash, its old or its new content stands there whole.

    Several writers may write one name: each file is whole, and the last one stays. What writers that were
    killed left behind is cleared away.
    """
    path = Path(path)
    if not path.name:
        raise ModelFileError(f"{os.fspath(path)!r}: this is a folder; give the name of a file")
    partial = partial_name(path)
    try:
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _clear_partials(path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _clear_partials(path: Path) -> None:
    """Remove what writers of a file that no longer live left behind."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        process = left.name[len(path.name) + 2 :].split("-")[0]
        if process.isdecimal() and not _lives(int(process)):
            left.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
