"""Integers and booleans: types of results, counting states, comparisons, one width in every run."""

import operator
from itertools import product

import numpy as np
import pytest

import blocks as bk

from .helpers import same

N, M, X = np.array([3, -2, 2**60 + 1]), np.array([True, False, True]), np.array([0.5, -1.25, 3.0])
n, k = bk.input("n", dtype="int"), bk.input("k", dtype="int")
m, x = bk.input("m", dtype="bool"), bk.input("x", shape=("batch",))
FEEDS = {"n": N, "k": np.array([7, 7, -1]), "m": M, "x": X}
COMPARE = {
    operator.gt: bk.greater, operator.ge: bk.greater_equal, operator.lt: bk.less, operator.le: bk.less_equal,
    operator.eq: bk.equal, operator.ne: bk.not_equal,
}  # fmt: skip


def everywhere(wire, feeds, wanted):
    """A wire by the interpreter, compiled, and from a file: the numbers and the type that are wanted."""
    graph = bk.Graph({"y": wire}).verify()
    fed = {name: feeds[name] for name in graph.inputs}
    for run in (
        lambda g: bk.run(g, fed),
        lambda g: bk.compile(g)(fed),
        lambda g: bk.run(bk.from_json(bk.to_json(g)), fed),
    ):
        got = run(graph)["y"]
        assert got.dtype == wanted.dtype, wire.op
        np.testing.assert_array_equal(got, wanted)


