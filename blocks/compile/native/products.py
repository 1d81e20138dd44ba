"""Products: rows by a matrix, stacks of matrices, sums of outer products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...ops.elementwise import broadcast_dims
from ..plan.sizes import ONE, ZERO, Size
from .access import Access
from .axes import Axis, axes_of
from .expressions import Unsupported
from .statement import Statement, size_of
from .sums import RowSum
from .team import ALONE, ANY, OWN
from .text import address, of_part

if TYPE_CHECKING:
    from .emit import Writer


def matmul(s: Statement) -> None:
    """Rows of x times a matrix, which is packed before the loop in which it is constant; or stacks of matrices."""
    x, w = s.a
    inner, columns = w.shape[-2:]
    column = s.out.geometry.strides[-1]
    if columns != 1 and column != ONE:
        raise Unsupported("a product whose columns do not stand side by side")
    if len(w.shape) > 2:
        stacks(s, x, w)
        return
    packed = s.writer.packed(w)
    s.a[1] = packed
    if len(s.writer.places.bodies) == 1 and len(x.shape) > 1:
        s.shared_out(ANY, inner)  # outside of loops rows are shared as they come
    else:
        s.shared_out(OWN if s.writer.team.dim in x.shape[:-1] else ALONE, inner)
    axes = axes_of(x.shape[:-1], [x.geometry.strides[:-1], s.out.geometry.strides[:-1]], s.split)
    *around, rows = axes or [Axis(ONE, (ZERO, ZERO))]
    first, last = rows.bounds(s.size)
    s.is_split |= rows.row is not None
    if not s.alone and s.split is None:
        first, last = of_part("share", last)
    with s.by_one(), s.over(around) as i:
        begin = [] if first == "0" else [first]
        a, c = (
            s.at(v, [*i, *begin], [*(axis.strides[k] for axis in around), *([rows.strides[k]] if begin else [])])
            for k, v in enumerate((x, s.out))
        )
        sizes = [rows.strides[0], x.geometry.strides[-1]]
        count = last if first == "0" else f"{last} - {first}"
        s.say(
            f"product({a}, {', '.join(s.size(z) for z in sizes)}, {packed.pointer}, {c}, {s.size(rows.strides[1])}, "
            f"{count}, {s.size(inner)}, {s.size(columns)});"
        )


def stacks(s: Statement, x: Access, w: Access) -> None:
    """A product for each matrix of two stacks."""
    lead = s.out.shape[:-2]
    (n, k), (_, m) = x.shape[-2:], w.shape[-2:]
    x, w = x.repeated((*lead, n, k)), w.repeated((*lead, k, m))
    s.shared_out(OWN if s.writer.team.dim in lead else ALONE, k)
    axes = axes_of(lead, [v.geometry.strides[:-2] for v in (x, w, s.out)], s.split)
    with s.by_one(), s.over(axes) as i:
        a, b, c = (s.at(v, i, [axis.strides[j] for axis in axes]) for j, v in enumerate((x, w, s.out)))
        strides = [", ".join(s.size(z) for z in v.geometry.strides[-2:]) for v in (x, w)]
        if n == 1:
            step = s.size(x.geometry.strides[-1])
            s.say(f"row_times({a}, {step}, {b}, {strides[1]}, {c}, {s.size(k)}, {s.size(m)});")
        else:
            left = f"{{{a}, {strides[0]}, {s.size(n)}, {c}, {s.size(_row(s.out))}}}"
            s.say(multiply([left], f"{b}, {strides[1]}, {s.size(k)}", "0", s.size(m)))


def outer(s: Statement) -> None:
    """The transpose of one matrix times another: a sum over all rows, or over those of each of some dimensions."""
    *_, n, m = s.node.shape
    each = s.node.attrs.get("each", ())
    lead = broadcast_dims([v.shape[:-1] for v in s.a])
    x, g = (v.repeated((*lead, v.shape[-1])) for v in s.a)
    if m != 1 and s.out.geometry.strides[-1] != ONE:
        raise Unsupported("a product whose columns do not stand side by side")

    def axes_along(which: Sequence[int], *arrays: Sequence[Size]) -> list[Axis]:
        strides = [[v.geometry.strides[i] for i in which] for v in (x, g)]
        return axes_of(tuple(lead[i] for i in which), [*strides, *arrays])

    around = axes_along(each, s.out.geometry.strides[: len(each)])
    *more, rows = axes_along([i for i in range(len(lead)) if i not in each]) or [Axis(ONE, (ZERO, ZERO))]
    if more:
        s.writer.fill(s.out, "R(0)")
    s.shared_out(ANY, size_of(lead[i] for i in range(len(lead)) if i not in each))
    with s.over(around) as i, s.over(more, around=len(i)) as j:
        a, b = (s.at(v, [*i, *j], [axis.strides[k] for axis in (*around, *more)]) for k, v in enumerate((x, g)))
        c = s.at(s.out, i, [axis.strides[2] for axis in around])
        left = (
            f"{{{a}, {s.size(x.geometry.strides[-1])}, {s.size(rows.strides[0])}, {s.size(n)}, "
            f"{c}, {s.size(_row(s.out))}}}"
        )
        right = f"{b}, {s.size(rows.strides[1])}, {s.size(g.geometry.strides[-1])}, {s.size(rows.extent)}"
        s.say(multiply([left], right, *of_part("panels", s.size(m)), more=bool(more)))


def multiply(left: Sequence[str], right: str, first: str, last: str, more: bool = False, sums: str = "NULL") -> str:
    """A call of `multiply`."""
    sides = f"(side[]){{{', '.join(left)}}}, {len(left)}"
    return f"multiply({sides}, {right}, {first}, {last}, {int(more)}, {sums});"


def multiplied(writer: Writer, sums: Sequence[RowSum]) -> None:
    """Sums over the same rows, in one pass over these: of the rows themselves at most one, the others of products."""
    size, right, rows = writer.places.write, sums[0].right, sums[0].rows
    left, total, weight = list[str](), "NULL", ZERO
    for one in sums:
        weight = weight + size_of(one.out.shape) * rows.extent
        out = address(one.out, size)
        if one.left is None:
            total = out
            continue
        at = one.left.geometry
        numbers = at.strides[-1], one.rows.strides[0], Size.of(at.shape[-1])
        left.append(f"{{{address(one.left, size)}, {', '.join(map(size, numbers))}, {out}, {size(_row(one.out))}}}")
    reads = [x for one in sums for x in one.operands]
    writer.places.body.say(writer.team.note(ANY, reads, [one.out for one in sums], weight))
    numbers = rows.strides[-1], right.geometry.strides[-1], rows.extent
    given = f"{address(right, size)}, {', '.join(map(size, numbers))}"
    writer.places.body.say(multiply(left, given, *of_part("panels", size(right.shape[-1])), sums=total))


def _row(x: Access) -> Size:
    """How far apart the rows of a matrix are."""
    return x.geometry.strides[-2]
