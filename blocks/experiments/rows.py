"""All published experiments, and the numbers that their papers print."""

from __future__ import annotations

from functools import partial

from ..errors import BlocksError, nearest
from . import book, elman, hochreiter, plots
from .table import Experiment, Row

ELMAN = "J. L. Elman (1990), Finding structure in time, Cognitive Science 14, 179–211"
HOCHREITER = "S. Hochreiter and J. Schmidhuber (1997), Long short-term memory, Neural Computation 9, 1735–1780"
BOOK = "S. Skansi (2018), Introduction to Deep Learning, Springer, chapter 7"
SEQUENCES = {"sequences": "sequences until the criterion is met"}
WRONG = {**SEQUENCES, "wrong": "of 2,560 new sequences wrong"}

XOR = Experiment(
    "elman-xor",
    "Exclusive or, in time",
    ELMAN,
    elman.xor,
    (
        Row(
            "1-2-1, 600 passes, lr 0.5",
            {"bits": 3000, "passes": 600, "lr": 0.5},
            quick={"passes": 100, "tested": 6000, "lr": 1.0},
            note="The paper prints a curve, no numbers. No predictor comes below 0.5 at the first and second bit.",
        ),
    ),
    {"first": "RMS error of the first bit", "second": "of the second", "third": "of the third"},
    20,
    plots.xor,
)
LETTERS = Experiment(
    "elman-letters",
    "Letters in words",
    ELMAN,
    elman.letters,
    (
        Row(
            "6-20-6, 200 passes, lr 0.1",
            {"consonants": 1000, "passes": 200, "lr": 0.1},
            quick={"consonants": 300, "passes": 60},
            note="The paper prints curves, no numbers. No predictor comes below 0.272 at the consonants.",
        ),
    ),
    {
        "consonant": "RMS error at consonants",
        "vowel": "at the worst vowel",
        "first_bit": "of the first bit, everywhere",
    },
    10,
    plots.letters,
)
WORDS = Experiment(
    "elman-words",
    "Where words begin",
    ELMAN,
    elman.words,
    (
        Row(
            "5-20-5, 10 passes, lr 0.1",
            {"sentences": 200, "passes": 10, "lr": 0.1},
            quick={"sentences": 100},
            note="The paper prints a curve, no numbers.",
        ),
    ),
    {"onset": "RMS error at a word's first letter", "second": "at its second", "later": "later"},
    10,
    plots.words,
)
CLASSES = Experiment(
    "elman-classes",
    "Classes of words",
    ELMAN,
    elman.classes,
    (
        Row(
            "31-150-31, 6 passes, lr 1.0",
            {"sentences": 10_000, "passes": 6, "lr": 1.0, "spread": 0.1},
            {"rms": 0.88, "success": 1.0},
            {"sentences": 1000, "passes": 6, "units": 40},
            note="it succeeds if the first split of the tree is that of nouns and verbs",
        ),
    ),
    {
        "rms": "RMS error of a vector",
        "nouns": "words right in the first split",
        "animates": "nouns right in the best one",
    },
    10,
    plots.classes,
    "The best predictor that sees the words has an error of 0.894; one that sees where sentences end too, 0.889. "
    "Learning rate and first weights are not in the paper. Of rates from 0.1 to 2 and first weights up to 0.03, 0.1 "
    "and 1 these came nearest (0.90; with a rate of 0.1, 0.92). The classes come out, down to dragons and breakables, "
    "but the first split is not that of nouns and verbs, whatever the linkage: words stand together after which the "
    "same may follow. After sleep as after bread a sentence begins, so the intransitive verbs stand with the objects.",
)

_STREAK = {"window": 2000, "tolerance": 0.04, "mean": 0.01}
_PAIRS = {"blocks": 2, "size": 2, "input_bias": [-3.0, -6.0]}
_REBER = (
    # blocks, size, learning rate, success, mean
    (4, 1, 0.1, 1.00, 39_740),
    (3, 2, 0.1, 1.00, 21_730),
    (3, 2, 0.2, 0.97, 14_060),
    (4, 1, 0.5, 0.97, 9_500),
    (3, 2, 0.5, 1.00, 8_440),
)
REBER = Experiment(
    "hs-reber",
    "The embedded Reber grammar (experiment 1)",
    HOCHREITER,
    hochreiter.strings,
    (
        *(
            Row(
                f"{blocks}×{size}, lr {lr}, {net}",
                {"lr": lr, "limit": 200_000, "net": net, "blocks": blocks, "size": size},
                {"success": success, "sequences": mean},
                {"limit": 6000} if (blocks, lr) == (3, 0.5) else None,
            )
            for net in ("text, truncated", "text, full gradient", "gates to outputs")
            for blocks, size, lr, success, mean in _REBER
        ),
        Row(
            "Elman's network, 15 units",
            {"lr": 0.1, "limit": 200_000, "net": "Elman"},
            {"success": 0.0},
            {"limit": 3000},
            note="the paper quotes others' trials, which did not succeed in 200,000; their learning rate is not known",
        ),
    ),
    SEQUENCES,
    30,
    plots.until,
    "As printed it does not come out here, with either gradient. In a first trial some 45 single changes of the text "
    "were tried (biases, rates, losses, ranges of g and h, order, criterion); one alone brings nearly all trials home: "
    "that the outputs see the gates too. Such nets have 320 and 318 weights, where the paper prints 264 and 276. So it "
    "is a deviation, found by search, and not what the program of 1997 did.",
)


