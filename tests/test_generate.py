"""Decoding: what `generate` writes is what `predict` says, class by class."""

import numpy as np
import pytest

import blocks as bk

CLASSES = 7


def writer(cell=bk.cells.lstm, masked=False, trials=None, several=False, target="auto", seed=0) -> bk.Model:
    ids = bk.sequence("char", dtype="int")
    mask = bk.sequence("mask") if masked else None
    hs = bk.scan(cell(4, 6), bk.EMBED(CLASSES, 4, name="letters")(ids), mask=mask)
    logits = 4.0 * bk.ADD(CLASSES, name="out")(hs)
    outputs = {"logits": logits, "hidden": hs} if several else {"logits": logits}
    return bk.Model(outputs=outputs, seed=seed, dtype="float64", trials=trials, target=target)


def said(model: bk.Model, ids: np.ndarray) -> np.ndarray:
    """The logits of each step, by `predict`."""
    found = model.predict({"char": ids, **({"mask": np.ones(ids.shape)} if "mask" in model.graph.inputs else {})})
    return found["logits"] if isinstance(found, dict) else found


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("target", ["numpy", "interpreter"])
@pytest.mark.parametrize(
    "cell", [bk.cells.lstm, bk.cells.gru, lambda i, u: bk.layers(bk.cells.srn(i, 5, "a"), bk.cells.gru(5, u, "b"))]
)
def test_the_largest_is_that_of_the_whole_sequence(cell, target, masked) -> None:
    """With temperature 0 each class is the argmax of what predict says of all before it."""
    model = writer(cell, masked, target=target, seed=5)
    prime = np.random.default_rng(1).integers(0, CLASSES, (3, 4))
    ids = bk.generate(model, prime, 9, temperature=0)
    assert ids.shape == (3, 9) and ids.dtype.kind == "i"
    whole = np.concatenate([prime, ids], axis=1)
    np.testing.assert_array_equal(said(model, whole)[:, 3:-1].argmax(-1), ids)
    np.testing.assert_array_equal(bk.generate(model, prime[1], 9, temperature=0), ids[1:2])
    np.testing.assert_array_equal(bk.generate(model, prime[1].tolist(), 9, top_k=1), ids[1:2])
    without = bk.generate(model, prime, 9, temperature=0, without=[int(ids[0, 0]), 2])
    assert not np.isin(without, [ids[0, 0], 2]).any()


def test_classes_are_drawn_as_often_as_the_model_says() -> None:
    model = writer(seed=2)
    prime = np.full((20000, 1), 3)
    logits = said(model, prime[:1])[0, 0]
    for options, temperature in (({}, 1.0), ({"temperature": 0.5}, 0.5), ({"top_k": 3}, 1.0), ({"top_p": 0.8}, 1.0)):
        p = np.exp((logits - logits.max()) / temperature)
        p /= p.sum()
        order = np.argsort(-p)
        keep = np.ones(CLASSES, bool)
        if "top_k" in options:
            keep[order[3:]] = False
        if "top_p" in options:
            keep[order[np.cumsum(p[order]) - p[order] >= 0.8]] = False
            assert 1 < keep.sum() < CLASSES
        p = np.where(keep, p, 0.0) / p[keep].sum()
        drawn = bk.generate(model, prime, 1, seed=4, **options)[:, 0]
        share = np.bincount(drawn, minlength=CLASSES) / len(drawn)
        assert (share[~keep] == 0).all()
        np.testing.assert_allclose(share, p, atol=4.5 * np.sqrt(0.25 / len(drawn)))


def test_seeds_and_trials() -> None:
    prime = np.array([[1, 2, 3], [4, 5, 6]])
    model, several = writer(seed=8), writer(seed=8, trials=3)
    ids = bk.generate(model, prime, 12, seed=1)
    np.testing.assert_array_equal(ids, bk.generate(model, prime, 12, seed=1))
    np.testing.assert_array_equal(ids[:, :5], bk.generate(model, prime, 5, seed=1))
    assert (ids != bk.generate(model, prime, 12, seed=2)).any()
    together = bk.generate(several, prime, 12, seed=1)
    assert together.shape == (3, 2, 12)
    for r in range(3):
        np.testing.assert_array_equal(together[r], bk.generate(writer(seed=8 + r), prime, 12, seed=1 + r))


def test_the_logits_are_named_where_several_could_be() -> None:
    model = writer(several=True)
    with pytest.raises(bk.BlocksError, match=r"output=NAME of one of these; there are logits .*hidden"):
        bk.generate(model, [1], 3)
    with pytest.raises(bk.BlocksError, match="no logits 'logit' .* .did you mean 'logits'"):
        bk.generate(model, [1], 3, output="logit")
    assert bk.generate(model, [1], 3, output="logits", temperature=0).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "the temperature is a number from 0"),
        ({"temperature": float("nan")}, "the temperature is a number from 0"),
        ({"top_k": 0}, "top_k is a whole number from 1 to the 7 classes, not 0"),
        ({"top_k": 8}, "top_k is a whole number from 1 to the 7 classes"),
        ({"top_p": 0.0}, "top_p is a share above 0"),
        ({"top_p": 1.5}, "top_p is a share above 0"),
        ({"without": [7]}, "without= names classes from 0 to 6; 7 is none"),
        ({"without": range(7)}, "it leaves none"),
        ({"seed": -1}, "a seed is a whole number"),
        ({"steps": 0}, "steps is a whole number from 1, not 0"),
        ({"prime": [7]}, "the class 7 is outside of 0 to 6"),
        ({"prime": [0.5]}, "wants int numbers"),
        ({"prime": []}, "empty"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message) -> None:
    with pytest.raises(bk.BlocksError, match=message):
        bk.generate(writer(), **{"prime": [1], "steps": 3, **options})


def test_models_that_cannot_write() -> None:
    ids, xs = bk.sequence("char", dtype="int"), bk.sequence("x", 3)
    embedded = bk.EMBED(CLASSES, 3)(ids)
    back = bk.scan(bk.cells.srn(3, 4), embedded, reverse=True)
    for outputs, message in (
        (bk.ADD(5)(bk.scan(bk.cells.srn(3, 4), xs)), "needs a model with one sequence of class numbers"),
        (bk.ADD(5)(bk.scan(bk.cells.srn(3, 4), embedded + xs)), "and no other input; this one has"),
        (bk.ADD(5)(back), "runs backwards in time"),
        (bk.ADD(5)(bk.scan(bk.cells.srn(3, 4), embedded, final=True)[1]["h"]), "needs logits"),
    ):
        with pytest.raises(bk.BlocksError, match=message):
            bk.generate(bk.Model(outputs=outputs), [1], 2)
    broken = writer()
    broken.weights["out.b"] = np.full(CLASSES, np.nan)
    with pytest.raises(bk.NonFiniteError, match="the logits 'logits' are not finite at step 0"):
        bk.generate(broken, [1], 2)


def test_a_program_of_one_step_is_called_and_nothing_is_compiled_twice() -> None:
    model = writer()
    bk.generate(model, [[1, 2]], 50)
    assert len(model._programs) == 1
