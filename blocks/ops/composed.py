"""Functions that are made of other operations, number by number; they need no row of their own."""

from __future__ import annotations

from ..errors import WiringError, nearest, user_line
from ..graph import DTYPES, Node, Wire, as_node
from .elementwise import cast_op, not_equal, softplus, truncate


def log_sigm(x: Node) -> Node:
    """ln σ(x) = -softplus(-x): exact for large |x|, where ln(sigm(x)) is not."""
    return -softplus(-x)


def cast(x: Wire, dtype: str = "float") -> Node:
    """x as values of another type: "float", "int" or "bool"; x itself where it is of that type.

    A floating-point number loses its fraction as an integer (−1.7 becomes −1; infinity and NaN are no integers, and
    become any number). A boolean is 1 or 0 as a number, and a number is true unless it is 0. No gradient flows from
    or to integers and booleans. Raises WiringError for a type that is none.
    """
    node = as_node(x)
    if dtype not in DTYPES:
        known = f"known are {', '.join(DTYPES)}{nearest(str(dtype), DTYPES)}"
        raise WiringError(f"cast: unknown dtype {dtype!r:.40}; {known} [{user_line()}]", "cast", (node,))
    if node.dtype == dtype:
        return node
    if dtype == "bool":
        return not_equal(node, 0)
    return truncate(node) if (node.dtype, dtype) == ("float", "int") else cast_op(node, dtype=dtype)
