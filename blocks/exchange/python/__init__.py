"""A cell as the Python that a person would write: wires, states, bricks with their options, operations, names.

rows     what is written for each operation        wires    the Python of each node, tried as it is found
loops    a scan inside of a cell                   text     the lines of the function
"""

from __future__ import annotations

import keyword
from typing import Any

import numpy as np

from ...arguments import checked
from ...cell import Cell
from ...compile.names import Names
from ...errors import BlocksError
from ...graph import FED, Graph
from ...train.model import Model
from ..cells import cells_of
from .text import Text
from .wires import Wires


@checked
def to_python(source: Cell | Graph | Model, *, called: str | None = None) -> str:
    """The Python that makes a cell: a function that returns it, with the kinds of its bricks and their options, states,
    names, and first weights. Of a graph or a model, one for each cell that it scans.

    Executed, ``cell(inputs, units)`` and so on, it gives a cell that computes the same, with the same names. The
    function takes the features of the only input and the units, where these are all the sizes that the cell has;
    numbers stay as they are, also one that was made of the sizes (1 / √units). A brick of a class of your own is
    written as its operations. `called`: the name of the function; by default that of the cell.

    A cell that scans another one calls the function of that, which stands before it. The text imports the modules that
    rows of your own operations name.

    Raises BlocksError naming what is not written: an operation of your own without a row
    (``rows={"python": "mine.sinh({0})"}``, of a module that can be imported), first weights that a function makes, a
    scan of a cell whose weights stand elsewhere too.
    """
    if isinstance(source, Cell):
        cells = [source]
    elif isinstance(source, Graph | Model):
        cells = list(cells_of(source if isinstance(source, Graph) else source.graph))
    else:
        raise BlocksError(f"a Cell is written as Python, or those of a Graph or a Model, not a {type(source).__name__}")
    if not cells:
        raise BlocksError("this graph scans no cell, so there is none to write as Python")
    functions = Functions()
    for cell in cells:
        functions.add(cell, called or cell.name or "cell")
    body = "\n\n\n".join(functions.texts.values())
    own = "".join(f"import {module}\n" for module in sorted(functions.modules))
    return ("import numpy as np\n\n" if "np." in body else "") + f"import blocks as bk\n{own}\n\n{body}\n"


class Functions:
    """The functions of some cells, those that are scanned inside of one before it.

    Attributes: texts, what each is called → its text; a cell that is scanned twice has one; modules, by name, that
    these import beside blocks and NumPy.
    """

    def __init__(self) -> None:
        import blocks

        self.names = Names({*keyword.kwlist, "bk", "np"}, lower=False)
        self.known: dict[str, str] = {}  # the text but for its name → what it is called
        self.texts: dict[str, str] = {}
        self.modules: dict[str, Any] = {}
        self.space: dict[str, Any] = {"bk": blocks, "np": np}

    def add(self, cell: Cell, called: str) -> str:
        """Write a cell; what its function is called."""
        lines = Text(self._wires(cell)).lines_of()
        if lines not in self.known:
            self.known[lines] = identifier = self.names.fresh(called)
            self.texts[identifier] = f"def {identifier}({lines}"
        return self.known[lines]

    def inner(self, cell: Cell) -> tuple[str, Cell]:
        """What the function of a cell is called, and the cell that it makes."""
        called = self.add(cell, cell.name or "inner")
        if called not in self.space:
            exec(compile(self.texts[called], called, "exec"), self.space)
        return called, self.space[called]()

    def _wires(self, cell: Cell) -> Wires:
        """The nodes of a cell with their Python; bricks that are not what they seem, as operations."""
        scope = scope_of(cell)
        firsts = {f"first/{k}_first": node for k, node in cell.firsts.items()}
        graph = Graph({**firsts, **cell.graph.outputs})
        sizes = sizes_of(cell, graph)
        plain: set[str] = set()
        while True:
            wires = Wires(cell, graph, scope, sizes, self.inner, plain)
            if wires.failed <= plain:
                self.modules |= wires.modules
                self.space |= wires.modules
                return wires
            plain |= wires.failed


def scope_of(cell: Cell) -> str:
    """What stands before all names: that of the cell."""
    graph, scope = cell.graph, f"{cell.name}/"
    named = [*graph.params, *cell.states, *graph.draws]
    return scope if cell.name and all(n.startswith(scope) for n in named) else ""


def sizes_of(cell: Cell, graph: Graph) -> dict[str, int]:
    """The sizes that the function of a cell takes: none, if the cell has others than these two."""
    leaves = [graph.fed("input")[n] for n in cell.inputs]
    states = list(cell.wires.values())
    if any(node.op.name == "loop" for node in graph.order()):
        return {}  # a cell that is scanned has sizes of its own
    if len(leaves) != 1 or leaves[0].dtype != "float" or not states:
        return {}
    shapes = [leaves[0].shape, *(s.shape for s in states)]
    if any(len(s) < 2 or s[0] != "batch" or any(isinstance(d, str) for d in s[1:]) for s in shapes):
        return {}
    inputs, units = int(leaves[0].shape[-1]), int(states[0].shape[-1])
    known = {inputs, units}
    for node in graph.order():
        fixed = (
            {"shape", "start", "classes", "rows"} & set(node.attrs) if node.operands and node.role != "align" else ()
        )
        arrays = [v for v in node.attrs.values() if isinstance(v, np.ndarray) and v.ndim]
        if fixed or arrays or (node.op.name in FED and any(isinstance(d, int) and d not in known for d in node.shape)):
            return {}
    return {"inputs": inputs, "units": units}
