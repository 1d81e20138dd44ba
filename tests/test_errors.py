"""Bad wiring and bad feeds: a clear error that names the thing and where it was made."""

import numpy as np
import pytest

import blocks as bk

HERE = r"test_errors\.py:\d+"


def fails(error, pattern):
    return pytest.raises(error, match=pattern)


def test_sizes_that_do_not_fit_raise_on_the_users_line() -> None:
    x, h = bk.input("x", 8), bk.state("h", 32)
    with fails(bk.WiringError, rf"x \(batch, 8\) made at {HERE}.*h \(batch, 32\) made at {HERE}") as caught:
        x + h
    assert "8" in str(caught.value) and caught.value.op == "add" and caught.value.operands == (x, h)
    with fails(bk.WiringError, "rows of 8 meet a matrix of 3 rows"):
        x @ bk.parameter("W", 3, 2)


def test_a_brick_names_itself() -> None:
    x, h = bk.input("x", 8), bk.state("h", 4)
    forget = bk.SIGM(4, name="forget")
    forget(x, h)
    with fails(bk.WiringError, rf"brick 'forget' made at {HERE}.*W_x are \(8, 4\).*needs \(4, 4\)"):
        forget(h, h)
    with fails(bk.WiringError, "first called on 2 wires .x, h., now on 1"):
        forget(x)
    with fails(bk.WiringError, "diagonal weights need a wire of 4 features, but x .batch, 8. made at"):
        bk.SIGM(4, name="peep", weights="diagonal")(x)
    with fails(bk.WiringError, "is int; a brick takes floating-point.*EMBED"):
        bk.ADD(4)(bk.input("ids", dtype="int"))
    with fails(bk.WiringError, "weights are dense, diagonal, scalar, not 'diagnal'.*did you mean 'diagonal'"):
        bk.ADD(4, weights="diagnal")
    with fails(bk.WiringError, "init for 'W_hh', but its weights are W_x, b"):
        bk.ADD(4, init={"W_hh": "zeros"})(x)
    with fails(bk.WiringError, "unknown initialisation 'glorott'.*did you mean 'glorot'"):
        bk.ADD(4, init="glorott")(x)
    with fails(bk.WiringError, r"the shape is \(8, 4\), that of the first weights \(2, 2\)"):
        bk.ADD(4, init=np.ones((2, 2)))(x)
    for units in (0, -3, 2.5, True, "4"):
        with fails(bk.WiringError, "units must be a positive whole number"):
            bk.ADD(units)
    with fails(bk.WiringError, "on one wire or more"):
        bk.ADD(4)()


def test_cells() -> None:
    x, h, C = bk.input("x", 3), bk.state("h", 4), bk.state("C", 4)
    h1 = bk.TANH(4, name="a")(x, h) + C
    with fails(bk.WiringError, rf"state C \(batch, 4\) made at {HERE} is used, but never given a next value"):
        bk.Cell(states={h: h1}, outputs=h1)
    with fails(bk.WiringError, r"next value .* both must have one shape"):
        bk.Cell(states={h: bk.ADD(5)(h), C: C}, outputs=h1)
    with fails(bk.WiringError, "two states are called 'h'"):
        again = bk.state("h", 4)
        bk.Cell(states={h: h, again: again}, outputs=h + again)
    with fails(bk.WiringError, "is a sequence; a cell sees one step"):
        s = bk.sequence("s", 4)
        bk.Cell(states={h: h}, outputs=bk.mean(s) + h)
    with fails(bk.WiringError, "is no state"):
        bk.Cell(states={x: x}, outputs=x)
    with fails(bk.WiringError, "outside of any cell"):
        bk.Model(outputs=h * 2.0)
    with fails(bk.WiringError, "inputs must be units; 3 and 4 differ"):
        bk.cells.book_lstm(3, 4)


def test_a_wire_of_another_cell() -> None:
    first = bk.state("h", 4)
    bk.Cell(states={first: bk.tanh(first)}, outputs=first)
    other = bk.state("g", 4)
    with fails(bk.WiringError, rf"state h .* made at {HERE}.*wire of another cell"):
        bk.Cell(states={other: other + first}, outputs=other)


def test_duplicate_names_say_where_both_were_made() -> None:
    x = bk.input("x", 3)
    with fails(bk.WiringError, rf"two wires are called 'sigm.W_x'.*{HERE}.*{HERE}"):
        bk.Graph({"y": bk.SIGM(4)(x) + bk.SIGM(4)(x)})
    xs = bk.sequence("x", 3)
    with fails(bk.WiringError, "two wires are called 'hidden.W_x'"):
        bk.Graph({"a": bk.scan(bk.cells.srn(3, 3), xs), "b": bk.scan(bk.cells.srn(3, 3), xs)})
    shared = bk.TANH(3, name="t")
    h = bk.state("h", 3)
    inside = bk.Cell(states={h: shared(h)}, outputs=h, name="named")
    with fails(bk.WiringError, "no longer be shared"):
        around = bk.Cell(states={}, outputs=inside() + bk.input("z", 3))
        bk.Graph({"a": bk.scan(around, xs), "b": shared(bk.input("y", 3))}).verify()


