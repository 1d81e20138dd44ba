"""Losses by hand: masks, reductions, weights of classes, the last step. PyTorch's numbers stand in test_recorded.py."""

import numpy as np
import pytest

import blocks as bk

from .helpers import fed, same
from .native import HERE

L = bk.losses
RNG = np.random.default_rng(8)
Y, Z = RNG.standard_normal((5, 4, 3)), RNG.standard_normal((5, 4, 3))
IDS = RNG.integers(0, 3, (5, 4))
MASK = np.array([[1, 0, 0, 1], [1, 1, 0, 1], [0, 0.5, 0, 1], [1, 0, 0, 1], [0, 0, 0, 1]])
FEEDS = {"y": Y, "z": Z, "ids": IDS, "mask": MASK}
y, z, ids, mask = bk.sequence("y", 3), bk.sequence("z", 3), bk.sequence("ids", dtype="int"), bk.sequence("mask")
LOGP = Y - np.log(np.exp(Y).sum(-1, keepdims=True))
NLL = -np.take_along_axis(LOGP, IDS[..., None], -1)[..., 0]
D = np.abs(Y - Z)


def value(node, **feeds):
    graph = bk.Graph({"y": node})
    fed = {k: v for k, v in {**FEEDS, **feeds}.items() if k in graph.inputs}
    want = bk.run(graph, fed)["y"]
    np.testing.assert_allclose(bk.compile(graph)(fed)["y"], want, rtol=1e-12, atol=1e-14)
    return want


@pytest.mark.parametrize(
    ("make", "each"),
    [
        (lambda **o: L.cross_entropy(y, ids, **o), NLL),
        (lambda **o: L.squared_error(y, z, **o), D**2),
        (lambda **o: L.absolute_error(y, z, **o), D),
        (lambda **o: L.huber(y, z, delta=0.7, **o), np.where(D < 0.7, D * D / 2, 0.7 * (D - 0.35))),
        (lambda **o: L.binary_cross_entropy(y, bk.sigm(z), **o), np.log1p(np.exp(Y)) - Y / (1 + np.exp(-Z))),
    ],
)
def test_reductions_and_masks(make, each) -> None:
    steps = each if each.ndim == 2 else each.mean(-1)
    w = MASK if each.ndim == 2 else MASK[..., None]
    np.testing.assert_allclose(value(make()), steps.mean(), rtol=1e-12)
    np.testing.assert_allclose(value(make(mask=mask)), (steps * MASK).sum() / MASK.sum(), rtol=1e-12)
    np.testing.assert_allclose(value(make(reduction="sum")), each.sum(), rtol=1e-12)
    np.testing.assert_allclose(value(make(mask=mask, reduction="sum")), (each * w).sum(), rtol=1e-12)
    np.testing.assert_allclose(value(make(reduction="none")), each, rtol=1e-12)
    np.testing.assert_allclose(value(make(mask=mask, reduction="none")), each * w, rtol=1e-12)


def test_weights_of_classes() -> None:
    w = np.array([0.5, 1.0, 2.5])
    by_step = w[IDS] * MASK
    want = (by_step * NLL).sum() / by_step.sum()
    fed = bk.input("w", shape=(3,))
    for given in (w, list(w), {0: 0.5, 2: 2.5}, fed, bk.parameter("w", 3)):
        graph = bk.Graph({"y": L.cross_entropy(y, ids, mask, class_weights=given)})
        feeds = {"w": w, **FEEDS} if isinstance(given, bk.Node) else FEEDS
        got = bk.run(graph, {k: v for k, v in feeds.items() if k in {**graph.inputs, **graph.params}})["y"]
        np.testing.assert_allclose(got, want, rtol=1e-12)
    nothing = L.cross_entropy(y, ids, class_weights={0: 0.0, 1: 0.0, 2: 0.0})
    assert value(nothing) == 0.0  # nothing counts


