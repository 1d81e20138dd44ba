"""The compiler: a graph becomes readable NumPy that is as fast as what a careful person writes by hand.

    graph ─ passes ─▶ graph ─ plan ─▶ instructions and buffers ─ source ─▶ NumPy

Nothing here knows of any cell. Passes are pure functions from graphs to graphs, tested against the
interpreter one by one.
"""

from .program import PASSES, Program, check_checkpoint, compile

__all__ = ["PASSES", "Program", "check_checkpoint", "compile"]
