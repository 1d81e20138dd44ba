"""Values and gradients on wires, and the drawing of a wiring error."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import blocks as bk
from blocks.draw.drawing import Drawing
from blocks.draw.layers.runs import computed, gradient_values, gradients_over_steps, over_steps
from blocks.draw.layers.values import Scale, number, scale_of, size, summary
from blocks.draw.scene import Scene, Shade
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
    assert labels[forget.key] == ", ".join(number(v).plain for v in values[node].ravel())
    assert not any(w.dashed for w in scene.wires)


def test_many_numbers_are_colours() -> None:
    """Colour and number are the root mean square: ±90 with mean 0 is not 0."""
    cell, feeds = fed(8, 3)
    feeds["C"] = np.array([[-90.0, 90.0] * 4] * 3)
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
            assert w.label.plain == number(float(np.sqrt(np.mean(np.square(values[node]))))).plain
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
        cells = [s for s in scene.shapes if s.kind == "scale" and "strip-" not in s.key]
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
        shown = {s.key.removeprefix("strip-").rsplit("-", 2)[0] for s in scene.shapes if s.key.startswith("strip-")}
        shown |= {s.key.replace("strip-", "").rsplit("-", 2)[0] for s in scene.shapes if "-strip-" in s.key}
        said = {w.net for w in scene.wires if w.label or w.key in shown}
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


def test_some_numbers_are_a_strip() -> None:
    """A bar for each number, up or down by its sign, as long as it is beside the largest, and none is left out."""
    cell, feeds = fed(7, 2)
    values = computed(cell.graph, feeds)
    scene = cell.draw(values=feeds).scene
    check(scene)
    for wire in scene.wires:
        source = next(s for s in scene.shapes if s.key == wire.source)
        bars = [s for s in scene.shapes if s.key.startswith(f"strip-{wire.key}-")]
        if not bars:
            continue
        node = max((n for n in values if cell.graph.name_of(n) in wire.holds), key=lambda n: n.serial)
        want = values[node]
        assert len(bars) == want.size == 14 and source.kind != "merge"
        found = {tuple(map(int, s.key.rsplit("-", 2)[1:])): s for s in bars}
        middle = {row: max(s.bottom for (r, _), s in found.items() if r == row) for row in range(2)}
        for (row, unit), bar in found.items():
            value = want[row, unit]
            assert bar.h == pytest.approx(max(0.6, 5 * abs(value) / np.abs(want).max()))
            assert f"unit {unit + 1}: {number(float(value)).plain}" in bar.tooltip
            if any(v > 0 for v in want[row]):
                assert (bar.bottom == pytest.approx(middle[row])) == (value >= 0)
    assert len({s.key.rsplit("-", 2)[0] for s in scene.shapes if s.key.startswith("strip-")}) >= 12


def test_a_scale_by_order_of_magnitude() -> None:
    scale = scale_of("values", [1e-4, 1.0, 100.0, math.inf], logarithmic=True)
    assert [scale.part(s) for s in (0.0, 1e-4, 1e-1, 100.0)] == pytest.approx([0, 0, 0.5, 1])
    assert scale.size(0.5) == pytest.approx(0.1) and scale.part(math.inf) == math.inf
    assert [scale_of("values", [2.0], True).part(s) for s in (2.0, 1.0)] == [1.0, 0.0]
    assert scale_of("values", [0.0, 0.0], True).part(0.0) == 0.0
    assert scale_of("values", [0.0, 1e-9, 1.0], True).low == 1e-6
    assert scale_of("values", [0.5, 2.0], False).part(0.5) == 0.25
    cell, feeds = fed(8, 3)
    plain, log = (cell.draw(values=feeds, scale=scale).scene for scale in ("linear", "log"))
    assert [w.paint for w in plain.wires] != [w.paint for w in log.wires]
    assert [w.label for w in plain.wires] == [w.label for w in log.wires]


@pytest.mark.parametrize("make", [bk.cells.srn, bk.cells.lstm])
@pytest.mark.parametrize("units", [2, 6, 20])
def test_values_over_steps(make: Any, units: int) -> None:
    """What stands on the wires of each step are the values of the unrolled graph, and its gradients; of the weights, at
    each step and in all."""
    cell, steps, rng = make(units, units), 3, np.random.default_rng(1)
    graph, unrolled = cell.graph, bk.unroll(cell, steps)
    weights = graph.init(0, "float64")
    states = {s: rng.normal(size=(1, units)) for s in cell.states}
    x, dy = (rng.normal(size=(steps, 1, units)) for _ in range(2))
    last = {s: rng.normal(size=(1, units)) for s in cell.states}
    given = {**weights, **states, "x": x, "d/y": dy, **{f"d/next/{s}": v for s, v in last.items()}}
    scene = cell.draw(values=given, gradient="beside", unroll=steps, zoom="all").scene
    check(scene)
    feeds = {**weights, **{f"{s}(0)": v for s, v in states.items()}, **{f"x({t + 1})": x[t] for t in range(steps)}}
    loss = sum((bk.sum(unrolled.outputs[f"y({t + 1})"] * bk.input(f"dy{t}", units)) for t in range(steps)), 0.0)
    loss = loss + sum((bk.sum(unrolled.outputs[f"{s}({steps})"] * bk.input(f"d{s}", units)) for s in cell.states), 0.0)
    slopes = bk.grad(bk.Graph({"loss": loss}), wrt=[*weights, *(f"x({t + 1})" for t in range(steps))])
    seeds = {**{f"dy{t}": dy[t] for t in range(steps)}, **{f"d{s}": v for s, v in last.items()}}
    want = bk.run(slopes, {**feeds, **seeds})
    values = bk.run(unrolled, feeds)
    for t in range(1, steps + 1):
        ends = [s.key for s in scene.shapes if s.key.startswith(f"panel2-step{t}-") and s.kind == "input"]
        (wire,) = [w for w in scene.wires if w.target == ends[0] and w.kind == "gradient"]
        assert wire.tooltip.endswith(summary(want[f"grad/x({t})"]))
        (out,) = [w for w in scene.wires if w.target.startswith(f"panel1-step{t}-output")]
        assert out.tooltip.endswith(summary(values[f"y({t})"]))
    (total,) = [w for w in scene.wires if w.target == "panel2-all"]
    every = np.concatenate([want[f"grad/{name}"].ravel() for name in weights])
    assert size(every) == pytest.approx(size(np.concatenate([want[f"grad/{n}"].ravel() for n in weights])))
    assert total.label is not None and total.label.plain == number(size(every)).plain
    tabs = [w for w in scene.wires if "weights-" in w.target and w.kind == "gradient"]
    assert len(tabs) == steps * len({n.split(".")[0] for n in weights}) and all(w.label for w in tabs)


@pytest.mark.parametrize("gradient", [None, True])
def test_values_of_closed_steps(gradient: Any) -> None:
    """Between steps, and at their ends, there is as much room as their numbers need; and not much more."""
    cell, rng = bk.cells.lstm(2, 2), np.random.default_rng(0)
    given = {**cell.graph.init(0, "float64"), "x": rng.normal(size=(3, 1, 2)), "d/y": rng.normal(size=(3, 1, 2))}
    feeds = given if gradient else {n: v for n, v in given.items() if n != "d/y"}
    scene = cell.draw(values=feeds, gradient=gradient, unroll=3).scene
    check(scene)
    holding = {w.net for w in scene.wires if w.holds and w.kind != "kept"}
    assert len(holding) > 12 and holding <= {w.net for w in scene.wires if w.label}
    assert scene.width < 1400


def test_what_never_has_a_place_makes_no_figure_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrowest figure is taken of those that show the most."""
    cell, feeds = fed(2, 1)
    found: list[float] = []

    def crowded(drawing: Drawing) -> Scene:
        scene = drawn_so(drawing)
        drawing.missing = max(1, 3 - len(found))
        found.append(scene.width)
        return scene

    drawn_so = Drawing.drawn_so
    monkeypatch.setattr(Drawing, "drawn_so", crowded)
    assert cell.draw(values=feeds).scene.width == found[2] < found[3] < found[-1]


