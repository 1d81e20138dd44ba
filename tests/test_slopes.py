"""Gradients at the edge: powers at 0, kinks, and the checker that must tell a kink from a wrong rule."""

import numpy as np
import pytest

import blocks as bk
from blocks.graph import OPS

X = np.array([[0.0, -2.0, 3.0, 0.5], [1.0, 0.0, -0.25, 0.0]])


def slopes(f, x, order=1):
    wire = bk.input("x", x.shape[-1])
    graph = bk.Graph({"loss": bk.sum(f(wire))})
    for _ in range(order - 1):
        slope = bk.sum(bk.grad(graph, wrt=["x"]).outputs["grad/x"])
        graph = bk.Graph({"loss": slope + 0.0 * bk.sum(wire)})  # a slope may be the same everywhere
    gradient = bk.grad(graph, wrt=["x"])
    found = [run(gradient, {"x": x})["grad/x"] for run in (bk.run, lambda g, f: bk.compile(g)(f))]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    return found[0]


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, 4.0])
def test_whole_powers_have_slopes_everywhere(p) -> None:
    first, second = p * X ** max(p - 1, 0), p * (p - 1) * X ** max(p - 2, 0)
    for exponent in (p, np.full(4, p), np.array([p])):
        np.testing.assert_allclose(slopes(lambda x, e=exponent: x**e, X), first)
        np.testing.assert_allclose(slopes(lambda x, e=exponent: x**e, X, order=2), second)


def test_powers_of_two_wires() -> None:
    x, p = bk.input("x", 4), bk.input("p", 4)
    gradient = bk.grad(bk.Graph({"loss": bk.sum(x**p)}), wrt=["x", "p"])
    feeds = {"x": np.array([[0.0, 0.0, 2.0, 3.0]]), "p": np.array([[0.0, 2.0, 0.0, -1.5]])}
    got = bk.run(gradient, feeds)
    base, exponent = feeds["x"], feeds["p"]
    np.testing.assert_allclose(got["grad/x"], [[0, 0, 0, -1.5 * 3**-2.5]])
    np.testing.assert_allclose(got["grad/p"][:, 2:], (base**exponent * np.log(np.maximum(base, 1)))[:, 2:])
    np.testing.assert_array_equal(got["grad/p"][:, :2], 0)
    rng = np.random.default_rng(0)
    feeds = {"x": rng.random((3, 4)) + 0.5, "p": rng.standard_normal((3, 4))}
    for order in (1, 2):
        bk.check_grads(bk.Graph({"y": x**p}), feeds, order=order)


