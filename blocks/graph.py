"""The graph: immutable, typed nodes, wired by name.

Everything a user builds is a `Graph` of `Node`s, and every other part of the package is a function
from graphs to something: to numbers, to another graph, to a picture, to a file.

- A `Node` is one value: an operation, its operands, and the shape of what it gives. Its shape is
  known when it is made, so a wiring mistake raises on the line that makes it.
- A shape is a tuple of dimensions. An integer is a number of features; a string is a *named*
  dimension, whose size is known only at run time: ``("time", "batch", 32)``.
- An `Op` is a row in a table: how to infer a shape, how to compute it, how to differentiate it.

Trap: the operands of a node can be reached over many paths, and a graph can be thousands of nodes
deep. So nothing here recurses: every walk goes over `order()`, in which operands stand before the
nodes that use them. (The reverse of it is what backpropagation needs: a node's gradient is complete
only when all its users have handed theirs in.)
"""

from __future__ import annotations

import builtins
import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Union

from .arguments import wrong_argument
from .errors import BlocksError, WiringError, made, misfit, nearest, user_line

if TYPE_CHECKING:
    import networkx
    import numpy as np

    from .draw.views import draw as _draw

Dim = int | str
Shape = tuple[Dim, ...]
DTYPES = ("float", "int", "bool")
Wire = Union["Node", float, "np.ndarray[Any, Any]", "np.generic"]  # a node, or what becomes a constant


def show_shape(shape: Iterable[Dim]) -> str:
    """``(time, batch, 32)``: as a person writes it, without quotation marks."""
    return "(" + ", ".join(str(d) for d in shape) + ")"


# --- operations ----------------------------------------------------------------------------------

OPS: dict[str, Op] = {}

KINDS = {
    "elementwise": "each number of the result from the numbers at its place alone",
    "view": "the same numbers in another shape or order; whether they need to move is asked of their place",
    "reduction": "one number from all along some axes",
    "product": "rows times columns",
    "leaf": "made of no wires",
    "loop": "the loop, and the picks of what it gives",
    "other": "what is none of these",
}


@dataclass(frozen=True, eq=False)
class Op:
    """One operation: a row in the table of everything that a graph can compute.

    - ``infer(*operands, **attrs) -> (shape, dtype)`` checks the operands and types the result.
    - ``forward(*arrays, **attrs) -> array`` computes it. With ``dynamic``, the first argument is the
      run (`interpret.Run`), which knows the size of each named dimension and the float type.
    - ``vjp(g, y, *operands, **attrs) -> (cotangent or None, ...)`` builds the gradient out of nodes:
      g is the cotangent of the result y. None: no gradient flows there.
    - ``prepare(operands, attrs) -> (operands, attrs)`` normalises both before the node is made.
    - ``kind`` is what it is (see `KINDS`); the compiler, the figures and the targets ask for that, not for names.
    - ``sign`` is what a figure and a formula write for it, "+", "σ"; its name, where there is
      none; and "" where it passes its operand on unwritten (see `notation`).
    - ``commutative``: its operands may change places; a figure marks the entries of any other.
    - ``rows``, target → text: what a target writes for it, ``{"native": "sinf({0})"}``, with its operands in braces.
    - ``expand(*operands, **attrs) -> node``: the same made of other operations. The compiler computes that, so no
      target needs a row for it.
    """

    name: str
    formula: str
    infer: Callable[..., tuple[Shape, str]]
    forward: Callable[..., Any]
    vjp: Callable[..., tuple[Node | None, ...]] | None = None
    prepare: Callable[..., tuple[tuple[Node, ...], dict[str, Any]]] | None = None
    dynamic: bool = False
    _: KW_ONLY
    kind: str
    sign: str | None = None
    commutative: bool = False
    rows: Mapping[str, str] = field(default_factory=dict)
    expand: Callable[..., Node] | None = None
    options: KeysView[str] = field(init=False, repr=False)  # the names of its attributes

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BlocksError(f"operation {self.name!r}: its kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.name in OPS:
            raise BlocksError(f"operation {self.name!r} is defined twice")
        signature = _signature(self)
        object.__setattr__(self, "__signature__", signature)
        options = {name: None for name, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY}
        object.__setattr__(self, "options", options.keys())
        object.__setattr__(self, "__doc__", _doc(self, signature))
        OPS[self.name] = self

    def __reduce__(self) -> tuple[Any, ...]:
        return op_called, (self.name,)

    def __copy__(self) -> Op:
        return self

    def __deepcopy__(self, memo: Any) -> Op:
        return self

    def __call__(self, *operands: Wire, **attrs: Any) -> Node:
        if not attrs.keys() <= self.options:
            raise self.unknown(next(name for name in attrs if name not in self.options), operands)
        return apply(self, *operands, **attrs)

    def unknown(self, name: str, operands: tuple[Wire, ...]) -> WiringError:
        """The error of an option that it does not have."""
        known = f"its options go by name: {', '.join(self.options)}" if self.options else "it has no options"
        nodes = tuple(o for o in operands if isinstance(o, Node))
        hint = nearest(name, self.options)
        return WiringError(f"{self.name}: there is no option {name!r}{hint}; {known} [{user_line()}]", self.name, nodes)

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.formula}>"


