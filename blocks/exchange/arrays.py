"""What JAX and NumPy have in common: functions of arrays by the same names, and weights in a dict.

The text is a few functions: one for each loop's step, and ``network(params, x=...)``, which is called.
"""

from __future__ import annotations

import ast
import re
from typing import Any, ClassVar

import numpy as np

from ..graph import Node
from .function import Function, Value, harmless, indented
from .module import PARTS, Module, functions_in
from .rows import Row, call, code, is_zero, literal, name, text


def whole_or(whole: str, number: str) -> Row:
    """One row for integers, another one for floating-point numbers."""
    return lambda node: whole if node.dtype == "int" else number


def part(node: Node) -> str:
    """``{0}[:, 2:5]``."""
    axis, start, stop = (node.attrs[k] for k in ("axis", "start", "stop"))
    return f"{{0}}[{':, ' * axis}{start or ''}:{'' if stop is None else stop}]"


def joined(function: str) -> Row:
    """Wires side by side."""

    def row(node: Node) -> str:
        operands = ", ".join(f"{{{i}}}" for i in range(len(node.operands)))
        return f"{function}(({operands},), {node.attrs['axis']})"

    return row


def choice(function: str) -> Row:
    """One or the other, of which one may be a number: two have no type."""

    def row(node: Node) -> str:
        condition, _, b = node.operands
        number = b.op.name in ("constant", "size") and not b.shape
        holds = "{0}" if condition.dtype == "bool" else "{0} != 0"
        return f"{function}({holds}, {'{1}' if number else '{1:n}'}, {{2:n}})"

    return row


def outer(node: Node) -> str:
    """Rows of both as two matrices, of which one stands on its side."""
    if node.attrs.get("each"):
        return "outer_of_each({0}, {1}, {each})"
    x, y = (
        f"{{{i}}}" if len(o.shape) == 2 else f"{{{i}}}.reshape(-1, {o.shape[-1]})" for i, o in enumerate(node.operands)
    )
    return f"{x}.mT @ {y}"


def over(how: str, keep: str = "keepdims") -> Row:
    """A reduction, a method; over no axis, the value itself."""

    def row(node: Node) -> str:
        axes = node.attrs["axis"]
        kept = f", {keep}=True" if node.attrs["keepdims"] else ""
        return f"{{0}}.{how}({axes[0] if len(axes) == 1 else axes}{kept})" if axes else "{0}"

    return row


def argmax(keep: str = "keepdims") -> Row:
    """The place of the largest, a method."""
    return lambda node: f"{{0}}.argmax({node.attrs['axis']}{f', {keep}=True' if node.attrs['keepdims'] else ''})"


def weighted_mean(node: Node) -> str:
    """With a value for no weights, where there is one."""
    return "weighted_mean({0}, {1})" if node.attrs.get("empty") is None else "weighted_mean({0}, {1}, {empty})"


# Of every dialect: what Python writes between values.
SIGNS: dict[str, Row] = {
    "add": "{0:n} + {1:n}",
    "subtract": "{0:n} - {1:n}",
    "multiply": "{0:n} * {1:n}",
    "divide": "{0:n} / {1:n}",
    "power": "{0:n} ** {1:n}",
    "negative": "-{0}",
    "greater": "{0:n} > {1:n}",
    "greater_equal": "{0:n} >= {1:n}",
    "less": "{0:n} < {1:n}",
    "less_equal": "{0:n} <= {1:n}",
    "equal": "{0:n} == {1:n}",
    "not_equal": "{0:n} != {1:n}",
    "logical_and": "{0:n} & {1:n}",
    "logical_or": "{0:n} | {1:n}",
    "logical_not": "~{0}",
    "transpose": "{0}.mT",
    "slice": part,
    "matmul": "{0} @ {1}",
    "outer": outer,
    "outer_each": "{0}[..., :, None] * {1}[..., None, :]",
    "gather": lambda node: "gather_each({0}, {1})" if node.attrs.get("each") else "{0}[{1}]",
    "scatter": lambda node: f"scatter{'_each' if node.attrs.get('each') else ''}({{0}}, {{1}}, {{rows}})",
    "hold": "hold({0}, {1})",
    "release": "release({0}, {1})",
    "pad": "padded({0}, {sizes}, {axis}, {start}, {stop})",
    "reshape": "{0}.reshape({sizes})",
    "sum": over("sum"),
    "mean": over("mean"),
    "max": over("max"),
    "argmax": argmax(),
    "weighted_mean": weighted_mean,
}


def cross_entropy(xp: str, log_softmax: str) -> Row:
    """Of ids, or of what is wanted of each class."""
    of_ids = f"-{xp}.take_along_axis({log_softmax}({{0}}, -1), {{1}}[..., None], -1)[..., 0]"
    of_classes = f"-({{1:n}} * {log_softmax}({{0}}, -1)).sum(-1)"
    return lambda node: of_ids if node.operands[1].dtype == "int" else of_classes


