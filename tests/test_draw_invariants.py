"""What must hold of every scene, on the gallery, on cells of unusual form, and on a thousand random ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import blocks as bk
from blocks.draw.diagram.cell import diagram_of
from blocks.draw.formats.strokes import strokes
from blocks.draw.layout.levels import layout
from blocks.draw.scene import Scene, Shape, Wire
from blocks.draw.text import LINE_HEIGHT, extent

from .strategies import examples

EPS = 1e-6
GALLERY = list(bk.cells.__all__)


def gallery_cell(name: str) -> bk.Cell:
    return getattr(bk.cells, name)(5, 5)


# --- the invariants ------------------------------------------------------------------------------


def check(scene: Scene) -> None:
    """Raises AssertionError naming what is wrong."""
    for a, b in combinations(scene.shapes, 2):
        apart = a.right <= b.left + EPS or b.right <= a.left + EPS or a.top <= b.bottom + EPS or b.top <= a.bottom + EPS
        assert apart, f"{a.key} and {b.key} overlap"
    assert len({s.key for s in scene.shapes}) == len(scene.shapes), "two shapes have one key"
    assert len({w.key for w in scene.wires}) == len(scene.wires), "two wires have one key"
    for s in scene.shapes:
        w, h = extent(s.lines)
        assert w <= s.w + EPS and h <= s.h + 6, f"the label of {s.key} leaves it: {w} in {s.w}, {h} in {s.h}"
        on_canvas(scene, s.key, (s.left, s.bottom), (s.right, s.top))
    for f in scene.frames:
        on_canvas(scene, f.key, (f.x, f.y), (f.x + f.w, f.y + f.h))
    by_key = {s.key: s for s in scene.shapes}
    for wire in scene.wires:
        check_wire(scene, wire, by_key)
    for dot in scene.dots:
        on_canvas(scene, "dot", (dot.x, dot.y))
        assert any(w.net == dot.net and on_way((dot.x, dot.y), w) for w in scene.wires), "a fork off its wire"
    check_marks(scene)
    for _, curve in strokes(scene):
        assert len(curve) % 3 == 1 and len(curve) >= 4
        on_canvas(scene, "curve", *curve)
    no_shared_way(scene)


def check_wire(scene: Scene, wire: Wire, shapes: dict[str, Shape]) -> None:
    assert on_border(shapes[wire.source], wire.points[0]), f"{wire.key} does not start on the border of its source"
    assert on_border(shapes[wire.target], wire.points[-1]), f"{wire.key} does not end on the border of its target"
    on_canvas(scene, wire.key, *wire.points)
    for a, b in pairwise(wire.points):
        assert (a[0] == b[0]) != (a[1] == b[1]), f"{wire.key} has a slanted or empty piece"
        for s in scene.shapes:
            assert not passes_through(a, b, s), f"{wire.key} passes through {s.key}"
    if wire.label and wire.label_at:
        w, h = wire.label.width / 2, wire.label.size * LINE_HEIGHT / 2
        x, y = wire.label_at
        on_canvas(scene, wire.key, (x - w, y - h), (x + w, y + h))
        for s in scene.shapes:
            apart = x + w <= s.left or x - w >= s.right or y + h <= s.bottom or y - h >= s.top
            assert apart, f"the label of {wire.key} lies on {s.key}"


def passes_through(a: tuple[float, float], b: tuple[float, float], s: Shape) -> bool:
    low, high = (min(a[0], b[0]), min(a[1], b[1])), (max(a[0], b[0]), max(a[1], b[1]))
    if s.form == "circle":
        dx, dy = max(low[0] - s.x, s.x - high[0], 0.0), max(low[1] - s.y, s.y - high[1], 0.0)
        return (dx * dx + dy * dy) ** 0.5 < s.w / 2 - EPS
    return high[0] > s.left + EPS and low[0] < s.right - EPS and high[1] > s.bottom + EPS and low[1] < s.top - EPS


def check_marks(scene: Scene) -> None:
    """The mark of an entry stands near the end of its wire, and on nothing: no shape, no wire, no other mark."""
    marks = [(w, w.mark, w.mark_at) for w in scene.wires if w.mark and w.mark_at]
    boxes = []
    for wire, mark, (x, y) in marks:
        turned = wire.kind == "gradient" and scene.title.endswith("gradient")
        ends = (wire.points[0],) if turned else (wire.points[-1], wire.points[0])
        assert min(abs(x - a) + abs(y - b) for a, b in ends) < 36, f"the mark of {wire.key} is far from its entry"
        boxes.append((wire.key, x - mark.width / 2, y - 3, x + mark.width / 2, y + 3))
    for key, x0, y0, x1, y1 in boxes:
        on_canvas(scene, key, (x0, y0), (x1, y1))
        for s in scene.shapes:
            dx, dy = max(x0 - s.x, s.x - x1, 0.0), max(y0 - s.y, s.y - y1, 0.0)
            apart = (
                dx * dx + dy * dy >= (s.w / 2 - 1) ** 2
                if s.form == "circle"
                else dx > s.w / 2 - 0.5 or dy > s.h / 2 - 0.5
            )
            assert apart, f"the mark of {key} lies on {s.key}"
        for wire in scene.wires:
            for a, b in pairwise(wire.points):
                past = min(a[0], b[0]) >= x1 or max(a[0], b[0]) <= x0 or min(a[1], b[1]) >= y1 or max(a[1], b[1]) <= y0
                assert past, f"the mark of {key} lies on {wire.key}"
    for (key, a0, b0, a1, b1), (other, c0, d0, c1, d1) in combinations(boxes, 2):
        assert a0 >= c1 or c0 >= a1 or b0 >= d1 or d0 >= b1, f"the marks of {key} and {other} lie on each other"


def no_shared_way(scene: Scene) -> None:
    """Two values never lie on one line; in the gradient, faded wires may lie under those that are turned round."""
    turned = any(w.kind == "gradient" for w in scene.wires)
    pieces = [(w.net, a, b) for w in scene.wires if w.lit or not turned for a, b in pairwise(w.points)]
    for along, across in ((0, 1), (1, 0)):
        lines: dict[float, list[tuple[float, float, str]]] = {}
        for net, a, b in pieces:
            if a[across] == b[across]:
                lines.setdefault(a[across], []).append((*sorted((a[along], b[along])), net))
        for spans in lines.values():
            for (low, high, net), (start, end, other) in combinations(sorted(spans), 2):
                assert net == other or min(high, end) - max(low, start) <= EPS, f"{net} and {other} share a way"


def on_canvas(scene: Scene, key: str, *points: tuple[float, float]) -> None:
    for x, y in points:
        assert -EPS <= x <= scene.width + EPS and -EPS <= y <= scene.height + EPS, f"{key} leaves the canvas"


def on_border(s: Shape, point: tuple[float, float]) -> bool:
    x, y = point
    if s.form == "circle" and abs((x - s.x) ** 2 + (y - s.y) ** 2 - (s.w / 2) ** 2) < EPS:
        return True
    upright = abs(x - s.left) < EPS or abs(x - s.right) < EPS
    level = abs(y - s.bottom) < EPS or abs(y - s.top) < EPS
    return (upright and s.bottom - EPS <= y <= s.top + EPS) or (level and s.left - EPS <= x <= s.right + EPS)


def on_way(point: tuple[float, float], wire: Wire) -> bool:
    x, y = point
    return any(
        min(a[0], b[0]) <= x <= max(a[0], b[0]) and min(a[1], b[1]) <= y <= max(a[1], b[1])
        for a, b in pairwise(wire.points)
    )


def check_cell(cell: bk.Cell) -> Scene:
    diagram = diagram_of(cell.graph)
    scene = layout(diagram)
    check(scene)
    for state, way in diagram.conveyors.items():
        wires = [w for w in scene.wires if (w.source, w.target) in set(pairwise(way)) and w.kind == "conveyor"]
        heights = {y for w in wires for _, y in w.points}
        assert len(heights) == 1 and all(len(w.points) == 2 for w in wires), f"the conveyor of {state} has a bend"
    for element in diagram.elements.values():
        for number, link in enumerate(element.entries):
            key = f"{link.source}-{element.key}-{number}"
            wire = next((w for w in scene.wires if w.key == key), None)
            assert wire, f"the wire {key} is missing"
            assert (wire.mark.plain if wire.mark else "") == link.mark, f"the wire {key} has not its mark"
    return scene


# --- cells of unusual form -----------------------------------------------------------------------


def peephole(n: int, u: int) -> bk.Cell:
    x, h, c = bk.input("x", n), bk.state("h", u), bk.state("C", u)
    f = bk.SIGM(u, name="forget", weights={"C": "diagonal"})(x, h, c)
    i = bk.SIGM(u, name="input", weights={"C": "diagonal"})(x, h, c)
    c1 = f * c + i * bk.TANH(u, name="candidate")(x, h)
    o = bk.SIGM(u, name="output", weights={"3": "diagonal"})(x, h, c1)
    h1 = o * bk.tanh(c1)
    return bk.Cell({h: h1, c: c1}, h1)


def stacked(n: int, u: int) -> bk.Cell:
    x = bk.input("x", n)
    below = bk.cells.lstm(n, u, name="one")(x)
    middle = bk.cells.gru(u, u, name="two")(below)
    return bk.Cell({}, bk.ADD(3, name="out")(bk.cells.srn(u, u, name="three")(middle)))


def wrapped(n: int, u: int) -> bk.Cell:
    top = bk.residual(bk.zoneout(bk.cells.gru(u, u), 0.2))
    return bk.layers(bk.cells.srn(n, u), top, bk.residual(bk.cells.lstm(u, u)), name="all")


def highway(n: int, u: int) -> bk.Cell:
    x, start = bk.input("x", n), bk.state("s", u)
    s = start
    for depth in range(3):
        wires = (s,) if depth else (x, s)
        gate = bk.SIGM(u, name=f"t{depth}")(*wires)
        s = bk.TANH(u, name=f"h{depth}")(*wires) * gate + s * (1 - gate)
    return bk.Cell({start: s}, s)


def delay(n: int, u: int) -> bk.Cell:
    x, a, b = bk.input("x", n), bk.state("a", n), bk.state("b", n)
    return bk.Cell({a: x, b: a}, bk.TANH(u, name="taps")(x, a, b))


def kept(n: int, u: int) -> bk.Cell:
    """A state that never changes, one that is never read, an output that is the input, a square."""
    x, h, g = bk.input("x", n), bk.state("h", u), bk.state("g", u)
    return bk.Cell({h: h, g: bk.TANH(u)(x)}, {"same": x, "square": h * h, "h": h})


def shared(n: int, u: int) -> bk.Cell:
    """A brick called three times, once on its own value."""
    x, h = bk.input("x", n), bk.state("h", n)
    again = bk.TANH(n, name="again")
    return bk.Cell(
        {h: again(again(x)) + again(h)}, {"p": bk.SOFTMAX(u, name="soft")(h), "q": bk.concat(x, h, x * h, -x)}
    )


def without_input(n: int, u: int) -> bk.Cell:
    h = bk.state("h", u)
    scale = bk.parameter("scale", u)
    return bk.Cell({h: bk.where(bk.greater(h, 0.5), h * scale, bk.exp(-h))}, h)


UNUSUAL = [peephole, stacked, wrapped, highway, delay, kept, shared, without_input]


@pytest.mark.parametrize("name", GALLERY)
def test_gallery(name: str) -> None:
    check_cell(gallery_cell(name))


@pytest.mark.parametrize("make", UNUSUAL, ids=lambda f: f.__name__)
def test_unusual(make: Callable[[int, int], bk.Cell]) -> None:
    check_cell(make(4, 5))


# --- other views ---------------------------------------------------------------------------------

VIEWS = {
    "three steps": {"unroll": 3},
    "all open": {"unroll": 2, "zoom": "all"},
    "closed": {"unroll": 9, "zoom": "none"},
    "gradient": {"gradient": True},
    "beside": {"gradient": "beside"},
    "shapes": {"shapes": True},
    "counts": {"counts": True},
    "folded": {"fold": True},
    "shapes, unrolled": {"shapes": True, "unroll": 3},
    "gradient, shapes": {"gradient": True, "shapes": True},
    "gradient, unrolled": {"gradient": True, "unroll": 3},
    "gradient, all open": {"gradient": True, "unroll": 2, "zoom": "all"},
    "beside, unrolled": {"gradient": "beside", "unroll": 9},
    "gradient, highlight": {"gradient": True, "highlight": lambda node: node.op.name == "tanh", "open": ()},
}


@pytest.mark.parametrize("options", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("make", [bk.cells.srn, bk.cells.lstm, bk.cells.gru, bk.cells.book_lstm, *UNUSUAL])
def test_views(make: Callable[[int, int], bk.Cell], options: dict[str, Any]) -> None:
    if "fold" in options and make is not stacked:
        return  # there is no cell inside
    check(make(5, 5).draw(**options).scene)


ORDERED = {
    "subtract": (lambda a, b: a - b, ("+", "−")),
    "divide": (lambda a, b: a / b, ("×", "÷")),
    "power": (lambda a, b: a**b, ("1", "2")),
    "outer": (lambda a, b: bk.sum(bk.outer(a, b)), ("1", "2")),
    "concat": (lambda a, b: bk.sum(bk.concat(a, b)), ("1", "2")),
}


@pytest.mark.parametrize("name", ORDERED)
@pytest.mark.parametrize("options", [{}, {"gradient": True}, {"bricks": False}, {"unroll": 2, "zoom": "all"}], ids=str)
def test_operands_are_told_apart(name: str, options: dict[str, Any]) -> None:
    """Operands that change places are another figure in every format; the mark says which is which."""
    make, marks = ORDERED[name]

    def figure(swap: bool) -> bk.Figure:
        a, h = bk.input("a", 4), bk.state("h", 4)
        value = bk.tanh(make(h, a) if swap else make(a, h))
        return bk.Cell({h: h + value}, value).draw(**options)

    for swap in (False, True):
        scene = figure(swap).scene
        drawn = {s.key: s for s in scene.shapes}
        found = set()
        for w in scene.wires:
            if w.mark:
                ends = drawn[w.source], drawn[w.target]
                (operation,) = [s for s in ends if s.name.startswith(name)]
                found.add(w.mark.plain)
                other = next(s for s in ends if s is not operation)
                if other.kind == "input":
                    assert w.mark.plain == marks[1 if swap else 0]
        assert found == set(marks)
    for format in ("svg", "tex", "dot", "mmd", "json", "graphml"):
        one, other = (_without_words(figure(swap).render(format).decode(), format) for swap in (False, True))
        assert one != other, format


def _without_words(text: str, format: str) -> str:
    """What is seen of a figure: without titles and tooltips, which name the operands."""
    text = re.sub(r"<(title|desc)[^>]*>.*?</\1>|xlink:title=\"[^\"]*\"|data-figure=\"[^\"]*\"", "", text, flags=re.S)
    return re.sub(r'(edge)?tooltip="[^"]*"|"tooltip": "[^"]*"|<data key="tooltip">[^<]*', "", text)


def test_entries_without_an_order_have_no_mark() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    for value in (x + h, x * h, bk.maximum(x, h), 1 - h, h / 2.0, bk.ADD(3)(x, h)):
        assert not any(w.mark for w in bk.Cell({h: value}, value).draw().scene.wires)


def test_groups() -> None:
    """Each cell inside a cell has a frame, and only its own shapes in it; folded, it is one box."""
    cell = stacked(5, 5)
    scene = cell.draw().scene
    groups = {f.tooltip: f for f in scene.frames if f.kind == "group"}
    assert set(groups) == {"one", "two", "three"}
    for name, f in groups.items():
        inside = [s for s in scene.shapes if f.x < s.x < f.x + f.w and f.y < s.y < f.y + f.h]
        bricks = {s.name for s in inside if s.kind == "brick"}
        assert bricks == {s.name for s in scene.shapes if s.name.startswith(f"{name}/") and s.kind == "brick"} != set()
    folded = cell.draw(fold=True).scene
    check(folded)
    assert {s.name for s in folded.shapes if s.kind == "brick"} == {"one", "two", "three", "out"}
    assert not [s for s in folded.shapes if s.kind in ("state", "operation")]
    check(cell.draw(fold="two", unroll=3, highlight="one").scene)
    with pytest.raises(bk.BlocksError, match=r"no group 'tow' to fold \(did you mean 'two'"):
        cell.draw(fold="tow")


def norm(units: int, name: str | None = None) -> bk.Cell:
    """A LayerNorm written of operations, with a gain of its own."""
    x = bk.input("x", units)
    centred = x - bk.mean(x, axis=-1, keepdims=True)
    scale = bk.sqrt(bk.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)
    return bk.Cell({}, centred / scale * bk.parameter("gain", units), name=name)


def normed(n: int, u: int) -> bk.Cell:
    x, h, normal = bk.input("x", n), bk.state("h", u), norm(u, "norm")
    h1 = h + bk.TANH(u, name="hidden")(x, normal(h))
    return bk.Cell({h: h1}, normal(h1))


def test_a_cell_of_operations_is_one_box() -> None:
    cell = normed(3, 4)
    scene = cell.draw(counts=True).scene
    check(scene)
    boxes = [s for s in scene.shapes if s.kind == "brick"]
    assert sorted(s.name for s in boxes) == ["hidden", "norm", "norm"]
    assert all(s.shared and s.lines[-1].plain == "4 weights" for s in boxes if s.name == "norm")
    assert [s.name for s in scene.shapes if s.kind == "operation"] == ["add"]
    for options in ({"gradient": "beside"}, {"gradient": True, "unroll": 3}, {"unroll": 2, "zoom": "all"}):
        check(cell.draw(**options).scene)
    hung = [s.nodes for s in cell.draw(gradient=True).scene.shapes if s.name == "weights of norm"]
    assert hung == [("norm/gain",)] * 2
    _, ends = bk.scan(cell, bk.sequence("x", 3), final=True)
    graph = bk.Graph({"loss": bk.mean(norm(4, "last")(ends["h"]))})
    for kind, names in (("brick", {"hidden", "norm", "last"}), ("gradient", {"∂ hidden", "∂ norm", "∂ last"})):
        drawn = (graph if kind == "brick" else bk.grad(graph)).draw().scene
        check(drawn)
        assert names <= {s.name for s in drawn.shapes if s.kind == kind}
        assert not [s for s in drawn.shapes if s.name.startswith("sqrt")]


def test_a_cell_of_operations_is_drawn_open_by_itself() -> None:
    for scene in (norm(4, "norm").draw().scene, normed(3, 4).draw(open="norm").scene):
        check(scene)
        assert {"÷", "√"} <= {line.plain for s in scene.shapes if s.kind == "operation" for line in s.lines}
    over_time = bk.Graph({"y": bk.scan(norm(4, "norm"), bk.sequence("x", 4))}).draw().scene
    assert [f.lines[0].plain for f in over_time.frames] == ["norm: t = 1 … T"]
    x = bk.input("x", 4)
    two = bk.Cell({}, {"up": bk.exp(x), "down": bk.exp(-x)}, name="both")
    drawn = bk.Graph(two(bk.tanh(bk.input("z", 4)))).draw().scene
    assert not [s for s in drawn.shapes if s.kind == "brick"]  # a brick gives one value


def test_what_stands_before_all_names_is_no_group() -> None:
    cell = wrapped(5, 4)
    folded = cell.draw(fold=True).scene
    check(folded)
    assert {s.name for s in folded.shapes if s.kind == "brick"} == {f"all/layer{i}" for i in (1, 2, 3)}
    assert [s.lines[0].plain for s in folded.shapes if s.kind == "brick"] == ["layer1", "layer2", "layer3"]
    assert [s.kind for s in folded.shapes if s.kind in ("operation", "draw")] == ["operation"] * 2  # the sums
    alone = bk.layers(bk.cells.srn(3, 4), name="all").draw(fold=True).scene
    assert [s.name for s in alone.shapes if s.kind == "brick"] == ["all/layer1"]


def test_a_layer_without_weights_is_an_operation() -> None:
    """Its operands meet in its box, and not in a concatenation before it; with the draw that it takes it is one layer;
    folded, it is one box without weights. The legend has a mark of its own for it."""
    outputs = bk.dropout(bk.tanh(bk.input("x", 5)), 0.1)
    gate = bk.Cell(states={}, outputs=outputs)
    cell = bk.layers(bk.cells.gru(3, 5), gate, bk.cells.gru(5, 5))
    each: list[dict[str, Any]] = [{}, {"unroll": 3}, {"gradient": "beside"}, {"highlight": "layer2"}]
    for options in each:
        scene = cell.draw(**options).scene
        check(scene)
        (box,) = (s for s in scene.shapes if s.name == "layer2" and s.form == "box" and s.kind != "gradient")
        into = [next(s for s in scene.shapes if s.key == w.source) for w in scene.wires if w.target == box.key]
        assert box.kind == "operation" and len(into) == 2
        assert not [s for s in into if s.kind == "merge"] and any(s.kind == "draw" for s in into)
        around = [f for f in scene.frames if f.x < box.x < f.x + f.w and f.y < box.y < f.y + f.h]
        (frame,) = (f for f in around if f.kind == "group")
        assert frame.key.endswith("group-layer2") and not frame.lines, "its box says what it is"
        assert [f.lines[0].plain for f in scene.frames if f.key.endswith("group-layer1")][:1] == ["layer1"]
    for options in each[:3]:
        check(cell.draw(fold=True, **options).scene)
        folded = cell.draw(fold=True, legend=True, **options).scene
        box = next(s for s in folded.shapes if s.name == "layer2" and s.form == "box")
        assert box.kind == "operation"
        assert not [text for text in box.lines if "brick" in text.plain or "operation" in text.plain]
        said = {s.name for s in folded.shapes if s.kind == "caption"}
        assert "several operations without weights" in said
    named = bk.Cell(states={}, outputs=outputs, name="gate")
    rows = bk.Graph({"y": named(bk.TANH(5, name="first")(bk.input("x", 3)))}).draw().scene
    assert {s.name: s.kind for s in rows.shapes if s.form == "box"} == {
        "first": "brick", "gate/keep": "draw", "gate": "operation",
    }  # fmt: skip


def test_a_tall_stack_is_folded() -> None:
    wire = bk.input("x", 4)
    for number in range(12):
        wire = bk.cells.lstm(4, 4, name=f"layer{number}")(wire)
    scene = bk.Cell({}, wire).draw().scene
    check(scene)
    assert [s.name for s in scene.shapes if s.kind == "brick"] == [f"layer{number}" for number in range(12)]


@pytest.mark.parametrize("name", GALLERY)
def test_opened(name: str) -> None:
    cell = gallery_cell(name)
    bricks = sorted({str(n.brick) for n in cell.graph.order() if n.brick})
    scene = cell.draw(open=bricks, counts=True).scene
    check(scene)
    drawn = {n for s in scene.shapes if s.kind == "parameter" for n in s.nodes}
    assert drawn == set(cell.params), "an opened brick shows all its weights"


def test_the_states_join_the_steps() -> None:
    """One line from step to step for the SRN, two for the LSTM, and each conveyor straight through all."""
    for make, lines in ((bk.cells.srn, 1), (bk.cells.lstm, 2), (bk.cells.gru, 1)):
        scene = make(5, 5).draw(unroll=3, zoom="none").scene
        steps = [s.key for s in scene.shapes if s.kind == "step"]
        assert len(steps) == 3
        for a, b in pairwise(steps):
            assert len([w for w in scene.wires if (w.source, w.target) == (a, b)]) == lines
    scene = bk.cells.lstm(5, 5).draw(unroll=3).scene
    conveyor = [w for w in scene.wires if w.kind == "conveyor"]
    assert len({y for w in conveyor for _, y in w.points}) == 1
    assert all(s.shared for s in scene.shapes if s.kind in ("brick", "step"))


def test_folded_cells_keep_their_states() -> None:
    """Each state goes from step to step, into the box and out of it; several values of a box are told apart."""
    cell = stacked(5, 5)
    scene = cell.draw(fold=True, unroll=3, zoom="all").scene
    check(scene)
    shapes = {s.key: s for s in scene.shapes}
    states = [s.name for s in scene.shapes if s.key.startswith("before-")]
    assert sorted(states) == ["one/C", "one/h", "three/h", "two/h"]
    for step in (1, 2):
        between = [
            w for w in scene.wires if w.source.startswith(f"step{step}-") and w.target.startswith(f"step{step + 1}-")
        ]
        assert len(between) == len(states)
        sources = {w.source for w in between}
        assert sorted(shapes[key].name for key in sources) == ["one/C", "one/h", "three", "two"]
    parts = [s for s in scene.shapes if s.kind == "part"]
    assert [s.name for s in parts] == ["one/C", "one/h"] * 3 or [s.name for s in parts] == ["one/h", "one/C"] * 3
    check(cell.draw(fold=True, unroll=3, gradient="beside").scene)


def test_states_that_are_copied_or_never_read() -> None:
    """Each next value of a state has its line in every step, to the next step or to its label."""
    a, b, c = (bk.state(name, 3) for name in ("a", "b", "c"))
    cell = bk.Cell({a: a, b: a, c: a}, {"y": bk.tanh(b)})
    for options in ({"zoom": "all"}, {"zoom": 1}, {"gradient": True, "zoom": "all"}, {"gradient": "beside", "zoom": 3}):
        check(cell.draw(unroll=3, **options).scene)
    scene = cell.draw(unroll=3, zoom="all").scene
    ends = [s for s in scene.shapes if s.kind == "next"]
    assert [s.name for s in ends].count("c") == 3 and len(ends) == 5
    assert all([w.target for w in scene.wires].count(s.key) == 1 for s in ends)


def test_no_gradient_goes_through_what_stops_it() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    cell = bk.Cell({h: bk.stop_gradient(bk.TANH(3, name="cut")(x, h)) + bk.TANH(3, name="open")(x, h)}, h)
    scene = cell.draw(gradient=True).scene
    cut, free = (next(s.key for s in scene.shapes if s.name == name) for name in ("cut", "open"))
    kinds = {key: {w.kind for w in scene.wires if key in (w.source, w.target)} for key in (cut, free)}
    assert kinds == {cut: {"kept"}, free: {"kept", "gradient"}}


# --- random cells --------------------------------------------------------------------------------

UNARY = [bk.tanh, bk.sigm, bk.exp, lambda a: 1 - a, lambda a: 0.5 * a, lambda a: a * a]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, bk.maximum, lambda a, b: a / b]
TERNARY = [bk.where, lambda a, b, c: bk.slice(bk.concat(a, b, c, a), start=2, stop=5)]


def of_operations(units: int, name: str) -> Callable[..., bk.graph.Node]:
    """A cell without states and bricks, which is drawn as one."""

    def called(*wires: bk.graph.Node) -> bk.graph.Node:
        ports = {f"p{i}": wire for i, wire in enumerate(wires)}
        inside = [bk.input(port, units) for port in ports]
        centred = inside[0] - bk.mean(inside[-1], axis=-1, keepdims=True)
        gain = bk.parameter("gain", units) if len(wires) > 1 else 2.0
        return bk.Cell({}, centred * sum(inside, gain), name=name)(**ports)

    return called


BRICKS = [bk.SIGM, bk.TANH, bk.ADD, bk.MULTIPLY, of_operations]


@st.composite
def cells(draw: st.DrawFn) -> bk.Cell:
    """A random cell: some inputs and states, then operations and bricks on any wires so far."""
    inputs = [bk.input(f"x{i}", 3) for i in range(draw(st.integers(0, 2)))]
    states = [bk.state(f"s{i}", 3) for i in range(draw(st.integers(1, 3)))]
    wires = [*inputs, *states]
    one_of = lambda: wires[draw(st.integers(0, len(wires) - 1))]
    for number in range(draw(st.integers(0, 9))):
        kind = draw(st.integers(0, 3))
        if kind == 0:
            wires.append(draw(st.sampled_from(UNARY))(one_of()))
        elif kind == 1:
            wires.append(draw(st.sampled_from(BINARY))(one_of(), one_of()))
        elif kind == 2:
            wires.append(draw(st.sampled_from(TERNARY))(one_of(), one_of(), one_of()))
        else:
            brick = draw(st.sampled_from(BRICKS))(3, name=f"b{number}")
            wires.append(brick(*(one_of() for _ in range(draw(st.integers(1, 3))))))
    outputs = {f"y{i}": one_of() for i in range(draw(st.integers(1, 2)))}
    return bk.Cell({s: one_of() for s in states}, outputs)


@examples(120)
@given(cells())
def test_random_cells(cell: bk.Cell) -> None:
    check_cell(cell)


@examples(40)
@given(cells(), st.sampled_from([{"zoom": 2}, {"zoom": "all"}, {"shapes": True}, {"zoom": "none"}]))
def test_random_steps(cell: bk.Cell, options: dict[str, Any]) -> None:
    check(cell.draw(unroll=3, **options).scene)


@examples(40)
@given(
    cells(), st.sampled_from([{}, {"shapes": True}, {"counts": True}, {"unroll": 3}]), st.sampled_from([True, "beside"])
)
def test_random_gradients(cell: bk.Cell, options: dict[str, Any], gradient: bool | str) -> None:
    check(cell.draw(gradient=gradient, **options).scene)


@examples(60)
@given(cells().filter(lambda cell: len(cell.graph.order()) > 12))
def test_larger_random_cells(cell: bk.Cell) -> None:
    check_cell(cell)
