"""The step of a loop in a normal form: what a person wrote in one of many ways, written in one.

Every value is a sum of products, as polynomials are; so the order of terms and factors, brackets, signs and what is
multiplied out do not matter:

    z ⊙ h + (1 − z) ⊙ c,  c + z ⊙ (h − c)          →   z h + c − z c

A factor is a state, a row of a sequence, a product with weights or a function of such sums. What depends on neither
states nor sequences (a bias, `W.T`, W₁ + W₂) is *fixed*, and a term has one such part at most. Gates that are computed
as one, with packed weights, are taken apart: a part of a product is a product with a part of the weights, and rows side
by side, ``concat(x, h) @ W``, are two products.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..graph import Graph, Node, apply
from ..ops.elementwise import already_aligned

NODES, TERMS = 150, 24  # of a step, and of a sum: no known cell has so many
Key = tuple[tuple[int, ...], bool]  # the factors of a term, and whether it has a fixed part
Sum = tuple[tuple[Key, Any], ...]  # of each term: a number, or the fixed part


class TooLarge(Exception):
    """This is no known cell, and not worth to be taken apart."""


class Factor(NamedTuple):
    """What is multiplied: a state, a row (`what`: its name), a product of other factors with the weights `what`, or a
    function of sums (`kind`: its operation, `what`: its options)."""

    kind: str
    what: Any
    factors: tuple[int, ...] = ()
    sums: tuple[Sum, ...] = ()


class Step:
    """The body of a loop, or a cell's graph, in normal form.

    Attributes: sums, node → its `Sum`; factors, of which the sums have the numbers.
    """

    def __init__(self, graph: Graph, states: Iterable[str], rows: Iterable[str]):
        if len(graph.order()) > NODES:
            raise TooLarge
        self.roles = {**dict.fromkeys(rows, "row"), **dict.fromkeys(states, "state")}
        self.factors: list[Factor] = []
        self.sums: dict[Node, Sum] = {}
        self._numbers: dict[Factor, int] = {}
        self._made: dict[Any, Node] = {}
        self._fixed: set[Node] = set()
        for node in graph.order():
            self.sums[node] = self._sum_of(node)

    def _sum_of(self, node: Node) -> Sum:
        name, operands = node.op.name, node.operands
        if name == "input" and str(node.name) in self.roles:
            return self._alone(Factor(self.roles[str(node.name)], str(node.name)))
        if name == "constant" and node.shape == () and node.dtype == "float":
            return _sum({((), False): float(node.attrs["value"])})
        if all(o in self._fixed for o in operands):
            self._fixed.add(node)
            return _sum({((), True): node})
        sums = [self.sums[o] for o in operands]
        if node.dtype != "float" or any(o.dtype != "float" for o in operands):
            return self._alone(Factor("node", node))
        if name == "add":
            return self._added(*sums)
        if name == "subtract":
            return self._added(sums[0], self._times(sums[1], MINUS))
        if name == "negative":
            return self._times(sums[0], MINUS)
        if name == "multiply":
            return self._times(*sums)
        if name == "matmul" and operands[1] in self._fixed and len(operands[1].shape) == 2:
            return self._product(operands[0], operands[1])
        if name == "slice" and node.attrs["axis"] == len(node.shape) - 1:
            return self._part(sums[0], node.attrs["start"], node.attrs["stop"]) or self._function(node, sums)
        return self._function(node, sums)

    # -- sums

    def _number(self, factor: Factor) -> int:
        if factor not in self._numbers:
            self._numbers[factor] = len(self.factors)
            self.factors.append(factor)
        return self._numbers[factor]

    def _alone(self, factor: Factor) -> Sum:
        return _sum({((self._number(factor),), False): 1.0})

    def _function(self, node: Node, sums: list[Sum]) -> Sum:
        options = tuple(sorted(node.attrs.items(), key=lambda item: item[0]))
        if not sums or not all(isinstance(v, int | float | str | tuple) for _, v in options):
            return self._alone(Factor("node", node))
        return self._alone(Factor(node.op.name, options, (), tuple(sums)))

    def _added(self, *sums: Sum) -> Sum:
        terms: dict[Key, Any] = {}
        for key, value in (term for s in sums for term in s):
            if key in terms:
                value = self.fixed("add", terms[key], value) if key[1] else terms[key] + value
            terms[key] = value
        return _sum(terms)

    def _times(self, a: Sum, b: Sum) -> Sum:
        return self._added(*(self._term_times(p, q) for p in a for q in b))

    def _term_times(self, p: tuple[Key, Any], q: tuple[Key, Any]) -> Sum:
        (factors, fixed), value = p
        (others, other_fixed), other = q
        both = self.fixed("multiply", value, other) if fixed or other_fixed else value * other
        return _sum({(tuple(sorted(factors + others)), fixed or other_fixed): both})

    def _product(self, x: Node, weights: Node) -> Sum:
        """Rows times weights, term by term; rows side by side meet rows of the weights."""
        if x.op.name == "concat" and x.attrs["axis"] == len(x.shape) - 1:
            sums, start = [], 0
            for part in x.operands:
                stop = start + int(part.shape[-1])
                sums.append(self._product(part, self.fixed("slice", weights, start=start, stop=stop, axis=0)))
                start = stop
            return self._added(*sums)
        terms = []
        for (factors, fixed), value in self.sums[x]:
            if fixed or not factors:
                return self._alone(Factor("matmul of a sum", weights, (), (self.sums[x],)))
            number = self._number(Factor("matmul", weights, factors))
            terms.append(_sum({((number,), False): value}))
        return self._added(*terms)

    def _part(self, whole: Sum, start: int, stop: int) -> Sum | None:
        """Columns of a sum; None, where they are those of a state, say."""
        terms = []
        for (factors, fixed), value in whole:
            if fixed:
                if not value.shape:
                    return None
                value = self._columns(value, start, stop)
            parts = [self._factor_part(self.factors[i], start, stop) for i in factors]
            if None in parts:
                return None
            term = _sum({((), fixed): value})
            for part in parts:
                assert part is not None
                term = self._times(term, part)
            terms.append(term)
        return self._added(*terms)

    def _factor_part(self, factor: Factor, start: int, stop: int) -> Sum | None:
        if factor.kind == "matmul":
            return self._alone(factor._replace(what=self._columns(factor.what, start, stop)))
        if factor.kind in ("sigm", "tanh", "relu"):
            (part,) = (self._part(s, start, stop) for s in factor.sums)
            return None if part is None else self._alone(factor._replace(sums=(part,)))
        return None

    def _columns(self, value: Node, start: int, stop: int) -> Node:
        return self.fixed("slice", value, start=start, stop=stop, axis=len(value.shape) - 1)

    def fixed(self, operation: str, *operands: Any, **options: Any) -> Node:
        """A fixed value made of others, or of a number; made once."""
        key = (operation, operands, tuple(options.items()))
        if key not in self._made:
            if operation == "multiply" and 1.0 in operands:
                return next(o for o in operands if isinstance(o, Node))
            with already_aligned():
                self._made[key] = apply(operation, *operands, **options)
            self._fixed.add(self._made[key])
        return self._made[key]


def _sum(terms: dict[Key, Any]) -> Sum:
    """A sum in one order, without terms that are 0."""
    if len(terms) > TERMS:
        raise TooLarge
    return tuple(sorted(((k, v) for k, v in terms.items() if k[1] or v != 0.0), key=lambda term: term[0]))


MINUS: Sum = ((((), False), -1.0),)
