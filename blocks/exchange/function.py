"""One function of the text that a graph becomes: the graph itself, or the body of a loop.

A value is an expression. It gets a line and a name of its own where a person would give it one: at the end of a brick,
as an output, where the user named it, where it is used twice, and where the line would be too long. What a loop needs
is bound before it, so nothing is computed again at each step.

What differs between languages, and how a loop is written, stands in the subclasses: `stepwise.Stepwise`, `jax.Traced`.
"""

from __future__ import annotations

import ast
import functools
import textwrap
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..compile.names import Names, comment
from ..compile.plan.labels import label_of
from ..equations import ends_of_bricks
from ..errors import BlocksError
from ..graph import FED, Dim, Graph, Node, Shape, show_shape
from ..ops.loop import FINAL, NEXT
from .rows import Filled, atom, code, holes, literal, name, parsed, text
from .walk import walk

if TYPE_CHECKING:
    from .module import Module

LONGEST = 96  # letters of an expression without a line of its own
WIDTH = 112  # letters in a line
QUIET = (*FED, "constant", "size", "pick", "loop")  # what is written where it is used


class Value(NamedTuple):
    """An expression; whether it is a Python number, where an array may be wanted; and whether it means the same in
    every function, as weights do."""

    expression: ast.expr
    number: bool = False
    everywhere: bool = False


