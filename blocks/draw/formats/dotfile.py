"""A painting as DOT, with every position given, which Graphviz's ``nop2`` keeps; the file asks for it itself.

Names come from users and files. Identifiers are our own; labels are HTML-like and escaped as XML; tooltips
are quoted strings and escaped as such.
"""

from __future__ import annotations

import html

import graphviz

from ..scene import Point
from ..text import Line
from .paint import LINE, Area, Painting, Stroke, Words

FONT = "Helvetica,Arial,DejaVu Sans,sans-serif"
_FORMS = {
    "circle": ("circle", "filled"),
    "ring": ("circle", "filled"),
    "sum": ("circle", "filled"),
    "text": ("none", ""),
    "pill": ("box", "filled,rounded"),
    "box": ("box", "filled,rounded"),
    "frame": ("box", "filled,rounded"),
    "ground": ("box", "filled"),
    "cell": ("box", "filled"),
}


def to_dot(painting: Painting) -> graphviz.Digraph:
    """The painting as a `graphviz.Digraph`."""
    dot = graphviz.Digraph("blocks", engine="neato")
    width, height, ground = painting.width, painting.height, painting.ground
    box = f"0,0,{_n(width)},{_n(height)}"
    dot.attr("graph", layout="nop2", bb=box, pad="0", margin="0", bgcolor=ground, splines="true", notranslate="true")
    dot.attr("graph", fontname=FONT, outputorder="nodesfirst", id="figure")
    dot.attr("node", fontname=FONT, fixedsize="shape", penwidth="1.1", label="", shape="box", margin="0")
    dot.attr("edge", fontname=FONT, penwidth=_n(LINE), arrowsize="0.6")
    middle = (width / 2, height / 2)  # the ground makes the canvas as large as the scene
    _area(dot, Area("ground", "ground", *middle, width, height, ground, ground, "ground", painting.title))
    for area, caption in painting.frames:
        _area(dot, area)
        if caption:
            _words(dot, caption, area.edge)
    for area in painting.shapes:
        _area(dot, area)
    for stroke in painting.strokes:
        _stroke(dot, stroke)
    for area in painting.forks:
        _area(dot, area)
    for words in (*painting.labels, *painting.notes):
        _words(dot, words, words.ink)
    return dot


def quoted(text: str) -> str:
    """Text for a quoted attribute: nothing in it is an escape of Graphviz's."""
    return graphviz.escape(text)


def _area(dot: graphviz.Digraph, area: Area) -> None:
    form, style = _FORMS[area.form]
    _node(dot, area, form, style + ",bold" * area.bold, area.fill, area.edge, _html(area.lines, area.ink))


def _words(dot: graphviz.Digraph, words: Words, colour: str) -> None:
    _node(dot, words, "none", "", colour, colour, _html(words.lines, words.ink))


def _node(
    dot: graphviz.Digraph, what: Area | Words, form: str, style: str, fill: str, edge: str, label: str
) -> None:  # fmt: skip
    dot.node(
        what.key, label, pos=_at((what.x, what.y)), width=_n(what.w / 72), height=_n(what.h / 72), shape=form,
        style=style, fillcolor=fill, color=edge, id=what.key, tooltip=quoted(what.tooltip) or " ",
        **{"class": what.classes},
    )  # fmt: skip


def _stroke(dot: graphviz.Digraph, stroke: Stroke) -> None:
    ends = f"e,{_at(stroke.way[-1])} " if stroke.arrow else ""
    tooltip = quoted(stroke.tooltip)
    dot.edge(
        stroke.source, stroke.target, pos=ends + " ".join(_at(p) for p in stroke.body), color=stroke.ink,
        penwidth=_n(stroke.width), id=f"wire-{stroke.key}", arrowhead="normal" if stroke.arrow else "none",
        tooltip=tooltip, edgetooltip=tooltip, style="dashed" if stroke.dashed else "solid",
        **{"class": stroke.classes},
    )  # fmt: skip


def _html(lines: tuple[Line, ...], colour: str) -> str:
    """Some lines as an HTML-like label."""
    if not lines:
        return ""
    out = []
    for text in lines:
        runs = []
        for run in text.runs:
            size = text.size_of(run)
            inner = html.escape(run.text, quote=True).replace("\\", "&#92;&#92;")  # one would be an escape of Graphviz
            inner = f"<i>{inner}</i>" if run.italic else f"<b>{inner}</b>" if run.bold else inner
            inner = f'<font point-size="{_n(size)}" color="{colour}">{inner}</font>'
            runs.append(f"<sub>{inner}</sub>" if run.sub else f"<sup>{inner}</sup>" if run.sup else inner)
        out.append("".join(runs))
    return "<" + "<br/>".join(out) + ">"


def _at(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    """A number with at most three decimals, the same on every machine."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"
