"""What a loss counts: `evaluate` is the loss of all data as one batch, however it was cut."""

import numpy as np
import pytest

import blocks as bk


def made(seed=0, samples=7, steps=11):
    rng = np.random.default_rng(seed)
    X, T = rng.standard_normal((samples, steps, 3)), rng.integers(0, 5, (samples, steps))
    M = (rng.random((samples, steps)) > 0.4).astype(float)
    M[2] = 0.0  # a sequence that is masked whole
    M[:, 4:8] = 0.0  # a chunk that is masked whole, in the middle
    M[1, :3] = 0.0  # padded on the left
    W = rng.uniform(0.2, 3.0, samples)
    W[3] = 0.0
    return {"x": X, "t": T, "mask": M, "weight": W, "label": rng.integers(0, 2, samples)}


def parts():
    xs, mask, target = bk.sequence("x", 3), bk.sequence("mask"), bk.sequence("t", dtype="int")
    hs, final = bk.scan(bk.cells.gru(3, 4), xs, mask=mask, final=True)
    y = bk.ADD(5, name="w_o")(hs)
    scores = bk.ADD(2, name="scores")(final["h"])
    label, weight = bk.input("label", dtype="int"), bk.input("weight")
    by_step = bk.losses.cross_entropy(y, target, mask)
    return hs, mask, y, by_step, scores, label, weight


def by_steps():
    return parts()[3]


def a_sum_of_masked_losses():
    _, mask, y, by_step, *_ = parts()
    return by_step + 0.3 * bk.losses.squared_error(y * 0.5, bk.stop_gradient(bk.tanh(y)), mask * mask)


def many_to_one():
    *_, scores, label, _ = parts()
    return bk.losses.cross_entropy(scores, label)


def many_to_one_with_weights():
    *_, scores, label, weight = parts()
    return bk.losses.cross_entropy(scores, label, weight)


def both_and_a_penalty():
    *_, by_step, scores, label, weight = parts()
    w = next(n for n in bk.Graph({"": by_step}).order() if n.name == "w_o.W_1")
    return by_step * by_step + bk.losses.cross_entropy(scores, label, weight) + 0.1 * bk.sum(w * w)


def by_hand():
    hs, mask, *_ = parts()
    squares = bk.mean(hs * hs, axis=-1)
    return bk.mean(squares * mask) / bk.mean(mask + 0.0 * squares) + 0.2 * bk.sum(squares)


def a_mean_of_each_sequence_first():
    hs, mask, *_ = parts()
    of_each = bk.sum(bk.mean(hs * hs, axis=-1) * mask, axis="time") / (bk.sum(mask, axis="time") + 0.5)
    return bk.mean(bk.sqrt(of_each + 0.1))


def the_largest():
    hs, *_ = parts()
    return bk.max(hs * hs) + bk.mean(bk.max(hs, axis="time") ** 2)


def sums():
    hs, mask, y, *_ = parts()
    squares = bk.losses.squared_error(hs, bk.tanh(hs * 2.0), mask, reduction="sum")
    return squares + 0.1 * bk.losses.cross_entropy(y, bk.sequence("t", dtype="int"), reduction="sum")


def weighted_classes():
    _, mask, y, *_ = parts()
    target = bk.sequence("t", dtype="int")
    smooth = bk.losses.cross_entropy(y, target, mask, label_smoothing=0.2, class_weights=[0.2, 3.0, 1.0, 0.0, 2.0])
    return smooth + bk.losses.cross_entropy(y, target, mask, class_weights={2: 4.0}, reduction="sum")


def far_off():
    hs, mask, y, *_ = parts()
    far = bk.losses.huber(y, bk.tanh(y), mask, delta=0.2) + bk.losses.absolute_error(y, bk.stop_gradient(y * y), mask)
    return far + bk.mean(bk.losses.huber(hs, hs * hs, reduction="none"))


def the_last_step():
    _, mask, y, _, _, label, weight = parts()
    first = bk.losses.cross_entropy(bk.slice(bk.last(y, mask), start=0, stop=2), label, weight)
    return first + bk.losses.squared_error(bk.last(y), bk.tanh(bk.last(y, mask)), reduction="sum")


def the_loss_of_the_last_step():
    _, mask, y, *_ = parts()
    each = bk.losses.cross_entropy(y, bk.sequence("t", dtype="int"), reduction="none")
    return bk.mean(bk.last(each, mask))


