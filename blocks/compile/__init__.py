"""The compiler: a graph becomes readable NumPy that is as fast as what a careful person writes by hand.

    graph ─ passes ─▶ graph ─ plan ─▶ instructions and buffers ─ source ─▶ NumPy, or C

Nothing here knows of any cell. Passes are pure functions from graphs to graphs, tested against the
interpreter one by one.
"""

from .choice import AUTO, INTERPRETER, MODELS, wanted
from .passes.trials import trials
from .program import Program, check_checkpoint, compile
from .targets import NATIVE, NUMPY, TARGETS, Target

PASSES = NUMPY.passes

__all__ = [
    "AUTO", "INTERPRETER", "MODELS", "NATIVE", "NUMPY", "PASSES", "TARGETS", "Program", "Target", "check_checkpoint",
    "compile", "trials", "wanted",
]  # fmt: skip
