"""The fonts that figures are measured with, and that PNG and PDF are set in.

"sans" is a part of DejaVu Sans, the widest of the usual sans-serif fonts: what fits its box in it does so in Helvetica
or Arial, which a browser may take for it. "math", "math-italic" and "math-bold" are parts of STIX, whose letters are
those of Times. `.ci/fonts.py` writes the files; their licences stand beside them.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

FACES = ("sans", "math", "math-italic", "math-bold")
MATH_FAMILY = "Blocks Math"


def file_of(face: str) -> Path:
    """The file of a face; a face that is none of the package's is a file itself."""
    return Path(__file__).parent / f"{face}.ttf" if face in FACES else Path(face)


@cache
def family_of(face: str) -> str:
    """The name of the family that a face belongs to."""
    return str(_font(face)["name"].getBestFamilyName())


@cache
def _font(face: str) -> Any:
    from fontTools.ttLib import TTFont

    return TTFont(file_of(face), lazy=True)


@cache
def _glyphs(face: str) -> dict[int, str]:
    return dict(_font(face).getBestCmap())


@cache
def has(face: str, character: str) -> bool:
    """Whether a face has a character."""
    return ord(character) in _glyphs(face)


@cache
def advance(face: str, character: str) -> float:
    """The width of a character, beside the size of the font; that of one which the face lacks is guessed."""
    if unicodedata.combining(character):
        return 0.0
    if not has(face, character):
        wide = unicodedata.east_asian_width(character) in "WF" or ord(character) > 0xFFFF
        return 1.05 if wide else 0.84
    font = _font(face)
    return float(font["hmtx"][_glyphs(face)[ord(character)]][0] / font["head"].unitsPerEm)


@cache
def middle(face: str, character: str) -> float:
    """How far above the baseline the middle of a character's ink lies, beside the size of the font; what a letter has
    below the baseline does not count."""
    font = _font(face)
    glyph = font["glyf"][_glyphs(face)[ord(character)]]
    low = max(glyph.yMin, 0) if character.isalnum() else glyph.yMin
    return float((low + glyph.yMax) / 2 / font["head"].unitsPerEm)
