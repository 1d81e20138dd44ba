"""Nests: elementwise operations in a row, over one shape, as one nest of loops with values in registers.

    for (num i = 0; i < batch; i++)
        EACH (num j = 0; j < 4; j++) {
            const real total = net[i * 4 + j] + b[j];
            h_next[i * 4 + j] = tanh_(total);
        }

A nest ends where an operation would read what the nest wrote, or write what it read, at other indices: what stands in
memory before one index must not depend on what was done at another. A value that nothing else needs is not stored.

Sums of such values are made in the same pass, see `totals`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ...graph import Node, Shape
from ..plan.labels import label_of
from ..plan.sizes import Size
from .access import Access, Accesses
from .text import TYPES, Body, factor, index_text
from .totals import Loops, Sum, Total

BROAD = 16  # numbers of a row from which sums are made in a nest


@dataclass(frozen=True)
class Assign:
    """One operation, number by number: `write` makes its expression of those of its operands; or, with a `total`, what
    these add up to."""

    node: Node | None
    out: Access
    operands: list[Access]
    write: Callable[[list[str]], str]
    stage: str = ""
    total: Total | None = None

    @property
    def shape(self) -> Shape:
        """The shape that it goes over."""
        return self.out.shape if self.total is None else self.operands[0].shape


class Nest:
    """Operations over one shape."""

    def __init__(self, first: Assign):
        self.shape = first.shape
        self.steps: list[Assign] = []
        self.reads, self.writes, self.sums = Accesses(), Accesses(), Accesses()
        self.add(first)

    def add(self, step: Assign) -> None:
        """Do an operation too, after those that it has."""
        self.steps.append(step)
        self.reads.add(o.repeated(self.shape) for o in step.operands)
        (self.writes if step.total is None else self.sums).add([step.out])

    @property
    def totals(self) -> list[Total]:
        """How its sums are added up."""
        return [step.total for step in self.steps if step.total is not None]

    @property
    def across(self) -> bool:
        """Whether sums over all rows are made in it, so that each thread has columns of its own."""
        return any(total.across for total in self.totals)

    def take(self, step: Assign) -> bool:
        """Do an operation too, after those that it has, if that can be; whether it can."""
        if step.shape != self.shape or not self.can_add(step):
            return False
        for o in (*(o.repeated(self.shape) for o in step.operands), step.out):
            if "unknown" in self.writes.meetings(o) | self.sums.meetings(o):
                return False
        if "unknown" in self.reads.meetings(step.out):
            return False
        if step.total is not None and not self.sums.apart([step.out]):
            return False
        self.add(step)
        return True

    def can_add(self, step: Assign) -> bool:
        """Whether a sum can be made in it: of numbers that are at hand, in rows that are worth it, and beside its other
        sums."""
        total = step.total
        if total is None:
            return True
        last = self.shape[-1]
        broad = isinstance(last, int) and last >= BROAD
        return broad and self.has(step.operands[0]) and all(t.across == total.across for t in self.totals)

    def has(self, x: Access) -> bool:
        """Whether it makes or reads some numbers."""
        key = x.repeated(self.shape).key
        return any(a.array is x.array and a.key == key for a in itertools.chain(self.writes, self.reads))


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
        found = [a for i, s in enumerate(nest.steps) for a in (*reads[i], *([] if s.total else [s.out]))]
        found = [a for a in found if not a.literal]
        often = self.loads(reads)
        values: dict[object, str] = {}  # what stands in a register, by where it would stand in memory
        sums = [self.sum(s.total, s.out) for s in nest.steps if s.total is not None]
        strides = [a.geometry.strides for a in found]
        loops = Loops(body, nest.shape, strides, sums, self.size, self.split, self.shared)
        with loops.open():
            at = {id(a): tuple(axis.strides[k] for axis in loops.axes) for k, a in enumerate(found)}
            adding = iter(loops.adding)

            def element(a: Access) -> str:
                return f"{a.pointer}[{index_text(self.size(a.geometry.offset), loops.indices, at[id(a)], self.size)}]"

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
                if step.total is not None:
                    said.append(next(adding).format(factor(text)))
                    results[i] = step.out.pointer
                    continue
                kept, again = self.stored(nest, step), often[("out", i)] > 0
                if again:
                    name = self.fresh(label_of(step.node) if step.node is not None else step.out.pointer)
                    said.append(f"const {TYPES[step.out.dtype]} {name} = {text};")
                    text = name
                values.pop(step.out.key, None)
                if again:
                    values[step.out.key] = text
                if kept:
                    said.append(f"{element(step.out)} = {text};")
                results[i] = text if again and not kept else step.out.pointer
            above = comments(nest, texts, results)
            for i, said in enumerate(lines):
                for line in [*(f"/* {c} */" for c in above.get(i, [])), *said]:
                    body.say(line)

    def sum(self, total: Total, out: Access) -> Sum:
        """A sum, with names for what is added up."""
        return Sum(total, out, self.fresh(f"{out.pointer}_total"), self.fresh(f"{out.pointer}_terms"))

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
