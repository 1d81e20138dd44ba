"""A character model: which character comes next, and how many bits that costs.

text = python_topics()                              # English that every CPython carries
train, held_out = split(text)
letters = Vocabulary.of(text)
model = character_model(cells.lstm, len(letters), units=128)
model.fit(streams(letters.encode(train), 32), tbptt=50, ...)
bits = model.evaluate(streams(letters.encode(held_out), 8), chunk=200) / ln 2
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import cells
from ..bricks import ADD, EMBED
from ..cell import Cell
from ..errors import BlocksError
from ..ops.loss import cross_entropy
from ..ops.shape import check_ids
from ..scan import scan
from ..train.generate import generate
from ..train.model import Model
from ..wires import sequence

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def python_topics() -> str:
    """The help topics of the running Python, about 465,000 characters of technical English (PSF licence)."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name].strip() for name in sorted(topics))


def split(text: str, held_out: float = 0.1) -> tuple[str, str]:
    """Training text, and the last part of it to test on. Raises BlocksError if it is too short."""
    cut = int(len(text) * (1 - held_out))
    if cut < 100 or len(text) - cut < 20:
        raise BlocksError(
            f"a text of {len(text)} characters is too short to learn from; 1,000 is little, 100,000 is good"
        )
    return text[:cut], text[cut:]


@dataclass(frozen=True)
class Vocabulary:
    """Characters and their numbers; the last number is for any other character."""

    characters: str

    @classmethod
    def of(cls, text: str, most: int = 255) -> Vocabulary:
        """The most frequent characters of a text, in the order of their code points."""
        counts: dict[str, int] = {}
        for c in text:
            counts[c] = counts.get(c, 0) + 1
        frequent = sorted(sorted(counts), key=lambda c: -counts[c])[:most]
        return cls("".join(sorted(c for c in frequent if c != UNKNOWN)))

    def __len__(self) -> int:
        return len(self.characters) + 1

    def encode(self, text: str) -> np.ndarray:
        """Text → numbers."""
        number = {c: i for i, c in enumerate(self.characters)}
        return np.array([number.get(c, len(self.characters)) for c in text], dtype=np.int64)

    def decode(self, ids: np.ndarray) -> str:
        """Numbers → text."""
        known = self.characters + UNKNOWN
        return "".join(known[i] for i in check_ids(np.asarray(ids), len(known)))


def character_model(
    cell: Callable[[int, int], Cell],
    characters: int,
    units: int,
    embedding: int | None = None,
    seed: int = 0,
    target: str = "auto",
) -> Model:
    """Embedding, one cell, read-out, cross-entropy: inputs ``char`` and ``next``, output ``logits``. `seed` and
    `target` are the model's.

    A cell that adds x and h needs an embedding as large as its units; that is the default.
    """
    size = embedding or units
    ids, following = sequence("char", dtype="int"), sequence("next", dtype="int")
    hs = scan(cell(size, units), EMBED(characters, size, name="letters")(ids))
    logits = ADD(characters, name="read_out")(hs)
    return Model(loss=cross_entropy(logits, following), outputs={"logits": logits}, seed=seed, target=target)


def streams(ids: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """A long text as `count` texts side by side: data for `Model.fit`, ``(count, time)`` each."""
    count = max(1, min(count, (len(ids) - 1) // 2))
    length = (len(ids) - 1) // count
    if length < 1:
        raise BlocksError(f"a text of {len(ids)} characters is too short")
    whole = ids[: count * length].reshape(count, length)
    following = ids[1 : count * length + 1].reshape(count, length)
    return {"char": whole, "next": following}


def bits_per_character(model: Model, ids: np.ndarray, count: int = 8, chunk: int = 200) -> float:
    """Held-out cross-entropy in bits; the states run through each of `count` streams."""
    return model.evaluate(streams(ids, count), batch_size=count, chunk=chunk) / math.log(2)


def unigram_bits(train: np.ndarray, test: np.ndarray, characters: int) -> float:
    """Bits per character of a model that knows how frequent each character is (counts plus one)."""
    counts = np.bincount(train, minlength=characters) + 1.0
    return float(-np.log2(counts / counts.sum())[test[1:]].mean())


def bigram_bits(train: np.ndarray, test: np.ndarray, characters: int) -> float:
    """Bits per character of a model that knows how frequent each character is after each other one.

    Smoothed with the unigram frequencies, as much as is best of 1, 3, 10 on the test text itself, in the
    baseline's favour.
    """
    pairs = np.zeros((characters, characters))
    np.add.at(pairs, (train[:-1], train[1:]), 1.0)
    unigram = np.bincount(train, minlength=characters) + 1.0
    prior = unigram / unigram.sum()

    def bits(weight: float) -> float:
        p = (pairs + weight * prior) / (pairs.sum(axis=1, keepdims=True) + weight)
        return float(-np.log2(p[test[:-1], test[1:]]).mean())

    return min(bits(w) for w in (1.0, 3.0, 10.0))


def sample(
    model: Model, vocabulary: Vocabulary, length: int, prime: str = "\n", temperature: float = 0.7, seed: int = 0
) -> str:
    """Characters that the model thinks up after `prime`, never the unknown one.

    `temperature` 1 draws from the model's own distribution, less is more careful, 0 takes the most likely. Raises
    BlocksError for a negative temperature or an empty prime.
    """
    if not prime:
        raise BlocksError("the prime must hold at least one character")
    unknown = len(vocabulary.characters)
    ids = generate(model, vocabulary.encode(prime), length, temperature=temperature, without=[unknown], seed=seed)
    return vocabulary.decode(ids[0])


CELLS = {name: getattr(cells, name) for name in cells.__all__}
