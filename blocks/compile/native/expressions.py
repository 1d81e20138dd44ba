"""Elementwise operations as C: an expression over their operands.

What the row of an operation says (``rows={"native": "sin({0})"}``) goes before the table. `blocks.h` has the functions
that end with an underscore.
"""

from __future__ import annotations

import math
import re

from ...errors import BlocksError
from ...graph import Node


class Unsupported(BlocksError):
    """What cannot be written in C, and why; NumPy computes the whole program then."""


EXPRESSIONS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "floor_divide": "floor_divide_({0}, {1})",
    "mod": "mod_({0}, {1})",
    "power": "pow_({0}, {1})",
    "maximum": "max_({0}, {1})",
    "minimum": "min_({0}, {1})",
    "negative": "-{0}",
    "exp": "exp_({0})",
    "expm1": "expm1_({0})",
    "log": "log_({0})",
    "sqrt": "sqrt_({0})",
    "abs": "abs_({0})",
    "sin": "sin_({0})",
    "cos": "cos_({0})",
    "floor": "floor_({0})",
    "round": "round_({0})",
    "sign": "sign_({0})",
    "sigm": "sigm_({0})",
    "tanh": "tanh_({0})",
    "relu": "max_({0}, R(0))",
    "softplus": "softplus_({0})",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "logical_and": "{0} & {1}",
    "logical_or": "{0} | {1}",
    "logical_not": "{0} == 0",
    "truncate": "(int64_t){0}",
    "where": "{0} != 0 ? {1} : {2}",
    "cast": "R({0})",
    "mask": "R({0})",
}
INTEGERS = {  # what is written otherwise where the result is an integer
    "floor_divide": "floor_divide_int({0}, {1})",
    "mod": "mod_int({0}, {1})",
    "maximum": "{0} > {1} ? {0} : {1}",
    "minimum": "{0} < {1} ? {0} : {1}",
    "abs": "{0} < 0 ? -{0} : {0}",
    "sign": "({0} > 0) - ({0} < 0)",
    "cast": "(int64_t){0}",
}
POWERS = {"R(1.0)": "{0}", "R(2.0)": "{0} * {0}", "R(-1.0)": "R(1) / {0}"}  # a power that is a number


def expression(node: Node, a: list[str]) -> str:
    """An operation over the texts of its operands. Raises Unsupported for one that has no expression."""
    if node.op.name == "power" and a[1] in POWERS:
        return POWERS[a[1]].format(*a)
    table = {**EXPRESSIONS, **INTEGERS} if node.dtype == "int" else EXPRESSIONS
    row = node.op.rows.get("native") or table.get(node.op.name)
    if row is None:
        raise Unsupported(f"operation {node.op.name!r} has no expression in C: give it rows={{'native': ...}}")

    def operand(found: re.Match[str]) -> str:
        number = found[1]
        if not number.isdigit() or int(number) >= len(a):
            raise BlocksError(f"the row {row!r} of operation {node.op.name!r} has no operand {{{number}}}")
        return a[int(number)]

    return re.sub(r"\{(\w*)\}", operand, row)


def number(value: float | int | bool) -> str:
    """A number as C writes it, infinity and NaN too."""
    if isinstance(value, int):
        return f"INT64_C({int(value)})" if value > -(2**63) else "INT64_MIN"
    if math.isfinite(value):
        return f"R({float(value)!r})"
    return "R(NAN)" if math.isnan(value) else f"R({'-' if value < 0 else ''}INFINITY)"
