"""The four tasks of Elman (1990), *Finding structure in time*, Cognitive Science 14, 179 to 211.

    data = letters(rng, 1000)
    model.fit({"x": data["x"], "target": data["target"]}, ...)

Each function gives a stream as `Model.fit` takes it: "x" and "target", ``(1, time, features)``, where the target is the
input one step later; that of the last step is the first input, as the stream is shown again and again. ``NAME_best``
says what the best possible predictor comes to.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

CODES = {
    "b": (1, 0, 1, 0, 0, 1),
    "d": (1, 0, 1, 1, 0, 1),
    "g": (1, 0, 1, 0, 1, 1),
    "a": (0, 1, 0, 0, 1, 1),
    "i": (0, 1, 0, 1, 0, 1),
    "u": (0, 1, 0, 1, 1, 1),
}  # consonant, vowel, interrupted, high, back, voiced
SYLLABLES = {"b": "ba", "d": "dii", "g": "guuu"}

LEXICON = (
    "many", "years", "ago", "a", "boy", "and", "girl", "lived", "by", "the", "sea", "they", "played", "happily",
    "island",
)  # fmt: skip

CLASSES = {
    "NOUN-HUM": ("man", "woman", "boy", "girl"),
    "NOUN-ANIM": ("cat", "dog", "mouse"),
    "NOUN-INANIM": ("book", "rock", "car"),
    "NOUN-AGRESS": ("dragon", "monster", "lion"),
    "NOUN-FRAG": ("glass", "plate"),
    "NOUN-FOOD": ("cookie", "bread", "sandwich"),
    "VERB-INTRAN": ("think", "sleep", "exist"),
    "VERB-TRAN": ("see", "chase", "like"),
    "VERB-AGPAT": ("move", "break"),
    "VERB-PERCEPT": ("smell", "see"),
    "VERB-DESTROY": ("break", "smash"),
    "VERB-EAT": ("eat",),
}
TEMPLATES = (
    ("NOUN-HUM", "VERB-EAT", "NOUN-FOOD"),
    ("NOUN-HUM", "VERB-PERCEPT", "NOUN-INANIM"),
    ("NOUN-HUM", "VERB-DESTROY", "NOUN-FRAG"),
    ("NOUN-HUM", "VERB-INTRAN"),
    ("NOUN-HUM", "VERB-TRAN", "NOUN-HUM"),
    ("NOUN-HUM", "VERB-AGPAT", "NOUN-INANIM"),
    ("NOUN-HUM", "VERB-AGPAT"),
    ("NOUN-ANIM", "VERB-EAT", "NOUN-FOOD"),
    ("NOUN-ANIM", "VERB-TRAN", "NOUN-ANIM"),
    ("NOUN-ANIM", "VERB-AGPAT", "NOUN-INANIM"),
    ("NOUN-ANIM", "VERB-AGPAT"),
    ("NOUN-INANIM", "VERB-AGPAT"),
    ("NOUN-AGRESS", "VERB-DESTROY", "NOUN-FRAG"),
    ("NOUN-AGRESS", "VERB-EAT", "NOUN-HUM"),
    ("NOUN-AGRESS", "VERB-EAT", "NOUN-ANIM"),
    ("NOUN-AGRESS", "VERB-EAT", "NOUN-FOOD"),
)
WORDS = tuple(dict.fromkeys(word for members in CLASSES.values() for word in members))
BITS = 31  # of a word's vector: one for each of the 29 words, two that are never set


def xor(rng: np.random.Generator, bits: int) -> dict[str, Any]:
    """Temporal exclusive or: two random bits and their exclusive or, again and again; "x" and "target"
    ``(1, bits, 1)``. The paper has 3,000 bits. `bits` is a multiple of three."""
    pairs = rng.integers(0, 2, (bits // 3, 2))
    return _stream(np.column_stack([pairs, pairs[:, 0] ^ pairs[:, 1]]).reshape(-1, 1))


def xor_best() -> np.ndarray:
    """The least mean squared error of a prediction of the first, second and third bit of a triple."""
    return np.array([0.25, 0.25, 0.0])


def letters(rng: np.random.Generator, consonants: int) -> dict[str, Any]:
    """Random consonants, of which each settles its vowels: b is followed by a, d by ii, g by uuu. "x" and "target"
    ``(1, time, 6)``, and "text", the letters. The paper has 1,000 consonants."""
    text = "".join(SYLLABLES[c] for c in rng.choice(list(SYLLABLES), consonants))
    return {**_stream(np.array([CODES[c] for c in text])), "text": text}


def letters_best() -> dict[str, np.ndarray]:
    """The least mean squared error of each of the six bits where a consonant comes, and where a vowel does."""
    codes = np.array([CODES[c] for c in SYLLABLES], np.float64)
    return {"consonant": codes.var(axis=0), "vowel": np.zeros(6)}


def words(rng: np.random.Generator, sentences: int) -> dict[str, Any]:
    """Words without spaces: "x" and "target" ``(1, time, 5)``, "text", and "onset", ``(time,)``, true where a word
    begins. The paper has 200 sentences of four to nine words, 1,270 words and 4,963 letters in all.

    A letter's code is its number in binary. Of the paper's fifteen words fourteen can be read in its figure; with a
    fifteenth of six letters, "island" here, the mean length is the paper's. Its sentences come from a program
    that it does not describe; here each word is drawn at random.
    """
    chosen = [word for _ in range(sentences) for word in rng.choice(LEXICON, rng.integers(4, 10))]
    text = "".join(chosen)
    onset = np.zeros(len(text), bool)
    onset[np.cumsum([0, *(len(word) for word in chosen[:-1])])] = True
    codes = [[ord(c) - ord("a") + 1 >> k & 1 for k in (4, 3, 2, 1, 0)] for c in text]
    return {**_stream(np.array(codes)), "text": text, "onset": onset}


def classes(rng: np.random.Generator, sentences: int) -> dict[str, Any]:
    """Sentences of two and three words, run together: "x" and "target" ``(1, time, 31)``, one-hot, and "words", their
    numbers in `WORDS`. The paper has 10,000 sentences, of which 27,534 words come."""
    chosen = [
        WORDS.index(CLASSES[part][rng.integers(len(CLASSES[part]))])
        for template in rng.integers(len(TEMPLATES), size=sentences)
        for part in TEMPLATES[template]
    ]
    return {**_stream(np.eye(BITS)[chosen]), "words": np.array(chosen)}


def classes_best(ends: bool = False) -> dict[str, float]:
    """What the best predictor of the next word comes to that knows the sentence so far, and with `ends` whether it has
    ended: "rms", the root of the mean squared error of a vector; "nats", the cross-entropy, and "perplexity"; "right",
    the share of words that it would guess. (A network sees no ends.)"""
    start = _first_words()
    after: dict[tuple[str, ...], dict[str, float]] = {}
    for sentence, p in _sentences().items():
        for k in range(1, len(sentence) + 1):
            whole = k == len(sentence)
            known = after.setdefault(() if whole and ends else sentence[:k], {})
            for word, q in (start if whole else {sentence[k]: 1.0}).items():
                known[word] = known.get(word, 0.0) + p * q
    total = sum(sum(known.values()) for known in after.values())
    squared = nats = right = 0.0
    for known in after.values():
        weight = sum(known.values())
        shares = np.array(list(known.values())) / weight
        squared += weight / total * (1.0 - float((shares**2).sum()))
        nats -= weight / total * float((shares * np.log(shares)).sum())
        right += weight / total * float(shares.max())
    return {"rms": math.sqrt(squared), "nats": nats, "perplexity": math.exp(nats), "right": right}


def _sentences() -> dict[tuple[str, ...], float]:
    """Every sentence and how often it comes."""
    found: dict[tuple[str, ...], float] = {}
    for template in TEMPLATES:
        choices = list(product(*(CLASSES[part] for part in template)))
        for sentence in choices:
            found[sentence] = found.get(sentence, 0.0) + 1.0 / len(TEMPLATES) / len(choices)
    return found


def _first_words() -> dict[str, float]:
    """Every word that begins a sentence, and how often it does."""
    found: dict[str, float] = {}
    for sentence, p in _sentences().items():
        found[sentence[0]] = found.get(sentence[0], 0.0) + p
    return found


def _stream(x: np.ndarray) -> dict[str, Any]:
    """A stream of vectors, and each one's successor."""
    x = x.astype(np.float64)
    return {"x": x[None], "target": np.roll(x, -1, axis=0)[None]}
