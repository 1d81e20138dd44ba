"""A loop written out: some of its steps side by side, with what comes in at each and what each gives, on rails that all
of it comes in and leaves on.

    ys ◀━━━━┯━━━━━━┯━━━━━━┯
           y₁     y₂     y₃
    h₀ ──[   ]──[ … ]──[   ]── h₃
           x₁     x₂     x₃
    xs ━━━━━┷━━━━━━┷━━━━━━┷
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..diagram.elements import Box, Diagram, Element
from ..layers.labels import free_place
from ..layers.unrolled import unrolled
from ..scene import Scene, Wire, corners
from ..text import clip
from ..typeset import name_line
from .chains import PIN
from .loops import name_of, pin_at, pins_of

RAIL = 10.0  # from rail to rail


@dataclass(frozen=True)
class Steps:
    """How many steps are written out, and which of them are open, as for `unrolled`."""

    number: int
    zoom: int | str | None = None
    full: bool = False

    def times(self, box: Box, step: int) -> tuple[str, str]:
        """What stands below the values of the step that is done so many-th, and of the one before."""
        if box.node.attrs["reverse"]:
            return str(self.number + 1 - step), str(self.number + 2 - step)
        return str(step), str(step - 1)


def written_out(scene: Scene, diagram: Diagram, box: Box, steps: Steps) -> tuple[Scene, dict[str, Element]]:
    """The scene of the steps of a loop, from that of one, and its elements by the keys of their shapes. Pins stand in
    the places of its inputs and outputs, one for all steps."""
    name = clip(name_of(box), 20) or "cell"
    joined = unrolled(diagram, scene, steps.number, steps.zoom, steps.full, name, lambda step: steps.times(box, step))
    base = {s.key: s.key.partition("-")[2] for s in joined.shapes}
    elements = {key: diagram.elements[own] for key, own in base.items() if own in diagram.elements}
    joined = _called(joined, box)
    return _railed(joined, base, pins_of(scene, box, diagram.elements)), elements


def _called(scene: Scene, box: Box) -> Scene:
    """The scene with the name of its cell in the first open step."""
    name = name_of(box)
    if not name or not scene.frames:
        return scene
    frame, text = scene.frames[0], name_line(clip(name, 30), 10)
    at = free_place(scene, text, (frame.x + 8, frame.y + 4, frame.x + frame.w - 8, frame.y + frame.h - 4))
    return replace(scene, frames=(replace(frame, lines=(text,) if at else (), at=at), *scene.frames[1:]))


def _railed(scene: Scene, base: Mapping[str, str], pins: Mapping[str, str]) -> Scene:
    """The scene with a rail for each input and each output."""
    shapes, wires = list(scene.shapes), list(scene.wires)
    low, high = min(s.bottom for s in shapes), max(s.top for s in shapes)
    count: dict[str, int] = {"input": 0, "output": 0}
    for own, pin in pins.items():
        ends = sorted((s for s in scene.shapes if base[s.key] == own), key=lambda s: s.x)
        middle, coming = ends[len(ends) // 2].x, ends[0].kind == "input"
        count[ends[0].kind] += 1
        level = low - RAIL * count["input"] if coming else high + RAIL * count["output"]
        key = f"{PIN}{pin}"
        shapes.append(pin_at(pin, middle, 0.0 if coming else level + RAIL))
        for s in ends:
            if coming:
                way = ((middle, 0.0), (middle, level), (s.x, level), (s.x, s.bottom))
                wires.append(Wire(f"rail-{s.key}", "wire", key, s.key, key, corners(way)))
            else:
                way = ((s.x, s.top), (s.x, level), (middle, level), (middle, level + RAIL))
                wires.append(Wire(f"rail-{s.key}", "wire", s.key, key, key, corners(way), arrow=False))
    return replace(scene, shapes=tuple(shapes), wires=tuple(wires))
