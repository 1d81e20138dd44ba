"""The experiments of the book: what is timed, what its network computes, and what is measured of it."""

import time

import numpy as np
import pytest

import blocks as bk
from blocks.experiments import book
from blocks.experiments.job import Job
from blocks.tasks.king_james import king_james


class Tick:
    """A processor of which each reading is an eighth of a second after the one before."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.125
        return self.now


def test_only_updates_take_time(monkeypatch) -> None:
    """The first update is not timed, and what measures takes none, however long it is."""
    tick, looks, reported = Tick(), [], []
    monkeypatch.setattr(time, "process_time", tick)

    def measure() -> float:
        tick.now += 100.0
        looks.append(len(looks))
        return 0.5

    clock = book.Clock(1.0, 4, measure, reported.append)
    stops = [clock.on_update(None, {"loss": float(k)}) for k in range(9)]
    assert stops == [False] * 8 + [True]  # eight updates of 1/8 s after the first one
    assert looks == [0, 1, 2, 3] and clock.found == [0.5] * 4 and clock.updates == 8
    np.testing.assert_allclose(clock.seconds, [0.25, 0.5, 0.75, 1.0])
    assert reported == [2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize(("task", "name"), [("text", "bits"), ("adding", "right")])
def test_a_cell_is_trained_for_a_time(monkeypatch, task, name) -> None:
    monkeypatch.setattr(time, "process_time", Tick())
    one, two = book.speed(Job(0, [0, 3], show=False), "srn", task, 6, 0.01, 1.0, looks=2)
    for trial in (one, two):
        assert trial["ms"] == pytest.approx(125.0) and trial["updates"] == 8
        assert len(trial["curves"][name]) == len(trial["curves"]["seconds"]) == 2
        assert 0.0 <= trial[name] < 7.0 and trial["solved"] is False  # eight updates are few
        assert trial["curves"][name][-1] == pytest.approx(trial[name], abs=1e-4)
    assert one[name] != two[name]


def test_what_is_good() -> None:
    for work, good, bad in ((book._reading, 1.5, 4.5), (book._adding, 0.8, 0.2)):
        *_, is_good = work(bk.cells.srn, 3, 0)
        assert is_good(good) and not is_good(bad)


def test_the_network_of_the_book() -> None:
    """h = tanh(W x + U h' + b) over three words, a softmax over all, and the losses, in NumPy."""
    rng, words = np.random.default_rng(0), 7
    logits, following = book._reader(words, 4), bk.input("next", dtype="int")
    losses = {name: loss(logits, following, words) for name, loss in book.LOSSES.items()}
    graph = bk.Graph({"logits": logits, **losses})
    w = {name: rng.normal(size=tuple(map(int, shape))) for name, shape in graph.params.items()}
    read, asked = rng.integers(0, words, (3, 5)), rng.integers(0, words, 5)
    got = bk.run(graph, {**w, "words": read, "next": asked})
    h = np.zeros((5, 4))
    for word in read:
        h = np.tanh(np.eye(words)[word] @ w["word.W"] + h @ w["hidden.W_h"] + w["hidden.b"])
    scores = h @ w["next_word.W_h"] + w["next_word.b"]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got["logits"], scores, rtol=1e-12)
    np.testing.assert_allclose(got["squared error"], ((p - np.eye(words)[asked]) ** 2).mean(), rtol=1e-12)
    np.testing.assert_allclose(got["cross-entropy"], -np.log(p[range(5), asked]).mean(), rtol=1e-12)


def test_words_are_predicted(monkeypatch) -> None:
    """A text that goes round is learnt, and its further rounds with it; of the commonest word a share is right."""
    monkeypatch.setattr(book, "king_james", lambda: "The man and the dog saw\nthe cat. " * 40)
    settings = {"words": 200, "held_out": 43, "epochs": 30, "units": 12}
    (good,) = book.next_word(Job(0, [0], show=False), "cross-entropy", "Adam", 0.02, **settings)
    assert good["learnt"] == good["right"] == 1.0 and 1.0 < good["perplexity"] < 1.1 and good["solved"]
    assert good["curves"]["commonest"] == pytest.approx(15 / 40)  # three of eight; 40 windows
    assert len(good["curves"]["loss"]) == 30
    (bad,) = book.next_word(Job(0, [0], show=False), "squared error", "SGD", 1e-9, **settings)
    assert not bad["solved"] and bad["perplexity"] > 4.0


def test_new_words_follow_those_learnt_from(monkeypatch) -> None:
    """Held out is what stands after: where it is other than before, nothing of it is learnt."""
    monkeypatch.setattr(book, "king_james", lambda: "a b c d " * 50 + "d c b a " * 50)
    settings = {"words": 200, "held_out": 200, "epochs": 30, "units": 12}
    (found,) = book.next_word(Job(0, [0], show=False), "cross-entropy", "Adam", 0.02, **settings)
    assert found["learnt"] == 1.0 and found["right"] < 0.3


def test_the_text_has_as_many_words() -> None:
    assert len(king_james()[: 20 * 12_000].split()) > 12_000
