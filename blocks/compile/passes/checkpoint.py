"""Checkpoint: keep every k-th state, and compute what lies between again when the gradient asks for it.

    before      loop: h → f(x, h), keeps its values of all steps
                reversed loop: d/h → f'(those values, d/h)

    after       loop in blocks: { loop: h → f(x, h) }, keeps h at the start of each block
                reversed loop in blocks: { loop: h → f(x, h), keeps its values of one block;
                                           reversed loop: d/h → f'(those values, d/h) }

A loop that reads, against its direction, what another one kept makes a pair with it; it needs no other mark.
The numbers stay the same; the first loop runs twice; in memory are the states at the start of each block, and
the values of one block (Chen et al. 2016, "Training deep nets with sublinear memory cost", section 3).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ...errors import fresh_name
from ...graph import Graph, Node, Shape
from ...ops.loop import FINAL, NEXT, Every, in_block, pick
from ..passes.sweep import Loop, Pass, port, same, sweep, users_of

START = "start of "  # the state before a block


def checkpointing(every: Every) -> Pass:
    """The pass that keeps every k-th state; k is a number or "sqrt"."""

    def checkpoint(graph: Graph) -> Graph:
        pairs = _pairs(graph)
        asked = _asked_by_others(graph, pairs)
        first: dict[Node, tuple[Loop, Node]] = {}  # a loop of a pair, over its new operands; and what replaces it

        def rule(node: Node, operands: tuple[Node, ...]) -> Node:
            if node in asked:
                loop = Loop.of(node, operands)
                first[node] = loop, _in_blocks(loop, asked[node], every)
                return first[node][1]
            if node in pairs:
                again, blocks = first[pairs[node]]
                return _with_values_again(Loop.of(node, operands), _reads(node)[pairs[node]], again, blocks, every)
            if node.op.name == "pick" and node.operands[0] in asked:
                mine = node.attrs["output"] in asked[node.operands[0]] or node.attrs["output"].startswith(FINAL)
                return pick(operands[0], node.attrs["output"]) if mine else node  # a reversed loop makes it again
            return same(node, operands)

        return sweep(graph, rule) if pairs else graph

    return checkpoint


def _pairs(graph: Graph) -> dict[Node, Node]:
    """A loop that reads what another loop with states kept, against its direction → that loop."""
    pairs: dict[Node, Node] = {}
    for node in graph.order():
        if node.op.name == "loop":
            found = {s: len(read) for s, read in _reads(node).items() if s not in pairs and _opposite(node, s)}
            if found:
                pairs[node] = max(found, key=lambda s: found[s])
    return pairs


def _opposite(a: Node, b: Node) -> bool:
    """Whether a loop runs against another one, which has states: without, it keeps nothing to begin a block from."""
    return bool(b.attrs["states"]) and a.attrs["time"] == b.attrs["time"] and a.attrs["reverse"] != b.attrs["reverse"]


def _reads(node: Node) -> dict[Node, dict[str, str]]:
    """The sequences of a loop that are outputs of other ones: other loop → port → output."""
    wires = Loop.of(node, node.operands).wires
    reads: dict[Node, dict[str, str]] = {}
    for p in node.attrs["sequences"]:
        if wires[p].op.name == "pick":
            reads.setdefault(wires[p].operands[0], {})[p] = wires[p].attrs["output"]
    return reads


def _asked_by_others(graph: Graph, pairs: dict[Node, Node]) -> dict[Node, tuple[str, ...]]:
    """The first loop of each pair → its outputs of all steps that more than its second loops ask for."""
    users, kept = users_of(graph), set(graph.outputs.values())
    asked: dict[Node, list[str]] = {source: [] for source in pairs.values()}
    read = Counter[Node]()  # how often second loops take an output step by step
    for node, source in pairs.items():
        wires = Loop.of(node, node.operands).wires
        read.update(wires[p] for p in _reads(node)[source])
    for node in graph.order():
        if node.op.name != "pick" or node.operands[0] not in asked or node.attrs["output"].startswith(FINAL):
            continue
        if node in kept or read[node] < len(users[node]):
            asked[node.operands[0]].append(node.attrs["output"])
    return {source: tuple(dict.fromkeys(outputs)) for source, outputs in asked.items()}


class _Ports:
    """The inputs of the body of a loop in blocks, one for each wire that is brought in."""

    def __init__(self, states: dict[str, Node]):
        self.wires = dict(states)
        self.inputs = {name: port(name, wire.shape, wire.dtype) for name, wire in states.items()}
        self.sequences: list[str] = []
        self.made: dict[tuple[Node, Shape], Node] = {}

    def bring(self, name: str, wire: Node, shape: Shape) -> Node:
        """The input through which a wire comes in with a shape."""
        if (wire, shape) not in self.made:
            name = fresh_name(name, self.wires)
            self.wires[name] = wire
            self.inputs[name] = self.made[wire, shape] = port(name, shape, wire.dtype)
            if shape != wire.shape:
                self.sequences.append(name)
        return self.made[wire, shape]

    def bring_all(self, loop: Loop, but: set[str]) -> dict[str, Node]:
        """A loop's constants, and blocks of its sequences, as it will see them inside."""
        block = in_block(loop.time)
        return {
            p: self.bring(p, w, (block, *w.shape[1:]) if p in loop.sequences else w.shape)
            for p, w in loop.wires.items()
            if p not in but
        }


def _in_blocks(loop: Loop, asked: tuple[str, ...], every: Every) -> Node:
    """A loop in blocks, with the outputs asked for and each state at the start of each block."""
    ports = _Ports({s: loop.wires[s] for s in loop.states})
    wires = ports.bring_all(loop, set(loop.states)) | {s: ports.inputs[s] for s in loop.states}
    inner = replace(loop, wires=wires, stacked=asked, time=in_block(loop.time)).node()
    outputs = {NEXT + s: pick(inner, FINAL + s) for s in loop.states} | {n: pick(inner, n) for n in asked}
    starts = {START + s: ports.inputs[s] for s in loop.states}
    return _around(loop, Graph(outputs | starts), ports, (*asked, *starts), every)


def _with_values_again(loop: Loop, reads: dict[str, str], again: Loop, blocks: Node, every: Every) -> Node:
    """A reversed loop in blocks, which computes what it reads of the first loop again, from the block's start."""
    ports = _Ports({s: loop.wires[s] for s in loop.states})
    wires = ports.bring_all(again, set(again.states))
    for state in again.states:
        start = pick(blocks, START + state)
        wires[state] = ports.bring(START + state, start, start.shape[1:])
    block = in_block(loop.time)
    values = replace(again, wires=wires, stacked=tuple(dict.fromkeys(reads.values())), time=block).node()
    wires = ports.bring_all(loop, {*loop.states, *reads}) | {s: ports.inputs[s] for s in loop.states}
    wires |= {port: pick(values, output) for port, output in reads.items()}
    inner = replace(loop, wires=wires, time=block).node()
    outputs = {NEXT + s: pick(inner, FINAL + s) for s in loop.states} | {n: pick(inner, n) for n in loop.stacked}
    return _around(loop, Graph(outputs), ports, loop.stacked, every)


def _around(loop: Loop, body: Graph, ports: _Ports, stacked: tuple[str, ...], every: Every) -> Node:
    sequences = tuple(ports.sequences)
    return replace(loop, body=body, wires=ports.wires, sequences=sequences, stacked=stacked, every=every).node()
