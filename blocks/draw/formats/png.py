"""The SVG of a figure as PNG, set in the package's own fonts: the same bytes on every machine."""

from __future__ import annotations

from ..fonts import FACES, MATH_FAMILY, SANS_FAMILY, file_of

LARGEST = 30000  # pixels of the longer side


def png(svg: str, longest: float, dpi: float = 144.0) -> bytes:
    """An SVG as PNG. longest: its longer side, in points; a larger picture has fewer dots an inch."""
    import resvg_py

    files = [str(file_of(face)) for face in FACES]
    zoom = min(dpi / 96, LARGEST / (longest * 96 / 72))
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg, zoom=zoom, dpi=96, skip_system_fonts=True, font_files=files,
            font_family=SANS_FAMILY, sans_serif_family=SANS_FAMILY, serif_family=MATH_FAMILY,
        )
    )  # fmt: skip
