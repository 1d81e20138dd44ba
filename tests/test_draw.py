"""What the figures say, in every format: emphasis, names, themes, and files that others read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx
import pytest

import blocks as bk
from blocks.draw.figure import FORMATS, Figure
from blocks.draw.text import clip, line
from blocks.draw.themes import THEMES, Theme, contrast

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</svg><script>alert(1)</script>",
    '"];x[label="y',
    "\\input{/etc/passwd}",
    "a\\N\\G&amp;<b>",
    "]]>--><!--",
    "x%$#_^~{",
]


def lstm(units: int = 5) -> bk.Cell:
    return bk.cells.lstm(units, units)


def lit(cell: bk.Cell, highlight: Any) -> set[str]:
    """The names of what is emphasised, with the symbol for operations."""
    scene = cell.draw(highlight=highlight).scene
    return {s.lines[0].plain if s.kind == "operation" else s.name for s in scene.shapes if s.lit and s.kind != "merge"}


# --- emphasis ------------------------------------------------------------------------------------


def test_emphasis_of_the_book() -> None:
    """Figure 7.4: the cell state; the forget gate; the input gate; the output gate with its tanh."""
    assert lit(lstm(), "C") == {"C", "×", "+"}
    assert lit(lstm(), "forget") == {"x", "h", "forget", "×", "C"}
    assert lit(lstm(), ["input", "candidate"]) == {"x", "h", "input", "candidate", "×"}
    assert lit(lstm(), "output") == {"x", "h", "output", "tanh", "×"}
    book = bk.cells.book_lstm(5, 5)
    assert lit(book, "f") == {"x", "h", "+", "f", "×", "C"}
    for name, pieces in (("f", 2), ("ff", 0), ("fff", 0), ("C", 3)):  # of C, where the forget gate meets it
        assert sum(w.lit for w in book.draw(highlight=name).scene.wires if w.kind == "conveyor") == pieces, name


def test_emphasis_by_group_and_predicate() -> None:
    x = bk.input("x", 3)
    two = bk.Cell({}, bk.cells.srn(3, 3, name="upper")(bk.cells.gru(3, 3, name="lower")(x)))
    shapes = two.draw(highlight="lower").scene.shapes
    bricks = {s.name: s.lit for s in shapes if s.kind == "brick"}
    assert bricks == {"lower/reset": True, "lower/update": True, "lower/candidate": True, "upper/hidden": False}
    stacked = bk.layers(bk.cells.gru(4, 4), lstm(4))
    for name, other in (("layer1", "layer2"), ("layer2", "layer1")):
        scene = stacked.draw(highlight=(n for n in [name])).scene
        grounds = {f.key: f for f in scene.frames}
        assert [grounds[f"group-{n}"].lit for n in (name, other)] == [True, False]
        own = {s.key for s in scene.shapes if grounds[f"group-{name}"].holds(s.x, s.y) or s.name.startswith(f"{name}/")}
        assert len(own) > 9 and all(s.lit for s in scene.shapes if s.key in own)
        assert all(w.lit for w in scene.wires if {w.source, w.target} <= own)
        assert not any(s.lit for s in scene.shapes if s.name.startswith(f"{other}/"))
    tanhs = lstm().draw(highlight=lambda node: node.op.name == "tanh").scene
    assert {s.name for s in tanhs.shapes if s.lit and s.kind == "brick"} == {"candidate"}
    loop = bk.Graph({"hs": bk.scan(lstm(), bk.sequence("x", 5))}).draw(highlight=lambda node: node.brick == "forget")
    assert {s.name for s in loop.scene.shapes if s.lit} == {"forget"}


def test_nothing_by_that_name() -> None:
    with pytest.raises(bk.BlocksError, match=r"nothing called 'forgot' to highlight \(did you mean 'forget'"):
        lstm().draw(highlight="forgot")
    with pytest.raises(bk.BlocksError, match=r"no theme 'drak' \(did you mean 'dark'"):
        lstm().draw(theme="drak")
    with pytest.raises(bk.BlocksError, match=r"no brick 'forgt' to open \(did you mean 'forget'"):
        lstm().draw(open="forgt")
    with pytest.raises(bk.BlocksError, match="unrolled over 1 step or more, not 0"):
        lstm().draw(unroll=0)
    with pytest.raises(bk.BlocksError, match="zoom is a step from 1 to 3"):
        lstm().draw(unroll=3, zoom=4)
    with pytest.raises(bk.BlocksError, match="gradient is True or 'beside'"):
        lstm().draw(gradient="below")
    with pytest.raises(bk.BlocksError, match="unroll: only for one step of a cell"):
        bk.Graph({"y": bk.tanh(bk.input("x", 3))}).draw(unroll=3)
    with pytest.raises(bk.BlocksError, match=r"a figure is saved as \.svg"):
        lstm().draw().save("figure.bmp")
    with pytest.raises(bk.BlocksError, match="no folder 'nowhere'"):
        lstm().draw().save("nowhere/figure.svg")


# --- formats -------------------------------------------------------------------------------------


def figure_of(kind: str) -> Figure:
    if kind == "loop":
        loss = bk.losses.cross_entropy(
            bk.ADD(3, name="out")(bk.scan(lstm(), bk.sequence("x", 5))), bk.sequence("t", dtype="int")
        )
        return bk.grad(bk.Graph({"loss": loss})).draw(shapes=True)
    options: dict[str, dict[str, Any]] = {
        "cell": {}, "faded": {"highlight": "C"}, "steps": {"unroll": 3}, "gradient": {"gradient": "beside"},
        "opened": {"open": "forget"}, "operations": {"bricks": False},
    }  # fmt: skip
    return lstm().draw(**options[kind])


KINDS = ["cell", "faded", "steps", "gradient", "opened", "operations", "loop"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format(kind: str, tmp_path: Path) -> None:
    figure = figure_of(kind)
    for format in FORMATS:
        path = figure.save(tmp_path / f"figure.{format}")
        assert path.stat().st_size > 200
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"figure.{f}" for f in FORMATS)


@pytest.mark.parametrize("kind", KINDS)
def test_graphml_and_json_read_back(kind: str, tmp_path: Path) -> None:
    figure = figure_of(kind)
    drawn = figure.to_networkx()
    figure.save(tmp_path / "f.graphml")
    figure.save(tmp_path / "f.json")
    from_xml = networkx.read_graphml(tmp_path / "f.graphml", force_multigraph=True)
    data = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    from_json = networkx.node_link_graph(data, edges="edges")
    for again in (from_xml, from_json):
        assert again.is_directed() and again.is_multigraph()
        assert dict(again.nodes(data=True)) == dict(drawn.nodes(data=True))
        assert sorted(again.edges(keys=True)) == sorted(drawn.edges(keys=True))
        for source, target, key, attributes in drawn.edges(keys=True, data=True):
            assert again.edges[source, target, key] == attributes


def test_mermaid() -> None:
    """The cell in a subgraph, in the theme's colours, with Unicode's lowered letters; thick lines for state and bus."""
    text = lstm().draw(highlight="forget").render("mmd").decode()
    assert text.startswith("flowchart BT\n")
    inside = text[text.index("subgraph") : text.index("    end\n")]
    assert '["#963;<br/>forget"]:::brick' in inside and '["#963;<br/>output"]:::faded' in inside
    assert '["h#8348;#8331;#8321;"]:::statetext' in text and "h#8348;" not in inside
    used = set(re.findall(r":::(\w+)", text))
    assert used == set(re.findall(r"classDef (\w+) ", text))
    assert "classDef brick fill:#ffe08a,stroke:#6b4f00,color:#3d2d00" in text
    assert text.count("==>") == 3 + 4  # the conveyor's pieces and the bus to four bricks
    wires = [row for row in text.splitlines() if re.fullmatch(r"    n\d+ [=-]{2}> n\d+", row)]
    styled = [int(n) for row in re.findall(r"linkStyle ([\d,]+) ", text) for n in row.split(",")]
    assert sorted(styled) == list(range(len(wires)))
    nested = bk.Graph(
        {"y": bk.scan(bk.cells.srn(2, 2, name="up"), bk.scan(bk.cells.gru(2, 2, name="low"), bk.sequence("x", 2)))}
    ).draw()
    text = nested.render("mmd").decode()
    assert text.count("subgraph") == text.count("    end\n") == len(nested.scene.frames)


def test_dot_draws_itself_right() -> None:
    """Whatever engine it is given to: places and ways are kept."""
    import pygraphviz

    figure = lstm().draw()
    drawn = pygraphviz.AGraph(string=figure.render("dot").decode()).draw(format="svg", prog="dot").decode()
    middles = re.findall(r'<ellipse fill="#f7c6d4".*? cx="(.*?)" cy="(.*?)"', drawn)
    wanted = [(s.x, s.y) for s in figure.scene.shapes if s.form == "circle"]
    assert [(float(x), -float(y)) for x, y in middles] == [pytest.approx(p, abs=0.02) for p in wanted]


def test_tikz_names_its_nodes() -> None:
    """Each shape is a node of its own name, of a style of its own that a paper can set before."""
    figure = lstm().draw(unroll=3, zoom="all")
    text = figure.render("tikz").decode()
    nodes = re.findall(r"^\\node\[blocks/node.*?\] \((.*?)\)", text, flags=re.MULTILINE)
    assert len(nodes) == len(set(nodes)) == len(figure.scene.shapes) + len(figure.scene.frames)
    assert {"forget", "forget-2", "forget-3", "C-state", "h-output", "x"} <= set(nodes)
    used = set(re.findall(r"blocks/([\w ]+)[,\]]", text.split("\\begin{tikzpicture}")[1]))
    assert used == set(re.findall(r"^\\blocksstyle\{(.*?)\}", text, flags=re.MULTILINE)) and "brick" in used
    assert text.startswith("%") and "\\documentclass" not in text
    assert figure.render("tex").decode().count(text) == 1


@pytest.mark.parametrize("gradient", [True, "beside"])
def test_tikz_words_have_no_frame(gradient: bool | str) -> None:
    """What is words alone has a style of its own, which draws and fills nothing: the list of the weights of all steps
    too, whose kind is also that of boxes."""
    figure = lstm().draw(unroll=3, gradient=gradient)
    text = figure.render("tikz").decode()
    styles = dict(re.findall(r"^\\blocksstyle\{(.*?)\}\{(.*)\}%$", text, flags=re.MULTILINE))
    nodes = re.findall(r"^\\node\[blocks/node, (.*?)\] \(.*?\) at \(([\d.]+),([\d.]+)\)", text, flags=re.MULTILINE)
    words = [s for s in figure.scene.shapes if s.form == "text"]
    assert "weights" in {s.name for s in words}
    for s in words:
        (own,) = (o for o, x, y in nodes if (float(x), float(y)) == pytest.approx((s.x, s.y), abs=0.01))
        assert own.startswith("blocks/") and styles[own.removeprefix("blocks/")].startswith("text="), (s.name, own)


def hostile_cell(name: str) -> bk.Cell:
    x, h = bk.input(name, 3), bk.state("h" + name, 3)
    brick = bk.TANH(3, name="b" + name)
    free = bk.parameter("p" + name, 3)
    return bk.Cell({h: brick(x, h) * free}, {"y" + name: h})


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("options", [{}, {"bricks": False}, {"unroll": 2}, {"shapes": True, "gradient": True}], ids=str)
def test_hostile_names_are_inert(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    figure = hostile_cell(name).draw(title=f"title {name}", **options)
    root = ElementTree.fromstring(figure.render("svg"))
    assert not [e for e in root.iter() if e.tag in (f"{SVG}script", "script")]
    assert len([e for e in root if e.tag == f"{SVG}g" and "id" in e.attrib]) == len(
        figure.scene.shapes + figure.scene.frames
    )
    assert networkx.parse_graphml(figure.render("graphml").decode(), force_multigraph=True)
    assert len(json.loads(figure.render("json"))["nodes"]) == len(figure.scene.shapes)
    latex = figure.render("tex").decode()
    assert "\\input{" not in latex and latex.count("\\begin{") == latex.count("\\end{") == 2
    labels = [row.split('"')[1] for row in figure.render("mmd").decode().splitlines()[1:] if '"' in row]
    assert len(labels) == len(figure.scene.shapes + figure.scene.frames)
    assert all(c.isalnum() or c in " ,.#;" for label in labels for c in label.replace("<br/>", ""))
    for format in ("png", "pdf", "dot"):
        assert figure.render(format)


def test_tikz_compiles(tmp_path: Path) -> None:
    """With pdflatex where there is one; its braces are paired everywhere."""
    for number, figure in enumerate([figure_of("steps"), figure_of("loop"), hostile_cell("".join(HOSTILE)).draw()]):
        latex = figure.save(tmp_path / f"f{number}.tex").read_text(encoding="utf-8")
        plain = latex.replace("\\{", "").replace("\\}", "")
        assert plain.isascii() and plain.count("{") == plain.count("}")
        if shutil.which("pdflatex") is None:
            continue
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"f{number}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Output written" in done.stdout and "(1 page" in done.stdout


# --- the same everywhere -------------------------------------------------------------------------

SCRIPT = """
import hashlib, sys
import blocks as bk
from blocks.cells.table import GALLERY
out = hashlib.sha256()
for name in list(GALLERY)[::5]:
    figure = GALLERY[name].make(4, 4).draw()
    for format in ("svg", "png", "dot", "tex", "mmd", "graphml", "json"):
        out.update(figure.render(format))
