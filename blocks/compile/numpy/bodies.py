"""The text being written for one nesting level: allocate, run inside of it, and loops inside of that.

What an expression is made of says where it can stand: in the innermost body of those of its parts. What is made of
sizes alone stands in `allocate` and lasts; what is made of a call's arrays, in `run`; what is made of the row at
hand, in its loop. A body and what only it knows are dropped when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Variable:
    """A name in source, the body in which it is made, and for a variable of a loop, the list that it runs over."""

    name: str
    body: Body
    rows: Variable | None = None


@dataclass
class Block:
    """The sizes of a loop over blocks of steps."""

    dim: str  # the dimension of the steps in a block
    most: str  # how many there are, as a variable of allocate
    steps: Variable  # how many steps the block at hand has
    lengths: Variable  # those of all blocks


class Body:
    """The lines of one nesting level."""

    def __init__(self, outer: Body | None, depth: int):
        self.outer, self.depth = outer, depth
        self.level: int = 0 if outer is None else outer.level + 1
        self.lines: list[str] = []
        self.known: dict[Any, Variable] = {}  # what was made here
        self.loop: list[Variable] = []  # the variables of the loop whose body it is
        self.used: set[Variable] = set()  # those of them that its lines use
        self.block: Block | None = None

    def say(self, line: str) -> None:
        """Write a line."""
        self.lines.append("    " * self.depth + line)

    def around(self) -> Iterator[Body]:
        """This body, the one around it, …"""
        body: Body | None = self
        while body is not None:
            yield body
            body = body.outer

    def find(self, key: Any) -> Variable | None:
        """What is known here or around."""
        for body in self.around():
            if key in body.known:
                return body.known[key]
        return None

    def define(self, key: Any, name: str, value: str) -> Variable:
        """A new variable of this body."""
        self.say(f"{name} = {value}")
        return self.know(key, Variable(name, self))

    def know(self, key: Any, variable: Variable) -> Variable:
        """Note what a variable is."""
        self.known[key] = variable
        return variable

    def run_over(self, key: Any, name: str, rows: Variable) -> Variable:
        """A new variable of the loop, which runs over a list."""
        variable = self.know(key, Variable(name, self, rows))
        self.loop.append(variable)
        return variable

    def end_loop(self, body: Body, heading: list[str]) -> None:
        """Write a loop that is complete."""
        for line in heading:
            self.say(line)
        self.lines += body.lines
        self.say("")


def innermost(bodies: Iterable[Body]) -> Body:
    """Of bodies that stand in each other, the one in all others."""
    return max(bodies, key=lambda body: body.level)
