"""What goes wrong, and how it is said: the errors of the package, and the words that they share.

An error names the thing, what was given, what fits, and where the user made it.
"""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph import Node

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class BlocksError(ValueError):
    """Every error that the package raises on purpose."""


class WiringError(BlocksError):
    """Wires that do not fit. `op` and `operands` hold what was being built when it was noticed."""

    def __init__(self, message: str, op: str = "", operands: tuple[Node, ...] = ()):
        super().__init__(message)
        self.op, self.operands = op, operands

    if TYPE_CHECKING:  # bound in blocks/__init__.py

        def draw(self, **options: Any) -> Any:
            """A `Figure` of what was built so far, with the wires that do not fit marked."""


class FeedError(BlocksError):
    """A feed that is missing, unknown, or of the wrong shape or type."""


class NonFiniteError(BlocksError):
    """NaN or infinity in the loss or a gradient."""


def misfit(message: str) -> WiringError:
    """What `Op.infer` raises; `graph.apply` adds the names and places."""
    return WiringError(message)


def user_line() -> str:
    """``file.py:12``: the innermost line on the stack that is not the package's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def warn(message: str) -> None:
    """A warning at the innermost line on the stack that is not the package's own."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def made(node: Node) -> str:
    """``h (batch, 32) made at cell.py:12``: a node, as an error says it."""
    return f"{node.describe()} made at {node.where}" if node.where else node.describe()


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'forget.W_x'?)``, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


LONGEST_FRESH = 190  # of the 200 characters that a name may have


def fresh_name(name: str, *taken: Collection[str]) -> str:
    """A name like `name` that is not taken yet: with primes behind it, as mathematics does, and from four on with their
    number. A name so long that nothing can be put behind it is cut."""
    name = name[:LONGEST_FRESH]
    fresh, primes = name, 0
    while any(fresh in some for some in taken):
        primes += 1
        fresh = name + "'" * primes if primes < 4 else f"{name}'{primes}"
    return fresh
