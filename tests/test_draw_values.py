"""Values and gradients on wires, and the drawing of a wiring error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blocks as bk
from blocks.draw.layers.values import computed, gradient_values, number, shade
from blocks.draw.themes import THEMES


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
    cell, feeds = fed(4, 3)
    feeds["C"] = np.full((3, 4), -2.0)
    scene = cell.draw(values=feeds).scene
    state = next(s for s in scene.shapes if s.kind == "state" and s.name == "C")
    wire = next(w for w in scene.wires if w.source == state.key)
    assert wire.paint == THEMES["classic"].values[0]  # the most negative mean
    assert "from −2 to −2, mean −2" in wire.tooltip
    assert any(s.kind == "caption" and "orange" in s.name for s in scene.shapes)
    middle = THEMES["classic"].values[1]
    assert shade(0.0, THEMES["classic"]) == middle and shade(1.0, THEMES["classic"]) == THEMES["classic"].values[2]


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
    assert ", dashed" in figure.render("tex").decode()


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
