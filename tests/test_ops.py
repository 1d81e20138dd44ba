"""Every operation, from one table: finite differences of first and second order, and NumPy's own answer."""

import math

import numpy as np
import pytest

import blocks as bk
from blocks.graph import OPS

RNG = np.random.default_rng(7)


def wire(name, *shape, dtype="float"):
    return bk.input(name, dtype=dtype, shape=shape)


def normal(*shape):
    return RNG.standard_normal(shape)


def positive(*shape):
    return RNG.uniform(0.5, 2.0, shape)


A, B, C = normal(3, 4), normal(3, 4), normal(4)
IDS = np.array([2, 0, 2])

# name: (what it builds, the feeds, NumPy's answer or None); batch is 3, features 4
a, b, c = wire("a", "batch", 4), wire("b", "batch", 4), wire("c", 4)
i = wire("i", "batch", dtype="int")
m = wire("m", "batch", dtype="bool")
keep, KEEP = wire("keep", "batch", 4, dtype="bool"), np.array([[1, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0]], bool)


V = positive(3, 1)


def held(x):
    """What `hold` makes of an array of three steps under KEEP, whose last sequence is masked whole."""
    return np.stack([x[[0, 0, 2], 0], x[[2, 2, 2], 1], x[[0, 1, 1], 2], x[[0, 0, 2], 0]], axis=1)


def normed(x, axis, epsilon):
    return x / np.sqrt((x**2).mean(axis, keepdims=True) + epsilon)


