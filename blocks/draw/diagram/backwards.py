"""What of a cell's diagram a gradient goes through, and what of it the gradient needs: asked of the rules of the
operations, link by link, and not guessed.

    carried     the value of an operand gets a gradient from its user
    kept        the rule of the user needs the value of the operand: a × b hands back g ⊙ b, so b is kept
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ...grad import backward
from ...graph import Graph, Node, rebuild, topological
from ...notation import is_silent, root
from ...ops.elementwise import already_aligned
from ...ops.leaves import make_input
from .elements import Diagram, Element, Link
from .signs import is_cell_of_operations

Use = tuple[Node, Node, int]  # a value, a user of it, and the place among the operands of that
Entry = tuple[str, int]  # an element, and the number of one of its entries
PASSING = ("merge", "part")  # kinds of what only joins values, or takes one of several


@dataclass(frozen=True)
class Backwards:
    """The links that carry gradient back, and those whose value is kept for it, as (target, number of the entry);
    the elements whose weights get a gradient."""

    carried: set[Entry]
    kept: set[Entry]
    weighted: set[str]


def cotangents(graph: Graph) -> dict[Node, Node]:
    """Node → its gradient, if ``d/<output>`` comes in at each output."""
    targets = {node: name for name, node in graph.outputs.items() if node.dtype == "float"}
    floats = [node for node in graph.order() if node.dtype == "float"]
    seeds = {
        node: make_input(f"d/{name}", node.shape, "float", role="gradient", default="zeros")
        for node, name in targets.items()
    }
    return backward(seeds, floats)[0]


def flows(graph: Graph) -> tuple[set[Node], set[Use], set[Use], set[Node]]:
    """The values that get a gradient, if one comes in at all outputs, but not what hands none on, as its rule has none
    or it is made of constants and draws alone; the uses through which it flows back; those whose value is kept for it;
    and the values that are kept for their own rule. What passes a value on unwritten stands for its operand."""
    gradients = cotangents(graph)
    carried: set[Use] = set()
    kept: set[Use] = set()
    results: set[Node] = set()
    for node in graph.order():
        made = node.operands and (node.op.vjp is None or not any(o in gradients for o in node.operands))
        if made or node.op.name in ("constant", "draw"):
            gradients.pop(node, None)
        if node not in gradients or node.op.vjp is None or is_silent(node.op):
            continue
        stand = tuple(
            o if root(o).op.name == "constant" else make_input(f"operand {i}", o.shape, o.dtype, role="input")
            for i, o in enumerate(node.operands)
        )
        own = rebuild(node, operands=stand)
        with already_aligned():
            back = node.op.vjp(gradients[node], own, *own.operands)
        given = {i: g for i, g in enumerate(back) if g is not None and root(node.operands[i]) in gradients}
        if not given:
            gradients.pop(node)
        needed = set(topological(given.values(), stop={gradients[node], own}.__contains__))
        carried |= {(root(node.operands[i]), node, i) for i in given}
        kept |= {(root(o), node, i) for i, o in enumerate(node.operands) if stand[i] in needed}
        results |= {node} if own in needed else set()
    return set(gradients), carried, kept, results


def _behind(cell: Element, kept: set[Use], results: set[Node]) -> set[Use]:
    """The uses whose value is kept for the gradient of a cell of operations that is drawn as one: what the values in
    it are made of that are kept there, of its own results all but the last."""
    inside = {node for node in cell.nodes if node.operands}
    last = max(inside, key=lambda node: node.serial)
    pending = [v for v, user, _ in kept if v in inside and user in inside]
    pending += [node for node in results & inside if node is not last]
    found: set[Use] = set()
    seen: set[Node] = set()
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            found |= {(root(o), node, i) for i, o in enumerate(node.operands) if root(o) not in inside}
            pending += [root(o) for o in node.operands if root(o) in inside]
    return found


def backwards(diagram: Diagram) -> Backwards:
    """What a gradient goes through in a diagram, and what it needs."""
    reached, *uses, results = flows(diagram.graph)
    for element in diagram.elements.values():
        if element.folded and is_cell_of_operations(n for n in element.nodes if n.operands):
            uses[1] |= _behind(element, uses[1], results)
    carried: set[Entry] = set()
    kept: set[Entry] = set()
    for target in diagram.elements.values():
        if target.kind in ("next", "output"):
            carried |= {
                entry for way, link in _ways(diagram, target, ()) if root(link.node) in reached for entry in way
            }
        elif target.kind not in PASSING:
            seen: Counter[Node] = Counter()
            for way, link in _ways(diagram, target, ()):
                seen[link.node] += 1
                for entries, known in zip((carried, kept), uses, strict=True):
                    if _used(diagram, target, link, seen[link.node], known):
                        entries.update(way)
    weights = {v for v, _, _ in uses[0] if v.op.name == "parameter"}
    return Backwards(carried, kept, {e.key for e in diagram.elements.values() if weights & set(e.nodes)})


def _ways(diagram: Diagram, target: Element, behind: tuple[Entry, ...]) -> Iterator[tuple[tuple[Entry, ...], Link]]:
    """What comes into an element, with all entries on its way there, through merges and parts."""
    for number, link in enumerate(target.entries):
        way = (*behind, (target.key, number))
        source = diagram.elements[link.source]
        if source.kind in PASSING:
            yield from _ways(diagram, source, way)
        else:
            yield way, link


def _used(diagram: Diagram, target: Element, link: Link, number: int, uses: set[Use]) -> bool:
    """Whether one of some uses is that of a link, the number-th of its value in its target. A box takes what it
    uses several times once."""
    if target.kind == "operation" and not target.folded:
        places = [i for i, o in enumerate(target.nodes[0].operands) if o is link.node]
        return any((root(link.node), user, places[number - 1]) in uses for user in target.nodes)
    values, users = set(map(root, diagram.elements[link.source].nodes)), set(target.nodes)
    return any(value in values and user in users for value, user, _ in uses)
