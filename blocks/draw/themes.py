"""Themes: the colours of a figure.

The default has the colours of the field: yellow for what has weights, pink for operations without, green for
the cell. Each was chosen so that the kinds stay apart for the colour-blind too (a shape and a text say the
same besides), and so that text and lines stand out from their ground; a test measures both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import BlocksError, nearest
from .scene import Shade

Paint = tuple[str, str, str]  # fill, line, text


@dataclass(frozen=True)
class Theme:
    """The paint of each kind of shape and frame, of wires, and of everything that is faded."""

    name: str
    background: str
    text: str
    wire: str
    conveyor: str
    gradient: str
    shapes: Mapping[str, Paint]
    frames: Mapping[str, tuple[str, str]]
    faded: Paint
    faded_wire: str
    wrong: str
    values: tuple[str, str, str]  # of the largest gradient, of zero, of the largest value
    night: str = ""  # the theme that takes its place on a dark page, where a format can tell; "" for none


PLAIN = ("state", "next", "input", "output", "constant", "caption", "part")  # kinds that stand as words, without a form


def _theme(name: str, ground: str, ink: str, shapes: dict[str, Paint], **colours: object) -> Theme:
    every = dict.fromkeys(PLAIN, (ground, ink, ink)) | shapes
    return Theme(name, ground, ink, shapes=every, **colours)  # type: ignore[arg-type]


THEMES = {
    "classic": _theme(
        "classic", "#ffffff", "#1b1b1b",
        {
            "brick": ("#ffe08a", "#6b4f00", "#3d2d00"),
            "operation": ("#f7c6d4", "#7d1f3f", "#4f0f26"),
            "parameter": ("#dfe7ee", "#3d5566", "#22323d"),
            "draw": ("#cdeef2", "#0b6170", "#073a44"),
            "merge": ("#ffffff", "#1b1b1b", "#1b1b1b"),
            "step": ("#d8efd9", "#2c6b34", "#173b1c"),
            "gap": ("#ffffff", "#767676", "#4a4a4a"),
            "gradient": ("#dcd3f2", "#4527a0", "#2b1766"),
            "wrong": ("#fff0f0", "#b00020", "#7a0016"),
        },
        wire="#1b1b1b", conveyor="#1b1b1b", gradient="#4527a0",
        frames={"cell": ("#e6f4e4", "#5d8a61"), "open": ("#fff6da", "#8a6d1a"), "group": ("#f1f5f9", "#64748b")},
        faded=("#fafafa", "#c9c9c9", "#949494"), faded_wire="#d3d3d3", wrong="#b00020",
        values=("#1f5fa8", "#7d7d7d", "#b35806"), night="dark",
    ),
    "monochrome": _theme(
        "monochrome", "#ffffff", "#000000",
        {
            "brick": ("#d4d4d4", "#000000", "#000000"),
            "operation": ("#ffffff", "#000000", "#000000"),
            "parameter": ("#f0f0f0", "#000000", "#000000"),
            "draw": ("#e2e2e2", "#000000", "#000000"),
            "merge": ("#ffffff", "#000000", "#000000"),
            "step": ("#f4f4f4", "#000000", "#000000"),
            "gap": ("#ffffff", "#000000", "#000000"),
            "gradient": ("#a8a8a8", "#000000", "#000000"),
            "wrong": ("#ffffff", "#000000", "#000000"),
        },
        wire="#000000", conveyor="#000000", gradient="#000000",
        frames={"cell": ("#ffffff", "#000000"), "open": ("#f4f4f4", "#000000"), "group": ("#ffffff", "#5a5a5a")},
        faded=("#ffffff", "#cccccc", "#949494"), faded_wire="#d9d9d9", wrong="#000000",
        values=("#000000", "#8c8c8c", "#000000"),
    ),
    "dark": _theme(
        "dark", "#14181d", "#eef1f4",
        {
            "brick": ("#5c4700", "#ffd666", "#fff3cf"),
            "operation": ("#5a1f35", "#ff9dbb", "#ffe3eb"),
            "parameter": ("#2b3a45", "#a9c3d6", "#e3eef5"),
            "draw": ("#0d4450", "#7fdcec", "#dff7fb"),
            "merge": ("#14181d", "#eef1f4", "#eef1f4"),
            "step": ("#1f3a25", "#93d39b", "#e1f5e4"),
            "gap": ("#14181d", "#a0a7af", "#c9ced4"),
            "gradient": ("#35276b", "#c3b1ff", "#ebe5ff"),
            "wrong": ("#3a1414", "#ff8a80", "#ffd9d6"),
        },
        wire="#eef1f4", conveyor="#eef1f4", gradient="#c3b1ff",
        frames={"cell": ("#1c2721", "#7fae86"), "open": ("#2a2411", "#d9b95b"), "group": ("#1b222b", "#8fa0b3")},
        faded=("#1a1f25", "#3f4750", "#737d87"), faded_wire="#363d45", wrong="#ff8a80",
        values=("#74b3ff", "#8f979f", "#ffb05c"),
    ),
}  # fmt: skip


def theme(asked: str | Theme | Mapping[str, Any]) -> Theme:
    """A theme: by its name; as it is; or as a dict of what differs from "classic", or from the theme under "like".

    The dict's keys are the attributes of `Theme` that are one colour, and the kinds of shapes and frames (brick,
    operation, cell, …), each with its fill, or with (fill, line, text), of a frame (fill, line).

    Raises BlocksError for a name, a key or a colour that there is not.
    """
    if isinstance(asked, Theme):
        return asked
    if isinstance(asked, Mapping):
        return _varied(theme(asked.get("like", "classic")), {k: v for k, v in asked.items() if k != "like"})
    if asked not in THEMES:
        raise BlocksError(f"there is no theme {asked!r}{nearest(str(asked), THEMES)}; there are {', '.join(THEMES)}")
    return THEMES[asked]


def _varied(base: Theme, changes: Mapping[str, Any]) -> Theme:
    """A theme with some colours of its own; on a dark page it stays as it is."""
    single = {f.name for f in fields(Theme) if isinstance(getattr(base, f.name), str)} - {"name", "night"}
    shapes, frames, own = dict(base.shapes), dict(base.frames), dict[str, Any]()
    for key, value in changes.items():
        paint = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not all(isinstance(c, str) and re.fullmatch("#[0-9a-fA-F]{6}", c) for c in paint):
            raise BlocksError(f"theme: a colour is written '#rrggbb', not as that of {key!r}, {value!r}")
        if key in single and len(paint) == 1:
            own[key] = paint[0]
        elif key in shapes and len(paint) in (1, 3):
            fill, line, text = list(paint) + list(shapes[key][len(paint) :])
            shapes[key] = (fill, line, text)
        elif key in frames and len(paint) in (1, 2):
            fill, line = list(paint) + list(frames[key][len(paint) :])
            frames[key] = (fill, line)
        else:
            known = sorted({*single, *shapes, *frames})
            hint = nearest(str(key), known) if key not in known else f" of {len(paint)} colours"
            raise BlocksError(f"theme: there is no {key!r}{hint}; there are like, {', '.join(known)}")
    return replace(base, name="own", night="", shapes=shapes, frames=frames, **own)


def shade(paint: Shade, theme: Theme) -> str:
    """The colour of a shade: between that of zero and that of the largest."""
    if not math.isfinite(paint.part):
        return theme.wrong
    most, zero = theme.values[2 if paint.of == "values" else 0], theme.values[1]
    ends = zip(_channels(zero), _channels(most), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * paint.part):02x}" for a, b in ends)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2.1, relative luminance)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [channel / 255 for channel in _channels(colour)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
