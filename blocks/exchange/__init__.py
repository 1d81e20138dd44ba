"""To and from other frameworks: one walk over a graph (`walk`), and a table of rows for each dialect.

    to_torch    an `nn.Module`
    to_jax      a pure function on `lax.scan`
    to_numpy    a function of NumPy, as a person would write it
    to_onnx     a file of ONNX, for onnxruntime and others
    to_python   a cell as the Python that makes it
    from_torch, from_keras, from_onnx       recurrent layers as a model of gallery cells

What is exported is the graph as it was written, not as the compiler makes it: with the names of its bricks, its loops
as loops and its named dimensions open. Each text stands alone. No framework is imported before it is asked for.
"""

from .from_keras import from_keras
from .from_onnx import from_onnx
from .from_torch import from_torch
from .jax import to_jax
from .numpy import to_numpy
from .onnx import to_onnx
from .python import to_python
from .torch import to_torch

__all__ = ["from_keras", "from_onnx", "from_torch", "to_jax", "to_numpy", "to_onnx", "to_python", "to_torch"]
