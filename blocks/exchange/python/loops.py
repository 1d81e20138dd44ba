"""A scan inside of a cell: the cell that it runs, and what was handed to `scan`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from ...cell import beginning
from ...graph import Graph, Node
from ...ops.loop import FINAL
from ...ops.masks import hold
from ..cells import cell_of, mask_of
from ..rows import call, literal, name

Initial = dict[str, Node]


class Scan:
    """A loop as a call of `scan`. `own` gives a name without that of the cell around it.

    Attributes: cell, with names of its own; owned, weights and draws of the loop that the cell makes; final, whether
    last states are used.
    """

    def __init__(self, loop: Node, around: Graph, own: Callable[[str], str]):
        self.loop, self.cell = loop, cell_of(loop, own)
        body, self.wires = loop.attrs["body"].fed("input"), dict(zip(loop.attrs["ports"], loop.operands, strict=True))
        self.owned = [self.wires[p] for p, n in body.items() if n.role in ("parameter", "draw")]
        picks = [n for n in around.order() if n.op.name == "pick" and n.operands[0] is loop]
        self.final = any(n.attrs["output"].startswith(FINAL) for n in picks)
        port = mask_of(loop)
        self.mask = self.wires[port].operands[0] if port else None
        admitted = self.wires[port] if port else None
        self.inputs = {n: self.wires[n] for n in self.cell.inputs}
        for n, wire in self.inputs.items():
            if wire.op is hold and wire.operands[1] is admitted:
                self.inputs[n] = wire.operands[0]

    def initials(self) -> Iterator[Initial]:
        """What the states may have been said to begin with: nothing, which is what they begin with by themselves; else
        their wires, before those were repeated for each sequence, or as they are."""
        wires = {s: self.wires[s] for s in self.cell.states if s not in self.cell.firsts}
        short = {s: w.operands[0] if w.op.name == "broadcast" and w.operands else w for s, w in wires.items()}
        default = {s: w for s, w in wires.items() if not _is_default(w)}
        yield {}
        yield {s: short[s] for s in default}
        yield default
        yield wires

    def expression(self, initial: Initial) -> tuple[ast.expr, tuple[Node, ...]]:
        """The call of `scan`, in which the cell is ``_cell``, and the nodes that it needs."""
        mask = [] if self.mask is None else [self.mask]
        needs = tuple(dict.fromkeys([*self.inputs.values(), *initial.values(), *mask]))

        def said(wires: dict[str, Node]) -> ast.expr:
            return ast.Dict([literal(n) for n in wires], [name(f"_{needs.index(w)}") for w in wires.values()])

        options: dict[str, ast.expr] = {"initial": said(initial)} if initial else {}
        options |= {"reverse": literal(True)} if self.loop.attrs["reverse"] else {}
        options |= {"mask": name(f"_{needs.index(mask[0])}")} if mask else {}
        options |= {"final": literal(True)} if self.final else {}
        only = name(f"_{needs.index(next(iter(self.inputs.values())))}") if len(self.inputs) == 1 else None
        return call("bk.scan", name("_cell"), only or said(self.inputs), **options), needs

    def part(self, output: str) -> ast.expr:
        """One output, over what `scan` returns, ``_0``."""
        if output.startswith(FINAL) and output.removeprefix(FINAL) in self.cell.states:
            return _item(_item(name("_0"), 1), output.removeprefix(FINAL))
        steps = _item(name("_0"), 0) if self.final else name("_0")
        return _item(steps, output) if len(self.cell.outputs) > 1 else steps


def begun(found: Any) -> Any:
    """What `scan` returns, with states that begin as they do inside of a cell."""
    steps, last = found if isinstance(found, tuple) else (found, None)
    named = steps if isinstance(steps, dict) else {"": steps}
    new = beginning({**{f"steps/{k}": v for k, v in named.items()}, **(last or {})})
    steps = {k: new[f"steps/{k}"] for k in named}
    steps = steps if isinstance(found[0] if last is not None else found, dict) else steps[""]
    return steps if last is None else (steps, {k: new[k] for k in last})


def loop_of(found: Any) -> Node:
    """The loop that `scan` has made, of what it returns."""
    steps = found[0] if isinstance(found, tuple) else found
    pick = next(iter(steps.values())) if isinstance(steps, dict) else steps
    return pick.operands[0]


def _is_default(wire: Node) -> bool:
    """Whether a wire is what a state begins with that is not fed."""
    leaf = wire.operands[0] if wire.op.name == "broadcast" and wire.operands else wire
    return leaf.op.name in ("zeros", "constant")


def _item(value: ast.expr, key: Any) -> ast.expr:
    return ast.Subscript(value, literal(key), ast.Load())
