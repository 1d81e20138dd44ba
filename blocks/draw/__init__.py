"""Figures, generated from the graph that trains."""

from .dot import draw
from .figure import Figure

__all__ = ["Figure", "draw"]
