"""PyTorch: a graph, a cell or a model as an `nn.Module`, with a readable text that stands alone.

The forward graph is written as it is; gradients are PyTorch's own, by autograd. What an operation has no row for stands
in `parts/torch.py`, from where it goes into the text.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..arguments import checked
from ..cell import Cell
from ..errors import BlocksError
from ..graph import Graph, Node
from ..optional import needed
from ..train.model import Model
from .arrays import SIGNS, argmax, choice, joined, over, whole_or
from .function import Value, harmless, indented
from .fused import fused, recognised
from .given import Given, given
from .module import Module
from .rows import Dialect, Row, call, code, is_zero, literal, text
from .run import executed
from .stepwise import Stepwise

# What an nn.Module has by itself, which weights and bricks cannot be called.
TAKEN = frozenset((
    "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu",
    "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state",
    "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers",
    "named_children", "named_modules", "named_parameters", "parameters", "register_backward_hook",
    "register_buffer", "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_load_state_dict_post_hook", "register_load_state_dict_pre_hook",
    "register_module", "register_parameter", "register_state_dict_post_hook", "register_state_dict_pre_hook",
    "requires_grad_", "set_extra_state", "set_submodule", "share_memory", "source", "state_dict", "to", "to_empty",
    "train", "training", "type", "xpu", "zero_grad",
))  # fmt: skip


def _cumsum(node: Node) -> str:
    axis = node.attrs["axis"]
    return f"{{0}}.flip({axis}).cumsum({axis}).flip({axis})" if node.attrs["reverse"] else f"{{0}}.cumsum({axis})"


def _of_rows(function: str) -> Row:
    """A normalisation of the last axis; None for another one, or one of a size that is not known."""

    def row(node: Node) -> str | None:
        (x,) = node.operands
        last = x.shape[-1]
        if node.attrs["axis"] != len(x.shape) - 1 or isinstance(last, str):
            return None
        return f"F.{function}({{0}}, ({last},), eps={node.attrs['epsilon']!r})"

    return row


def _cross_entropy(node: Node) -> str:
    if node.operands[1].dtype == "int":
        return "-torch.log_softmax({0}, -1).gather(-1, {1}[..., None])[..., 0]"
    return "-({1:n} * torch.log_softmax({0}, -1)).sum(-1)"


ROWS: dict[str, Row] = {
    **SIGNS,
    "floor_divide": whole_or(
        "torch.where({1} != 0, {0} // torch.where({1} != 0, {1}, 1), 0)", "({0}.detach() // {1}.detach())"
    ),
    "mod": whole_or("torch.where({1} != 0, {0} % torch.where({1} != 0, {1}, 1), 0)", "torch.remainder({0}, {1})"),
    "maximum": "torch.maximum({0}, {1})",
    "minimum": "torch.minimum({0}, {1})",
    "exp": "torch.exp({0})",
    "expm1": "torch.expm1({0})",
    "log": "torch.log({0})",
    "sqrt": "torch.sqrt({0})",
    "sin": "torch.sin({0})",
    "cos": "torch.cos({0})",
    "floor": "torch.floor({0})",
    "round": "torch.round({0})",
    "abs": "torch.abs({0})",
    "sign": "torch.sign({0})",
    "sigm": "torch.sigmoid({0})",
    "tanh": "torch.tanh({0})",
    "relu": "torch.relu({0})",
    "softplus": "torch.logaddexp({0}, torch.zeros_like({0}))",
    "silu": "F.silu({0})",
    "gelu": "F.gelu({0}, approximate='tanh')",
    "where": choice("torch.where"),
    "cast": "{0}.to({dtype})",
    "truncate": "{0}.to({dtype})",
    "stop_gradient": "{0}.detach()",
    "sum": over("sum", "keepdim"),
    "mean": over("mean", "keepdim"),
    "max": over("amax", "keepdim"),
    "cumsum": _cumsum,
    "argmax": argmax("keepdim"),
    "softmax": "torch.softmax({0}, {axis})",
    "log_softmax": "torch.log_softmax({0}, {axis})",
    "layernorm": _of_rows("layer_norm"),
    "rmsnorm": _of_rows("rms_norm"),
    "broadcast": "{0}.expand({sizes})",
    "moveaxis": "{0}.movedim({source}, {destination})",
    "concat": joined("torch.cat"),
    "one_hot": "F.one_hot({0}, {classes}).to({dtype})",
    "mask": "{0}.to({dtype})",
    "cross_entropy": _cross_entropy,
}
TORCH = Dialect("torch", "PyTorch", ROWS)


class TorchFunction(Stepwise):
    """A method of the module."""

    module: TorchModule

    def loop(self, node: Node, operands: list[Value]) -> dict[str, Value]:
        """A loop of Python; or the operator of a known cell, where that is asked for."""
        found = recognised(node) if self.module.fused else None
        if found is None:
            return super().loop(node, operands)
        return fused(self, node, operands, found)

    def number(self, expression: ast.expr, dtype: str) -> ast.expr:
        """A tensor of no axes, made where the others are."""
        return self.filled(ast.Tuple([], ast.Load()), expression, dtype)

    def filled(self, sizes: ast.expr, value: ast.expr, dtype: str) -> ast.expr:
        """A tensor with one number."""
        kind, device = self.type_of(dtype), self.need("device")
        if is_zero(value):
            return call("torch.zeros", sizes, dtype=kind, device=device)
        return call("torch.full", sizes, value, dtype=kind, device=device)

    def repeated(self, sizes: ast.expr, value: ast.expr) -> ast.expr:
        """A tensor repeated to some sizes."""
        return ast.Call(ast.Attribute(value, "expand"), [sizes], [])

    def array(self, value: np.ndarray) -> Value:
        """A buffer."""
        buffer = f"self.{self.module.constant(value)}"
        if value.dtype.kind == "f" and not self.module.given.weights:  # then the inputs say which type
            self.need("dtype")
            return Value(code(f"{buffer}.to(dtype)"))
        return Value(code(buffer), everywhere=True)

    def rows_of(self, sequence: ast.expr, reverse: bool) -> ast.expr:
        """Unbound: an index would write a whole gradient for each step."""
        return code(f"({text(sequence)}).unbind(0){'[::-1]' if reverse else ''}")

    def stacked(self, rows: str, reverse: bool) -> str:
        """A list of rows as one tensor."""
        return f"torch.stack({rows}{'[::-1]' if reverse else ''})"


class TorchModule(Module):
    """The text of a module."""

    dialect, kind = TORCH, TorchFunction
    types: ClassVar = {"int": "torch.int64", "bool": "torch.bool"}
    words = ("torch", "nn", "F", "np", "base64", "zlib")
    first, constants_are = "self", "constant"

    def __init__(self, given: Given, fused: bool = False):
        self.paths, self.fused = _paths(list(given.graph.params)), fused
        super().__init__(given)
        self.short: dict[str, str] = {}  # the path of a brick that is no identifier → what it is called

    def name_all(self) -> None:
        """As attributes of a module."""
        self.names.taken |= TAKEN | {path.partition(".")[0] for path in self.paths.values()}
        super().name_all()

    def call(self, called: str) -> tuple[str, list[str]]:
        """How a method is called."""
        return f"self.{called}", []

    def weight(self, called: str) -> ast.expr:
        """A parameter of a brick."""
        brick, dot, last = self.paths[called].rpartition(".")
        if dot and not all(map(_attribute, brick.split("."))):
            if brick not in self.short:
                self.short[brick] = self.names.fresh(brick)
            brick = self.short[brick]
        if _attribute(last):
            return code(f"self.{brick}{dot}{last}")
        return call(f"self.{brick}.get_parameter" if dot else "self.get_parameter", literal(last))

    def moved(self, value: ast.expr, source: int, destination: int) -> ast.expr:
        """A tensor with an axis at another place."""
        if (source, destination) == (0, 0):
            return value
        return ast.Call(ast.Attribute(value, "movedim"), [literal(source), literal(destination)], [])

    def taken(self, f: Any, identifier: str, leaf: Node) -> ast.expr:
        """A tensor as it is."""
        return code(identifier)

    def type_without_weights(self, inputs: dict[str, Node]) -> dict[str, str]:
        """That of an input, or PyTorch's own."""
        number = next((i for i, leaf in inputs.items() if leaf.dtype == "float"), None)
        return {
            "dtype": f"{number}.dtype" if number else "torch.get_default_dtype()",
            "device": f"{next(iter(inputs))}.device" if inputs else "torch.get_default_device()",
        }

    def expected(self, f: Any, leaf: Node) -> ast.expr:
        """Random numbers in training, their expectation else."""
        dtype, device, drawn = f.need("dtype"), f.need("device"), text(f.need("drawn"))
        law, of = literal(leaf.attrs["law"]), literal(tuple(map(float, leaf.attrs["of"])))
        return call(drawn, law, of, f.shape(leaf.shape), code("self.training"), dtype, device)

    def write(self) -> str:
        """The whole text."""
        forward = self.network("forward")
        if self.fused and "fused" not in self.needed:
            raise BlocksError(
                "fused=True: no loop here is an LSTM, a GRU (its reset after the product) or an RNN as PyTorch has it, "
                "without a mask; leave it out"
            )
        buffers = []
        for identifier, value in self.constants.values():
            made = f"torch.from_numpy({self.constant_text(value)})"
            made += ".to(dtype)" if value.dtype.kind == "f" and self.paths else ""
            buffers.append(f"self.register_buffer({identifier!r}, {made}, persistent=False)")
        if self.paths and any(value.dtype.kind == "f" for _, value in self.constants.values()):
            buffers.insert(0, "dtype = next(self.parameters()).dtype")
        odd = {name: path for name, path in self.paths.items() if name != path}
        begin = ["super().__init__()"]
        if self.paths:
            self.need("add_weights")
            begin += [f"add_weights(self, WEIGHTS, weights{', PATHS' if odd else ''})"]
        begin += [f"vars(self)[{i!r}] = self.get_submodule({b!r})" for b, i in self.short.items()]
        methods = [["def __init__(self, weights=None):", *indented([*begin, *buffers])], *self.functions, forward]
        shapes = {n: tuple(d if isinstance(d, int) else -1 for d in s) for n, s in self.given.graph.params.items()}
        lines = [*self.said(), ""]
        body = "\n".join(line for method in methods for line in method)
        helpers = self.helpers()
        used = body + "\n".join(line for helper in helpers for line in helper)
        lines += [f"import {m}" for m in ("base64", "zlib") if f"{m}." in used]
        lines += [""] if "base64." in used else []
        lines += ["import numpy as np"] if "np." in used else []
        lines += (
            ["import torch"] + (["import torch.nn.functional as F"] if "F." in used else []) + ["from torch import nn"]
        )
        if shapes:
            lines += ["", "WEIGHTS = {", *indented([f"{n!r}: {s!r}," for n, s in shapes.items()]), "}"]
        if odd:
            lines += ["PATHS = {", *indented([f"{n!r}: {p!r}," for n, p in odd.items()]), "}"]
        for helper in helpers:
            lines += ["", "", *helper]
        lines += ["", "", "class Network(nn.Module):"]
        lines += indented([f'"""{self.about()}"""'])
        for method in methods:
            lines += ["", *indented(method)]
        return "\n".join(lines) + "\n"

    def about(self) -> str:
        """A line about the module."""
        return f"{harmless(self.given.title).capitalize()}; the keys of its state dict are the names of the weights."

    def said(self) -> list[str]:
        """What stands first in the text."""
        takes = ", ".join(f"{k}=..." if k.isidentifier() else f"**{{{harmless(k)!r}: ...}}" for k in self.given.leaves)
        return [
            f'"""{harmless(self.given.title).capitalize()}, written by blocks for PyTorch.',
            "",
            "    network = Network(weights)      # name → array or tensor, whose memory is shared; zeros, without",
            f"    outputs = network({takes})",
            *(
                ["", 'Of a model file they are safetensors.torch.load_file("model.safetensors").']
                if self.given.model
                else []
            ),
            '"""',
        ]


