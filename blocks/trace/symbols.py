"""What a value is written as: the name that a student would give it, and the rule that makes it, over such names.

C(2)                            what has a name, at its step
forget(2) ⊙ C(1)                what has none is its own formula
v1(2)                           or a letter with a number, where that is long
∂L/∂C(1)                        and its gradient

Inside of a formula each symbol stands between two marks, which no name has: so a page finds it there and puts in its
numbers. `bare` takes them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..graph import FED, Node, topological
from ..notation import ATOM, Formula, Run, is_silent, root, write
from .written import Written, at

OPEN, CLOSE = "\ue000", "\ue001"  # around a symbol; characters for private use are no part of names
LONGEST = 44  # characters of a value that is its own formula

Formulas = Mapping[Node, Formula]


def marked(text: str) -> Formula:
    """A symbol as it stands in formulas."""
    return Formula((Run(f"{OPEN}{text}{CLOSE}"),))


def bare(text: str) -> str:
    """A formula without the marks around its symbols."""
    return text.replace(OPEN, "").replace(CLOSE, "")


def symbols_of(written: Written, order: Iterable[Node], target: Node) -> dict[Node, Formula]:
    """How each value of a graph is written, in its rules and as itself; `target` is L."""
    taken: set[str] = set()
    found: dict[Node, Formula] = {}
    counts: dict[tuple[int, ...], int] = {}

    def called(text: str) -> Formula:
        while text in taken:
            text += "′"
        taken.add(text)
        return marked(text)

    order = list(order)
    leaves = [node for node in order if node.op.name in FED and node not in written.names]
    named = {node: called(str(node.name)) for node in leaves}
    named[target] = called("L")
    named |= {node: called(name) for node, name in written.names.items() if node is not target}
    for node in order:
        formula = named.get(node) or say(node, found)
        if node not in named and not hidden(node, written):
            text = bare(formula.plain)
            if len(text) > LONGEST:
                steps = written.steps.get(node, ())
                counts[steps] = counts.get(steps, 0) + 1
                formula = called(f"v{counts[steps]}{at(steps)}")
            elif text in taken:
                formula = called(text)
            taken.add(bare(formula.plain))
        found[node] = formula
    return found


def hidden(node: Node, written: Written) -> bool:
    """Whether a value is none of its own: a constant, another one in another layout, a part of a sequence."""
    if node in written.names:
        return False
    return node in written.glue or is_silent(node.op) or (not node.operands and node.op.name not in FED)


def say(node: Node, formulas: Formulas) -> Formula:
    """The formula of a node over those of its operands."""
    operands = [formulas[o] for o in node.operands]
    if node.op.name == "pad" and _is_step(node, node):  # at its place in a sequence
        return operands[0]
    if node.op.name == "slice" and _is_step(node, node.operands[0]):
        if root(node.operands[0]).shape == ():  # one number, the same at each step
            return operands[0]
        return Formula((*operands[0].held(ATOM), Run(f"({node.attrs['start'] + 1})")))
    return write(node, operands, dots=True)


def _is_step(node: Node, sequence: Node) -> bool:
    """Whether a node takes one step of a sequence, or puts it there."""
    start, stop = node.attrs["start"], node.attrs["stop"]
    return node.attrs["axis"] == 0 and isinstance(sequence.shape[0], str) and start >= 0 and stop == start + 1


def rule_of(node: Node, known: Formulas) -> Formula:
    """The formula of a node over known values."""
    found: dict[Node, Formula] = {}
    for n in topological([node], stop=known.__contains__):
        found[n] = known[n] if n in known else say(n, found)
    return found[node]


def rule_of_value(node: Node, symbols: Formulas) -> str:
    """What a value is computed from; "" for what is fed."""
    return "" if node.op.name in FED else say(node, symbols).plain


def gradient_symbol(target: Formula, of: Formula) -> Formula:
    """``∂L/∂C(1)``; what is no name stands in parentheses."""
    return marked(bare(f"∂{target.plain}/∂{Formula(of.held(ATOM)).plain}"))


def joined(parts: Iterable[Formula]) -> str:
    """Formulas added up."""
    return added(Formula(part.held(1)).plain for part in parts)


def added(texts: Iterable[str]) -> str:
    """Formulas that hold together, added up: ``a + b − c``."""
    first, *rest = texts
    return first + "".join(f" − {text[1:]}" if text.startswith("−") else f" + {text}" for text in rest)
