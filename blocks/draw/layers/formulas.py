"""The equations of a cell beside its figure, each linked to the part that computes it."""

from __future__ import annotations

import re
from dataclasses import replace

from ...equations import Equation, equation_lines
from ...graph import Graph
from ...notation import Formula
from ...notation import Run as Written
from ...ops.loop import NEXT
from ..diagram.elements import common_scope
from ..scene import MARGIN, Note, Scene, Shape, fit
from ..text import Line, Run, clip
from ..typeset import Labels, name_line, unicode_line, value_at

SIZE, ROW, APART = 12.0, 21.0, 22.0  # of the letters; from line to line; from the figure, and from a line to its number
WORD = re.compile(r"[^\W\d_]+|[^A-Za-z]+?(?=[A-Za-z]|$)|.", re.DOTALL)


def with_equations(scene: Scene, graph: Graph, labels: Labels, numbered: bool = False, below: bool = False) -> Scene:
    """The scene with the equations of the graph on its right, or below it: of what is emphasised, if anything is.
    numbered: (1), (2), … behind them."""
    names = _Names(graph, labels)
    states = {name.removeprefix(NEXT) for name in graph.outputs if name.startswith(NEXT)}
    rows: list[tuple[Line, str]] = []
    said = set()
    for equation in equation_lines(graph, names.written):
        owner = _owner(scene, graph.name_of(equation.node))
        new = equation.node not in said or equation.label in states  # else an output that has a name already
        if new and (owner is None or owner.lit):
            said.add(equation.node)
            rows.append((names.set(equation), owner.key if owner else ""))
    left, top = (MARGIN, -ROW) if below else (scene.width + APART, (scene.height + ROW * (len(rows) - 1)) / 2)
    end = left + 1.1 * max((words.width for words, _ in rows), default=0.0) + APART  # wider in some browsers
    notes = []
    for i, (words, owner_key) in enumerate(rows):
        notes.append(Note(f"equation{i + 1}", words, left, top - i * ROW, owner_key))
        if numbered:
            number = Line((Run(f"({i + 1})", italic=True),), SIZE)
            notes.append(Note(f"number{i + 1}", number, end, top - i * ROW, owner_key))
    return fit(replace(scene, notes=(*scene.notes, *notes)))


def _owner(scene: Scene, name: str) -> Shape | None:
    """The shape that computes a node."""
    makers = [s for s in scene.shapes if name in s.nodes and not s.sample]
    return min(makers, key=lambda s: (s.kind not in ("brick", "operation", "draw"), not s.lit), default=None)


class _Names:
    """How an equation writes names: as the figure does."""

    def __init__(self, graph: Graph, labels: Labels):
        self.labels, self.prefix = labels, common_scope(n.brick for n in graph.order() if n.brick)
        self.runs: dict[str, tuple[Run, ...]] = {}

    def written(self, name: str, kind: str) -> Formula:
        """A name, its runs kept for when the equation is set."""
        shown = self.labels(name, clip(name.removeprefix(self.prefix)))
        time = {"before": "t−1", "input": "t", "value": "t"}.get(kind)
        words = value_at(shown, time) if time else name_line(shown, SIZE)
        if kind == "weight" and name_line(name, SIZE).plain == name and len(name) <= 2:
            words = Line((Run(name, italic=True),))
        text = unicode_line(words)
        self.runs[text] = words.runs
        return Formula((Written(text, "name"),))

    def set(self, equation: Equation) -> Line:
        """An equation as a line."""
        out: list[Run] = []
        for run in equation.runs:
            if run.mark == "name":
                out += self.runs[run.text]
            elif run.mark in ("sub", "super"):
                slanted = len(run.text) <= 2 or not any(map(str.isalpha, run.text))
                out.append(Run(run.text, italic=slanted, sub=run.mark == "sub", sup=run.mark == "super"))
            else:
                out += [Run(word, italic=not word[0].isalpha()) for word in WORD.findall(run.text)]
        return Line(tuple(out), SIZE)