def test_scan() -> None:
    cell = bk.cells.lstm(3, 4)
    with fails(bk.WiringError, rf"\(time, batch, 3\); x \(time, batch, 5\) made at {HERE} does not fit"):
        bk.scan(cell, bk.sequence("x", 5))
    with fails(bk.WiringError, "no input 'y'.*it has x"):
        bk.scan(cell, {"y": bk.sequence("x", 3)})
    with fails(bk.WiringError, "no state 'c'.*it has h, C"):
        bk.scan(cell, bk.sequence("x", 3), initial={"c": bk.input("c", 4)})
    with fails(bk.WiringError, "give initial="):
        bk.scan(cell, bk.sequence("x", 3), initial=bk.input("c", 4))
    with fails(bk.WiringError, r"a mask for these sequences is \(time, batch\)"):
        bk.scan(cell, bk.sequence("x", 3), mask=bk.sequence("m", 3))
    with fails(bk.WiringError, "over one time dimension, not none"):
        bk.scan(cell, bk.input("x", 3))
    with fails(bk.WiringError, "must be called first"):
        bk.scan(bk.cells.lstm, bk.sequence("x", 3))
    with fails(bk.BlocksError, "1 step or more, not 0"):
        bk.unroll(cell, 0)


def test_operations() -> None:
    x, xs = bk.input("x", 3), bk.sequence("x", 3)
    with fails(bk.WiringError, "no axis 'tim'"):
        bk.sum(xs, axis="tim")
    with fails(bk.WiringError, "number must be the same"):
        bk.reshape(x, shape=("batch", 4))
    with fails(bk.WiringError, "ids are integers"):
        bk.gather(bk.parameter("t", 3, 2), x)
    with fails(bk.WiringError, "has no known length"):
        bk.slice(xs, start=2, axis="time")
    with fails(bk.WiringError, "a list is no number|no number, array or wire"):
        x + [["a"]]
    with fails(bk.WiringError, "different orders"):
        x * bk.input("w", shape=("time", "batch")) * bk.input("v", shape=("batch", "time"))
    with fails(bk.WiringError, "must have one shape"):
        bk.losses.squared_error(x, bk.input("t", 4))
    with fails(bk.WiringError, r"class numbers must be \(batch\)"):
        bk.losses.cross_entropy(x, bk.sequence("t", dtype="int"))
    with pytest.raises(TypeError, match="is a wire: it has no value"):
        bool(x)
    with pytest.raises(AttributeError, match="immutable"):
        x.shape = (3,)
    with fails(bk.WiringError, "unknown dtype 'flot'.*did you mean 'float'"):
        bk.input("z", 3, dtype="flot")
    with fails(bk.WiringError, "dimension -3"):
        bk.input("z", -3)
    with fails(bk.WiringError, "printable string"):
        bk.input("a\nb", 3)


def test_grad() -> None:
    x = bk.input("x", 3)
    graph = bk.Graph({"loss": bk.mean(x), "y": x})
    with fails(bk.BlocksError, "no output 'los'.*did you mean 'loss'"):
        bk.grad(graph, of="los")
    with fails(bk.BlocksError, r"'y' is \(batch, 3\) float; a gradient is taken of one number"):
        bk.grad(graph, of="y")
    with fails(bk.BlocksError, "no node 'z'"):
        bk.grad(graph, wrt=["z"])


def network():
    mask, target = bk.sequence("mask"), bk.sequence("target", dtype="int")
    hs = bk.scan(bk.cells.srn(3, 4), bk.sequence("x", 3), mask=mask)
    y = bk.ADD(5, name="w_o")(hs)
    return bk.Graph({"loss": bk.losses.cross_entropy(y, target, mask), "y": y})


def test_feeds() -> None:
    graph = network()
    good = {**graph.init(), "x": np.zeros((6, 2, 3)), "mask": np.ones((6, 2)), "target": np.zeros((6, 2), int)}
    bk.run(graph, good)

    def bad(pattern, **changes):
        feeds = {k: v for k, v in {**good, **changes}.items() if v is not None}
        with fails(bk.FeedError, pattern):
            bk.run(graph, feeds)

    bad(r"'mask' \(time, batch\) is not fed", mask=None)
    bad("no input 'maks'.*did you mean 'mask'", maks=np.ones((6, 2)))
    bad(r"'x' wants \(time, batch, 3\), not \(6, 2, 4\): 4 where 3 fits", x=np.zeros((6, 2, 4)))
    bad(r"'x' wants .*: 3 axes, not 2", x=np.zeros((6, 3)))
    bad("time is 6.*but 5 in|time is 5 here, but 6 in", mask=np.ones((5, 2)))
    bad("'target' wants int.*float64 does not fit.*astype", target=np.zeros((6, 2)))
    bad(r"id 5 at \(0, 0\) is outside of 0 to 4", target=np.full((6, 2), 5))
    bad(r"id -1 at", target=np.full((6, 2), -1))
    bad("0 long", x=np.zeros((0, 2, 3)), mask=np.ones((0, 2)), target=np.zeros((0, 2), int))
    bad("the mask masks everything", mask=np.zeros((6, 2)))
    bad("rows of different lengths", x=[[[1.0]], [[1.0], [2.0]]])
    bad(r"W_x' wants \(3, 4\)", **{"hidden.W_x": np.zeros((4, 3))})


