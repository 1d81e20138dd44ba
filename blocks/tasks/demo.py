"""The main job: an SRN and an LSTM of the same size, composed from bricks, on the English text that every
CPython carries. It writes figures, a plot and a model, and says what the book's claims come to."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import cells
from ..cell import Cell
from ..train.model import Model
from ..train.optimizers import Adam
from ..train.schedules import cosine
from . import text as task


@dataclass
class Result:
    """What one network came to."""

    name: str
    model: Model
    bits: float  # held-out, per character
    milliseconds: float  # median time of an update


def train_one(
    name: str,
    cell: Callable[[int, int], Cell],
    letters: task.Vocabulary,
    train: str,
    held_out: str,
    units: int,
    updates: int,
    target: str = "auto",
) -> Result:
    """Train a character model for so many updates of 32 streams × 50 steps, and test it."""
    model = task.character_model(cell, len(letters), units, embedding=min(48, units), seed=1, target=target)
    data = task.streams(letters.encode(train), 32)
    per_epoch = math.ceil(data["char"].shape[1] / 50)
    times = [time.perf_counter()]

    def clock(model: Model, record: dict[str, float]) -> bool:
        times.append(time.perf_counter())
        return record["step"] + 1 >= updates

    rate = cosine(8e-3, updates, final=4e-4, warmup=20)
    model.fit(
        data,
        epochs=math.ceil(updates / per_epoch),
        batch_size=32,
        tbptt=50,
        clip=1.0,
        optimizer=Adam(rate),
        callbacks=clock,
    )
    gaps = [b - a for a, b in itertools.pairwise(times)]
    bits = task.bits_per_character(model, letters.encode(held_out))
    model.info = {"task": "text", "characters": letters.characters, "cell": name}
    return Result(name, model, bits, 1000 * statistics.median(gaps))


def run_demo(
    folder: Path, units: int = 96, updates: int = 1600, say: Callable[[str], None] = print, target: str = "auto"
) -> dict[str, Result]:
    """The whole demo, on a `target` of `Model`; `folder` receives loss.png, srn.svg, lstm.svg, gradient.svg,
    lstm.safetensors and sample.txt. Returns the results by name."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = task.python_topics()
    train, held_out = task.split(whole)
    letters = task.Vocabulary.of(whole)
    ids, test = letters.encode(train), letters.encode(held_out)
    say(f"text: {len(whole):,} characters of Python's help, {len(letters)} different ones; the last tenth is held out")
    say(f"networks: {units} units, {updates} updates of 32 × 50 characters each")
    results = {}
    for name, cell in (("srn", cells.srn), ("lstm", cells.lstm)):
        results[name] = train_one(name, cell, letters, train, held_out, units, updates, target)
        say(f"  {name} done: {results[name].bits:.3f} bits per character; {results[name].model.computed_by()}")
    srn, lstm = results["srn"], results["lstm"]
    say("")
    say(f"{'held-out text':<14} {'bits/character':>14} {'weights':>9} {'ms/update':>10}")
    say(f"{'unigram':<14} {task.unigram_bits(ids, test, len(letters)):>14.3f}")
    say(f"{'bigram':<14} {task.bigram_bits(ids, test, len(letters)):>14.3f}")
    for r in (srn, lstm):
        count = sum(w.size for w in r.model.weights.values())
        say(f"{r.name:<14} {r.bits:>14.3f} {count:>9,} {r.milliseconds:>10.1f}")
    ratio = lstm.milliseconds / srn.milliseconds
    say(f"the book's claim, an LSTM is much slower to train: its update takes {ratio:.1f} times the SRN's")
    said = "".join(task.sample(lstm.model, letters, 300, prime="The ", temperature=0.6, seed=1))
    say("")
    say("the LSTM writes: The " + said)

    (folder / "sample.txt").write_text("The " + said + "\n", encoding="utf-8")
    figure = srn.model.history.plot(label="SRN")
    lstm.model.history.plot(label="LSTM", axes=figure.axes[0])
    figure.axes[0].set_ylabel("loss (nats per character)")
    figure.savefig(folder / "loss.png", dpi=150)
    cells.srn(units, units).draw().save(folder / "srn.svg")
    cells.lstm(units, units).draw().save(folder / "lstm.svg")
    cells.lstm(units, units).draw(gradient=True).save(folder / "gradient.svg")
    lstm.model.save(folder / "lstm.safetensors")
    return results
