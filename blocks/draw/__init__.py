"""Figures, generated from the graph that trains."""

from .compose import panels
from .figure import Figure
from .views import draw, draw_error

__all__ = ["Figure", "draw", "draw_error", "panels"]
