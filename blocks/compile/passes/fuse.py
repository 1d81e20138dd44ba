"""Fuse: products that share an operand become one product, and what follows them stays together.

    before      f = tanh(x W_f + b_f); i = tanh(x W_i + b_i)        after      z = tanh(x [W_f W_i] + [b_f b_i])
                                                                               f = z[:, :n]; i = z[:, n:]

    before      z = tanh(a); f = z[:, :n]; i = z[:, n:]             after      z = tanh(a, members in front); f = z[0]

Groups (see `groups`) start at products and grow along elementwise operations (see `grow`) for as long as every
member is treated alike. Weights are packed where they are constant, so hoisting takes that out of the loop. What
is left is joined where it makes one product (see `join`).
"""

from __future__ import annotations

from ...graph import Graph, Node, apply, stamped
from ...ops.elementwise import already_aligned
from ..passes.groups import Group, Groups, in_front
from ..passes.grow import Places, grow, stands_apart
from ..passes.join import SumsOfProducts, join_outers
from ..passes.sweep import Loop, build_in_order, levels, same, sweep

LABEL = 100  # so many letters of names are written out


def fuse(graph: Graph) -> Graph:
    """One sweep: the bodies of loops, then the graph around them."""
    return _fuse(graph, grows=True)


def fuse_products(graph: Graph) -> Graph:
    """The same for products alone: what follows them is not kept together."""
    return _fuse(graph, grows=False)


def _fuse(graph: Graph, grows: bool) -> Graph:
    graph = sweep(graph, lambda node, operands: _fuse_body(node, operands, grows))
    level: dict[Node, int] = {}  # outside of loops: 0 is what depends on weights alone
    for node in graph.order():
        leaf = 1 if node.op.name == "input" else 0
        level[node] = max([leaf, *(level[o] for o in node.operands)])
    return _fused(graph, level, in_loop=False, grows=grows)


def _fuse_body(node: Node, operands: tuple[Node, ...], grows: bool) -> Node:
    if node.op.name != "loop":
        return same(node, operands)
    loop = Loop.of(node, operands)
    loop.body = sweep(loop.body, lambda node, operands: _fuse_body(node, operands, grows))
    return loop.node(_fused(loop.body, levels(loop), in_loop=True, grows=grows))


def _fused(graph: Graph, level: dict[Node, int], in_loop: bool, grows: bool) -> Graph:
    """The graph with every group computed as one."""
    groups = Groups(graph, level)
    place = Places(groups)
    for products in groups.shared(lambda n: n.op.name == "matmul" and groups.is_weight(n.operands[1]), place):
        groups.add(_products(products))
    if in_loop and grows:
        for products in groups.shared(lambda n: groups.scaled(n) is not None, place):
            if groups.scaled(products[0]):  # not where x became a member: a brick on its own output
                groups.add(_scaled(groups, products))
    for group in groups.all if grows else ():  # grows while it is walked
        grow(groups, group)
    for group in groups.all:
        group.apart = stands_apart(group, in_loop)
    sums = SumsOfProducts(groups) if in_loop else None
    join_outers(groups, place)
    return _rebuilt(groups, sums)


def _products(products: list[Node]) -> Group:
    """Products of one value with several matrices."""
    x, weights = products[0].operands[0], [p.operands[1] for p in products]

    def build(new: dict[Node, Node]) -> Node:
        return apply("matmul", new[x], apply("concat", *(new[w] for w in weights), axis=-1))

    return Group(products, [x, *weights], build)


def _scaled(groups: Groups, products: list[Node]) -> Group:
    """A value times several vectors, in front of each other from the start."""
    pairs = [pair for p in products if (pair := groups.scaled(p))]
    x, vectors = pairs[0][0], [vector for _, vector in pairs]
    count, rank = len(products), len(x.shape)

    def build(new: dict[Node, Node]) -> Node:
        return apply("multiply", new[x], in_front(apply("concat", *(new[v] for v in vectors), axis=-1), count, rank))

    return Group(products, [x, *vectors], build, apart=True)


def _rebuilt(groups: Groups, sums: SumsOfProducts | None) -> Graph:
    """The graph with each group built once all that any of its members needs is there."""
    new: dict[Node, Node] = {}
    joined = sums.terms if sums else {}

    def needs(node: Node) -> list[Node]:
        if node in groups.of:
            group, _ = groups.of[node]
            return group.needs if group.packed is None else []
        return sums.needs(node) if sums and node in joined else list(node.operands)

    def build(node: Node) -> Node:
        with stamped(brick=node.brick, role=node.role):
            if node in groups.of:
                group, i = groups.of[node]
                if group.packed is None:
                    with stamped(brick=_bricks(group.members)):
                        group.packed = group.build(new)
                return group.member(i)
            if sums and node in joined:
                with stamped(brick=_bricks(sums.products(node))):
                    return sums.build(node, new)
            return same(node, tuple(new[o] for o in node.operands))

    with already_aligned():
        build_in_order(groups.graph.outputs.values(), needs, build, new)
    return Graph({name: new[node] for name, node in groups.graph.outputs.items()})


def _bricks(nodes: list[Node]) -> str | None:
    """The bricks of some nodes, as the label of what is computed for all of them: their names, or the first and a
    count, where they are many."""
    names = list(dict.fromkeys(b for n in nodes if (b := n.brick)))
    label = ", ".join(names)
    if not names:
        return None
    return label if len(names) == 1 or len(label) <= LABEL else f"{names[0]}, and {len(names) - 1} more"