LOSSES = [
    sums, weighted_classes, far_off, the_last_step, the_loss_of_the_last_step,
    by_steps, a_sum_of_masked_losses, many_to_one, many_to_one_with_weights, both_and_a_penalty, by_hand,
    a_mean_of_each_sequence_first, the_largest,
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_it_does_not_depend_on_how_the_data_is_cut(loss) -> None:
    node = loss()
    model = bk.Model(loss=node, dtype="float64", seed=3)
    data = {k: v for k, v in made().items() if k in model.graph.inputs}
    first = {k: np.moveaxis(v, 0, 1) if v.ndim > 1 else v for k, v in data.items()}
    want = float(bk.run(model.graph, {**model.weights, **first})["loss"])
    for batch_size in (1, 2, 3, 7, 100):
        for chunk in (None, 1, 4, 5, 11, 50):
            got = model.evaluate(data, batch_size=batch_size, chunk=chunk)
            assert got == pytest.approx(want, rel=1e-12), (batch_size, chunk)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_epoch_that_changes_nothing_has_the_loss_of_evaluate(loss) -> None:
    model = bk.Model(loss=loss(), dtype="float64", seed=3)
    data = {k: v for k, v in made().items() if k in model.graph.inputs}
    history = model.fit(data, batch_size=3, optimizer=bk.SGD(0.0))
    assert history.loss[0] == pytest.approx(model.evaluate(data), rel=1e-12)


def test_lists_weigh_by_their_lengths_and_samples_alone() -> None:
    rng = np.random.default_rng(1)
    lengths = (1, 9, 2, 4)
    rows, labels = [rng.standard_normal((n, 3)) for n in lengths], np.array([0, 1, 1, 0])
    model = bk.Model(loss=many_to_one(), dtype="float64")
    alone = [model.evaluate({"x": [r], "label": labels[i : i + 1]}) for i, r in enumerate(rows)]
    for batch_size in (1, 2, 3, 4):
        for chunk in (None, 3):
            got = model.evaluate({"x": rows, "label": labels}, batch_size=batch_size, chunk=chunk)
            assert got == pytest.approx(np.mean(alone), rel=1e-12)
    steps = bk.Model(loss=by_steps(), dtype="float64")
    targets = [rng.integers(0, 5, n) for n in lengths]
    each = [steps.evaluate({"x": [r], "t": [t]}) for r, t in zip(rows, targets, strict=True)]
    got = steps.evaluate({"x": rows, "t": targets}, batch_size=3, chunk=2)
    assert got == pytest.approx(np.average(each, weights=lengths), rel=1e-12)


def test_validation_of_a_last_state_counts_the_ends_of_sequences_alone() -> None:
    model = bk.Model(loss=many_to_one(), dtype="float64")
    data = {k: v for k, v in made().items() if k in model.graph.inputs}
    history = model.fit(data, validation=data, tbptt=3, optimizer=bk.SGD(0.0))
    assert history.validation[0] == pytest.approx(model.evaluate(data), rel=1e-12)


def test_what_needs_whole_sequences_is_refused_in_chunks() -> None:
    xs = bk.sequence("x", 3)
    X = {"x": np.random.default_rng(0).standard_normal((2, 6, 3))}
    back = bk.scan(bk.cells.srn(3, 4), xs, reverse=True)
    learnt = bk.scan(bk.cells.srn(3, 4), xs, initial=bk.broadcast(bk.parameter("h0", 4), shape=("batch", 4)))
    hs = bk.scan(bk.cells.srn(3, 4), xs)
    ahead = hs * bk.mean(hs, axis="time", keepdims=False)
    cases = {"backwards": back, "begins with": learnt, "needs whole sequences": ahead}
    for message, node in cases.items():
        model = bk.Model(loss=bk.mean(node * node), outputs={"y": node})
        for use in (lambda m=model: m.evaluate(X, chunk=2), lambda m=model: m.predict(X, chunk=2)):
            with pytest.raises(bk.BlocksError, match=message):
                use()
        with pytest.raises(bk.BlocksError, match=message):
            model.fit(X, tbptt=2)
        assert not model.history.steps and np.isfinite(model.evaluate(X, batch_size=1))


def test_a_loss_whose_mask_admits_nothing() -> None:
    """Alone it is an error; a batch of it teaches nothing, and a term of it says nothing."""
    model = bk.Model(loss=by_steps(), dtype="float64")
    data = {k: v for k, v in made().items() if k in model.graph.inputs}
    nothing = {**data, "mask": np.zeros_like(data["mask"])}
    first = {k: np.moveaxis(v, 0, 1) for k, v in nothing.items()}
    for f in (bk.run, lambda g, feeds: bk.compile(g)(feeds)):
        with pytest.raises(bk.FeedError, match="masks everything"):
            f(model.graph, {**model.weights, **first})
    for use in (model.evaluate, model.fit):
        with pytest.raises(bk.FeedError, match="masks everything"):
            use(nothing)
    history = model.fit(data, batch_size=1, shuffle=False)  # sample 2 is masked whole
    assert len(history.steps) == 6 and all(np.isfinite(w).all() for w in model.weights.values())
    two = bk.Model(loss=both_and_a_penalty(), dtype="float64")
    all_of_it = {k: v for k, v in made().items() if k in two.graph.inputs}
    assert len(two.fit(all_of_it, batch_size=1, shuffle=False).steps) == 7
    assert all(np.isfinite(w).all() for w in two.weights.values())
