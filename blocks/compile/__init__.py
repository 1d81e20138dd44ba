"""The compiler: a graph becomes readable NumPy that is as fast as what a careful person writes by hand.

    graph ─ passes ─▶ graph ─ plan ─▶ instructions and buffers ─ source ─▶ NumPy

Nothing here knows of any cell. Passes are pure functions from graphs to graphs, tested against the
interpreter one by one.
"""

from .passes.trials import trials
from .program import Program, check_checkpoint, compile
from .targets import NUMPY, Target

PASSES = NUMPY.passes

__all__ = ["NUMPY", "PASSES", "Program", "Target", "check_checkpoint", "compile", "trials"]
