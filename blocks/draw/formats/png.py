"""The SVG of a figure as PNG, set in the fonts of the package alone: the same bytes on every machine."""

from __future__ import annotations

from ..fonts import FACES, MATH_FAMILY, family_of, file_of

LARGEST = 30000  # pixels of the longer side


def png(svg: str, longest: float, dpi: float, font: str | None = None) -> bytes:
    """An SVG as PNG. longest: its longer side, in points; a larger picture has fewer dots an inch. font: the file of
    another font for words."""
    import resvg_py

    faces = (font, *FACES) if font else FACES
    files, sans = [str(file_of(face)) for face in faces], family_of(faces[0])
    zoom = min(dpi / 96, LARGEST / (longest * 96 / 72))
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg, zoom=zoom, dpi=96, skip_system_fonts=True, font_files=files,
            font_family=sans, sans_serif_family=sans, serif_family=MATH_FAMILY,
        )
    )  # fmt: skip