def op_called(name: str) -> Op:
    """The operation of that name. Raises BlocksError if the table has none."""
    if name not in OPS:
        raise BlocksError(f"there is no operation {name!r} here{nearest(name, OPS)}; define it before")
    return OPS[name]


def _signature(op: Op) -> inspect.Signature:
    """How an operation is called: its wires by position, its options by name."""
    wires, options = [], []
    for p in inspect.signature(op.infer).parameters.values():
        if p.kind is p.KEYWORD_ONLY:
            options.append(p)
        else:
            wires.append(inspect.Parameter(p.name, p.kind if p.kind is p.VAR_POSITIONAL else p.POSITIONAL_ONLY))
    return inspect.Signature([*wires, *options], return_annotation=Node)


def _doc(op: Op, signature: inspect.Signature) -> str:
    """What `help` says of an operation, made from its row."""
    called = [str(p.replace(annotation=p.empty)) for p in signature.parameters.values()]
    parts = [f"{op.name}({', '.join(called)}): {op.formula}", inspect.getdoc(op.infer) or ""]
    if op.kind not in ("leaf", "loop"):
        parts.append("It has a gradient." if op.vjp is not None else "No gradient flows through it.")
    parts.append("Raises WiringError, which names the wires and where they were made, if they do not fit.")
    return "\n\n".join(part for part in parts if part)


# --- nodes ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stamp:
    """What a node is called and where it belongs; it takes no part in the mathematics."""

    name: str | None = None  # its own name: inputs, states and parameters have one
    brick: str | None = None  # the brick that made it, ``layer1/forget``
    role: str = "operation"  # input, state, initial, parameter, constant, gradient, ...
    step: int | None = None  # the time step, in an unrolled graph
    where: str = ""  # the user's line


_stamp: ContextVar[Stamp] = ContextVar("stamp", default=Stamp())  # noqa: B039 (it is frozen)


@contextmanager
def stamped(**changes: Any) -> Iterator[None]:
    """Nodes made inside carry these labels: ``with stamped(brick="forget"): ...``."""
    now = _stamp.get()
    token = _stamp.set(Stamp(**{**now.__dict__, **changes}))
    try:
        yield
    finally:
        _stamp.reset(token)


_serials = itertools.count()


