r"""A painting in TikZ: a snippet for ``\input``, or a LaTeX document of its own, whose page is as large as the figure.

Shapes are named nodes, ``(forget)``, and have named styles, ``blocks/brick``: a paper that sets a style before takes
its own. The letters are those of the paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..text import Line
from ..themes import PLAIN
from .page import Page
from .paint import ARROW, BOLD, EDGE, ROUND, SLIM, WIDE, Area, Painting, Stroke, Words
from .tex import tex_line

HEAD = r"""% Needs \usepackage{tikz} and \usetikzlibrary{arrows.meta}.
% Each style, blocks/brick say, can be set before: \tikzset{blocks/brick/.style={fill=blue!20, draw=blue}}
\begingroup
\def\blocksstyle#1#2{\pgfkeysifdefined{/tikz/blocks/#1/.@cmd}{}{\tikzset{blocks/#1/.style={#2}}}}%"""
FORMS = {
    "box": "rectangle", "frame": "rectangle", "cell": "rectangle", "ground": "rectangle", "pill": "rectangle",
    "circle": "circle", "ring": "circle", "sum": "circle",
}  # fmt: skip
NODE = "inner sep=0bp, outer sep=0bp, align=center, font=\\sffamily"
DOCUMENT = r"""\documentclass{article}
\IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}
\usepackage{tikz}
\usetikzlibrary{arrows.meta}
\begin{document}
\hoffset=-1in \voffset=-1in \paperwidth=WIDTHbp \paperheight=HEIGHTbp
\ifdefined\pagewidth \pagewidth=\paperwidth \pageheight=\paperheight
\else \pdfpagewidth=\paperwidth \pdfpageheight=\paperheight \fi
\setbox0\hbox{%
BODY}\shipout\box0
\end{document}
"""


def tikz(painting: Painting, page: Page) -> str:
    r"""The painting as a snippet for ``\input``."""
    return _Writer().snippet(painting, page)


def document(painting: Painting, page: Page) -> str:
    """The painting as a document that needs nothing but LaTeX and TikZ."""
    scale = page.scale(painting.width)
    text = DOCUMENT.replace("WIDTH", _p(painting.width * scale)).replace("HEIGHT", _p(painting.height * scale))
    return text.replace("BODY", tikz(painting, page))


