"""A cell as the Python that a person would write: wires, states, bricks with their options, operations, names.

A graph says which brick made a node, not how the brick was called. So each line is tried as it is found: it is built
from what the lines before made, and stands only if it computes what the cell does (`Signatures`). What a call puts in
by itself, aligned shapes, casts, is so left out of the text, and a brick of a kind that is not known is written as its
operations. Nodes are made in the order in which they were: an expression stands inside of another one only where that
keeps it.
"""

from __future__ import annotations

import ast
import itertools
import keyword
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..bricks import EMBED, wire_name
from ..cell import Cell
from ..compile.names import Names
from ..compile.plan.labels import label_of
from ..errors import BlocksError, made
from ..graph import FED, Graph, Node
from ..ops.loop import NEXT
from ..ops.random import LAWS
from ..train.model import Model
from .calls import Call, calls_of
from .cells import cells_of
from .function import LONGEST, indented, labels, listed, short
from .python_rows import PYTHON
from .rows import Filled, call, code, literal, name, parsed, text
from .signatures import Signatures

SIZES = ("inputs", "units")
USUAL = (np.float64, np.int64, np.bool_)  # what NumPy makes of numbers of Python


class Written(NamedTuple):
    """An expression over other nodes, which stand in it as the names ``_0``, ``_1``, …; the node that it makes here."""

    expression: ast.expr
    needs: tuple[Node, ...]
    made: Node


class Wires:
    """The nodes of a cell, each with the Python that makes it. `plain`: bricks that are written as operations."""

    def __init__(self, cell: Cell, graph: Graph, scope: str, sizes: dict[str, int], plain: set[str]):
        import blocks

        self.bk, self.cell, self.graph, self.scope, self.plain = blocks, cell, graph, scope, plain
        self.sizes = sizes
        self.alike = Signatures(scope)
        self.written: dict[Node, Written] = {}
        self.twins: dict[tuple[Any, ...], Node] = {}  # what stands under another name too
        self.aliases: dict[tuple[Node, str], Node] = {}  # (wire, slot) → the wire under that name
        self.places: dict[Node, float] = {}  # where they stand in the order of nodes
        self.failed: set[str] = set()  # bricks that are not what they seem
        self.bricks: dict[str, tuple[Any, ast.expr]] = {}  # name → the brick, and what makes it
        self.calls = {c.end: c for c in calls_of(graph) if c.brick not in plain}
        covered = {node for c in self.calls.values() for node in c.inside}
        for node in graph.order():
            if node.brick and node.operands and node not in covered:
                self.failed.add(node.brick)
        if scope:
            self.place_weights()
        for node in graph.order():
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

    def run(self, expression: ast.expr, needs: tuple[Node, ...]) -> Any:
        """What an expression makes here."""
        known = {f"_{i}": self.written[n].made for i, n in enumerate(needs)} | self.sizes
        tree = ast.fix_missing_locations(ast.Expression(expression))
        return eval(compile(tree, "python", "eval"), {"bk": self.bk, "np": np}, known)

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
                    return literal(node.attrs[key])
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


# --- the function --------------------------------------------------------------------------------


def to_python(source: Cell | Graph | Model, *, called: str | None = None) -> str:
    """The Python that makes a cell: a function that returns it, with the kinds of its bricks and their options, states,
    names, and first weights. Of a graph or a model, one for each cell that it scans.

    Executed, ``cell(inputs, units)`` and so on, it gives a cell that computes the same, with the same names. The
    function takes the features of the only input and the units, where these are all the sizes that the cell has;
    numbers stay as they are, also one that was made of the sizes (1 / √units). A brick of a class of your own is
    written as its operations. `called`: the name of the function; by default that of the cell.

    Raises BlocksError naming what is not written: a scan inside of the cell, an operation of your own without a row
    (``rows={"python": "mine.sinh({0})"}``), first weights that a function makes.
    """
    if isinstance(source, Cell):
        cells = [source]
    elif isinstance(source, Graph | Model):
        cells = list(cells_of(source if isinstance(source, Graph) else source.graph))
    else:
        raise BlocksError(f"a Cell is written as Python, or those of a Graph or a Model, not a {type(source).__name__}")
    if not cells:
        raise BlocksError("this graph scans no cell, so there is none to write as Python")
    names = Names({*keyword.kwlist, "bk", "np"}, lower=False)
    functions: dict[str, str] = {}  # the text but for its name → the text: a cell may be scanned twice
    for cell in cells:
        lines = Text(_wires(cell)).lines_of()
        if lines not in functions:
            functions[lines] = f"def {names.fresh(called or cell.name or 'cell')}({lines}"
    body = "\n\n\n".join(functions.values())
    return ("import numpy as np\n\n" if "np." in body else "") + f"import blocks as bk\n\n\n{body}\n"


