"""The experiments of Hochreiter and Schmidhuber (1997), and the numbers that the paper prints."""

from __future__ import annotations

from functools import partial

from . import hochreiter, plots
from .table import Experiment, Row

HOCHREITER = "S. Hochreiter and J. Schmidhuber (1997), Long short-term memory, Neural Computation 9, 1735–1780"
SEQUENCES = {"sequences": "sequences until the criterion is met"}
WRONG = {**SEQUENCES, "wrong": "of 2,560 new sequences wrong"}

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
    "As printed it does not come out reliably here. In a first trial, of 30 a row, 18 of 150 met the criterion by the "
    "truncated gradient and 95 by the full one. Some 45 single changes of the text were tried (biases, rates, losses, "
    "ranges of g and h, order, criterion); one alone brings nearly all trials home: that the outputs see the gates "
    "too. Such nets have 320 and 318 weights, where the paper prints 264 and 276. So it is a deviation, found by "
    "search, and not what the program of 1997 did.",
)


def _two(sequences: float, limits: tuple[int, int], g: str = "", low: float | None = None) -> tuple[Row, ...]:
    """The rows of an LSTM in experiments 2a and 2b, and the paper's mean: by an update a step, and by one a sequence,
    each with its limit; g, from `low` to 1, is that of the text unless told."""
    return tuple(
        Row(
            f"LSTM, p = 100, lr 1.0, {g}an update a {'step' if each_step else 'sequence'}",
            {"lr": 1.0, "limit": limit, "hidden": "cell", "each_step": each_step}
            | ({} if low is None else {"low": low}),
            {"success": 1.0, "sequences": sequences},
            {"p": 20, "limit": 20_000} if low is None else None,
        )
        for each_step, limit in zip((True, False), limits, strict=True)
    )


TWO = Experiment(
    "hs-2a",
    "Long lags: two sequences (experiment 2a)",
    HOCHREITER,
    hochreiter.two_sequences,
    (
        *_two(5040, (10_000, 20_000)),
        *_two(5040, (100_000, 100_000), "g from -1, ", -1.0),
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
    "g is the logistic function, says the text. From 0 to 1, as for gates, it adds to C at each step: about 20 in 100 "
    "steps, with any first weights. Where a sequence is one update, the first one with a cell threw the weights from "
    "it to the outputs to some 125, in three trials that were looked at, and outputs so saturated hardly learn. With "
    "an update at each step, by the traces of the paper's appendix, they stay below 5, but such a C makes each update "
    "turn the last answer over. It is the algorithm: a second program, written in C apart from the package, does the "
    "same. By an update a step it needs 150,000 to 175,000 sequences, in three trials of three; by an update a "
    "sequence 34,227 and 43,551, and in one trial 300,000 are not enough. From -1 to 1, as h is elsewhere in the "
    "paper, what g adds cancels, and all trials come out, but not as fast as the paper's; in the second program half "
    "the rate then takes twice as long. What the paper did otherwise is not known.",
)
TWO_B = Experiment(
    "hs-2b",
    "Long lags: random symbols between (experiment 2b)",
    HOCHREITER,
    partial(hochreiter.two_sequences, noise=True),
    _two(5680, (10_000, 20_000)),
    {**SEQUENCES, "alone": "of these before cell and gate"},
    18,
    plots.until,
    "As printed it cannot come out, in any program. By the number of weights the cell and its gate see the input "
    "alone, so C changes in the same way after x as after y. The output of x must be high at the end and low at the "
    "99 steps between, where the same symbols come in, so its weight has the sign in which C changes; that of y has "
    "the same sign. But at the end after x, C must then be further on than at the end after y for the one, and less "
    "far for the other. What is left are nets that are wrong at the steps between, and the error at each of these "
    "drives away from them.",
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
            expected=minutes,
        )
        for q, p, mean, minutes in (
            (50, 50, 30_000, None), (100, 100, 31_000, 8), (200, 200, 33_000, 28), (500, 500, 38_000, 163),
            (1000, 1000, 49_000, 827), (1000, 500, 49_000, 422), (1000, 200, 75_000, 217), (1000, 100, 135_000, 224),
            (1000, 50, 203_000, 250),
        )
    ),
    WRONG,
    20,
    plots.until,
    "Whether the 10,000 right answers in a row count is not printed; here they do not. A second program, written in C "
    "apart from the package, needs as many for q = 50, p = 50: 98,113 to 205,120 in five trials of six; for q = 100, "
    "p = 100 none of four came out in 300,000. Twice the rate is faster where it comes out, 44,975 to 97,953, but in "
    "three trials of six it does not; four times the rate, in none of six.",
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
            expected=minutes,
        )
        for steps, informative, st1, st2, share, limit, minutes in (
            (100, 3, 27_380, 39_850, 0.000195, 300_000, None),
            (100, 1, 58_370, 64_330, 0.000117, 300_000, None),
            (1000, 3, 446_850, 452_460, 0.000078, 2_000_000, 82),
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
            expected=minutes,
        )
        for steps, linear, truncated, mean, wrong, limit, minutes in (
            (100, True, True, 74_000, 1, 600_000, None),
            (100, True, False, 74_000, 1, 600_000, None),
            (100, False, True, 74_000, 1, 600_000, 1.3),
            (500, True, True, 209_000, 0, 2_000_000, 8),
            (1000, True, True, 853_000, 1, 5_000_000, 60),
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
            expected=minutes,
        )
        for n, mean, wrong, mse, limit, minutes in (
            (140, 482_000, 139, 0.0223, 1_500_000, None),
            (13, 1_273_000, 14, 0.0139, 4_000_000, 35),
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
            expected=minutes,
        )
        for name, relevant, lr, mean, wrong, limit, minutes in (
            ("6a, two symbols", 2, 0.5, 31_390, 1, 300_000, None),
            ("6b, three symbols", 3, 0.1, 571_100, 2, 3_000_000, 19),
        )
    ),
    {**WRONG, "mse": "mean squared error on them"},
    10,
    plots.until,
)  # fmt: skip
