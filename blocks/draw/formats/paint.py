"""How a scene is painted: each thing with its colours and its pen, settled once for every format.

A format writes down what stands here, each in its own language, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..scene import Frame, Note, Point, Scene, Shape, Wire, ways_from
from ..text import LINE_HEIGHT, Line, extent
from ..themes import Theme, shade
from .strokes import shortened, strokes

LINE, FORK = 1.2, 4.4  # the width of a wire, the size of a fork
EDGE, BOLD = 1.1, 2.0  # widths of the lines around shapes
ARROW, SLIM, WIDE = 6.0, 2.2, 3.2  # an arrowhead's length, and half its width on a thin and on a thick line
ROUND = {"frame": 10.0, "box": 7.0, "pill": 11.0}  # radii of corners
_WIDTHS = {"conveyor": 2.2, "bus": 2.0, "kept": 0.7}
ROOM = 8.0  # around words that stand alone


@dataclass(frozen=True)
class Area:
    """A filled form: of a shape with its label, of a frame, of a fork of a net. x and y are its centre."""

    key: str
    form: str
    x: float
    y: float
    w: float
    h: float
    fill: str
    edge: str
    classes: str
    tooltip: str
    lines: tuple[Line, ...] = ()
    ink: str = ""
    bold: bool = False
    net: str = ""
    name: str = ""


@dataclass(frozen=True)
class Words:
    """Lines of text that stand alone, at a wire of a net, or beside the figure: then they begin at one place below each
    other, and belong to the area `owner`. x and y are their centre."""

    key: str
    lines: tuple[Line, ...]
    x: float
    y: float
    w: float
    h: float
    ink: str
    classes: str
    tooltip: str
    net: str = ""
    owner: str = ""

    @property
    def left(self) -> float:
        """Where they begin."""
        return self.x - self.w / 2


@dataclass(frozen=True)
class Stroke:
    """A line of the pen: a start, then two handles and an end for each piece."""

    key: str
    source: str
    target: str
    way: list[Point]
    ink: str
    width: float
    classes: str
    tooltip: str
    arrow: bool
    dashed: bool
    lit: bool
    net: str

    @property
    def slim(self) -> bool:
        """Whether it is a thin line."""
        return self.width <= LINE

    @property
    def body(self) -> list[Point]:
        """Its way without the arrowhead."""
        return shortened(self.way, ARROW) if self.arrow else self.way

    @property
    def head(self) -> tuple[Point, Point, Point]:
        """The corners of its arrowhead, the tip first."""
        tip, foot = self.way[-1], self.body[-1]
        dx, dy = tip[0] - foot[0], tip[1] - foot[1]
        half = (SLIM if self.slim else WIDE) / (math.hypot(dx, dy) or 1.0)
        return tip, (foot[0] - dy * half, foot[1] + dx * half), (foot[0] + dy * half, foot[1] - dx * half)


@dataclass(frozen=True)
class Painting:
    """Everything that is painted. Frames lie behind, each with its caption; labels of wires lie in front. Notes stand
    beside it."""

    title: str
    width: float
    height: float
    ground: str
    frames: list[tuple[Area, Words | None]]
    strokes: list[Stroke]
    forks: list[Area]
    shapes: list[Area]
    labels: list[Words]
    notes: list[Words]


def words_of(painting: Painting) -> Iterator[Line]:
    """All lines of text in a painting."""
    for words in (*(caption for _, caption in painting.frames if caption), *painting.labels, *painting.notes):
        yield from words.lines
    for area in painting.shapes:
        yield from area.lines


def paint(scene: Scene, theme: Theme) -> Painting:
    """A scene in the colours of a theme."""
    forks = []
    shining = [wire for wire in scene.wires if wire.lit]
    for number, d in enumerate(scene.dots):
        if not d.lit and ways_from((d.x, d.y), [wire for wire in shining if wire.net == d.net]):
            continue  # it would lie on a wire that is not faded
        ink = theme.wire if d.lit else theme.faded_wire
        forks.append(Area(f"fork{number}", "circle", d.x, d.y, FORK, FORK, ink, ink, "fork", "a fork", net=d.net))
    labelled = [(wire, wire.label, wire.label_at) for wire in scene.wires if wire.label and wire.label_at]
    labelled += [(wire, wire.mark, wire.mark_at) for wire in scene.wires if wire.mark and wire.mark_at]
    return Painting(
        scene.title,
        scene.width,
        scene.height,
        theme.background,
        [_frame(frame, theme) for frame in scene.frames],
        [_stroke(wire, way, theme) for wire, way in strokes(scene)],
        forks,
        [_shape(shape, theme) for shape in scene.shapes],
        [_label(f"label{i}", wire, label, at, theme) for i, (wire, label, at) in enumerate(labelled)],
        [_note(note, theme) for note in scene.notes],
    )


def _note(note: Note, theme: Theme) -> Words:
    w, text = note.line.width, (note.line,)
    return Words(note.key, text, note.x + w / 2, note.y, w, extent(text)[1], theme.text, "note", "", owner=note.owner)


def _frame(frame: Frame, theme: Theme) -> tuple[Area, Words | None]:
    fill, edge = theme.frames[frame.kind] if frame.lit else theme.faded[:2]
    x, y = frame.x + frame.w / 2, frame.y + frame.h / 2
    classes = f"frame {frame.kind}" + " faded" * (not frame.lit)
    area = Area(frame.key, "frame", x, y, frame.w, frame.h, fill, edge, classes, frame.tooltip, name=frame.key)
    if not frame.lines:
        return area, None
    w, h = extent(frame.lines)
    key = f"{frame.key}-label"
    return area, Words(key, frame.lines, *frame.label_at, w + ROOM, h + ROOM, theme.text, "caption", frame.tooltip)


def _shape(shape: Shape, theme: Theme) -> Area:
    fill, edge, ink = (
        (shade(shape.paint, theme),) * 3 if shape.paint else theme.shapes[shape.kind] if shape.lit else theme.faded
    )
    classes = " ".join([shape.kind, *(["shared"] if shape.shared else []), *([] if shape.lit else ["faded"])])
    bold = shape.shared and shape.form == "box"
    return Area(
        shape.key, shape.form, shape.x, shape.y, shape.w, shape.h, fill, edge, classes, shape.tooltip,
        shape.lines, ink, bold, name=shape.name,
    )  # fmt: skip


def _stroke(wire: Wire, way: list[Point], theme: Theme) -> Stroke:
    inks = {"conveyor": theme.conveyor, "gradient": theme.gradient, "wrong": theme.wrong, "kept": theme.values[1]}
    base = inks.get(wire.kind, theme.wire)
    ink = (shade(wire.paint, theme) if wire.paint else base) if wire.lit else theme.faded_wire
    classes = wire.kind if wire.lit else f"{wire.kind} faded"
    width = _WIDTHS.get(wire.kind, LINE)
    return Stroke(
        wire.key, wire.source, wire.target, way, ink, width, classes, wire.tooltip, wire.arrow, wire.dashed, wire.lit,
        wire.net,
    )  # fmt: skip


def _label(key: str, wire: Wire, label: Line, at: Point, theme: Theme) -> Words:
    ink = theme.text if wire.lit else theme.faded[2]
    w, h = label.width + ROOM, label.size * LINE_HEIGHT + ROOM
    return Words(key, (label,), *at, w, h, ink, "label", wire.tooltip, wire.net)