def rows_of(xp: str, floor: str, nn: str = "") -> dict[str, Row]:
    """The rows that JAX and NumPy share; `xp` is what the module of functions is called, `floor` the row of a division
    that is rounded down, `nn` what stands before a softmax."""
    names = "exp expm1 log sqrt sin cos floor abs sign tanh".split()  # noqa: SIM905
    return {
        **SIGNS,
        **{n: f"{xp}.{n}({{0}})" for n in names},
        "round": f"{xp}.rint({{0}})",
        "maximum": f"{xp}.maximum({{0:n}}, {{1:n}})",
        "minimum": f"{xp}.minimum({{0:n}}, {{1:n}})",
        "floor_divide": whole_or(f"{xp}.where({{1}} != 0, {{0}} // {xp}.where({{1}} != 0, {{1}}, 1), 0)", floor),
        "mod": whole_or(f"{xp}.where({{1}} != 0, {{0}} % {xp}.where({{1}} != 0, {{1}}, 1), 0)", "{0:n} % {1:n}"),
        "where": choice(f"{xp}.where"),
        "cast": "{0}.astype({dtype})",
        "mask": "{0}.astype({dtype})",
        "truncate": f"{xp}.trunc({{0}}).astype({{dtype}})",
        "broadcast": f"{xp}.broadcast_to({{0}}, {{sizes}})",
        "moveaxis": f"{xp}.moveaxis({{0}}, {{source}}, {{destination}})",
        "concat": joined(f"{xp}.concatenate"),
        "softmax": f"{nn}softmax({{0}}, {{axis}})",
        "log_softmax": f"{nn}log_softmax({{0}}, {{axis}})",
        "cross_entropy": cross_entropy(xp, f"{nn}log_softmax"),
    }


class ArrayFunction(Function):
    """A function of arrays."""

    xp: str  # the module of functions

    def number(self, expression: ast.expr, dtype: str) -> ast.expr:
        """An array of no axes."""
        return call(f"{self.xp}.asarray", expression, self.type_of(dtype))

    def filled(self, sizes: ast.expr, value: ast.expr, dtype: str) -> ast.expr:
        """An array with one number."""
        if is_zero(value):
            return call(f"{self.xp}.zeros", sizes, self.type_of(dtype))
        return call(f"{self.xp}.full", sizes, value, self.type_of(dtype))

    def repeated(self, sizes: ast.expr, value: ast.expr) -> ast.expr:
        """An array repeated to some sizes."""
        return call(f"{self.xp}.broadcast_to", value, sizes)

    def array(self, value: np.ndarray) -> Value:
        """A constant of the text, of this function's type."""
        kind = [self.need("dtype")] if value.dtype.kind == "f" else []
        return Value(call(f"{self.xp}.asarray", name(self.module.constant(value)), *kind))


class ArrayModule(Module):
    """The text of functions of arrays."""

    first = "params"
    xp: str
    imports: ClassVar[dict[str, str]]  # what a text may use → the line that imports it

    def helpers_of(self) -> dict[str, str]:
        """Those of all arrays, with the module of functions in the place of `xp`, and those of the language."""
        common = functions_in(PARTS / "arrays.py")
        return {k: re.sub(r"\bxp\.", f"{self.xp}.", f) for k, f in common.items()} | super().helpers_of()

    def call(self, called: str) -> tuple[str, list[str]]:
        """How a function is called."""
        return called, ["params"]

    def weight(self, called: str) -> ast.expr:
        """An item of the dict of weights."""
        return ast.Subscript(name("params"), literal(called), ast.Load())

    def moved(self, value: ast.expr, source: int, destination: int) -> ast.expr:
        """An array with an axis at another place."""
        return call(f"{self.xp}.moveaxis", value, literal(source), literal(destination))

    def taken(self, f: Any, identifier: str, leaf: Node) -> ast.expr:
        """Whatever is fed as an array, numbers of the type of the weights."""
        kind = [f.need("dtype")] if leaf.dtype == "float" else []
        return call(f"{self.xp}.asarray", code(identifier), *kind)

    def type_without_weights(self, inputs: dict[str, Node]) -> dict[str, str]:
        """That of an input, or the usual one."""
        number = next((i for i, leaf in inputs.items() if leaf.dtype == "float"), None)
        return {"dtype": f"{self.xp}.result_type({number}, 0.0)" if number else f"{self.xp}.result_type(float)"}

    def write(self) -> str:
        """The whole text."""
        network = self.network("network")
        constants = [f"{i} = {self.constant_text(value)}" for i, value in self.constants.values()]
        blocks = [*self.helpers(), *([constants] if constants else []), *self.functions, network]
        body = "\n".join(line for block in blocks for line in block)
        used = [line for word, line in self.imports.items() if f"{word}." in body]
        lines = [*self.said(), "", *used]
        for block in blocks:
            lines += ["", "", *block]
        return "\n".join(lines) + "\n"

    def said(self) -> list[str]:
        """What stands first in the text."""
        takes = "".join(
            f", {k}=..." if k.isidentifier() else f", **{{{harmless(k)!r}: ...}}" for k in self.given.leaves
        )
        file = ', of a model file safetensors.numpy.load_file("model.safetensors")' if self.given.model else ""
        shapes = [f"{harmless(k)} {text(literal(s))}" for k, s in self.given.graph.params.items()]
        return [
            f'"""{harmless(self.given.title).capitalize()}, written by blocks for {self.dialect.title}.',
            "",
            f"    outputs = network(params{takes})",
            "",
            *(
                ["params: a dict by name" + file, "", *indented(shapes)]
                if shapes
                else ["params: {}, as there are no weights"]
            ),
            '"""',
        ]
