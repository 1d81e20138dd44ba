"""Cells made of cells are what is written out by hand."""

import copy
import pickle

import numpy as np
import pytest

import blocks as bk

from .helpers import fed, same

SIZES = {"time": 5, "batch": 3}


def with_context(name=None):
    """y = h1 reads a context too; "gate" is a second output."""
    x, c = bk.input("x", 4), bk.input("c", 2)
    h = bk.state("h", 4, init=bk.parameter("h0", 4, init="normal"))
    gate = bk.SIGM(4, name="gate")(x, c)
    h1 = gate * h + (1.0 - gate) * bk.TANH(4, name="new")(x, h)
    return bk.Cell({h: h1}, {"y": h1, "gate": gate}, name=name)


def late():
    """A cell that does nothing at its first step."""
    x, on = bk.input("x", 3), bk.state("on", dtype="bool")
    return bk.Cell({on: bk.equal(on, on)}, bk.where(on, bk.ADD(3, name="late")(x), x))


def compared(one, two, names=None, draw=None):
    """Two graphs give the same numbers and gradients; `names`, of the first → of the second."""
    feeds = fed(one, SIZES, 4)
    other = {(names or {}).get(k, k): v for k, v in feeds.items()}
    assert {(names or {}).get(k, k) for k in one.params} == set(two.params)
    want = bk.run(bk.grad(two), other, draw=draw)
    got = bk.run(bk.grad(one), feeds, draw=draw)
    back = {f"grad/{a}": f"grad/{b}" for a, b in (names or {}).items()}
    same(want, {back.get(k, k): v for k, v in got.items()}, 1e-11)
    same(got, bk.compile(bk.grad(one))(feeds, draw), 1e-11)


def squares(ys):
    return bk.Graph({"loss": bk.mean(ys * ys), "y": ys})


@pytest.mark.parametrize("mask", [None, bk.sequence("mask", dtype="bool")])
def test_layers_are_scans_on_top_of_each_other(mask) -> None:
    xs = bk.sequence("x", 3)
    stack = bk.layers(bk.cells.lstm(3, 4), bk.cells.gru(4, 5, name="middle"), bk.cells.srn(5, 2))
    assert stack.states == ("layer1/h", "layer1/C", "middle/h", "layer3/h") and stack.inputs == ("x",)
    ys = xs
    for cell in (
        bk.cells.lstm(3, 4, name="layer1"),
        bk.cells.gru(4, 5, name="middle"),
        bk.cells.srn(5, 2, name="layer3"),
    ):
        ys = bk.scan(cell, ys, mask=mask)
    one, two = squares(bk.scan(stack, xs, mask=mask)), squares(ys)
    assert one.params == two.params and one.inputs == two.inputs
    feeds = fed(one, SIZES, 4)
    if mask is not None:
        feeds["mask"] = np.arange(5)[:, None] < np.array([5, 2, 3])
    same(bk.run(bk.grad(two), feeds), bk.run(bk.grad(one), feeds), 1e-11)
    same(bk.run(bk.grad(two), feeds), bk.compile(bk.grad(one))(feeds), 1e-11)


def test_names_stand_in_front_of_each_other() -> None:
    inner = bk.layers(bk.cells.srn(3, 4), bk.cells.srn(4, 4), name="inner")
    outer = bk.layers(inner, bk.zoneout(bk.cells.srn(4, 2), 0.1), name="outer")
    assert list(outer.params)[:3] == [f"outer/inner/layer1/hidden.{w}" for w in ("W_x", "W_h", "b")]
    assert outer.states == ("outer/inner/layer1/h", "outer/inner/layer2/h", "outer/layer2/h")
    assert set(outer.graph.draws) == {"outer/layer2/zoneout.h"}
    assert bk.layers(bk.residual(bk.cells.srn(4, 4, name="a")), bk.cells.srn(4, 4)).states == ("a/h", "layer2/h")


def test_what_layers_share() -> None:
    """A context is one input of all, other outputs of the last layer stay, first values are learnt."""
    stack = bk.layers(with_context(), with_context(), with_context(name="top"))
    assert set(stack.inputs) == {"x", "c"} and stack.outputs == ("y", "gate")
    assert set(stack.firsts) == {"layer1/h", "layer2/h", "top/h"} and stack.params["layer2/h0"] == (4,)
    xs, c = bk.sequence("x", 4), bk.input("c", 2)
    ys, gate = xs, None
    for name in ("layer1", "layer2", "top"):
        out = bk.scan(with_context(name), {"x": ys, "c": c})
        ys, gate = out["y"], out["gate"]
    out = bk.scan(stack, {"x": xs, "c": c})
    compared(squares(out["y"] + out["gate"]), squares(ys + gate))