def test_smoothing_shares_the_target() -> None:
    rows = np.eye(3)[IDS] * 0.7 + 0.1
    np.testing.assert_allclose(value(L.cross_entropy(y, ids, label_smoothing=0.3)), -(rows * LOGP).sum(-1).mean())
    t = 1 / (1 + np.exp(-Z)) * 0.7 + 0.15
    want = (np.log1p(np.exp(Y)) - Y * t).mean()
    np.testing.assert_allclose(value(L.binary_cross_entropy(y, bk.sigm(z), label_smoothing=0.3)), want)
    t = 1.0 / (1.0 + np.exp(-Z))
    for given, (w0, w1) in (([0.5, 3.0], (0.5, 3.0)), ({1: 4.0}, (1.0, 4.0)), (np.ones(2), (1.0, 1.0))):
        weighted = w1 * t * np.log1p(np.exp(-Y)) + w0 * (1 - t) * np.log1p(np.exp(Y))
        got = value(L.binary_cross_entropy(y, bk.sigm(z), class_weights=given))
        np.testing.assert_allclose(got, weighted.mean(), rtol=1e-12)
    with pytest.raises(bk.WiringError, match="class_weights name the classes 0 to 1, not 2"):
        L.binary_cross_entropy(y, bk.sigm(z), class_weights={2: 1.0})


def test_the_last_step() -> None:
    """Of each sequence the last that the mask admits; 0 where it admits none."""
    want = np.stack([Y[3, 0], Y[2, 1], np.zeros(3), Y[4, 3]])
    np.testing.assert_array_equal(value(bk.last(y, mask)), want)
    np.testing.assert_array_equal(value(bk.last(y)), Y[-1])
    np.testing.assert_array_equal(value(bk.last(ids, mask)), [IDS[3, 0], IDS[2, 1], 0, IDS[4, 3]])
    np.testing.assert_array_equal(value(bk.last(mask, mask)), [1, 0.5, 0, 1])
    graph = bk.Graph({"loss": bk.mean(bk.last(bk.tanh(y), mask) ** 2.0)})
    bk.check_grads(graph, {"y": Y, "mask": MASK}, wrt=["y"], order=2, tolerance=1e-5)
    for off in (0.0, 1.0):
        feeds = {"y": Y, "mask": np.full_like(MASK, off)}
        gradient = bk.grad(graph, wrt=["y"])
        np.testing.assert_allclose(bk.compile(gradient)(feeds)["grad/y"], bk.run(gradient, feeds)["grad/y"], rtol=1e-12)
        assert (bk.run(gradient, feeds)["grad/y"][:-1] == 0).all()


def ragged(reduction):
    xs, admitted, target = bk.sequence("x", 3), bk.sequence("mask"), bk.sequence("t", dtype="int")
    hs = bk.scan(bk.cells.srn(3, 4), xs, mask=admitted)
    return L.cross_entropy(bk.ADD(5, name="out")(hs), target, admitted, reduction=reduction)


def test_a_batch_of_nothing_is_passed_over() -> None:
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((4, 6, 3)), "t": rng.integers(0, 5, (4, 6)), "mask": np.ones((4, 6))}
    data["mask"][2] = 0.0
    for reduction in ("mean", "sum"):
        model = bk.Model(loss=ragged(reduction), seed=1)
        history = model.fit(data, batch_size=1, optimizer=bk.Adam(0.01))
        assert len(history.steps) == 3 and np.isfinite(history.loss).all()


def test_a_sum_counts_the_last_steps_of_a_window() -> None:
    """With k2 > k1 a step is seen several times, and counts once."""
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((3, 8, 3)), "t": rng.integers(0, 5, (3, 8)), "mask": np.ones((3, 8))}
    for masked in (True, False):
        xs, target = bk.sequence("x", 3), bk.sequence("t", dtype="int")
        out = bk.ADD(5, name="out")(bk.scan(bk.cells.srn(3, 4), xs))
        loss = ragged("sum") if masked else L.cross_entropy(out, target, reduction="sum")
        model = bk.Model(loss=loss, seed=1, dtype="float64")
        fed = {k: v for k, v in data.items() if k in model.graph.inputs}
        history = model.fit(fed, tbptt=(2, 4), optimizer=bk.SGD(0.0))
        assert history.loss[0] == pytest.approx(model.evaluate(fed), rel=1e-12)


