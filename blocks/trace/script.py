"""What happens in one update, line by line: the values forwards, the loss, the gradients in the order in which reverse
mode makes them, the update. Each line has its symbol, its rule, and what it is the sum of; no line has numbers yet.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from .. import interpret
from ..errors import BlocksError, fresh_name, nearest
from ..grad import Handed, backward
from ..graph import FED, Graph, Node, stamped, topological
from ..notation import Formula
from ..ops.leaves import constant, make_input
from ..train.optimizers import Optimizer
from ..train.update import decays
from .symbols import bare, gradient_symbol, hidden, joined, marked, rule_of, rule_of_value, symbols_of
from .written import Written, write_out

PHASES = ("given", "forward", "loss", "backward", "update")
LR, COUNT = "lr", "update"  # inputs of a script's graph: the learning rate, and how many updates were made before


class Part(NamedTuple):
    """What a gradient is handed back: through which value, by which rule, in which symbols are `marked`."""

    through: str
    marked: str
    node: Node

    @property
    def rule(self) -> str:
        """The rule as text."""
        return bare(self.marked)


@dataclass(frozen=True)
class Line:
    """A value of a run.

    phase: one of `PHASES`. symbol: what it is called, ``C(1)``, ``∂L/∂C(1)``. marked: its rule, what it is computed
    from, with marks around the symbols. step: at which steps, of loops in loops several. of: for a gradient and an
    update, the symbol of what it belongs to. inside: whether it stays in its brick. base: the name without the step,
    where it has one. kind: "weight", "input", "brick", "loss", "sequence" (all steps of a value) or
    "value".
    """

    phase: str
    symbol: str
    marked: str
    node: Node
    step: tuple[int, ...] = ()
    brick: str | None = None
    of: str = ""
    inside: bool = False
    base: str = ""
    kind: str = "value"
    parts: tuple[Part, ...] = ()

    @property
    def rule(self) -> str:
        """The rule as text."""
        return bare(self.marked)


@dataclass
class Script:
    """The lines of one update, and the graph that computes them all: its outputs are those of the graph that is traced,
    ``grad/<name>`` for what it is fed, and ``new/<name>`` for its weights and the optimizer's slots after the update.

    loss: the node that is minimised; symbols: how each value is written; written: the graph that is
    traced, without loops; rate, count: the inputs for the learning rate and for the number of updates before.
    """

    graph: Graph
    lines: list[Line]
    steps: int
    loss: Node
    symbols: Mapping[Node, str] = field(default_factory=dict)
    written: Written = field(default_factory=Written)
    rate: str = LR
    count: str = COUNT

    def settings(self, context: interpret.Run) -> dict[str, np.ndarray]:
        """The learning rate, the number of updates before, and the optimizer's slots: name → first value."""
        found = {}
        for name, node in self.graph.fed("input").items():
            if node.role in ("setting", "slot"):
                first = 0.0 if isinstance(node.attrs["default"], str) else node.attrs["default"]
                found[name] = np.full(context.shape(node.shape), first, context.dtype)
        return found


def script_of(graph: Graph, dims: Mapping[str, int], loss: str, optimizer: Optimizer) -> Script:
    """The script of one update of a graph, for sizes of its named dimensions. `loss` is the output that is minimised.

    Raises BlocksError for a graph without such an output, and for a loss that is no single number.
    """
    if loss not in graph.outputs:
        raise BlocksError(
            f"the graph has no output {loss!r}{nearest(loss, graph.outputs)}; it has {', '.join(graph.outputs)}"
        )
    if (node := graph.outputs[loss]).shape != () or node.dtype != "float":
        raise BlocksError(f"{loss!r} is {node.describe()} {node.dtype}; a gradient is taken of one number")
    written = write_out(graph, dims, loss)
    target = written.outputs[loss]
    order = topological(written.outputs.values())
    symbols = symbols_of(written, order, target)
    forward = _Forward(written, order, symbols, target)
    back = _Backward(forward)
    update = _Update(forward, back, optimizer)
    lines = [*forward.lines(), *back.lines(), *update.lines()]
    outputs = dict(written.outputs)
    outputs |= {f"grad/{n.name}": g for n, g in back.cotangents.items() if n.op.name in FED}
    outputs |= update.outputs
    outputs |= {f"line/{i}": line.node for i, line in enumerate(lines)}
    steps = max((s for line in lines for s in line.step[:1]), default=0)
    said = {n: bare(f.plain) for n, f in symbols.items()}
    return Script(Graph(outputs), lines, steps, target, said, written, str(update.rate.name), str(update.count.name))