def test_the_same_cell_twice_shares_its_weights() -> None:
    cell = bk.cells.srn(3, 3)
    stack = bk.layers(cell, cell)
    assert list(stack.params) == ["layer1/hidden.W_x", "layer1/hidden.W_h", "layer1/hidden.b"]
    assert stack.states == ("layer1/h", "layer2/h")
    once = bk.cells.srn(3, 3)
    again = bk.scan(once, bk.scan(once, bk.sequence("x", 3)), initial=bk.zeros(("batch", 3)))
    names = {f"layer1/hidden.{w}": f"hidden.{w}" for w in ("W_x", "W_h", "b")}
    one = bk.Graph({"loss": bk.mean(bk.scan(stack, bk.sequence("x", 3)) ** 2.0)})
    two = bk.Graph({"loss": bk.mean(again**2.0)})
    feeds = {k: v for k, v in fed(one, SIZES, 3).items() if not k.endswith("/h")}
    other = {names.get(k, k): v for k, v in feeds.items()}
    np.testing.assert_allclose(
        bk.run(bk.grad(one), feeds)["grad/layer1/hidden.W_x"],
        bk.run(bk.grad(two), other)["grad/hidden.W_x"],
        rtol=1e-12,
    )
    named = bk.cells.srn(3, 3, name="a")
    assert bk.layers(named, named).states == ("layer1/a/h", "layer2/a/h")
    both, last = bk.bidirectional(named, named, bk.sequence("x", 3), final=True)
    assert set(last) == {"forward/a/h", "backward/a/h"} and len(squares(both).params) == 3


def test_residual_adds_the_input() -> None:
    xs, c = bk.sequence("x", 4), bk.input("c", 2)
    cell = bk.residual(with_context())
    assert cell.states == ("h",) and cell.outputs == ("y", "gate")
    out = bk.scan(cell, {"x": xs, "c": c})
    plain = bk.scan(with_context(), {"x": xs, "c": c})
    compared(squares(out["y"] * out["gate"]), squares((xs + plain["y"]) * plain["gate"]))
    assert bk.residual(bk.cells.srn(4, 4, name="a")).name == "a"


def test_zoneout_and_residual_and_layers_draw_alike() -> None:
    """Wrapped inside of layers, a cell draws what it draws in a scan of its own."""
    xs = bk.sequence("x", 4)
    stack = bk.layers(bk.residual(bk.zoneout(bk.cells.gru(4, 4), 0.4)), bk.zoneout(bk.cells.gru(4, 4), 0.3))
    first = bk.zoneout(bk.cells.gru(4, 4, name="layer1"), 0.4)
    below = xs + bk.scan(first, xs)
    compared(
        squares(bk.scan(stack, xs)),
        squares(bk.scan(bk.zoneout(bk.cells.gru(4, 4, name="layer2"), 0.3), below)),
        draw=(3, 5),
    )


def test_states_of_all_kinds_go_through() -> None:
    stack = bk.layers(late(), bk.residual(late()), name="two")
    assert stack.wires["two/layer2/on"].dtype == "bool"
    ys, last = bk.scan(stack, bk.sequence("x", 3), final=True)
    graph = bk.Graph({"y": ys, **last})
    feeds = {k: v for k, v in fed(graph, SIZES, 1).items() if not k.endswith("/on")}
    got, x = bk.run(graph, feeds), feeds["x"]
    assert got["two/layer1/on"].all() and got["two/layer2/on"].all()
    for k in ("layer1", "layer2"):
        name = next(n for n in graph.params if n.startswith(f"two/{k}/late.W"))
        below, x = x, np.concatenate([x[:1], x[1:] @ feeds[name] + feeds[f"two/{k}/late.b"]])
    np.testing.assert_allclose(got["y"], below + x, rtol=1e-12)
    same(got, bk.compile(graph)(feeds), 1e-12)


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("mask", [None, bk.sequence("mask", dtype="bool")])
def test_bidirectional_is_two_scans(mask, final) -> None:
    xs = bk.sequence("x", 3)
    ahead, back = bk.cells.lstm(3, 4, name="up/forward"), bk.cells.gru(3, 2, name="up/backward")
    ys, ends = bk.scan(ahead, xs, mask=mask, final=True)
    zs, starts = bk.scan(back, xs, mask=mask, final=True, reverse=True)
    want = {"y": bk.concat(ys, zs)} | ({**ends, **starts} if final else {})
    got = bk.bidirectional(bk.cells.lstm(3, 4), bk.cells.gru(3, 2), xs, mask=mask, final=final, name="up")
    got = {"y": got[0], **got[1]} if final else {"y": got}
    one, two = bk.Graph(got), bk.Graph(want)
    feeds = fed(one, SIZES, 4)
    if mask is not None:
        feeds["mask"] = np.arange(5)[:, None] < np.array([5, 2, 3])
    same(bk.run(two, feeds), bk.run(one, feeds), 1e-12)


