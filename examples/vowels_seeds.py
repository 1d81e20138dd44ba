"""The classifier of vowels.py five times, plain, and with all that fit has: dropout, a rate that falls at a plateau,
averaged weights, the best epoch, in vowels.safetensors; settings as vowels_choice.py chose, without the test split."""

import json
from pathlib import Path

from vowels import classifier

import blocks as bk
from blocks.tasks.vowels import japanese_vowels

PLAIN = {"rate": 0.0, "lr": 6e-3, "epochs": 80, "units": 64}
CHOSEN = {"rate": 0.3, "average": 0.98, "lr": 6e-3, "decay": 0.0, "patience": 4, "epochs": 80, "units": 64}


def some(data, of):
    return {name: [row for i, row in enumerate(rows) if of(i)] for name, rows in data.items()}


def right(model):
    return {"right": bk.metrics.accuracy(model.graph.outputs["scores"], model.graph.nodes["speaker"])}


def run(seed, train, test, best=None, *, rate, lr, epochs, units, average=None, decay=0.0, patience=4):
    """The loss, and the share of speakers found: plainly, or where there is a file for it, after the best epoch."""
    rest, held = some(train, lambda i: i % 10 < 9), some(train, lambda i: i % 10 == 9)
    model = classifier(units, rate, seed=seed)
    rule = bk.AdamW(bk.schedules.plateau(lr, factor=0.5, patience=patience) if best else lr, decay=decay)
    options = {"epochs": epochs, "batch_size": 30, "clip": 1.0, "validation": held, "metrics": right(model)}
    model.fit(rest, optimizer=rule, average=average, callbacks=best and bk.SaveBest(best), **options)
    model = bk.Model.load(best) if best else model
    return (model.averaged() if average else model).evaluate(test, metrics=right(model))


if __name__ == "__main__":
    found = {}
    for name, best, settings in (("plain", None, PLAIN), ("full", "vowels.safetensors", CHOSEN)):
        found[name] = [run(seed, *japanese_vowels(), best, **settings)["right"] for seed in range(5)]
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
