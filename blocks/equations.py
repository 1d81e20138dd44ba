"""The equations of a cell, read off its graph.

    forget = σ(x W_x + h' W_h + b)
    C = forget ⊙ C' + input ⊙ candidate

A line for each brick, for each value that is used more than once, and for each output; h' is the state of
the step before. A brick's weights are written without its name.
"""

from __future__ import annotations

from .graph import Graph, Node
from .ops.loop import NEXT

_SUM, _PRODUCT, _UNARY, _ATOM = 1, 2, 3, 4
_INFIX = {"add": ("+", _SUM), "subtract": ("−", _SUM), "multiply": ("⊙", _PRODUCT), "divide": ("/", _PRODUCT)}
_NAMES = {"sigm": "σ", "log": "ln", "matmul": "·"}
_SILENT = {"cast", "broadcast", "reshape", "moveaxis", "mask"}


def equations(graph: Graph) -> list[str]:
    """The lines, in the order in which the values are computed."""
    users: dict[Node, int] = {}
    for node in graph.order():
        for o in node.operands:
            users[o] = users.get(o, 0) + 1
    results = {node: name.removeprefix(NEXT) for name, node in reversed(list(graph.outputs.items()))}
    results |= {graph.outputs[n]: n.removeprefix(NEXT) for n in graph.outputs if n.startswith(NEXT)}
    last_of_brick = {n for n in graph.order() if n.brick and n.operands and not _used_inside(graph, n)}
    taken = {str(n.name) for n in graph.order() if n.name} | set(results.values())
    text: dict[Node, tuple[str, int]] = {}
    lines: list[str] = []
    for node in graph.order():
        if node.op.name == "parameter":
            prefix = f"{node.brick}." if node.brick else ""
            text[node] = (str(node.name).removeprefix(prefix), _ATOM)
            continue
        if node.op.name == "input":
            text[node] = (f"{node.name}'" if node.role == "state" else str(node.name), _ATOM)
            continue
        expression, strength = _expression(node, text)
        named = node in results or node in last_of_brick or (users.get(node, 0) > 1 and strength < _ATOM)
        if not named:
            text[node] = (expression, strength)
            continue
        name = results.get(node) if node not in last_of_brick else str(node.brick)
        name = name or _unused("v", taken)
        taken.add(name)
        lines.append(f"{name} = {expression}")
        text[node] = (name, _ATOM)
        if node in last_of_brick and node in results and results[node] != name:
            lines.append(f"{results[node]} = {name}")
    for name, node in graph.outputs.items():
        short = name.removeprefix(NEXT)
        if f"{short} = " not in "\n".join(lines) + " " and not any(line.startswith(f"{short} = ") for line in lines):
            lines.append(f"{short} = {text[node][0]}")
    return lines


def _used_inside(graph: Graph, node: Node) -> bool:
    return any(node in user.operands and user.brick == node.brick for user in graph.order())


def _unused(stem: str, taken: set[str]) -> str:
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def _wrap(item: tuple[str, int], at_least: int) -> str:
    return item[0] if item[1] >= at_least else f"({item[0]})"


def _expression(node: Node, text: dict[Node, tuple[str, int]]) -> tuple[str, int]:
    args = [text[o] for o in node.operands]
    op = node.op.name
    if op == "constant":
        value = node.attrs["value"]
        return (f"{float(value):g}" if value.ndim == 0 else f"constant{list(value.shape)}", _ATOM)
    if op in _INFIX:
        sign, strength = _INFIX[op]
        right = strength + (op in ("subtract", "divide"))
        return f"{_wrap(args[0], strength)} {sign} {_wrap(args[1], right)}", strength
    if op == "matmul":
        return f"{_wrap(args[0], _UNARY)} {_wrap(args[1], _UNARY)}", _PRODUCT
    if op == "transpose":
        return f"{_wrap(args[0], _ATOM)}ᵀ", _ATOM
    if op == "power":
        return f"{_wrap(args[0], _ATOM)}^{_wrap(args[1], _ATOM)}", _UNARY
    if op == "negative":
        return f"−{_wrap(args[0], _UNARY)}", _SUM
    if op in _SILENT:
        return args[0]
    listed = ", ".join(a[0] for a in args)
    return f"{_NAMES.get(op, op)}({listed})", _ATOM
