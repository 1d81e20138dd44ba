"""Writes blocks/draw/fonts: the parts of DejaVu Sans and STIX that figures need, from matplotlib's copies.

    python .ci/fonts.py

Each file is a part of its font under another name, as the licences ask (they stand beside the files): all letters of
Latin, Greek and Cyrillic, and the signs of mathematics. Kerning is left out, so that a text is as wide as its letters.
What the slanted and the bold face of STIX lack they get from the upright one, as a renderer that misses one sign in a
face sets the whole text in another.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import matplotlib
from fontTools import subset
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph

SOURCE = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
TARGET = Path(__file__).parent.parent / "blocks" / "draw" / "fonts"
LETTERS = [(0x20, 0x17F), (0x1CD, 0x1DC), (0x300, 0x30C), (0x370, 0x3FF), (0x1E00, 0x1EFF)]
SIGNS = [(0x2010, 0x203A), (0x2044, 0x2044), (0x2070, 0x209C), (0x20D7, 0x20D7), (0x2100, 0x214F), (0x2190, 0x22FF)]
MORE = [(0x250, 0x2FF), (0x400, 0x45F), (0x1D2C, 0x1D6A), (0x2300, 0x23FF), (0x25A0, 0x25FF), (0xFFFD, 0xFFFD)]
ACCENTS, GAP = range(0x300, 0x30D), 70  # the codes of accents, and how far one stands above its letter
FACES = {
    "sans": ("DejaVuSans.ttf", "Blocks Sans", LETTERS + SIGNS + MORE),
    "math": ("STIXGeneral.ttf", "Blocks Math", LETTERS + SIGNS),
    "math-italic": ("STIXGeneralItalic.ttf", "Blocks Math", LETTERS + SIGNS),
    "math-bold": ("STIXGeneralBol.ttf", "Blocks Math", LETTERS + SIGNS),
}
KEPT = {0, 4, 5, 13, 14}  # names that stay as they are: copyright, version, licence
FULL = {"sans": "", "math": "", "math-italic": " Italic", "math-bold": " Bold"}


def main() -> None:
    """Write all faces and their licences."""
    TARGET.mkdir(exist_ok=True)
    for face, (file, family, ranges) in FACES.items():
        options = subset.Options(layout_features=["mark", "mkmk", "ccmp"], hinting=False, name_IDs=["*"])
        options.notdef_outline, options.drop_tables = True, [*options.drop_tables, "FFTM", "MATH"]
        font = subset.load_font(str(SOURCE / file), options)
        if family == "Blocks Math":
            complete(font, TTFont(SOURCE / FACES["math"][0]))
        part = subset.Subsetter(options)
        part.populate(unicodes=[c for first, last in ranges for c in range(first, last + 1)])
        part.subset(font)
        if family == "Blocks Math":
            put_accents(font)
        rename(font, family, family + FULL[face])
        font.recalcTimestamp = False
        font.save(TARGET / f"{face}.ttf")
    shutil.copy(SOURCE / "LICENSE_DEJAVU", TARGET / "LICENSE_DEJAVU")
    shutil.copy(SOURCE / "LICENSE_STIX", TARGET / "LICENSE_STIX")


def complete(font: TTFont, upright: TTFont) -> None:
    """Give a font the characters that it lacks and the upright one has."""
    have, more = font.getBestCmap(), upright.getBestCmap()
    for code in sorted(more.keys() - have.keys()):
        glyph = upright["glyf"][more[code]]
        if glyph.isComposite():
            continue
        name = f"upright.{more[code]}"
        font["glyf"][name], font["hmtx"][name] = glyph, upright["hmtx"][more[code]]
        for table in font["cmap"].tables:
            if table.isUnicode() and code <= 0xFFFF:
                table.cmap[code] = name


def put_accents(font: TTFont) -> None:
    """Say where accents stand on letters, which STIX does not: above the middle of their ink."""
    names, glyphs = font.getBestCmap(), font["glyf"]
    accents = [names[code] for code in (*ACCENTS, 0x20D7) if code in names]
    letters = [name for code, name in names.items() if chr(code).isalpha() and glyphs[name].numberOfContours > 0]
    rules = []
    for name in accents:
        rules.append(f"markClass {name} <anchor {middle(glyphs[name])} {glyphs[name].yMin - GAP}> @TOP;")
    places = "".join(
        f"  pos base {name} <anchor {middle(glyphs[name])} {glyphs[name].yMax}> mark @TOP;\n" for name in letters
    )
    table = f"table GDEF {{ GlyphClassDef [{' '.join(letters)}], , [{' '.join(accents)}], ; }} GDEF;"
    addOpenTypeFeaturesFromString(font, "\n".join([*rules, f"feature mark {{\n{places}}} mark;", table]))


def middle(glyph: Glyph) -> int:
    """The middle of a glyph's ink."""
    return round((glyph.xMin + glyph.xMax) / 2)


def rename(font: TTFont, family: str, full: str) -> None:
    """Give a font another name everywhere."""
    names = font["name"]
    for record in list(names.names):
        new = {1: family, 3: full, 4: full, 6: full.replace(" ", ""), 16: family}.get(record.nameID)
        if new:
            names.setName(new, record.nameID, record.platformID, record.platEncID, record.langID)
        elif record.nameID not in {0, 2, 5, 13, 14}:
            names.removeNames(nameID=record.nameID)


if __name__ == "__main__":
    main()