class Function(ABC):
    """A function under construction; a `walk.Writer`."""

    def __init__(self, module: Module, called: str, graph: Graph):
        self.module, self.called, self.graph = module, called, graph
        self.names = Names(module.reserved, lower=False)
        self.labels = labels(graph)
        self.users = Counter(o for node in graph.order() for o in node.operands)
        self.users.update(graph.outputs.values())
        self.arguments: dict[str, Node] = {}  # identifier → the leaf that it is
        self.sizes: dict[str, str] = {}  # named dimension → the variable with its size
        self.words: dict[str, None] = {}  # of "dtype" and "device", those that are asked for
        self.extra: list[str] = []  # dimensions and words that the caller hands in
        self.lines: list[str] = []
        self.values: dict[Node, Value] = {}

    # -- what a language says

    @abstractmethod
    def number(self, expression: ast.expr, dtype: str) -> ast.expr:
        """A Python number as an array of no axes."""

    @abstractmethod
    def filled(self, sizes: ast.expr, value: ast.expr, dtype: str) -> ast.expr:
        """An array of these sizes with one number."""

    @abstractmethod
    def repeated(self, sizes: ast.expr, value: ast.expr) -> ast.expr:
        """An array repeated to these sizes."""

    @abstractmethod
    def array(self, value: np.ndarray) -> Value:
        """A constant array."""

    @abstractmethod
    def repeat(self, node: Node, loop: Repeated) -> dict[str, Value]:
        """The lines of a loop, and what it gives."""

    # -- values

    def add(self, wish: str, leaf: Node) -> Value:
        """An argument more."""
        identifier = self.names.fresh(wish)
        self.arguments[identifier] = leaf
        return Value(name(identifier))

    def bind(self, label: str, value: ast.expr) -> ast.expr:
        """A line that gives a value a name."""
        identifier = self.names.fresh(label)
        self.lines.append(f"{identifier} = {text(value)}")
        return name(identifier)

    def held(self, node: Node, value: Value) -> ast.expr:
        """A value that costs nothing to be used again, as an array."""
        expression = self.as_array(node, value)
        return expression if atom(expression) else self.bind(label_of(node), expression)

    def as_array(self, node: Node, value: Value) -> ast.expr:
        """The value of a node as an array, also where it is a number."""
        return self.number(value.expression, node.dtype) if value.number else value.expression

    def size(self, dim: Dim) -> ast.expr:
        """The size of a dimension."""
        if isinstance(dim, int):
            return literal(dim)
        if dim not in self.sizes:
            self.sizes[dim] = self.names.fresh(dim)
        return name(self.sizes[dim])

    def shape(self, shape: Shape) -> ast.expr:
        """The sizes of a shape."""
        return ast.Tuple([self.size(d) for d in shape], ast.Load())

    def need(self, word: str) -> ast.expr:
        """A word that stands for something of this function, "dtype" or "device"; or a helper."""
        if word in ("dtype", "device"):
            self.words[word] = None
        self.module.need(word)
        return name(word)

    def type_of(self, dtype: str) -> ast.expr:
        """The type of "float", "int" or "bool"."""
        return self.need("dtype") if dtype == "float" else code(self.module.types[dtype])

    def operation(self, node: Node, operands: list[Value]) -> Value:
        """An operation, by its row."""
        if node.op.name == "constant":
            value: np.ndarray = node.attrs["value"]
            return Value(literal(value.item()), True, True) if value.ndim == 0 else self.array(value)
        if node.op.name == "size":
            sizes = [self.size(d) for d in node.attrs["dims"]]
            return Value(functools.reduce(lambda a, b: ast.BinOp(a, ast.Mult(), b), sizes), True)
        if node.op.name == "broadcast" and operands[0].number:
            return self.kept(node, self.filled(self.shape(node.shape), operands[0].expression, node.dtype))
        row = self.module.dialect.row(node)
        assert row is not None
        return self.kept(node, self.written(row, node, operands))

    def kept(self, node: Node, expression: ast.expr) -> Value:
        """The value of a node, in a line of its own where it has one."""
        label = self.labels.get(node)
        if label is None and len(text(expression)) > LONGEST:
            label = label_of(node)
        return Value(expression if label is None else self.bind(label, expression))

    def written(self, row: str, node: Node, operands: list[Value]) -> ast.expr:
        """A row over operands."""
        given = list(operands)
        found = Counter(holes(row))
        if given and all(v.number for v in given):
            given[0] = Value(self.number(given[0].expression, node.operands[0].dtype))
        for i, value in enumerate(given):
            if found[str(i)] > 1 and not atom(value.expression):
                given[i] = Value(self.bind(label_of(node.operands[i]), value.expression), value.number)

        def fill(key: str, number: bool) -> ast.expr:
            if key.isdigit() and int(key) < len(given):
                value = given[int(key)]
                return value.expression if number else self.as_array(node.operands[int(key)], value)
            if key == "dtype":
                return self.type_of(node.dtype)
            if key == "sizes":
                return self.shape(node.shape)
            if key not in node.attrs:
                known = [f"{{{i}}}" for i in range(len(given))] + [f"{{{k}}}" for k in node.attrs]
                raise BlocksError(
                    f"the row {row!r} of operation {node.op.name!r} has no {{{key}}}; it may have {', '.join(known)}, "
                    "{sizes} and {dtype}"
                )
            value = node.attrs[key]
            return self.shape(value) if key in ("shape", "dims") else literal(value)

        return Filled(fill, self.need).visit(parsed(row, node))

    # -- loops

    def loop(self, node: Node, operands: list[Value]) -> dict[str, Value]:
        """A loop: its body as a function, and the lines that call it."""
        return self.repeat(node, Repeated(self, node, operands))

    # -- the text

    def header(self) -> list[str]:
        """The lines before all others: what sizes and types are. What no argument says is handed in."""
        lines = []
        for word in self.words:
            source = next((i for i, leaf in self.arguments.items() if leaf.dtype == "float"), None)
            if source is None:
                self.extra.append(word)
            else:
                lines.append(f"{word} = {source}.{word}")
        for dim, identifier in self.sizes.items():
            places = [(i, leaf.shape.index(dim)) for i, leaf in self.arguments.items() if dim in leaf.shape]
            if places:
                lines.append(f"{identifier} = {places[0][0]}.shape[{places[0][1]}]")
            else:
                self.extra.append(dim)
        return lines

    def finish(self, nodes: list[Node], results: list[ast.expr]) -> None:
        """Write the body of a loop: a function of its arguments that returns these values."""
        lines = self.header()
        given = [self.module.first, *self.arguments, *self.extras()]
        head = listed(f"def {self.called}(", given, "):")
        returned = [text(r) for r in results]
        back = [f"return {', '.join(returned)}"]
        if len(back[0]) > WIDTH and len(returned) > 1:
            back = listed("return (", returned, ")")
        takes = {i: leaf.shape for i, leaf in self.arguments.items()}
        gives = {text(r): node.shape for r, node in zip(results, nodes, strict=True)}
        self.module.functions.append([*head, *indented([*says(takes, gives), *lines, *self.lines, *back])])

    def extras(self) -> list[str]:
        """The identifiers of what is handed in beside the arguments."""
        return [self.sizes.get(word, word) for word in self.extra]