TABLE = {
    "add": (bk.add(a, c), {"a": A, "c": C}, lambda: A + C),
    "subtract": (a - b, {"a": A, "b": B}, lambda: A - B),
    "multiply": (a * c, {"a": A, "c": C}, lambda: A * C),
    "divide": (a / (b * b + 1.0), {"a": A, "b": B}, lambda: A / (B**2 + 1)),
    "power": (wire("p", "batch", 4) ** b, {"p": positive(3, 4), "b": B}, None),
    "negative": (-a * b, {"a": A, "b": B}, lambda: -A * B),
    "floor_divide": ((a // (b * b + 0.3)) * b, {"a": A, "b": B}, lambda: np.floor(A / (B**2 + 0.3)) * B),
    "mod": (a % (b * b + 0.3) * b, {"a": A, "b": B}, lambda: (A - np.floor(A / (B**2 + 0.3)) * (B**2 + 0.3)) * B),
    "sin": (bk.sin(3.0 * a), {"a": A}, lambda: np.sin(3 * A)),
    "cos": (bk.cos(3.0 * a), {"a": A}, lambda: np.cos(3 * A)),
    "floor": (bk.floor(a * 3.0) * a, {"a": A}, lambda: np.floor(A * 3) * A),
    "round": (round(a * 3.0) * a, {"a": A}, lambda: np.round(A * 3) * A),
    "silu": (bk.silu(3.0 * a), {"a": A}, lambda: 3 * A / (1 + np.exp(-3 * A))),
    "gelu": (bk.gelu(3.0 * a), {"a": A}, lambda: 1.5 * A * (1 + np.tanh(np.sqrt(2 / np.pi) * (3 * A + 0.044715 * 27 * A**3)))),
    "exp": (bk.exp(a), {"a": A}, lambda: np.exp(A)),
    "expm1": (bk.expm1(1e-3 * a), {"a": A}, lambda: np.expm1(1e-3 * A)),
    "log": (bk.log(a * a + 0.5), {"a": A}, lambda: np.log(A**2 + 0.5)),
    "sqrt": (bk.sqrt(a * a + 0.5), {"a": A}, lambda: np.sqrt(A**2 + 0.5)),
    "abs": (bk.abs(a) * b, {"a": A, "b": B}, lambda: np.abs(A) * B),
    "sign": (bk.sign(a) * b, {"a": A, "b": B}, lambda: np.sign(A) * B),
    "sigm": (bk.sigm(a), {"a": A}, lambda: 1 / (1 + np.exp(-A))),
    "tanh": (bk.tanh(a), {"a": A}, lambda: np.tanh(A)),
    "relu": (bk.relu(a) * b, {"a": A, "b": B}, lambda: np.maximum(A, 0) * B),
    "softplus": (bk.softplus(a), {"a": A}, lambda: np.log1p(np.exp(A))),
    "maximum": (bk.maximum(a, b) * b, {"a": A, "b": B}, lambda: np.maximum(A, B) * B),
    "minimum": (bk.minimum(a, c) * a, {"a": A, "c": C}, lambda: np.minimum(A, C) * A),
    "where": (bk.where(bk.greater(a, 0.0), a * b, b), {"a": A, "b": B}, lambda: np.where(A > 0, A * B, B)),
    "greater": (bk.where(bk.greater(a, b), a, b) ** 2, {"a": A, "b": B}, lambda: np.maximum(A, B) ** 2),
    "greater_equal": (bk.where(a >= b, a, b) ** 2, {"a": A, "b": B}, lambda: np.maximum(A, B) ** 2),
    "less": (bk.where(a < b, a, b) ** 2, {"a": A, "b": B}, lambda: np.minimum(A, B) ** 2),
    "less_equal": (bk.where(a <= b, a, b) ** 2, {"a": A, "b": B}, lambda: np.minimum(A, B) ** 2),
    "logical_and": (bk.where((a > 0.0) & (b < 0.0), a, b) ** 2, {"a": A, "b": B}, lambda: np.where((A > 0) & (B < 0), A, B) ** 2),
    "logical_or": (bk.where((a > 0.0) | (c < 0.0), a, b) ** 2, {"a": A, "b": B, "c": C}, lambda: np.where((A > 0) | (C < 0), A, B) ** 2),
    "logical_not": (bk.where(~(a > 0.0), a, b) ** 2, {"a": A, "b": B}, lambda: np.where(A > 0, B, A) ** 2),
    "not_equal": (bk.cast(bk.not_equal(a, 0.0)) * b, {"a": A, "b": B}, lambda: B),
    "equal": (bk.cast(bk.equal(a, a)) * b, {"a": A, "b": B}, lambda: B),
    "cast": (bk.cast(m) * a, {"m": A[:, 0] > 0, "a": A},
             lambda: (A[:, :1] > 0) * A),
    "truncate": (bk.cast(a * 3.0, dtype="int") * b, {"a": A, "b": B}, lambda: np.trunc(A * 3) * B),
    "stop_gradient": (bk.stop_gradient(a) + b * b, {"b": B, "a": A}, lambda: A + B**2),
    "matmul": (a @ wire("w", 4, 2), {"a": A, "w": normal(4, 2)}, None),
    "transpose": (bk.transpose(wire("w", 2, 4)) * bk.reshape(c, shape=(4, 1)), {"w": normal(2, 4), "c": C}, None),
    "moveaxis": (bk.moveaxis(wire("k", 2, 3, 4), source=0, destination=2) ** 2, {"k": normal(2, 3, 4)}, None),
    "outer": (bk.outer(a, wire("d", "batch", 2)), {"a": A, "d": normal(3, 2)}, None),
    "outer_each": (bk.outer_each(a, wire("d", "batch", 2)) ** 2, {"a": A, "d": A[:, :2]},
                   lambda: np.einsum("bn,bm->bnm", A, A[:, :2]) ** 2),
    "cumsum": (bk.cumsum(a, axis="batch") * bk.cumsum(a, reverse=True), {"a": A},
               lambda: A.cumsum(0) * A[:, ::-1].cumsum(1)[:, ::-1]),
    "argmax": (bk.argmax(a, keepdims=True) * a + bk.argmax(a, axis=0) * a, {"a": A},
               lambda: (A.argmax(1)[:, None] + A.argmax(0)) * A),
    "sum": (bk.sum(a * a, axis="batch"), {"a": A}, lambda: (A * A).sum(0)),
    "mean": (bk.mean(a * a, axis=("batch", -1)), {"a": A}, lambda: (A * A).mean()),
    "max": (bk.max(a * b, axis=-1), {"a": A, "b": B}, lambda: (A * B).max(-1)),
    "softmax": (bk.softmax(a), {"a": A}, lambda: np.exp(A) / np.exp(A).sum(-1, keepdims=True)),
    "log_softmax": (bk.log_softmax(a, axis=0), {"a": A}, lambda: A - np.log(np.exp(A).sum(0))),
    "layernorm": (bk.layernorm(a * b, axis=-1, epsilon=0.1), {"a": A, "b": B}, lambda: normed(A * B - (A * B).mean(-1, keepdims=True), 1, 0.1)),
    "rmsnorm": (bk.rmsnorm(a * b, axis="batch"), {"a": A, "b": B}, lambda: normed(A * B, 0, 1e-5)),
    "size": (bk.sum(a, axis="batch") * bk.graph.apply("size", dims=("batch",)), {"a": A}, lambda: 3 * A.sum(0)),
    "broadcast": (bk.broadcast(c, shape=("batch", 4)) * a, {"c": C, "a": A}, lambda: C * A),
    "reshape": (bk.reshape(a, shape=("batch", 2, 2)) ** 2, {"a": A}, lambda: A.reshape(3, 2, 2) ** 2),
    "concat": (bk.concat(a, b, a) ** 2, {"a": A, "b": B}, lambda: np.concatenate([A, B, A], 1) ** 2),
    "slice": (bk.slice(a, start=1, stop=3) ** 2, {"a": A}, lambda: A[:, 1:3] ** 2),
    "pad": (bk.graph.apply("pad", a, start=1, stop=5, axis=1, shape=("batch", 7)) ** 2, {"a": A},
            lambda: np.pad(A, ((0, 0), (1, 2))) ** 2),
    "gather": (bk.gather(wire("t", 3, 4), i) ** 2, {"t": A, "i": IDS}, lambda: A[IDS] ** 2),
    "scatter": (bk.graph.apply("scatter", a, i, rows=5) ** 2, {"a": A, "i": IDS}, None),
    "one_hot": (bk.one_hot(i, classes=4) * a, {"i": IDS, "a": A}, lambda: np.eye(4)[IDS] * A),
    "cross_entropy": (bk.losses.cross_entropy(a * b, i), {"a": A, "b": B, "i": IDS}, None),
    "mask": (bk.losses.squared_error(a, b, mask=m), {"a": A, "b": B, "m": np.array([True, False, True])},
             lambda: ((A - B)[[0, 2]] ** 2).mean()),
    "hold": (bk.graph.apply("hold", a, keep) * b, {"a": A, "b": B, "keep": KEEP}, lambda: held(A) * B),
    "release": (bk.graph.apply("release", a, keep) * b, {"a": A, "b": B, "keep": KEEP},
                lambda: np.stack([(A * held(np.eye(12)[i].reshape(3, 4))).sum() for i in range(12)]).reshape(3, 4) * B),
    "weighted_mean": (bk.graph.apply("weighted_mean", a * a, wire("v", "batch", 1)), {"a": A, "v": positive(3, 1)}, None),
    "weighted_sum": (bk.graph.apply("weighted_sum", a * a, wire("v", "batch", 1)), {"a": A, "v": V}, lambda: (A * A * V).sum()),
    "last": (bk.graph.apply("last", a, keep) ** 2, {"a": A, "keep": KEEP}, lambda: np.array([A[2, 0], A[2, 1], A[1, 2], 0]) ** 2),
    "constant": (a * np.arange(4.0) + 2, {"a": A}, lambda: A * np.arange(4.0) + 2),
    "draw": (bk.noise(bk.dropout(a, 0.3), 0.1) * bk.uniform(4, low=1.0, high=3.0), {"a": A}, lambda: A * 2.0),
    "input": (a * a, {"a": A}, lambda: A * A),
    "parameter": (a * bk.parameter("q", 4), {"a": A, "q": C}, lambda: A * C),
}  # fmt: skip
LOOPS = {"loop", "pick"}  # checked with cells, in test_cells.py


def test_every_operation_is_in_the_table() -> None:
    assert set(OPS) - LOOPS == set(TABLE)
    for name, (built, _, _) in TABLE.items():
        used = {n.op.name for n in bk.Graph({"y": built}).order()}
        if name == "size":
            used |= {n.op.name for n in bk.grad(bk.Graph({"y": bk.sum(built)}), of="y", wrt=["a"]).order()}
        assert name in used, f"the entry for {name} does not use it"


def test_every_operation_says_what_it_does() -> None:
    for name, op in OPS.items():
        assert op.formula and len(op.formula) < 80, name


@pytest.mark.parametrize("name", [n for n in TABLE if n not in ("sign", "stop_gradient")])
def test_gradients(name: str) -> None:
    built, feeds, _ = TABLE[name]
    graph = bk.Graph({"y": built}).verify()
    bk.check_grads(graph, feeds, order=1)
    bk.check_grads(graph, feeds, order=2)


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row[2]])
def test_values(name: str) -> None:
    built, feeds, expected = TABLE[name]
    result = bk.run(bk.Graph({"y": built}), feeds)["y"]
    np.testing.assert_allclose(result, expected(), rtol=1e-13, atol=1e-13)
    assert result.shape == np.shape(expected())


