"""What ``blocks export --to`` writes: a row for each language."""

from __future__ import annotations

from collections.abc import Callable

from ..cell import Cell
from ..graph import Graph
from ..train.model import Model
from .given import given
from .jax import jax_source
from .numpy import numpy_source
from .onnx import to_onnx
from .python import to_python
from .torch import torch_source

Source = Graph | Cell | Model

# language → what makes the content of a file of a source and the name that a user calls it by; ONNX needs its package
LANGUAGES: dict[str, Callable[[Source, str | None], bytes]] = {
    "numpy": lambda source, called: numpy_source(given(source)).encode(),
    "python": lambda source, called: to_python(source, called=called).encode(),
    "torch": lambda source, called: torch_source(given(source)).encode(),
    "jax": lambda source, called: jax_source(given(source)).encode(),
    "onnx": lambda source, called: to_onnx(source).SerializeToString(),
}
