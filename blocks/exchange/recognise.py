"""Which loops are an LSTM, a GRU or an RNN, whatever their author called things and in whatever way they are written.

Both the loop's step and the gallery's cell are brought into a normal form (`normal`), and unified: each term of the
one with a term of the other, each state and each of the weights with its own. Biases and peepholes may be missing. What
is almost such a cell is none: a σ for the tanh of the candidate, an output gate that sees the old C, a step that a mask
may leave out.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..cell import Cell
from ..cells import gru, gru_reset_after, irnn, lstm_peephole, srn
from ..errors import WiringError
from ..graph import Graph, Node, Shape
from ..ops.loop import NEXT
from .normal import Factor, Step, Sum, TooLarge
from .walk import ready

Bound = dict[tuple[str, str], Any]  # ("weights" | "state" | "row", name in the pattern) → a fixed node, or a name


@dataclass(frozen=True)
class Known:
    """A loop that is a known cell.

    Attributes: kind, "lstm", "gru" (reset before the product), "gru_reset_after" or "rnn"; activation, of an RNN;
    turned, whether the update gate of a GRU is 1 minus that of the gallery; weights, the gallery's name of each,
    ``forget.W_x``, → what has it, a node over ports of the body, or None; states, the gallery's name → the loop's; row,
    the port with the input; units and inputs, how many. All that such a loop stacks is h.
    """

    kind: str
    activation: str
    turned: bool
    weights: Mapping[str, Node | None]
    states: Mapping[str, str]
    row: str
    units: int
    inputs: int


@dataclass(frozen=True)
class Pattern:
    """A cell of the gallery to be recognised."""

    kind: str
    make: Callable[[int, int], Cell]
    activation: str = "Tanh"
    turned: bool = False


PATTERNS = (
    Pattern("lstm", lstm_peephole),
    Pattern("gru", gru),
    Pattern("gru", gru, turned=True),
    Pattern("gru_reset_after", gru_reset_after),
    Pattern("gru_reset_after", gru_reset_after, turned=True),
    Pattern("rnn", srn),
    Pattern("rnn", irnn, "Relu"),
)


def known(loop: Node) -> Known | None:
    """What cell a loop is; None, if it is none of the known ones, or gives more than its outputs and last states."""
    a = loop.attrs
    body: Graph = a["body"]
    sequences = [p for p in a["sequences"] if p in body.fed("input")]
    wires = dict(zip(a["ports"], loop.operands, strict=True))
    rows = [wires[p].shape[1:] for p in sequences]
    flat = [s for s in (*rows, *(wires[s].shape for s in a["states"])) if len(s) == 2 and isinstance(s[1], int)]
    if a.get("every") is not None or len(rows) != 1 or len(flat) != 1 + len(a["states"]):
        return None
    if len({s[0] for s in flat}) != 1:
        return None
    try:
        step = Step(body, a["states"], sequences)
    except (TooLarge, WiringError):
        return None
    for pattern in PATTERNS:
        found = _unified(pattern, step, body, loop)
        if found is not None and _fits(found, wires, a["states"]):
            return found
    return None


@functools.cache
def _pattern(pattern: Pattern) -> tuple[Step, dict[str, Sum]]:
    """The normal form of a pattern, and the next value of each of its states."""
    cell = pattern.make(2, 3)
    graph = ready(cell.graph, lambda node: True, "nothing")
    step = Step(graph, cell.states, cell.inputs)
    after = {s: step.sums[graph.outputs[NEXT + s]] for s in cell.states}
    return step, {s: _turned(step, v) for s, v in after.items()} if pattern.turned else after


def _turned(step: Step, whole: Sum) -> Sum:
    """A sum in which the update gate z is 1 − z: z h + c − z c becomes h − z h + z c."""
    gate = next(f for (f, _), v in whole if v == -1.0)  # −z c
    (update,) = (i for i in gate if step.factors[i].kind == "sigm")
    one_minus: Sum = ((((), False), 1.0), (((update,), False), -1.0))
    out: list[Sum] = []
    for (factors, fixed), value in whole:
        rest: Sum = (((tuple(i for i in factors if i != update), fixed), value),)
        out.append(step._times(rest, one_minus) if update in factors else rest)
    return step._added(*out)


def _unified(pattern: Pattern, step: Step, body: Graph, loop: Node) -> Known | None:
    own, after = _pattern(pattern)
    names = loop.attrs["states"]
    if len(names) != len(after):
        return None
    nexts = {s: step.sums[body.outputs[NEXT + s]] for s in names}
    for order in itertools.permutations(names):
        states = dict(zip(after, order, strict=True))
        whole = [(after[s], nexts[states[s]]) for s in after]
        bound: Bound = {("state", s): states[s] for s in after}
        found = next(_all(_Unifier(own, step), whole, bound), None)
        outputs = {step.sums[body.outputs[k]] for k in loop.attrs["stacked"]}
        if found is not None and outputs <= {nexts[states["h"]]}:
            weights = {name: node for (kind, name), node in found.items() if kind == "weights"}
            row = next(name for (kind, _), name in found.items() if kind == "row")
            wires = dict(zip(loop.attrs["ports"], loop.operands, strict=True))
            sizes = int(wires[states["h"]].shape[1]), int(wires[row].shape[2])
            return Known(pattern.kind, pattern.activation, pattern.turned, weights, states, row, *sizes)
    return None


def _fits(found: Known, wires: Mapping[str, Node], states: Any) -> bool:
    """Whether all weights have the shapes of such a cell."""
    for name, node in found.weights.items():
        last = name.rpartition(".")[2]
        wanted: Shape = {"W_x": (found.inputs, found.units), "W_h": (found.units, found.units)}.get(
            last, (found.units,)
        )
        if node is None and last in ("W_x", "W_h"):
            return False
        if node is not None and (node.shape != wanted or node.dtype != "float"):
            return False
    return all(wires[s].shape[1] == found.units for s in states)


# --- unification ---------------------------------------------------------------------------------


def _all(unifier: _Unifier, pairs: list[tuple[Sum, Sum]], bound: Bound) -> Iterator[Bound]:
    """What makes each pair of sums the same."""
    if not pairs:
        yield bound
        return
    for found in unifier.sums(*pairs[0], bound):
        yield from _all(unifier, pairs[1:], found)


@dataclass(frozen=True)
class _Unifier:
    """Terms of a pattern with terms of a step."""

    pattern: Step
    step: Step

    def sums(self, p: Sum, t: Sum, bound: Bound) -> Iterator[Bound]:
        """Each term with one of the other sum; one with a fixed part (a bias, a peephole) may be missing."""
        if not p:
            if not t:
                yield bound
            return
        (factors, fixed), value = p[0]
        for i, ((others, other_fixed), other) in enumerate(t):
            if fixed != other_fixed or (not fixed and value != other):
                continue
            start = self._weights(value, other, bound) if fixed else bound
            if start is not None:
                for found in self._factors(factors, others, start):
                    yield from self.sums(p[1:], t[:i] + t[i + 1 :], found)
        missing = self._weights(value, None, bound) if fixed else None
        if missing is not None:
            yield from self.sums(p[1:], t, missing)

    def _factors(self, p: tuple[int, ...], t: tuple[int, ...], bound: Bound) -> Iterator[Bound]:
        """Each factor with one of the other term."""
        if len(p) != len(t):
            return
        if not p:
            yield bound
            return
        for i, number in enumerate(t):
            for found in self._factor(self.pattern.factors[p[0]], self.step.factors[number], bound):
                yield from self._factors(p[1:], t[:i] + t[i + 1 :], found)

    def _factor(self, p: Factor, t: Factor, bound: Bound) -> Iterator[Bound]:
        if p.kind != t.kind:
            return
        if p.kind in ("state", "row"):
            if bound.get((p.kind, p.what), t.what) == t.what:
                yield {**bound, (p.kind, p.what): t.what}
        elif p.kind == "matmul":
            start = self._weights(p.what, t.what, bound)
            if start is not None:
                yield from self._factors(p.factors, t.factors, start)
        elif p.what == t.what and len(p.sums) == len(t.sums):
            yield from _all(self, list(zip(p.sums, t.sums, strict=True)), bound)

    def _weights(self, p: Node, t: Node | None, bound: Bound) -> Bound | None:
        """With these weights for those of the pattern; None, where they are others already."""
        key = "weights", str(p.name)
        return {**bound, key: t} if key not in bound or bound[key] is t else None
