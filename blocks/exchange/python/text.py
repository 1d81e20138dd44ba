"""The function of a cell, line by line, from the Python of its nodes.

Nodes are made in the order in which they were: an expression stands inside of another one only where that keeps it.
"""

from __future__ import annotations

import ast
import keyword
from collections import Counter

from ...compile.names import Names
from ...compile.plan.labels import label_of
from ...errors import BlocksError, made
from ...graph import Node
from ...ops.loop import NEXT
from ..function import LONGEST, indented, labels, listed, short
from ..rows import literal, name, text
from .wires import Wires

SIZES = ("inputs", "units")


class Text:
    """The function of a cell, line by line."""

    def __init__(self, wires: Wires):
        self.wires, self.cell, self.graph = wires, wires.cell, wires.graph
        taken = {*keyword.kwlist, "bk", "np", "name", "dict", *SIZES, *(called for called, _ in wires.keys.values())}
        self.names = Names(taken, lower=False)
        self.needed = self.reached()
        self.uses = Counter(self.graph.outputs.values())
        for node in self.needed:
            known = wires.written[node]
            words = Counter(n.id for n in ast.walk(known.expression) if isinstance(n, ast.Name))
            self.uses.update({need: words[f"_{i}"] for i, need in enumerate(known.needs)})
        self.inners: dict[tuple[str, frozenset[Node]], ast.expr] = {}
        self.labels = labels(self.graph)
        self.values: dict[Node, ast.expr] = {}
        self.open: list[Node] = []  # those that no line has yet, in order
        self.lines: list[str] = []
        self.shared = Counter(wires.calls[n].brick for n in self.needed if n in wires.calls)

    def reached(self) -> list[Node]:
        """The nodes that the text makes, in order. Raises BlocksError for one that it cannot."""
        found: set[Node] = set()
        pending = [*self.graph.outputs.values(), *self.graph.fed("input").values()]
        while pending:
            node = pending.pop()
            if node in found:
                continue
            if node not in self.wires.written:
                refused = self.wires.refused
                while node not in refused and (un := [o for o in node.operands if o not in self.wires.written]):
                    node = un[0]
                for loop, why in refused.items():
                    if node is loop or node in self.wires.scans[loop].owned:
                        raise BlocksError(f"a scan inside of a cell is not written as Python: {made(loop)}: {why}")
                row = node.op.rows.get("python")
                hint = (
                    f"; its row, {row!r}, does not make it here" if row else "; its row would be rows={'python': ...}"
                )
                raise BlocksError(f"the operation {node.op.name!r} is not written as Python: {made(node)}{hint}")
            found.add(node)
            pending += self.wires.written[node].needs
        places: dict[Node, tuple[float, int]] = {}
        for node in self.after_needs(found):  # what needs weights that were made anew stands behind them
            own = (self.wires.places.get(node, node.serial), 0)
            latest = max((places[n] for n in self.wires.written[node].needs), default=own)
            places[node] = own if own > latest else (latest[0], latest[1] + 1)
        return sorted(found, key=lambda node: (places[node], node.serial))

    def after_needs(self, nodes: set[Node]) -> list[Node]:
        """Nodes, each behind those that it needs."""
        order: dict[Node, None] = {}
        pending = [*nodes]
        while pending:
            node = pending[-1]
            if todo := [n for n in self.wires.written[node].needs if n not in order]:
                pending += todo
            else:
                order[pending.pop()] = None
        return [*order]

    def lines_of(self) -> str:
        """The function, from behind ``def name(`` on."""
        for node in self.needed:
            self.say(node)
        self.close()
        options = [f"states={text(self.pairs())}", f"outputs={text(self.outputs())}"]
        body = [*self.lines, *listed("return bk.Cell(", [*options, "name=name"], ")")]
        scoped = self.cell.name if self.wires.scope else None  # what has other names than a cell gives has them here
        takes = [*(f"{k}: int = {v}" for k, v in self.wires.sizes.items()), f"name: str | None = {scoped!r}"]
        return "\n".join([f"{', '.join(takes)}) -> bk.Cell:", *indented(body)])

    def say(self, node: Node) -> None:
        """A node as an expression, in a line of its own where it has one."""
        known = self.wires.written[node]
        inside = [n for n in known.needs if n in self.open]
        if inside != self.open[len(self.open) - len(inside) :]:
            self.close()
            inside = []
        call_, makers = self.wires.calls.get(node), dict[str, ast.expr]()
        if call_:
            makers = {"_brick": self.brick(call_.brick)}
        elif node in self.wires.keys:
            makers = {"_cell": self.inner(self.wires.keys[node])}
        inside = [n for n in inside if n in self.open]  # making the brick a line of its own closed all
        del self.open[len(self.open) - len(inside) :]
        values = {f"_{i}": self.values[n] for i, n in enumerate(known.needs)}
        self.values[node] = substituted(known.expression, values | makers)
        if node in self.wires.scans:
            self.close()
            self.values[node] = self.scan(node, self.values[node])
            return
        if node.op.name == "pick" and isinstance(self.values[node], ast.Name):
            return  # it has a name
        leaf = node.op.name in ("input", "draw") or (node.op.name == "parameter" and self.uses[node] > 1)
        label = short(str(node.name)) if leaf else self.labels.get(node)
        if label is None and (self.uses[node] > 1 or len(text(self.values[node])) > LONGEST):
            label = label_of(node)
        if label is None:
            self.open.append(node)
        else:
            self.close()
            self.values[node] = self.bind(label, self.values[node])

    def close(self) -> None:
        """Lines for all that has none."""
        for node in self.open:
            self.values[node] = self.bind(label_of(node), self.values[node])
        self.open.clear()

    def bind(self, label: str, value: ast.expr) -> ast.expr:
        """A line that gives a value a name."""
        identifier = self.names.fresh(label)
        self.lines.append(f"{identifier} = {text(value)}")
        return name(identifier)

    def scan(self, node: Node, value: ast.expr) -> ast.expr:
        """A line that gives what a scan gives a name, or two: of all steps, and last."""
        parts = ["steps", "last"] if self.wires.scans[node].final else ["steps"]
        both = [self.names.fresh(f"{short(self.wires.keys[node][0])}_{part}") for part in parts]
        self.lines.append(f"{', '.join(both)} = {text(value)}")
        names: list[ast.expr] = [name(identifier) for identifier in both]
        return ast.Tuple(names) if len(names) > 1 else names[0]

    def inner(self, key: tuple[str, frozenset[Node]]) -> ast.expr:
        """A cell that is scanned: the call of its function; its variable, where it is scanned more than once."""
        if key not in self.inners:
            made_ = ast.Call(name(key[0]), [], [])
            if list(self.wires.keys.values()).count(key) > 1:
                self.close()
                self.inners[key] = self.bind(f"{short(key[0])}_cell", made_)
            else:
                self.inners[key] = made_
        return self.inners[key]

    def brick(self, called: str) -> ast.expr:
        """A brick: what makes it; its variable, where it is called more than once."""
        brick, maker = self.wires.bricks[called]
        if self.shared[called] > 1 and not isinstance(maker, ast.Name):
            self.close()
            maker = self.bind(f"{short(called)}_brick", maker)
            self.wires.bricks[called] = brick, maker
        return maker

    def pairs(self) -> ast.expr:
        """The states with their next values."""
        nodes = {str(n.name): n for n in self.graph.order() if n.op.name == "input" and n.role == "state"}
        for s in (s for s in self.cell.states if s not in nodes):  # a state whose old value the cell does not use
            known = self.wires.leaf(self.cell.wires[s])
            assert known is not None
            first = {f"_{i}": self.values[n] for i, n in enumerate(known.needs)}
            nodes[s] = self.cell.wires[s]
            self.values[nodes[s]] = self.bind(short(s), substituted(known.expression, first))
        keys: list[ast.expr | None] = [self.values[nodes[s]] for s in self.cell.states]
        return ast.Dict(keys, [self.values[self.graph.outputs[NEXT + s]] for s in self.cell.states])

    def outputs(self) -> ast.expr:
        """The outputs of the cell: one alone, which is called y, or a dict."""
        values = {k: self.values[self.graph.outputs[k]] for k in self.cell.outputs}
        if list(values) == ["y"]:
            return values["y"]
        return ast.Dict([literal(k) for k in values], list(values.values()))


def substituted(expression: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    """An expression with other ones in the place of some names."""

    class Inserted(ast.NodeTransformer):
        def visit_Name(self, found: ast.Name) -> ast.expr:
            return values.get(found.id, found)

        def visit_Subscript(self, found: ast.Subscript) -> ast.AST:
            self.generic_visit(found)
            if isinstance(found.value, ast.Tuple):
                return found.value.elts[ast.literal_eval(found.slice)]  # (steps, last)[1]
            return found

    return Inserted().visit(ast.parse(text(expression), mode="eval").body)
