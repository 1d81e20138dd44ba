"""The main job: an SRN and an LSTM, composed from bricks, side by side on two tasks. English text, which both learn to
write about as well; and the adding problem, a task with a long lag, on which the SRN stays at chance and the LSTM does
not. It writes figures, curves, a model and a page that shows them, and says what the book's claims come to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import cells
from ..bricks import ADD
from ..ops.loss import squared_error
from ..optional import needed
from ..scan import scan
from ..train.model import Model
from ..train.optimizers import Adam
from ..train.schedules import cosine
from ..wires import sequence
from . import lags
from . import text as task
from .demo_page import write_page

CELLS = {"srn": cells.srn, "lstm": cells.lstm}
STREAMS, STEPS = 32, 50  # texts side by side, and characters of each, in an update
LAG, ROWS, SMALL = 60, 32, 32  # steps of a sequence of numbers, sequences in an update, units at most
NEAR = 0.04  # an answer is right, if its error is smaller (Hochreiter and Schmidhuber 1997, 5.4)


@dataclass
class Result:
    """What one network came to. `error` is that on data which it has not seen: bits per character, or the mean squared
    error of sums; `right` is the share of the sums that are right."""

    name: str
    model: Model
    milliseconds: float  # an update takes
    error: float
    right: float = math.nan

    @property
    def weights(self) -> int:
        """How many numbers its weights are."""
        return sum(w.size for w in self.model.weights.values())


def _timed(model: Model, data: Any, **options: Any) -> float:
    """Train a model; the time of an update in milliseconds: of the quickest tenth, which nothing else has disturbed."""
    times = [time.perf_counter()]
    model.fit(data, clip=1.0, callbacks=lambda model, record: times.append(time.perf_counter()), **options)
    return 1000 * float(np.quantile(np.diff(times), 0.1))


def read(text: str, name: str, letters: task.Vocabulary, units: int, updates: int, target: str) -> Result:
    """Train a character model for about so many updates of 32 streams × 50 characters, and test it on the last tenth of
    the text."""
    train, held_out = task.split(text)
    model = task.character_model(CELLS[name], len(letters), units, embedding=min(48, units), seed=1, target=target)
    data = task.streams(letters.encode(train), STREAMS)
    whole = math.ceil(data["char"].shape[1] / STEPS)  # updates that see all of it
    epochs = max(1, round(updates / whole))
    each = min(whole, math.ceil(updates / epochs))
    rate = cosine(8e-3, epochs * each, final=4e-4, warmup=20)
    part = {k: v[:, : each * STEPS] for k, v in data.items()}
    took = _timed(model, part, epochs=epochs, batch_size=STREAMS, tbptt=STEPS, optimizer=Adam(rate))
    model.info = {"task": "text", "characters": letters.characters, "cell": name}
    return Result(name, model, took, task.bits_per_character(model, letters.encode(held_out)))


def add(name: str, units: int, updates: int, target: str) -> Result:
    """Train a network to add two marked ones of 60 numbers, for so many updates of 32 new sequences, and test it on
    1,000 others."""
    x, asked, mask = sequence("x", 2), sequence("target", 1), sequence("mask")
    sums = ADD(1, name="sum")(scan(CELLS[name](2, units), x))
    model = Model(loss=squared_error(sums, asked, mask), outputs={"sum": sums}, seed=1, target=target)
    took = _timed(
        model,
        lambda rng, update: lags.adding(rng, ROWS, LAG),
        batches_per_epoch=updates,
        optimizer=Adam(1e-2),
    )
    test = unseen()
    wrong = (model.predict({"x": test["x"]}) - test["target"])[:, -1, 0]
    return Result(name, model, took, float(np.mean(wrong**2)), float(np.mean(abs(wrong) < NEAR)))


def unseen() -> lags.Sequences:
    """The sequences to test on."""
    return lags.adding(np.random.default_rng(0), 1000, LAG)


def run_demo(
    folder: Path, units: int = 96, updates: int = 800, say: Callable[[str], None] = print, target: str = "auto"
) -> None:
    """The whole demo, on a `target` of `Model`; `folder` receives index.html, which shows all else: adding.png,
    text.png, srn.svg, lstm.svg, gradient.svg, lstm.safetensors and sample.txt.

    Raises BlocksError, before it begins, where there is no matplotlib."""
    needed("matplotlib", "blocks demo")
    folder.mkdir(parents=True, exist_ok=True)
    small, facts = min(units, SMALL), {"folder": folder.as_posix()}
    say(f"a long lag: add the two numbers that are marked, one of the first {LAG // 2} and one of the last {LAG // 2};")
    say(f"networks of {small} units, {updates} updates of {ROWS} sequences each")
    sums = {name: add(name, small, updates, target) for name in CELLS}
    answers = unseen()["target"][:, -1, 0]
    chance = float(np.mean((answers - 0.5) ** 2)), float(np.mean(abs(answers - 0.5) < NEAR))
    facts["sums"] = _table(
        ("1,000 new sums", "squared error", "right", "ms/update"),
        [("always the mean", f"{chance[0]:.4f}", f"{chance[1]:.0%}", "")]
        + [(r.name, f"{r.error:.4f}", f"{r.right:.0%}", f"{r.milliseconds:.1f}") for r in sums.values()],
    )
    say(f"\n{facts['sums']}\n")

    text = task.python_topics()
    letters = task.Vocabulary.of(text)
    ids, test = (letters.encode(part) for part in task.split(text))
    say(f"text: {len(text):,} characters of Python's help, {len(letters)} different ones; the last tenth is held out;")
    say(f"networks of {units} units, about {updates} updates of {STREAMS} × {STEPS} characters each")
    reading = {name: read(text, name, letters, units, updates, target) for name in CELLS}
    known = {
        "unigrams": task.unigram_bits(ids, test, len(letters)),
        "bigrams": task.bigram_bits(ids, test, len(letters)),
    }
    facts["text"] = _table(
        ("held-out text", "bits/character", "weights", "ms/update"),
        [(name, f"{bits:.3f}", "", "") for name, bits in known.items()]
        + [(r.name, f"{r.error:.3f}", f"{r.weights:,}", f"{r.milliseconds:.1f}") for r in reading.values()],
    )
    say(f"\n{facts['text']}\n")
    lstm = reading["lstm"]
    facts["time"] = (
        f"the book's claim, an LSTM is much slower to train: its update takes {_ratio(reading):.1f} times the SRN's "
        f"on the text, {_ratio(sums):.1f} times on the sums; {lstm.model.computed_by()}"
    )
    facts["sample"] = "The " + task.sample(lstm.model, letters, 300, prime="The ", temperature=0.6, seed=1)
    say(f"{facts['time']}\n\nthe LSTM writes: {facts['sample']}")

    (folder / "sample.txt").write_text(facts["sample"] + "\n", encoding="utf-8")
    _curves(folder / "adding.png", sums, "squared error of the sum", chance[0], "always the mean")
    _curves(folder / "text.png", reading, "bits per character", known["bigrams"], "bigrams", 1 / math.log(2))
    for name, cell in CELLS.items():
        cell(units, units).draw().save(folder / f"{name}.svg")
    cells.lstm(units, units).draw(gradient=True).save(folder / "gradient.svg")
    lstm.model.save(folder / "lstm.safetensors")
    write_page(folder / "index.html", facts)


def _ratio(results: Mapping[str, Result]) -> float:
    return results["lstm"].milliseconds / results["srn"].milliseconds


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as text, numbers below each other."""
    return "\n".join(f"{name:<16}" + "".join(f"{cell:>16}" for cell in row) for name, *row in (head, *rows))


def _curves(
    path: Path, results: Mapping[str, Result], label: str, level: float, called: str, unit: float = 1.0
) -> None:
    """The losses of some networks over their updates, each the mean of those around it; and a level to compare with."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("srn", "#c8553d"), ("lstm", "#3b6fb6")):
        losses = unit * np.array([step["loss"] for step in results[name].model.history.steps])
        wide = max(1, len(losses) // 40)
        axes.plot(losses, color=colour, alpha=0.2, lw=0.8)
        smooth = np.convolve(losses, np.full(wide, 1 / wide), mode="valid")
        axes.plot(np.arange(len(smooth)) + wide // 2, smooth, color=colour, label=name.upper())
    axes.axhline(level, color="0.5", lw=0.9, ls="--", label=called)
    axes.set(xlabel="update", ylabel=label, ylim=(0, 2 * level))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
