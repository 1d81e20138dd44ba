"""What to minimise: ``bk.losses.cross_entropy(y, target, mask=None)`` and its kin."""

from .ops.loss import binary_cross_entropy, cross_entropy, squared_error

__all__ = ["binary_cross_entropy", "cross_entropy", "squared_error"]
