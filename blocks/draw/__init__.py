"""Figures, generated from the graph that trains."""

from .figure import Figure
from .views import draw, draw_error

__all__ = ["Figure", "draw", "draw_error"]
