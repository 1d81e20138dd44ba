"""The classifier of vowels.py five times, plain, and with all that fit has: dropout, accuracy as a metric, a rate that
falls where validation gets no better, averaged weights, the best epoch. Each tenth utterance is for validation."""

import tempfile
from pathlib import Path

import numpy as np
from vowels import classifier

import blocks as bk
from blocks.tasks.vowels import japanese_vowels


def some(data, of):
    """The utterances whose number fits."""
    return {name: [row for i, row in enumerate(rows) if of(i)] for name, rows in data.items()}


def accuracy(model):
    """The share of utterances whose speaker is found, as a wire."""
    return bk.metrics.accuracy(model.graph.outputs["scores"], model.graph.nodes["speaker"])


def run(seed, train, test, folder, epochs=40, units=32):
    """The shares of the speakers that are found: plainly, and after the best epoch with all of it."""
    plain, full = (classifier(units, rate, seed=seed) for rate in (0.0, 0.3))
    rest, held = some(train, lambda i: i % 10 < 9), some(train, lambda i: i % 10 == 9)
    best, rate = folder / "best.safetensors", bk.schedules.plateau(6e-3, factor=0.5, patience=4)
    more = {"metrics": {"right": accuracy(full)}, "validation": held, "callbacks": bk.SaveBest(best), "average": 0.98}
    for model, lr, options in ((plain, 6e-3, {}), (full, rate, more)):
        model.fit(rest, epochs=epochs, batch_size=30, optimizer=bk.Adam(lr), clip=1.0, **options)
    models = plain, bk.Model.load(best).averaged()
    return [m.evaluate(test, metrics={"right": accuracy(m)})["right"] for m in models]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = np.array([run(seed, *japanese_vowels(), Path(folder)) for seed in range(5)])
    print("plain, full:", np.round(found.mean(0), 4), "±", np.round(found.std(0, ddof=1), 4), found.tolist())
