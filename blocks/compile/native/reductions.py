"""Sums, means, largest numbers: of a row at once, or of several columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...graph import Node
from ..plan.places import Compute
from ..plan.sizes import ONE, ZERO, Size
from ..plan.stages import label_of_stage
from .access import Access
from .axes import Axis, axes_of
from .expressions import number
from .nests import Assign
from .statement import Statement, size_of
from .team import ALONE, ANY, OWN
from .text import factor, of_part
from .totals import LANES, Total

if TYPE_CHECKING:
    from .emit import Writer

MOST = 1024  # sums that are made at the same time, on the stack


@dataclass(frozen=True)
class Reduced:
    """How a reduction is written: the type in which it adds up, what it begins with, one number more, the numbers of a
    row at once, and the result."""

    kind: str
    start: str
    more: str
    row: str
    result: str

    @classmethod
    def of(cls, node: Node, count: str) -> Reduced:
        """For a node, and how many numbers go into one of its results."""
        if node.op.name == "max":
            if node.dtype == "int":
                return cls("int64_t", "INT64_MIN", "{0} > {1} ? {0} : {1}", "", "{0}")
            return cls("real", "-R(INFINITY)", "max_({0}, {1})", "max_({0}, max_of({1}))", "{0}")
        if node.dtype == "int":
            return cls("int64_t", "0", "{0} + {1}", "", "{0}")
        result = f"R({{0}} / (double)({count}))" if node.op.name == "mean" else "R({0})"
        return cls("double", "0", "{0} + (double){1}", "{0} + sum_of({1})", result)


@dataclass(frozen=True)
class PartSum:
    """A sum or mean along some axes, where each thread has rows of its own: as it is, and as a part of a nest."""

    step: Compute
    added: Assign

    @property
    def operands(self) -> list[Access]:
        return self.added.operands

    @property
    def out(self) -> Access:
        return self.added.out


def part_sum(writer: Writer, step: Compute) -> PartSum | None:
    """An instruction as such a sum, where that is what it is."""
    node = step.node
    if node.op.name not in ("sum", "mean") or node.dtype != "float":
        return None
    x, out = writer.places.access(step.operands[0], node.operands[0].dtype), writer.places.access(step.out, node.dtype)
    axes = tuple(sorted(axis for axis in node.attrs["axis"] if x.shape[axis] != 1))
    if not axes or not writer.team.own(out):
        return None
    count = size_of(x.shape[axis] for axis in axes) if node.op.name == "mean" else ONE
    total = Total(axes, tuple(_results_along(node, x, out)), count)
    if (total.at_once(x.shape) or MOST + 1) > MOST:
        return None
    return PartSum(step, Assign(node, out, [x], lambda texts: texts[0], label_of_stage(step), total))


def _results_along(node: Node, x: Access, out: Access) -> list[Size]:
    """How far apart the results of a reduction are along each axis of what is reduced."""
    strides, axes, keep = iter(out.geometry.strides), node.attrs["axis"], node.attrs["keepdims"]
    to = [next(strides) if keep or axis not in axes else ZERO for axis in range(len(x.shape))]
    return [ZERO if axis in axes else stride for axis, stride in enumerate(to)]


def reduction(s: Statement) -> None:
    """Sum, mean or largest along some axes: of a row at once, or of several columns."""
    (x,) = s.a
    axes, to = s.node.attrs["axis"], _results_along(s.node, x, s.out)
    kept = [i for i in range(len(x.shape)) if i not in axes]
    reduced = axes_of(tuple(x.shape[i] for i in axes), [[x.geometry.strides[i] for i in axes]])
    last = outside_of(s, x, kept, to)[-1:]
    columns = bool(last and reduced and last[0].strides[0] == ONE and reduced[-1].strides[0] != ONE)
    s.shared_out(OWN if s.writer.team.own(s.out) else ANY if columns else ALONE)
    outside = outside_of(s, x, kept, to)
    count = ONE
    for each in reduced:
        count = count * each.extent
    how = Reduced.of(s.node, s.size(count))
    if columns:
        _columns(s, x, outside, reduced, how)
        return
    *around, row = reduced or [Axis(ONE, (ZERO,))]
    if not how.row:
        around, row = reduced, Axis(ONE, (ZERO,))
    with s.by_one(), s.body.braces(""), s.over(outside) as i:
        s.say(f"{how.kind} total = {how.start};")
        with s.over(around, around=len(i)) as j:
            along = [axis.strides[0] for axis in (*outside, *around)]
            if how.row:
                text = f"{s.at(x, [*i, *j], along)}, {s.size(row.strides[0])}, {s.size(row.extent)}"
                s.say(f"total = {how.row.format('total', text)};")
            else:
                s.say(f"total = {how.more.format('total', s.one(x, [*i, *j], along))};")
        s.say(f"{s.one(s.out, i, [axis.strides[1] for axis in outside])} = {how.result.format('total')};")


def outside_of(s: Statement, x: Access, kept: Sequence[int], to: Sequence[Size]) -> list[Axis]:
    """The axes of what a reduction makes: how far apart its operand's numbers and its own are."""
    strides = [[x.geometry.strides[i] for i in kept], [to[i] for i in kept]]
    return axes_of(tuple(x.shape[i] for i in kept), strides, s.split)


def _columns(s: Statement, x: Access, outside: list[Axis], reduced: list[Axis], how: Reduced) -> None:
    """Of several columns at once."""
    *around, last = outside
    begin, end = last.bounds(s.size)
    s.is_split |= last.row is not None
    if s.split is None:
        begin, end = of_part("panels", end)
    with s.over(around) as i, s.body.braces(f"for (num first = {begin}; first < {end}; first += {LANES})"):
        s.say(f"const num lanes = least({end} - first, {LANES});")
        s.say(f"{how.kind} all[{LANES}];")
        s.say(f"for (num lane = 0; lane < {LANES}; lane++) all[lane] = {how.start};")
        with s.over(reduced, around=len(i)) as j:
            value = s.one(x, [*i, *j], [axis.strides[0] for axis in (*around, *reduced)], "first + lane")
            s.say(f"EACH (num lane = 0; lane < lanes; lane++) all[lane] = {how.more.format('all[lane]', value)};")
        step = last.strides[1]
        place = "first + lane" if step == ONE else f"(first + lane) * {factor(s.size(step))}"
        result = s.one(s.out, i, [axis.strides[1] for axis in around], place)
        s.say(f"for (num lane = 0; lane < lanes; lane++) {result} = {how.result.format('all[lane]')};")


def weighted_mean(s: Statement) -> None:
    """The weighted mean of everything; where all weights are 0, what the node says, or a failure."""
    x, w = s.a
    w = w.repeated(x.shape)
    s.shared_out(ALONE)
    axes = axes_of(x.shape, [x.geometry.strides, w.geometry.strides])
    with s.body.braces("if (part == 0)"):
        s.say("double total = 0, weights = 0;")
        s.say("int any = 0;")
        with s.over(axes) as i:
            s.say(f"const real weight = {s.one(w, i, [axis.strides[1] for axis in axes])};")
            s.say(f"total += (double)({s.one(x, i, [axis.strides[0] for axis in axes])} * weight);")
            s.say("weights += (double)weight;")
            s.say("any |= weight != 0;")
        empty = s.node.attrs.get("empty")
        if empty is None:
            s.say("failed |= !any;")
        other = "R(NAN)" if empty is None else number(float(empty))
        s.say(f"{s.one(s.out)} = any ? R(R(total) / R(weights)) : {other};")
