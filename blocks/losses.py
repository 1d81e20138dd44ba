"""What to minimise: ``bk.losses.cross_entropy(y, target, mask=None, reduction="mean")`` and its kin."""

from .ops.loss import absolute_error, binary_cross_entropy, cross_entropy, huber, squared_error

__all__ = ["absolute_error", "binary_cross_entropy", "cross_entropy", "huber", "squared_error"]
