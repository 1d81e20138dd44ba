"""Several scenes in one figure, beside each other or one below the other, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence

from ..scene import Scene, Shape, fit
from ..text import extent, line

APART, CAPTION = 26.0, 12.0


def panels(scenes: Sequence[Scene], captions: Sequence[str] = (), title: str = "", below: bool = False) -> Scene:
    """One scene of several, from left to right (or from above downwards, with `below`); captions stand over
    them."""
    placed: list[Scene] = []
    captioned: list[Shape] = []
    x = y = 0.0
    tallest = max(s.height for s in scenes)
    for number, scene in enumerate(scenes):
        dx = x
        dy = y - scene.height if below else (tallest - scene.height) / 2
        apart = len(scenes) > 1 or any(s.kind == "caption" for s in scene.shapes)
        placed.append(scene.moved(dx, dy, f"panel{number + 1}-" if apart else ""))
        if number < len(captions) and captions[number]:
            text = (line(captions[number], CAPTION),)
            w, h = extent(text)
            at = (dx + scene.width / 2, (dy + scene.height if below else tallest) + h / 2 + 2)
            captioned.append(
                Shape(f"caption{number + 1}", "caption", "text", captions[number], *at, w + 6, h + 2, text)
            )
        if below:
            y -= scene.height + APART + (2 * CAPTION if captions else 0)
        else:
            x += scene.width + APART
    return fit(
        Scene(
            0,
            0,
            tuple(captioned) + tuple(s for p in placed for s in p.shapes),
            tuple(w for p in placed for w in p.wires),
            tuple(f for p in placed for f in p.frames),
            tuple(d for p in placed for d in p.dots),
            title or scenes[0].title,
            ". ".join(p.description or p.title for p in placed),
        )
    )