def test_trials_have_losses_of_their_own() -> None:
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((3, 6, 3)), "mask": (rng.random((3, 6)) < 0.6) * 1.0, "label": np.array([0, 1, 1])}
    data["mask"][1] = 0.0

    def many_to_one():
        xs, admitted = bk.sequence("x", 3), bk.sequence("mask")
        hs = bk.scan(bk.cells.srn(3, 4), xs, mask=admitted)
        scores = bk.ADD(2, name="out")(bk.last(hs, admitted))
        label = bk.input("label", dtype="int")
        return L.cross_entropy(scores, label, class_weights={1: 3.0}, label_smoothing=0.1) + L.huber(
            hs, bk.tanh(hs * 0.5), admitted, reduction="sum"
        )

    several = bk.Model(loss=many_to_one(), seed=4, dtype="float64", trials=2)
    got = several.evaluate(data, batch_size=2, chunk=4)
    for r in range(2):
        one = bk.Model(loss=many_to_one(), seed=4 + r, dtype="float64")
        assert got[r] == pytest.approx(one.evaluate(data), rel=1e-12)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: L.squared_error(y, z, reduction="total"), "the reduction mean, sum, none, not 'total'"),
        (lambda: L.cross_entropy(y, ids, label_smoothing=1.5), "label_smoothing is a number from 0 to 1, not 1.5"),
        (lambda: L.cross_entropy(y, ids, class_weights=[1.0, 2.0]), r"of 3 classes are \(3,\) float, not \(2\)"),
        (lambda: L.cross_entropy(y, ids, class_weights={3: 2.0}), "name the classes 0 to 2, not 3"),
        (lambda: L.cross_entropy(y, ids, class_weights=[1.0, -1.0, 1.0]), "numbers from 0 on"),
        (lambda: L.cross_entropy(y, ids, class_weights="balanced"), "numbers from 0 on"),
        (lambda: L.cross_entropy(bk.input("a", 3), ids, label_smoothing=0.1), "do not fit: class numbers must be"),
        (lambda: L.huber(y, z, delta=0.0), "delta is a positive number, not 0.0"),
        (lambda: L.absolute_error(y, bk.sequence("w", 2)), "must have one shape"),
        (lambda: L.binary_cross_entropy(y, z, label_smoothing="some"), "label_smoothing is a number"),
        (lambda: bk.last(bk.parameter("p", 3)), r"last: p \(3\) has no steps"),
        (lambda: bk.last(y, bk.input("m")), "mask .* does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(make, said) -> None:
    with pytest.raises(bk.WiringError, match=said):
        make()


NATIVE = pytest.param(["x", "mask"], "native", marks=pytest.mark.skipif(not HERE, reason="no C compiler on the PATH"))


@pytest.mark.parametrize("vary, target", [([], "numpy"), (["x"], "numpy"), (["x", "mask"], "numpy"), NATIVE])
def test_masks_of_trials(vary, target) -> None:
    """Masks that are one for all trials, and masks of each: held steps, last steps, in every target."""
    xs, admitted = bk.sequence("x", 3), bk.sequence("mask")
    hs = bk.scan(bk.cells.srn(3, 2, name="below"), xs, mask=admitted)
    hs = bk.scan(bk.cells.gru(2, 2, name="above"), hs, mask=admitted)
    graph = bk.trials(bk.grad(bk.Graph({"loss": bk.mean(bk.last(hs, admitted) ** 2.0)})), vary)
    feeds = fed(graph, {"time": 5, "trials": 2, "batch": 3}, 3)
    feeds["mask"] = (np.random.default_rng(1).random(feeds["mask"].shape) < 0.5) * 1.0
    feeds["mask"][..., 1] = 0.0
    same(bk.run(graph, feeds), bk.compile(graph, target=target)(feeds), 1e-12)
