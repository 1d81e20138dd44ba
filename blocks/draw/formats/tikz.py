"""A scene as a LaTeX document that draws it with TikZ; `pdflatex` makes a page of its size.

Names come from users and files, so every character that TeX would act on is replaced by a command that prints
it, and a character that the fonts lack by its plain letter.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from ..scene import Frame, Point, Scene, Shape, Wire
from ..text import SUBSCRIPT, Line
from ..themes import Theme
from .strokes import strokes

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


def tikz(scene: Scene, theme: Theme) -> str:
    """A standalone LaTeX document that draws the scene with TikZ."""
    paints: dict[str, str] = {}

    def colour(code: str) -> str:
        return paints.setdefault(code, f"c{len(paints)}")

    body: list[str] = []
    if theme.background != "#ffffff":
        body.append(f"\\fill[{colour(theme.background)}] (0,0) rectangle ({_p(scene.width)},{_p(scene.height)});")
    body += [_tikz_frame(f, theme, colour) for f in scene.frames]
    body += [_tikz_wire(wire, way, theme, colour) for wire, way in strokes(scene)]
    for dot in scene.dots:
        fill = colour(theme.wire if dot.lit else theme.faded_wire)
        body.append(f"\\fill[{fill}] ({_p(dot.x)},{_p(dot.y)}) circle[radius=2.2bp];")
    for shape in scene.shapes:
        body += _tikz_shape(shape, theme, colour)
    for wire in scene.wires:
        if wire.label and wire.label_at:
            shown = theme.text if wire.lit else theme.faded[2]
            body.append(_tikz_text((wire.label,), wire.label_at, colour(shown)))
    return _document(scene, body, paints)


def _document(scene: Scene, body: list[str], paints: dict[str, str]) -> str:
    """A document that needs nothing but LaTeX and TikZ; its page is as large as the figure."""
    head = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{textcomp}",
        r"\usepackage{tikz}",
        r"\usetikzlibrary{arrows.meta}",
        r"\renewcommand{\familydefault}{\sfdefault}",
        r"\pdfhorigin=0bp \pdfvorigin=0bp",
        f"\\pdfpagewidth={_p(scene.width)}bp \\pdfpageheight={_p(scene.height)}bp",
    ]
    head += [f"\\definecolor{{{name}}}{{HTML}}{{{code.lstrip('#').upper()}}}" for code, name in paints.items()]
    head += [r"\begin{document}", r"\setbox0\hbox{\begin{tikzpicture}[x=1bp, y=1bp, line width=1bp]%"]
    head.append(f"\\useasboundingbox (0,0) rectangle ({_p(scene.width)},{_p(scene.height)});")
    return "\n".join([*head, *body, r"\end{tikzpicture}}\shipout\box0", r"\end{document}", ""])


def _tikz_frame(frame: Frame, theme: Theme, colour: Any) -> str:
    fill, edge = theme.frames[frame.kind] if frame.lit else theme.faded[:2]
    out = (
        f"\\draw[fill={colour(fill)}, draw={colour(edge)}, rounded corners=10bp] ({_p(frame.x)},{_p(frame.y)}) "
        f"rectangle ({_p(frame.x + frame.w)},{_p(frame.y + frame.h)});"
    )
    if frame.lines:
        out += "\n" + _tikz_text(frame.lines, frame.label_at, colour(theme.text))
    return out


def _tikz_wire(wire: Wire, points: list[Point], theme: Theme, colour: Any) -> str:
    base = {"conveyor": theme.conveyor, "gradient": theme.gradient, "wrong": theme.wrong}.get(wire.kind, theme.wire)
    ink = (wire.paint or base) if wire.lit else theme.faded_wire
    width = {"conveyor": 2.2, "bus": 2.0}.get(wire.kind, 1.2)
    way = f"({_p(points[0][0])},{_p(points[0][1])})"
    for a, b, c in zip(points[1::3], points[2::3], points[3::3], strict=True):
        way += f" .. controls ({_p(a[0])},{_p(a[1])}) and ({_p(b[0])},{_p(b[1])}) .. ({_p(c[0])},{_p(c[1])})"
    arrow = ", -{Latex[length=6bp, width=4.5bp]}" if wire.arrow else ""
    dashed = ", dashed" if wire.dashed else ""
    return f"\\draw[{colour(ink)}, line width={width}bp{dashed}{arrow}] {way};"


def _tikz_shape(shape: Shape, theme: Theme, colour: Any) -> list[str]:
    fill, edge, text = theme.shapes[shape.kind] if shape.lit else theme.faded
    style = f"fill={colour(fill)}, draw={colour(edge)}"
    out = []
    if shape.form in ("circle", "ring", "sum"):
        out.append(f"\\draw[{style}] ({_p(shape.x)},{_p(shape.y)}) circle[radius={_p(shape.w / 2)}bp];")
    elif shape.form != "text":
        width = ", line width=2bp" if shape.shared else ""
        out.append(
            f"\\draw[{style}, rounded corners=7bp{width}] ({_p(shape.left)},{_p(shape.bottom)}) rectangle "
            f"({_p(shape.right)},{_p(shape.top)});"
        )
    if shape.lines:
        out.append(_tikz_text(shape.lines, (shape.x, shape.y), colour(text)))
    return out


def _tikz_text(lines: tuple[Line, ...], at: Point, ink: str) -> str:
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
