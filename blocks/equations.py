"""The equations of a cell, read off its graph.

    forget = σ(x W_x + h' W_h + b)
    C = forget ⊙ C' + input ⊙ candidate

A line for each brick, for each value that is used more than once, and for each output; h' is the state of
the step before. A brick's weights are written without its name. How a line is written: see `notation`.
"""

from __future__ import annotations

import itertools

from .graph import FED, Graph, Node
from .notation import ATOM, Formula, Run, name, plain, write
from .ops.loop import NEXT


def equations(graph: Graph) -> list[str]:
    """The lines, in the order in which the values are computed."""
    return [plain(line) for line in equation_runs(graph)]


def equation_runs(graph: Graph) -> list[tuple[Run, ...]]:
    """The lines as runs of text, which a figure or TeX can set."""
    users: dict[Node, int] = {}
    for node in graph.order():
        for o in node.operands:
            users[o] = users.get(o, 0) + 1
    results = {node: output.removeprefix(NEXT) for output, node in reversed(list(graph.outputs.items()))}
    results |= {graph.outputs[n]: n.removeprefix(NEXT) for n in graph.outputs if n.startswith(NEXT)}
    last_of_brick = _ends_of_bricks(graph)
    taken = {str(n.name) for n in graph.order() if n.name} | set(results.values())
    formulas: dict[Node, Formula] = {}
    lines: list[tuple[Run, ...]] = []
    for node in graph.order():
        written = _leaf(node) or write(node, [formulas[o] for o in node.operands])
        shared = users.get(node, 0) > 1 and written.strength < ATOM
        if node.op.name in FED or not (node in results or node in last_of_brick or shared):
            formulas[node] = written
            continue
        called = str(node.brick) if node in last_of_brick else results.get(node) or _unused("v", taken)
        taken.add(called)
        lines.append(_line(called, written))
        formulas[node] = name(called)
        if node in last_of_brick and results.get(node, called) != called:
            lines.append(_line(results[node], formulas[node]))
    for output, node in graph.outputs.items():
        short = output.removeprefix(NEXT)
        text = "\n".join(map(plain, lines)) + " "
        if f"{short} = " not in text:
            lines.append(_line(short, formulas[node]))
    return lines


def _ends_of_bricks(graph: Graph) -> set[Node]:
    """The nodes whose value leaves their brick."""
    inside = {o for user in graph.order() for o in user.operands if o.brick == user.brick}
    return {node for node in graph.order() if node.brick and node.operands and node not in inside}


def _leaf(node: Node) -> Formula | None:
    """The name of what is fed: of weights without their brick's, of a state with a prime."""
    if node.op.name == "parameter":
        return name(str(node.name).removeprefix(f"{node.brick}." if node.brick else ""))
    if node.op.name == "input":
        return name(str(node.name), before=node.role == "state")
    return None


def _line(called: str, formula: Formula) -> tuple[Run, ...]:
    return (*name(called).runs, Run(" = "), *formula.runs)


def _unused(stem: str, taken: set[str]) -> str:
    return next(text for i in itertools.count(1) if (text := f"{stem}{i}") not in taken)
