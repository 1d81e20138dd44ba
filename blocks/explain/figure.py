"""The figure of a page: the cell of a loop, drawn from the loop's body, with a free place on each value for its
numbers, and what of it belongs to which line of the script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import Any
from urllib.parse import quote

from ..draw.figure import Figure
from ..draw.scene import Scene, Shape, Wire
from ..draw.themes import THEMES
from ..draw.views import with_places
from ..errors import BlocksError
from ..graph import Graph, Node, rebuild, stamped, topological
from ..notation import is_silent
from ..ops.leaves import make_parameter
from ..ops.loop import NEXT, loop_op
from ..trace.script import Script

OPEN_STEPS = 6  # side by side; of more, one is shown, at the cursor
FEW, SOME = 4, 16  # numbers of a value that are written, or shown by a bar each
DIGITS, BAR, HIGH, ALONE = 22.0, 7.0, 12.0, 38.0  # widths of a number, of a bar; the height; the width of a norm
PLACES = ("brick", "operation", "input", "state", "parameter", "constant", "output", "next")  # where a value is marked
BELOW = 12.0  # between the label of a first state and its numbers: there a ring goes
_STATE = re.compile(r"^(before-|state)")
_STEP = re.compile(r"^step(\d+)-")


def loops_of(graph: Graph) -> list[Node]:
    """The loops of a graph, in order."""
    return [node for node in graph.order() if node.op is loop_op]


def cell_graph(loop: Node) -> tuple[Graph, dict[Node, Node]]:
    """The step of a loop as the graph of a cell, with its weights; and node of the body → node of it."""
    body: Graph = loop.attrs["body"]
    new: dict[Node, Node] = {}
    for node in body.order():
        if node.op.name == "input" and node.role == "parameter":
            with stamped(brick=node.brick):
                new[node] = make_parameter(str(node.name), node.shape, "zeros")
        else:
            new[node] = rebuild(node, tuple(new[o] for o in node.operands)) if node.operands else node
    shown = {n: o for n, o in body.outputs.items() if n.startswith(NEXT) or (o.role != "loss" and o.shape)}
    return Graph({name: new[node] for name, node in shown.items()}), new


def figure_document(script: Script, loop: Node, steps: int) -> tuple[str, dict[str, Any]]:
    """A figure for the page as SVG; and what belongs to it: `chips`, the places of values, each with the lines whose
    numbers stand there; `parts`, the line → the identifiers of the shapes that are marked at it; `reads`, the same
    where the value leaves the cell; `start`, the shapes of what is given. Where the steps are too many to stand side by
    side, or run backwards, there is one, and what belongs to a line is said for each step.

    Raises BlocksError for a loop whose step is not drawn as a cell.
    """
    side_by_side = steps <= OPEN_STEPS and not loop.attrs["reverse"]
    graph, copies = cell_graph(loop)
    named = {graph.name_of(copy): node for node, copy in copies.items() if copy in graph.nodes.values()}
    lines = _Lines(script, loop.attrs["body"], named)
    try:
        scene, where = with_places(
            graph, steps if side_by_side else None, lambda w: None if _STATE.match(w.source) else _size(w, named)
        )
    except BlocksError as error:
        raise BlocksError(f"the page has no figure for this cell: {error}") from None
    text = Figure(replace(scene, title="cell"), THEMES["classic"])._repr_svg_()
    prefix = text.partition('id="')[2].partition('"')[0]
    chips = []
    ends = {s.key: s for s in scene.shapes if s.kind == "state"}
    first = {w.source: w.key for w in reversed(scene.wires) if w.source in ends}  # below their labels
    where |= {key: (ends[source].x, ends[source].bottom - HIGH / 2 - BELOW) for source, key in first.items()}
    for wire in scene.wires:
        size = _size(wire, named)
        if wire.key in where and size:
            x, y = where[wire.key]
            at = {t: lines.at(t, wire.holds) for t in ([wire.step] if side_by_side else range(1, steps + 1))}
            chips.append({"x": x, "y": scene.height - y, "w": size[0], "h": size[1], "lines": _known(at)})
    shapes = _shapes(scene, lines, side_by_side, steps)
    return text, {
        "chips": chips,
        "parts": {line: _marks(found, PLACES) for line, found in shapes.items()},
        "reads": {line: _marks(found, ("output", *PLACES)) for line, found in shapes.items()},
        "start": [_id(s) for s in scene.shapes if s.kind in ("input", "state")],
        "all": side_by_side,
        "prefix": prefix,
    }


def _known(at: Mapping[int, int | None]) -> dict[int, int]:
    return {t: line for t, line in at.items() if line is not None}


def _shapes(scene: Scene, lines: _Lines, all: bool, steps: int) -> dict[int, list[Shape]]:
    """Line → the shapes that stand for it."""
    found: dict[int, list[Shape]] = {}
    for shape in (s for s in scene.shapes if s.kind in PLACES):
        match = _STEP.match(shape.key)
        own = int(match[1]) if match else steps if shape.kind == "next" else 1
        for t in [own] if all else range(1, steps + 1):
            for name in shape.nodes:
                line = lines.at(t, (name,))
                if line is not None and shape not in found.setdefault(line, []):
                    found[line].append(shape)
    return found


def _id(shape: Shape) -> str:
    """The identifier of a shape, without the figure's prefix."""
    return quote(shape.key, safe="-_.~")