class Node:
    """One value in a graph: an operation, its operands, and the type of what it gives.

    Immutable. Arithmetic, comparisons and parts of nodes are nodes: ``f * C + i``, ``x @ W``, ``-x``, ``x ** 2``,
    ``x % 3``, ``x > 0``, ``x[:, 2:5]``. But ``a == b`` asks whether they are the same node, as sets and dicts of nodes
    do; `equal` compares numbers.

    Attributes: op, operands, attrs, shape (see `Dim`), dtype ("float", "int" or "bool"), and the
    labels of its `Stamp`: name, brick, role, step, where.
    """

    __slots__ = (
        "__weakref__",
        "attrs",
        "dtype",
        "first",
        "next",
        "op",
        "operands",
        "origin",
        "serial",
        "shape",
        "stamp",
    )
    __array_ufunc__ = None  # so that `array * node` asks the node

    op: Op
    operands: tuple[Node, ...]
    attrs: Mapping[str, Any]
    shape: Shape
    dtype: str
    stamp: Stamp
    origin: Node | None  # the parameter or draw of which this one is a renamed copy
    serial: int  # nodes are numbered as they are made
    next: Node | None  # the next value of a state that a cell inside a cell brought along
    first: Node | None  # the wire that a state begins with, where it is learnt

    def __init__(
        self,
        op: Op,
        operands: tuple[Node, ...],
        attrs: Mapping[str, Any],
        stamp: Stamp,
        origin: Node | None = None,
        next: Node | None = None,
        first: Node | None = None,
        type: tuple[Shape, str] | None = None,
    ):
        shape, dtype = op.infer(*operands, **attrs) if type is None else type
        twice = [d for i, d in enumerate(shape) if isinstance(d, str) and d in shape[:i]]
        if twice:
            raise misfit(
                f"it would be {show_shape(shape)}, with the dimension {twice[0]!r} twice; names tell them apart"
            )
        for slot, value in (
            ("op", op),
            ("operands", operands),
            ("attrs", attrs if isinstance(attrs, MappingProxyType) else MappingProxyType(dict(attrs))),
            ("shape", shape),
            ("dtype", dtype),
            ("stamp", stamp),
            ("origin", origin),
            ("next", next),
            ("first", first),
            ("serial", builtins.next(_serials)),
        ):
            object.__setattr__(self, slot, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a node is immutable: {name} of {self.describe()} cannot be set")

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: Any) -> Node:
        return self

    name = property(lambda self: self.stamp.name)
    brick = property(lambda self: self.stamp.brick)
    role = property(lambda self: self.stamp.role)
    step = property(lambda self: self.stamp.step)
    where = property(lambda self: self.stamp.where)

    def describe(self) -> str:
        """``h (batch, 32)``: what to call it in an error message."""
        label = self.name or (f"{self.brick} ({self.op.name})" if self.brick else self.op.name)
        return f"{label} {show_shape(self.shape)}"

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.describe()}>"

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self.describe()} is a wire: it has no value, so neither is it true nor false; wires of booleans are "
            "joined by &, | and ~, and chosen by where"
        )

    def __add__(self, other: Wire) -> Node:
        return apply("add", self, other)

    def __radd__(self, other: Wire) -> Node:
        return apply("add", other, self)

    def __sub__(self, other: Wire) -> Node:
        return apply("subtract", self, other)

    def __rsub__(self, other: Wire) -> Node:
        return apply("subtract", other, self)

    def __mul__(self, other: Wire) -> Node:
        return apply("multiply", self, other)

    def __rmul__(self, other: Wire) -> Node:
        return apply("multiply", other, self)

    def __truediv__(self, other: Wire) -> Node:
        return apply("divide", self, other)

    def __rtruediv__(self, other: Wire) -> Node:
        return apply("divide", other, self)

    def __floordiv__(self, other: Wire) -> Node:
        return apply("floor_divide", self, other)

    def __rfloordiv__(self, other: Wire) -> Node:
        return apply("floor_divide", other, self)

    def __mod__(self, other: Wire) -> Node:
        return apply("mod", self, other)

    def __rmod__(self, other: Wire) -> Node:
        return apply("mod", other, self)

    def __pow__(self, other: Wire) -> Node:
        return apply("power", self, other)

    def __rpow__(self, other: Wire) -> Node:
        return apply("power", other, self)

    if TYPE_CHECKING:  # bound in blocks/__init__.py: they are made of several operations

        def __matmul__(self, other: Wire) -> Node:
            """See `ops.linear.matmul`."""

        def __rmatmul__(self, other: Wire) -> Node:
            """See `ops.linear.matmul`."""

        def __getitem__(self, key: Any) -> Node:
            """See `ops.parts.part`."""

    __iter__ = None  # a wire has parts, but what would its rows be? Their number is not known
    __contains__ = None

    def __neg__(self) -> Node:
        return apply("negative", self)

    def __abs__(self) -> Node:
        return apply("abs", self)

    def __round__(self) -> Node:
        return apply("round", self)

    def __gt__(self, other: Wire) -> Node:
        return apply("greater", self, other)

    def __ge__(self, other: Wire) -> Node:
        return apply("greater_equal", self, other)

    def __lt__(self, other: Wire) -> Node:
        return apply("less", self, other)

    def __le__(self, other: Wire) -> Node:
        return apply("less_equal", self, other)

    def __and__(self, other: Wire) -> Node:
        return apply("logical_and", self, other)

    def __rand__(self, other: Wire) -> Node:
        return apply("logical_and", other, self)

    def __or__(self, other: Wire) -> Node:
        return apply("logical_or", self, other)

    def __ror__(self, other: Wire) -> Node:
        return apply("logical_or", other, self)

    def __invert__(self) -> Node:
        return apply("logical_not", self)


