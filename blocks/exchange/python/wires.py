"""The nodes of a cell, each with the Python that makes it.

A graph says which brick made a node, not how the brick was called. So each expression is tried as it is found: it is
built from what those before it made, and stands only if it computes what the cell does (`Signatures`). What a call
puts in by itself, aligned shapes, casts, is so left out of the text, and a brick of a kind that is not known is written
as its operations.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import itertools
import re
from collections.abc import Callable, Collection, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ...bricks import EMBED, wire_name
from ...cell import Cell
from ...errors import BlocksError, made
from ...graph import FED, Graph, Node
from ...ops.random import LAWS
from ..calls import Call, calls_of
from ..rows import Filled, call, code, literal, name, parsed
from ..signatures import Signatures
from .loops import Scan, begun, loop_of
from .rows import PYTHON

USUAL = (np.float64, np.int64, np.bool_)  # what NumPy makes of numbers of Python
Inner = Callable[[Cell], tuple[str, Cell]]


class Written(NamedTuple):
    """An expression over other nodes, which stand in it as the names ``_0``, ``_1``, …; the node that it makes here, or
    of a scan, all that it gives."""

    expression: ast.expr
    needs: tuple[Node, ...]
    made: Any


class Wires:
    """The nodes of a cell, each with the Python that makes it. `inner` gives the cell that the text of another one
    makes, and what its function is called; `plain`: bricks that are written as operations."""

    def __init__(self, cell: Cell, graph: Graph, scope: str, sizes: dict[str, int], inner: Inner, plain: set[str]):
        import blocks

        self.bk, self.cell, self.graph, self.scope, self.plain = blocks, cell, graph, scope, plain
        self.sizes, self.inner = sizes, inner
        self.alike = Signatures(scope)
        self.written: dict[Node, Written] = {}
        self.twins: dict[tuple[Any, ...], Node] = {}  # what stands under another name too
        self.aliases: dict[tuple[Node, str], Node] = {}  # (wire, slot) → the wire under that name
        self.places: dict[Node, float] = {}  # where they stand in the order of nodes
        self.modules: dict[str, ModuleType] = {}  # those that the rows of a user's operations call, by name
        self.failed: set[str] = set()  # bricks that are not what they seem
        self.scans = {node: Scan(node, graph, self.own) for node in graph.order() if node.op.name == "loop"}
        self.keys: dict[Node, tuple[str, frozenset[Node]]] = {}  # loop → its cell: what makes it, and its weights
        self.refused: dict[Node, str] = {}  # why a loop is not written
        owned = {leaf for scan in self.scans.values() for leaf in scan.owned}
        self.bricks: dict[str, tuple[Any, ast.expr]] = {}  # name → the brick, and what makes it
        self.calls = {c.end: c for c in calls_of(graph) if c.brick not in plain}
        covered = {node for c in self.calls.values() for node in c.inside}
        owner = {w: c.brick for c in self.calls.values() for w in c.weights.values()}
        for node in graph.order():
            if node.operands and node not in covered:
                self.failed |= {node.brick} if node.brick else set()
                self.failed |= {owner[o] for o in node.operands if o in owner}
        self.free = {o for node in graph.order() if node not in self.scans for o in node.operands}
        if scope:
            self.place_weights()
        for node in graph.order():
            if node in owned:
                continue  # an inner cell makes it
            found = self.leaf(node) if node.op.name in FED else self.node(node)
            if found is not None:
                self.written[node] = found

    def place_weights(self) -> None:
        """In a named cell all weights were made anew, before all else; those of no brick are written behind the bricks
        whose weights were made before them."""
        ends: dict[Node, int] = {}
        for end, made_by in sorted(self.calls.items(), key=lambda item: item[0].serial):
            ends |= {w: end.serial for w in made_by.weights.values() if w not in ends}
        for weight in self.graph.fed("parameter").values():
            earlier = [at for w, at in ends.items() if w.serial < weight.serial]
            if weight not in ends and earlier:
                self.places[weight] = max(earlier) + 0.25

    def own(self, label: str) -> str:
        """A name without that of the cell."""
        return label.removeprefix(self.scope)

    def run(self, expression: ast.expr, needs: tuple[Node, ...], **more: Any) -> Any:
        """What an expression makes here."""
        known = {f"_{i}": self.written[n].made for i, n in enumerate(needs)} | self.sizes | more
        tree = ast.fix_missing_locations(ast.Expression(expression))
        self.modules |= modules_of(tree, {"bk", "np", *known})
        return eval(compile(tree, "python", "eval"), {"bk": self.bk, "np": np, **self.modules}, known)

    def size(self, number: int, called: str) -> ast.expr:
        """A size, by name where the function of the cell takes it."""
        return name(called) if self.sizes.get(called) == number else literal(number)

    def any_size(self, number: Any) -> ast.expr:
        """A size of weights, by the name of either."""
        return self.size(number, "units" if self.sizes.get("units") == number else "inputs")

    # -- leaves

    def leaf(self, node: Node) -> Written | None:
        """An input, a state, weights or a draw."""
        label = literal(self.own(str(node.name)))
        expression: ast.expr
        if node.op.name == "parameter":
            expression = call("bk.parameter", label, *map(self.any_size, node.shape), init=recipe(node))
        elif node.op.name == "draw":
            options: dict[str, Any] = dict(zip(LAWS[node.attrs["law"]].options, node.attrs["of"], strict=True))
            sizes, shape = self.features(node, "units")
            given = {k: literal(v) for k, v in options.items()}
            own = not node.attrs["named"] and re.sub(r"_\d+$", "", self.own(str(node.name))) == node.attrs["law"]
            called = {} if own else {"name": label}
            expression = call(f"bk.{node.attrs['law']}", *sizes, **given, **called, **shape)
        else:
            kind = {} if node.dtype == "float" else {"dtype": literal(node.dtype)}
            sizes, shape = self.features(node, "units" if node.role == "state" else "inputs")
            if node.role != "state":
                expression = call("bk.input", label, *sizes, **kind, **shape)
            else:
                return self.state(node, [label, *sizes], {**kind, **shape})
        return Written(expression, (), self.run(expression, ()))

    def features(self, node: Node, called: str) -> tuple[list[ast.expr], dict[str, ast.expr]]:
        """The sizes behind the batch; or the whole shape, as an option, where there is another one before."""
        if node.shape[:1] == ("batch",) and all(isinstance(d, int) for d in node.shape[1:]):
            return [self.size(int(d), called) for d in node.shape[1:]], {}
        return [], {"shape": literal(tuple(node.shape))}

    def state(self, node: Node, given: list[ast.expr], options: dict[str, ast.expr]) -> Written:
        """A state, with what it begins with."""
        default = node.attrs["default"]
        first = self.cell.firsts.get(self.scope + self.own(str(node.name)))
        needs: tuple[Node, ...] = ()
        if first is not None:
            options, needs = {**options, "init": name("_0")}, (first,)
        elif isinstance(default, np.ndarray):
            number = default.ndim == 0
            options = {**options, "init": literal(default.item()) if number else array(default)}
        expression = call("bk.state", *given, **options)
        return Written(expression, needs, self.run(expression, needs))

    # -- operations and bricks

    def node(self, node: Node) -> Written | None:
        """The Python of a node; None, if there is none by itself."""
        if node in self.scans:
            return self.scanned(node)
        if node.op.name == "pick":
            return self.picked(node)
        label = node.name and self.own(node.name)
        twin = self.twins.setdefault((node.op, node.operands), node)
        if label and twin in self.written and self.alike.same(twin, node):
            self.calls.pop(node, None)
            renamed = call("bk.named", literal(label), name("_0"))
            return Written(renamed, (twin,), self.run(renamed, (twin,)))
        if node in self.calls:
            wires = self.calls[node].wires.values()
            if not all(w in self.written for w in wires):
                return None
            found = self.brick(self.calls[node])
            if found is None:
                self.failed.add(str(node.brick))
            return found
        for expression, needs in self.candidates(node):
            if not all(n in self.written for n in needs):
                continue
            try:
                new = self.run(expression, needs)
            except (BlocksError, TypeError, ValueError):
                continue
            if isinstance(new, Node) and self.alike.same(new, node):
                if label and new.name != label:
                    expression = call("bk.named", literal(label), expression)
                    new = self.run(expression, needs)
                return Written(expression, needs, new)
        return None

    def scanned(self, node: Node) -> Written | None:
        """A scan; what it makes is what `scan` returns."""
        scan = self.scans[node]
        try:
            called, cell = self.inner(scan.cell)
            key = called, frozenset(o for o in scan.owned if o.op.name == "parameter")
            others = self.free.union(*(weights for known, weights in self.keys.values() if (known, weights) != key))
            if elsewhere := key[1] & others:
                raise BlocksError(f"its weights {made(min(elsewhere, key=str))} stand elsewhere too")
            for initial in scan.initials():
                expression, needs = scan.expression(initial)
                if not all(n in self.written for n in needs):
                    continue
                new = begun(self.run(expression, needs, _cell=cell))
                if self.alike.same(loop_of(new), node):
                    self.keys[node] = key
                    return Written(expression, needs, new)
            raise BlocksError("`scan` does not make it")
        except BlocksError as error:
            self.refused[node] = str(error)
        return None

    def picked(self, node: Node) -> Written | None:
        """What a scan gives at each step, or at last."""
        (loop,) = node.operands
        if loop not in self.written:
            return None
        expression = self.scans[loop].part(node.attrs["output"])
        return Written(expression, (loop,), self.run(expression, (loop,)))

    def candidates(self, node: Node) -> Iterator[tuple[ast.expr, tuple[Node, ...]]]:
        """What may be written for a node: the shortest first."""
        if node.op.name == "constant":
            value = node.attrs["value"]
            yield call("bk.constant", value=literal(value.item()) if is_number(node) else array(value)), ()
            return
        yield from self.of_draws(node)
        inner = node.operands[0] if node.role == "align" and node.operands else None
        if inner is not None:  # what a product puts around itself
            if inner.op.name == "matmul" and inner.operands[1].op.name == "transpose":
                matrix, vector = inner.operands[1].operands[0], before(inner.operands[0])[0]
                yield call("bk.matvec", name("_0"), name("_1")), (matrix, vector)
            yield from self.over(inner)
        yield from self.over(node)

    def of_draws(self, node: Node) -> Iterator[tuple[ast.expr, tuple[Node, ...]]]:
        """Dropout and noise."""
        if len(node.operands) != 2:
            return
        x, other = node.operands
        draw = other.operands[0] if other.op.name == "divide" else other
        if draw.op.name != "draw" or draw.attrs["named"] or node.op.name not in ("multiply", "add"):
            return
        if node.op.name == "add":
            yield call("bk.noise", name("_0"), literal(draw.attrs["of"][-1])), (x,)
            return
        rate = literal(round(1.0 - draw.attrs["of"][0], 12))
        shape = {} if draw.shape == x.shape else {"shape": literal(tuple(draw.shape))}
        yield call("bk.dropout", name("_0"), rate, **shape), (x,)

    def over(self, node: Node) -> Iterator[tuple[ast.expr, tuple[Node, ...]]]:
        """The row of an operation, over its operands or what they were before a call aligned or cast them."""
        row = PYTHON.row(node)
        if row is None:
            return
        for chosen in itertools.islice(itertools.product(*(before(o) for o in node.operands)), 32):
            needs = tuple(dict.fromkeys(c for c in chosen if isinstance(c, Node)))

            def fill(key: str, number: bool, chosen: Any = chosen, needs: Any = needs) -> ast.expr:
                if not key.isdigit():
                    value = node.attrs[key]
                    return array(value) if isinstance(value, np.ndarray) else literal(value)
                it = chosen[int(key)]
                return name(f"_{needs.index(it)}") if isinstance(it, Node) else it

            yield Filled(fill, lambda word: None).visit(parsed(row, node)), needs

    def brick(self, found: Call) -> Written | None:
        """A call of a brick."""
        called = self.own(found.brick)
        for kind in found.kinds:
            for named in (False, True):
                try:
                    brick, maker = self.bricks.get(found.brick) or self.make(kind, found, called, named)
                    new = brick(*self.slots(found, named))
                except BlocksError:
                    continue
                if self.alike.same(new, found.end):
                    self.bricks[found.brick] = brick, maker
                    needs = [self.as_named(s, w, found.end) if named else w for s, w in found.wires.items()]
                    parts: list[ast.expr] = [name(f"_{i}") for i in range(len(needs))]
                    expression = ast.Call(name("_brick"), parts, [])
                    return Written(expression, tuple(needs), new)
        return None

    def as_named(self, slot: str, wire: Node, user: Node) -> Node:
        """A wire under the name that weights have after it; itself, if it is called so, or is fed and has its own."""
        known = self.written[wire]
        if wire.op.name in FED or wire_name(known.made, 0) == slot:
            return wire
        if (wire, slot) not in self.aliases:
            new = self.bk.named(slot, known.made)
            self.aliases[wire, slot] = new
            self.written[new] = Written(call("bk.named", literal(slot), name("_0")), (wire,), new)
            self.places[new] = user.serial - 0.5
        return self.aliases[wire, slot]

    def slots(self, found: Call, named: bool) -> list[Any]:
        """The wires of a call, made here; `named`: after the slots of its weights."""
        wires = [self.as_named(s, w, found.end) if named else w for s, w in found.wires.items()]
        return [self.written[w].made for w in wires]

    def make(self, kind: Any, found: Call, called: str, named: bool) -> tuple[Any, ast.expr]:
        """A new brick, and what makes it."""
        options = found.options(kind)
        sizes = [self.size(found.units, "units")]
        if kind is EMBED:
            sizes.insert(0, literal(int(found.weights["W"].shape[0])))
        numbers = [self.run(s, ()) for s in sizes]
        first = kind(*numbers, name=called, **options)
        if kind is not EMBED:
            first(*self.slots(found, named))
        init = found.inits(first)
        if init is not None:
            options["init"] = init
        brick = kind(*numbers, name=called, **options)
        written = {k: given(found, v) if k == "init" else literal_of(v) for k, v in options.items()}
        return brick, call(f"bk.{kind.__name__}", *sizes, name=literal(called), **written)


def before(node: Node) -> list[Any]:
    """What an operand may be written as: a number, what it was before it was aligned or cast, itself."""
    base = node
    while (base.role == "align" and base.op.name == "reshape") or (base.op.name == "cast" and base.operands):
        base = base.operands[0]
    found: list[Any] = [literal(base.attrs["value"].item())] if is_number(base) else []
    return [*found, *([base] if base is not node else []), node]


def is_number(node: Node) -> bool:
    """Whether a node is a constant that is a number of Python."""
    value = node.attrs["value"] if node.op.name == "constant" else None
    return value is not None and value.ndim == 0 and value.dtype in USUAL


def array(value: np.ndarray) -> ast.expr:
    """An array as an expression of NumPy."""
    kind = {} if value.dtype in USUAL else {"dtype": literal(value.dtype.name)}
    return call("np.array", code(repr(value.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")), **kind)


def recipe(node: Node) -> ast.expr:
    """The first weights of a parameter. Raises BlocksError for a function, which no text holds."""
    init = node.attrs["init"]
    if callable(init):
        raise BlocksError(f"a function makes the first weights of {made(node)}; it cannot be written as Python")
    return array(init) if isinstance(init, np.ndarray) else literal(init)


def given(found: Call, init: Any) -> ast.expr:
    """The option `init` of a brick."""
    if isinstance(init, dict):
        return ast.Dict([literal(k) for k in init], [recipe(found.weights[k]) for k in init])
    return recipe(next(n for k, n in found.weights.items() if k != "b"))


def literal_of(value: Any) -> ast.expr:
    """An option: a text, a number, or a dict of them."""
    return code(repr(value)) if isinstance(value, dict) else literal(value)


def modules_of(tree: ast.AST, known: Collection[str]) -> dict[str, ModuleType]:
    """The modules that an expression names beside what is known, ``mine`` of ``mine.sinh(x)``. Raises BlocksError for
    one that cannot be imported here."""
    found: dict[str, ModuleType] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known and not hasattr(builtins, node.id):
            try:
                found[node.id] = importlib.import_module(node.id)
            except ImportError as error:
                raise BlocksError(f"a row for Python names {node.id!r}, which is no module here: {error}") from None
    return found
