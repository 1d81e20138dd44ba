"""Several scenes in one figure, beside each other or one below the other, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ..scene import Scene, Shape, fit
from ..text import extent, line

BESIDE, BELOW, CAPTION = 12.0, 26.0, 12.0  # from one to the next; the size of the words over them


def panels(scenes: Sequence[Scene], captions: Sequence[str] = (), title: str = "", below: bool = False) -> Scene:
    """One scene of several, from left to right (or from above downwards, with `below`), each in the middle; captions
    stand over them."""
    placed: list[Scene] = []
    captioned: list[Shape] = []
    tallest, widest = max(s.height for s in scenes), max(s.width for s in scenes)
    apart = len(scenes) > 1 or any(s.kind == "caption" for s in scenes[0].shapes)
    start = 0.0
    for number, scene in enumerate(scenes, 1):
        caption = _caption("", captions[number - 1], 0, 0).w if number <= len(captions) else 0.0
        column = max(scene.width, caption)
        dx, dy = (start + (column - scene.width) / 2, (tallest - scene.height) / 2)
        if below:
            dx, dy = (widest - scene.width) / 2, start - scene.height
        placed.append(scene.moved(dx, dy, f"panel{number}-" if apart else ""))
        if number <= len(captions) and captions[number - 1]:
            top = dy + scene.height if below else tallest
            captioned.append(_caption(f"caption{number}", captions[number - 1], dx + scene.width / 2, top))
        room = 2 * CAPTION if below and captions else 0
        start += -(scene.height + BELOW + room) if below else column + BESIDE
    return fit(
        Scene(
            0,
            0,
            (*captioned, *chain.from_iterable(p.shapes for p in placed)),
            tuple(chain.from_iterable(p.wires for p in placed)),
            tuple(chain.from_iterable(p.frames for p in placed)),
            tuple(chain.from_iterable(p.dots for p in placed)),
            title or scenes[0].title,
            ". ".join(p.description or p.title for p in placed),
            tuple(chain.from_iterable(p.notes for p in placed)),
        )
    )


def _caption(key: str, text: str, middle: float, bottom: float) -> Shape:
    lines = (line(text, CAPTION),)
    w, h = extent(lines)
    return Shape(key, "caption", "text", text, middle, bottom + h / 2 + 2, w + 6, h + 2, lines)