def _marks(shapes: Iterable[Shape], kinds: tuple[str, ...]) -> list[str]:
    """The identifiers of those of the first kind that there is: where a value is made rather than where it ends."""
    shapes = list(shapes)
    best = min(kinds.index(s.kind) for s in shapes)
    return [_id(s) for s in shapes if kinds.index(s.kind) == best]


def mark_the_rest(script: Script, figures: list[dict[str, Any]]) -> None:
    """Give each line that no figure has a shape of the marks of what its value is made from, at the place where that
    leaves the cell: of a loss, the outputs that it reads. Where that has none, as the weights outside of a loop, those
    of what is made from it."""
    order = topological(script.written.outputs.values())
    number = {line.node: i for i, line in enumerate(script.lines) if line.phase in ("given", "forward", "loss")}
    drawn = {node for node, i in number.items() if any(i in f["parts"] for f in figures)}
    marks: dict[Node, list[tuple[int, str]]] = {
        node: [(k, mark) for k, f in enumerate(figures) for mark in f["reads"].get(number.get(node), ())]
        for node in order
    }
    users: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for o in node.operands:
            users[o].append(node)
        marks[node] = marks[node] or _several(marks[o] for o in reversed(node.operands))  # the last step first
    for node in reversed(order):
        marks[node] = marks[node] or _several(marks[user] for user in users[node])
    for f in figures:
        del f["reads"]
    for node in number.keys() - drawn:
        for k, mark in marks[node]:
            figures[k]["parts"].setdefault(number[node], []).append(mark)


def _several(marks: Iterable[list[tuple[int, str]]]) -> list[tuple[int, str]]:
    return list(dict.fromkeys(mark for some in marks for mark in some))


class _Lines:
    """The lines of a script by step and by the names of the nodes that a figure knows."""

    def __init__(self, script: Script, body: Graph, named: Mapping[str, Node]):
        self.script, self.body, self.named = script, body, named
        first = [line for line in script.lines if line.phase not in ("backward", "update")]
        self.number = {line.node: i for i, line in enumerate(first)}

    def at(self, t: int, names: Iterable[str]) -> int | None:
        """The number of the line of what a wire holds at a step, if it is one value that has a line."""
        (name, *others) = [*names, ""][:2]
        node = self.script.written.copies.get((self.body, (t,)), {}).get(self.named.get(name))  # type: ignore[arg-type]
        if node is None or any(others):
            return None
        while node not in self.number and is_silent(node.op) and node.operands:
            node = node.operands[0]
        return self.number.get(node)


def _size(wire: Wire, named: Mapping[str, Node]) -> tuple[float, float] | None:
    """The room that the numbers of a wire need."""
    if len(wire.holds) != 1 or wire.holds[0] not in named:
        return None
    shape = named[wire.holds[0]].shape
    n = prod(d for d in shape if isinstance(d, int))
    return (DIGITS * n, HIGH) if n <= FEW else (BAR * n, HIGH) if n <= SOME else (ALONE, HIGH)