class Repeated:
    """A loop whose body is written: how it is called, and with what.

    Attributes: inner, the `Function` of the body; sequences, states and constants, the identifier of each argument of
    it → its value in the caller; results, the nodes that it returns, each once.
    """

    def __init__(self, outer: Function, node: Node, operands: list[Value]):
        a = node.attrs
        self.node, self.reverse, self.time = node, bool(a["reverse"]), str(a["time"])
        self.body: Graph = a["body"]
        self.wires = dict(zip(a["ports"], node.operands, strict=True))
        given = dict(zip(a["ports"], operands, strict=True))
        self.states, self.stacked = a["states"], a["stacked"]
        self.inner = inner = outer.module.function(node)
        self.initial = {s: given[s] for s in self.states}
        self.sequences: dict[str, ast.expr] = {}
        self.rows: dict[str, str] = {}  # port → the argument that has a row of it
        self.carried: dict[str, str] = {}  # state → the argument that has its value
        self.constants: dict[str, ast.expr] = {}  # argument → its value in the caller
        fed: dict[str, Value] = {}
        ports = self.body.fed("input")
        for port in sorted(ports, key=lambda p: (p not in a["sequences"]) + (p not in a["sequences"] + self.states)):
            if port in a["sequences"] or port in self.states or not given[port].everywhere:
                fed[port] = inner.add(short(port), ports[port])
                identifier = next(reversed(inner.arguments))
                if port in a["sequences"]:
                    self.rows[port] = identifier
                    self.sequences[port] = outer.as_array(self.wires[port], given[port])
                elif port in self.states:
                    self.carried[port] = identifier
                else:
                    self.constants[identifier] = outer.held(self.wires[port], given[port])
            else:
                fed[port] = given[port]
        values = walk(self.body, fed, inner)
        nexts = [self.body.outputs[NEXT + s] for s in self.states]
        self.results = list(dict.fromkeys([*nexts, *(self.body.outputs[k] for k in self.stacked)]))
        inner.finish(self.results, [inner.as_array(n, values[n]) for n in self.results])

    def called_with(self, outer: Function, variables: Mapping[str, str]) -> list[ast.expr]:
        """The arguments of the call; `variables`: port → the variable of the caller."""
        known = {i: name(variables[p]) for p, i in {**self.rows, **self.carried}.items()} | self.constants
        extra = [outer.need(w) if w in ("dtype", "device") else outer.size(w) for w in self.inner.extra]
        return [*(known[i] for i in self.inner.arguments), *extra]

    def variables(self, outer: Function) -> tuple[dict[str, str], dict[str, str]]:
        """State → its variable in the caller, bound to its first value; port → the variable of a row."""
        states: dict[str, str] = {}
        for s in self.states:
            leaf, value = self.wires[s], self.initial[s]
            own = leaf.op.name == "input" and outer.users[leaf] == 1 and isinstance(value.expression, ast.Name)
            if own and not value.everywhere:
                assert isinstance(value.expression, ast.Name)
                states[s] = value.expression.id
            else:
                bound = outer.bind(short(s), outer.as_array(leaf, value))
                assert isinstance(bound, ast.Name)
                states[s] = bound.id
        rows = {p: outer.names.fresh(f"{short(p)}_t") for p in self.rows}
        return states, rows

    def targets(self, outer: Function, states: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """The variables that take the results, and lines behind: where two states have one next value."""
        taken: dict[Node, str] = {}
        again: list[str] = []
        for s in self.states:
            node = self.body.outputs[NEXT + s]
            if node in taken:
                again.append(f"{states[s]} = {taken[node]}")
            taken.setdefault(node, states[s])
        for k in self.stacked:
            node = self.body.outputs[k]
            if node not in taken:
                taken[node] = outer.names.fresh(f"{short(k)}_t")
        return [taken[node] for node in self.results], again

    def finals(self, states: Mapping[str, str]) -> dict[str, Value]:
        """The final states."""
        return {FINAL + s: Value(name(states[s])) for s in self.states}


# --- names ---------------------------------------------------------------------------------------


def short(label: str) -> str:
    """A name without the cells around it."""
    return label.rsplit("/", 1)[-1]


def harmless(label: str) -> str:
    """A name as part of a docstring."""
    return comment(label).replace("\\", "/").replace('"', "'")


def called(loop: Node) -> str:
    """What to call the body of a loop: after the cell that it is, if that has a name."""
    scopes = [s.split("/")[:-1] for s in loop.attrs["states"]]
    common = scopes[0] if scopes else []
    for scope in scopes[1:]:
        common = [a for a, b in zip(common, scope, strict=False) if a == b]
    return common[-1] if common and common[-1] else "cell"


def labels(graph: Graph) -> dict[Node, str]:
    """The nodes that have a line of their own → what they are called."""
    users = Counter(o for node in graph.order() for o in node.operands)
    found: dict[Node, str] = {}
    for output, node in sorted(graph.outputs.items(), key=lambda item: not item[0].startswith(NEXT)):
        found.setdefault(node, f"{short(output)}_next" if output.startswith(NEXT) else short(output))
    ends = set(ends_of_bricks(graph))
    for node in graph.order():
        if node.name:
            found[node] = short(node.name)
        elif node in ends:
            found[node] = short(str(node.brick))
        elif users[node] > 1:
            found.setdefault(node, label_of(node))
    return {node: label for node, label in found.items() if node.op.name not in QUIET}


def plural(word: str) -> str:
    """What a list of such things is called."""
    return word + ("es" if word.endswith("s") else "s")


def says(takes: Mapping[str, Shape], gives: Mapping[str, Shape]) -> list[str]:
    """The docstring of a function: the shapes of what goes in and comes out."""
    before, after = (", ".join(f"{harmless(k)} {show_shape(s)}" for k, s in some.items()) for some in (takes, gives))
    words = f"{before or 'nothing'} → {after}."
    lines = textwrap.wrap(words, WIDTH - 10, break_long_words=False, break_on_hyphens=False) or [""]
    return [f'"""{lines[0]}"""'] if len(lines) == 1 else [f'"""{lines[0]}', *lines[1:-1], f'{lines[-1]}"""']


def indented(lines: list[str], depth: int = 1) -> list[str]:
    """Lines further to the right."""
    return ["    " * depth + line if line else line for line in lines]


def listed(head: str, parts: list[str], tail: str) -> list[str]:
    """``head a, b, c tail`` in one line, or in several where that is too long."""
    line = head + ", ".join(parts) + tail
    if len(line) <= WIDTH:
        return [line]
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > WIDTH - 10:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{part},"
    return [head, *indented(lines), tail.lstrip()]


def assigned(targets: list[str], head: str, arguments: list[str]) -> list[str]:
    """``a, b = head(x, y)``."""
    left = ", ".join(targets)
    if len(left) + len(head) < WIDTH:
        return listed(f"{left} = {head}(", arguments, ")")
    *lines, last = listed("(", targets, ")")
    return [*lines, *listed(f"{last} = {head}(", arguments, ")")]
