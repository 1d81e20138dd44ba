"""ONNX: a graph, a cell or a model as a file that onnxruntime and others run, with one `Scan` a loop.

rows     what is written for each operation        parts    functions that rows call
scope    nodes, and how a loop becomes a Scan       file     inputs, outputs, weights, sizes
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...arguments import checked
from ...cell import Cell
from ...errors import BlocksError, nearest
from ...files import write_whole
from ...grad import grad
from ...graph import Graph
from ...optional import needed
from ...train.model import Model
from ...train.purposes import LOSS, loss_of
from ..given import Given, given
from .file import File

__all__ = ["to_onnx"]


@checked
def to_onnx(
    source: Graph | Cell | Model,
    path: str | os.PathLike[str] | None = None,
    *,
    weights: Mapping[str, Any] | None = None,
    gradient: bool = False,
    fused: bool = True,
    states: str = "zeros",
    dtype: str = "float32",
) -> Any:
    """A graph, a cell or a model as a `ModelProto` of ONNX, which is checked, and written to `path` if one is given.

        bk.to_onnx(model, "model.onnx")
        session = onnxruntime.InferenceSession("model.onnx")
        (y,) = session.run(["y"], {"x": X})

    Of a graph it takes and gives what `run` does, with time first; a cell is its one-step graph, whose states are
    inputs and whose next states are outputs, ``next/h``. Of a model it takes and gives what `predict` does: batch
    first. Named dimensions are open, whatever they are called. Each loop is one `Scan`, or one operator where the cell
    is known.

    Args:
        source: a `Graph`, a `Cell` or a `Model`.
        path: a file, ``.onnx``.
        weights: name → array; those of the model by default, and the first ones of seed 0 of a graph or a cell.
        gradient: also the gradient of the loss by all weights, ``grad/forget.W_x``: a graph must have the output
            "loss", a model its loss. The weights are inputs then (those of the file, where they are not fed), and so
            are the draws of `dropout` and the like: what is left is an optimizer, and ONNX trains.
        fused: a loop over a cell that is an LSTM, a GRU or an RNN, whatever its names are, becomes that operator.
        states: "zeros": each sequence begins with the first states that the cell has (zero, unless it says another
            one). "inputs": what may be fed to `run`, first states above all, are inputs; and of a model the last states
            are outputs, ``final/h``.
        dtype: of all floating-point numbers, "float32" or "float64". onnxruntime lacks some operators in double
            precision.

    Draws are their expectation, as in `predict`, unless `gradient` is asked for. An output that is called as an input
    is called ``h_out``. Ids out of range, and a mean over a mask that admits nothing, raise in `run`; here they are
    what the runtime makes of them.

    Raises BlocksError for options that there are not, an operation without a row (``rows={"onnx": ...}``), a loss that
    is not there, and where onnx is not installed.
    """
    what = _checked(source, weights, gradient, states, dtype)
    onnx = needed("onnx", "to_onnx")
    made = File(onnx, what, gradient, states, fused, dtype).model()
    onnx.checker.check_model(made, full_check=True)
    if path is not None:
        write_whole(path, made.SerializeToString())
    return made


def file_of(
    onnx: Any,
    source: Graph | Cell | Model,
    weights: Mapping[str, Any] | None = None,
    gradient: bool = False,
    fused: bool = True,
    states: str = "zeros",
    dtype: str = "float32",
) -> Any:
    """The model, made by a package that is as `onnx` is; not checked."""
    return File(onnx, _checked(source, weights, gradient, states, dtype), gradient, states, fused, dtype).model()


def _checked(
    source: Graph | Cell | Model, weights: Mapping[str, Any] | None, gradient: bool, states: str, dtype: str
) -> Given:
    """What to export. Raises BlocksError for options that there are not, and where there is no loss."""
    for name, value, known in (("states", states, ("zeros", "inputs")), ("dtype", dtype, ("float32", "float64"))):
        if value not in known:
            raise BlocksError(f"to_onnx: {name} is {' or '.join(known)}, not {value!r:.40}{nearest(str(value), known)}")
    return _with_gradient(source, weights) if gradient else given(source, weights)


def _with_gradient(source: Graph | Cell | Model, weights: Mapping[str, Any] | None) -> Given:
    """What to export, with the gradient of its loss. Raises BlocksError where there is none."""
    if isinstance(source, Model):
        known = source.weights if weights is None else weights
        loss_of(source.graph)
        what = given(source.graph, {n: known[n] for n in source.graph.params if n in known})
        return replace(what, graph=grad(source.graph, of=LOSS), model=True, title="a model and its gradient")
    what = given(source, weights)
    if LOSS not in what.graph.outputs:
        raise BlocksError(
            f"the gradient is that of an output {LOSS!r}, but this graph has {', '.join(what.graph.outputs)}"
        )
    return replace(what, graph=grad(what.graph, of=LOSS), title=f"{what.title} and its gradient")