def as_node(value: Wire) -> Node:
    """A node as it is; a number or an array as a constant."""
    return value if isinstance(value, Node) else apply("constant", value=value)


def apply(op: Op | str, *operands: Wire, name: str | None = None, role: str | None = None, **attrs: Any) -> Node:
    """A new node: `op` on `operands`.

    Raises WiringError, naming the operands with their shapes and where each was made, if they do not
    fit.
    """
    op = OPS[op] if isinstance(op, str) else op
    nodes = tuple(as_node(o) for o in operands)
    labels = _stamp.get()
    labels = Stamp(name, labels.brick, role or labels.role, labels.step, user_line())
    try:
        if op.prepare:
            nodes, attrs = op.prepare(nodes, attrs)
        return Node(op, nodes, attrs, labels)
    except WiringError as error:
        if error.operands:  # it has its context already
            raise
        inside = f"in brick {labels.brick!r}, " if labels.brick else ""
        known = "; ".join(dict.fromkeys(made(n) for n in nodes if n.where))
        tail = f" [{known}]" if known else ""
        raise WiringError(f"{inside}{op.name}: {error}{tail}", op.name, nodes) from None
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong_call(op, nodes, attrs) or error from None


def _wrong_call(op: Op, nodes: tuple[Node, ...], attrs: dict[str, Any]) -> WiringError | None:
    """The error of a call with too many wires or too few, without an option that an operation needs, with one that it
    does not have, or with one of another kind; None if it fits."""
    signature = inspect.signature(op.infer)
    try:
        signature.bind(*nodes, **attrs)
    except TypeError as error:
        options = [n for n, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY]
        kinds = f"its options go by name: {', '.join(options)}" if options else "it has no options"
        return WiringError(f"{op.name}: {error}; {kinds}", op.name, nodes)
    wrong = wrong_argument(op.infer, nodes, attrs, op.name)
    return WiringError(f"{wrong} [{user_line()}]", op.name, nodes) if wrong else None


def rebuild(node: Node, operands: tuple[Node, ...] | None = None, first: Node | None = None, **labels: Any) -> Node:
    """The same operation on other operands, or under other labels; a state that begins with another wire."""
    stamp = Stamp(**{**node.stamp.__dict__, **labels}) if labels else node.stamp
    operands = node.operands if operands is None else operands
    first = node.first if first is None else first
    alike = all(
        a.shape == b.shape and a.dtype == b.dtype != "loop" for a, b in zip(operands, node.operands, strict=True)
    )
    type = (node.shape, node.dtype) if alike else None  # an operation infers it from the types of its operands alone
    return Node(node.op, operands, node.attrs, stamp, node.origin, node.next, first, type)


# --- walking and rewriting -----------------------------------------------------------------------


def topological(outputs: Iterable[Node], stop: Callable[[Node], bool] = lambda node: False) -> list[Node]:
    """All nodes that `outputs` need, operands first; the same order in every process.

    A node's operands exist before it does and never change, so the order in which nodes were made is
    such an order, and it is the one in which the user wrote them. Nodes for which `stop` holds are
    listed, but what they need is not.
    """
    found: set[Node] = set()
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            if not stop(node):
                pending.extend(node.operands)
    return sorted(found, key=lambda node: node.serial)


def substitute(
    outputs: Mapping[str, Node],
    mapping: Mapping[Node, Node],
    relabel: Callable[[Node], Mapping[str, Any]] | None = None,
) -> dict[str, Node]:
    """The same outputs with some nodes replaced; `relabel(node)` gives changed labels, if any."""
    new: dict[Node, Node] = dict(mapping)
    for node in topological(outputs.values(), stop=mapping.__contains__):
        if node in new:
            continue
        operands = tuple(new[o] for o in node.operands)
        labels = relabel(node) if relabel else {}
        changed = labels or any(a is not b for a, b in zip(operands, node.operands, strict=True))
        new[node] = rebuild(node, operands, **labels) if changed else node
    return {name: new[node] for name, node in outputs.items()}