TYPES = {
    "int + int": (n + k, N + FEEDS["k"]),
    "int - number": (n - 1, N - 1),
    "number - int": (1 - n, 1 - N),
    "int * bool": (n * m, N * M),
    "bool + int": (m + n, M + N),
    "int + array": (n + np.array(1, "int8"), N + 1),
    "negative": (-n, -N),
    "abs": (abs(n), np.abs(N)),
    "sign": (bk.sign(n), np.sign(N)),
    "int // int": (n // k, N // FEEDS["k"]),
    "int % int": (n % -k, N % -FEEDS["k"]),
    "number // int, where it is 0": (7 // (n - 3), np.array([0, 7 // -5, 7 // (N[2] - 3)])),
    "int % number": (n % 5, N % 5),
    "number % int, where it is 0": (7 % (n - 3), np.array([0, 7 % -5, 7 % (N[2] - 3)])),
    "int % float": (k % 2.5, FEEDS["k"] % 2.5),
    "float // int": (x // k, X // FEEDS["k"]),
    "clip": (bk.clip(n, -1, 5), np.clip(N, -1, 5)),
    "clip from below": (bk.clip(n, low=k), np.maximum(N, FEEDS["k"])),
    "round": (round(k), 1.0 * FEEDS["k"]),
    "minimum": (bk.minimum(n, k), np.minimum(N, FEEDS["k"])),
    "maximum with a bool": (bk.maximum(n, m), np.maximum(N, M)),
    "sum": (bk.sum(n), N.sum()),
    "max": (bk.max(n, axis=0, keepdims=True), N.max(keepdims=True)),
    "where": (bk.where(m, n, k), np.where(M, N, FEEDS["k"])),
    "where with a bool": (bk.where(x > 0, n, m), np.where(X > 0, N, M)),
    "int + float": (n + x, N + X),
    "int * number with a point": (n * 0.5, N * 0.5),
    "int / int": (n / k, N / FEEDS["k"]),
    "int ** number": (k**2, FEEDS["k"] ** 2.0),
    "mean": (bk.mean(k), FEEDS["k"].mean()),
    "bool + bool": (m + m, M + 1.0 * M),
    "minus bool": (-m, -1.0 * M),
    "sum of bools": (bk.sum(m), np.float64(2.0)),
    "where with a float": (bk.where(m, n, 0.0), np.where(M, N, 0.0)),
    "int of a float": (bk.cast(x, dtype="int"), np.array([0, -1, 3])),
    "int of a bool": (bk.cast(m, dtype="int"), M.astype(int)),
    "bool of an int": (bk.cast(n - 3, dtype="bool"), N != 3),
    "bool of a float": (bk.cast(x, dtype="bool"), X != 0),
    "float of an int": (bk.cast(n), N.astype(float)),
    "float of a bool": (bk.cast(m), M.astype(float)),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_types(name) -> None:
    wire, wanted = TYPES[name]
    everywhere(wire, FEEDS, np.asarray(wanted))


NUMBERS = {"int": np.array([1, 0, 2**53 + 1, -3]), "bool": np.array([True, False, True, False]), "float": np.array([1.0, np.nan, -np.inf, -3.0])}  # fmt: skip


@pytest.mark.parametrize("sign", COMPARE, ids=lambda f: f.__name__)
def test_comparisons_of_all_types(sign) -> None:
    for a, b in product(NUMBERS, NUMBERS):
        first, second = bk.input("a", dtype=a), bk.input("b", dtype=b)
        wire = sign(first, second) if sign not in (operator.eq, operator.ne) else COMPARE[sign](first, second)
        assert (wire.op.name, wire.dtype) == (COMPARE[sign].name, "bool")
        feeds = {"a": NUMBERS[a], "b": NUMBERS[b][[0, 1, 3, 3]]}
        everywhere(wire, feeds, sign(*feeds.values()))


def test_comparisons_take_numbers_and_arrays_on_both_sides() -> None:
    everywhere(np.float32(0) < x, FEEDS, X > 0)
    everywhere(x <= 0.5, FEEDS, X <= 0.5)
    everywhere(np.array(1.0) > x, FEEDS, X < 1.0)
    assert (x == x) is True and (x != n) is True and len({x, n, x}) == 2  # the same wire, not its numbers
    with pytest.raises(TypeError, match="neither is it true nor false"):
        bool(0 < x < 1)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", ">i4", "int64", "uint64"])
def test_integers_have_64_bits_in_every_run(kind) -> None:
    ids = bk.input("ids", dtype="int")
    graph = bk.Graph({"same": ids, "more": ids * 2, "constant": bk.constant(value=np.array([100], kind)) + 100})
    feeds = {"ids": np.array([100, 3], kind)}
    want = {"same": np.array([100, 3]), "more": np.array([200, 6]), "constant": np.array([200])}
    for run in (bk.run, lambda g, f: bk.compile(g)(f)):
        same(want, run(graph, feeds), 0)


def test_an_integer_of_more_than_64_bits_is_refused() -> None:
    big = np.array([2**63], np.uint64)
    for run in (bk.run, lambda g, f: bk.compile(g)(f)):
        with pytest.raises(bk.FeedError, match=r"'n' holds the integer 9223372036854775808; the largest is 2⁶³ − 1"):
            run(bk.Graph({"y": n + 1}), {"n": big})
    with pytest.raises(bk.WiringError, match="a constant holds the integer"):
        n + big


def test_casts_that_are_none() -> None:
    assert bk.cast(n, dtype="int") is n and bk.cast(x) is x and bk.cast(m, dtype="bool") is m
    with pytest.raises(bk.WiringError, match=r"unknown dtype 'float32'; known are float, int, bool.*test_integers"):
        bk.cast(n, dtype="float32")
    with pytest.raises(bk.WiringError, match=r"x \(batch\) is float; that does not pass for 'int'"):
        bk.graph.apply("cast", x, dtype="int")


# --- states that count ---------------------------------------------------------------------------


def counter():
    """A cell that counts its steps, those in a row with x > 0, and the sum of an integer input; and uses what it
    counts: a running mean."""
    x, add = bk.input("x", 2), bk.input("add", dtype="int")
    steps, row, total = (
        bk.state("steps", dtype="int"),
        bk.state("row", dtype="int", init=3),
        bk.state("total", dtype="int"),
    )
    mean = bk.state("mean", 2)
    now = steps + 1
    mean1 = mean + (bk.TANH(2, name="net")(x, mean) - mean) / now
    nexts = {steps: now, row: bk.where(bk.relu(bk.sum(x, axis=-1)), row + 1, 0), total: total + add, mean: mean1}
    return bk.Cell(states=nexts, outputs={"mean": mean1, "row": nexts[row], "steps": steps})


def expected(feeds, mask, reverse):
    """The integers of `counter` by a loop in Python."""
    X, A = feeds["x"], feeds["add"]
    steps, row, total = np.zeros(3, int), np.full(3, 3), np.zeros(3, int)
    rows, before = np.zeros(A.shape, int), np.zeros(A.shape, int)
    for t in reversed(range(5)) if reverse else range(5):
        on = mask[t] != 0
        before[t] = np.where(on, steps, 0)
        steps, total = np.where(on, steps + 1, steps), np.where(on, total + A[t], total)
        row = np.where(on, np.where(X[t].sum(-1) > 0, row + 1, 0), row)
        rows[t] = np.where(on, row, 0)
    return {"row": rows, "steps": before, "final/total": total, "final/row": row, "final/steps": steps}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_state_counts(masked, reverse) -> None:
    rng = np.random.default_rng(7)
    xs, adds, mask = bk.sequence("x", 2), bk.sequence("add", dtype="int"), bk.sequence("mask", dtype="int")
    out, last = bk.scan(counter(), {"x": xs, "add": adds}, reverse=reverse, mask=mask if masked else None, final=True)
    wires = {**out, **{f"final/{s}": wire for s, wire in last.items()}}
    assert all(wires[name].dtype == "int" for name in ("row", "steps", "final/total", "final/row", "final/steps"))
    graph = bk.Graph({**wires, "loss": bk.mean(out["mean"] ** 2) + bk.mean(out["row"]) * bk.mean(out["mean"])})
    feeds = {**graph.init(1, "float64"), "x": rng.standard_normal((5, 3, 2)), "add": rng.integers(-4, 9, (5, 3))}
    feeds |= {"mask": rng.integers(0, 2, (5, 3))} if masked else {}
    want = expected(feeds, feeds.get("mask", np.ones((5, 3))), reverse)
    gradient = bk.grad(graph)
    slow = bk.run(gradient, feeds)
    for got in (slow, bk.compile(gradient)(feeds), bk.compile(gradient, checkpoint=2)(feeds)):
        same(slow, got, 1e-12)
        same(want, {name: got[name] for name in want}, 0)
    again = bk.from_json(bk.to_json(gradient))
    same(slow, bk.run(again, feeds), 0)
    bk.check_grads(graph, feeds, order=2)


def test_what_only_adds_up_stays_an_integer_after_the_loop() -> None:
    """The compiler takes such a state out of the loop: one sum over all steps."""
    s, add = bk.state("s", 2, dtype="int"), bk.input("add", 2, dtype="int")
    _, last = bk.scan(bk.Cell(states={s: s + add}, outputs=s), bk.sequence("add", 2, dtype="int"), final=True)
    graph = bk.Graph({"sum": last["s"], "less": -last["s"]})
    program, adds = bk.compile(graph), np.random.default_rng(2).integers(-9, 9, (4, 3, 2)) + 2**60
    assert "for _" not in program.source and "for (" not in program.source and "add.reduce" in program.source
    same({"sum": adds.sum(0), "less": -adds.sum(0)}, program({"add": adds}), 0)


def test_integers_have_no_gradient_and_stop_none() -> None:
    count = bk.cast(x * 3.0, dtype="int")
    graph = bk.Graph({"loss": bk.sum(count * x + bk.abs(-count) * 2)})
    got = bk.run(bk.grad(graph, wrt=["x"]), {"x": X})
    np.testing.assert_array_equal(got["grad/x"], np.trunc(3 * X))
    with pytest.raises(bk.BlocksError, match="is int; only floating-point numbers have a gradient"):
        bk.grad(bk.Graph({"loss": bk.sum(n * x)}), wrt=["n"])


def test_a_model_with_a_counting_state_trains_in_windows_and_predicts() -> None:
    out = bk.scan(counter(), {"x": bk.sequence("x", 2), "add": bk.sequence("add", dtype="int")})
    loss = bk.losses.squared_error(out["mean"], bk.sequence("target", 2))
    rng = np.random.default_rng(3)
    data = {
        "x": rng.standard_normal((4, 6, 2)),
        "add": rng.integers(0, 5, (4, 6)).astype("int8"),
        "target": rng.standard_normal((4, 6, 2)),
    }
    whole, parts = (bk.Model(loss=loss, outputs=out, seed=2, dtype="float64") for _ in range(2))
    steps = whole.predict({name: data[name] for name in ("x", "add")})["steps"]
    np.testing.assert_array_equal(steps, np.broadcast_to(np.arange(6), (4, 6)))
    whole.fit(data, epochs=2, batch_size=4, shuffle=False, optimizer=bk.SGD(0.0))
    parts.fit(data, epochs=2, batch_size=4, shuffle=False, optimizer=bk.SGD(0.0), tbptt=2)
    np.testing.assert_allclose(
        whole.history.loss, parts.history.loss, rtol=1e-12
    )  # the count goes on from window to window


def test_booleans_are_joined() -> None:
    positive, odd, yes = x > 0.0, bk.equal(n % 2, 1), X > 0.0
    one = FEEDS["n"] % 2 == 1
    everywhere(positive & odd, FEEDS, yes & one)
    everywhere(~positive | odd, FEEDS, ~yes | one)
    everywhere(True & ~odd, FEEDS, ~one)
    everywhere(np.array(False) | positive, FEEDS, yes)
    assert (positive & odd).dtype == "bool" and not (positive & odd).op.vjp
    for wrong in (lambda: x & positive, lambda: positive | n, lambda: ~n, lambda: positive & 1):
        with pytest.raises(bk.WiringError, match="takes booleans"):
            wrong()
