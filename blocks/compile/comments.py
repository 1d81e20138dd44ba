"""The comments in a program: above each stage, what it computes, as a person writes it.

The formulas of a stage are assignments, in order, over what it takes from elsewhere and over each other's results. A
value that one operation of the stage alone needs stands in the formula of that operation, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..graph import Node
from ..notation import ATOM, write_text
from .names import comment

LONGEST = 110  # so long is a line at most; a formula of more says nothing


@dataclass
class Line:
    """One operation of a stage as it was written; `named`, if more than one operation needs its value."""

    node: Node
    a: list[str]
    out: str
    named: bool


@dataclass
class Result:
    """A value of the stage that stands in a variable."""

    variable: str
    text: str
    named: bool  # its formula is written even where the stage uses it


class Formulas:
    """The formulas of a stage, found line by line.

    A value is known by its variable until that is written again; what was said with the old value of a variable keeps
    its own name from there on. So each variable knows which formulas say it.
    """

    def __init__(self, other_name: Callable[[str], str] = str):
        self.other_name = other_name  # of a variable: the number that it is, or what it shows in another shape
        self.written: dict[str, tuple[str, int]] = {}  # variable → how later formulas write it
        self.results: dict[int, Result] = {}  # in order
        self.current: dict[str, int] = {}  # variable → its result
        self.saying: dict[str, set[int]] = {}  # variable → the results in whose text it stands
        self.says: dict[int, set[str]] = {}  # and the other way round

    def add(self, line: Line) -> None:
        """One more line."""
        used = dict.fromkeys(self.other_name(v) for v in line.a)
        text, strength = write_text(line.node, [self.of(v) for v in line.a])
        if len(f"{line.out} = {text}") > LONGEST:  # it is said in parts
            for variable in used:
                self.name(variable)
            text, strength = write_text(line.node, [self.of(v) for v in line.a])
        says: set[str] = set()
        for variable in used:
            result = self.current.get(variable)
            inline = result is not None and self.written[variable][0] != variable
            says |= self.says[result] if result is not None and inline else {variable}
            if result is not None and not self.results[result].named:
                del self.results[result]
                del self.current[variable]
        for number in self.saying.pop(line.out, set()):
            if number in self.results:
                self.results[number].named = True
                if self.current.get(variable := self.results[number].variable) == number:
                    self.written[variable] = variable, ATOM
        number = len(self.says)
        self.results[number] = Result(line.out, text, line.named)
        self.says[number] = says
        self.current[line.out] = number
        self.written[line.out] = (line.out, ATOM) if line.named else (text, strength)
        for variable in says:
            self.saying.setdefault(variable, set()).add(number)

    def name(self, variable: str) -> None:
        """Have the formula of a variable stand by itself, and later ones say its name."""
        if variable in self.current:
            self.results[self.current[variable]].named = True
            self.written[variable] = variable, ATOM

    def of(self, variable: str) -> tuple[str, int]:
        """How a formula writes a variable."""
        variable = self.other_name(variable)
        return self.written.get(variable, (variable, ATOM))


def above(label: str, lines: list[Line], other_name: Callable[[str], str] = str) -> list[str]:
    """The texts of the comments above a stage of some bricks."""
    formulas = Formulas(other_name)
    for line in lines:
        formulas.add(line)
    shown = [f"{r.variable} = {r.text}" for r in formulas.results.values()]
    shown = [text for text in shown if len(text) <= LONGEST]
    texts = ["; ".join(shown)] if len("; ".join(shown)) <= LONGEST else shown
    if label:
        texts[:1] = [": ".join(part for part in (label, *texts[:1]) if part)]
    return [comment(text) for text in texts if text]
