"""Rows of a table by number: taken, added up, a single 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..plan.sizes import ZERO, Size
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
    """Rows of a table, by number; a row may have any shape. Of a table for each, if the operation says so."""
    table, ids = s.a
    front, each = len(ids.shape), s.node.attrs.get("each", 0)
    s.shared_out(OWN if s.writer.team.dim in ids.shape else ALONE)
    axes = axes_of(
        ids.shape, [ids.geometry.strides, s.out.geometry.strides[:front], _tables(table, each, front)], s.split
    )
    rest = axes_of(table.shape[1 + each :], [table.geometry.strides[1 + each :], s.out.geometry.strides[front:]])
    down = factor(s.size(table.geometry.strides[each]))
    with _rows(s, ids, axes, s.size(table.shape[each])) as i, s.over(rest, each=True, around=len(i)) as j:
        to = s.one(s.out, [*i, *j], [axis.strides[1] for axis in (*axes, *rest)])
        strides = [*(axis.strides[2] for axis in axes), *(axis.strides[0] for axis in rest)]
        s.say(f"{to} = {s.one(table, [*i, *j], strides, f'row * {down}')};")


def scatter(s: Statement) -> None:
    """The sum of the rows that have one number; in a table for each, if the operation says so."""
    g, ids = s.a
    front, each = len(ids.shape), s.node.attrs.get("each", 0)
    s.writer.fill(s.out, "R(0)")
    s.shared_out(ALONE)
    axes = axes_of(ids.shape, [ids.geometry.strides, g.geometry.strides[:front], _tables(s.out, each, front)])
    rest = axes_of(s.node.shape[1 + each :], [s.out.geometry.strides[1 + each :], g.geometry.strides[front:]])
    down = factor(s.size(s.out.geometry.strides[each]))
    with _rows(s, ids, axes, s.size(s.node.shape[each])) as i, s.over(rest, each=True, around=len(i)) as j:
        added = s.one(g, [*i, *j], [axis.strides[1] for axis in (*axes, *rest)])
        strides = [*(axis.strides[2] for axis in axes), *(axis.strides[0] for axis in rest)]
        s.say(f"{s.one(s.out, [*i, *j], strides, f'row * {down}')} += {added};")


def _tables(table: Access, each: int, front: int) -> list[Size]:
    """How far apart the tables of neighbours along each axis of the numbers are: of the first axes, if each has one."""
    return [*table.geometry.strides[:each], *[ZERO] * (front - each)]


def one_hot(s: Statement) -> None:
    """1 at the number, 0 elsewhere."""
    (ids,) = s.a
    s.writer.fill(s.out, "R(0)")
    s.shared_out(OWN)
    axes = axes_of(ids.shape, [ids.geometry.strides, s.out.geometry.strides[:-1]], s.split)
    with _rows(s, ids, axes, s.size(s.node.shape[-1])) as i:
        to = s.at(s.out, i, [axis.strides[1] for axis in axes], f"row * {factor(s.size(s.out.geometry.strides[-1]))}")
        s.say(f"*({to}) = known ? R(1) : R(0);")
