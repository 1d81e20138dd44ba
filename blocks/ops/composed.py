"""Functions that are made of other operations, number by number; they need no row of their own."""

from __future__ import annotations

from ..arguments import checked
from ..errors import WiringError, nearest, user_line
from ..graph import DTYPES, Node, Wire, as_node
from .elementwise import cast_op, maximum, minimum, not_equal, softplus, truncate


@checked
def log_sigm(x: Wire) -> Node:
    """ln σ(x) = -softplus(-x): exact for large |x|, where ln(sigm(x)) is not."""
    return -softplus(-as_node(x))


@checked
def clip(x: Wire, low: Wire | None = None, high: Wire | None = None) -> Node:
    """x, but not below `low` nor above `high`, numbers or wires; None bounds nothing. At a bound the slope is ½, as of
    `maximum` at a tie. Raises WiringError without a bound, and for numbers low > high."""
    if low is None and high is None:
        raise WiringError(f"clip: give low or high, or both [{user_line()}]", "clip")
    numbers = [bound for bound in (low, high) if isinstance(bound, int | float)]
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise WiringError(f"clip: nothing is from {low} to {high} [{user_line()}]", "clip")
    out = as_node(x)
    out = out if low is None else maximum(out, low)
    return out if high is None else minimum(out, high)


@checked
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