@pytest.mark.parametrize("name", list(TABLE))
def test_float32_stays_float32(name: str) -> None:
    built, feeds, _ = TABLE[name]
    single = {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in feeds.items()}
    if any(v.dtype.kind == "f" for v in feeds.values()):
        assert bk.run(bk.Graph({"y": built}), single)["y"].dtype == np.float32


@pytest.mark.parametrize("name", list(TABLE))
def test_shapes_are_what_was_inferred(name: str) -> None:
    built, feeds, _ = TABLE[name]
    result = bk.run(bk.Graph({"y": built}), feeds)["y"]
    assert result.shape == tuple({"batch": 3}.get(d, d) for d in built.shape)


STACKS = [
    ((7, 4, 3), (1, 3, 5)), ((4, 3), (7, 3, 5)), ((7, 2, 4, 3), (2, 3, 5)), ((7, 2, 4, 3), (1, 1, 3, 5)),
    ((2, 4, 3), (7, 1, 3, 5)), ((1, 4, 3), (7, 3, 5)), ((7, 3), (1, 3, 5)), ((7, 1, 4, 3), (2, 3, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("x", "w"), STACKS)
def test_gradients_of_stacks(x, w) -> None:
    """Of which either may lack a dimension, or have it once."""
    graph = bk.Graph({"loss": bk.mean(bk.tanh(wire("x", *x) @ wire("w", *w)) ** 2.0)})
    bk.check_grads(graph, {"x": normal(*x), "w": normal(*w)}, order=2)


def test_matmul_and_outer_sum_over_all_leading_dimensions() -> None:
    x, g = bk.sequence("x", 3), bk.sequence("g", 2)
    X, G = normal(5, 4, 3), normal(5, 4, 2)
    out = bk.run(bk.Graph({"y": bk.outer(x, g)}), {"x": X, "g": G})["y"]
    np.testing.assert_allclose(out, np.einsum("tbn,tbm->nm", X, G), rtol=1e-12)


def test_a_matrix_for_each_sample() -> None:
    memory, q = bk.input("M", 3, 2), bk.input("q", 2)
    graph = bk.Graph({"y": bk.matvec(memory, q)})
    feeds = {"M": normal(4, 3, 2), "q": normal(4, 2)}
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], np.einsum("bnm,bm->bn", feeds["M"], feeds["q"]), rtol=1e-12)
    bk.check_grads(graph, feeds, order=2)


