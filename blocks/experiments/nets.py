"""The networks of the papers, as losses of one update."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

from .. import cells
from ..bricks import ADD, SIGM
from ..cell import Cell
from ..graph import Graph, Node
from ..ops.elementwise import abs_, sigm, stop_gradient
from ..ops.loop import NEXT
from ..ops.parts import expand_dims
from ..ops.shape import max_, mean, sum_
from ..scan import scan
from ..wires import input, named, sequence, state


@dataclass(frozen=True)
class Net:
    """A network: the loss of one update, ½ Σ (t - y)² over the outputs and steps of a sequence, and its answers,
    ``(batch, outputs)`` or ``(time, batch, outputs)``, with what they should be."""

    loss: Node
    answer: Node
    target: Node

    def errors(self) -> dict[str, Node]:
        """What a protocol sees of each update: "wrong", the largest error of an output, and "error", the mean one."""
        off = abs_(self.answer - self.target)
        return {"wrong": max_(off), "error": mean(off)}

    def answers(self) -> Graph:
        """The answers alone, to be run with weights that are given."""
        return Graph({"answer": self.answer})


def lstm_at_end(
    inputs: int,
    outputs: int,
    blocks: int,
    size: int = 1,
    bias: str = "all",
    output_bias: bool = True,
    linear: bool = False,
    truncated: bool = True,
) -> Net:
    """A 1997 LSTM that answers at the end of a sequence (experiments 2c to 6): `blocks` blocks of `size` cells, read by
    logistic outputs, or linear ones. bias, truncated: as for `cells.lstm_1997`."""
    x, target = sequence("x", inputs), input("target", outputs)
    cell = cells.lstm_1997(inputs, blocks * size, block=size, bias=bias, truncated=truncated)
    _, last = scan(cell, x, mask=sequence("mask"), final=True)
    net = ADD(outputs, name="out", bias=output_bias)(named("h", last["h"]))
    return _net(net if linear else sigm(net), target)


def lstm_at_each_step(
    inputs: int, outputs: int, blocks: int, size: int, truncated: bool = True, gates_seen: bool = False
) -> Net:
    """A 1997 LSTM that answers at each step (experiment 1). `gates_seen`: the outputs see the gates too, which those of
    the paper do not."""
    x, target, mask = sequence("x", inputs), sequence("target", outputs), sequence("mask")
    seen = scan(opened(cells.lstm_1997(inputs, blocks * size, block=size, truncated=truncated)), x, mask=mask)
    wires = [named(name, seen[name]) for name in (("h", "i", "o") if gates_seen else ("h",))]
    return _net(sigm(ADD(outputs, name="out", bias=False)(*wires)), target, mask)


def elman_at_each_step(inputs: int, outputs: int, units: int) -> Net:
    """Elman's network on sequences, one update after each."""
    x, target, mask = sequence("x", inputs), sequence("target", outputs), sequence("mask")
    hs = scan(elman(inputs, units), x, mask=mask)
    return _net(SIGM(outputs, name="out")(named("h", hs)), target, mask)


def elman_online(inputs: int, outputs: int, units: int) -> Net:
    """Elman's network on a stream: one update at each step, in which the hidden units are carried on."""
    h = elman(inputs, units)(input("x", inputs))
    return _net(SIGM(outputs, name="out")(named("h", h)), input("target", outputs))


def elman_read(inputs: int, outputs: int, units: int) -> Graph:
    """The same network on a stream, without learning: "answer" and "hidden", ``(time, batch, ...)``."""
    hs = named("h", scan(elman(inputs, units), sequence("x", inputs)))
    return Graph({"answer": SIGM(outputs, name="out")(hs), "hidden": hs})


def predictor(symbols: int, hidden: str, low: float = 0.0) -> Net:
    """What predicts the next symbol at each step in experiments 2a and 2b: the outputs see the input and one hidden
    unit, and nothing has a bias. hidden: "none"; "cell", a memory cell with an input gate, both of which see the input
    alone, where g is logistic, from `low` to 1, and h the identity; "unit", a logistic unit that sees itself."""
    x, target = sequence("x", symbols), sequence("target", symbols)
    if hidden == "none":
        return _net(SIGM(symbols, name="out", bias=False)(x), target)
    now = input("x", symbols)
    if hidden == "cell":
        C = state("C", 1)
        g = low + (1.0 - low) * SIGM(1, name="candidate", bias=False)(now)
        C1 = C + SIGM(1, name="input", bias=False)(now) * g
        h = scan(Cell(states={C: C1}, outputs=C1), x)
    else:
        u = state("u", 1)
        u1 = SIGM(1, name="hidden", bias=False)(now, u)
        h = scan(Cell(states={u: u1}, outputs=u1), x)
    return _net(SIGM(symbols, name="out", bias=False)(x, named("h", h)), target)


def predictor_at_each_step(symbols: int, low: float = 0.0) -> Net:
    """The `predictor` with a cell, for an update at each step instead of each sequence: traces, the derivatives of C by
    the weights, go on forward in time (the paper's appendix A.1). "first" is 1 at the first symbol of a sequence."""
    x, first, target = input("x", symbols), input("first", 1), input("target", symbols)
    gate, candidate = (ADD(1, name=name, bias=False) for name in ("input", "candidate"))
    C, by_gate, by_candidate = state("C", 1), state("by_gate", symbols), state("by_candidate", symbols)
    kept, kept_gate, kept_candidate = ((1.0 - first) * wire for wire in (C, by_gate, by_candidate))
    i, s = sigm(gate(x)), sigm(candidate(x))
    g, slope = low + (1.0 - low) * s, (1.0 - low) * s * (1.0 - s)
    C1 = kept + i * g
    after = {
        C: C1,
        by_gate: kept_gate + g * i * (1.0 - i) * x,
        by_candidate: kept_candidate + i * slope * x,
    }
    earlier = [brick(named("x", trace)) for brick, trace in ((gate, kept_gate), (candidate, kept_candidate))]
    seen = C1 + sum_of_slopes(*earlier)
    h = Cell(states=after, outputs=seen)(x=x, first=first)
    return _net(SIGM(symbols, name="out", bias=False)(x, named("h", h)), target)


def sum_of_slopes(*wires: Node) -> Node:
    """0, with the gradient of the sum of some wires."""
    total = functools.reduce(operator.add, wires)
    return total - stop_gradient(total)


def elman(inputs: int, units: int) -> Cell:
    """h = σ(x W_x + h' W_h + b), where h' is a copy: no gradient goes through it (Elman 1990)."""
    x, h = input("x", inputs), state("h", units)
    h1 = SIGM(units, name="hidden")(x, stop_gradient(h))
    return Cell(states={h: h1}, outputs=h1)


def opened(cell: Cell) -> Cell:
    """A cell whose outputs are the new values of all its states."""
    after = {name: cell.graph.outputs[NEXT + name] for name in cell.states}
    return Cell(states={cell.wires[name]: node for name, node in after.items()}, outputs=after)


def _net(answer: Node, target: Node, mask: Node | None = None) -> Net:
    """A network by its answers; past the end of a sequence there is no error."""
    off = target - answer
    off = off if mask is None else off * expand_dims(mask, -1)
    return Net(0.5 * sum_(off * off), answer, target)
