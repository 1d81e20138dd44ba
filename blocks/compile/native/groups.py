"""What is written together: operations number by number as one nest, with sums of these in it, and sums over all rows,
of which those of the same rows are made in one pass.

An operation goes with others of its kind that came before, where it may be done as early as these, or these as late as
it: all that stands in between has nothing to do with one of the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..plan.places import Compute, Place
from .access import Access, Accesses
from .nests import Assign, Nest
from .reductions import PartSum
from .sums import RowSum, RowSums

BACK = 8  # so many groups are looked back at


@dataclass(frozen=True)
class Part:
    """An operation, and what it reads and writes."""

    step: Assign | RowSum | PartSum | Compute
    reads: Sequence[Access]
    out: Access


class Group:
    """Operations that are written together: `what`, and all that they read and write."""

    def __init__(self, part: Part):
        step = part.step
        self.what: Nest | RowSums | Compute
        if isinstance(step, Assign):
            self.what = Nest(step)
        elif isinstance(step, RowSum):
            self.what = RowSums([step])
        else:
            self.what = step.step if isinstance(step, PartSum) else step
        self.first = part.out
        self.reads, self.writes = Accesses(part.reads), Accesses([part.out])

    def take(self, part: Part) -> bool:
        """Do an operation too, if that can be; whether it can."""
        step, what = part.step, self.what
        if isinstance(what, RowSums):
            taken = isinstance(step, RowSum) and what.take(step)
        elif isinstance(what, Nest) and not isinstance(step, Compute):
            add = step if isinstance(step, Assign) else step.added
            taken = add is not None and what.take(add)
        else:
            taken = False
        if taken:
            self.reads.add(part.reads)
            self.writes.add([part.out])
        return taken

    def apart(self, reads: Iterable[Access], writes: Iterable[Access]) -> bool:
        """Whether it has nothing to do with what reads and writes some numbers: either may be done first."""
        return self.writes.apart(itertools.chain(reads, writes)) and self.reads.apart(writes)


class Groups:
    """Operations one after the other, in groups. `own`: whether threads have each their rows of a result, which is the
    same for all of a nest."""

    def __init__(self, own: Callable[[Access], bool]):
        self.own = own
        self.groups: list[Group] = []

    def add(self, part: Part) -> None:
        """One more: with others, if that can be; a sum over all rows first with those of the same rows."""
        step = part.step
        wishes: list[Callable[[Group], bool]] = [lambda group: self.fits(group, part)]
        if isinstance(step, RowSum):
            wishes = [
                lambda group: isinstance(group.what, RowSums) and group.what.has_rows_of(step),
                lambda group: isinstance(group.what, Nest),
                lambda group: isinstance(group.what, RowSums),
            ]
        if not any(self.join(part, wish) for wish in wishes):
            self.groups.append(Group(part))

    def fits(self, group: Group, part: Part) -> bool:
        """Whether an operation is done by the threads that do those of a group."""
        return isinstance(group.what, Nest) and self.own(group.first) == self.own(part.out)

    def join(self, part: Part, wish: Callable[[Group], bool]) -> bool:
        """Do an operation with the last group that one wishes for, if that can be; whether it can."""
        for i in range(len(self.groups) - 1, max(-1, len(self.groups) - 1 - BACK), -1):
            group, between = self.groups[i], self.groups[i + 1 :]
            if not wish(group):
                continue
            earlier = all(g.apart(part.reads, [part.out]) for g in between)
            later = earlier or all(g.apart(group.reads, group.writes) for g in between)
            if later and group.take(part):
                if not earlier:
                    self.groups.append(self.groups.pop(i))
                return True
        return False

    def before(self, loop: set[Place]) -> list[Group]:
        """Those that must be written before a loop over some arrays. Nests that have nothing to do with it wait: their
        results are then near where they are needed."""
        waiting, now = list[Group](), list[Group]()
        for group in reversed(self.groups):
            accesses = itertools.chain(group.reads, group.writes)
            free = isinstance(group.what, Nest) and not any(a.array in loop for a in accesses)
            if free and all(group.apart(other.reads, other.writes) for other in now):
                waiting.append(group)
            else:
                now.append(group)
        self.groups = waiting[::-1]
        return now[::-1]
