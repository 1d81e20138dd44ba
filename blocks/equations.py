"""The equations of a cell, read off its graph.

    forget = σ(x W_x + h' W_h + b)
    C = forget ⊙ C' + input ⊙ candidate

A line for each brick, for each value that has a name or is used more than once, for each output, and for each draw,
``keep ∼ bernoulli(0.9)``; h' is the state of the step before. A brick's weights are written without its name. How a
line is written: see `notation`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Container
from typing import NamedTuple

from .arguments import checked
from .graph import FED, Graph, Node, check_graph
from .notation import ATOM, Formula, Run, name, plain, write
from .ops.loop import NEXT

LONG = 20  # letters: a longer formula is not written twice


@checked
def equations(graph: Graph) -> list[str]:
    """The lines, in the order in which the values are computed. Raises BlocksError for what is no graph; that of a cell
    is its `graph`."""
    check_graph(graph, "equations")
    return [plain(line.runs) for line in equation_lines(graph)]


class Equation(NamedTuple):
    """A line, as runs of text, with the name and the node of the value that it says."""

    label: str
    node: Node
    runs: tuple[Run, ...]


def value_names(graph: Graph) -> dict[Node, str]:
    """What the values of a graph are called that have a name: the next value of a state as the state, an output, a
    brick's result as the brick, and what a user named."""
    bricks, labels, _ = _names(graph)
    found = dict(bricks)
    found |= {graph.outputs[n]: label for n, label in reversed(list(labels.items()))}
    return found | {graph.outputs[n]: label for n, label in labels.items() if n.startswith(NEXT)}


def _named(text: str, kind: str) -> Formula:
    return name(text, before=kind == "before")


def equation_lines(graph: Graph, named: Callable[[str, str], Formula] = _named) -> list[Equation]:
    """The lines with their nodes, for a figure or TeX to set.

    named: (name, kind) → how it is written; kind is "before" for a state of the step before, "input", "weight", "draw",
    "brick", "value" for what has a name of its own, or "part" for what has none.
    """
    users = Counter(o for node in graph.order() for o in node.operands)
    bricks, labels, taken = _names(graph)
    known = {graph.outputs[n]: label for n, label in reversed(list(labels.items()))}
    known |= {graph.outputs[n]: label for n, label in labels.items() if n.startswith(NEXT)}
    formulas: dict[Node, Formula] = {}
    lines: dict[str, Equation] = {}

    def say(label: str, kind: str, node: Node, formula: Formula, sign: str = "=") -> None:
        lines[label] = Equation(label, node, (*named(label, kind).runs, Run(f" {sign} "), *formula.runs))

    for node in graph.order():
        formulas[node] = _leaf(node, named) or write(node, [formulas[o] for o in node.operands])
        if node.op.name == "draw":
            say(str(node.name), "draw", node, write(node, ()), "∼")
        shared = users[node] > 1 and (formulas[node].strength < ATOM or len(plain(formulas[node].runs)) > LONG)
        if node.op.name in FED or not (node in known or node in bricks or shared):
            continue
        label = bricks.get(node) or known.get(node) or _unused("v", taken)
        kind = "brick" if node in bricks else "value" if node in known else "part"
        taken.add(label)
        say(label, kind, node, formulas[node])
        formulas[node] = named(label, kind)
        if known.get(node, label) != label:
            say(known[node], "value", node, formulas[node])
    for output, label in labels.items():
        if label not in lines:
            say(label, "value", graph.outputs[output], formulas[graph.outputs[output]])
    return list(lines.values())


def _names(graph: Graph) -> tuple[dict[Node, str], dict[str, str], set[str]]:
    """The names of bricks' values and of outputs, and all names that are taken. No name stands for two values:
    a second call of a brick has a number, and an output that is called like something else says that it is an
    output."""
    owner: dict[str, Node] = {str(n.name): n for n in graph.order() if n.op.name in FED and n.role != "state"}
    bricks: dict[Node, str] = {}
    for node in ends_of_bricks(graph):
        called = f"{node.brick}" if node.step is None else f"{node.brick}({node.step})"
        bricks[node] = called if called not in owner else _unused(f"{called}_", owner, 2)
        owner[bricks[node]] = node
    following = {short: node for n, node in graph.outputs.items() if (short := n.removeprefix(NEXT)) != n}
    for short, node in following.items():  # a name that a state has, too, is the state's
        owner.setdefault(short, node)
    labels: dict[str, str] = {}
    for output, node in graph.outputs.items():
        short = output.removeprefix(NEXT)
        own = owner.setdefault(short, node) is node
        labels[output] = short if own else f"{'output' if short == output else 'next'} {short}"
    states = {str(n.name) for n in graph.order() if n.role == "state"}
    for node in graph.order():  # a name that a user gave, where it is no other value's
        if node.name and node.op.name not in FED and node not in bricks:
            called = node.name if node.step is None else f"{node.name}({node.step})"
            if owner.setdefault(called, node) is node and called not in states:
                bricks[node] = called
    return bricks, labels, {*owner, *labels.values(), *states}


def ends_of_bricks(graph: Graph) -> list[Node]:
    """The nodes whose value leaves their brick, in order."""
    made = [n for n in graph.order() if n.brick and n.operands and n.role not in ("gradient", "update")]
    inside = {o for user in made for o in user.operands if (o.brick, o.step) == (user.brick, user.step)}
    return [node for node in made if node not in inside]


def _leaf(node: Node, named: Callable[[str, str], Formula]) -> Formula | None:
    """The name of what is fed: of weights without their brick's."""
    if node.op.name == "parameter":
        return named(str(node.name).removeprefix(f"{node.brick}." if node.brick else ""), "weight")
    if node.op.name == "draw":
        return named(str(node.name), "draw")
    if node.op.name == "input":
        return named(str(node.name), "before" if node.role == "state" else "input")
    return None


def _unused(stem: str, taken: Container[str], first: int = 1) -> str:
    return next(text for i in itertools.count(first) if (text := f"{stem}{i}") not in taken)
