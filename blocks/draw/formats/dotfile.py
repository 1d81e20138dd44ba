"""A scene as DOT, with every position given: what Graphviz then renders (engine ``nop2``).

Names come from users and files. Identifiers are our own; labels are HTML-like and escaped as XML; tooltips
are quoted strings and escaped as such.
"""

from __future__ import annotations

import html

import graphviz

from ..scene import Frame, Point, Scene, Shape, Wire
from ..text import LINE_HEIGHT, SUBSCRIPT, Line, extent
from ..themes import Theme
from .strokes import shortened, strokes

FONT = "Helvetica,Arial,DejaVu Sans,sans-serif"
ARROW = 6.0
_FORMS = {
    "circle": ("circle", "filled"),
    "ring": ("circle", "filled"),
    "sum": ("circle", "filled"),
    "text": ("none", ""),
    "pill": ("box", "filled,rounded"),
    "box": ("box", "filled,rounded"),
}


def to_dot(scene: Scene, theme: Theme) -> graphviz.Digraph:
    """The scene as a `graphviz.Digraph`."""
    dot = graphviz.Digraph("blocks", engine="neato")
    box = f"0,0,{_n(scene.width)},{_n(scene.height)}"
    dot.attr("graph", bb=box, pad="0", margin="0", bgcolor=theme.background, splines="true", notranslate="true")
    dot.attr("graph", fontname=FONT, outputorder="nodesfirst", id="figure")
    dot.attr("node", fontname=FONT, fixedsize="shape", penwidth="1.1", label="", shape="box", margin="0")
    dot.attr("edge", fontname=FONT, penwidth="1.2", arrowsize="0.6")
    ground, middle = theme.background, (scene.width / 2, scene.height / 2)  # it makes the canvas as large as the scene
    _node(dot, "ground", *middle, scene.width, scene.height, "box", "filled", ground, ground, "ground", scene.title, "")
    for frame in scene.frames:
        _frame(dot, frame, theme)
    for shape in scene.shapes:
        _shape(dot, shape, theme)
    for wire, way in strokes(scene):
        _wire(dot, wire, way, theme)
    for number, d in enumerate(scene.dots):
        colour = theme.wire if d.lit else theme.faded_wire
        _node(dot, f"fork{number}", d.x, d.y, 4.4, 4.4, "circle", "filled", colour, colour, "fork", "a fork", "")
    for number, wire in enumerate(w for w in scene.wires if w.label and w.label_at):
        assert wire.label is not None and wire.label_at is not None
        x, y = wire.label_at
        colour = theme.text if wire.lit else theme.faded[2]
        w, h = wire.label.width + 8, wire.label.size * LINE_HEIGHT + 8
        label = _html((wire.label,), colour)
        _node(dot, f"label{number}", x, y, w, h, "none", "", colour, colour, "shape", wire.tooltip, label)
    return dot


def quoted(text: str) -> str:
    """Text for a quoted attribute: nothing in it is an escape of Graphviz's."""
    return graphviz.escape(text)


def _frame(dot: graphviz.Digraph, frame: Frame, theme: Theme) -> None:
    fill, edge = theme.frames[frame.kind]
    if not frame.lit:
        fill, edge = theme.faded[0], theme.faded[1]
    x, y = frame.x + frame.w / 2, frame.y + frame.h / 2
    _node(dot, frame.key, x, y, frame.w, frame.h, "box", "filled,rounded", fill, edge, "frame", frame.tooltip, "")
    if frame.lines:
        w, h = extent(frame.lines)
        label = _html(frame.lines, theme.text if frame.lit else theme.faded[2])
        key, tip = f"{frame.key}-label", frame.tooltip
        _node(dot, key, *frame.label_at, w + 8, h + 8, "none", "", edge, edge, "caption", tip, label)


def _shape(dot: graphviz.Digraph, shape: Shape, theme: Theme) -> None:
    fill, edge, text = theme.shapes[shape.kind] if shape.lit else theme.faded
    label = _html(shape.lines, text)
    form, style = _FORMS[shape.form]
    classes = " ".join([shape.kind, *(["shared"] if shape.shared else []), *([] if shape.lit else ["faded"])])
    if shape.shared and shape.form == "box":
        style += ",bold"
    _node(dot, shape.key, shape.x, shape.y, shape.w, shape.h, form, style, fill, edge, classes, shape.tooltip, label)


def _node(
    dot: graphviz.Digraph, key: str, x: float, y: float, w: float, h: float, form: str, style: str,
    fill: str, edge: str, classes: str, tooltip: str, label: str,
) -> None:  # fmt: skip
    dot.node(
        key, label, pos=f"{_n(x)},{_n(y)}", width=_n(w / 72), height=_n(h / 72), shape=form, style=style,
        fillcolor=fill, color=edge, id=key, tooltip=quoted(tooltip) or " ", **{"class": classes},
    )  # fmt: skip


def _wire(dot: graphviz.Digraph, wire: Wire, way: list[Point], theme: Theme) -> None:
    base = {"conveyor": theme.conveyor, "gradient": theme.gradient, "wrong": theme.wrong}.get(wire.kind, theme.wire)
    colour = (wire.paint or base) if wire.lit else theme.faded_wire
    width = {"conveyor": "2.2", "bus": "2"}.get(wire.kind, "1.2")
    ends = ""
    if wire.arrow:
        ends, way = f"e,{_at(way[-1])} ", shortened(way, ARROW)
    pos = ends + " ".join(_at(p) for p in way)
    dot.edge(
        wire.source, wire.target, pos=pos, color=colour, penwidth=width, id=f"wire-{wire.key}",
        arrowhead="normal" if wire.arrow else "none", tooltip=quoted(wire.tooltip), edgetooltip=quoted(wire.tooltip),
        style="dashed" if wire.dashed else "solid", **{"class": wire.kind if wire.lit else f"{wire.kind} faded"},
    )  # fmt: skip


def _html(lines: tuple[Line, ...], colour: str) -> str:
    """Some lines as an HTML-like label."""
    if not lines:
        return ""
    out = []
    for text in lines:
        runs = []
        for run in text.runs:
            size = text.size * (SUBSCRIPT if run.sub else 1.0)
            inner = html.escape(run.text, quote=True).replace("\\", "&#92;&#92;")  # one would be an escape of Graphviz
            inner = f"<i>{inner}</i>" if run.italic else inner
            inner = f'<font point-size="{_n(size)}" color="{colour}">{inner}</font>'
            runs.append(f"<sub>{inner}</sub>" if run.sub else inner)
        out.append("".join(runs))
    return "<" + "<br/>".join(out) + ">"


def _at(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    """A number with at most three decimals, the same on every machine."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"