KINKED = {
    "relu": bk.relu,
    "abs": bk.abs,
    "maximum": lambda v: bk.maximum(v, -v),
    "minimum": lambda v: bk.minimum(2.0 * v, v),
    "max": lambda v: bk.max(v, axis=-1),
    "relu²": lambda v: bk.relu(v) ** 2.0,
    "where": lambda v: bk.where(bk.greater(v, 0.0), v, 2.0 * v),
    "sign": lambda v: bk.sign(v) * v * v,
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", KINKED)
def test_a_kink_is_no_fault(name, order) -> None:
    w = np.random.default_rng(1).standard_normal(4)
    graph = bk.Graph({"y": bk.tanh(bk.sum(KINKED[name](bk.input("x", 4)) * w))})
    beside = 1e-5 if order == 1 else 0.5  # nearer to a kink than the differences reach
    for x in (np.zeros((2, 4)), np.array([[0.0, 1, -2, 3], [1, 1, 0, beside]])):
        bk.check_grads(graph, {"x": x}, order=order)


@pytest.mark.parametrize("rule", [lambda g, y, x: (g * 2.0,), lambda g, y, x: (g * -1.0,), lambda g, y, x: (g * y,)])
def test_a_wrong_rule_is_a_fault_at_a_kink_too(rule, monkeypatch) -> None:
    wrong = bk.Graph({"y": bk.sum(bk.relu(bk.input("x", 4)))})
    monkeypatch.setitem(OPS["relu"].__dict__, "vjp", rule)
    for x in (np.zeros((2, 4)), X):
        with pytest.raises(bk.GradientError, match="relu"):
            bk.check_grads(wrong, {"x": x})


def test_gradients_by_outputs_and_inner_values() -> None:
    """dL/dh(t) of an unrolled cell: outputs are known by name."""
    steps = 3
    graph = bk.unroll(bk.cells.srn(2, 4), steps)
    loss = bk.sum(graph.outputs["y(3)"] ** 2.0)
    graph = bk.Graph({**graph.outputs, "loss": loss})
    gradient = bk.grad(graph, wrt=["y(1)", "y(2)", "x(1)", "hidden.W_h"])
    rng = np.random.default_rng(0)
    feeds = {n: rng.standard_normal([3 if d == "batch" else d for d in s]) for n, s in graph.inputs.items()}
    feeds |= graph.init(1, "float64")
    got = bk.run(gradient, feeds)
    w = feeds["hidden.W_h"]
    d3 = 2 * got["y(3)"]
    d2 = (d3 * (1 - got["y(3)"] ** 2)) @ w.T
    np.testing.assert_allclose(got["grad/y(2)"], d2)
    np.testing.assert_allclose(got["grad/y(1)"], (d2 * (1 - got["y(2)"] ** 2)) @ w.T)


def test_a_leaf_is_meant_before_an_output_of_its_name() -> None:
    x = bk.input("x", 2)
    graph = bk.Graph({"loss": bk.sum(x * x), "x": bk.tanh(x)})
    got = bk.run(bk.grad(graph, wrt=["x"]), {"x": X[:, :2]})
    np.testing.assert_allclose(got["grad/x"], 2 * X[:, :2])


def test_a_stopped_gradient_is_named_and_no_operation_is_blamed() -> None:
    x = bk.input("x", 4)
    graph = bk.Graph({"y": bk.sum(bk.stop_gradient(x) ** np.array([1.0, 2.0, 3.0, 2.0]) + x)})
    with pytest.raises(
        bk.GradientError, match="every operation alone is right; what flows through stop_gradient .* made at"
    ):
        bk.check_grads(graph, {"x": X})


def test_kinks_that_meet() -> None:
    """The slope that the rules give to a difference of two kinks, 0, lies on neither side nor between: still no fault."""
    x, at = bk.input("x", 1), {"x": np.zeros((1, 1))}
    graph = bk.Graph({"y": bk.relu(2.0 * x) - bk.relu(-x)})
    assert bk.run(bk.grad(bk.Graph({"loss": bk.sum(graph.outputs["y"])}), wrt=["x"]), at)["grad/x"] == 0
    bk.check_grads(graph, at)


def test_a_wrong_rule_where_kinks_meet(monkeypatch) -> None:
    x, at = bk.input("x", 1), {"x": np.zeros((1, 1))}
    graph = bk.Graph({"y": bk.relu(2.0 * x) - bk.relu(-x) + bk.tanh(x)})
    monkeypatch.setitem(OPS["tanh"].__dict__, "vjp", lambda g, y, x: (g * 3.0,))
    with pytest.raises(bk.GradientError, match="tanh"):
        bk.check_grads(graph, at)


def test_what_is_steep_is_no_fault() -> None:
    """Numbers that hardly differ, normalised: the differences need a shorter step."""
    x = bk.input("x", 3)
    centred = x - bk.mean(x, axis=-1, keepdims=True)
    graph = bk.Graph({"y": centred / bk.sqrt(bk.mean(centred**2, axis=-1, keepdims=True) + 1e-7)})
    bk.check_grads(graph, {"x": np.array([[0.3, 0.302, 0.299], [1.0, 1.0, 1.001]])}, tolerance=1e-5)


def test_one_steep_thing_after_another_is_no_fault() -> None:
    """Norms of zeros, one of the other, as a normalised cell has them at its first step."""
    x, w = bk.input("x", 3), bk.parameter("w", 3, 3)
    graph = bk.Graph({"y": bk.layernorm(bk.matmul(bk.layernorm(x, epsilon=1e-6), w), epsilon=1e-6)})
    weights = np.random.default_rng(3).standard_normal((3, 3))
    bk.check_grads(graph, {"x": np.zeros((2, 3)), "w": weights}, wrt=["x"], tolerance=1e-5)


def test_infinity_hides_no_wrong_rule_and_is_not_blamed(monkeypatch) -> None:
    """The idiom of attention: what is masked is −∞ before the softmax."""
    x = bk.input("x", 4)
    masked = bk.where(np.array([True, True, False, True]), bk.tanh(x), -np.inf)
    graph = bk.Graph({"y": bk.softmax(masked)})
    bk.check_grads(graph, {"x": X})
    monkeypatch.setitem(OPS["tanh"].__dict__, "vjp", lambda g, y, x: (g * 3.0,))
    with pytest.raises(bk.GradientError, match=r"gradient of tanh \(batch, 4\)"):
        bk.check_grads(graph, {"x": X})