x = bk.sequence("x", 4)
loss = bk.losses.cross_entropy(bk.ADD(3, name="o")(bk.scan(bk.cells.gru(4, 4), x)), bk.sequence("t", dtype="int"))
out.update(bk.grad(bk.Graph({"loss": loss})).draw().render("svg"))
out.update(bk.cells.lstm(4, 4).draw(gradient="beside", open="forget").render("svg"))
print(out.hexdigest())
"""


def test_same_bytes_in_every_process() -> None:
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PATH": ""}  # and no dot on the PATH
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_two_hundred_steps() -> None:
    folded = lstm().draw(unroll=200)
    folded.render("svg")
    assert [s.name for s in folded.scene.shapes if s.kind == "gap"] == ["195 steps"]
    full = lstm().draw(unroll=200, full=True, zoom="none").scene
    assert len([s for s in full.shapes if s.kind == "step"]) == 200


# --- looks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_contrast(theme: Theme) -> None:
    """Text 4.5 to 1 on its ground, lines 3 to 1 (WCAG 2.1, 1.4.3 and 1.4.11)."""
    frames = [fill for fill, _ in theme.frames.values()]
    for kind, (fill, edge, text) in theme.shapes.items():
        assert contrast(fill, text) >= 4.5, kind
        assert contrast(fill, edge) >= 3, kind
    for ground in (theme.background, *frames):
        assert contrast(theme.text, ground) >= 4.5
        for wire in (theme.wire, theme.conveyor, theme.gradient, theme.wrong):
            assert contrast(wire, ground) >= 3
    for fill, edge in theme.frames.values():
        assert contrast(edge, theme.background) >= 3 and contrast(edge, fill) >= 3


def seen(colour: str, blind: str) -> tuple[float, ...]:
    """A colour as the colour-blind see it (Machado et al. 2009, severity 1)."""
    matrix = {
        "protanopia": (0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998),
        "deuteranopia": (0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881),
        "tritanopia": (1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900),
    }[blind]
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return tuple(matrix[i] * r + matrix[i + 1] * g + matrix[i + 2] * b for i in (0, 3, 6))


@pytest.mark.parametrize("blind", ["protanopia", "deuteranopia", "tritanopia"])
@pytest.mark.parametrize("name", ["classic", "dark"])
def test_colour_blind(name: str, blind: str) -> None:
    """Bricks, operations and gradients stay apart; the monochrome theme tells them by shape and text alone."""
    fills = [THEMES[name].shapes[kind][0] for kind in ("brick", "operation", "gradient")]
    for i, one in enumerate(fills):
        for other in fills[i + 1 :]:
            distance = sum((a - b) ** 2 for a, b in zip(seen(one, blind), seen(other, blind), strict=True)) ** 0.5
            assert distance > 20, (one, other)


def test_long_and_odd_names_fit() -> None:
    assert clip("x" * 100) == "x" * 15 + "…" + "x" * 8
    assert line("W" * 10, 10).width > line("i" * 10, 10).width
    x, h = bk.input("a very long name of an input wire", 3), bk.state("状態", 3)
    brick = bk.TANH(3, name="the brick with a name that nobody would write into a box")
    scene = bk.Cell({h: brick(x, h)}, h).draw(counts=True).scene
    for s in scene.shapes:
        assert all(row.width <= s.w for row in s.lines)


def test_a_brick_says_what_it_is() -> None:
    scene = lstm().draw(counts=True).scene
    forget = next(s for s in scene.shapes if s.name == "forget")
    assert forget.tooltip == "forget = σ(x W_x + h' W_h + b); (batch, 5); 55 weights"
    assert [row.plain for row in forget.lines] == ["σ", "forget", "55 weights"]
    product = next(s for s in scene.shapes if s.kind == "operation")
    assert product.tooltip == "multiply: a * b of forget, C; (batch, 5)"
    state = next(s for s in scene.shapes if s.kind == "state" and s.name == "h")
    assert state.lines[0].plain == "h_t−1"
    assert [r.sub for r in state.lines[0].runs] == [False, True]


def test_a_table_belongs_to_its_brick() -> None:
    ids, h = bk.input("ids", dtype="int"), bk.state("h", 4)
    scene = bk.Cell({h: bk.TANH(4, name="hidden")(bk.EMBED(10, 3)(ids), h)}, h).draw(counts=True).scene
    assert not [s for s in scene.shapes if s.kind == "parameter"]
    assert next(s for s in scene.shapes if s.name == "embed").lines[2].plain == "30 weights"


def test_pins(tmp_path: Path) -> None:
    """Where the user wants something, it stands, and the rest goes round it."""
    free = lstm().draw().scene
    order = [s.name for s in sorted(free.shapes, key=lambda s: s.x) if s.kind == "brick"]
    assert order == ["forget", "input", "candidate", "output"]
    pinned = lstm().draw(x={"output": 0.5}).scene
    order = [s.name for s in sorted(pinned.shapes, key=lambda s: s.x) if s.kind == "brick"]
    assert order == ["output", "forget", "input", "candidate"]
    with pytest.raises(bk.BlocksError, match="nothing called 'outptu' to place"):
        lstm().draw(x={"outptu": 1})


def test_lanes() -> None:
    cell = bk.Cell(*two_lanes())
    heights = {s.name: s.y for s in cell.draw().scene.shapes if s.kind == "state"}
    assert heights["a"] > heights["b"]
    heights = {s.name: s.y for s in cell.draw(lane={"b": 1, "a": 2}).scene.shapes if s.kind == "state"}
    assert heights["b"] > heights["a"]
    with pytest.raises(bk.BlocksError, match="no conveyor 'c'"):
        cell.draw(lane={"c": 1})


def two_lanes() -> tuple[dict[bk.Node, bk.Node], bk.Node]:
    x, a, b = bk.input("x", 3), bk.state("a", 3), bk.state("b", 3)
    return {a: a + bk.TANH(3, name="one")(x), b: b + bk.TANH(3, name="two")(x)}, a


def test_repr() -> None:
    assert repr(lstm().draw(title="an LSTM")).startswith("<Figure of 16 shapes: an LSTM")
