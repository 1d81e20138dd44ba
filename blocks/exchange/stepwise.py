"""A loop as a loop of Python, step by step: how PyTorch and NumPy have it."""

from __future__ import annotations

import ast
from abc import abstractmethod

from ..graph import Node
from .function import Function, Repeated, Value, assigned, indented, listed, plural, short
from .rows import name, text


class Stepwise(Function):
    """A function whose loops are loops of Python."""

    @abstractmethod
    def rows_of(self, sequence: ast.expr, reverse: bool) -> ast.expr:
        """What has the rows of a sequence, one after the other."""

    @abstractmethod
    def stacked(self, rows: str, reverse: bool) -> str:
        """A list of rows as one array."""

    def repeat(self, node: Node, loop: Repeated) -> dict[str, Value]:
        """The lines of a loop, and what it gives."""
        states, rows = loop.variables(self)
        given = loop.called_with(self, {**states, **rows})
        targets, again = loop.targets(self, states)
        taken = dict(zip(loop.results, targets, strict=True))
        lists = {k: self.names.fresh(plural(short(k))) for k in loop.stacked}
        self.lines += [f"{i} = []" for i in lists.values()]
        sequences = [text(self.rows_of(s, loop.reverse)) for s in loop.sequences.values()]
        over = sequences or [f"range({text(self.size(loop.time))})"]
        each = f"for {', '.join(rows.values()) or '_'} in "
        self.lines += [f"{each}{over[0]}:"] if len(over) == 1 else listed(f"{each}zip(", over, "):")
        head, first = self.module.call(loop.inner.called)
        call = assigned(targets, head, [*first, *map(text, given)])
        appended = [f"{lists[k]}.append({taken[loop.body.outputs[k]]})" for k in loop.stacked]
        self.lines += indented([*call, *again, *appended])
        self.lines += [f"{i} = {self.stacked(i, loop.reverse)}" for i in lists.values()]
        return {k: Value(name(i)) for k, i in lists.items()} | loop.finals(states)
