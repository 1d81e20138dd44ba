"""Join: products whose sum, or whose shared factor, makes one product of them.

before      d = p U + q V                                       after      d = [p q] [U; V]
before      A = outer(x, p); B = outer(x, q)                    after      [A B] = outer(x, [p q])
before      a = Σ p; b = Σ q, beside such products              after      [a b] = Σ [p q]
"""

from __future__ import annotations

from collections.abc import Callable

from ...graph import Node, Shape, apply
from ..passes.groups import Group, Groups, side_by_side
from ..passes.sweep import terms_of


def join_outers(groups: Groups, place: Callable[[Node], tuple[str, int]]) -> None:
    """Groups of outer products that share a factor, and of the sums of what stands side by side for them."""
    rows: list[list[Node]] = []
    for outers in groups.shared(lambda n: n.op.name == "outer", place):
        outers.sort(key=lambda n: n.operands[1].serial)
        others = [n.operands[1] for n in outers]
        if len({o.shape[:-1] for o in others}) == 1:
            rows.append(others)
            groups.add(Group(outers, [outers[0].operands[0], *others], _outer_of(outers[0], others)))
    for row in rows:
        _join_sums(groups, row)


def _join_sums(groups: Groups, row: list[Node]) -> None:
    """Groups of the sums over leading axes of values that stand side by side anyway."""
    by_axis: dict[tuple[int, ...], list[Node]] = {}
    for node in (u for o in row for u in groups.users[o] if u.op.name == "sum" and u not in groups.of):
        if not node.attrs["keepdims"] and len(node.operands[0].shape) - 1 not in node.attrs["axis"]:
            by_axis.setdefault(node.attrs["axis"], []).append(node)
    for axis, sums in by_axis.items():
        if [n.operands[0] for n in sums] == row and len({groups.rank[n] for n in sums}) == 1:
            groups.add(Group(sums, row, _sum_of(row, axis)))


def _outer_of(first: Node, others: list[Node]) -> Callable[[dict[Node, Node]], Node]:
    return lambda new: apply("outer", new[first.operands[0]], side_by_side([new[o] for o in others]), **first.attrs)


def _sum_of(row: list[Node], axis: tuple[int, ...]) -> Callable[[dict[Node, Node]], Node]:
    return lambda new: apply("sum", side_by_side([new[o] for o in row]), axis=axis, keepdims=False)


class SumsOfProducts:
    """Sums in a loop's body with two or more terms that are products of values inside with weights."""

    def __init__(self, groups: Groups):
        self.groups = groups
        self.terms = self.find()

    def find(self) -> dict[Node, list[Node]]:
        """Sum → its terms."""
        groups, sums = self.groups, dict[Node, list[Node]]()
        adds = [n for n in groups.graph.order() if n.op.name == "add" and n not in groups.of]
        alone = {n for n in adds if len(groups.users[n]) == 1 and n not in groups.kept}
        links = {o for n in adds for o in n.operands if o in alone}
        for node in adds:
            if node in links:
                continue
            terms = terms_of(node, links)
            forms = {self.form(t) for t in terms if self.is_own_product(t)}
            several = sum(map(self.is_own_product, terms)) > 1
            if several and len(forms) == 1 and all(t.shape == node.shape for t in terms):
                sums[node] = terms
        return sums

    @staticmethod
    def form(product: Node) -> tuple[Shape, Shape]:
        """What products must have in common to be one."""
        x, w = product.operands
        return x.shape[:-1], w.shape[:-2]

    def is_own_product(self, node: Node) -> bool:
        """Whether a node is a product with weights that only the sum needs."""
        groups = self.groups
        if node.op.name != "matmul" or len(groups.users[node]) != 1 or node in groups.kept or node in groups.of:
            return False
        return groups.level[node.operands[0]] == 2 and groups.is_weight(node.operands[1])

    def products(self, node: Node) -> list[Node]:
        """The products among the terms of a sum."""
        return [t for t in self.terms[node] if self.is_own_product(t)]

    def needs(self, node: Node) -> list[Node]:
        """What a sum is made from, once its products are one."""
        return [o for t in self.terms[node] for o in (t.operands if self.is_own_product(t) else (t,))]

    def build(self, node: Node, new: dict[Node, Node]) -> Node:
        """A sum with its products in one."""
        products = sorted(self.products(node), key=lambda t: t.operands[0].serial)
        values = side_by_side([new[t.operands[0]] for t in products])
        total = apply("matmul", values, apply("concat", *(new[t.operands[1]] for t in products), axis=-2))
        own = set(products)
        for term in self.terms[node]:
            if term not in own:
                total = apply("add", new[term], total)
        return total
