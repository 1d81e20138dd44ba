"""What S. Skansi says of recurrent networks (*Introduction to Deep Learning*, Springer, 2018, chapter 7): that an
LSTM is much slower to train than a simple one, and that a simple one predicts the next word from three.

The book prints no numbers. Time is that of the processor, in which other programs do not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import cells
from ..bricks import ADD, EMBED
from ..cell import Cell
from ..graph import Node
from ..ops.elementwise import tanh
from ..ops.loss import cross_entropy, squared_error
from ..ops.shape import one_hot, softmax
from ..scan import scan
from ..tasks import lags
from ..tasks import text as letters
from ..tasks.king_james import king_james
from ..train.callbacks import Callback
from ..train.model import Model
from ..train.optimizers import SGD, Adam
from ..wires import input, named, sequence, state
from .job import Job
from .table import Trial

LAG, NEAR = 60, 0.04  # steps of a sequence to add in; an answer is right, if its error is smaller (Hochreiter 1997)
STREAMS, STEPS, HELD_OUT = 32, 50, 20_000  # texts side by side, characters of each in an update, and those to test on
LOSSES: dict[str, Callable[[Node, Node, int], Node]] = {
    "squared error": lambda logits, word, words: squared_error(softmax(logits), one_hot(word, classes=words)),
    "cross-entropy": lambda logits, word, words: cross_entropy(logits, word),
}
OPTIMIZERS = {"SGD": SGD, "Adam": Adam}


class Clock(Callback):
    """Measures a model so many times in so many seconds of its training, after each part of them, and then ends it.
    Neither the first update, which may wait for a compiler, nor the measuring takes part of the time."""

    def __init__(
        self, seconds: float, looks: int, measure: Callable[[], float], report: Callable[[float | None], None]
    ):
        self.marks = [seconds * (k + 1) / looks for k in range(looks)]
        self.measure, self.report = measure, report
        self.seconds: list[float] = []
        self.found: list[float] = []
        self.updates = -1
        self.spent = self.since = 0.0

    def on_update(self, model: Any, record: dict[str, Any]) -> bool:
        """See the class."""
        self.updates += 1
        self.spent += time.process_time() - self.since if self.updates else 0.0
        if self.spent >= self.marks[len(self.found)]:
            self.seconds.append(round(self.spent, 3))
            self.found.append(self.measure())
            self.report(record["loss"])
        self.since = time.process_time()
        return len(self.found) == len(self.marks)


def speed(job: Job, cell: str, task: str, units: int, lr: float, seconds: float, looks: int = 10) -> list[Trial]:
    """Train by Adam for so much time. Measured: how long an update takes ("ms"), how many there were ("updates"), and
    at the end the bits of a new character ("bits"), or the share of 1,000 new sums that are right ("right"); solved if
    that is better than by pairs of characters, or for more than half of the sums.

    task: "text", the King James Bible; "adding", sums of the two of 60 numbers that are marked.
    """
    work = _reading if task == "text" else _adding
    found = []
    with job.progress(len(job.trials) * looks) as report:
        for trial in job.trials:
            model, data, options, name, measure, good = work(getattr(cells, cell), units, job.seed_of(trial))
            clock = Clock(seconds, looks, measure, report)
            model.fit(data, optimizer=Adam(lr), clip=1.0, callbacks=clock, progress=False, **options)
            values = {"ms": 1000.0 * clock.spent / clock.updates, "updates": clock.updates, name: clock.found[-1]}
            curves = {"task": task, "seconds": clock.seconds, name: [round(v, 4) for v in clock.found]}
            found.append({"trial": trial, "solved": good(clock.found[-1]), **values, "curves": curves})
    return found


Work = tuple[Model, Any, dict[str, Any], str, Callable[[], float], Callable[[float], bool]]


def _reading(cell: Callable[[int, int], Cell], units: int, seed: int) -> Work:
    """A model of characters, its data and options of `fit`, and what is measured: its name, how, and what is good."""
    train, test = letters.split(king_james())
    known = letters.Vocabulary.of(train)
    ids, unseen = known.encode(train), known.encode(test[:HELD_OUT])
    model = letters.character_model(cell, len(known), units, embedding=48, seed=seed)
    bigrams = letters.bigram_bits(ids, unseen, len(known))
    options = {"epochs": 1000, "batch_size": STREAMS, "tbptt": STEPS}
    measure = lambda: letters.bits_per_character(model, unseen)
    return model, letters.streams(ids, STREAMS), options, "bits", measure, lambda bits: bits < bigrams


def _adding(cell: Callable[[int, int], Cell], units: int, seed: int) -> Work:
    """The same of sums."""
    x, target, mask = sequence("x", 2), sequence("target", 1), sequence("mask")
    sums = ADD(1, name="sum")(scan(cell(2, units), x))
    model = Model(loss=squared_error(sums, target, mask), outputs={"sum": sums}, seed=seed)
    new = lags.adding(np.random.default_rng([seed, 1]), 1000, LAG)
    measure = lambda: float((np.abs(model.predict({"x": new["x"]}) - new["target"])[:, -1, 0] < NEAR).mean())
    data = lambda rng, update: lags.adding(rng, 32, LAG)
    return model, data, {"batches_per_epoch": 10**6}, "right", measure, lambda share: share > 0.5


def next_word(
    job: Job, loss: str, optimizer: str, lr: float, epochs: int = 15, words: int = 10_000, held_out: int = 2000,
    units: int = 50, context: int = 3, batch: int = 60,
) -> list[Trial]:  # fmt: skip
    """Section 7.5: the words of a text, in lower case, as they stand between spaces; a simple recurrent network reads
    three and predicts the fourth, in 15 passes by batches of 60. The book has a text of its own; here the King James
    Bible begins. Its next words are held out: all are known as words, but nothing is learnt from where they stand.

    Measured: the share predicted of the words that it learns from ("learnt") and of the others ("right"), and between
    how many it hesitates at the latter ("perplexity"); solved if it predicts more of them than the commonest word does.
    """
    text = king_james()[: 20 * (words + held_out)].lower().split()[: words + held_out]
    known = {word: k for k, word in enumerate(sorted(set(text)))}
    ids = np.array([known[word] for word in text])
    windows = np.lib.stride_tricks.sliding_window_view(ids, context + 1)
    train, new = ({"words": w[:, :-1], "next": w[:, -1]} for w in (windows[: words - context], windows[words:]))
    common = float((new["next"] == np.bincount(train["next"]).argmax()).mean())
    found = []
    with job.progress(len(job.trials)) as report:
        for trial in job.trials:
            logits = _reader(len(known), units)
            followed = input("next", dtype="int")
            error = LOSSES[loss](logits, followed, len(known))
            model = Model(loss=error, outputs={"logits": logits}, seed=job.seed_of(trial))
            rule = OPTIMIZERS[optimizer](lr)
            model.fit(train, epochs=epochs, batch_size=batch, optimizer=rule, progress=False)
            report(model.history.loss[-1])
            learnt, right = (float((model.predict(d).argmax(axis=-1) == d["next"]).mean()) for d in (train, new))
            scores = model.predict(new).astype(np.float64)
            surprise = np.logaddexp.reduce(scores, axis=-1) - scores[np.arange(len(scores)), new["next"]]
            values = {"learnt": learnt, "right": right, "perplexity": float(np.exp(surprise.mean()))}
            curves = {"loss": [round(v, 5) for v in model.history.loss], "commonest": common}
            found.append({"trial": trial, "solved": right > common, **values, "curves": curves})
    return found


def _reader(words: int, units: int) -> Node:
    """Scores of the next word, ``(batch, words)``: h = tanh(word W + h' W_h + b), read after the last word."""
    word, h = input("words", dtype="int"), state("h", units)
    h1 = tanh(EMBED(words, units, name="word", init="glorot")(word) + ADD(units, name="hidden")(h))
    _, last = scan(Cell(states={h: h1}, outputs=h1), sequence("words", dtype="int"), final=True)
    return ADD(words, name="next_word")(named("h", last["h"]))
