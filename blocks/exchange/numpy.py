"""NumPy: a graph, a cell or a model as a function in a readable text that stands alone, as a person would write it.

It is not fast: what a graph compiles to (`compile`) is, but needs blocks to run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..arguments import checked
from ..cell import Cell
from ..graph import Graph, Node
from ..train.model import Model
from .arrays import ArrayFunction, ArrayModule, rows_of
from .given import Given, given
from .rows import Dialect, Row, code, text
from .run import executed
from .stepwise import Stepwise


def _cumsum(node: Node) -> str:
    if node.attrs["reverse"]:
        return "np.flip(np.cumsum(np.flip({0}, {axis}), {axis}), {axis})"
    return "np.cumsum({0}, {axis})"


ROWS: dict[str, Row] = {
    **rows_of("np", "{0:n} // {1:n}"),
    "sigm": "sigm({0})",
    "relu": "np.maximum({0}, 0.0)",
    "softplus": "np.logaddexp({0}, 0.0)",
    "stop_gradient": "{0}",
    "cumsum": _cumsum,
    "one_hot": "({0}[..., None] == np.arange({classes})).astype({dtype})",
}


class NumpyDialect(Dialect):
    """NumPy, in which an operation of a user's that is a ufunc is its own row."""

    def row(self, node: Node) -> str | None:
        """The template of a node; None, if there is none."""
        forward = node.op.forward
        row = super().row(node)
        if row is None and isinstance(forward, np.ufunc) and hasattr(np, forward.__name__):
            return f"np.{forward.__name__}({', '.join(f'{{{i}}}' for i in range(len(node.operands)))})"
        return row


NUMPY = NumpyDialect("np", "NumPy", ROWS)


class NumpyFunction(ArrayFunction, Stepwise):
    """A function whose loops are loops of Python."""

    xp = "np"

    def rows_of(self, sequence: ast.expr, reverse: bool) -> ast.expr:
        """The rows of an array are what it gives one after the other."""
        return code(f"({text(sequence)})[::-1]") if reverse else sequence

    def stacked(self, rows: str, reverse: bool) -> str:
        """A list of rows as one array."""
        return f"np.stack({rows}{'[::-1]' if reverse else ''})"


class NumpyModule(ArrayModule):
    """The text for NumPy."""

    dialect, kind, xp = NUMPY, NumpyFunction, "np"
    types: ClassVar = {"int": "np.int64", "bool": "np.bool_"}
    words = ("np", "base64", "zlib")
    imports: ClassVar = {"base64": "import base64", "zlib": "import zlib\n", "np": "import numpy as np"}


@checked
def to_numpy(source: Graph | Cell | Model, *, weights: Mapping[str, Any] | None = None) -> Any:
    """A function ``f(params, **inputs)`` of NumPy that computes what a graph, a cell or a model does, as it is written.

    It takes and gives what that of `to_jax` does; ``f.params`` is the dict of weights, ``f.source`` the text, which
    runs where there is NumPy and no blocks. For speed, `compile`.

    Raises BlocksError naming an operation without a row (``rows={"np": "np.sinh({0})"}``); a NumPy ufunc is its own.
    """
    what = given(source, weights)
    written = numpy_source(what)
    function = executed(written, "numpy")["network"]
    function.source, function.params = written, what.weights
    return function


def numpy_source(what: Given) -> str:
    """The text of the functions of a graph."""
    return NumpyModule(what).write()
