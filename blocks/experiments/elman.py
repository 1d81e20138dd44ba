"""The protocols of Elman (1990), *Finding structure in time*, Cognitive Science 14, 179 to 211.

A network predicts a stream step by step and learns at each; the context is a copy of the hidden units one step before,
so the gradient ends there. The paper says neither learning rates nor first weights: uniform in [-1, 1] here, and the
rates are in the rows. Trial r has a stream and first weights of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..optional import needed
from ..tasks import elman as tasks
from ..train.optimizers import SGD
from . import nets
from .job import Job
from .online import Arrays, Online, Sides, rng_of, uniform
from .results import COMMAND
from .table import Trial

STREAM, FRESH, MOST = 1, 2, 3000  # what random numbers are for; updates of one call
CYCLE = 12


def xor(job: Job, bits: int, passes: int, lr: float, tested: int = 14_400) -> list[Trial]:
    """Exclusive or. Measured on a new stream, the root of the mean squared error at each of twelve steps, and of the
    first, second and third bit of a triple ("first", "second", "third"); solved if each third step's is the least of
    its three."""
    fresh, results = _run(job, lambda rng, new: tasks.xor(rng, tested if new else bits), 2, passes, lr)
    found = []
    for trial, data, got in zip(job.trials, fresh, results, strict=True):
        # the error at step t is that of what the network expects at t
        squared = np.roll((got["answer"] - data["target"][0])[:, 0] ** 2, 1)
        curve = np.sqrt(squared.reshape(-1, CYCLE).mean(axis=0))
        by_bit = np.sqrt(squared.reshape(-1, 3).mean(axis=0))
        solved = bool((curve.reshape(-1, 3).argmin(axis=1) == 2).all())
        values = dict(zip(("first", "second", "third"), map(float, by_bit), strict=True))
        found.append({"trial": trial, "solved": solved, **values, "curves": {"error": _short(curve)}})
    return found


def letters(job: Job, consonants: int, passes: int, lr: float) -> list[Trial]:
    """Consonants with their vowels. Measured on a new stream, the root of the mean squared error over the bits where a
    consonant comes and where a vowel does, and at the latter the largest of the three ("consonant", "vowel"), and that
    of the first bit alone, whether a consonant comes, over all steps ("first_bit")."""
    fresh, results = _run(job, lambda rng, new: tasks.letters(rng, consonants), 20, passes, lr)
    found = []
    for trial, data, got in zip(job.trials, fresh, results, strict=True):
        squared = np.roll((got["answer"] - data["target"][0]) ** 2, 1, axis=0)
        text, error = data["text"], np.sqrt(squared.mean(axis=1))
        rms = {c: float(np.sqrt(squared[[k for k, d in enumerate(text) if d == c]].mean())) for c in sorted(set(text))}
        consonant, vowel = ([rms[c] for c in letters] for letters in ("bdg", "aiu"))
        values = {
            "consonant": float(np.mean(consonant)),
            "vowel": max(vowel),
            "first_bit": float(np.sqrt(squared[:, 0].mean())),
        }
        part = slice(100, 140)
        curves = {"text": text[part], "error": _short(error[part]), "first_bit": _short(np.sqrt(squared[part, 0]))}
        found.append({"trial": trial, "solved": min(consonant) > 2 * max(vowel), **values, "curves": curves})
    return found


def words(job: Job, sentences: int, passes: int, lr: float) -> list[Trial]:
    """Words without spaces. Measured on the stream itself, as in the paper, the root of the mean squared error where a
    word begins, and at its second and third letter and later ("onset", "second", "later"); solved if it falls."""
    streams, results = _run(job, lambda rng, new: tasks.words(rng, sentences), 20, passes, lr, again=True)
    found = []
    for trial, data, got in zip(job.trials, streams, results, strict=True):
        squared = np.roll(((got["answer"] - data["target"][0]) ** 2).mean(axis=1), 1)
        at = np.arange(len(squared)) - np.maximum.accumulate(np.where(data["onset"], np.arange(len(squared)), 0))
        rms = [float(np.sqrt(squared[place].mean())) for place in (at == 0, at == 1, at >= 2)]
        values = dict(zip(("onset", "second", "later"), rms, strict=True))
        start = int(np.flatnonzero(data["onset"])[10])
        part = slice(start, start + 60)
        curves = {
            "text": data["text"][part],
            "onset": data["onset"][part].tolist(),
            "error": _short(np.sqrt(squared[part])),
        }
        found.append({"trial": trial, "solved": rms[0] > rms[1] > rms[2], **values, "curves": curves})
    return found


def classes(job: Job, sentences: int, passes: int, lr: float, spread: float = 1.0, units: int = 150) -> list[Trial]:
    """Words and their classes. Measured on the stream itself, the root of the mean squared error of a vector ("rms"),
    and what a hierarchical clustering of each word's mean hidden vector finds: the share of the words on the right side
    of the first split, of nouns and verbs ("nouns"), and of the nouns on that of the best split, of animate ones and
    others ("animates"); solved if the first split is that of nouns and verbs."""
    linkage = needed("scipy.cluster.hierarchy", COMMAND).linkage
    streams, results = _run(
        job, lambda rng, new: tasks.classes(rng, sentences), units, passes, lr, again=True, spread=spread
    )
    found = []
    for trial, data, got in zip(job.trials, streams, results, strict=True):
        rms = float(np.sqrt(((got["answer"] - data["target"][0]) ** 2).sum(axis=1).mean()))
        means = np.stack([got["hidden"][data["words"] == k].mean(axis=0) for k in range(len(tasks.WORDS))])
        tree = linkage(means, "average")
        first = _sides(tree)[0]
        nouns = [any(w in v for k, v in tasks.CLASSES.items() if k.startswith("NOUN")) for w in tasks.WORDS]
        living = [any(w in tasks.CLASSES[f"NOUN-{k}"] for k in ("HUM", "ANIM", "AGRESS")) for w in tasks.WORDS]
        values = {
            "rms": rms,
            "nouns": _agreement(first, nouns),
            "animates": max(_agreement(side, living, nouns) for side in _sides(tree)),
        }
        curves = {"tree": [_short(row) for row in tree], "labels": list(tasks.WORDS)}
        found.append({"trial": trial, "solved": values["nouns"] == 1.0, **values, "curves": curves})
    return found


def _run(
    job: Job,
    make: Callable[[np.random.Generator, bool], dict[str, Any]],
    units: int,
    passes: int,
    lr: float,
    again: bool = False,
    spread: float = 1.0,
) -> tuple[list[dict[str, Any]], list[Arrays]]:
    """Show each trial its stream so often; then let it read a new one, or with `again` the same, without learning. What
    was read, and "answer" and "hidden" of each step."""
    streams = [make(rng_of(job.seed, t, STREAM), False) for t in job.trials]
    inputs = streams[0]["x"].shape[-1]
    net = nets.elman_online(inputs, inputs, units)
    learning = Online(net.loss, SGD(lr), uniform(spread), [job.seed_of(t) for t in job.trials])
    data = [{k: s[k][0] for k in ("x", "target")} for s in streams]
    done = _restore(job, learning)
    with job.progress(passes, done) as report:
        for k in range(done, passes):
            report(_show(learning, data))
            job.save(lambda k=k: ({"done": k + 1}, {**_named("w", learning.weights), **_named("s", learning.states)}))  # type: ignore[misc]
    read = streams if again else [make(rng_of(job.seed, t, FRESH), True) for t in job.trials]
    answers = Sides(nets.elman_read(inputs, inputs, units))
    results = []
    for row, stream in enumerate(read):
        weights = {k: v[row : row + 1] for k, v in learning.weights.items()}
        got = answers({**weights, "x": stream["x"][0][None, :, None]})
        results.append({k: v[0, :, 0] for k, v in got.items()})
    return read, results


def _show(learning: Online, data: list[Arrays]) -> float:
    """One pass over the streams, of lengths of their own: as far as the shortest together, what is left one by one."""
    together = min(len(d["x"]) for d in data)
    total = 0.0
    for start in range(0, together, MOST):
        stop = min(start + MOST, together)
        seen = learning.learn({k: np.stack([d[k][start:stop] for d in data])[:, :, None] for k in ("x", "target")})
        total += float(seen["loss"].sum()) / len(data)
    if any(len(d["x"]) > together for d in data):
        everything, learning_of = {**learning.weights, **learning.states}, []
        for row, d in enumerate(data):
            learning.weights = {k: everything[k][row : row + 1] for k in learning.weights}
            learning.states = {k: everything[k][row : row + 1] for k in learning.states}
            if len(d["x"]) > together:
                learning.learn({k: d[k][None, together:, None] for k in ("x", "target")})
            learning_of.append({**learning.weights, **learning.states})
        joined = {k: np.concatenate([w[k] for w in learning_of]) for k in everything}
        learning.weights = {k: joined[k] for k in learning.weights}
        learning.states = {k: joined[k] for k in learning.states}
    return total / together


def _named(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}/{k}": v for k, v in arrays.items()}


def _restore(job: Job, learning: Online) -> int:
    """Passes that are done already."""
    saved = job.restore()
    if saved is None:
        return 0
    meta, arrays = saved
    learning.weights = {k[2:]: v for k, v in arrays.items() if k.startswith("w/")}
    learning.states = {k[2:]: v for k, v in arrays.items() if k.startswith("s/")}
    return int(meta["done"])


def _short(curve: np.ndarray) -> list[float]:
    """A curve to four digits, for a plot."""
    return [round(float(v), 4) for v in curve]


def _sides(tree: np.ndarray) -> list[set[int]]:
    """The words below one branch of each split, from the first on."""
    count = len(tree) + 1
    below: list[set[int]] = [{k} for k in range(count)]
    for left, right, *_ in tree:
        below.append(below[int(left)] | below[int(right)])
    return [below[int(left)] for left, *_ in tree[::-1]]


def _agreement(side: set[int], wanted: list[bool], among: list[bool] | None = None) -> float:
    """The share of words that a split puts where they belong, whichever side is called which."""
    words = [k for k, counts in enumerate(among or [True] * len(wanted)) if counts]
    same = sum((k in side) == wanted[k] for k in words) / len(words)
    return max(same, 1.0 - same)