def test_bidirectional_joins_outputs_by_name() -> None:
    both = bk.bidirectional(with_context(), with_context(), {"x": bk.sequence("x", 4), "c": bk.input("c", 2)})
    assert {k: v.shape for k, v in both.items()} == dict.fromkeys(("y", "gate"), ("time", "batch", 8))
    graph = squares(both["y"] * both["gate"])
    bk.check_grads(graph, fed(graph, SIZES, 2))


def test_they_are_copied_saved_and_unrolled() -> None:
    stack = bk.layers(with_context(), bk.residual(with_context()), name="s")
    graph = bk.grad(squares(bk.scan(stack, {"x": bk.sequence("x", 4), "c": bk.input("c", 2)})["y"]))
    assert bk.from_json(bk.to_json(graph)).dump() == graph.dump()
    for again in (copy.deepcopy(stack), pickle.loads(pickle.dumps(stack))):
        assert again.graph.dump() == stack.graph.dump() and again.name == "s" and again.states == stack.states
    steps = bk.unroll(stack, 2)
    assert {"s/layer1/h(2)", "s/layer2/h(2)", "y(1)", "y(2)"} <= set(steps.outputs)


def nothing_called_y():
    x, h = bk.input("x", 3), bk.state("h", 3)
    return bk.Cell({h: bk.tanh(h + x)}, {"a": h, "b": x})


def two_inputs():
    a, b, h = bk.input("a", 3), bk.input("b", 3), bk.state("h", 3)
    return bk.Cell({h: bk.tanh(a + b + h)}, h)


def numbers_alone():
    x, h = bk.input("x", 3), bk.state("h")
    return bk.Cell({h: bk.tanh(h + bk.sum(x, axis=-1))}, h)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bk.layers(), "one cell or more, not of none"),
        (lambda: bk.layers(bk.cells.srn(3, 4), bk.cells.lstm), "is a function, not a Cell"),
        (lambda: bk.layers(bk.cells.srn(3, 4), bk.cells.srn(3, 4)), r"layer2.*'x' is \(batch, 3\) float, but layer1"),
        (lambda: bk.layers(nothing_called_y(), bk.cells.srn(3, 4)), "has the outputs a, b; .* the one called 'y'"),
        (lambda: bk.layers(bk.cells.srn(3, 3), two_inputs()), "has the inputs a, b; .* the one called 'x'"),
        (lambda: bk.layers(with_context(), bk.cells.srn(4, 4), name=""), "name of a cell"),
        (lambda: bk.residual(bk.cells.srn(3, 4)), r"'x' is \(batch, 3\) float, its output 'y' \(batch, 4\) float"),
        (lambda: bk.residual(numbers_alone()), "two of one shape"),
        (lambda: bk.residual(two_inputs()), "has the inputs a, b"),
        (lambda: bk.residual("lstm"), "'lstm' is a str, not a Cell"),
        (
            lambda: bk.bidirectional(bk.cells.srn(3, 4), nothing_called_y(), bk.sequence("x", 3)),
            "gives y, .* gives a, b",
        ),
        (lambda: bk.bidirectional(*[numbers_alone()] * 2, bk.sequence("x", 3)), "no features along which"),
        (lambda: bk.bidirectional(bk.cells.srn(3, 4), 3, bk.sequence("x", 3)), "3 is a int, not a Cell"),
        (lambda: bk.bidirectional(*[bk.cells.srn(3, 4)] * 2, bk.sequence("x", 2)), r"\(time, batch, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, said) -> None:
    with pytest.raises(bk.WiringError, match=said):
        make()
