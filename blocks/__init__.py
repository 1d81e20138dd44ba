"""blocks: recurrent networks of LEGO-like bricks, trained jointly, drawn from the graph that trains.

    import blocks as bk

A user composes wires (`input`, `state`, `sequence`), bricks with weights of their own (`SIGM`, `TANH`,
`ADD`, `MULTIPLY`, ...) and operations without (`sigm`, `tanh`, ``+``, ``*``) into a `Cell`, runs it over
time with `scan`, and trains a `Model`. Everything is one explicit `Graph`; `grad` of it is a graph of
the same bricks.
"""

from typing import TYPE_CHECKING

from . import cells, losses, metrics
from . import pickles as _pickles  # noqa: F401 (it tells pickle how)
from .bricks import ADD, EMBED, MULTIPLY, RELU, SIGM, SOFTMAX, TANH, Brick
from .cell import Cell
from .check import GradientError, check_grads
from .compile import Program, compile, trials
from .draw import Figure, draw, draw_error, panels
from .draw.notebook import figure_bundle, model_bundle
from .draw.views import of_its_graph
from .equations import equations
from .errors import BlocksError, FeedError, NonFiniteError, WiringError
from .exchange import from_keras, from_onnx, from_torch, to_jax, to_numpy, to_onnx, to_python, to_torch
from .explain import Page, explain
from .files import ModelFileError, from_json, to_json
from .grad import grad
from .graph import Graph, Node
from .interpret import run
from .norms import LAYERNORM, RMSNORM
from .ops.composed import cast, clip, log_sigm
from .ops.elementwise import elementwise
from .ops.leaves import first_weights
from .ops.linear import matmul, matvec
from .ops.masks import last
from .ops.parts import expand_dims, part, split
from .ops.random import bernoulli, dropout, noise, normal, uniform
from .ops.shape import concat, stack, zeros
from .scan import scan, unroll
from .show import dump, to_networkx
from .trace import Trace, trace
from .train import schedules
from .train.callbacks import Callback
from .train.generate import generate
from .train.history import History
from .train.learner import learner
from .train.model import Model
from .train.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, clip_by_norm
from .train.ready import SampleText, SaveBest, TensorBoard
from .train.trials import TrialWarning
from .wires import input, named, parameter, sequence, state
from .wrappers import bidirectional, layers, residual, zoneout

if TYPE_CHECKING:  # what an operation is called with, as a type checker reads it
    from .ops.signatures import (
        abs,
        add,
        argmax,
        broadcast,
        constant,
        cos,
        cumsum,
        divide,
        equal,
        exp,
        expm1,
        floor,
        floor_divide,
        gather,
        gelu,
        greater,
        greater_equal,
        layernorm,
        less,
        less_equal,
        log,
        log_softmax,
        logical_and,
        logical_not,
        logical_or,
        max,
        maximum,
        mean,
        minimum,
        mod,
        moveaxis,
        multiply,
        negative,
        not_equal,
        one_hot,
        outer,
        outer_each,
        power,
        relu,
        reshape,
        rmsnorm,
        round,
        sigm,
        sign,
        silu,
        sin,
        slice,
        softmax,
        softplus,
        sqrt,
        stop_gradient,
        subtract,
        sum,
        tanh,
        transpose,
        where,
    )
else:
    from .ops.along import argmax, cumsum
    from .ops.elementwise import abs_ as abs
    from .ops.elementwise import (
        add,
        cos,
        divide,
        equal,
        exp,
        expm1,
        floor,
        floor_divide,
        gelu,
        greater,
        greater_equal,
        less,
        less_equal,
        log,
        logical_and,
        logical_not,
        logical_or,
        maximum,
        minimum,
        mod,
        multiply,
        negative,
        not_equal,
        power,
        relu,
        sigm,
        sign,
        silu,
        sin,
        softplus,
        sqrt,
        stop_gradient,
        subtract,
        tanh,
        where,
    )
    from .ops.elementwise import round_ as round
    from .ops.leaves import constant
    from .ops.linear import outer, outer_each, transpose
    from .ops.norm import layernorm, rmsnorm
    from .ops.shape import broadcast, gather, log_softmax, mean, moveaxis, one_hot, reshape, softmax
    from .ops.shape import max_ as max
    from .ops.shape import slice_ as slice
    from .ops.shape import sum_ as sum

__version__ = "0.1.0"

# What a graph becomes: methods of the graph to the user, functions of it in the package.
Graph.init, Graph.dump, Graph.to_networkx, Graph.draw = first_weights, dump, to_networkx, draw  # type: ignore[assignment, method-assign]
Graph._repr_mimebundle_ = Cell._repr_mimebundle_ = figure_bundle  # type: ignore[attr-defined]
Model._repr_mimebundle_ = model_bundle  # type: ignore[attr-defined]
Node.__getitem__, Node.__matmul__ = part, matmul  # type: ignore[method-assign]
Node.__rmatmul__ = lambda self, other: matmul(other, self)  # type: ignore[method-assign]
Cell.draw = of_its_graph(draw)
WiringError.draw = draw_error  # type: ignore[assignment, method-assign]

__all__ = [
    "ADD",
    "EMBED",
    "LAYERNORM",
    "MULTIPLY",
    "RELU",
    "RMSNORM",
    "SGD",
    "SIGM",
    "SOFTMAX",
    "TANH",
    "Adam",
    "AdamW",
    "BlocksError",
    "Brick",
    "Callback",
    "Cell",
    "FeedError",
    "Figure",
    "GradientError",
    "Graph",
    "History",
    "Model",
    "ModelFileError",
    "Node",
    "NonFiniteError",
    "Page",
    "Optimizer",
    "Program",
    "RMSprop",
    "SampleText",
    "SaveBest",
    "TensorBoard",
    "Trace",
    "TrialWarning",
    "WiringError",
    "abs",
    "add",
    "argmax",
    "bernoulli",
    "bidirectional",
    "broadcast",
    "cast",
    "cells",
    "check_grads",
    "clip",
    "clip_by_norm",
    "compile",
    "concat",
    "constant",
    "cos",
    "cumsum",
    "divide",
    "dropout",
    "elementwise",
    "equal",
    "equations",
    "exp",
    "expand_dims",
    "explain",
    "expm1",
    "floor",
    "floor_divide",
    "from_json",
    "from_keras",
    "from_onnx",
    "from_torch",
    "gather",
    "gelu",
    "generate",
    "grad",
    "greater",
    "greater_equal",
    "input",
    "last",
    "layernorm",
    "layers",
    "learner",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "log",
    "log_sigm",
    "log_softmax",
    "losses",
    "matmul",
    "matvec",
    "max",
    "maximum",
    "mean",
    "metrics",
    "moveaxis",
    "minimum",
    "mod",
    "multiply",
    "named",
    "negative",
    "noise",
    "normal",
    "not_equal",
    "one_hot",
    "outer",
    "outer_each",
    "panels",
    "parameter",
    "power",
    "relu",
    "reshape",
    "residual",
    "rmsnorm",
    "round",
    "run",
    "scan",
    "schedules",
    "sequence",
    "sigm",
    "sign",
    "silu",
    "sin",
    "slice",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "stack",
    "state",
    "stop_gradient",
    "subtract",
    "sum",
    "tanh",
    "to_jax",
    "to_json",
    "to_numpy",
    "to_onnx",
    "to_python",
    "trace",
    "to_torch",
    "transpose",
    "trials",
    "uniform",
    "unroll",
    "where",
    "zeros",
    "zoneout",
]
