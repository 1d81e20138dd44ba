"""An operation that is no single expression, as it is written: its operands, its result, whose work it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from ...graph import Dim, Node
from ..plan.sizes import ONE, Size
from .access import Access
from .axes import Axis
from .team import ALONE, OWN
from .text import index_text

if TYPE_CHECKING:
    from .emit import Writer


class Statement:
    """What writers of statements have in common: expressions of addresses, over the indices of loops around them."""

    def __init__(self, writer: Writer, node: Node, a: list[Access], out: Access):
        self.writer, self.node, self.a, self.out = writer, node, a, out
        self.body, self.size = writer.places.body, writer.places.write
        self.split: str | None = None  # the dimension that threads split, and whether a loop over it is written
        self.is_split = False

    def shared_out(self, how: str, times: Dim | Size = 1) -> None:
        """Say how threads share the work, before anything else; OWN, where the result has rows of their own. Each
        number of the result costs so many `times` as much as one."""
        how = ALONE if how == OWN and not self.writer.team.own(self.out) else how
        self.split = self.writer.team.dim if how == OWN else None
        self.say(self.writer.team.note(how, self.a, [self.out], size_of(self.out.shape) * times))
        self.alone = how == ALONE

    def at(self, x: Access, indices: Sequence[str] = (), strides: Sequence[Size] = (), more: str = "") -> str:
        """The address of a number."""
        text = index_text(self.size(x.geometry.offset), indices, strides, self.size)
        text = _plus(text, more)
        return x.pointer if text == "0" else f"{x.pointer} + {text}"

    def one(self, x: Access, indices: Sequence[str] = (), strides: Sequence[Size] = (), more: str = "") -> str:
        """A number."""
        text = index_text(self.size(x.geometry.offset), indices, strides, self.size)
        return f"{x.pointer}[{_plus(text, more)}]"

    def say(self, line: str) -> None:
        self.body.say(line)

    @contextmanager
    def over(self, axes: Sequence[Axis], each: bool = False, around: int = 0) -> Iterator[list[str]]:
        """Loops over some axes, inside of those over `around` others; gives the indices."""
        self.is_split |= any(axis.row is not None for axis in axes)
        with self.body.loops([axis.bounds(self.size) for axis in axes], each, around) as indices:
            yield indices

    def by_one(self) -> AbstractContextManager[None]:
        """Braces around what the first thread does alone; nothing around other work."""
        return self.body.braces("if (part == 0)") if self.alone else nullcontext()


def size_of(shape: Iterable[Dim]) -> Size:
    """How many numbers a shape has."""
    size = ONE
    for d in shape:
        size = size * d
    return size


def _plus(text: str, more: str) -> str:
    """A sum, where both parts are something."""
    return more if text == "0" and more else f"{text} + {more}" if more else text