def test_what_the_colours_mean_is_not_wider_than_the_figure() -> None:
    cell, feeds = fed(8, 1)
    scene = cell.draw(values=feeds).scene
    said, others = ([s for s in scene.shapes if (s.kind == "caption") == told] for told in (True, False))
    assert {"values-from", "values-to", "strips", "not-computed"} == {s.key for s in said}
    assert len({s.y for s in said}) > 1
    assert max(s.right for s in said) <= max(s.right for s in others)
    assert min(s.bottom for s in said) > max(s.top for s in others if s.kind != "scale")


def test_what_is_not_known_of_a_step_is_not_known_of_the_next() -> None:
    cell = bk.cells.srn(2, 2)
    feeds = {**cell.graph.init(0, "float64"), "x": np.ones((3, 1, 2))}
    del feeds["hidden.b"]
    scene = cell.draw(values=feeds, unroll=3, zoom="all").scene
    dashed = [w for w in scene.wires if w.dashed]
    assert {w.step for w in dashed} == {1, 2, 3} and {w.label.plain for w in dashed if w.label} == {"?"}
    assert not any(w.dashed for w in scene.wires if w.source == "before-h" or "input" in w.source)


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
    assert arriving.label.plain == ", ".join(number(v).plain for v in slopes[cell.graph.nodes["x"]].ravel())


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
    with pytest.raises(bk.BlocksError, match=r"over 3 steps: 'x' is \(1, 2\); it has the steps first, \(3, batch, 2\)"):
        cell.draw(values=feeds, unroll=3)
    with pytest.raises(bk.BlocksError, match="^scale: only with values, for the colours of numbers"):
        cell.draw(scale="log")
    with pytest.raises(bk.BlocksError, match="scale is 'linear' or 'log', not 'lin'"):
        cell.draw(values=feeds, scale="lin")


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