def test_trials_run_side_by_side() -> None:
    """Weights with a leading trials dimension: everything behind them has it too, behind its steps."""
    x = bk.sequence("x", 3)
    w, bias = wire("W", "trials", 3, 2), wire("b", "trials", 2)
    graph = bk.Graph({"y": bk.tanh(x @ w + bias)})
    feeds = {"x": normal(5, 4, 3), "W": normal(6, 3, 2), "b": normal(6, 2)}
    y = bk.run(graph, feeds)["y"]
    assert graph.outputs["y"].shape == ("time", "trials", "batch", 2)
    for r in range(6):
        np.testing.assert_allclose(y[:, r], np.tanh(feeds["x"] @ feeds["W"][r] + feeds["b"][r]), rtol=1e-12)
    bk.check_grads(graph, feeds)


def test_named_dimensions_meet_by_name() -> None:
    xs, mask, per_time = bk.sequence("x", 2), bk.sequence("mask"), wire("t", "time")
    graph = bk.Graph({"y": xs * mask * per_time})
    feeds = {"x": normal(5, 3, 2), "mask": normal(5, 3), "t": normal(5)}
    expected = feeds["x"] * feeds["mask"][..., None] * feeds["t"][:, None, None]
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], expected, rtol=1e-13)
    bk.check_grads(graph, feeds)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_numbers(size: float) -> None:
    """Values and gradients stay exact where a formula written down naively overflows."""
    z = np.array([[size, 0.0, 3.0]])
    x, t = bk.input("x", 3), bk.input("t", dtype="int")
    graph = bk.Graph(
        {
            "loss": bk.losses.cross_entropy(x, t),
            "softmax": bk.softmax(x),
            "log_sigm": bk.log_sigm(x),
            "sigm": bk.sigm(x),
            "softplus": bk.softplus(x),
        }
    )
    out = bk.run(bk.grad(graph, wrt=["x"]), {"x": z, "t": np.array([1])})
    assert all(np.isfinite(v).all() for v in out.values())
    np.testing.assert_allclose(out["loss"], np.logaddexp.reduce(z[0]) - 0.0)
    np.testing.assert_allclose(out["log_sigm"], -np.logaddexp(0, -z))
    np.testing.assert_allclose(out["softplus"], np.logaddexp(0, z))
    binary = bk.Graph({"loss": bk.losses.binary_cross_entropy(x, bk.input("p", 3))})
    p = np.array([[0.0, 1.0, 0.25]])
    expected = (-p * -np.logaddexp(0, -z) - (1 - p) * -np.logaddexp(0, z)).mean()
    np.testing.assert_allclose(bk.run(binary, {"x": z, "p": p})["loss"], expected)


