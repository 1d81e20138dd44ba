"""The way back: a cell's figure with every wire that carries gradient turned round.

The places are those of the forward figure, so that the two can be laid side by side. Where a value forks on
its way forwards, its gradients are added on the way back: a fork becomes a sum. Which wires carry gradient is
asked of `grad.backward`, not guessed.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from ...grad import backward
from ...graph import Graph, Node
from ...notation import is_silent
from ...ops.leaves import make_input
from ..diagram.elements import Diagram
from ..scene import Dot, Point, Scene, Shape, Wire, on_piece, ways_from
from ..text import line

SUM = 9.0


def cotangents(graph: Graph) -> dict[Node, Node]:
    """Node → its gradient, if ``d/<output>`` comes in at each output."""
    targets = {node: name for name, node in graph.outputs.items() if node.dtype == "float"}
    floats = [node for node in graph.order() if node.dtype == "float"]
    seeds = {
        node: make_input(f"d/{name}", node.shape, "float", role="gradient", default="zeros")
        for node, name in targets.items()
    }
    return backward(seeds, floats)[0]


def carried(graph: Graph) -> set[tuple[Node, Node]]:
    """The pairs (value, user of it) between which gradient flows back, if it comes in at all outputs; not to what is
    made of constants and draws alone, which nothing changes."""
    gradients = cotangents(graph)
    found: set[tuple[Node, Node]] = set()
    for node in graph.order():
        made = node.operands and not any(o in gradients for o in node.operands)
        if made or node.op.name in ("constant", "draw"):
            gradients.pop(node, None)
        if node in gradients and node.op.vjp is not None:
            back = node.op.vjp(gradients[node], node, *node.operands)
            found |= {(o, node) for o, g in zip(node.operands, back, strict=True) if g is not None and o in gradients}
    return found | {(node, node) for node in graph.outputs.values() if node.dtype == "float"}


def reversed_scene(diagram: Diagram, scene: Scene) -> Scene:
    """The scene of the gradient, from that of the cell (laid out with room for the sums)."""
    pairs = carried(diagram.graph)
    values = {value for value, _ in pairs}
    users = {value: {u for v, u in pairs if v is value} for value in values}
    flowing: dict[str, bool] = {}
    for target in diagram.elements.values():
        for number, link in enumerate(target.entries):
            reaches = users.get(link.node, set())
            inside = target.kind in ("merge", "next", "output") or bool(reaches & _with_silent(target.nodes, reaches))
            flowing[f"{link.source}-{target.key}-{number}"] = bool(reaches) and inside
    shapes = [replace(s, kind="gradient" if s.kind in ("brick", "operation") else s.kind) for s in scene.shapes]
    shapes = [replace(s, tooltip=f"gradient of {s.tooltip}") for s in shapes]
    wires: list[Wire] = []
    dots: list[Dot] = []
    for net in dict.fromkeys(w.net for w in scene.wires):
        group = [w for w in scene.wires if w.net == net]
        back = [w for w in group if flowing[w.key]]
        wires += [replace(w, lit=False) for w in group if not flowing[w.key]]
        sums = [d for d in scene.dots if d.net == net and len(ways_from((d.x, d.y), back)) > 1]
        dots += [replace(d, lit=False) for d in scene.dots if d.net == net and d not in sums]
        keys: dict[Point, str] = {}
        for d in sums:
            key = f"sum-{net}-{len(keys) + 1}"
            keys[d.x, d.y] = key
            tip = f"the gradients of {net} are added"
            shapes.append(Shape(key, "gradient", "sum", "sum", d.x, d.y, SUM, SUM, (line("+", 8),), tip))
        done: set[tuple[str, str]] = set()
        for w in back:
            for piece in _pieces(w, keys):
                if (piece.source, piece.target) not in done:
                    done.add((piece.source, piece.target))
                    wires.append(piece)
    title = f"{scene.title}: the gradient"
    return replace(scene, shapes=tuple(shapes), wires=tuple(wires), dots=tuple(dots), title=title, description=title)


def _with_silent(nodes: list[Node], reaches: set[Node]) -> set[Node]:
    """The nodes of an element, and those that pass its value on unchanged and are not drawn."""
    return set(nodes) | {u for u in reaches if is_silent(u.op)}


def _pieces(wire: Wire, sums: dict[Point, str]) -> list[Wire]:
    """A wire turned round and cut at the sums on its way."""
    points = list(reversed(wire.points))
    here, source = [points[0]], wire.target
    out: list[Wire] = []

    def finish(target: str, end: Point) -> None:
        way = [*here, end]
        if source in sums.values():
            way[0] = _off(way[0], way[1])
        if target in sums.values():
            way[-1] = _off(way[-1], way[-2])
        hops = tuple(h for h in wire.hops if any(on_piece(h, a, b) for a, b in itertools.pairwise(way)))
        out.append(
            replace(
                wire, key=f"{source}-{target}-{wire.key}", kind="gradient", source=source, target=target,
                net=f"{source}-{wire.net}", points=tuple(way), hops=hops, arrow=True,
                tooltip=f"gradient of {wire.tooltip}", mark=None if out else wire.mark,
            )
        )  # fmt: skip

    for a, b in itertools.pairwise(points):
        between = sorted((p for p in sums if on_piece(p, a, b)), key=lambda p: abs(p[0] - a[0]) + abs(p[1] - a[1]))
        for p in between:
            if p == here[0]:
                continue
            finish(sums[p], p)
            here, source = [p], sums[p]
        if b != here[-1]:
            here.append(b)
    end = here.pop()
    finish(wire.source, end)
    return out


def _off(point: Point, toward: Point) -> Point:
    """The border of a sum, in the direction of the next point."""
    dx, dy = toward[0] - point[0], toward[1] - point[1]
    if dx:
        return (point[0] + SUM / 2 * (1 if dx > 0 else -1), point[1])
    return (point[0], point[1] + SUM / 2 * (1 if dy > 0 else -1))
