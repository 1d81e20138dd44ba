"""The lessons that ship with the page: a question, where it starts, and how an answer is checked: by computing.

What computes the answer stands in lessons.js, under the lesson's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..cell import Cell
from ..cells import lstm, srn
from ..errors import BlocksError, nearest


@dataclass(frozen=True)
class Lesson:
    """A lesson: cell, task and steps that it starts with, a question, a hint, and what is asked for: "number", one of
    some "choices", or "state", that the page is brought into a state."""

    name: str
    title: str
    question: str
    hint: str
    asks: str
    cell: Callable[[int, int], Cell] = lstm
    task: str = "recall"
    steps: int = 4
    choices: tuple[str, ...] = ()
    start: str = ""  # the symbol that the walk begins at

    def document(self) -> dict[str, Any]:
        """What the page is told."""
        return {
            "name": self.name, "title": self.title, "question": self.question, "hint": self.hint, "asks": self.asks,
            "choices": list(self.choices), "start": self.start,
        }  # fmt: skip


LESSONS = {
    lesson.name: lesson
    for lesson in (
        Lesson(
            "vanishing",
            "The gradient vanishes",
            "The loss asks at step 6 for what came in at step 1. How large is the gradient of h(1) beside that of h(6)?"
            " Give ‖∂L/∂h(1)‖ / ‖∂L/∂h(6)‖.",
            "Walk back from ∂L/∂h(6). Each step multiplies by W_hᵀ and by 1 − h².",
            "number",
            cell=srn,
            steps=6,
            start="∂L/∂h(6)",
        ),
        Lesson(
            "gates",
            "What the forget gate keeps",
            "Change forget.b until the cell keeps at least 95 % of C at every step, in every unit: forget(t) ≥ 0.95.",
            "Click on a number of forget.b and drag the slider: σ(3) is about 0.95. How does ∂L/∂C(1) change?",
            "state",
            start="forget(1)",
        ),
        Lesson(
            "shared-weights",
            "One set of weights, many steps",
            "All steps share W_h of the candidate, so its gradient is a sum over the steps. Which contributes most?",
            "Stop at ∂L/∂candidate.W_h: each part is a row. Compare their norms.",
            "choices",
            choices=("step 1", "step 2", "step 3", "step 4"),
            start="∂L/∂candidate.W_h",
        ),
        Lesson(
            "forks",
            "A fork adds gradients",
            "C(3) goes two ways: through tanh to h(3), and on to C(4). What comes back to unit 1 of C(3) by the way of "
            "C(4) alone?",
            "Stop at ∂L/∂C(3): it is the sum of two parts. One of them is ∂L/∂(forget(4) ⊙ C(3)) ⊙ forget(4).",
            "number",
            start="∂L/∂C(3)",
        ),
        Lesson(
            "learning-rate",
            "How fast is too fast?",
            "From the same first weights: with which learning rate is the loss smallest after 100 updates?",
            "Set the rate, learn 100, look at the curve, undo.",
            "choices",
            cell=srn,
            choices=("0.001", "0.1", "10"),
        ),
    )
}


def lesson_named(name: str) -> Lesson:
    """The lesson of that name. Raises BlocksError, with the nearest one, if there is none."""
    if name not in LESSONS:
        raise BlocksError(f"there is no lesson {name!r}{nearest(str(name), LESSONS)}; there are {', '.join(LESSONS)}")
    return LESSONS[name]
