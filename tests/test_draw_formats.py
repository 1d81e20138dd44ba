"""SVG, and the PNG and PDF that show the same: centred text, one group a net, colours for day and night, own fonts."""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageFont

import blocks as bk
from blocks.draw import fonts
from blocks.draw.figure import Figure
from blocks.draw.formats.paint import Painting, paint
from blocks.draw.scene import Scene, Shape, ways_from
from blocks.draw.text import Line, Run, line, missing, pieces, width_in
from blocks.draw.themes import THEMES
from blocks.draw.typeset import value_at

from .test_draw import KINDS, SVG, figure_of, lstm

Element = ElementTree.Element


def parsed(figure: Figure) -> tuple[Element, dict[str, Element]]:
    """The root of a figure's SVG, and its elements by identifier, without the figure's own prefix."""
    root = ElementTree.fromstring(figure.render("svg"))
    prefix = root.attrib["id"]
    found = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert len(found) == len(set(found)) and all(i.startswith(prefix) for i in found)
    return root, {e.attrib["id"].removeprefix(prefix): e for e in root.iter() if "id" in e.attrib}


def valued() -> Figure:
    cell, rng = lstm(8), np.random.default_rng(0)
    feeds = {**cell.graph.init(0, "float64"), **{n: rng.normal(size=(2, 8)) for n in cell.graph.inputs}}
    return cell.draw(values=feeds)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes(kind: str) -> None:
    """Each has its group with class and tooltip, and its text stands in its middle, by its anchor."""
    figure = figure_of(kind)
    root, by_id = parsed(figure)
    assert root.attrib["text-anchor"] == "middle" and not any("text-anchor" in e.attrib for e in root[0].iter())
    for shape in figure.scene.shapes:
        group = by_id[quote(shape.key, safe="-_.~")]
        assert shape.kind in group.attrib["class"].split()
        assert (group.findtext(f"{SVG}title") or "") == shape.tooltip
        texts = group.findall(f"{SVG}text")
        assert ["".join(t.itertext()) for t in texts] == ["".join(r.text for r in x.runs) for x in shape.lines]
        for text in texts:
            assert float(text.attrib["x"]) == pytest.approx(shape.x, abs=0.006)
            assert abs(figure.scene.height - float(text.attrib["y"]) - shape.y) < shape.h / 2
        if len(texts) == 1:
            size, y = float(texts[0].attrib["font-size"]), figure.scene.height - float(texts[0].attrib["y"])
            assert 0.26 * size < shape.y - y < 0.4 * size  # the middle between baseline and capitals


@pytest.mark.parametrize("kind", KINDS)
def test_one_group_a_net(kind: str) -> None:
    figure = figure_of(kind)
    root, by_id = parsed(figure)
    nets = [e for e in root.iter(f"{SVG}g") if e.attrib.get("class") == "net"]
    assert len(nets) == len({w.net for w in figure.scene.wires})
    for net in {w.net for w in figure.scene.wires}:
        group, wires = by_id[quote(f"net-{net}")], [w for w in figure.scene.wires if w.net == net]
        inside = {e.attrib.get("id", "").removeprefix(root.attrib["id"]) for e in group}
        assert {quote(f"wire-{w.key}", safe="-_.~") for w in wires} == inside - {""}
        heads = [e.attrib["points"].split()[0] for e in group.iter(f"{SVG}polygon")]
        ends = [w.points[-1] for w in wires if w.arrow]
        assert Counter(heads) == Counter(f"{number(x)},{number(figure.scene.height - y)}" for x, y in ends)
        lit = [w for w in wires if w.lit]
        forks = [d for d in figure.scene.dots if d.net == net and (d.lit or not ways_from((d.x, d.y), lit))]
        assert len(forks) == len(group.findall(f"{SVG}circle"))
        hit = [e for e in group if e.attrib.get("class") == "hit"]
        assert len(hit) == 1 and hit[0].attrib["d"].count("M") == len(wires)
    said = [e.text for e in root.iter(f"{SVG}title")]
    assert {w.tooltip for w in figure.scene.wires} <= {text or "" for text in said} | {""}


