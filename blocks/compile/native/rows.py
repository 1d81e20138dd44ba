"""Rows of a table by number: taken, added up, a single 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .access import Access
from .axes import Axis, axes_of
from .statement import Statement
from .team import ALONE, OWN
from .text import factor


@contextmanager
def _rows(s: Statement, ids: Access, axes: list[Axis], count: str) -> Iterator[list[str]]:
    """Loops over numbers of rows; inside, `row` is one that is known to be there."""
    with s.by_one(), s.body.braces(""), s.over(axes) as i:
        s.say(f"const int64_t id = {s.one(ids, i, [axis.strides[0] for axis in axes])};")
        s.say(f"const int known = id >= 0 && id < {count};")
        s.say("failed |= !known;")
        s.say("const num row = known ? (num)id : 0;")
        yield i


def gather(s: Statement) -> None:
    """Rows of a table, by number; a row may have any shape."""
    table, ids = s.a
    front = len(ids.shape)
    s.shared_out(OWN if s.writer.team.dim in ids.shape else ALONE)
    axes = axes_of(ids.shape, [ids.geometry.strides, s.out.geometry.strides[:front]], s.split)
    rest = axes_of(table.shape[1:], [table.geometry.strides[1:], s.out.geometry.strides[front:]])
    down = factor(s.size(table.geometry.strides[0]))
    with _rows(s, ids, axes, s.size(table.shape[0])) as i, s.over(rest, each=True, around=len(i)) as j:
        to = s.one(s.out, [*i, *j], [axis.strides[1] for axis in (*axes, *rest)])
        s.say(f"{to} = {s.one(table, j, [axis.strides[0] for axis in rest], f'row * {down}')};")


def scatter(s: Statement) -> None:
    """The sum of the rows that have one number."""
    g, ids = s.a
    front = len(ids.shape)
    s.writer.fill(s.out, "R(0)")
    s.shared_out(ALONE)
    axes = axes_of(ids.shape, [ids.geometry.strides, g.geometry.strides[:front]])
    rest = axes_of(s.node.shape[1:], [s.out.geometry.strides[1:], g.geometry.strides[front:]])
    down = factor(s.size(s.out.geometry.strides[0]))
    with _rows(s, ids, axes, s.size(s.node.shape[0])) as i, s.over(rest, each=True, around=len(i)) as j:
        added = s.one(g, [*i, *j], [axis.strides[1] for axis in (*axes, *rest)])
        s.say(f"{s.one(s.out, j, [axis.strides[0] for axis in rest], f'row * {down}')} += {added};")


def one_hot(s: Statement) -> None:
    """1 at the number, 0 elsewhere."""
    (ids,) = s.a
    s.writer.fill(s.out, "R(0)")
    s.shared_out(OWN)
    axes = axes_of(ids.shape, [ids.geometry.strides, s.out.geometry.strides[:-1]], s.split)
    with _rows(s, ids, axes, s.size(s.node.shape[-1])) as i:
        to = s.at(s.out, i, [axis.strides[1] for axis in axes], f"row * {factor(s.size(s.out.geometry.strides[-1]))}")
        s.say(f"*({to}) = known ? R(1) : R(0);")
