"""What a textbook claims, tried."""

from __future__ import annotations

from . import book, plots
from .table import Experiment, Row

BOOK = "S. Skansi (2018), Introduction to Deep Learning, Springer, chapter 7"

SPEED = Experiment(
    "book-speed",
    "An LSTM is slower to train, and stronger",
    BOOK,
    book.speed,
    tuple(
        Row(
            f"{name}, {cell.upper()}, {units} units, {seconds} s",
            {"cell": cell, "task": task, "units": units, "lr": lr, "seconds": seconds},
            quick={"seconds": 2, "units": 32},
        )
        for name, task, units, lr, seconds in (
            ("King James", "text", 128, 0.004, 15),
            (f"two of {book.LAG} numbers", "adding", 32, 0.01, 4),
        )
        for cell in ("srn", "lstm")
    ),
    {
        "ms": "ms for an update",
        "updates": "updates in the time",
        "bits": "then bits per new character",
        "right": "or share of new sums right",
    },
    3,
    plots.speed,
    "The book prints no numbers. Both cells have the same units, data, Adam and learning rate, and the same time of "
    "the processor. An update of the LSTM takes three times as long, so after 15 s the SRN still reads better, though "
    "the LSTM catches up; of the sums the SRN learns none. They succeed where they are better than pairs of "
    "characters, or add more than half.",
)
NEXT_WORD = Experiment(
    "book-next-word",
    "The next word from three",
    BOOK,
    book.next_word,
    tuple(
        Row(
            f"{loss}, {optimizer}, lr {lr}",
            {"loss": loss, "optimizer": optimizer, "lr": lr},
            quick={"words": 2000, "held_out": 500, "epochs": 5},
        )
        for loss, optimizer, lr in (
            ("squared error", "SGD", 0.01), ("squared error", "Adam", 0.002),
            ("cross-entropy", "SGD", 0.01), ("cross-entropy", "Adam", 0.002),
        )
    ),
    {
        "learnt": "share predicted of the words it learns from",
        "right": "of the 2,000 words that follow",
        "perplexity": "perplexity of these",
    },
    5,
    plots.next_word,
    "The book prints no numbers. The first row is its program: 50 hidden units, softmax with squared error, plain SGD "
    "at the usual rate of its library. It learns nothing in its 15 passes: a mean over 1,950 words has a small "
    "gradient. By cross-entropy SGD comes to know the commonest word. Adam learns by either loss, much of it by heart. "
    "A net succeeds where it predicts more new words than the commonest word does.",
)  # fmt: skip
