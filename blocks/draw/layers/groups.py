"""Frames around the cells inside a cell."""

from __future__ import annotations

from dataclasses import replace

from ..diagram.elements import Element
from ..diagram.groups import members
from ..scene import Frame, Scene
from ..text import Line, clip, line
from .gradients import LANE
from .labels import free_place

PAD = 7.0


def framed(scene: Scene, elements: dict[str, Element], kept: bool = False) -> Scene:
    """The scene with a frame round each group that has a rectangle to itself, with its name, if nothing in it has that.
    kept: whether its name is to lie beside
    the ways of values that a gradient needs, too."""
    groups = members(elements)
    beside = scene.moved(-LANE, LANE).wires if kept else ()
    drawn = replace(scene, wires=(*scene.wires, *beside))
    frames: list[Frame] = []
    labels: list[tuple[Line, tuple[float, float]]] = []
    for name, own in groups.items():
        inside = [s for s in scene.shapes if s.key in own and s.kind not in ("state", "next")]
        if len(groups) < 2 or not inside:
            continue
        x0, y0 = min(s.left for s in inside) - PAD, min(s.bottom for s in inside) - PAD
        x1, y1 = max(s.right for s in inside) + PAD, max(s.top for s in inside) + PAD
        others = [s for s in scene.shapes if s.key not in own]
        if any(s.left < x1 and s.right > x0 and s.bottom < y1 and s.top > y0 for s in others):
            continue
        title = line(clip(name.rpartition("/")[2]), 10)
        said = any(title.plain == words.plain for s in inside for words in s.lines)
        at = None if said else free_place(drawn, title, (x0 + 9, y0 + 4, x1 - 9, y1 - 4), labels)
        if at:
            labels.append((title, at))
        frames.append(Frame(f"group-{name}", "group", x0, y0, x1 - x0, y1 - y0, (title,) if at else (), name, at=at))
    return scene.with_frames(frames)
