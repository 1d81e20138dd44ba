"""The primitives: everything that a graph can compute, a row each (see `graph.Op`)."""

from . import elementwise, leaves, linear, loop, loss, random, shape

__all__ = ["elementwise", "leaves", "linear", "loop", "loss", "random", "shape"]