def _wires(cell: Cell) -> Wires:
    """The nodes of a cell with their Python; bricks that are not what they seem, as operations."""
    scope = scope_of(cell)
    firsts = {f"first/{k}_first": node for k, node in cell.firsts.items()}
    graph = Graph({**firsts, **cell.graph.outputs})
    sizes = sizes_of(cell, graph)
    plain: set[str] = set()
    while True:
        wires = Wires(cell, graph, scope, sizes, plain)
        if wires.failed <= plain:
            return wires
        plain |= wires.failed


def scope_of(cell: Cell) -> str:
    """What stands before all names: that of the cell."""
    graph, scope = cell.graph, f"{cell.name}/"
    named = [*graph.params, *cell.states, *graph.draws]
    return scope if cell.name and all(n.startswith(scope) for n in named) else ""


def sizes_of(cell: Cell, graph: Graph) -> dict[str, int]:
    """The sizes that the function of a cell takes: none, if the cell has others than these two."""
    leaves = [graph.fed("input")[n] for n in cell.inputs]
    states = list(cell.wires.values())
    if len(leaves) != 1 or leaves[0].dtype != "float" or not states:
        return {}
    shapes = [leaves[0].shape, *(s.shape for s in states)]
    if any(len(s) < 2 or s[0] != "batch" or any(isinstance(d, str) for d in s[1:]) for s in shapes):
        return {}
    inputs, units = int(leaves[0].shape[-1]), int(states[0].shape[-1])
    known = {inputs, units}
    for node in graph.order():
        fixed = (
            {"shape", "start", "classes", "rows"} & set(node.attrs) if node.operands and node.role != "align" else ()
        )
        arrays = [v for v in node.attrs.values() if isinstance(v, np.ndarray) and v.ndim]
        if fixed or arrays or (node.op.name in FED and any(isinstance(d, int) and d not in known for d in node.shape)):
            return {}
    return {"inputs": inputs, "units": units}


class Text:
    """The function of a cell, line by line."""

    def __init__(self, wires: Wires):
        self.wires, self.cell, self.graph = wires, wires.cell, wires.graph
        self.names = Names({*keyword.kwlist, "bk", "np", "name", "dict", *SIZES}, lower=False)
        self.needed = self.reached()
        self.uses = Counter(self.graph.outputs.values())
        for node in self.needed:
            known = wires.written[node]
            words = Counter(n.id for n in ast.walk(known.expression) if isinstance(n, ast.Name))
            self.uses.update({need: words[f"_{i}"] for i, need in enumerate(known.needs)})
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
                while unknown := [o for o in node.operands if o not in self.wires.written]:
                    node = unknown[0]
                what = "a scan inside of a cell" if node.op.kind == "loop" else f"the operation {node.op.name!r}"
                hint = "" if node.op.kind == "loop" else "; its row would be rows={'python': ...}"
                raise BlocksError(f"{what} is not written as Python: {made(node)}{hint}")
            found.add(node)
            pending += self.wires.written[node].needs
        return sorted(found, key=lambda node: (self.wires.places.get(node, node.serial), node.serial))

    def lines_of(self) -> str:
        """The function, from behind ``def name(`` on."""
        for node in self.needed:
            self.say(node)
        self.close()
        options = [f"states={text(self.pairs())}", f"outputs={text(self.outputs())}"]
        body = [*self.lines, *listed("return bk.Cell(", [*options, "name=name"], ")")]
        takes = [*(f"{k}: int = {v}" for k, v in self.wires.sizes.items()), f"name: str | None = {self.cell.name!r}"]
        return "\n".join([f"{', '.join(takes)}) -> bk.Cell:", *indented(body)])

    def say(self, node: Node) -> None:
        """A node as an expression, in a line of its own where it has one."""
        known = self.wires.written[node]
        inside = [n for n in known.needs if n in self.open]
        if inside != self.open[len(self.open) - len(inside) :]:
            self.close()
            inside = []
        call_ = self.wires.calls.get(node)
        maker = self.brick(call_.brick) if call_ else None
        inside = [n for n in inside if n in self.open]  # making the brick a line of its own closed all
        del self.open[len(self.open) - len(inside) :]
        values = {f"_{i}": self.values[n] for i, n in enumerate(known.needs)}
        self.values[node] = substituted(known.expression, values if maker is None else {**values, "_brick": maker})
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

    return Inserted().visit(ast.parse(text(expression), mode="eval").body)
