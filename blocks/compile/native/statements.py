"""Operations that are no single expression: products, reductions, what goes along an axis, rows by number.

A table: operation → what writes it. Each is given the writer, the node, where its operands are and where its result
must stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...graph import Dim, Node
from ...ops.elementwise import broadcast_dims
from ..plan.sizes import ONE, ZERO, Size
from .access import Access
from .expressions import Unsupported, number
from .nests import Axis, axes_of
from .pointers import Scratch
from .team import ALONE, ANY, OWN
from .text import INDICES, factor, index_text

if TYPE_CHECKING:
    from .emit import Writer

LANES = 64  # sums of so many columns at a time


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


# --- products ------------------------------------------------------------------------------------


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
        first, last = (f"share({last}, {part}, parts)" for part in ("part", "part + 1"))
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
        row = s.size(s.out.geometry.strides[-2])
        s.say(
            f"multiply({a}, {strides[0]}, {b}, {strides[1]}, {c}, {row}, {s.size(n)}, {s.size(k)}, 0, {s.size(m)}, 0);"
        )


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
    columns = [f"panels({s.size(m)}, {part}, parts)" for part in ("part", "part + 1")]
    with s.over(around) as i, s.over(more, around=len(i)) as j:
        a, b = (s.at(v, [*i, *j], [axis.strides[k] for axis in (*around, *more)]) for k, v in enumerate((x, g)))
        c = s.at(s.out, i, [axis.strides[2] for axis in around])
        s.say(
            f"multiply({a}, {s.size(x.geometry.strides[-1])}, {s.size(rows.strides[0])}, {b}, "
            f"{s.size(rows.strides[1])}, {s.size(g.geometry.strides[-1])}, {c}, {s.size(s.out.geometry.strides[-2])}, "
            f"{s.size(n)}, {s.size(rows.extent)}, {', '.join(columns)}, {int(bool(more))});"
        )


# --- reductions ----------------------------------------------------------------------------------


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


def reduction(s: Statement) -> None:
    """Sum, mean or largest along some axes: of a row at once, or of several columns."""
    (x,) = s.a
    axes, keep = s.node.attrs["axis"], s.node.attrs["keepdims"]
    strides = iter(s.out.geometry.strides)
    to: list[Size] = []  # how far apart results are along each axis of x
    for axis in range(len(x.shape)):
        to.append(next(strides) if keep or axis not in axes else ZERO)
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
        begin, end = (f"panels({end}, {part}, parts)" for part in ("part", "part + 1"))
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


# --- along an axis -------------------------------------------------------------------------------


def softmax(s: Statement) -> None:
    """Softmax or its logarithm, along one axis."""
    (x,) = s.a
    axis = s.node.attrs["axis"]
    others = [i for i in range(len(x.shape)) if i != axis]
    g, y = x.geometry, s.out.geometry
    s.shared_out(ALONE if x.shape[axis] == s.writer.team.dim else OWN)
    strides = [[v.strides[i] for i in others] for v in (g, y)]
    axes = axes_of(tuple(x.shape[i] for i in others), strides, s.split)
    with s.by_one(), s.over(axes) as i:
        a, b = (s.at(v, i, [one.strides[k] for one in axes]) for k, v in enumerate((x, s.out)))
        along, to, n = s.size(g.strides[axis]), s.size(y.strides[axis]), s.size(x.shape[axis])
        s.say(f"{s.node.op.name}({a}, {along}, {b}, {to}, {n});")


def along(s: Statement) -> None:
    """Running sums along one axis, or where the largest number is."""
    (x,) = s.a
    axis, running = s.node.attrs["axis"], s.node.op.name == "cumsum"
    others = [i for i in range(len(x.shape)) if i != axis]
    one = running or s.node.attrs["keepdims"]  # the axis is there in the result
    g, to = x.geometry, [s.out.geometry.strides[i if one or i < axis else i - 1] for i in others]
    s.shared_out(ALONE if x.shape[axis] == s.writer.team.dim else OWN)
    axes = axes_of(tuple(x.shape[i] for i in others), [[g.strides[i] for i in others], to], s.split)
    n, step = s.size(x.shape[axis]), g.strides[axis]
    with s.by_one(), s.body.braces(""), s.over(axes) as i:
        strides, targets = ([each.strides[k] for each in axes] for k in (0, 1))
        if running:
            s.say(f"{'int64_t' if s.node.dtype == 'int' else 'double'} total = 0;")
            with s.body.loops([("0", n)], around=len(i)) as (index,):
                place = f"({n} - 1 - {index})" if s.node.attrs["reverse"] else index
                s.say(f"total += {s.one(x, [*i, place], [*strides, step])};")
                y = s.one(s.out, [*i, place], [*targets, s.out.geometry.strides[axis]])
                s.say(f"{y} = {'total' if s.node.dtype == 'int' else 'R(total)'};")
        else:
            s.say("num top = 0;")
            with s.body.loops([("1", n)], around=len(i)) as (index,):  # NaN is larger than all, as in NumPy
                k, best = (s.one(x, [*i, at], [*strides, step]) for at in (index, "top"))
                s.say(f"if ({k} > {best} || ({k} != {k} && {best} == {best})) top = {index};")
            s.say(f"{s.one(s.out, i, targets)} = top;")


def cross_entropy(s: Statement) -> None:
    """Cross-entropy of each row, against the number of a class or against shares."""
    x, target = s.a
    n, step = s.size(x.shape[-1]), s.size(x.geometry.strides[-1])
    by_class = s.node.operands[1].dtype == "int"
    lead = x.shape[:-1]
    aim = target.geometry.strides if by_class else target.geometry.strides[:-1]
    s.shared_out(OWN)
    axes = axes_of(lead, [x.geometry.strides[:-1], aim, s.out.geometry.strides], s.split)
    with s.by_one(), s.body.braces(""), s.over(axes) as i:
        a = s.at(x, i, [axis.strides[0] for axis in axes])
        to = s.one(s.out, i, [axis.strides[2] for axis in axes])
        strides = [axis.strides[1] for axis in axes]
        if by_class:
            s.say(f"const int64_t class = {s.one(target, i, strides)};")
            s.say(f"const int known = class >= 0 && class < {n};")
            s.say("failed |= !known;")
            s.say(f"{to} = cross_entropy_of_class({a}, {step}, {n}, known ? class : 0);")
        else:
            shares = f"{s.at(target, i, strides)}, {s.size(target.geometry.strides[-1])}"
            s.say(f"{to} = cross_entropy_of_shares({a}, {step}, {n}, {shares});")


# --- rows by number ------------------------------------------------------------------------------


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


# --- masked steps --------------------------------------------------------------------------------


def hold(s: Statement) -> None:
    """Each masked step with an admitted one's value; or, backwards, masked steps added to those that they hold. Trials
    stand between steps and batch, each by itself."""
    x, mask = s.a
    last = len(mask.shape) - 1
    steps, batch, trials = (
        s.size(mask.shape[0]),
        s.size(mask.shape[last]),
        [("0", s.size(d)) for d in mask.shape[1:last]],
    )
    count = Size.of(mask.shape[0]) * mask.shape[last]
    step, row = (s.writer.places.root(Scratch(label, count, "int")) for label in ("held_step", "held_row"))
    backwards = s.node.op.name == "release"
    own, other = f"(i / {batch}) * {{}} + (i % {batch}) * {{}}", f"(num){step}[i] * {{}} + (num){row}[i] * {{}}"
    axes = axes_of(x.shape[last + 1 :], [x.geometry.strides[last + 1 :], s.out.geometry.strides[last + 1 :]])

    def strides(v: Access, *numbers: int) -> list[str]:
        return [factor(s.size(v.geometry.strides[k])) for k in numbers]

    def each_step(source: str, target: str, before: str, how: str, trial: Callable[[Access], str]) -> None:
        """For each step of each sequence, all its numbers."""
        with s.body.loops([("0", f"{steps} * {batch}")]):
            at, start, end = (
                f"{way.format(*strides(v, 0, last))}{trial(v)}"
                for way, v in ((own, mask), (source, x), (target, s.out))
            )
            s.say(f"const int admitted = {s.one(mask, more=at)} != 0;")
            s.say(before)
            s.say(f"const num from = {start}, to = {end};")
            with s.over(axes, each=True, around=1) as j:
                a, c = (
                    s.one(v, j, [axis.strides[k] for axis in axes], way)
                    for k, (v, way) in enumerate(((x, "from"), (s.out, "to")))
                )
                s.say(f"{c} {how.format(a)};")

    s.shared_out(ALONE)
    with s.body.braces("if (part == 0)"), s.body.loops(trials, around=len(INDICES) - len(trials)) as r:

        def trial(v: Access) -> str:
            return "".join(f" + {n} * {stride}" for n, stride in zip(r, strides(v, *range(1, last)), strict=True))

        place = s.at(mask, more=trial(mask).removeprefix(" + "))
        s.say(f"const int some = held({place}, {', '.join(strides(mask, 0, last))}, {steps}, {batch}, {step}, {row});")
        if backwards:
            each_step(own, own, "const int stays = admitted || !some;", "= stays ? {} : 0", trial)
            each_step(own, other, "if (admitted || !some) continue;", "+= {}", trial)
        else:
            each_step(other, own, "(void)admitted, (void)some;", "= {}", trial)


STATEMENTS: dict[str, Callable[[Statement], None]] = {
    "matmul": matmul,
    "outer": outer,
    "sum": reduction,
    "mean": reduction,
    "max": reduction,
    "weighted_mean": weighted_mean,
    "softmax": softmax,
    "log_softmax": softmax,
    "cumsum": along,
    "argmax": along,
    "cross_entropy": cross_entropy,
    "gather": gather,
    "scatter": scatter,
    "one_hot": one_hot,
    "hold": hold,
    "release": hold,
}
