"""A painting as a LaTeX document that draws it with TikZ; `pdflatex` makes a page of its size.

Names come from users and files, so every character that TeX would act on is replaced by a command that prints
it, and a character that the fonts lack by its plain letter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from ..scene import Point
from ..text import SUBSCRIPT, Line
from .paint import ROUND, Area, Painting, Stroke, Words

Colour = Callable[[str], str]  # the code of a colour → its name in the document

_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "−": "$-$", "×": r"$\times$", "÷": r"$\div$", "·": r"$\cdot$", "⊗": r"$\otimes$", "√": r"$\surd$", "⊙": r"$\odot$",
    "σ": r"$\sigma$", "τ": r"$\tau$", "Σ": r"$\Sigma$", "∂": r"$\partial$", "…": r"\dots{}", "′": r"$'$",
    "ʸ": r"$^y$", "∥": r"$\parallel$", "-": "{-}",
}  # fmt: skip
_GREEK = "α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta κ kappa λ lambda μ mu ξ xi π pi ρ rho φ phi"
_TEX |= {letter: f"$\\{name}$" for letter, name in zip(_GREEK.split()[::2], _GREEK.split()[1::2], strict=True)}


def tex(text: str) -> str:
    """Text that TeX sets as it stands. A character that the standard fonts lack becomes its plain letter,
    or a question mark."""
    out = []
    for c in text:
        if c in _TEX:
            out.append(_TEX[c])
        elif c.isascii() and c.isprintable():
            out.append(c)
        else:
            plain = unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()
            out.append("".join(_TEX.get(p, p) for p in plain if p.isprintable()) or "?")
    return "".join(out)


def tikz(painting: Painting) -> str:
    """A standalone LaTeX document that draws the painting with TikZ."""
    paints: dict[str, str] = {}

    def colour(code: str) -> str:
        return paints.setdefault(code, f"c{len(paints)}")

    body: list[str] = []
    if painting.ground != "#ffffff":
        corner = f"({_p(painting.width)},{_p(painting.height)})"
        body.append(f"\\fill[{colour(painting.ground)}] (0,0) rectangle {corner};")
    for area, caption in painting.frames:
        body.append(_box(area, colour))
        body += [_words(caption, colour)] if caption else []
    body += [_stroke(stroke, colour) for stroke in painting.strokes]
    for fork in painting.forks:
        body.append(f"\\fill[{colour(fork.fill)}] ({_p(fork.x)},{_p(fork.y)}) circle[radius={_p(fork.w / 2)}bp];")
    for area in painting.shapes:
        body += _shape(area, colour)
    body += [_words(label, colour) for label in painting.labels]
    return _document(painting, body, paints)


def _document(painting: Painting, body: list[str], paints: dict[str, str]) -> str:
    """A document that needs nothing but LaTeX and TikZ; its page is as large as the figure."""
    width, height = _p(painting.width), _p(painting.height)
    head = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{textcomp}",
        r"\usepackage{tikz}",
        r"\usetikzlibrary{arrows.meta}",
        r"\renewcommand{\familydefault}{\sfdefault}",
        r"\pdfhorigin=0bp \pdfvorigin=0bp",
        f"\\pdfpagewidth={width}bp \\pdfpageheight={height}bp",
    ]
    head += [f"\\definecolor{{{name}}}{{HTML}}{{{code.lstrip('#').upper()}}}" for code, name in paints.items()]
    head += [r"\begin{document}", r"\setbox0\hbox{\begin{tikzpicture}[x=1bp, y=1bp, line width=1bp]%"]
    head.append(f"\\useasboundingbox (0,0) rectangle ({width},{height});")
    return "\n".join([*head, *body, r"\end{tikzpicture}}\shipout\box0", r"\end{document}", ""])


def _box(area: Area, colour: Colour) -> str:
    corners = f"rounded corners={_p(ROUND.get(area.form, 0.0))}bp"
    bold = ", line width=2bp" if area.bold else ""
    left, bottom, right, top = map(_p, area.corners)
    return (
        f"\\draw[fill={colour(area.fill)}, draw={colour(area.edge)}, {corners}{bold}] "
        f"({left},{bottom}) rectangle ({right},{top});"
    )


def _shape(area: Area, colour: Colour) -> list[str]:
    style, out = f"fill={colour(area.fill)}, draw={colour(area.edge)}", []
    if area.form in ("circle", "ring", "sum"):
        out.append(f"\\draw[{style}] ({_p(area.x)},{_p(area.y)}) circle[radius={_p(area.w / 2)}bp];")
    elif area.form != "text":
        out.append(_box(area, colour))
    if area.lines:
        out.append(_text(area.lines, (area.x, area.y), colour(area.ink)))
    return out


def _stroke(stroke: Stroke, colour: Colour) -> str:
    points = stroke.way
    way = f"({_p(points[0][0])},{_p(points[0][1])})"
    for a, b, c in zip(points[1::3], points[2::3], points[3::3], strict=True):
        way += f" .. controls ({_p(a[0])},{_p(a[1])}) and ({_p(b[0])},{_p(b[1])}) .. ({_p(c[0])},{_p(c[1])})"
    arrow = ", -{Latex[length=6bp, width=4.5bp]}" if stroke.arrow else ""
    dashed = ", dashed" if stroke.dashed else ""
    return f"\\draw[{colour(stroke.ink)}, line width={stroke.width}bp{dashed}{arrow}] {way};"


def _words(words: Words, colour: Colour) -> str:
    return _text(words.lines, (words.x, words.y), colour(words.ink))


def _text(lines: tuple[Line, ...], at: Point, ink: str) -> str:
    rows = []
    for text in lines:
        runs = []
        for run in text.runs:
            size = text.size * (SUBSCRIPT if run.sub else 1.0) * 0.95
            words = tex(run.text)
            words = f"\\itshape {words}" if run.italic else words
            words = f"{{\\fontsize{{{_p(size)}}}{{{_p(size * 1.15)}}}\\selectfont {words}}}"
            runs.append(f"\\raisebox{{-0.35ex}}{{{words}}}" if run.sub else words)
        rows.append("".join(runs))
    words = r" \\ ".join(rows)
    return f"\\node[{ink}, align=center, inner sep=0pt] at ({_p(at[0])},{_p(at[1])}) {{{words}}};"


def _p(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
