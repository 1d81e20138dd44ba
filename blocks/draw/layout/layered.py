"""The layout of any graph: layers from below upwards, made by Graphviz, with a frame around each loop.

Sizes are our own, from `text`, and places are read back, so a scene comes out as for a cell.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import graphviz

from ...errors import BlocksError
from ...graph import show_shape
from ..diagram.elements import Box, Element, Link, Network
from ..scene import Frame, Point, Scene, Shape, Wire, fit
from ..text import clip, extent, line

MARK = 9.0  # the size of what stands at an entry


def layered(diagram: Network, shapes: bool = False, title: str = "", description: str = "") -> Scene:
    """The scene of a diagram in layers. shapes: leave room for the shape on each wire, and write it there."""
    drawn = {key: _shape(element) for key, element in diagram.elements.items()}
    links = [item for item in diagram.met if isinstance(item, tuple)]
    wires = [_wire(element, link, shapes) for element, link in links]
    laid = _laid_out(diagram, drawn, {(w.source, w.target): w for w in wires})
    placed = []
    for shape in drawn.values():
        x, y = _point(laid.get_node(shape.key).attr["pos"])
        placed.append(replace(shape, x=x, y=y))
    ways = []
    for wire in wires:
        attr = laid.get_edge(wire.source, wire.target).attr
        end, curve = _spline(attr["pos"])
        at = _point(attr["lp"]) if wire.label and attr["lp"] else None
        wire = replace(wire, points=(curve[0], end), curve=(*curve[:-1], end), label_at=at)
        middle = float(_point(laid.get_node(wire.target).attr["pos"])[0])
        ways.append(replace(wire, mark_at=_beside(wire, middle) if wire.mark else None))
    frames = []
    for box in diagram.frames:
        x0, y0, x1, y1 = map(float, _frame_box(laid, box.key))
        text = line(clip(box.text, 60), 9)
        frames.append(Frame(box.key, "group", x0, y0, max(x1 - x0, text.width + 20), y1 - y0, (text,), box.text))
    return fit(Scene(0, 0, tuple(placed), tuple(ways), tuple(frames), (), title, description or title))


def _shape(element: Element) -> Shape:
    w, h = extent(element.lines)
    size = {"circle": (24.0, 24.0), "text": (w + 8, h + 4), "pill": (w + 16, 22.0)}.get(
        element.form, (w + 16, h + 10) if element.kind == "wrong" else (max(w + 16, 46.0), max(h + 8, 24.0))
    )
    nodes = (element.name,) if element.nodes else ()
    return Shape(
        element.key, element.kind, element.form, element.name, 0, 0, *size, element.lines, element.tooltip, nodes
    )  # fmt: skip


def _wire(target: Element, link: Link, shapes: bool) -> Wire:
    node, source = link.node, link.source
    kind = "wrong" if target.kind == "wrong" else "gradient" if node.role == "gradient" else "wire"
    shape = show_shape(node.shape)
    label = line(shape, 8) if shapes or kind == "wrong" else None
    key = f"{source}-{target.key}"
    mark = line(link.mark, MARK) if link.mark else None
    return Wire(key, kind, source, target.key, source, (), label=label, mark=mark, shape=shape, tooltip=node.describe())


def _beside(wire: Wire, middle: float) -> Point:
    """Where the mark of an entry stands: behind the arrowhead, on the side that is away from the shape's middle."""
    assert wire.mark is not None
    (x0, y0), (x1, y1) = wire.curve[-2], wire.curve[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    aside = (wire.mark.width * abs(dy) + MARK * 0.8 * abs(dx)) / 2 + 3
    side = 1 if (dy > 0) == (x1 > middle) else -1
    return x1 - 9 * dx + side * aside * dy, y1 - 9 * dy - side * aside * dx


def _laid_out(diagram: Network, shapes: dict[str, Shape], wires: dict[tuple[str, str], Wire]) -> Any:
    """The diagram as Graphviz lays it out. It places first what it is told first, so that is told in the order
    in which it was met."""
    try:
        import pygraphviz
    except ImportError:
        raise BlocksError(
            "a graph that is not one step of a cell is laid out by Graphviz, which is not installed: "
            "pip install 'blocks[graphviz]'"
        ) from None
    dot = graphviz.Digraph("blocks")
    dot.attr(rankdir="BT", nodesep="0.3", ranksep="0.35", notranslate="true")
    dot.attr("node", fixedsize="true", shape="box", label="")
    dot.attr("edge", arrowsize="0.6")
    parts = {"": dot} | {box.key: graphviz.Digraph(f"cluster_{box.key}") for box in diagram.frames}
    for box in diagram.frames:
        parts[box.key].attr(margin="12", label=_room(8.0, 12.0), labelloc="b")
    for item in diagram.met:
        if isinstance(item, Element):
            shape = shapes[item.key]
            parts[item.frame].node(item.key, width=f"{shape.w / 72:.4f}", height=f"{shape.h / 72:.4f}")
        elif isinstance(item, Box):
            parts[item.parent].subgraph(parts[item.key])
        else:
            wire = wires[item[1].source, item[0].key]
            width = wire.label.width if wire.label else 0.0
            room = {"label": _room(width + 8, 12.0)} if wire.label else {}
            dot.edge(wire.source, wire.target, key=wire.key, **room)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Graphviz's remarks about fonts
        laid = pygraphviz.AGraph(string=dot.source)
        laid.layout(prog="dot")
    return laid


def _room(width: float, height: float) -> str:
    """An empty label of a size: with no text in it, Graphviz looks for no fonts."""
    table = f'<table border="0" fixedsize="true" width="{width:.0f}" height="{height:.0f}"><tr><td></td></tr></table>'
    return f"<{table}>"


def _frame_box(laid: Any, key: str) -> list[str]:
    pending = list(laid.subgraphs())
    while pending:
        part = pending.pop()
        if part.name == f"cluster_{key}":
            return str(part.graph_attr["bb"]).split(",")
        pending += part.subgraphs()
    raise BlocksError(f"the frame {key} was not laid out")


def _point(text: str) -> Point:
    x, y = text.rstrip("!").split(",")[:2]
    return float(x), float(y)


def _spline(text: str) -> tuple[Point, list[Point]]:
    """The end of an edge and its curve, from ``e,x,y x0,y0 x1,y1 …``."""
    parts = text.replace("\\\n", "").split()
    ends = [p for p in parts if p.startswith("e,")]
    curve = [_point(p) for p in parts if p[0] not in "es"]
    return (_point(ends[0][2:]) if ends else curve[-1]), curve
