"""How a figure writes the gradient of an operation: what is done to what comes in, on its way to the operands.

tanh        ⊙ (1 − y²)          read off the rule of the operation, whose result is y and whose operand is z
+           copy                each operand gets what comes in
×           ×                   the product with the other operand, which comes in as it was kept
softmax     softmax′            a rule that is no product
"""

from __future__ import annotations

from collections import Counter

from ...graph import Node, rebuild, topological
from ...notation import ATOM, PRODUCT, SUM, Formula, Run, is_silent, name, write
from ...ops.elementwise import already_aligned
from ...ops.leaves import constant, make_input
from ..text import Line, line
from ..typeset import formula_line
from .signs import core_of_brick, label, one_number, scalar, short, symbol, weights_of

LONGEST = 14  # of a factor that is written out
COPY = Formula((Run("copy"),))


def gradient_label(node: Node) -> tuple[str, Line]:
    """The form and the label of the gradient of an operation."""
    said = slope(node)
    return label(said) if said != COPY else ("pill", line("copy", 10, italic=True))


def slope(node: Node) -> Formula:
    """What is done to the gradient of a node on its way to the operands: ``⊙ (1 − y²)``, ``copy``, ``×``."""
    rules = _rules(node)
    signs = {None if rule is None else rule.plain for rule in rules}
    if signs <= {"", "−"}:
        return COPY if "−" not in signs else Formula((Run("−" if len(rules) == 1 else "±"),))
    if len(rules) == 1 and rules[0] is not None and len(rules[0].plain) <= LONGEST:
        return rules[0]
    sign = symbol(node, one_number(node))
    products = node.op.kind == "product" or node.op.name == "multiply"
    return sign if products else Formula((*sign.held(ATOM), Run("′")))


def _rules(node: Node) -> list[Formula | None]:
    """For each operand that a gradient goes to what it is multiplied with; None where the rule is no product."""
    if node.op.vjp is None or node.dtype != "float":
        return [None]
    varying = [o for o in dict.fromkeys(node.operands) if not _constant(o)]
    names = ["z"] if len(varying) == 1 else [f"z{i}" for i, _ in enumerate(varying, 1)]
    stand = {o: make_input(text, o.shape, o.dtype, role="input") for text, o in zip(names, varying, strict=True)}
    numbers = {o: scalar(o) for o in node.operands if o.dtype == "float"}
    stand |= {o: constant(value=value) for o, value in numbers.items() if value is not None}
    g = make_input("g", node.shape, "float", role="gradient")
    y = rebuild(node, operands=tuple(stand.get(o, o) for o in node.operands))
    with already_aligned():
        back = node.op.vjp(g, y, *y.operands)
    return [_factors(b, g, y) for o, b in zip(node.operands, back, strict=True) if b is not None and o in varying]


def _constant(node: Node) -> bool:
    return all(n.op.kind == "leaf" and n.op.name == "constant" for n in topological([node]) if not n.operands)


def _factors(back: Node, g: Node, y: Node) -> Formula | None:
    """What a cotangent is besides g, if it is a product with g: ``⊙ y (1 − y)``, ``/ z``, ``−``."""
    over: list[Node] = []
    under: list[Node] = []
    minus = False
    while back is not g:
        if back.op.name == "multiply":
            here = [g in topological([o]) for o in back.operands]
            if here == [True, True]:
                return None
            over.append(back.operands[1 if here[0] else 0])
            back = back.operands[0 if here[0] else 1]
        elif back.op.name == "divide" and g not in topological([back.operands[1]]):
            under.append(back.operands[1])
            back = back.operands[0]
        elif back.op.name == "negative" or is_silent(back.op):
            minus ^= back.op.name == "negative"
            (back,) = back.operands
        else:
            return None
    said = [Run(f"⊙ {'−' * minus}"), *_product(over, y)] if over else [Run("−")] * minus
    return Formula((*said, Run(" / " if said else "/ "), *_product(under, y)) if under else tuple(said))


def _product(factors: list[Node], y: Node) -> tuple[Run, ...]:
    """Factors side by side, numbers first, those that stand twice as a square."""
    flat: list[Node] = []
    pending = list(reversed(factors))
    while pending:
        node = pending.pop()
        if node.op.name == "multiply" and node is not y:
            pending += reversed(node.operands)
        else:
            flat.append(node)
    formulas = [_written(n, y) for n in flat]
    order = sorted(range(len(flat)), key=lambda i: (flat[i].op.name != "constant", formulas[i].strength < PRODUCT))
    held = [formulas[i].held(SUM if flat[i].op.name == "constant" else PRODUCT) for i in order]
    out: list[Run] = []
    for runs, count in Counter(held).items():
        power = [Run(str(count), "super")] if count > 1 else []
        out += [*([Run(" ")] if out else []), *runs, *power]
    return tuple(out)


def _written(node: Node, y: Node) -> Formula:
    """A small formula over y and z."""
    formulas = {y: name("y")}
    for n in topological([node], stop=lambda n: n is y):
        if n.op.name == "input":
            formulas[n] = name(str(n.name))
        elif n.op.name == "multiply" and n is not y:
            formulas[n] = Formula(_product(list(n.operands), y), PRODUCT)
        elif n is not y and (value := scalar(n)) is not None:
            formulas[n] = short(value)
        elif n is not y:
            formulas[n] = write(n, [formulas[o] for o in n.operands])
    return formulas[node]


def brick_lines(last: Node, nodes: list[Node]) -> list[Line]:
    """The lines of the gradient of a brick: of its gain, of what it does, and of the product with its weights."""
    core = core_of_brick(last)
    weighted = {name: node for node in nodes for name in weights_of(node)}
    matrices = [node for name, node in weighted.items() if name.startswith("W")]
    said = [Formula((Run("⊙ gain"),))] if "gain" in weighted else []
    said += [] if slope(core) == COPY or core in matrices else [slope(core)]
    if any(n.op.kind == "product" for n in matrices):
        said.append(Formula((Run("· Wᵀ"),)))
    elif any(n.op.name == "multiply" for n in matrices):
        said.append(Formula((Run("⊙ W"),)))
    return [formula_line(formula, 12) for formula in said or [COPY]]
