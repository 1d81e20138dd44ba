"""A figure as a Mermaid flow chart: its shapes in the theme's colours, a subgraph for each frame.

Mermaid lays it out by itself. It has characters that end a label or start a command; names come from users and files,
so all of them are escaped, and identifiers are our own. What is lowered or raised is written in Unicode's own letters.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..scene import Frame, Scene, Shape
from ..text import Line
from ..typeset import unicode_line
from .paint import Area, Painting

_FORMS = {"circle": ("((", "))"), "ring": ("((", "))"), "sum": ("((", "))"), "pill": ("([", "])"), "text": ("[", "]")}
_ARROWS = {"conveyor": "==>", "bus": "==>", "kept": "-.->"}


def mermaid(scene: Scene, painting: Painting) -> str:
    """A Mermaid flow chart of a scene and its painting."""
    shapes = [s for s in scene.shapes if not s.sample]
    wires = [w for w in scene.wires if not w.sample]
    names = {s.key: f"n{i}" for i, s in enumerate(shapes)}
    frames = {frame.key: f"f{i}" for i, frame in enumerate(scene.frames)}
    areas = {area.key: area for area in painting.shapes}
    inside: dict[str, list[str]] = {}
    for s in shapes:
        inside.setdefault(_around(s.x, s.y, scene.frames), []).append(_node(names[s.key], s, areas[s.key]))
    lines = ["flowchart BT", *_framed("", scene.frames, frames, inside, "    ")]
    for wire in wires:
        mark = f'|"{_entity(unicode_line(wire.mark))}"|' if wire.mark else ""
        lines.append(f"    {names[wire.source]} {_ARROWS.get(wire.kind, '-->')}{mark} {names[wire.target]}")
    lines += _styles(shapes, areas)
    lines += [
        f"    style {frames[area.key]} fill:{area.fill},stroke:{area.edge},color:{area.ink or area.edge}"
        for area, _ in painting.frames
    ]
    inks: dict[str, list[str]] = {}
    by_key = {stroke.key: stroke for stroke in painting.strokes}
    for number, wire in enumerate(wires):
        dashes = ",stroke-dasharray:4 3" if wire.dashed else ""
        inks.setdefault(f"stroke:{by_key[wire.key].ink}{dashes}", []).append(str(number))
    lines += [f"    linkStyle {','.join(numbers)} {style}" for style, numbers in inks.items()]
    return "\n".join(lines) + "\n"


def _framed(
    parent: str, frames: Iterable[Frame], names: dict[str, str], inside: dict[str, list[str]], indent: str
) -> list[str]:
    """The nodes in a frame, and the frames in it with theirs; "" is the whole figure."""
    out = [indent + node for node in inside.get(parent, [])]
    for frame in frames:
        others = [f for f in frames if f is not frame and f.w * f.h > frame.w * frame.h]
        if _around(frame.x + frame.w / 2, frame.y + frame.h / 2, others) == parent:
            title = " ".join(map(unicode_line, frame.lines)) or frame.tooltip
            out.append(f'{indent}subgraph {names[frame.key]}["{_entity(title or " ")}"]')
            out += [*_framed(frame.key, frames, names, inside, indent + "    "), f"{indent}end"]
    return out


def _around(x: float, y: float, frames: Iterable[Frame]) -> str:
    """The key of the smallest frame around a point."""
    found = [f for f in frames if f.holds(x, y)]
    return min(found, key=lambda f: f.w * f.h).key if found else ""


def _node(name: str, shape: Shape, area: Area) -> str:
    start, end = _FORMS.get(shape.form, ("[", "]"))
    return f'{name}{start}"{_label(area.lines)}"{end}:::{_class(shape)}'


def _label(lines: Iterable[Line]) -> str:
    return "<br/>".join(_entity(unicode_line(text)) for text in lines) or " "


def _class(shape: Shape) -> str:
    text = "text" if shape.form == "text" else ""
    return f"{shape.kind if shape.lit else 'faded'}{text}"


def _styles(shapes: Iterable[Shape], areas: dict[str, Area]) -> list[str]:
    """A class for each kind of shape, in its colours."""
    found: dict[str, str] = {}
    for shape in shapes:
        area = areas[shape.key]
        pen = "fill:none,stroke:none" if shape.form == "text" else f"fill:{area.fill},stroke:{area.edge}"
        found.setdefault(_class(shape), f"{pen},color:{area.ink or area.edge}")
    return [f"    classDef {name} {style}" for name, style in found.items()]


def _entity(text: str) -> str:
    """Everything but letters, digits and blanks as a numbered entity, which Mermaid shows as text."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in " ," else f"#{ord(c)};" for c in text)
