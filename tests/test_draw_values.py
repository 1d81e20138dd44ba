"""Values and gradients on wires, and the drawing of a wiring error."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import blocks as bk
from blocks.draw.layers.values import Scale, computed, gradient_values, number, size
from blocks.draw.scene import Shade
from blocks.draw.themes import THEMES, shade

from .test_draw_invariants import check


def fed(units: int, batch: int) -> tuple[bk.Cell, dict[str, Any]]:
    cell = bk.cells.lstm(units, units)
    rng = np.random.default_rng(0)
    state = {"C": rng.normal(size=(batch, units)), "h": rng.normal(size=(batch, units))}
    return cell, {**cell.graph.init(0, "float64"), "x": rng.normal(size=(batch, units)), **state}


def test_few_numbers_are_written() -> None:
    cell, feeds = fed(2, 1)
    values = computed(cell.graph, feeds)
    scene = cell.draw(values=feeds).scene
    labels = {w.source: w.label.plain for w in scene.wires if w.label}
    forget = next(s for s in scene.shapes if s.name == "forget")
    node = next(n for n in cell.graph.order() if n.brick == "forget" and n.op.name == "sigm")
    assert labels[forget.key] == ", ".join(number(v) for v in values[node].ravel())
    assert not any(w.dashed for w in scene.wires)


def test_many_numbers_are_colours() -> None:
    """Colour and number are the root mean square: ±90 with mean 0 is not 0."""
    cell, feeds = fed(4, 3)
    feeds["C"] = np.array([[-90.0, 90.0, -90.0, 90.0]] * 3)
    scene = cell.draw(values=feeds).scene
    state = next(s for s in scene.shapes if s.kind == "state" and s.name == "C")
    wire = next(w for w in scene.wires if w.source == state.key)
    assert wire.paint == Shade("values", 1.0)  # the largest
    assert "from −90 to 90, mean 0, root mean square 90" in wire.tooltip
    values = computed(cell.graph, feeds)
    for w in scene.wires:
        source = next(s for s in scene.shapes if s.key == w.source)
        if w.label and source.kind == "brick":
            node = max((n for n in values if n.brick == source.name), key=lambda n: n.serial)
            assert w.label.plain == number(float(np.sqrt(np.mean(np.square(values[node])))))
    theme = THEMES["dark"]
    scale = Scale("values", 4.0)
    assert [shade(scale.at(s), theme) for s in (0.0, 4.0, np.inf)] == [theme.values[1], theme.values[2], theme.wrong]


@pytest.mark.parametrize("values", [[3.0, -4.0] * 5, [0.0] * 10, [1e300] * 10, [1e-300] * 10])
def test_root_mean_square(values: list[float]) -> None:
    """Against the plain formula in long numbers; huge and tiny ones stay what they are."""
    assert size(np.array(values)) == pytest.approx(math.hypot(*values) / math.sqrt(len(values)), rel=1e-12)


def test_values_and_gradients_have_a_scale_each() -> None:
    """The bars end where the largest root mean square on a wire does, and in its colour."""
    cell, feeds = fed(4, 3)
    feeds["d/y"] = np.random.default_rng(1).normal(size=(3, 4)) * 1e-3
    for option, bars in ((None, ["values"]), (True, ["gradients"]), ("beside", ["values", "gradients"])):
        given = {name: value for name, value in feeds.items() if option or name != "d/y"}
        figure = cell.draw(values=given, gradient=option)
        scene = figure.scene
        cells = [s for s in scene.shapes if s.kind == "scale"]
        assert list(dict.fromkeys(s.key.split("-")[0] for s in cells)) == bars
        paints = [w.paint for w in scene.wires]
        for bar in bars:
            ends = [s for s in cells if s.key.startswith(bar)]
            top = next(s.name for s in scene.shapes if s.key == f"{bar}-to")
            widest = [w for w in scene.wires if w.paint == ends[-1].paint]
            assert widest and ends[0].paint == Shade(bar, 0.0)
            assert ends[-1].paint in paints and any(f"root mean square {top}" in w.tooltip for w in widest)
        assert not any(data["kind"] == "scale" for _, data in figure.to_networkx().nodes(data=True))
        assert all(figure.render(format) for format in ("svg", "tex", "mmd", "json"))


@pytest.mark.parametrize(
    "make", [bk.cells.srn, bk.cells.lstm, bk.cells.gru, bk.cells.book_lstm, bk.cells.gru_reset_after]
)
@pytest.mark.parametrize("units", [1, 2, 3, 8])
def test_each_value_has_its_number(make: Any, units: int) -> None:
    """None is dropped for want of room, and none lies on another thing; each stands at its own wire."""
    graph = make(units, units).graph
    rng = np.random.default_rng(0)
    feeds = {**graph.init(0, "float64"), **{n: rng.normal(size=(1, units)) for n in graph.inputs}}
    for option in (None, "beside"):
        seeds = {"d/y": np.ones((1, units))} if option else {}
        scene = make(units, units).draw(values={**feeds, **seeds}, gradient=option).scene
        check(scene)
        said = {w.net for w in scene.wires if w.label}
        kinds = {s.key: s.kind for s in scene.shapes}
        drawn = [w for w in scene.wires if w.lit and w.kind != "kept"]
        carried = {w.net: kinds[w.target if w.kind == "gradient" else w.source] for w in drawn}
        wanted = {net for net, kind in carried.items() if kind in ("state", "input", "brick", "operation")}
        assert wanted and wanted <= said
        for w in scene.wires:
            if w.label and w.label_at:
                away = w.label.width / 2 + 6
                assert any(beside(w.label_at, a, b, away) for a, b in pairwise(w.points)), w.key


def beside(p: tuple[float, float], a: tuple[float, float], b: tuple[float, float], away: float) -> bool:
    dx = max(min(a[0], b[0]) - p[0], p[0] - max(a[0], b[0]), 0.0)
    dy = max(min(a[1], b[1]) - p[1], p[1] - max(a[1], b[1]), 0.0)
    return (dx == 0 and dy < 12) or (dy == 0 and dx < away)


def test_not_computed_is_not_zero() -> None:
    cell, feeds = fed(2, 1)
    feeds["C"] = np.zeros((1, 2))
    del feeds["output.W_x"]
    scene = cell.draw(values=feeds).scene
    by_key = {s.key: s for s in scene.shapes}
    dashed = {by_key[w.source].name for w in scene.wires if w.dashed}
    assert dashed == {"output", next(s.name for s in scene.shapes if s.name.startswith("multiply_3"))}
    state = next(w for w in scene.wires if by_key[w.source].name == "C" and by_key[w.source].kind == "state")
    assert state.label is not None and state.label.plain == "0, 0" and not state.dashed
    assert {w.label.plain for w in scene.wires if w.label and w.dashed} == {"?"}
    figure = cell.draw(values=feeds)
    assert figure.render("svg").decode().count("stroke-dasharray") >= 2
    assert "blocks/dashed" in figure.render("tex").decode()


def test_gradients_are_those_of_the_run() -> None:
    """Against finite differences of the sum of the output."""
    cell, feeds = fed(2, 1)
    slopes = gradient_values(cell.graph, {**feeds, "d/y": np.ones((1, 2))})
    for name in ("x", "h", "C"):
        node = cell.graph.nodes[name]
        for i in range(2):
            step = np.zeros((1, 2))
            step[0, i] = 1e-6
            high = bk.run(cell.graph, {**feeds, name: feeds[name] + step})["y"].sum()
            low = bk.run(cell.graph, {**feeds, name: feeds[name] - step})["y"].sum()
            assert slopes[node][0, i] == pytest.approx((high - low) / 2e-6, rel=1e-5, abs=1e-8)
    scene = cell.draw(gradient=True, values={**feeds, "d/y": np.ones((1, 2))}).scene
    arriving = next(w for w in scene.wires if w.target == next(s.key for s in scene.shapes if s.name == "x"))
    assert arriving.label is not None
    assert arriving.label.plain == ", ".join(number(v) for v in slopes[cell.graph.nodes["x"]].ravel())


def test_values_that_do_not_fit() -> None:
    cell, feeds = fed(2, 1)
    with pytest.raises(bk.BlocksError, match=r"asks for no 'forgt.b' \(did you mean 'forget.b'"):
        cell.draw(values={**feeds, "forgt.b": 0})
    with pytest.raises(bk.BlocksError, match="need the gradient that comes in, one or more of d/y, d/next/h, d/next/C"):
        cell.draw(gradient=True, values=feeds)
    with pytest.raises(bk.BlocksError, match="no gradient comes in at 'd/z'"):
        cell.draw(gradient=True, values={**feeds, "d/z": 1})
    with pytest.raises(bk.FeedError, match="x"):
        cell.draw(values={**feeds, "x": np.zeros((1, 3))})
    with pytest.raises(bk.BlocksError, match="wires of one step"):
        cell.draw(values=feeds, unroll=3)


def test_a_wiring_error_can_be_drawn() -> None:
    x, h = bk.input("x", 3), bk.state("h", 4)
    with pytest.raises(bk.WiringError) as caught:
        bk.SIGM(4, name="forget")(x, h) * bk.TANH(5, name="candidate")(x)
    figure = caught.value.draw()
    wrong = next(s for s in figure.scene.shapes if s.kind == "wrong")
    by_key = {s.key: s for s in figure.scene.shapes}
    marked = {by_key[w.source].name: w.label.plain for w in figure.scene.wires if w.kind == "wrong" and w.label}
    assert marked == {"forget": "(batch, 4)", "candidate": "(batch, 5)"}
    assert all(w.target == wrong.key for w in figure.scene.wires if w.kind == "wrong")
    assert "4 is not 5" in figure.description
    assert figure.render("svg")
    with pytest.raises(bk.WiringError) as caught:
        bk.SIGM(4)()
    assert [s.kind for s in caught.value.draw(theme="dark").scene.shapes] == ["wrong"]
