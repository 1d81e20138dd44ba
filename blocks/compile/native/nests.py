"""Nests: elementwise operations in a row, over one shape, as one nest of loops with values in registers.

    for (num i = 0; i < batch; i++)
        EACH (num j = 0; j < 4; j++) {
            const real total = net[i * 4 + j] + b[j];
            h_next[i * 4 + j] = tanh_(total);
        }

A nest ends where an operation would read what the nest wrote, or write what it read, at other indices: what stands in
memory before one index must not depend on what was done at another. A value that nothing else needs is not stored.

The sums over all rows of such values are made in the same pass, some columns at a time:

    for (num first = 0; first < 256; first += 64) {
        const num after = least(256, first + 64);
        double all[64] = {0};
        for (num i = 0; i < time * batch; i++)
            EACH (num j = first; j < after; j++) {
                const real product = c[i * 256 + j] * dz[i * 256 + j];
                all[j - first] += (double)product;
            }
        for (num j = first; j < after; j++) sums[j] = R(all[j - first]);
    }
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from ...graph import Node, Shape
from ..plan.labels import label_of
from ..plan.sizes import ONE, Size
from .access import Access
from .text import TYPES, Body, factor, index_text, of_part

LANES = 64  # sums of so many columns at a time
BROAD = 16  # columns from which a nest goes by columns for the sake of sums


@dataclass(frozen=True)
class Assign:
    """One operation, number by number: `write` makes its expression of those of its operands. If it `adds`, the result
    has the sums of the columns."""

    node: Node | None
    out: Access
    operands: list[Access]
    write: Callable[[list[str]], str]
    stage: str = ""
    adds: bool = False

    @property
    def shape(self) -> Shape:
        """The shape that it goes over."""
        return self.operands[0].shape if self.adds else self.out.shape


@dataclass
class Nest:
    """Operations over one shape."""

    shape: Shape
    steps: list[Assign] = field(default_factory=list)

    @property
    def adds(self) -> bool:
        """Whether sums are made in it, so that each thread has columns of its own."""
        return any(step.adds for step in self.steps)

    def take(self, step: object) -> bool:
        """Do an operation too, after those that it has, if that can be; whether it can."""
        if not isinstance(step, Assign) or step.shape != self.shape:
            return False
        if step.adds and not (isinstance(self.shape[-1], int) and self.shape[-1] >= BROAD):
            return False
        accesses = [*(o.repeated(self.shape) for o in step.operands), step.out]
        for before in self.steps:
            if any(before.out.meets(o) == "unknown" for o in accesses if o.array is before.out.array):
                return False
            others = (o.repeated(self.shape) for o in before.operands if o.array is step.out.array)
            if any(step.out.meets(o) == "unknown" for o in others):
                return False
        self.steps.append(step)
        return True


@dataclass(frozen=True)
class Axis:
    """An axis of a nest: how long it is, and how far apart its numbers are in each of some arrays."""

    extent: Size
    strides: tuple[Size, ...]
    row: Size | None = None  # of an axis that threads split: how much of it belongs to one row

    def bounds(self, write: Callable[[Size], str]) -> tuple[str, str]:
        """From where to where it goes, in one thread."""
        if self.row is None:
            return "0", write(self.extent)
        row = "" if self.row == ONE else f" * {factor(write(self.row))}"
        return f"low{row}", f"high{row}"


def axes_of(shape: Shape, strides: Sequence[Sequence[Size]], split: str | None = None) -> list[Axis]:
    """The axes of a shape over arrays of some strides: those of length 1 left out, and those that follow on each
    other in all arrays made one. Threads have each their rows of the dimension `split`."""
    axes: list[Axis] = []
    for i, d in enumerate(shape):
        if d == 1:
            continue
        now = Axis(Size.of(d), tuple(s[i] for s in strides), ONE if d == split else None)
        before = axes[-1] if axes and d != split else None
        if before is not None and all(a == b * d for a, b in zip(before.strides, now.strides, strict=True)):
            axes[-1] = Axis(before.extent * d, now.strides, None if before.row is None else before.row * d)
        else:
            axes.append(now)
    return axes


class NestWriter:
    """A nest as text. `fresh` makes names, `stored` says which values are needed outside of the nest. Threads have each
    their rows of the dimension `split`, or a share of the first axis, if it is `shared`."""

    def __init__(
        self,
        nest: Nest,
        fresh: Callable[[str], str],
        size: Callable[[Size], str],
        stored: Callable[[Nest, Assign], bool],
        split: str | None,
        shared: bool = False,
    ):
        self.nest, self.fresh, self.size, self.stored = nest, fresh, size, stored
        self.split, self.shared = split, shared

    def write(
        self, body: Body, comments: Callable[[Nest, dict[int, list[str]], dict[int, str]], dict[int, list[str]]]
    ) -> None:
        """Write it, with comments over some of its operations."""
        nest = self.nest
        reads = [[o.repeated(nest.shape) for o in s.operands] for s in nest.steps]
        found = [
            a for i, s in enumerate(nest.steps) for a in (*reads[i], *([] if s.adds else [s.out])) if not a.literal
        ]
        axes = self.axes([a.geometry.strides for a in found])
        at = {id(a): tuple(axis.strides[k] for axis in axes) for k, a in enumerate(found)}
        often = self.loads(reads)
        values: dict[object, str] = {}  # what stands in a register, by where it would stand in memory
        sums = {i: self.fresh("all") for i, step in enumerate(nest.steps) if step.adds}
        with self.columns(body, axes, sums) if sums else self.rows(body, axes) as indices:

            def element(a: Access) -> str:
                return f"{a.pointer}[{index_text(self.size(a.geometry.offset), indices, at[id(a)], self.size)}]"

            lines: list[list[str]] = []
            texts: dict[int, list[str]] = {}
            results: dict[int, str] = {}
            for i, step in enumerate(nest.steps):
                said, a = list[str](), list[str]()
                for o in reads[i]:
                    if o.literal:
                        a.append(o.pointer)
                    elif o.key in values:
                        a.append(values[o.key])
                    elif often[o.key] > 1:
                        name = values[o.key] = self.fresh(o.pointer)
                        said.append(f"const {TYPES[o.dtype]} {name} = {element(o)};")
                        a.append(name)
                    else:
                        a.append(element(o))
                texts[i] = [v.split("[")[0] for v in a]
                lines.append(said)
                text = step.write(a)
                if step.adds:
                    said.append(f"{sums[i]}[{indices[-1]} - first] += (double){factor(text)};")
                    results[i] = step.out.pointer
                    continue
                kept, again = self.stored(nest, step), often[("out", i)] > 0
                if again:
                    name = self.fresh(label_of(step.node) if step.node is not None else step.out.pointer)
                    said.append(f"const {TYPES[step.out.dtype]} {name} = {text};")
                    text = name
                for key in [key for key, held in values.items() if key == step.out.key]:
                    del values[key]
                if again:
                    values[step.out.key] = text
                if kept:
                    said.append(f"{element(step.out)} = {text};")
                results[i] = text if again and not kept else step.out.pointer
            above = comments(nest, texts, results)
            for i, said in enumerate(lines):
                for line in [*(f"/* {c} */" for c in above.get(i, [])), *said]:
                    body.say(line)

    def axes(self, strides: Sequence[Sequence[Size]]) -> list[Axis]:
        """The axes of the loops; that of the columns by itself, if these are summed."""
        shape = self.nest.shape
        if not self.nest.adds:
            return axes_of(shape, strides, self.split)
        rows = axes_of(shape[:-1], [s[:-1] for s in strides])
        return [*rows, Axis(Size.of(shape[-1]), tuple(s[-1] for s in strides))]

    @contextmanager
    def rows(self, body: Body, axes: Sequence[Axis]) -> Iterator[list[str]]:
        """The loops over all numbers, or a thread's rows of them; gives the indices."""
        bounds = [axis.bounds(self.size) for axis in axes]
        if self.shared:
            bounds[0] = of_part("share", bounds[0][1])
        with nullcontext() if axes else body.braces(""), body.loops(bounds, each=True) as indices:
            yield indices

    @contextmanager
    def columns(self, body: Body, axes: Sequence[Axis], sums: dict[int, str]) -> Iterator[list[str]]:
        """The loops over a thread's columns, some at a time, and all rows of these; gives the indices. `sums`: where
        those that add do so."""
        *rows, columns = axes
        begin, end = of_part("panels", self.size(columns.extent))
        with body.braces(f"for (num first = {begin}; first < {end}; first += {LANES})"):
            body.say(f"const num after = least({end}, first + {LANES});")
            for name in sums.values():
                body.say(f"double {name}[{LANES}] = {{0}};")
            with body.loops([*(axis.bounds(self.size) for axis in rows), ("first", "after")], each=True) as indices:
                yield indices
            j = indices[-1]
            with body.braces(f"for (num {j} = first; {j} < after; {j}++)"):
                for i, name in sums.items():
                    out = self.nest.steps[i].out
                    at = index_text(self.size(out.geometry.offset), [j], [ONE], self.size)
                    body.say(f"{out.pointer}[{at}] = R({name}[{j} - first]);")

    def loads(self, reads: list[list[Access]]) -> Counter[object]:
        """How often each number in memory is read, before it is written, and how often each result."""
        often: Counter[object] = Counter()
        maker: dict[object, int] = {}
        for i, step in enumerate(self.nest.steps):
            for o in reads[i]:
                if not o.literal:
                    often[("out", maker[o.key]) if o.key in maker else o.key] += 1
            maker[step.out.key] = i
        return often