class _Writer:
    """Writes one painting, and remembers its colours, styles and names of nodes."""

    def __init__(self) -> None:
        self.colours: dict[str, str] = {}
        self.styles: dict[str, str] = {}
        self.names: set[str] = set()

    def snippet(self, painting: Painting, page: Page) -> str:
        size = f"({_p(painting.width)},{_p(painting.height)})"
        body = [f"\\useasboundingbox (0,0) rectangle {size};"]
        if painting.ground != "#ffffff" and not page.transparent:
            body.append(f"\\fill[{self.colour(painting.ground)}] (0,0) rectangle {size};")
        for area, caption in painting.frames:
            body += [self.area(area), *([self.words(caption)] if caption else [])]
        body += [self.stroke(stroke) for stroke in painting.strokes]
        body += [self.fork(fork) for fork in painting.forks]
        body += [self.area(area) for area in painting.shapes]
        body += [self.words(words) for words in (*painting.labels, *painting.notes)]
        head = [HEAD]
        head += [f"\\definecolor{{{n}}}{{HTML}}{{{code.lstrip('#').upper()}}}%" for code, n in self.colours.items()]
        head += [f"\\blocksstyle{{{name}}}{{{options}}}%" for name, options in self.styles.items()]
        drawn = [r"\begin{tikzpicture}[x=1bp, y=1bp]%", *body, r"\end{tikzpicture}%"]
        if page.width is not None:
            drawn = [r"\setbox0\hbox{%", *drawn, f"}}\\resizebox{{{_p(page.width)}bp}}{{!}}{{\\box0}}%"]
        return "\n".join([*head, *drawn, r"\endgroup", ""])

    def colour(self, code: str) -> str:
        """The name of a colour."""
        return self.colours.setdefault(code, f"blocks-{len(self.colours)}")

    def style(self, name: str, options: str) -> str:
        """A style by its name; where a thing of that name looks otherwise, its own options besides."""
        return f"blocks/{name}" if self.styles.setdefault(name, options) == options else f"blocks/{name}, {options}"

    def name(self, area: Area) -> str:
        """A name for a node: that of its shape, and of ends also their kind, with a number if it is taken."""
        kind = area.classes.split()[0]
        said = f"{area.name}-{kind}" if kind in ("state", "next", "output") else area.name or area.key
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", said).strip("-_") or re.sub(r"[^A-Za-z0-9]+", "", area.key)
        name, number = plain, 1
        while name in self.names:
            number += 1
            name = f"{plain}-{number}"
        self.names.add(name)
        return name

    def area(self, area: Area) -> str:
        kind, *more = area.classes.split()
        at = f"({self.name(area)}) at ({_p(area.x)},{_p(area.y)}) {{{_text(area.lines)}}};"
        styles = [self.style("node", NODE)]
        ink = f", text={self.colour(area.ink)}" if area.lines else ""
        if area.form == "text":
            said = "faded text" if "faded" in more else kind if kind in PLAIN else f"{kind} text"  # of a form its words
            styles.append(self.style(said, ink.removeprefix(", ")))
            return f"\\node[{', '.join(styles)}] {at}"
        corners = f", rounded corners={_p(ROUND[area.form])}bp" if area.form in ROUND else ""
        styles.append(self.style(area.form, f"{FORMS[area.form]}, line width={EDGE}bp{corners}"))
        paint = f"fill={self.colour(area.fill)}, draw={self.colour(area.edge)}{ink}"
        ground = " ".join(reversed(more))  # faded cell
        styles.append(self.style(ground if kind == "frame" else "faded" if "faded" in more else kind, paint))
        styles += [self.style("shared", f"line width={BOLD}bp")] if area.bold else []
        size = f"minimum size={_p(area.w)}bp"
        if FORMS[area.form] == "rectangle":
            size = f"minimum width={_p(area.w)}bp, minimum height={_p(area.h)}bp"
        return f"\\node[{', '.join(styles)}, {size}] {at}"

    def fork(self, fork: Area) -> str:
        style = self.style("fork", f"fill={self.colour(fork.fill)}")
        return f"\\fill[{style}] ({_p(fork.x)},{_p(fork.y)}) circle[radius={_p(fork.w / 2)}bp];"

    def words(self, words: Words) -> str:
        style = f"{self.style('node', NODE)}, {self.style(words.classes, self.pen_of(words))}"
        x = words.left if words.classes == "note" else words.x
        return f"\\node[{style}] at ({_p(x)},{_p(words.y)}) {{{_text(words.lines)}}};"

    def pen_of(self, words: Words) -> str:
        return f"text={self.colour(words.ink)}" + ", anchor=west" * (words.classes == "note")

    def stroke(self, stroke: Stroke) -> str:
        kind = stroke.classes.split()[0]
        pen = f"draw={self.colour(stroke.ink)}, line width={stroke.width}bp"
        styles = [self.style(kind if stroke.lit else f"faded {kind}", pen)]
        styles += [self.style("dashed", "dash pattern=on 4bp off 3bp")] if stroke.dashed else []
        if stroke.arrow:
            half, name = (SLIM, "arrow") if stroke.slim else (WIDE, "wide arrow")
            styles.append(self.style(name, f"-{{Latex[length={_p(ARROW)}bp, width={_p(2 * half)}bp]}}"))
        (x, y), rest = stroke.way[0], iter(stroke.way[1:])
        way = f"({_p(x)},{_p(y)})"
        for a, b, c in zip(rest, rest, rest, strict=True):
            here = (x, y)
            straight = here[0] == a[0] == b[0] == c[0] or here[1] == a[1] == b[1] == c[1]
            handles = "" if straight else f" .. controls ({_p(a[0])},{_p(a[1])}) and ({_p(b[0])},{_p(b[1])}) .."
            way += f"{handles or ' --'} ({_p(c[0])},{_p(c[1])})"
            x, y = c
        return f"\\draw[{', '.join(styles)}] {way};"


def _text(lines: Iterable[Line]) -> str:
    """Lines of text below each other."""
    rows = [
        f"\\fontsize{{{_p(text.size)}bp}}{{{_p(text.size * 1.15)}bp}}\\selectfont {tex_line(text)}" for text in lines
    ]
    return rows[0] if len(rows) == 1 else r"\\ ".join(f"{{{row}}}" for row in rows)


def _p(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if round(value, 2) else "0"
