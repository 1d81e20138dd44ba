"""What a plan is made of: instructions (`Compute`, `Copy`, `ForEach`) over *places*.

- `Feed`, `Literal`, `Constant`: values from outside;
- `Buffer`: an array that is made once per size and used again at every call, or, where a caller will hold
  it, made anew at each call (`fresh`);
- `View`: a part or another shape of a place, which costs nothing;
- `Rows`: one place for each step of a loop, or for each block of steps; `Row`, inside the loop, is that of the
  step or block at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...graph import Node, Shape


class Place:
    """Where a value is."""


@dataclass(eq=False)
class Feed(Place):
    """An input or a weight, by name."""

    name: str


@dataclass(eq=False)
class Literal(Place):
    """A number."""

    value: float


@dataclass(eq=False)
class Constant(Place):
    """An array that belongs to the graph."""

    node: Node


@dataclass(eq=False)
class Buffer(Place):
    """An array of our own. `extra` is 1 where the time axis has one row more, for the state before the
    first step."""

    label: str
    shape: Shape
    dtype: str
    fresh: bool = False
    extra: int = 0


@dataclass(eq=False)
class View(Place):
    """What a slice, reshape, transpose or broadcast node makes of a place."""

    base: Place
    node: Node
    rows: bool = False  # of each row


@dataclass(eq=False)
class Part(Place):
    """A range along an axis of a place (the place of one operand of a concatenation)."""

    base: Place
    axis: int
    start: int
    stop: int
    label: str


@dataclass(eq=False)
class Rows(Place):
    """A place for each step: of an array, from row `offset` on; or two buffers in turn. With `cut`, a place for
    each block of steps."""

    label: str
    source: Place | tuple[Buffer, Buffer]
    time: str  # the dimension of the steps
    offset: int = 0  # 0 or 1, in a source with one row more
    cut: bool = False


@dataclass(eq=False)
class Row(Place):
    """The place of the step at hand."""

    rows: Rows


@dataclass(eq=False)
class Last(Place):
    """The row of a state after the loop."""

    rows: Rows
    reverse: bool


@dataclass
class Compute:
    """One operation, into a place; `passing`, if what it writes there is only on its way to the value of that
    place."""

    node: Node
    operands: list[Place]
    out: Place
    passing: bool = False


@dataclass
class Copy:
    """One place into another."""

    source: Place
    target: Place


@dataclass
class ForEach:
    """A loop over the rows of some places."""

    node: Node
    rows: list[Rows]
    uses: list[Place]  # what is the same at every step
    body: list[Instruction]


Instruction = Compute | Copy | ForEach


@dataclass
class Plan:
    """Instructions, and where the outputs are."""

    instructions: list[Instruction] = field(default_factory=list)
    outputs: dict[str, Place] = field(default_factory=dict)