COMPOSED = {
    "clip": (bk.clip(a, -0.5, 0.25), lambda z: np.clip(z, -0.5, 0.25)),
    "clip from above": (bk.clip(a, high=0.25), lambda z: np.minimum(z, 0.25)),
    "log_sigm": (bk.log_sigm(a), lambda z: -np.log1p(np.exp(-z))),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSED)
def test_what_is_made_of_others(name) -> None:
    wire, expected = COMPOSED[name]
    graph = bk.Graph({"y": wire})
    for run in (bk.run, lambda g, f: bk.compile(g)(f)):
        np.testing.assert_allclose(run(graph, {"a": A})["y"], expected(A), rtol=1e-12, atol=1e-15)
    bk.check_grads(graph, {"a": A}, order=2)


def test_gelu_is_near_the_gaussian_one_and_right_far_out() -> None:
    z = np.linspace(-6, 6, 241)
    wire, feeds = bk.input("z", shape=("batch",)), {"z": z}
    exact = z * np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
    assert 1e-5 < np.abs(bk.run(bk.Graph({"y": bk.gelu(wire)}), feeds)["y"] - exact).max() < 5e-4
    far = bk.Graph({"y": bk.sum(bk.gelu(wire) + bk.silu(wire))})
    out = bk.run(bk.grad(far, of="y", wrt=["z"]), {"z": np.array([-1e4, 1e4], np.float32)})
    np.testing.assert_array_equal(out["grad/z"], [0.0, 2.0])


def test_a_clip_that_is_none() -> None:
    with pytest.raises(bk.WiringError, match=r"clip: nothing is from 2 to 1 \[test_ops"):
        bk.clip(a, 2, 1)
    with pytest.raises(bk.WiringError, match="give low or high"):
        bk.clip(a)


def test_one_hot_and_integer_targets_agree() -> None:
    x, ids, rows = bk.sequence("x", 4), bk.sequence("t", dtype="int"), bk.sequence("r", 4)
    mask = bk.sequence("mask")
    graph = bk.Graph({"loss": bk.losses.cross_entropy(x, ids, mask), "rows": bk.losses.cross_entropy(x, rows, mask)})
    T = RNG.integers(0, 4, (5, 3))
    keep = (RNG.random((5, 3)) > 0.4).astype(float)
    X = normal(5, 3, 4)
    feeds = {"x": X, "t": T, "r": np.eye(4)[T], "mask": keep}
    out = bk.run(graph, feeds)
    log_p = X - np.log(np.exp(X).sum(-1, keepdims=True))
    by_hand = -(np.take_along_axis(log_p, T[..., None], -1)[..., 0] * keep).sum() / keep.sum()
    np.testing.assert_allclose([out["loss"], out["rows"]], by_hand, rtol=1e-12)
    bk.check_grads(graph, feeds)


def test_a_wrong_gradient_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break tanh's rule on purpose, inside a loop: the check names the brick."""
    hs = bk.scan(bk.cells.lstm(3, 4), bk.sequence("x", 3))
    graph = bk.Graph({"y": hs})
    feeds = {**graph.init(0, "float64"), "x": normal(4, 2, 3)}
    bk.check_grads(graph, feeds)
    monkeypatch.setitem(OPS["tanh"].__dict__, "vjp", lambda g, y, x: (g * (1.0 - y),))
    with pytest.raises(bk.GradientError, match=r"candidate.*tanh.*finite differences"):
        bk.check_grads(graph, feeds)
