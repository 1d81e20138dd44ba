"""The comments in a program: above each stage, what it computes, as a person writes it.

A stage is a row of operations of the same bricks. Its formulas are over what it takes from elsewhere, so an
intermediate value stands in the formula of its result, and nowhere else.
"""

from __future__ import annotations

from ..graph import Node
from .names import comment

SIGNS = {"add": "+", "subtract": "−", "multiply": "⊙", "divide": "/", "matmul": "·"}
SUM, PRODUCT, ATOM = 1, 2, 3  # how strongly a formula holds together
LONGEST = 100  # a formula of more says nothing


def formula(node: Node, a: list[tuple[str, int]]) -> tuple[str, int]:
    """A node as a person writes it, over the formulas of its operands."""
    name = node.op.name

    def held(i: int, strength: int) -> str:
        return a[i][0] if a[i][1] >= strength else f"({a[i][0]})"

    if name in ("add", "subtract"):
        return f"{held(0, SUM)} {SIGNS[name]} {held(1, SUM + (name == 'subtract'))}", SUM
    if name in ("multiply", "divide", "matmul"):
        return f"{held(0, PRODUCT)} {SIGNS[name]} {held(1, PRODUCT + (name == 'divide'))}", PRODUCT
    if name == "outer":
        return f"{held(0, ATOM)}ᵀ · {held(1, PRODUCT)}", PRODUCT
    return f"{name}({', '.join(x for x, _ in a)})", ATOM


class Stages:
    """The formulas of the stage at hand; writes them above its lines when it ends."""

    def __init__(self) -> None:
        self.begun: tuple[int, str] | None = None  # its first line, and its bricks
        self.formulas: dict[str, tuple[str, int]] = {}  # variable → what it holds, over the stage's inputs
        self.consumed: set[str] = set()  # the variables of the stage that it uses itself
        self.numbers: dict[str, str] = {}  # variable → the number that it is
        self.turned: dict[str, str] = {}  # a variable that is another one in another shape → that one

    def add(self, node: Node, a: list[str], out: str, lines: list[str]) -> None:
        """One more operation, whose line will be the next one."""
        label = (node.brick or "") + (", gradient" if node.brick and node.role == "gradient" else "")
        if self.begun and self.begun[1] != label:
            self.end(lines)
        self.begun = self.begun or (len(lines), label)
        made = formula(node, [self.formula_of(v) for v in a])
        self.formulas = {v: f for v, f in self.formulas.items() if v != out} | {out: made}
        self.consumed = (self.consumed | {self.turned.get(v, v) for v in a}) - {out}

    def formula_of(self, variable: str) -> tuple[str, int]:
        """What a variable holds, over the inputs of the stage."""
        variable = self.turned.get(variable, variable)
        return self.formulas.get(variable, (self.numbers.get(variable, variable), ATOM))

    def turn(self, variable: str, base: str) -> None:
        """Note that a variable is another one in another shape."""
        self.turned[variable] = self.turned.get(base, base)

    def end(self, lines: list[str]) -> None:
        """Write the formulas of the stage's results above it; what follows begins anew."""
        if self.begun:
            start, label = self.begun
            results = [f"{out} = {text}" for out, (text, _) in self.formulas.items() if out not in self.consumed]
            shown = "; ".join(result for result in results if len(result) <= LONGEST)
            if text := ": ".join(part for part in (label, shown) if part):
                indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
                lines.insert(start, f"{indent}# {comment(text)}")
        self.begun, self.formulas, self.consumed = None, {}, set()
