"""What a plan is made of: instructions (`Compute`, `Copy`, `ForEach`) over *places*.

- `Feed`, `Literal`, `Constant`: values from outside;
- `Buffer`: an array that is made once per size and used again at every call, or, where a caller will hold
  it, made anew at each call (`fresh`);
- `View`: what a view operation makes of a place, which costs nothing; `Part`, a range of one;
- `Rows`: one place for each step of a loop, or for each block of steps; `Row`, inside the loop, is that of the
  step or block at hand.

Each knows its geometry (see `geometry`): its numbers in the array that it is in, or in the row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from ...graph import Node, Shape
from .geometry import Geometry, whole
from .labels import label_of


class Place(ABC):
    """Where a value is."""

    @property
    @abstractmethod
    def geometry(self) -> Geometry:
        """Its numbers in the array that it is in, or in the row."""


@dataclass(eq=False)
class Feed(Place):
    """An input or a weight, by name; its numbers stand in order (a target may take others too)."""

    name: str
    shape: Shape

    @property
    def geometry(self) -> Geometry:
        return whole(self.shape)


@dataclass(eq=False)
class Literal(Place):
    """A number."""

    value: float

    @property
    def geometry(self) -> Geometry:
        return whole(())


@dataclass(eq=False)
class Constant(Place):
    """An array that belongs to the graph."""

    node: Node

    @property
    def geometry(self) -> Geometry:
        return whole(self.node.shape)


@dataclass(eq=False)
class Buffer(Place):
    """An array of our own. `extra` is 1 where the time axis has one row more, for the state before the
    first step; its geometry is that of all rows but the last."""

    label: str
    shape: Shape
    dtype: str
    fresh: bool = False
    extra: int = 0

    @property
    def geometry(self) -> Geometry:
        return whole(self.shape)


@dataclass(eq=False)
class View(Place):
    """What a slice, reshape, transpose or broadcast node makes of a place."""

    base: Place
    node: Node
    shown: Geometry

    @property
    def geometry(self) -> Geometry:
        return self.shown


@dataclass(eq=False)
class Part(Place):
    """A range along an axis of a place (the place of one operand of a concatenation)."""

    base: Place
    axis: int
    start: int
    stop: int
    label: str

    def __post_init__(self) -> None:
        self._geometry = self.base.geometry.part(self.axis, self.start, self.stop)

    @property
    def geometry(self) -> Geometry:
        return self._geometry


@dataclass(eq=False)
class Rows(Place):
    """A place for each step: of an array, from row `offset` on; or two buffers in turn. Where `block` is a
    dimension, that of the steps of a block, there is a place for each block of steps."""

    label: str
    source: Place | tuple[Buffer, Buffer]
    time: str  # the dimension of the steps
    offset: int = 0  # 0 or 1, in a source with one row more
    block: str | None = None

    @property
    def geometry(self) -> Geometry:
        """As one array; two buffers are none."""
        assert isinstance(self.source, Place)
        g = self.source.geometry
        return Geometry(g.shape, g.strides, g.offset + g.strides[0] * self.offset)

    @property
    def row(self) -> Geometry:
        """The place of one step or block, counted from its own start."""
        if not isinstance(self.source, Place):
            return self.source[0].geometry
        g = self.source.geometry
        return g.row() if self.block is None else Geometry((self.block, *g.shape[1:]), g.strides)


@dataclass(eq=False)
class Row(Place):
    """The place of the step at hand."""

    rows: Rows

    @property
    def geometry(self) -> Geometry:
        return self.rows.row


@dataclass(eq=False)
class Last(Place):
    """The row of a state after the loop."""

    rows: Rows
    reverse: bool

    @property
    def geometry(self) -> Geometry:
        return self.rows.row


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


def buffer_for(node: Node, fresh: bool = False) -> Buffer:
    """A new buffer for the value of a node."""
    return Buffer(label_of(node), node.shape, node.dtype, fresh)


def array_of(place: Place) -> Place:
    """The array that a place is in: a feed, a constant, a number or a buffer."""
    while True:
        if isinstance(place, View | Part):
            place = place.base
        elif isinstance(place, Row | Last):
            place = place.rows
        elif isinstance(place, Rows):
            place = place.source if isinstance(place.source, Place) else place.source[0]
        else:
            return place