# --- the graph -----------------------------------------------------------------------------------

FED = ("input", "parameter", "draw")  # the operations whose value is there before a run


@dataclass(frozen=True, eq=False)
class Graph:
    """Named outputs, and through their operands everything that they need.

    ``Graph({"loss": loss, "y": y})``. Raises WiringError when two different nodes claim one name,
    naming where both were made.
    """

    outputs: Mapping[str, Node]
    _order: tuple[Node, ...] = field(init=False, repr=False)
    _fed: Mapping[str, MappingProxyType[str, Node]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.outputs, Mapping):
            raise BlocksError(
                f"a graph is made of wires by name, {{'y': wire}}, not of a {type(self.outputs).__name__}"
            )
        outputs = dict(self.outputs)
        for name, node in outputs.items():
            if not isinstance(name, str) or not isinstance(node, Node):
                raise BlocksError(f"an output is a name and a wire, not {name!r}: {type(node).__name__}")
        if not outputs:
            raise BlocksError("a graph needs at least one output")
        order = tuple(topological(outputs.values()))
        numbered = _numbered(order)
        if numbered:
            outputs = substitute(outputs, numbered)
            order = tuple(topological(outputs.values()))
        object.__setattr__(self, "outputs", MappingProxyType(outputs))
        object.__setattr__(self, "_order", order)
        leaves = _leaves(order)
        of = {op: {name: node for name, node in leaves.items() if node.op.name == op} for op in FED}
        object.__setattr__(self, "_fed", {op: MappingProxyType(named) for op, named in of.items()})

    def __copy__(self) -> Graph:
        return self

    def __deepcopy__(self, memo: Any) -> Graph:
        return self

    @functools.cached_property
    def _names(self) -> Mapping[Node, str]:
        return MappingProxyType(_unique_names(self._order))

    def order(self) -> tuple[Node, ...]:
        """Every node once, operands before their users."""
        return self._order

    def name_of(self, node: Node) -> str:
        """The name of a node, unique in this graph and the same in every process."""
        return self._names[node]

    @property
    def nodes(self) -> dict[str, Node]:
        """Name → node, in order."""
        return {name: node for node, name in self._names.items()}

    def fed(self, *ops: str) -> MappingProxyType[str, Node]:
        """Name → node of the leaves of some kinds, "input", "parameter" or "draw"."""
        if len(ops) == 1:
            return self._fed[ops[0]]
        return MappingProxyType({name: node for op in ops for name, node in self._fed[op].items()})

    @property
    def inputs(self) -> dict[str, Shape]:
        """Name → shape of everything that is fed and not trained; a state or an initial state that
        is not fed is zero."""
        return {name: node.shape for name, node in self.fed("input").items()}

    @property
    def params(self) -> dict[str, Shape]:
        """Name → shape of all weights."""
        return {name: node.shape for name, node in self.fed("parameter").items()}

    @property
    def draws(self) -> dict[str, Shape]:
        """Name → shape of all random numbers; see `ops.random`."""
        return {name: node.shape for name, node in self.fed("draw").items()}

    def verify(self) -> Graph:
        """Check every invariant again, loop bodies included; returns the graph itself.

        Raises WiringError naming the first node that breaks one.
        """
        seen: set[Node] = set()
        for node in self._order:
            name = self.name_of(node)
            if not all(o in seen for o in node.operands):
                raise WiringError(f"{name} stands before one of its operands", node.op.name, (node,))
            if OPS.get(node.op.name) is not node.op:
                raise WiringError(f"{name}: operation {node.op.name!r} is not in the table", node.op.name, (node,))
            shape, dtype = node.op.infer(*node.operands, **node.attrs)
            if (shape, dtype) != (node.shape, node.dtype):
                raise WiringError(
                    f"{name} says it is {show_shape(node.shape)} {node.dtype}, but {node.op.name} of its "
                    f"operands is {show_shape(shape)} {dtype}",
                    node.op.name,
                    node.operands,
                )
            if node.origin is not None and node.origin in self._names:
                raise WiringError(
                    f"the weights {node.origin.name!r} are used inside the named cell as {node.name!r} and "
                    f"outside of it too (made at {node.where}); they would no longer be shared. Give the "
                    "cell no name, or the brick inside it a brick of its own",
                    node.op.name,
                    (node, node.origin),
                )
            for body in subgraphs(node).values():
                body.verify()
            seen.add(node)
        return self

    if TYPE_CHECKING:  # bound in blocks/__init__.py: what a graph becomes is not the graph's business

        def init(self, seed: int = 0, dtype: Any = "float32", trials: int = 1) -> dict[str, Any]:
            """Fresh weights, name → array; see `ops.leaves.first_weights`."""

        def dump(self) -> str:
            """The graph as text; see `show.dump`."""

        def to_networkx(self) -> networkx.MultiDiGraph:
            """A networkx graph; see `show.to_networkx`."""

        draw = _draw

    def substitute(self, mapping: Mapping[Node, Node]) -> Graph:
        """The same graph with some nodes replaced by others."""
        return Graph(substitute(self.outputs, mapping))

    def __repr__(self) -> str:
        weights = len(self.params)
        return f"<Graph of {len(self._order)} nodes, {weights} weights: {', '.join(self.outputs)}>"


