"""The comments in a program: above each stage, what it computes, as a person writes it.

A stage is a row of operations of the same bricks. Its formulas are assignments, in order, over what it takes
from elsewhere and over each other's results. A value that one operation of the stage alone needs stands in the
formula of that operation, and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...graph import Node
from ..numpy.names import comment

SIGNS = {"add": "+", "subtract": "−", "multiply": "⊙", "divide": "/", "matmul": "·"}
SUM, DOT, PRODUCT, ATOM = 1, 2, 3, 4  # how strongly a formula holds together
LONGEST = 110  # so long is a line at most; a formula of more says nothing


def formula(node: Node, a: list[tuple[str, int]]) -> tuple[str, int]:
    """A node as a person writes it, over the formulas of its operands."""
    name = node.op.name

    def held(i: int, strength: int) -> str:
        return a[i][0] if a[i][1] >= strength else f"({a[i][0]})"

    if name in ("add", "subtract"):
        return f"{held(0, SUM)} {SIGNS[name]} {held(1, SUM + (name == 'subtract'))}", SUM
    if name in ("multiply", "divide"):
        return f"{held(0, PRODUCT)} {SIGNS[name]} {held(1, PRODUCT + (name == 'divide'))}", PRODUCT
    if name == "matmul":
        return f"{held(0, ATOM)} · {held(1, ATOM)}", DOT
    if name == "outer":
        return f"{held(0, ATOM)}ᵀ · {held(1, ATOM)}", DOT
    return f"{name}({', '.join(x for x, _ in a)})", ATOM


@dataclass
class Result:
    """A value of the stage that stands in a variable."""

    variable: str
    text: str
    named: bool  # its formula is written even where the stage uses it


class Stages:
    """The formulas of the stage at hand; writes them above its lines when it ends."""

    def __init__(self) -> None:
        self.begun: tuple[int, str] | None = None  # its first line, and its bricks
        self.formulas: dict[str, tuple[str, int]] = {}  # variable → how later formulas write it
        self.results: list[Result] = []
        self.numbers: dict[str, str] = {}  # variable → the number that it is
        self.turned: dict[str, str] = {}  # a variable that is another one in another shape → that one

    def add(self, node: Node, a: list[str], out: str, named: bool, lines: list[str]) -> None:
        """One more operation, whose line will be the next one; `named`, if more than one operation needs it."""
        label = (node.brick or "") + (", gradient" if node.brick and node.role == "gradient" else "")
        if self.begun and self.begun[1] != label:
            self.end(lines)
        self.begun = self.begun or (len(lines), label)
        text, strength = formula(node, [self.formula_of(v) for v in a])
        used = {self.turned.get(v, v) for v in a}
        self.results = [r for r in self.results if r.named or r.variable not in used]
        for result in self.results:  # what was written with the old value keeps its name from here on
            if re.search(rf"\b{out}\b", result.text):
                result.named = True
                self.formulas[result.variable] = result.variable, ATOM
        self.formulas[out] = (out, ATOM) if named else (text, strength)
        self.results.append(Result(out, text, named))

    def formula_of(self, variable: str) -> tuple[str, int]:
        """How a formula writes a variable."""
        variable = self.turned.get(variable, variable)
        return self.formulas.get(variable, (self.numbers.get(variable, variable), ATOM))

    def turn(self, variable: str, base: str) -> None:
        """Note that a variable is another one in another shape."""
        self.turned[variable] = self.turned.get(base, base)

    def end(self, lines: list[str]) -> None:
        """Write the formulas of the stage's results above it; what follows begins anew."""
        if self.begun:
            start, label = self.begun
            shown = [f"{r.variable} = {r.text}" for r in self.results]
            shown = [text for text in shown if len(text) <= LONGEST]
            texts = ["; ".join(shown)] if len("; ".join(shown)) <= LONGEST else shown
            if label:
                texts[:1] = [": ".join(part for part in (label, *texts[:1]) if part)]
            indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
            lines[start:start] = [f"{indent}# {comment(text)}" for text in texts if text]
        self.begun, self.formulas, self.results = None, {}, []
