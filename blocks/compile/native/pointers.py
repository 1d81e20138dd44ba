"""The pointers of a function: one for each array of the plan, and in each loop one for each row at hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...graph import Dim
from ...ops.loop import Every
from ..names import Names
from ..plan.geometry import Geometry
from ..plan.places import Buffer, Constant, Feed, Last, Literal, Part, Place, Row, Rows, View, array_of
from ..plan.sizes import ZERO, Size
from .access import Access
from .expressions import Unsupported, number
from .text import INDICES, TYPES, Body, factor

HEADER = Path(__file__).with_name("blocks.h")
KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof "
    "true false bool nullptr constexpr alignas alignof thread_local static_assert linux unix i386 errno main"
)
OWN = (  # what functions have variables of their own for
    "at failed first after lane lanes all total top weight weights any id known row from to class some stays admitted"
)


@cache
def reserved() -> frozenset[str]:
    """The names that no variable of a function has: C's own, and what the header defines."""
    defined = re.findall(r"#define (\w+)|(\w+)\(|typedef .*?(\w+)(?: __attribute__.*)?;", HEADER.read_text())
    return frozenset([*KEYWORDS.split(), *(name for found in defined for name in found), *INDICES, *OWN.split()])


@dataclass(eq=False)
class Scratch(Place):
    """Memory that only the function itself knows: a packed matrix, or whole numbers."""

    label: str
    size: Size
    dtype: str = "float"

    @property
    def geometry(self) -> Geometry:
        """As numbers in a row."""
        return Geometry((), (), self.size)


class Pointers:
    """How places are written, in the bodies that are being written: the innermost is the last."""

    def __init__(self, feeds: dict[str, str]) -> None:
        self.feeds = feeds  # the type of each
        self.names = Names(reserved())
        self.bodies = [Body(1)]
        self.roots: dict[Place, str] = {}  # arrays, in the order in which the function is given them
        self.dims: dict[str, str] = {}  # dimensions, in the order in which it is given their sizes
        self.blocks: dict[str, str] = {}  # the steps of a block, which the loop over blocks knows → its variable
        self.every: dict[str, Every] = {}  # a dimension that is cut into blocks → how many steps a block has
        self.declared: list[str] = []

    @property
    def body(self) -> Body:
        return self.bodies[-1]

    # -- sizes

    def dim(self, d: Dim) -> str:
        """A dimension, as the function knows it."""
        if isinstance(d, int):
            return str(d)
        if d in self.blocks:
            return self.blocks[d]
        if d not in self.dims:
            self.dims[d] = self.names.fresh(d)
        return self.dims[d]

    def write(self, size: Size | Dim) -> str:
        """A size as an expression."""
        return Size.of(size).write(self.dim)

    def cut(self, time: str, every: Every) -> None:
        """Note that a dimension is cut into blocks. Raises Unsupported where it is cut in two ways."""
        if every == "cache" or self.every.setdefault(time, every) != every:
            raise Unsupported(f"{time} is cut into blocks in more than one way")

    # -- arrays

    def root(self, place: Place) -> str:
        """The pointer to a whole array."""
        if place not in self.roots:
            label = place.name if isinstance(place, Feed) else getattr(place, "label", "constant")
            name = self.roots[place] = self.names.fresh(label)
            kind = TYPES[self.dtype(place)]
            const = "" if isinstance(place, Buffer | Scratch) else "const "
            self.declared.append(f"{const}{kind} *const {name} = at[{len(self.roots) - 1}];")
        return self.roots[place]

    def access(self, place: Place, dtype: str) -> Access:
        """The numbers of a place."""
        array = array_of(place)
        if isinstance(array, Literal):  # also where it is repeated, and a row of that
            return Access(number(array.value), place.geometry, dtype, array, literal=True)
        if isinstance(array, Constant) and array.node.attrs["value"].ndim == 0:
            value = array.node.attrs["value"].item()
            return Access(number(value), place.geometry, dtype, array, literal=True)
        base = _base(place)
        pointer, row, level = self.pointer(base)
        rows = base.rows.geometry if isinstance(base, Row) and isinstance(base.rows.source, Place) else None
        return Access(pointer, place.geometry, dtype, array, row, rows, level)

    def pointer(self, base: Place, inside: int | None = None) -> tuple[str, object, int]:
        """The pointer behind which a place is, known `inside` of so many loops, or else at hand; which of the rows of
        an array that is, and how many loops are around."""
        inside = len(self.bodies) - 1 if inside is None else inside
        if isinstance(base, Row):
            for level, body in reversed(list(enumerate(self.bodies[: inside + 1]))):
                if body.loop is not None and any(base.rows is rows for rows in body.loop.rows):
                    return self.row(base.rows, level), (level, base.rows.offset), level
            raise AssertionError("a row outside of its loop")
        if isinstance(base, Last):
            pointer, level = self.last(base, inside)
            return pointer, None, level
        return self.root(base), None, 0

    def start(self, rows: Rows, step: str, inside: int) -> str:
        """The address of the row of a step, which is counted from 0 for the first row of the source."""
        if not isinstance(rows.source, Place):
            even, odd = (self.root(b) for b in rows.source)
            return f"{factor(step)} % 2 ? {odd} : {even}"
        g = rows.source.geometry
        pointer, _, _ = self.pointer(_base(rows.source), inside)
        stride = g.strides[0]
        if rows.block is not None:
            stride = stride * most_of(rows.block)
        offset = [self.write(g.offset)] if g.offset != ZERO else []
        rows_down = [f"{factor(step)} * {factor(self.write(stride))}"] if step != "0" else []
        return " + ".join([pointer, *offset, *rows_down])

    def row(self, rows: Rows, inside: int) -> str:
        """The pointer to the row at hand, of a loop whose body is `inside` of so many."""
        body = self.bodies[inside]
        if rows not in body.known:
            step = body.step if not rows.offset else f"{body.step} + {rows.offset}"
            body.known[rows] = self.declare(body, rows, rows.label, self.start(rows, step, inside))
        return body.known[rows]

    def last(self, place: Last, inside: int) -> tuple[str, int]:
        """The pointer to the row of a state after a loop, or before it, and how many loops are around."""
        key = (place.rows.source, place.reverse)
        for level, body in reversed(list(enumerate(self.bodies[: inside + 1]))):
            if key in body.known:
                return body.known[key], level
        steps = "0" if place.reverse else self.dim(place.rows.time)
        label, body = f"{place.rows.label}_{'first' if place.reverse else 'last'}", self.bodies[inside]
        name = body.known[key] = self.declare(body, place.rows, label, self.start(place.rows, steps, inside))
        return name, inside

    def declare(self, body: Body, rows: Rows, label: str, value: str) -> str:
        """A new pointer on top of a body."""
        name = self.names.fresh(label)
        array = array_of(rows)
        const = "" if isinstance(array, Buffer) else "const "
        body.heads.append(f"{const}{TYPES[self.dtype(array)]} *const {name} = {value};")
        return name

    def dtype(self, array: Place) -> str:
        """The type of the numbers of an array."""
        if isinstance(array, Feed):
            return self.feeds[array.name]
        if isinstance(array, Constant):
            return array.node.dtype
        assert isinstance(array, Buffer | Scratch)
        return array.dtype


def most_of(block: str) -> str:
    """The dimension that has the most steps of a block."""
    return f"{block}_at_most"


def _base(place: Place) -> Place:
    """What has the pointer behind which a place is: an array, a row, or a number."""
    while True:
        if isinstance(place, View | Part):
            place = place.base
        elif isinstance(place, Rows):
            assert isinstance(place.source, Place)
            place = place.source
        else:
            return place
