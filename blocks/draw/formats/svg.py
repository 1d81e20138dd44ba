"""A painting as SVG, the same bytes on every machine.

    <svg id="p">  title, description, style
      <rect>                          the ground
      <g class="frame">               frames with their captions
      <g class="nets">
        <g class="net">               all wires of one value: strokes, arrowheads, forks, labels
      <g id="pbrick1" class="brick">  shapes with their labels, and their equations, if any

Text is centred by its anchor, so it stands in its middle whatever the font. Every identifier begins with one that comes
from the figure's content, and the style speaks of nothing outside of it: figures share a page. Colours are attributes,
which every reader understands; the style holds those of a dark page, and dims the other values under the pointer.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ..fonts import family_of
from ..scene import Point
from ..text import Line, baselines, pieces, printable
from .page import Page
from .paint import BOLD, EDGE, LINE, ROUND, Area, Painting, Stroke, Words

SANS, MATH = "Arial,Helvetica,'DejaVu Sans',sans-serif", "Times,serif"
_FACES = {
    "math": f'font-family="{MATH}"',
    "math-italic": f'font-family="{MATH}" font-style="italic"',
    "math-bold": f'font-family="{MATH}" font-weight="bold"',
}
DRAWN = Page()
_PREFIX = "\0"  # stands for the figure's own prefix until its content is known
_HOVER = (
    "#\0 .hit{stroke:transparent;stroke-width:9px;pointer-events:stroke}"
    "#\0 .nets:hover .net{opacity:.2}#\0 .nets .net:hover{opacity:1}"
)
_LINKED = (
    "#\0 .linked:hover rect{stroke-width:3px}#\0 .linked:hover circle{stroke-width:3px}"
    "#\0 .linked:hover .note{text-decoration:underline}"
)


def svg(painting: Painting, title: str, description: str, night: Painting | None = None, page: Page = DRAWN) -> str:
    """The painting as SVG. night: the same one in the colours of a dark page, which then stand in the same file."""
    text = "\n".join(_Writer(painting, night or painting, page).document(title, description)) + "\n"
    return text.replace(_PREFIX, f"b{digest(text)[:7]}")


def digest(text: str) -> str:
    """What tells one content from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Writer:
    """Writes one painting, and remembers which colours differ on a dark page."""

    def __init__(self, day: Painting, night: Painting, page: Page):
        self.day, self.night, self.page = day, night, page
        self.height = day.height
        self.classes: dict[str, str] = {}  # what a dark page changes → the class that asks for it

    def document(self, title: str, description: str) -> list[str]:
        day, night = self.day, self.night
        width, height, scale = _n(day.width), _n(day.height), self.page.scale(day.width)
        size = f'width="{_n(day.width * scale)}pt" height="{_n(day.height * scale)}pt"'
        family = f"'{_quotable(family_of(self.page.font))}',{SANS}" if self.page.font else SANS
        ground = self.colours("", fill=(day.ground, night.ground))
        body = [] if self.page.transparent else [f'<rect width="100%" height="100%"{ground}/>']
        for (area, caption), (dark, dark_caption) in zip(day.frames, night.frames, strict=True):
            words = self.words(caption, dark_caption) if caption and dark_caption else ""
            body.append(self.area(area, dark, words))
        body += [f'<g class="nets" fill="none" stroke-width="{_n(LINE)}">', *self.nets(), "</g>"]
        notes: dict[str, str] = {}
        for line, dark_line in zip(day.notes, night.notes, strict=True):
            notes[line.owner] = notes.get(line.owner, "") + self.note(line, dark_line)
        for area, dark in zip(day.shapes, night.shapes, strict=True):
            body.append(self.area(area, dark, notes.pop(area.key, "")))
        body += notes.values()
        dark_rules = "".join(f"#{_PREFIX} .{name}{{{rule}}}" for rule, name in self.classes.items())
        style = (
            _HOVER
            + (_LINKED if day.notes else "")
            + (f"@media (prefers-color-scheme:dark){{{dark_rules}}}" if dark_rules else "")
        )
        return [
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{_PREFIX}" {size} '
            f'viewBox="0 0 {width} {height}" style="max-width:100%;height:auto" role="img" '
            f'aria-labelledby="{_PREFIX}t {_PREFIX}d" font-family="{_text(family)}" text-anchor="middle" '
            'text-rendering="geometricPrecision">',
            f'<title id="{_PREFIX}t">{_text(title)}</title>',
            f'<desc id="{_PREFIX}d">{_text(description)}</desc>',
            f"<style>{style}</style>",
            *body,
            "</svg>",
        ]

    def colours(self, classes: str, **paints: tuple[str, str]) -> str:
        """Attributes for colours, each for day and night, and the class of an element whose colours change."""
        rule = ";".join(f"{name}:{dark}" for name, (day, dark) in paints.items() if day != dark)
        if rule:
            classes = f"{classes} {self.classes.setdefault(rule, f'c{len(self.classes)}')}".strip()
        attributes = "".join(f' {name}="{day}"' for name, (day, _) in paints.items())
        return (f' class="{classes}"' if classes else "") + attributes

    # --- shapes and words

    def area(self, area: Area, dark: Area, words: str = "") -> str:
        """A shape or a frame, with its label."""
        paint = self.colours("", fill=(area.fill, dark.fill), stroke=(area.edge, dark.edge))
        pen = f'{paint} stroke-width="{_n(BOLD if area.bold else EDGE)}"'
        if area.form == "text":
            form = ""
        elif area.form in ("circle", "ring", "sum"):
            form = f'<circle cx="{_n(area.x)}" cy="{self.y(area.y)}" r="{_n(area.w / 2)}"{pen}/>'
        else:
            corner = f'x="{_n(area.x - area.w / 2)}" y="{self.y(area.y + area.h / 2)}"'
            form = (
                f'<rect {corner} width="{_n(area.w)}" height="{_n(area.h)}" rx="{_n(ROUND.get(area.form, 0.0))}"{pen}/>'
            )
        linked = " linked" if 'class="note' in words else ""
        words += self.lines(area.lines, area.x, area.y, (area.ink, dark.ink)) if area.lines else ""
        head = f'<g id="{_PREFIX}{_key(area.key)}" class="{area.classes}{linked}">{_title(area.tooltip)}'
        return f"{head}{form}{words}</g>"

    def words(self, words: Words, dark: Words) -> str:
        """Words that stand alone."""
        return self.lines(words.lines, words.x, words.y, (words.ink, dark.ink))

    def note(self, words: Words, dark: Words) -> str:
        """A line that begins at one place with others."""
        ((text, baseline),) = baselines(words.lines, words.y)
        at = f'x="{_n(words.left)}" y="{self.y(baseline)}" font-size="{_n(text.size)}" text-anchor="start"'
        return f"<text {at}{self.colours('note', fill=(words.ink, dark.ink))}>{svg_line(text)}</text>"

    def lines(self, lines: Sequence[Line], x: float, y: float, ink: tuple[str, str]) -> str:
        """Lines of text below each other, with their middle at a point."""
        out = []
        for text, baseline in baselines(lines, y):
            at = f'x="{_n(x)}" y="{self.y(baseline)}" font-size="{_n(text.size)}"'
            out.append(f"<text {at}{self.colours('', fill=ink)}>{svg_line(text)}</text>")
        return "".join(out)

    # --- wires

    def nets(self) -> list[str]:
        """A group for each value: its wires, with their arrowheads and forks, and its labels. What is faded comes
        first, so that it lies behind."""
        nets: dict[str, list[str]] = {}
        for key, strokes in _grouped(zip(self.day.strokes, self.night.strokes, strict=True)).items():
            tips = {stroke.tooltip for stroke, _ in strokes}
            common = tips.pop() if len(tips) == 1 else ""
            hit = "".join(self.way(stroke.way) for stroke, _ in strokes)
            nets[key] = [f'<g id="{_PREFIX}{_key(f"net-{key}")}" class="net">{_title(common)}']
            nets[key] += [self.stroke(stroke, dark, common) for stroke, dark in strokes]
            nets[key].append(f'<path class="hit" d="{hit}"/>')
        for fork, dark in zip(self.day.forks, self.night.forks, strict=True):
            colour = self.colours("fork", fill=(fork.fill, dark.fill))
            nets[fork.net].append(f'<circle cx="{_n(fork.x)}" cy="{self.y(fork.y)}" r="{_n(fork.w / 2)}"{colour}/>')
        for words, dark_words in zip(self.day.labels, self.night.labels, strict=True):
            nets[words.net].append(self.words(words, dark_words))
        return ["".join(parts) + "</g>" for parts in nets.values()]

    def stroke(self, stroke: Stroke, dark: Stroke, common: str) -> str:
        """A wire with its arrowhead."""
        pen = self.colours(stroke.classes, stroke=(stroke.ink, dark.ink))
        pen += f' stroke-width="{_n(stroke.width)}"' if stroke.width != LINE else ""
        pen += ' stroke-dasharray="4 3"' if stroke.dashed else ""
        tip = "" if stroke.tooltip == common else _title(stroke.tooltip)
        drawn = f'<path id="{_PREFIX}{_key(f"wire-{stroke.key}")}" d="{self.way(stroke.body)}"{pen}'
        drawn += f">{tip}</path>" if tip else "/>"
        if stroke.arrow:
            head = " ".join(f"{_n(x)},{self.y(y)}" for x, y in stroke.head)
            drawn += f'<polygon points="{head}"{self.colours("", fill=(stroke.ink, dark.ink))}/>'
        return drawn

    def way(self, way: Sequence[Point]) -> str:
        """A way as the commands of a path, straight pieces as such."""
        here = way[0]
        out = [f"M{_n(here[0])} {self.y(here[1])}"]
        for a, b, end in zip(way[1::3], way[2::3], way[3::3], strict=True):
            if here[1] == a[1] == b[1] == end[1]:
                out.append(f"H{_n(end[0])}")
            elif here[0] == a[0] == b[0] == end[0]:
                out.append(f"V{self.y(end[1])}")
            else:
                out.append("C" + " ".join(f"{_n(x)} {self.y(y)}" for x, y in (a, b, end)))
            here = end
        return "".join(out)

    def y(self, y: float) -> str:
        """A height above the lower border, as one below the upper border."""
        return _n(self.height - y)


