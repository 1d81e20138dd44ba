"""Stages: instructions in a row that make one thing.

A stage is of the same bricks throughout, forwards or backwards, and ends with a value that is kept for more than the
step at hand. Inside of it, operations in a row that go number by number over one shape may run together, as one loop
over the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from .places import Compute, Copy, ForEach, Instruction, Row


@dataclass
class Stage:
    """Operations in a row; `label` names their bricks."""

    label: str
    steps: list[Compute] = field(default_factory=list)

    def runs(self) -> list[list[Compute]]:
        """Its operations, those together that go number by number over one shape."""
        together = groupby(self.steps, key=lambda s: s.node.shape if s.node.op.kind == "elementwise" else s)
        return [list(steps) for _, steps in together]


def stages(instructions: Iterable[Instruction]) -> Iterator[Stage | Copy | ForEach]:
    """A list of instructions with its operations in stages."""
    stage: Stage | None = None
    for step in instructions:
        if not isinstance(step, Compute):
            if stage:
                yield stage
            stage = None
            yield step
            continue
        label = label_of_stage(step)
        if stage and stage.label != label:
            yield stage
            stage = None
        stage = stage or Stage(label)
        stage.steps.append(step)
        if isinstance(step.out, Row) and not step.passing:  # a state, or a value that is kept
            yield stage
            stage = None
    if stage:
        yield stage


def label_of_stage(step: Compute) -> str:
    """The label of the stage that an operation belongs to."""
    brick = step.node.brick or ""
    return f"{brick}, gradient" if brick and step.node.role == "gradient" else brick
