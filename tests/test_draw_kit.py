"""What an author asks of a figure: its printed width, font, fineness and ground; panels; a theme of one's own."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import blocks as bk
from blocks.draw import fonts
from blocks.draw.formats.page import TAKES, points
from blocks.draw.layers.labels import around, box_of, meet
from blocks.draw.themes import THEMES, Theme
from blocks.draw.themes import theme as theme_of

from .test_draw import SVG, lstm
from .test_draw_invariants import check

FONT = str(fonts.file_of("math-bold"))
VALUES: dict[str, Any] = {"width": "8.5cm", "font": FONT, "dpi": 300, "transparent": True}
CM = 72 / 2.54


@pytest.mark.parametrize("option", TAKES)
@pytest.mark.parametrize("format", ["svg", "png", "pdf", "dot", "tex", "tikz", "mmd", "graphml", "json"])
def test_an_option_changes_the_file_or_is_refused(option: str, format: str, tmp_path: Path) -> None:
    figure, path = lstm().draw(theme="dark"), tmp_path / f"f.{format}"
    plain = figure.save(path).read_bytes()
    if format in TAKES[option]:
        assert figure.save(path, **{option: VALUES[option]}).read_bytes() != plain
    else:
        with pytest.raises(bk.BlocksError, match=rf"{option} is for \.\w+.*; \.{format} has no {option} of its own"):
            figure.save(path, **{option: VALUES[option]})
        assert path.read_bytes() == plain


def test_width() -> None:
    figure = lstm().draw()
    root = ElementTree.fromstring(figure.render("svg", width="8.5cm"))
    assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(8.5 * CM, abs=0.01)
    assert root.attrib["viewBox"] == ElementTree.fromstring(figure.render("svg")).attrib["viewBox"]
    image = Image.open(io.BytesIO(figure.render("png", width="8.5cm", dpi=300)))
    assert image.width == pytest.approx(8.5 / 2.54 * 300, abs=1)
    assert image.height / image.width == pytest.approx(figure.scene.height / figure.scene.width, rel=0.01)
    box = re.search(rb"/MediaBox \[\s*0 0 ([\d.]+)", figure.render("pdf", width="8.5cm"))
    assert box and float(box.group(1)) == pytest.approx(8.5 * CM, abs=0.05)
    assert f"\\resizebox{{{8.5 * CM:.2f}bp}}{{!}}{{\\box0}}" in figure.render("tikz", width="8.5cm").decode()
    assert f"\\paperwidth={8.5 * CM:.2f}bp" in figure.render("tex", width="8.5cm").decode()


def test_widths_with_units() -> None:
    for text, size in {"8.5cm": 8.5 * CM, "85 mm": 8.5 * CM, "3in": 216, "200pt": 200, "400px": 300}.items():
        assert points(text) == pytest.approx(size)
    assert points(72) == 72
    for wrong in ("8 furlongs", "cm", "-3cm", 0, True, "1.2.3cm", float("nan"), None):
        with pytest.raises(bk.BlocksError, match="a width is a number of points, or has a unit"):
            points(wrong)  # type: ignore[arg-type]


def test_no_ground() -> None:
    figure = lstm().draw()
    for transparent, alpha in ((False, 255), (True, 0)):
        image = Image.open(io.BytesIO(figure.render("png", transparent=transparent))).convert("RGBA")
        corner: Any = image.getpixel((0, 0))
        assert corner[3] == alpha
    assert 'width="100%"' not in figure.render("svg", transparent=True).decode()
    assert "\\fill[blocks-0] (0,0) rectangle" in lstm().draw(theme="dark").render("tikz").decode()
    assert "(0,0) rectangle" not in lstm().draw(theme="dark").render("tikz", transparent=True).decode().split(";", 1)[1]


def test_a_font_of_ones_own() -> None:
    figure = lstm().draw()
    assert "'Blocks Math',Arial" in figure.render("svg", font=FONT).decode()
    assert b"BlocksMathBold" in figure.render("pdf", font=FONT) and b"BlocksMathBold" not in figure.render("pdf")
    for wrong in ("nowhere.ttf", __file__):
        with pytest.raises(bk.BlocksError, match="font is the file of a TrueType or OpenType font"):
            figure.render("png", font=wrong)
    for wrong in (0, True, "300", -1):
        with pytest.raises(bk.BlocksError, match="dpi is a number of dots an inch"):
            figure.render("png", dpi=wrong)
    with pytest.raises(bk.BlocksError, match=r"saved with no 'widht' \(did you mean 'width'"):
        figure.render("png", widht=3)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_panels(rows: int) -> None:
    """In reading order, each whole, none on another, with letters above them."""
    cells = [bk.cells.srn(3, 4), lstm(), bk.cells.gru(3, 4)]
    figures = [cell.draw(title=f"cell {i}") for i, cell in enumerate(cells)]
    joined = bk.panels(figures, rows=rows, letters=True)
    check(joined.scene)
    assert len(joined.scene.shapes) == sum(len(f.scene.shapes) for f in figures) + 3
    letters = [s for s in joined.scene.shapes if s.kind == "caption"]
    assert [s.name for s in letters] == ["(a)", "(b)", "(c)"]
    assert len({s.y for s in letters}) == rows
    frames = joined.scene.frames
    for one in frames:
        above = [s for s in letters if s.y > one.y + one.h]
        assert above
        assert not [o for o in frames if o is not one and abs(o.x - one.x) < one.w / 2 and abs(o.y - one.y) < one.h / 2]
    assert joined.title == "(a) cell 0; (b) cell 1; (c) cell 2"
    assert all(f.description in joined.description for f in figures)
    again = bk.panels([joined, figures[0]])
    assert len({s.key for s in again.scene.shapes}) == len(again.scene.shapes)
    assert all(again.render(format) for format in ("svg", "tikz", "mmd", "json"))
    assert not [s for s in bk.panels(figures).scene.shapes if s.kind == "caption"]


def test_panels_that_make_no_sense() -> None:
    figure = lstm().draw()
    for wrong in (0, 3, True, 1.5):
        with pytest.raises(bk.BlocksError, match="2 figures stand in 1 to 2 rows, not in"):
            bk.panels([figure, figure], rows=wrong)  # type: ignore[arg-type]
    with pytest.raises(bk.BlocksError, match=r"panels are made of figures, of draw\(\), not of Cell"):
        bk.panels([lstm()])  # type: ignore[list-item]
    with pytest.raises(bk.BlocksError, match="0 figures"):
        bk.panels([])


def test_a_theme_of_ones_own() -> None:
    own = theme_of(
        {
            "like": "dark",
            "brick": "#224466",
            "operation": ("#000000", "#ffffff", "#ffff00"),
            "wire": "#00ff00",
            "cell": "#101010",
        }
    )
    dark = THEMES["dark"]
    assert isinstance(own, Theme) and own.night == "" and theme_of(own) is own
    assert own.shapes["brick"] == ("#224466", *dark.shapes["brick"][1:])
    assert own.shapes["operation"] == ("#000000", "#ffffff", "#ffff00") and own.wire == "#00ff00"
    assert own.frames["cell"] == ("#101010", dark.frames["cell"][1]) and own.shapes["merge"] == dark.shapes["merge"]
    text = lstm().draw(theme={"brick": "#224466"}).render("svg").decode()
    assert text.count('fill="#224466"') == 4 and "@media" not in text
    assert lstm().draw(theme=own).digest == lstm().draw(theme={"like": own}).digest
    wrongs = {
        "blue": "a colour is written '#rrggbb', not as that of 'brick', 'blue'",
        ("#000000", "#000000"): "there is no 'brick' of 2 colours; there are like, ",
    }
    for colour, said in wrongs.items():
        with pytest.raises(bk.BlocksError, match=said):
            lstm().draw(theme={"brick": colour})
    with pytest.raises(bk.BlocksError, match=r"there is no 'brik' \(did you mean 'brick'"):
        lstm().draw(theme={"brik": "#000000"})
    with pytest.raises(bk.BlocksError, match="no theme 'drak'"):
        lstm().draw(theme={"like": "drak"})
    assert ElementTree.fromstring(text).tag == f"{SVG}svg"


LABELS = {"forget": "f_t", "candidate": r"\tilde{C}_t", "C": r"\bold{c}", "x": "word"}


@pytest.mark.parametrize(
    "options", [{}, {"unroll": 3}, {"gradient": "beside"}, {"gradient": True, "unroll": 2}], ids=str
)
def test_labels(options: dict[str, Any]) -> None:
    """They stand in the place of names, in every format and view; what has none keeps its name."""
    figure = lstm().draw(labels=LABELS, **options)
    said = {s.name: [x.plain for x in s.lines] for s in figure.scene.shapes}
    plain = {s.name: [x.plain for x in s.lines] for s in lstm().draw(**options).scene.shapes}
    assert said["forget"][-1] == "f_t" and said["candidate"][-1] == "C̃_t" and said["input"] == plain["input"]
    assert said["C"] == [text.replace("C", "c") for text in plain["C"]]
    assert said["x"] == [text.replace("x", "word") for text in plain["x"]]
    assert "$\\tilde{C}_{t}$" in figure.render("tikz").decode() and "\\mathbf{c}" in figure.render("tikz").decode()
    assert 'font-weight="bold">c</tspan>' in figure.render("svg").decode()
    assert "f#8348;" in figure.render("mmd").decode()
    if options.get("gradient"):
        assert any("W_f" in text for s in figure.scene.shapes for text in (x.plain for x in s.lines))


def test_labels_in_layers() -> None:
    graph = bk.Graph({"y": bk.SIGM(4, name="forget")(bk.tanh(bk.input("x", 3)))})
    said = [x.plain for s in graph.draw(labels={"forget": "f_t", "x": r"\omega"}).scene.shapes for x in s.lines]
    assert "f_t" in said and "ω" in said and "forget" not in said


def named_wires() -> bk.Cell:
    """A cell whose author names the value that goes into C, and that out of it; and C and r h, after states."""
    x, h, c = bk.input("x", 3), bk.state("h", 4), bk.state("C", 4)
    r = bk.SIGM(4, name="reset")(x, h)
    u = bk.named("u", r * bk.TANH(4, name="candidate")(x, bk.named("h", r * h)))
    c1 = bk.named("C", c + u)
    s = bk.named("squashed", bk.tanh(c1))
    h1 = bk.named("out", bk.SIGM(4, name="output")(x, c1) * s)
    return bk.Cell({h: h1, c: c1}, outputs=h1)


def written(figure: bk.Figure) -> list[str]:
    """What stands beside wires, each on nothing else: neither a shape, nor a wire, nor another name."""
    scene = figure.scene
    check(scene)
    boxes = [box_of(w.label, w.label_at) for w in scene.wires if w.label and w.label_at]
    ways = [around(a, b, 0.0) for w in scene.wires for a, b in pairwise(w.points)]
    for i, box in enumerate(boxes):
        assert not any(meet(box, other) for other in (*boxes[:i], *ways))
    return sorted(w.label.plain for w in scene.wires if w.label)


def test_names_of_wires() -> None:
    """Those that stand nowhere else, once for each value: not C, h and the output, whose ends have their names."""
    cell = named_wires()
    assert written(cell.draw()) == ["squashed_t", "u_t"]
    assert written(cell.draw(labels={"u": r"\hat{u}"})) == ["squashed_t", "û_t"]
    assert written(cell.draw(unroll=3, zoom="all")) == [f"{n}_{t}" for n in ("squashed", "u") for t in (1, 2, 3)]
    assert written(cell.draw(gradient=True)) == []  # a wire has a part of the gradient there
    assert written(cell.draw(gradient="beside")) == ["squashed_t", "u_t"]
    shown = [w.label.plain for w in cell.draw(shapes=True).scene.wires if w.label]
    assert {"squashed_t (batch, 4)", "u_t (batch, 4)"} <= {*shown} and "(batch, 3)" in shown
    assert re.search(rb"<tspan[^>]*>u</tspan>", cell.draw().render("svg"))
    feeds = {**cell.graph.init(0), "x": np.ones((1, 3))}
    assert not any("u_t" in x for x in written(cell.draw(values=feeds)))
    with pytest.raises(bk.BlocksError, match="nothing called 'v' to label"):
        cell.draw(labels={"v": "w"})


def test_names_of_wires_in_any_graph() -> None:
    hs = bk.scan(named_wires(), bk.sequence("x", 3))
    last = bk.named("energy", bk.mean(hs * hs))
    graph = bk.Graph({"y": bk.ADD(2, name="w_o")(bk.named("z", hs * hs)), "loss": last + 1.0})
    assert written(graph.draw()) == ["energy", "squashed_t", "u_t", "z_t"]
    plain = bk.Graph({"y": bk.exp(bk.named("a", bk.tanh(bk.input("x", 3))))})
    assert written(plain.draw(bricks=False, labels={"a": "α"})) == ["α"]


def test_labels_that_make_no_sense() -> None:
    graph = bk.Graph({"y": bk.tanh(bk.input("x", 3))})
    for thing in (lstm(), graph):
        with pytest.raises(bk.BlocksError, match=r"nothing called 'X' to label.*; there are .*x"):
            thing.draw(labels={"X": "f_t"})
    for wrong in (3, "", None):
        with pytest.raises(bk.BlocksError, match="the label of 'forget' is a text, 'f_t', not"):
            lstm().draw(labels={"forget": wrong})
    with pytest.raises(bk.BlocksError, match=r"no command \\tlide \(did you mean 'tilde'"):
        lstm().draw(labels={"forget": r"\tlide{C}"})


@pytest.mark.parametrize(
    "options, more, less",
    [
        ({}, {"weights of its own", "concatenation", "copy", "state, from step to step"}, {"gradient", "the same weights"}),
        ({"highlight": "forget"}, {"not emphasised", "concatenated values", "state, from step to step"}, {"copy"}),
        ({"gradient": True}, {"gradient", "sum of gradients", "value of the way forwards"}, {"weights of its own"}),
        ({"unroll": 3}, {"the same weights", "a step, closed"}, {"weights of its own", "weights"}),
        ({"bricks": False}, {"weights", "value"}, {"weights of its own", "concatenation"}),
    ],
    ids=["cell", "highlight", "gradient", "unroll", "operations"],
)  # fmt: skip
def test_legend(options: dict[str, Any], more: set[str], less: set[str]) -> None:
    """The marks that a figure uses and no others, below it, none on another; no other program takes them for parts."""
    plain, figure = lstm().draw(**options), lstm().draw(legend=True, **options)
    said = [s.name for s in figure.scene.shapes if s.sample and s.kind == "caption"]
    assert len(said) == len(set(said)) and more <= set(said) and not less & set(said)
    kinds = {s.kind for s in plain.scene.shapes}
    assert ("operation without weights" in said) == any(s.kind == "operation" and s.lit for s in plain.scene.shapes)
    assert {s.kind for s in figure.scene.shapes} - {"caption"} <= kinds | {"brick"}
    samples = [s for s in figure.scene.shapes if s.sample]
    lowest = min(s.bottom for s in figure.scene.shapes if not s.sample)
    assert all(s.top < lowest for s in samples)
    for i, one in enumerate(samples):
        for other in samples[i + 1 :]:
            assert (
                one.right <= other.left or other.right <= one.left or one.bottom >= other.top or other.bottom >= one.top
            )
    assert set(figure.to_networkx().nodes) == set(plain.to_networkx().nodes)
    assert figure.to_networkx().number_of_edges() == plain.to_networkx().number_of_edges()
    assert figure.render("mmd") == plain.render("mmd")
    assert all(figure.render(format) for format in ("svg", "png", "pdf", "tikz", "dot"))


@pytest.mark.parametrize("name", bk.cells.__all__)
def test_equations(name: str) -> None:
    """A line for each brick and each next value, in the names of the figure, linked to the part that computes it."""
    cell = getattr(bk.cells, name)(4, 4)
    plain, figure = cell.draw(), cell.draw(equations="numbered")
    notes = [n for n in figure.scene.notes if n.key.startswith("equation")]
    by_key = {s.key: s for s in figure.scene.shapes}
    bricks = {s.key for s in figure.scene.shapes if s.kind == "brick"}
    assert bricks <= {n.owner for n in notes} and len({n.line.plain for n in notes}) == len(notes)
    for key in bricks:  # each brick has a line that begins with its name, as the figure writes it
        name = "".join(words.plain for words in by_key[key].lines[1:])
        assert any(n.owner == key and n.line.plain.split(" = ")[0] == name for n in notes), key
    for n in notes:
        assert n.owner in by_key and "'" not in n.line.plain
        assert n.x > max(s.right for s in figure.scene.shapes)
    for state in (s for s in plain.scene.shapes if s.kind == "next"):
        assert any(n.line.plain.startswith(f"{state.lines[0].plain} = ") for n in notes)
    numbers = [n.line.plain for n in figure.scene.notes if n.key.startswith("number")]
    assert numbers == [f"({i})" for i in range(1, len(notes) + 1)]
    assert [n.y for n in notes] == sorted((n.y for n in notes), reverse=True)
    assert {s.key for s in plain.scene.shapes} == set(by_key)


def test_equations_are_linked() -> None:
    """In one group with their part, so that the pointer finds both; and they are in every format that draws."""
    figure = lstm().draw(equations=True)
    root = ElementTree.fromstring(figure.render("svg"))
    group = next(e for e in root.iter(f"{SVG}g") if e.attrib.get("id") == f"{root.attrib['id']}brick1")
    assert "linked" in group.attrib["class"].split()
    (note,) = (e for e in group if "note" in e.attrib.get("class", "").split())
    assert "".join(note.itertext()).replace("\u00a0", " ") == "forget = σ(xt Wx + ht−1 Wh + b)"
    assert note.attrib["text-anchor"] == "start"
    assert "forget$=\\sigma" in figure.render("tikz").decode() or "forget$=$$\\sigma" in figure.render("tikz").decode()
    assert all(figure.render(format) for format in ("png", "pdf", "dot", "mmd", "json"))
    joined = bk.panels([figure, figure])
    owners = {n.owner for n in joined.scene.notes}
    assert owners <= {s.key for s in joined.scene.shapes} and len(owners) == 2 * len(
        {n.owner for n in figure.scene.notes}
    )


def test_equations_of_what_is_asked_for() -> None:
    lit = [n.line.plain for n in lstm().draw(equations=True, highlight="forget").scene.notes]
    assert lit == ["forget = σ(x_t W_x + h_t−1 W_h + b)"]
    below = lstm().draw(equations=True, unroll=3, labels={"forget": "f_t"}).scene
    assert below.notes[0].line.plain.startswith("f_t = σ(") and "f_t ⊙ C_t−1" in below.notes[3].line.plain
    assert max(n.y for n in below.notes) < min(s.bottom for s in below.shapes)
    with pytest.raises(
        bk.BlocksError, match="equations say what is computed forwards; leave out gradient, or equations"
    ):
        lstm().draw(equations=True, gradient=True)
    with pytest.raises(bk.BlocksError, match="equations is True or 'numbered', not 'all'"):
        lstm().draw(equations="all")


def test_the_ground_is_as_faded_as_what_stands_on_it() -> None:
    """Beside what is emphasised nothing is loud; a frame in which nothing is faded keeps its colour."""
    cell = bk.cells.lstm(3, 4)
    for wanted, lit in (("forget", False), (lambda node: True, True), (None, True)):
        figure = cell.draw(highlight=wanted)
        assert [frame.lit for frame in figure.scene.frames] == [lit]
        assert (figure.theme.frames["cell"][0] in figure.render("svg").decode()) == lit
        assert ("blocks/faded cell" in figure.render("tex").decode()) != lit