def _two(sequences: float) -> tuple[Row, ...]:
    """The rows of an LSTM in experiments 2a and 2b, and the paper's mean."""
    return tuple(
        Row(
            f"LSTM, p = 100, lr 1.0, an update a {'step' if each_step else 'sequence'}",
            {"lr": 1.0, "limit": limit, "hidden": "cell", "each_step": each_step},
            {"success": 1.0, "sequences": sequences},
            {"p": 20, "limit": 20_000},
        )
        for each_step, limit in ((True, 10_000), (False, 20_000))
    )


TWO = Experiment(
    "hs-2a",
    "Long lags: two sequences (experiment 2a)",
    HOCHREITER,
    hochreiter.two_sequences,
    (
        *_two(5040),
        Row(
            "BPTT, p = 100, lr 1.0",
            {"lr": 1.0, "limit": 20_000, "hidden": "unit"},
            {"success": 0.0},
            {"p": 20, "limit": 2000},
            note="the paper gave them 5,000,000 sequences; RTRL has the same gradient",
        ),
    ),
    {**SEQUENCES, "alone": "of these before cell and gate"},
    18,
    plots.until,
    "C adds up products of two logistic functions, so after 100 steps it is about 20 with any first weights. Where a "
    "sequence is one update, the first one with a cell threw the weights from it to the outputs to some 125, in three "
    "trials that were looked at, and outputs so saturated hardly learn. With an update at each step, by the traces of "
    "the paper's appendix, they stay below 5, and nearly all symbols become right but the last: presumably such a C "
    "makes each update turn the answer over. What the paper did otherwise is not known. With p = 20 either way comes "
    "out, in two trials of two.",
)
TWO_B = Experiment(
    "hs-2b",
    "Long lags: random symbols between (experiment 2b)",
    HOCHREITER,
    partial(hochreiter.two_sequences, noise=True),
    _two(5680),
    {**SEQUENCES, "alone": "of these before cell and gate"},
    18,
    plots.until,
    "It does not come out within this limit; why was looked into in experiment 2a alone.",
)
DISTRACTORS = Experiment(
    "hs-2c",
    "Very long lags: distractors (experiment 2c)",
    HOCHREITER,
    hochreiter.at_end,
    tuple(
        Row(
            f"q = {q}, p = {p}",
            {
                "task": "distractors",
                "of_task": {"p": p, "q": q},
                "blocks": 2,
                "size": 1,
                "lr": 0.01,
                "limit": 300_000,
                "streak": {"window": 10_000, "tolerance": 0.2},
                "spread": 0.2,
                "biases": "none",
                "counted": False,
            },
            {"success": 1.0, "sequences": mean},
            {"of_task": {"p": 10, "q": 10}, "lr": 0.1, "streak": {"window": 1000, "tolerance": 0.2}, "limit": 20_000}
            if q == 50
            else None,
            long=q > 100,
        )
        for q, p, mean in ((50, 50, 30_000), (100, 100, 31_000), (200, 200, 33_000), (500, 500, 38_000),
                           (1000, 1000, 49_000), (1000, 500, 49_000), (1000, 200, 75_000), (1000, 100, 135_000),
                           (1000, 50, 203_000))
    ),
    WRONG,
    20,
    plots.until,
    "Whether the 10,000 right answers in a row count is not printed; here they do not. A run of q = p = 50 was stopped "
    "after 89,600 sequences, when one of five trials had met the criterion, at 71,081.",
)  # fmt: skip
NOISE = Experiment(
    "hs-noise",
    "Noise and signal on one line (experiment 3a)",
    HOCHREITER,
    hochreiter.noise,
    tuple(
        Row(
            f"T = {steps}, N = {informative}",
            {"steps": steps, "informative": informative, "lr": 1.0, "limit": limit},
            {"success": 1.0, "sequences": st2, "st1": st1, "wrong": round(2560 * share, 1)},
            {"steps": 20, "limit": 20_000} if steps == 100 else None,
            long=steps > 100,
        )
        for steps, informative, st1, st2, share, limit in (
            (100, 3, 27_380, 39_850, 0.000195, 300_000),
            (100, 1, 58_370, 64_330, 0.000117, 300_000),
            (1000, 3, 446_850, 452_460, 0.000078, 2_000_000),
        )
    ),
    {"st1": "sequences until none of 256 is wrong", **WRONG},
    10,
    plots.until,
    "The printed 102 weights leave the output unit without a bias.",
)
ADDING = Experiment(
    "hs-adding",
    "Adding (experiment 4)",
    HOCHREITER,
    hochreiter.at_end,
    tuple(
        Row(
            f"T = {steps}, {'linear' if linear else 'logistic'} output{'' if truncated else ', full gradient'}",
            {
                "task": "adding",
                "of_task": {"steps": steps},
                "lr": 0.5,
                "limit": limit,
                "streak": _STREAK,
                "linear": linear,
                "truncated": truncated,
                **_PAIRS,
            },
            {"success": 1.0, "sequences": mean, "wrong": wrong},
            {"of_task": {"steps": 10}, "limit": 40_000, "streak": {"window": 500, "tolerance": 0.1, "mean": 0.05}}
            if steps == 100 and truncated
            else None,
            long=steps > 100,
        )
        for steps, linear, truncated, mean, wrong, limit in (
            (100, True, True, 74_000, 1, 600_000),
            (100, True, False, 74_000, 1, 600_000),
            (100, False, True, 74_000, 1, 600_000),
            (500, True, True, 209_000, 0, 2_000_000),
            (1000, True, True, 853_000, 1, 5_000_000),
        )
    ),
    {**WRONG, "mse": "mean squared error on them"},
    10,
    plots.until,
    "Two readings make it come out: the output unit is linear, and if the first pair is marked its number is 0, not "
    "only what it counts for. The text's output is logistic; in a first trial 4 of 10 such nets met the criterion "
    "within 600,000 sequences, and the others failed at targets near 0 and 1.",
)
MULTIPLICATION = Experiment(
    "hs-multiplication",
    "Multiplication (experiment 5)",
    HOCHREITER,
    hochreiter.at_end,
    tuple(
        Row(
            f"fewer than {n} of 2,000 wrong",
            {
                "task": "multiplication",
                "of_task": {"steps": 100},
                "lr": 0.1,
                "limit": limit,
                "streak": {"window": 2000, "tolerance": 0.04, "wrong": n - 1},
                **_PAIRS,
            },
            {"success": 1.0, "sequences": mean, "wrong": wrong, "mse": mse},
            {"of_task": {"steps": 10}, "lr": 0.5, "limit": 40_000,
             "streak": {"window": 500, "tolerance": 0.1, "wrong": 50}}
            if n == 140
            else None,
            long=n < 100,
        )
        for n, mean, wrong, mse, limit in (
            (140, 482_000, 139, 0.0223, 1_500_000),
            (13, 1_273_000, 14, 0.0139, 4_000_000),
        )
    ),
    {**WRONG, "mse": "mean squared error on them"},
    10,
    plots.until,
    "The output is logistic, as in the text. What the paper prints as a mean squared error is rather its root: ours is "
    "0.0005, and the root of that 0.023; with 0.0223 for the square, far more answers would be off by 0.04.",
)  # fmt: skip
ORDER = Experiment(
    "hs-order",
    "Temporal order (experiments 6a and 6b)",
    HOCHREITER,
    hochreiter.at_end,
    tuple(
        Row(
            name,
            {
                "task": "order",
                "of_task": {"steps": 100, "relevant": relevant},
                "blocks": relevant,
                "size": 2,
                "lr": lr,
                "limit": limit,
                "streak": {"window": 2000, "tolerance": 0.3, "mean": 0.1},
                "input_bias": [-2.0, -4.0, -6.0][:relevant],
            },
            {"success": 1.0, "sequences": mean, "wrong": wrong},
            {"of_task": {"steps": 20, "relevant": 2}, "blocks": 2, "input_bias": [-2.0, -4.0], "lr": 0.5,
             "limit": 30_000, "streak": {"window": 500, "tolerance": 0.3, "mean": 0.1}}
            if relevant == 2
            else None,
            long=relevant == 3,
        )
        for name, relevant, lr, mean, wrong, limit in (
            ("6a, two symbols", 2, 0.5, 31_390, 1, 300_000),
            ("6b, three symbols", 3, 0.1, 571_100, 2, 3_000_000),
        )
    ),
    {**WRONG, "mse": "mean squared error on them"},
    10,
    plots.until,
)  # fmt: skip

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

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        XOR, LETTERS, WORDS, CLASSES, REBER, TWO, TWO_B, DISTRACTORS, NOISE, ADDING, MULTIPLICATION, ORDER, SPEED,
        NEXT_WORD,
    )
}  # fmt: skip


def experiment(name: str) -> Experiment:
    """An experiment by its name. Raises BlocksError naming those that there are."""
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise BlocksError(f"no experiment {name!r}{nearest(name, EXPERIMENTS)}; there are {known}, and all")
    return EXPERIMENTS[name]
