"""The step-through: one page that shows a cell think and learn, with real numbers, and computes them itself."""

from .page import Page, explain

__all__ = ["Page", "explain"]