@dataclass
class _Forward:
    """The values of a graph that is written out."""

    written: Written
    order: list[Node]
    symbols: dict[Node, Formula]
    target: Node

    def __post_init__(self) -> None:
        self.users: dict[Node, list[Node]] = {node: [] for node in self.order}
        for node in self.order:
            for o in node.operands:
                self.users[o].append(node)

    def shown(self, node: Node) -> bool:
        """Whether a value has a line."""
        return node is self.target or not hidden(node, self.written)

    def line(self, node: Node) -> Line:
        """The line of a value."""
        known = self.written.bases.get(node, "")
        leaf = node.op.name in FED
        own = [u for u in self.users[node] if (u.brick, self.step(u)) == (node.brick, self.step(node))]
        of_loss = node is self.target or node.role == "loss"
        return Line(
            "given" if leaf else "loss" if of_loss else "forward",
            bare(self.symbols[node].plain),
            self.rule(node),
            node,
            self.step(node),
            node.brick,
            inside=not leaf and bool(node.brick) and bool(own),
            base=known or (str(node.name) if leaf else ""),
            kind=self.kind(node, of_loss),
        )

    def kind(self, node: Node, of_loss: bool) -> str:
        """What a value is."""
        if node.op.name == "parameter":
            return "weight"
        if node.op.name in FED or node in self.written.cut:
            return "value" if node in self.written.bases and node not in self.written.cut else "input"
        if node in self.written.whole:
            return "sequence"
        return "loss" if of_loss else "brick" if node.brick else "value"

    def rule(self, node: Node) -> str:
        """What a value is computed from."""
        if node in self.written.cut:
            return f"{self.symbols[self.written.cut[node]].plain} at step {self.step(node)[-1]}"
        if node in self.written.whole and node in self.written.bases:
            return f"{self.written.bases[node]} of all steps, one after the other"
        return rule_of_value(node, self.symbols)

    def step(self, node: Node) -> tuple[int, ...]:
        """The steps at which a value is computed."""
        return self.written.steps.get(node, ())

    def lines(self) -> list[Line]:
        """All of them, in the order of the phases."""
        found = [self.line(node) for node in self.order if self.shown(node)]
        return sorted(found, key=lambda line: PHASES.index(line.phase))


class _Backward:
    """The gradients of all values, and what each is the sum of."""

    def __init__(self, forward: _Forward):
        self.forward = forward
        self.handed: Handed = {}
        seed = constant(value=1.0)
        floats = [node for node in forward.order if node.dtype == "float"]
        self.cotangents, _ = backward({forward.target: seed}, floats, self.handed)
        self.name = forward.symbols[forward.target]
        self.known: dict[Node, dict[Node, Formula]] = {}  # a value → the gradients that its own is written over
        self.through: dict[Node, str] = {}
        for node in reversed(forward.order):
            if node in self.cotangents:
                self._say(node)

    def symbol(self, node: Node) -> Formula:
        """How the gradient of a value is written."""
        return gradient_symbol(self.name, self.forward.symbols[node])

    def shown(self, node: Node) -> bool:
        """Whether a gradient has a line: what a brick only passes on, on its way to its weights, has none."""
        passed = self.forward.line(node).inside and node not in self.forward.written.names
        return self.forward.shown(node) and not (passed and len(self.handed.get(node, ())) == 1)

    def _say(self, node: Node) -> None:
        if self.shown(node):
            self.known[node] = {self.cotangents[node]: self.symbol(node)}
            self.through[node] = bare(self.forward.symbols[node].plain)
            return
        users = list(dict.fromkeys(user for user, _ in self.handed.get(node, ())))
        self.known[node] = {g: f for user in users for g, f in self.known[user].items()}
        self.through[node] = ", ".join(dict.fromkeys(self.through[user] for user in users))

    def rule(self, user: Node, g: Node) -> Formula:
        """What a value hands back to one of its operands."""
        return rule_of(g, ChainMap(self.known[user], self.forward.symbols))

    def lines(self) -> list[Line]:
        """The gradients, each once all its users have handed back their parts."""
        found = []
        for node in reversed(self.forward.order):
            if node not in self.cotangents or not self.shown(node):
                continue
            line = self.forward.line(node)
            handed = self.handed.get(node, [])
            rules = [self.rule(user, g) for user, g in handed]
            parts = tuple(
                Part(self.through[user], rule.plain, g) for (user, g), rule in zip(handed, rules, strict=True)
            )
            rule = rules[0].plain if len(rules) == 1 else joined(rules) if rules else "1"
            symbol, g = bare(self.symbol(node).plain), self.cotangents[node]
            found.append(
                replace(line, phase="backward", symbol=symbol, marked=rule, node=g, of=line.symbol, parts=parts)
            )
        return found


class _Update:
    """The weights after the update, and the optimizer's slots."""

    def __init__(self, forward: _Forward, back: _Backward, optimizer: Optimizer):
        self.forward, self.back = forward, back
        taken = [str(n.name) for n in forward.order if n.op.name in FED]
        lr, count = fresh_name(LR, taken), fresh_name(COUNT, taken)
        self.rate = make_input(lr, (), "float", "setting", optimizer.rate(0))
        self.count = make_input(count, (), "float", "setting", 0.0)
        self.new: dict[Node, Node] = {}
        self.outputs: dict[str, Node] = {}
        self.known: dict[Node, Formula] = {self.rate: marked(lr), self.count: marked(count)}
        for w in forward.order:
            if w.op.name == "parameter" and w in back.cotangents:
                self._say(w, optimizer)

    def _say(self, w: Node, optimizer: Optimizer) -> None:
        with stamped(brick=w.brick, role="update"):
            slots = [make_input(f"{s}/{w.name}", w.shape, "float", "slot", 0.0) for s in optimizer.slot_names]
            g, t = self.back.cotangents[w], self.count + 1.0
            change, after = optimizer.moved(w, g, slots, self.rate, t, float(decays(str(w.name))))
            self.new[w] = self.outputs[f"new/{w.name}"] = w - change
        self.outputs |= {f"new/{slot.name}": node for slot, node in zip(slots, after, strict=True)}
        self.known |= {slot: marked(str(slot.name)) for slot in slots}

    def lines(self) -> list[Line]:
        """The updates."""
        found = []
        for w, node in self.new.items():
            line = self.forward.line(w)
            known = ChainMap({self.back.cotangents[w]: self.back.symbol(w)}, self.known, self.forward.symbols)
            rule = rule_of(node, known).plain
            found.append(
                replace(line, phase="update", symbol=f"new {line.symbol}", marked=rule, node=node, of=line.symbol)
            )
        return found
