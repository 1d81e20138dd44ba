"""The Japanese Vowels, and the classifier of examples/vowels.py."""

import runpy
from pathlib import Path

import numpy as np

import blocks as bk
from blocks.tasks.vowels import japanese_vowels

FILE = Path(__file__).parents[1] / "examples" / "vowels.py"


def test_the_data() -> None:
    train, test = japanese_vowels()
    assert np.bincount(train["speaker"]).tolist() == [30] * 9
    assert np.bincount(test["speaker"]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]  # as its authors say
    for part in (train, test):
        assert {x.shape[1] for x in part["x"]} == {12} and {len(x) for x in part["x"]} <= set(range(7, 30))
        assert len(part["x"]) == len(part["speaker"]) and all(x.dtype == np.float32 for x in part["x"])
    steps = np.concatenate(train["x"])
    np.testing.assert_allclose(steps.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(steps.std(axis=0), 1.0, atol=1e-5)
    first = train["x"][0]
    one, two = np.diff([1.860936, 1.891651, 1.939205])  # the first numbers of the file
    np.testing.assert_allclose((first[2, 0] - first[1, 0]) / (first[1, 0] - first[0, 0]), two / one, rtol=1e-4)
    assert first.shape == (20, 12)


def test_the_classifier_learns() -> None:
    """A few updates: it finds many more than one in nine."""
    assert len(FILE.read_text().splitlines()) <= 30
    example = runpy.run_path(str(FILE))
    train, test = japanese_vowels()
    model = example["classifier"](units=8, rate=0.1, seed=0)
    few = {name: part[::9] for name, part in train.items()}
    history = model.fit(few, epochs=8, batch_size=10, optimizer=bk.Adam(5e-2), clip=1.0)
    assert history.loss[-1] < 0.9 * history.loss[0]
    some = {name: part[::9] for name, part in test.items()}
    assert example["right"](model, some) > 0.35
    again = model.predict({"x": some["x"][:3]})
    np.testing.assert_array_equal(again, model.predict({"x": some["x"][:3]}))  # nothing is dropped