def _grouped(strokes: Iterable[tuple[Stroke, Stroke]]) -> dict[str, list[tuple[Stroke, Stroke]]]:
    """Strokes by their net. What has faded strokes comes before what has none."""
    found: dict[str, list[tuple[Stroke, Stroke]]] = {}
    for pair in strokes:
        found.setdefault(pair[0].net, []).append(pair)

    def lit(pairs: list[tuple[Stroke, Stroke]]) -> float:
        return sum(stroke.lit for stroke, _ in pairs) / len(pairs)

    return dict(sorted(found.items(), key=lambda item: lit(item[1])))


def svg_line(text: Line) -> str:
    """The runs of a line, as what stands in a text."""
    out, up = [], 0.0
    for run in text.runs:
        above = run.rise * text.size
        for number, (words, face) in enumerate(pieces(run)):
            attributes = [_FACES[face]] if face in _FACES else []
            attributes += [f'dy="{_n(up - above)}"'] if not number and above != up else []
            attributes += [f'font-size="{_n(text.size_of(run))}"'] if text.size_of(run) != text.size else []
            inner = _text(words) if len(text.runs) == 1 else _held(_text(words))
            out.append(f"<tspan {' '.join(attributes)}>{inner}</tspan>" if attributes else inner)
        up = above
    return "".join(out)


def _held(words: str) -> str:
    """Words whose blanks at the ends are kept: some readers drop them where a run ends."""
    inner = words.strip(" ")
    before = len(words) - len(words.lstrip(" "))
    return "\u00a0" * before + inner + "\u00a0" * (len(words) - before - len(inner))


def _title(tip: str) -> str:
    return f"<title>{_text(tip)}</title>" if tip else ""


def _text(words: str) -> str:
    return html.escape(printable(words), quote=False)


def _quotable(name: str) -> str:
    return "".join(c for c in name if c not in "\"'\\")


def _key(key: str) -> str:
    return quote(key, safe="-_.~")


def _n(value: float) -> str:
    """A number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if round(value, 2) else "0"