def _attribute(name: str) -> bool:
    """Whether a name can stand behind a dot."""
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


def _paths(names: list[str]) -> dict[str, str]:
    """Where each parameter stands in the module: under its own name, but for what PyTorch cannot call so."""
    paths: dict[str, str] = {}
    taken: set[str] = set()
    bricks = {n.rpartition(".")[0] for n in names}
    for n in names:
        parts = [p if p and p not in TAKEN else f"{p}_" for p in n.split(".")]
        path = ".".join(parts)
        while path in taken or any(b == path or b.startswith(f"{path}.") for b in bricks):
            path += "_"
        taken.add(path)
        paths[n] = path
    return paths


@checked
def to_torch(source: Graph | Cell | Model, *, fused: bool = False, weights: Mapping[str, Any] | None = None) -> Any:
    """An `nn.Module` that computes what a graph, a cell or a model does, and can be trained by autograd.

    Of a graph it takes and gives what `run` does, ``module(x=…, h=…)`` → a dict by name, with time first; a cell is its
    one-step graph. Of a model it takes and gives what `predict` does: batch first, the output alone where there is one,
    and with ``final=True`` the last states too. What may be left out of `run` and `predict` may be left out here.

    The keys of its state dict are the names of the weights, ``forget.W_x``. Its parameters share the memory of the
    weights: those of the model, or `weights`, name → array; without, the first weights of seed 0. Random numbers
    (`dropout`) are drawn in training, ``module.train()``; the module is given in evaluation, where they are their
    expectation. ``module.source`` is its text, which stands alone: it runs where there is PyTorch but no blocks. A cell
    under a scan is a method, ``module.cell = torch.compile(module.cell)``. With ``fused=True`` a loop that is an LSTM,
    a GRU (its reset after the product) or an RNN, whatever it calls things, is the operator of `nn.LSTM` and so on
    (cuDNN, on a GPU); its weights are those of the bricks all the same, packed at each call.

    Ids out of range, and a mean over a mask that admits nothing, raise in `run`; here they are what PyTorch makes of
    them, an IndexError and NaN.

    Raises BlocksError naming an operation without a row (``rows={"torch": ...}``), for ``fused=True`` where no loop is
    such a cell, and where PyTorch is not installed.
    """
    what = given(source, weights)
    written = torch_source(what, fused)
    torch = needed("torch", "to_torch")
    module = executed(written, "torch")["Network"]({n: torch.from_numpy(w) for n, w in what.weights.items()}).eval()
    module.source = written
    return module


def torch_source(what: Given, fused: bool = False) -> str:
    """The text of the module of a graph; PyTorch need not be installed."""
    return TorchModule(what, fused).write()