def two_outputs(inputs: int, units: int) -> bk.Cell:
    """Two states, and two outputs, one of which is a state."""
    x, h, m = bk.input("x", inputs), bk.state("h", units), bk.state("m", units)
    h1 = bk.TANH(units, name="hidden")(x, h, m)
    m1 = 0.7 * m + bk.SIGM(units, name="gate")(x, h) * h1
    return bk.Cell({h: h1, m: m1}, {"h": h1, "read": bk.ADD(2, name="read")(m1)})


def traced(make: Any, rng: np.random.Generator) -> tuple[bk.Cell, bk.Trace]:
    cell = make(2, 3)
    outputs = {"y": 3} if len(cell.outputs) == 1 else {"h": 3, "read": 2}
    target = {f"target/{n}" if len(outputs) > 1 else "target": rng.normal(size=(4, 2, k)) for n, k in outputs.items()}
    first = {s: rng.normal(size=(2, 3)) for s in cell.states}
    feeds = {**cell.graph.init(3, "float64"), "x": rng.normal(size=(4, 2, 2)), **first}
    if make is bk.cells.gru:  # in a graph, where the loss reads all steps and, once more, the last state
        hs, after = bk.scan(cell, bk.sequence("x", 2), final=True)
        loss = bk.losses.squared_error(hs, bk.sequence("target", 3)) + bk.sum(after["h"] ** 3.0)
        return cell, bk.trace(bk.Graph({"loss": loss}), {**feeds, **target})
    return cell, bk.trace(cell, {**feeds, **target})


@pytest.mark.parametrize("make", [bk.cells.srn, bk.cells.lstm, bk.cells.gru, two_outputs])
def test_a_trace_is_drawn_with_its_own_numbers(make: Any) -> None:
    """The cell's values and gradients at each step are those of the trace, whatever its loss is."""
    cell, trace = traced(make, np.random.default_rng(1))
    feeds = trace.feeds_of(cell.graph, gradient=True)
    forwards = over_steps(cell.graph, {n: v for n, v in feeds.items() if n[:2] != "d/"}, trace.steps)
    backwards = gradients_over_steps(cell.graph, feeds, trace.steps)
    for t in range(1, trace.steps + 1):
        for state in cell.states:
            node = cell.graph.outputs[f"next/{state}"]
            np.testing.assert_allclose(forwards[t - 1][node], trace[f"{state}({t})"], rtol=1e-12)
            np.testing.assert_allclose(backwards[t - 1][node], trace.gradient(state, t), rtol=1e-9, atol=1e-14)
    for name, node in cell.graph.fed("parameter").items():
        np.testing.assert_allclose(sum(g[node] for g in backwards), trace.gradient(name), rtol=1e-9, atol=1e-14)
    scene = cell.draw(values=trace, unroll=4, zoom="all", gradient=True).scene
    assert scene == cell.draw(values=feeds, unroll=4, zoom="all", gradient=True).scene


@pytest.mark.parametrize(
    ("cell", "options", "said"),
    [
        (bk.cells.lstm(2, 3), {}, "has 4 steps; draw them all, unroll=4"),
        (bk.cells.lstm(2, 3), {"unroll": 3}, "unroll=4"),
        (bk.cells.gru(2, 3), {"unroll": 4}, "something else than this cell: it has no 'reset.W_x'"),
    ],
)
def test_a_trace_of_something_else_is_refused(cell: bk.Cell, options: dict[str, Any], said: str) -> None:
    trace = traced(bk.cells.lstm, np.random.default_rng(2))[1]
    with pytest.raises(bk.BlocksError, match=said):
        cell.draw(values=trace, **options)
    with pytest.raises(bk.BlocksError, match="or a Trace, not list"):
        cell.draw(values=[1.0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "said"), [({"reverse": True}, "backwards in time"), ({"mask": bk.sequence("mask")}, "without a mask")]
)
def test_a_trace_of_another_run_is_refused(how: dict[str, Any], said: str) -> None:
    cell = bk.cells.srn(2, 3)
    y = bk.scan(cell, bk.sequence("x", 2), **how)
    graph = bk.Graph({"loss": bk.sum(y), "y": y})
    fed = {"x": np.ones((3, 1, 2)), "mask": np.array([[1.0], [0.0], [1.0]])}
    trace = bk.trace(graph, {**graph.init(0, "float64"), **{n: fed[n] for n in graph.inputs if n in fed}})
    with pytest.raises(bk.BlocksError, match=said):
        cell.draw(values=trace, unroll=3)