def check_graph(graph: Any, what: str) -> None:
    """Raises BlocksError for anything but a Graph: what takes one, what was given, and how it gives one."""
    if isinstance(graph, Graph):
        return
    kind = type(graph).__name__
    how = ": Graph({'y': wire}) makes one of wires" if isinstance(graph, Node) else ""
    how = f"; a {kind} has one, its .graph" if isinstance(getattr(graph, "graph", None), Graph) else how
    raise BlocksError(f"{what} takes a Graph, not a {kind}{how}")


def subgraphs(node: Node) -> dict[str, Graph]:
    """The graphs that a node carries in its attributes: the body of a loop."""
    return {key: value for key, value in node.attrs.items() if isinstance(value, Graph)}


def _numbered(order: tuple[Node, ...]) -> dict[Node, Node]:
    """Draws that nobody named and that are called like another leaf → themselves with a number, ``keep_2``.

    The number is that in the order of this graph, and parts of the graph keep it: so it does not depend on what else
    was made in this process. Copies of one draw that come from several graphs become one again.
    """
    leaves = [node for node in order if node.op.name in FED]
    free = [node for node in leaves if node.attrs.get("named") is False]
    taken = {node.name for node in leaves if node not in free}
    copies: dict[Node, list[Node]] = {}
    for node in free:
        copies.setdefault(node if node.origin is None else node.origin, []).append(node)
    changed: dict[Node, Node] = {}
    for origin in sorted(copies, key=lambda node: node.serial):
        one = copies[origin][-1]  # a copy, if there is any
        stem, name, numbers = re.sub(r"_\d+$", "", str(one.name)), one.name, itertools.count(2)
        while name in taken:
            name = f"{stem}_{builtins.next(numbers)}"
        taken.add(name)
        if name != one.name:
            one = rebuild(one, name=name)
            object.__setattr__(one, "origin", origin)
        changed |= {node: one for node in copies[origin] if node is not one}
    return changed


def _leaves(order: tuple[Node, ...]) -> dict[str, Node]:
    """What is fed, by its name. Raises WiringError for a name that two have."""
    leaves: dict[str, Node] = {}
    for node in order:
        if node.op.name in FED:
            other = leaves.setdefault(node.name, node)
            if other is not node:
                raise WiringError(
                    f"two wires are called {node.name!r}: the {other.role} {made(other)} "
                    f"and the {node.role} {made(node)}. Give the bricks, cells or inputs "
                    "names of their own (name=...)",
                    node.op.name,
                    (other, node),
                )
    return leaves


def _unique_names(order: tuple[Node, ...]) -> dict[Node, str]:
    names = {node: name for name, node in _leaves(order).items()}
    taken = set(names.values())
    counts: dict[str, int] = {}
    for node in order:
        if node in names:
            continue
        base = node.name or ((node.brick + "." if node.brick else "") + node.op.name)
        base += f"({node.step})" if node.step is not None else ""
        name = base
        while name in taken:
            counts[base] = counts.get(base, 1) + 1
            name = f"{base}_{counts[base]}"
        taken.add(name)
        names[node] = name
    return {node: names[node] for node in order}
