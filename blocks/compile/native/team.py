"""Threads: who computes what, and where they must wait for each other.

Each operation is one of these: *split*, every thread its rows of the batch; *shared*, every thread some columns or rows
of the result; *alone*, the first thread everything. Threads meet before an operation that needs what another thread
wrote, or writes what another one read or wrote, since they last met; so a loop over steps whose operations are all
split has no meeting in it. No sum is split, so the numbers are the same for any number of threads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ...graph import Dim, Graph, subgraphs
from ..plan.geometry import row_major
from ..plan.places import Buffer, Feed, Place
from ..plan.sizes import ONE, ZERO, Size
from .access import Access

MARK = "@meet"  # a line that stands where threads may have to meet
OWN, ALONE, ANY = "own rows", "the first thread", "any"


@dataclass
class Work:
    """One operation: by whom each array is read and written."""

    number: int
    reads: list[tuple[Place, str]]
    writes: list[tuple[Place, str]]


@dataclass
class Loop:
    """Operations that are repeated; threads may meet before the first time."""

    number: int
    steps: list[Work | Loop] = field(default_factory=list)


Step = Work | Loop


@dataclass
class Seen:
    """How arrays were read and written since threads last met."""

    reads: set[tuple[Place, str]] = field(default_factory=set)
    writes: set[tuple[Place, str]] = field(default_factory=set)

    def stands_against(self, work: Work) -> bool:
        """Whether an operation must wait."""
        before = [(self.writes, work.reads), (self.writes, work.writes), (self.reads, work.writes)]
        return any(
            array is other and (how != now or how == ANY)
            for earlier, later in before
            for array, how in earlier
            for other, now in later
        )


class Team:
    """The dimension whose rows threads have each their own of, and all operations in order."""

    def __init__(self, graph: Graph):
        self.dim = split_dimension(graph)
        self.whole = Loop(-1)
        self.open = [self.whole]
        self.count = 0
        self.times: list[Size] = []  # how often the loops that are open run
        self.often: list[Size] = []  # how often each operation is reached
        self.weight = ZERO  # how many numbers are made, or multiplied, in all

    def own(self, x: Access) -> bool:
        """Whether an access is, row by row of the split dimension, to those rows of the array."""
        array = x.array
        shape = array.shape if isinstance(array, Buffer | Feed) else ()
        if self.dim is None or self.dim not in shape or self.dim not in x.shape:
            return False
        return x.geometry.strides[x.shape.index(self.dim)] == row_major(shape)[shape.index(self.dim)]

    def note(self, how: str, reads: list[Access], writes: list[Access], weight: Size = ZERO, out: int = 0) -> str:
        """Note an operation of so many numbers; the line that stands before it. `out`: it stands before so many of the
        loops that are open."""

        def all_of(accesses: list[Access]) -> list[tuple[Place, str]]:
            mine = [(a.array, how if how != OWN else OWN if self.own(a) else ANY) for a in accesses if not a.literal]
            return list(dict.fromkeys(mine))

        self.open[-1 - out].steps.append(Work(self.count, all_of(reads), all_of(writes)))
        line = self.mark(out)
        self.weight = self.weight + weight * self.often[-1]
        return line

    def enter(self, times: Dim) -> str:
        """Begin a loop that runs so often; the line that stands before it."""
        self.open.append(Loop(self.count))
        line = self.mark()
        self.times.append(Size.of(times))
        return line

    def leave(self) -> None:
        """End it."""
        self.times.pop()
        body = self.open.pop()
        self.open[-1].steps.append(body)

    def mark(self, out: int = 0) -> str:
        """Number an operation; the line that stands before it."""
        often = ONE
        for times in self.times[: len(self.times) - out]:
            often = often * times
        self.often.append(often)
        self.count += 1
        return f"{MARK} {self.count - 1}"

    @property
    def waits(self) -> Size:
        """How often threads meet in all."""
        return sum((self.often[number] for number in self.meetings()), ZERO)

    def meetings(self) -> set[int]:
        """The operations before which threads meet."""
        found: set[int] = set()
        _walk(self.whole.steps, Seen(), found)
        return found


def _walk(steps: list[Step], seen: Seen, found: set[int]) -> Seen:
    """Find meetings; returns what was done since the last one."""
    for step in steps:
        if isinstance(step, Loop):
            within = found.copy()
            _around(step.steps, Seen(), within)
            again = within.copy()
            after = _around(step.steps, seen, again)
            if again != within:  # better once before the loop than at every step
                after = _around(step.steps, Seen(), within)
                found.add(step.number)
            found |= within
            seen = after
            continue
        if step.number in found or seen.stands_against(step):
            found.add(step.number)
            seen = Seen()
        seen = Seen(seen.reads | set(step.reads), seen.writes | set(step.writes))
    return seen


def _around(steps: list[Step], seen: Seen, found: set[int]) -> Seen:
    """A loop: walked until nothing more is found, because what ends a step stands before the next one."""
    before = -1
    while before != len(found):
        before = len(found)
        seen = _walk(steps, _walk(steps, seen, found), found)
    return seen


def split_dimension(graph: Graph) -> str | None:
    """The named dimension, no loop's steps, that most values have; None, where there is none."""
    often: Counter[str] = Counter()
    times: set[Dim] = set()
    graphs = [graph]
    while graphs:
        body = graphs.pop()
        for node in body.order():
            often.update(d for d in node.shape if isinstance(d, str))
            if node.op.name == "loop":
                times.add(node.attrs["time"])
            graphs += subgraphs(node).values()
    found = [d for d, _ in often.most_common() if d not in times and not d.endswith(("_blocks", "_in_block"))]
    return found[0] if found else None