def test_data_for_fit() -> None:
    graph = network()
    model = bk.Model(loss=graph.outputs["loss"], outputs={"y": graph.outputs["y"]})
    X, Y = np.zeros((4, 6, 3)), np.zeros((4, 6), int)
    M = np.ones((4, 6))

    def bad(pattern, options=None, **changes):
        before = {k: v.copy() for k, v in model.weights.items()}
        data = {k: v for k, v in {"x": X, "target": Y, "mask": M, **changes}.items() if v is not None}
        with fails(bk.BlocksError, pattern):
            model.fit(data, **(options or {}))
        assert all((model.weights[k] == before[k]).all() for k in before)

    nan = X.copy()
    nan[2, 1, 0] = np.nan
    bad(r"'x' is nan at \(2, 1, 0\)", x=nan)
    bad("'target', sample 3: the class 9 is outside of 0 to 4", target=np.array([[0] * 6] * 3 + [[0, 9, 0, 0, 0, 0]]))
    bad("'x', sample 1: this sequence is empty", x=[np.zeros((3, 3)), np.zeros((0, 3))], target=None)
    bad("no input 'tagret'.*did you mean 'target'", tagret=Y, target=None)
    bad("'target' .time, batch. has no data", target=None)
    bad("differ in the number of samples: .*x has 3", x=X[:3])
    bad(r"'x': \(samples, time, 3\) fits, not \(4, 6, 2\)", x=X[..., :2])
    bad("masks everything", mask=np.zeros((4, 6)))
    bad("unknown optimizer 'adm'; there are|did you mean 'adam'", {"optimizer": "adm"})
    bad("epochs must be a whole number", {"epochs": 0})
    bad("clip must be", {"clip": -1.0})
    bad("tbptt is a number", {"tbptt": (0, 3)})
    bad("patience needs validation", {"patience": 2})
    bad("no folder", {"autosave": "/nowhere/at/all.safetensors"})
    bad("resume needs", {"resume": True})
    lengths = [np.zeros((n, 3)) for n in (2, 3, 4, 5)]
    bad("sample 1: 4 steps where another input has 3|sample 1: 3 steps where", x=lengths, mask=None,
        target=[np.zeros(n, int) for n in (2, 4, 4, 5)])  # fmt: skip
    unmasked = bk.Model(outputs=bk.scan(bk.cells.srn(3, 4), bk.sequence("x", 3)))
    with fails(bk.BlocksError, "no mask over 'time'.*sequence\\('mask'\\)"):
        unmasked.predict({"x": lengths})
    with fails(bk.BlocksError, "has no loss"):
        unmasked.fit({"x": X})
    with fails(bk.BlocksError, "lr must be a number"):
        bk.Adam(-1.0)
    with fails(bk.WiringError, "a loss is one number"):
        bk.Model(loss=bk.input("x", 3))


def test_not_a_number_is_traced_to_its_node() -> None:
    """The first node of the graph that is not finite, and the update at which it happened."""
    from blocks.train.model import NonFiniteError

    x = bk.sequence("x", 2)
    y = bk.ADD(2, name="risky")(x)
    loss = bk.mean(bk.log(y * 0.0 + bk.mean(x)))
    model = bk.Model(loss=loss, seed=1)
    X = np.concatenate([np.ones((4, 3, 2)), -np.ones((4, 3, 2))])
    with fails(NonFiniteError, rf"loss is not finite at update 1: .*log \(.*made at {HERE}.*it is NaN"):
        model.fit({"x": X}, batch_size=4, shuffle=False, optimizer=bk.SGD(0.0))
    assert len(model.history.steps) == 1
    cell_h = bk.state("h", 2)
    blow = bk.Cell(states={cell_h: bk.exp(cell_h * 40.0 + bk.input("x", 2))}, outputs=cell_h)
    inside = bk.Model(loss=bk.mean(bk.scan(blow, x) * bk.parameter("p", 2)))
    with fails(NonFiniteError, r"exp.*at step \d of the loop: it is infinite"):
        inside.fit({"x": np.ones((4, 6, 2))}, batch_size=4)


def test_a_call_with_options_in_the_place_of_wires() -> None:
    x = bk.input("x", 4)
    with fails(bk.WiringError, r"slice: .*options go by name: start, stop, axis"):
        bk.slice(x, 0.0, 2.0)
    with fails(bk.WiringError, r"options such as shape= and axis= are given by name"):
        bk.reshape(x, ("batch", 2, 2))
    with fails(bk.WiringError, r"tanh: .*it has no options"):
        bk.tanh(x, axis=1)
