"""C as text: sizes as expressions, lines in braces, and the bodies of loops, whose rows are declared on top."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..plan.places import ForEach
from ..plan.sizes import ONE, ZERO, Size
from .access import Access

INDICES = "ijklmnopqr"  # of nested loops over the axes of a value
WIDTH = 120  # letters of a line
FURTHER = " " * 8  # before what does not fit in it
TYPES = {"float": "real", "int": "int64_t", "bool": "flag"}


@dataclass
class Body:
    """The lines of a function, or of a loop in it: `heads` stand on top, `before` right before it."""

    depth: int
    loop: ForEach | None = None
    step: str = ""  # the number of the step at hand
    heads: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    packed: dict[object, Access] = field(default_factory=dict)  # matrices that were packed before the loop
    known: dict[object, str] = field(default_factory=dict)  # pointers that are declared on top

    def say(self, line: str) -> None:
        """Write a line; a long call in several."""
        self.lines += ["    " * self.depth + part if part else "" for part in folded(line, WIDTH - 4 * self.depth)]

    @contextmanager
    def braces(self, head: str) -> Iterator[None]:
        """``head { … }``."""
        self.say(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.say("}")

    @contextmanager
    def loops(self, bounds: Sequence[tuple[str, str]], each: bool = False, around: int = 0) -> Iterator[list[str]]:
        """Nested loops, each from one bound to the other, the last over numbers that do not depend on each other, if
        `each`; gives their indices. `around`: so many indices are taken."""
        names = list(INDICES[around : around + len(bounds)])
        for i, (name, (first, last)) in enumerate(zip(names, bounds, strict=True)):
            word = "EACH" if each and i == len(bounds) - 1 else "for"
            self.say(f"{word} (num {name} = {first}; {name} < {last}; {name}++) {{")
            self.depth += 1
        yield names
        for _ in names:
            self.depth -= 1
            self.say("}")


def folded(line: str, width: int) -> list[str]:
    """A line of so many letters at most, or several, broken behind commas."""
    if len(line) <= width or line.startswith("/*"):
        return [line]
    lines = [""]
    for part in line.split(", "):
        if lines[-1].strip() and len(lines[-1]) + len(part) > width - 2:
            lines.append(FURTHER)
        lines[-1] += f"{part}, "
    return [text.removesuffix(" ") for text in [*lines[:-1], lines[-1].removesuffix(", ")]]


def factor(text: str) -> str:
    """An expression as a factor."""
    return f"({text})" if " " in text else text


def index_text(offset: str, indices: Sequence[str], strides: Sequence[Size], write: Callable[[Size], str]) -> str:
    """Where the number at some indices stands."""
    parts = [] if offset == "0" else [offset]
    for name, stride in zip(indices, strides, strict=True):
        if stride == ONE:
            parts.append(name)
        elif stride != ZERO:
            parts.append(f"{name} * {factor(write(stride))}")
    return " + ".join(parts) or "0"


def of_part(how: str, count: str) -> tuple[str, str]:
    """Where the part of a thread begins and ends: of so many rows, "share", or of columns, "panels"."""
    return f"{how}({count}, part, parts)", f"{how}({count}, part + 1, parts)"


def address(x: Access, write: Callable[[Size], str]) -> str:
    """Where the first number stands."""
    return x.pointer if x.geometry.offset == ZERO else f"{x.pointer} + {write(x.geometry.offset)}"
