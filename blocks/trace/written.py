"""A graph with its loops written out, step by step: the form in which every value of every step is a node of its own.

    loop(W, h, x)          x(1)      x(2)                a step of a sequence is cut out of it
                     h ──▶ body ──▶ body ──▶ h(2)        the state goes from node to node
                            y(1)     y(2)                and what is kept is put together again

The numbers are those of the loop. The graph grows with the number of steps, so this is for looking at a run, not for
running.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..equations import value_names
from ..errors import BlocksError
from ..graph import FED, Graph, Node, apply, rebuild, stamped
from ..ops.elementwise import already_aligned, not_equal
from ..ops.loop import FINAL, NEXT, loop_op, pick_op
from ..ops.shape import pad, reshape, slice_

NET = ".net"  # what a brick's function is taken of, ``forget.net``


@dataclass
class Written:
    """A graph without loops: its outputs, and of its nodes what they are called, at which steps they are computed, and
    those that only hold a sequence together."""

    outputs: dict[str, Node] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    bases: dict[Node, str] = field(default_factory=dict)  # the names without the step
    steps: dict[Node, tuple[int, ...]] = field(default_factory=dict)
    glue: set[Node] = field(default_factory=set)
    cut: dict[Node, Node] = field(default_factory=dict)  # a step of a sequence → the sequence
    whole: set[Node] = field(default_factory=set)  # sequences that are put together
    copies: dict[tuple[Graph, tuple[int, ...]], dict[Node, Node]] = field(default_factory=dict)  # of a loop's body


def write_out(graph: Graph, dims: Mapping[str, int], target: str) -> Written:
    """The graph with all its loops written out, for sizes of its named dimensions; the output `target` gets no name.

    Raises BlocksError for a loop over steps whose number is not known, and for one over blocks of steps.
    """
    writer = _Writer(dims)
    writer.skipped = graph.outputs[target]
    writer.written.outputs = writer.write(graph, {}, ())
    return writer.written


class _Writer:
    """Writes graphs, loops inside of them and loops inside of those. Names are those of one loop alone: the next one
    that has the same has a number behind them."""

    def __init__(self, dims: Mapping[str, int]):
        self.dims, self.written = dims, Written()
        self.called: dict[Graph, dict[Node, str]] = {}
        self.own: dict[tuple[Graph, Node], str] = {}
        self.ports: dict[Graph, dict[str, str]] = {}  # of a loop's body: what its sequences are called, step by step
        self.taken: set[str] = set()
        self.skipped: Node | None = None

    def write(self, graph: Graph, mapping: Mapping[Node, Node], steps: tuple[int, ...]) -> dict[str, Node]:
        """The outputs of a graph, some of whose nodes are others."""
        names, new = self.names_of(graph), dict(mapping)
        loops: dict[Node, dict[str, Node]] = {}
        for node in graph.order():
            if node in new:
                continue
            if node.op is loop_op:
                loops[node] = self.loop(node, [new[o] for o in node.operands], steps)
                continue
            if node.op is pick_op:
                new[node] = loops[node.operands[0]][node.attrs["output"]]
            else:
                operands = tuple(new[o] for o in node.operands)
                same = all(a is b for a, b in zip(operands, node.operands, strict=True))
                new[node] = node if same else rebuild(node, operands)
                if not same or not steps:
                    self.written.steps.setdefault(new[node], steps)
            if node in names and node.op.name not in FED and new[node] not in self.written.names:
                self.name(new[node], self.base(graph, node), steps)
        self.written.copies[graph, steps] = new
        return {name: new[node] for name, node in graph.outputs.items()}

    def names_of(self, graph: Graph) -> dict[Node, str]:
        """The names of a graph's values, and of what its bricks' functions are taken of."""
        if graph not in self.called:
            found = {node: name for node, name in value_names(graph).items() if node is not self.skipped}
            nets = {}
            for node in found:
                below = node.operands[0] if len(node.operands) == 1 else None
                if below is not None and node.brick and below.brick == node.brick and below.operands:
                    nets[below] = node.brick + NET
            found = {**nets, **found}
            self.called[graph] = found
        return self.called[graph]

    def unused(self, name: str) -> str:
        """The name, or with a number behind it, where another loop has it."""
        found = next(n for i in itertools.count(1) if (n := name if i == 1 else f"{name}_{i}") not in self.taken)
        self.taken.add(found)
        return found

    def base(self, graph: Graph, node: Node) -> str:
        """What a node of a graph is called, at all steps: a name of its own, once it is computed."""
        if (graph, node) not in self.own:
            self.own[graph, node] = self.unused(self.names_of(graph)[node])
        return self.own[graph, node]

    def name(self, node: Node, base: str, steps: tuple[int | str, ...]) -> None:
        """Call a node so, unless it has a name."""
        if node not in self.written.names:
            self.written.bases[node] = base
            self.written.names[node] = base + at(steps)

    def loop(self, node: Node, wires: list[Node], steps: tuple[int, ...]) -> dict[str, Node]:
        """What a loop gives."""
        attrs = node.attrs
        body, count, time = attrs["body"], self.dims.get(attrs["time"]), attrs["time"]
        if attrs.get("every") is not None:
            raise BlocksError("a loop over blocks of steps is made by the compiler; trace the graph before it")
        if count is None:
            raise BlocksError(f"the number of steps of {time!r} is not known: no feed has that dimension")
        fed = body.fed("input")
        now = dict(zip(attrs["ports"], wires, strict=True))
        if body not in self.ports:
            self.ports[body] = {port: self.unused(port) for port in attrs["sequences"]}
        ports = self.ports[body]
        for s in attrs["states"]:
            if now[s].op.name == "input" and now[s].role == "initial":
                first = count + 1 if attrs["reverse"] else 0
                self.name(now[s], self.base(body, body.outputs[NEXT + s]), (*steps, first))
        kept: dict[str, dict[int, Node]] = {name: {} for name in attrs["stacked"]}
        for t in reversed(range(count)) if attrs["reverse"] else range(count):
            here = (*steps, t + 1)
            inside = {
                fed[port]: self.step(wire, t, ports[port], here) if port in attrs["sequences"] else wire
                for port, wire in now.items()
                if port in fed
            }
            results = self.write(body, inside, here)
            for name, rows in kept.items():
                rows[t] = results[name]
            now |= {s: results[NEXT + s] for s in attrs["states"]}
        stacked = {}
        for name, rows in kept.items():
            stacked[name] = self.stack(rows, time)
            self.name(stacked[name], self.base(body, body.outputs[name]), (*steps, f"1…{count}"))
        return stacked | {FINAL + s: now[s] for s in attrs["states"]}

    def step(self, wire: Node, t: int, name: str, steps: tuple[int, ...]) -> Node:
        """A sequence at one step."""
        with already_aligned(), stamped(brick=None, role="operation"):
            cut = slice_(wire, start=t, stop=t + 1, axis=0)
            node = reshape(cut, shape=wire.shape[1:])
        self.written.glue.add(cut)
        self.written.steps[node], self.written.cut[node] = steps, wire
        self.name(node, name, steps)
        return node

    def stack(self, rows: Mapping[int, Node], time: str) -> Node:
        """The values of all steps as one sequence: each beside zeros, and all of them added."""
        total: Any = None
        with already_aligned(), stamped(brick=None, role="loss" if rows[0].role == "loss" else "operation"):
            for t in sorted(rows):
                row = rows[t] if rows[t].dtype != "bool" else apply("cast", rows[t], dtype="int")
                wide = reshape(row, shape=(1, *row.shape))
                placed = pad(wide, start=t, stop=t + 1, axis=0, shape=(time, *row.shape))
                self.written.glue |= {wide, placed, row} - {rows[t]}
                total = placed if total is None else apply("add", total, placed)
                self.written.glue.add(total)
            whole: Node = not_equal(total, 0) if rows[0].dtype == "bool" else total
        self.written.glue.discard(whole)
        self.written.whole.add(whole)
        return whole


def at(steps: tuple[int | str, ...]) -> str:
    """The steps of a value, as they stand behind its name: ``(2)``, ``(1…4)`` for all of them."""
    return f"({', '.join(map(str, steps))})" if steps else ""
