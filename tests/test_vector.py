"""Weights are views of one vector, whatever is done to a model."""

import copy
import pickle

import numpy as np
import pytest

import blocks as bk
from blocks.train.vector import Vector

RNG = np.random.default_rng(3)


def build(trials=None, seed=0):
    hs = bk.scan(bk.cells.gru(2, 3), bk.sequence("x", 2))
    loss = bk.losses.squared_error(hs * bk.parameter("gain", init=0.7), bk.sequence("t", 3))
    return bk.Model(loss=loss, outputs={"y": hs}, seed=seed, trials=trials)


def data():
    return {"x": RNG.standard_normal((6, 5, 2)), "t": RNG.standard_normal((6, 5, 3))}


def are_views(model: bk.Model) -> bool:
    """Every weight is in the vector, none meets another, and all of it is some weight's."""
    vector, trials = model.weights.all, model.trials
    seen = np.zeros(vector.shape, int)
    for name, shape in model.graph.params.items():
        w = model.weights[name]
        assert w.shape == (*(() if trials is None else (trials,)), *shape) and w.dtype == vector.dtype
        assert np.shares_memory(w, vector)
        before = vector.copy()
        w += 1
        seen += before != vector
        w -= 1
        vector[...] = before
    return bool((seen == 1).all())


@pytest.mark.parametrize("trials", [None, 3])
def test_weights_are_views_and_stay_so(trials, tmp_path) -> None:
    m = build(trials)
    vector, held = m.weights.all, m.weights["candidate.W_h"]
    first = held.copy()
    path = str(tmp_path / "m.safetensors")
    options = {"epochs": 2, "batch_size": 3, "validation": data(), "autosave": path}
    m.fit(data(), **options, patience=1, optimizer="adam")
    assert (held != first).all()  # what was held before has moved along
    m.set_weights({"candidate.W_h": first})
    assert np.array_equal(held, first)
    m.weights["candidate.W_h"] = first + 1
    assert np.array_equal(held, first + 1)
    m.weights = {k: w * 2 for k, w in m.weights.items()}
    assert np.allclose(held, 2 * first + 2)
    for model in (m, bk.Model.load(path), copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        x = data()["x"]
        y = model.predict({"x": x})
        model.weights.all[...] *= 0.5
        assert are_views(model) and not np.array_equal(model.predict({"x": x}), y)
    assert m.weights.all is vector and are_views(m)


def test_copies_have_a_vector_of_their_own() -> None:
    m = build()
    m.fit(data())
    for copied in (copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))):
        again = copied(m)
        before, rows = m.weights.all.copy(), data()
        again.fit(rows, epochs=2)
        assert np.array_equal(m.weights.all, before) and not np.array_equal(again.weights.all, before)
        m.fit(rows, epochs=2)
        assert np.array_equal(m.weights.all, again.weights.all)  # both train alike
        m.weights.all[...] = before


def test_what_does_not_fit_is_refused_whole() -> None:
    vector = Vector.of({"a": np.ones((2, 3)), "b": np.zeros(())})
    for wrong in ({"a": np.ones(3)}, {"a": np.zeros((2, 3)), "c": 1.0}, {"b": 5.0, "a": np.ones((3, 2))}):
        with pytest.raises(bk.FeedError, match=r"'a' are \(2, 3\), not|no weights 'c'"):
            vector.take(wrong)
        assert vector.all.tolist() == [1.0] * 6 + [0.0]
    assert list(vector) == ["a", "b"] and len(vector) == 2 and "a" in vector and "7 numbers" in repr(vector)
    assert vector.like().all.tolist() == [0.0] * 7