def test_faded_wires_lie_behind() -> None:
    """Values of which all is faded are painted before those of which all is shown, and so within one value."""
    figure = lstm().draw(highlight="forget")
    root, _ = parsed(figure)
    nets = [e for e in root.iter(f"{SVG}g") if e.attrib.get("class") == "net"]
    wires = [[p.attrib["class"] for p in net.findall(f"{SVG}path") if p.attrib["class"] != "hit"] for net in nets]
    lit = [["faded" not in each for each in net] for net in wires]
    assert any(map(all, lit)) and not all(map(any, lit))
    shares = [sum(net) / len(net) for net in lit]
    assert shares == sorted(shares) and all(net == sorted(net) for net in lit)


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def test_words_for_readers() -> None:
    for kind in ("cell", "steps"):
        root, by_id = parsed(figure_of(kind))
        assert root.attrib["role"] == "img"
        said = root.attrib["aria-labelledby"].replace(root.attrib["id"], "").split()
        assert [by_id[i].tag for i in said] == [f"{SVG}title", f"{SVG}desc"]
        assert "forget = σ(x W_x + h' W_h + b)" in (by_id["d"].text or "")


def test_lowered_text_comes_back() -> None:
    """By dy, as some browsers have no baseline-shift; what follows stands where the line began."""
    words = Line((Run("h", italic=True), Run("t−1", italic=True, sub=True), Run(" + b")), 12)
    shape = Shape("a", "input", "text", "a", 50, 20, 80, 20, (words,))
    text = Figure(Scene(100, 40, (shape,), ()), THEMES["classic"]).render("svg").decode()
    assert "baseline-shift" not in text
    steps = [float(v) for v in re.findall(r'dy="(.*?)"', text)]
    assert len(steps) == 2 and steps[0] > 0 and sum(steps) == 0
    assert 'font-style="italic">h</tspan>' in text
    assert re.search(r'<tspan font-family="Times,serif" font-size="9">−1</tspan>', text)  # numbers stand upright


def test_figures_share_a_page() -> None:
    """No identifier is in two figures, and the style of each speaks of itself alone, in plain selectors."""
    figures = [lstm().draw(equations=True), bk.cells.gru(5, 5).draw(), lstm().draw(highlight="C"), valued()]
    owned = [set(re.findall(r' id="(.*?)"', figure.render("svg").decode())) for figure in figures]
    assert sum(map(len, owned)) == len(set.union(*owned))
    for figure in figures:
        root, _ = parsed(figure)
        style = root.findtext(f"{SVG}style") or ""
        for selector in re.findall(r"([^{}]+)\{[^{}]*\}", style.replace("@media (prefers-color-scheme:dark){", "")):
            assert re.fullmatch(rf"\}}?#{root.attrib['id']}( \.?[a-z0-9]+(:hover)?)+", selector), selector
        assert not [e for e in root.iter() if e.tag in (f"{SVG}marker", f"{SVG}a", f"{SVG}script")]


def test_small() -> None:
    assert len(bk.cells.lstm(8, 32).draw().render("svg")) < 15_000


@pytest.mark.parametrize("make", [lstm().draw, lambda: lstm().draw(highlight="C"), lambda: figure_of("loop"), valued])
def test_day_and_night_in_one_file(make: Any) -> None:
    """Attributes have the colours of the theme, and on a dark page the style gives each element those of the dark one."""
    figure = make()
    root, by_id = parsed(figure)
    dark = re.search(r"@media \(prefers-color-scheme:dark\)\{(.*)\}$", root.findtext(f"{SVG}style") or "")
    assert dark is not None
    rules = {
        name: dict(part.split(":") for part in rule.split(";"))
        for name, rule in re.findall(r"\.(c\d+)\{(.*?)\}", dark.group(1))
    }

    def colours(element: Element, night: bool) -> dict[str, str]:
        own = {k: element.attrib[k] for k in ("fill", "stroke") if k in element.attrib}
        changes = [rules[c] for c in element.attrib.get("class", "").split() if c in rules]
        return own | changes[0] if night and changes else own

    for theme, night in (("classic", False), ("dark", True)):
        painting: Painting = paint(figure.scene, THEMES[theme])
        ground = next(e for e in root if e.tag == f"{SVG}rect")
        assert colours(ground, night) == {"fill": painting.ground}
        for area in painting.shapes:
            group = by_id[quote(area.key)]
            form = next((e for e in group if e.tag in (f"{SVG}rect", f"{SVG}circle")), None)
            assert form is None or colours(form, night) == {"fill": area.fill, "stroke": area.edge}
            assert all(colours(e, night) == {"fill": area.ink} for e in group if e.tag == f"{SVG}text")
        for stroke in painting.strokes:
            assert colours(by_id[quote(f"wire-{stroke.key}")], night) == {"stroke": stroke.ink}
    for theme in ("dark", "monochrome"):
        assert "@media" not in Figure(figure.scene, THEMES[theme]).render("svg").decode()


