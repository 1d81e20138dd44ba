"""Bricks that normalise: their weights, their one box, their one line; their numbers stand in test_recorded.py."""

import numpy as np
import pytest

import blocks as bk
from blocks.equations import equations

from .helpers import fed

SIZES = {"time": 4, "batch": 3}


def by_hand(x, gain, b, epsilon=1e-5, centred=True):
    x = x - x.mean(-1, keepdims=True) * centred
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gain + b


def test_weights_and_values() -> None:
    x = bk.input("x", 5)
    both = bk.Graph({"ln": bk.LAYERNORM(5)(x), "rms": bk.RMSNORM(5)(x), "twin": bk.layernorm(x)})
    assert both.params == {"layernorm.gain": (5,), "layernorm.b": (5,), "rmsnorm.gain": (5,)}
    assert all((v == (0 if k.endswith(".b") else 1)).all() for k, v in both.init().items())
    feeds = fed(both, SIZES, 1)
    got = bk.run(both, feeds)
    x = feeds["x"]
    np.testing.assert_allclose(got["ln"], by_hand(x, feeds["layernorm.gain"], feeds["layernorm.b"]), rtol=1e-12)
    np.testing.assert_allclose(got["rms"], by_hand(x, feeds["rmsnorm.gain"], 0, centred=False), rtol=1e-12)
    np.testing.assert_allclose(got["twin"], by_hand(x, 1, 0), rtol=1e-12)


def test_options() -> None:
    x, h = bk.input("x", 4), bk.input("h", 4)
    norm = bk.LAYERNORM(4, name="n", bias=False, epsilon=0.5, init=0.1)
    rms = bk.RMSNORM(4, name="r", bias=True, init={"gain": ("normal", 0.2), "b": 2.0})
    graph = bk.Graph({"y": norm(x) + norm(h), "r": rms(x)})
    assert list(graph.params) == ["n.gain", "r.gain", "r.b"]
    first = graph.init(3)
    assert (first["n.gain"] == np.float32(0.1)).all() and (first["r.b"] == 2).all() and 0 < first["r.gain"].std() < 1
    feeds = fed(graph, SIZES, 1)
    want = sum(by_hand(feeds[k], feeds["n.gain"], 0, 0.5) for k in ("x", "h"))
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], want, rtol=1e-12)
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)


def test_rows_are_normalised_alone_and_whatever_their_size() -> None:
    """A row of one value, of large and of tiny numbers; as exact in the program."""
    x = np.array([[3.0, 3.0, 3.0], [1e15, 0.0, -1e15], [1e-30, 2e-30, 0.0], [1.0, 2.0, 6.0]])
    graph = bk.grad(bk.Graph({"loss": bk.sum(bk.LAYERNORM(3)(bk.input("x", 3)) ** 2.0)}), wrt=["x"])
    feeds = {**graph.init(0, "float64"), "x": x}
    one, two = bk.run(graph, feeds), bk.compile(graph)(feeds)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-10, atol=1e-12)
    assert np.isfinite(one["grad/x"]).all()
    alone = bk.run(graph, {**feeds, "x": x[3:]})["grad/x"]
    np.testing.assert_allclose(one["grad/x"][3:], alone, rtol=1e-10, atol=1e-12)


def cell_of_norms():
    x, h = bk.input("x", 3), bk.state("h", 3)
    norm = bk.LAYERNORM(3, name="norm")
    h1 = bk.tanh(norm(x) + bk.parameter("s", 3, init=1.0) * norm(h))
    return bk.Cell({h: h1}, bk.RMSNORM(3, name="rms", bias=True)(bk.MULTIPLY(3, name="m", bias=True)(h1, x)))


def test_a_call_is_one_box_and_one_line() -> None:
    """Two calls of one brick are two boxes; the sign is of what a brick does, not of its gain and bias."""
    cell = cell_of_norms()
    boxes = [tuple(line.plain for line in s.lines) for s in cell.draw().scene.shapes if s.kind == "brick"]
    assert boxes == [("LN", "norm"), ("LN", "norm"), ("×", "m"), ("RMSNorm", "rms")]
    back = [[line.plain for line in s.lines] for s in cell.draw(gradient=True).scene.shapes if len(s.lines) > 1]
    assert ["⊙ gain", "LN′", "norm"] in back and ["⊙ gain", "RMSNorm′", "rms"] in back
    assert ["×", "· Wᵀ", "m"] in back
    ys = bk.scan(cell, bk.sequence("x", 3))
    scene = bk.Graph({"y": ys}).draw().scene
    signs = {s.name: s.lines[0].plain for s in scene.shapes if s.kind == "brick"}
    assert signs == {"norm": "LN", "m": "×", "rms": "RMSNorm"}
    (weights,) = (s.key for s in scene.shapes if s.name == "s")  # without a brick: they stand inside of the loop
    assert len([w for w in scene.wires if w.source == weights]) == 1
    lines = equations(bk.cells.lstm_layernorm(3, 4).graph)
    assert "norm_h = LN(recurrent, epsilon=10⁻⁵) ⊙ gain" in lines
    assert "norm_C = LN(C, epsilon=10⁻⁵) ⊙ gain + b" in lines
    assert len(lines) == 9


@pytest.mark.parametrize("weights", ["dense", "diagonal", "scalar"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("brick", [bk.ADD, bk.MULTIPLY, bk.TANH])
def test_the_sign_of_other_bricks(brick, bias, weights) -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    h1 = brick(3, name="one", bias=bias, weights=weights)(x, h)
    (box,) = [s for s in bk.Cell({h: h1}, h1).draw().scene.shapes if s.kind == "brick"]
    assert box.lines[0].plain == {bk.ADD: "+", bk.MULTIPLY: "×", bk.TANH: "tanh"}[brick]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: bk.LAYERNORM(4, name="n")(x), r"'n' made at .*one wire of 4 features, not x \(batch, 3\)"),
        (lambda x: bk.RMSNORM(3, name="n")(x, x), "one wire of 3 features, not x .* and x"),
        (lambda x: bk.LAYERNORM(3)(bk.input("i", 3, dtype="int")), "is int; a brick takes floating-point"),
        (lambda x: bk.LAYERNORM(3, epsilon=0.0), "'layernorm': epsilon is a positive number, not 0.0"),
        (lambda x: bk.LAYERNORM(3, epsilon="small"), "epsilon is a positive number, not 'small'"),
        (lambda x: bk.LAYERNORM(0), "units must be a positive whole number"),
        (lambda x: bk.LAYERNORM(3, init={"g": 1.0})(x), "init for 'g', but its weights are gain, b"),
        (lambda x: bk.RMSNORM(3, init={"b": 1.0})(x), "init for 'b', but its weights are gain"),
        (lambda x: bk.layernorm(x, epsilon=-1.0), "layernorm: epsilon is a positive number"),
        (lambda x: bk.rmsnorm(x, axis=2), "rmsnorm: .*has no axis 2"),
    ],
)
def test_what_does_not_fit_is_refused(make, said) -> None:
    with pytest.raises(bk.WiringError, match=said):
        make(bk.input("x", 3))
