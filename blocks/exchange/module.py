"""The whole text that a graph becomes: functions, constants, helpers, and the function that a user calls."""

from __future__ import annotations

import ast
import keyword
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..compile.names import Names
from ..graph import Node, Shape
from ..ops.random import LAWS
from .function import Function, Value, called, indented, listed, says
from .given import Given
from .rows import Dialect, literal, name, text
from .walk import all_nodes, ready, walk

BUILTINS = ("float", "next", "range", "slice", "super", "tuple", "vars", "zip", "TypeError", "ValueError")  # used here
PARTS = Path(__file__).parent / "parts"
LITERAL = 64  # numbers of a constant that is written out; of more, the bytes are


class Module(ABC):
    """A text under construction. A language is a subclass with its dialect, and its kind of function."""

    dialect: Dialect
    kind: type[Function]
    types: ClassVar[dict[str, str]]  # of integers and booleans
    words: tuple[str, ...]  # identifiers that the text needs itself
    constants_are = "CONSTANT"
    first: str  # the first argument of every function, with the weights

    def __init__(self, given: Given):
        self.given = given
        self.parts = self.helpers_of()
        self.reserved = {*keyword.kwlist, *BUILTINS, *self.words, *self.parts, self.first, "named", "final"}
        self.reserved |= {"dtype", "device"}
        self.names = Names(self.reserved | set(given.leaves), lower=False)
        self.functions: list[list[str]] = []
        self.needed: dict[str, None] = {}  # helpers
        self.constants: dict[tuple[str, tuple[int, ...], bytes], tuple[str, np.ndarray]] = {}
        self.graph = ready(given.graph, self.dialect.covers, self.dialect.title, self.dialect.key)
        self.bodies: dict[Node, str] = {}  # loop → what its step is called
        self.name_all()

    def helpers_of(self) -> dict[str, str]:
        """What may be copied into the text: name → function."""
        return functions_in(PARTS / f"{self.dialect.key}.py")

    def name_all(self) -> None:
        """Names for the steps of all loops and for all constants: no variable of a function is called like them."""
        for node in all_nodes(self.graph):
            if node.op.name == "loop":
                self.bodies[node] = self.names.fresh(called(node))
            value = node.attrs.get("value" if node.op.name == "constant" else "default")
            if isinstance(value, np.ndarray) and value.ndim:
                self.constant(value)
        self.reserved |= {*self.bodies.values(), *(i for i, _ in self.constants.values())}

    # -- what a language says

    @abstractmethod
    def weight(self, called: str) -> ast.expr:
        """The weights of that name."""

    @abstractmethod
    def moved(self, value: ast.expr, source: int, destination: int) -> ast.expr:
        """An array with an axis at another place."""

    @abstractmethod
    def call(self, called: str) -> tuple[str, list[str]]:
        """How a function is called, and with what before all else."""

    @abstractmethod
    def taken(self, f: Function, identifier: str, leaf: Node) -> ast.expr:
        """What is fed, as the array that is computed with."""

    @abstractmethod
    def type_without_weights(self, inputs: dict[str, Node]) -> dict[str, str]:
        """What "dtype" and "device" are, where no weights say so: of the inputs that must be fed."""

    # -- what functions ask for

    def function(self, loop: Node) -> Function:
        """A new function, the step of a loop."""
        return self.kind(self, self.bodies[loop], loop.attrs["body"])

    def need(self, word: str) -> None:
        """A word that stands in the text: if it is a helper, the text will have it."""
        if word in self.parts:
            self.needed[word] = None

    def constant(self, value: np.ndarray) -> str:
        """The identifier of a constant array."""
        key = value.dtype.str, value.shape, value.tobytes()
        if key not in self.constants:
            self.constants[key] = self.names.fresh(self.constants_are), value
        return self.constants[key][0]

    def constant_text(self, value: np.ndarray) -> str:
        """A constant array as an expression of NumPy."""
        if value.size <= LITERAL and np.isfinite(value).all():
            return f"np.array({value.tolist()!r}, np.{value.dtype.name})"
        self.need("unpacked")
        return f"unpacked({packed(value)!r}, {value.dtype.name!r}, {value.shape!r})"

    def helpers(self) -> list[list[str]]:
        """The helpers that are needed, and those that they need, in the order of their file."""
        pending, wanted = [*self.needed], set[str]()
        while pending:
            found = pending.pop()
            if found not in wanted:
                wanted.add(found)
                pending += [w for w in self.parts if w != found and w in names_in(self.parts[found])]
        return [self.parts[k].splitlines() for k in self.parts if k in wanted]

    # -- the function that a user calls

    def network(self, entry: str) -> list[str]:
        """The function of the whole graph."""
        f = self.kind(self, entry, self.graph)
        asked = self.graph.fed("input", "draw")
        required: list[str] = []
        optional: list[str] = []
        named: list[tuple[str, str, bool]] = []
        for key, leaf in self.given.leaves.items():
            identifier = f.names.fresh(key)
            f.arguments[identifier] = asked.get(key, leaf)
            must = leaf.op.name == "input" and leaf.attrs["default"] is None
            if identifier != key:
                named.append((identifier, key, must))
            (required if must else optional).append(identifier)
        fed = {str(leaf.name): Value(name(i)) for i, leaf in f.arguments.items()}
        fed |= {w: Value(self.weight(w), everywhere=True) for w in self.graph.params}
        values = walk(self.graph, fed, f)
        plain = [i for i in [*required, *optional] if i not in [n[0] for n in named]]
        signature = [i if i in required else f"{i}=None" for i in plain]
        signature += ["final=False"] if self.given.finals else []
        signature += ["**named"] if named else []
        back = self.returned(f, values)
        begin = [f"{i} = named.pop({k!r})" if must else f"{i} = named.pop({k!r}, None)" for i, k, must in named]
        if named:
            begin += ["if named:", "    raise TypeError(f'unknown inputs: {\", \".join(named)}')"]
        begin += self.beginning(f, required, optional)
        head = listed(f"def {entry}(", [self.first, *signature], "):")
        takes = {i: self.user_shape(self.given.leaves[k]) for i, k in zip(f.arguments, self.given.leaves, strict=True)}
        gives = {k: self.user_shape(n) for k, n in self.given.outputs.items()}
        return [*head, *indented([*says(takes, gives), *begin, *f.lines, *back])]

    def beginning(self, f: Function, required: list[str], optional: list[str]) -> list[str]:
        """The lines that make arrays of what is fed, and say what types and sizes are."""
        defaults = []
        for i in optional:
            leaf = f.arguments[i]
            if f.users[leaf]:  # asks for types and sizes, so before these
                used = text(self.moved_in(self.taken(f, i, leaf), leaf))
                defaults.append(f"{i} = {text(self.default(f, leaf))} if {i} is None else {used}")
        lines, later = [], []
        for i in required:
            leaf = f.arguments[i]
            used = text(self.moved_in(self.taken(f, i, leaf), leaf))
            if f.users[leaf] and used != i:
                later.append(f"{i} = {used}")
        weight = next(iter(self.graph.params), None)
        words = self.type_without_weights({i: f.arguments[i] for i in required})
        for word in f.words:
            lines.append(f"{word} = " + (words[word] if weight is None else f"{text(self.weight(weight))}.{word}"))
        return [*lines, *later, *self.size_lines(f, required, optional), *defaults]

    def size_lines(self, f: Function, required: list[str], optional: list[str]) -> list[str]:
        """The lines that say what sizes are: of what must be fed, else of weights, else of what may be fed."""
        lines = []
        for dim, identifier in f.sizes.items():
            leaves = {i: f.arguments[i] for i in required if f.users[f.arguments[i]]}
            places = [f"{i}.shape[{n.shape.index(dim)}]" for i, n in leaves.items() if dim in n.shape]
            weights = self.graph.fed("parameter").items()
            places += [f"{text(self.weight(w))}.shape[{n.shape.index(dim)}]" for w, n in weights if dim in n.shape]
            if not places:
                some = [(i, f.arguments[i]) for i in [*required, *optional] if dim in f.arguments[i].shape]
                pairs = [f"({i}, {self.user_shape(n).index(dim)})" for i, n in some]
                self.need("size_of")
                places = [f"size_of({dim!r}, {', '.join(pairs)})"]
            lines.append(f"{identifier} = {places[0]}")
        return lines

    def user_shape(self, node: Node) -> Shape:
        """The shape of what a user hands in or gets."""
        at = self.given.batch_at(node)
        return (node.shape[at], *node.shape[:at], *node.shape[at + 1 :]) if at else node.shape

    def moved_in(self, value: ast.expr, leaf: Node) -> ast.expr:
        """What a user feeds, as the graph has it."""
        at = self.given.batch_at(leaf)
        return self.moved(value, 0, at) if at else value

    def default(self, f: Function, leaf: Node) -> ast.expr:
        """The value of what is not fed."""
        if leaf.op.name == "draw":
            return self.expected(f, leaf)
        default = leaf.attrs["default"]
        if isinstance(default, str) or default.ndim == 0:
            zero = {"float": 0.0, "int": 0, "bool": False}[leaf.dtype]
            number = zero if isinstance(default, str) else default.item()
            return f.filled(f.shape(leaf.shape), literal(number), leaf.dtype)
        return f.repeated(f.shape(leaf.shape), f.array(default).expression)

    def expected(self, f: Function, leaf: Node) -> ast.expr:
        """The expectation of a draw."""
        mean = LAWS[leaf.attrs["law"]].mean(*leaf.attrs["of"])
        return f.filled(f.shape(leaf.shape), literal(float(mean)), "float")

    def returned(self, f: Function, values: dict[Node, Value]) -> list[str]:
        """The lines that give the outputs back."""

        def out(node: Node) -> str:
            at = self.given.batch_at(node)
            value = f.as_array(node, values[node])
            return text(self.moved(value, at, 0) if at else value)

        # by name, as sweeping made other nodes of those that were given
        outputs = {k: out(self.graph.outputs[k]) for k in self.given.outputs}
        whole = next(iter(outputs.values())) if self.given.model and len(outputs) == 1 else None
        pairs = [f"{k!r}: {v}" for k, v in outputs.items()]
        if not self.given.finals:
            return [f"return {whole}"] if whole else listed("return {", pairs, "}")
        outputs_line = [f"outputs = {whole}"] if whole else listed("outputs = {", pairs, "}")
        finals = {k: out(self.graph.outputs[f"final/{k}"]) for k in self.given.finals}
        states = listed("finals = {", [f"{k!r}: {v}" for k, v in finals.items()], "}")
        return [*outputs_line, *states, "return (outputs, finals) if final else outputs"]


# --- helpers and constants -----------------------------------------------------------------------


def functions_in(path: Path) -> dict[str, str]:
    """The functions of a file, name → text."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    return {n.name: ast.get_source_segment(source, n) or "" for n in tree.body if isinstance(n, ast.FunctionDef)}


def names_in(source: str) -> set[str]:
    """The names that a text uses."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def packed(value: np.ndarray) -> str:
    """The bytes of an array as text."""
    import base64
    import zlib

    little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return base64.b85encode(zlib.compress(little.tobytes(), 9)).decode()