def test_png_is_that_svg() -> None:
    """At two pixels a point, with the colours of its shapes in their places."""
    for figure in (lstm().draw(), lstm().draw(theme="dark"), valued()):
        image = Image.open(io.BytesIO(figure.render("png"))).convert("RGB")
        width, height = figure.scene.width, figure.scene.height
        assert image.size == (pytest.approx(2 * width, abs=1), pytest.approx(2 * height, abs=1))
        painting = paint(figure.scene, figure.theme)
        for area in painting.shapes:
            if area.form in ("box", "pill"):
                at = (round(2 * area.x), round(2 * (height - area.y + area.h / 2 - 3)))
                assert "#{:02x}{:02x}{:02x}".format(*image.getpixel(at)) == area.fill  # type: ignore[misc]
        inked = np.asarray(image)[:, :, 0] != int(painting.ground[1:3], 16)
        for words in (s for s in figure.scene.shapes if s.form == "text" and s.kind == "state"):
            rows = slice(round(2 * (height - words.top)), round(2 * (height - words.bottom)))
            assert inked[rows, round(2 * words.left) : round(2 * words.right)].any()


def test_a_letter_that_the_fonts_lack() -> None:
    x, h = bk.input("x", 3), bk.state("状", 3)
    figure = bk.Cell({h: bk.TANH(3, name="b")(x, h)}, h).draw()
    assert "状" in figure.render("svg").decode()
    for format in ("png", "pdf"):
        with pytest.raises(
            bk.BlocksError, match=f"fonts.*in which a {format.upper()} is set, have no '状'; give the file of a font"
        ):
            figure.render(format)


@pytest.mark.parametrize("text", ["candidate", "forget · W_x", "σ(x + h)", "Ġłøßé", "−0.12, 3e−5", "⊙ ⊗ ∂ Σ √ ᵀ"])
def test_widths_are_measured(text: str) -> None:
    """As FreeType measures them in the same file."""
    for words, size in ((line(text, 13), 13), (line(text, 7, italic=True), 7)):
        assert not missing([words])
        wanted = sum(
            ImageFont.truetype(fonts.file_of(face), 2000, layout_engine=ImageFont.Layout.BASIC).getlength(piece) / 2000
            for piece, face in pieces(words.runs[0])
        )
        assert words.width == pytest.approx(wanted * size, rel=2e-3)
    assert value_at("h", "t−1", 20).width == pytest.approx(
        20 * width_in("math-italic", "h") + 14 * (width_in("math-italic", "t") + width_in("math", "−1"))
    )
    lowered = value_at("h", "t−1", 10)  # 7 is too small to read
    assert [lowered.size_of(run) for run in lowered.runs] == [10, 9]


def test_faces_are_complete() -> None:
    """What one face of mathematics has the others have: a renderer that misses a sign sets all of a text in another."""
    signs = "abzABZαωΓΩ0189+−×÷=()⊙⊗∂∇Σ√∥′∼…⋯≤≈" + "\u0302\u0303\u0304"
    for face in ("math", "math-italic", "math-bold"):
        assert not [c for c in signs if not fonts.has(face, c)], face
    assert not [c for c in signs + "ᵀʸ" if not fonts.has("sans", c)]
    folder = Path(fonts.__file__).parent
    assert {p.stem for p in folder.glob("*.ttf")} == set(fonts.FACES)
    assert all((folder / f"LICENSE_{name}").read_text(encoding="utf-8") for name in ("DEJAVU", "STIX"))


def test_pdf() -> None:
    """A page of the figure's size, with fonts embedded as TrueType, and the same bytes each time."""
    figure = lstm().draw()
    document = figure.render("pdf")
    box = re.search(rb"/MediaBox \[\s*0 0 ([\d.]+) ([\d.]+)", document)
    assert box and float(box.group(1)) == pytest.approx(figure.scene.width, abs=0.1)
    assert float(box.group(2)) == pytest.approx(figure.scene.height, abs=0.1)
    assert b"/Type3" not in document and document.count(b"/FontFile2") >= 2
    assert document == figure.render("pdf")


def test_without_graphviz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    for format in ("svg", "png", "pdf", "dot", "tex", "mmd", "graphml", "json"):
        assert lstm().draw(gradient="beside", open="forget").save(tmp_path / f"f.{format}").stat().st_size
    hs = bk.scan(lstm(), bk.sequence("x", 5))
    assert bk.Graph({"y": bk.tanh(hs)}).draw().save(tmp_path / "graph.svg").stat().st_size
