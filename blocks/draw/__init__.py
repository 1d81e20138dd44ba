"""Figures, generated from the graph that trains."""

from .figure import Figure
from .views import draw

__all__ = ["Figure", "draw"]
