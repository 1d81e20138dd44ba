"""What Python writes for each operation, with blocks itself: ``bk.tanh({0})``, ``{0} @ {1}``."""

from __future__ import annotations

from ...graph import Node
from ..arrays import SIGNS
from ..rows import Dialect, Row

SAID = {"add", "subtract", "multiply", "divide", "power", "negative", "greater", "greater_equal", "less", "less_equal"}
SAID |= {"logical_and", "logical_or", "logical_not", "matmul", "slice"}
OTHERS: dict[str, Row] = {"floor_divide": "{0:n} // {1:n}", "mod": "{0:n} % {1:n}", "truncate": "bk.cast({0}, 'int')"}


def _called(node: Node) -> str | None:
    """The public function of an operation, with its options."""
    import blocks

    operation = getattr(blocks, node.op.name, None)
    if node.op.name not in blocks.__all__ or not callable(operation):
        return None
    given = [f"{{{i}}}" for i in range(len(node.operands))]
    given += [f"{key}={{{key}}}" for key, value in node.attrs.items() if not (key == "keepdims" and value is False)]
    return f"bk.{node.op.name}({', '.join(given)})"


class PythonDialect(Dialect):
    """Python with blocks: signs, and else the public function of the same name."""

    def row(self, node: Node) -> str | None:
        """The template of a node; None, if there is no public function."""
        return super().row(node) or _called(node)


PYTHON = PythonDialect("python", "Python", {**{k: SIGNS[k] for k in SAID}, **OTHERS})
