"""How a view is written: a slice, a reshape, a transpose."""

from __future__ import annotations

from collections.abc import Callable

from ...graph import Node, Shape
from ..plan.geometry import only_part


def cut(axis: int, start: int, stop: int | None) -> str:
    """``[:, 2:4]``: a range along an axis."""
    return "[" + ":, " * axis + f"{start}:{'' if stop is None else stop}]"


def view(node: Node, base: str, shape: Callable[[Shape], str]) -> str:
    """The view that a node is of `base`; `shape` writes one."""
    if (axis := only_part(node)) is not None:
        whole = "" if node.shape else ", ..."  # one number of an array would be a copy, no view
        return base + "[" + ":, " * axis + f"{node.operands[0].attrs['start']}{whole}]"
    return VIEWS[node.op.name](node, base, shape)


def _transpose(node: Node, base: str, shape: Callable[[Shape], str]) -> str:
    return f"{base}.T" if len(node.shape) == 2 else f"np.swapaxes({base}, -1, -2)"


def _moveaxis(node: Node, base: str, shape: Callable[[Shape], str]) -> str:
    source, destination = node.attrs["source"], node.attrs["destination"]
    if abs(source - destination) == 1:
        return f"{base}.swapaxes({min(source, destination)}, {max(source, destination)})"
    return f"np.moveaxis({base}, {source}, {destination})"


def _broadcast(node: Node, base: str, shape: Callable[[Shape], str]) -> str:
    old = node.operands[0].shape
    if node.shape[len(node.shape) - len(old) :] == old and all(
        d == 1 for d in node.shape[: len(node.shape) - len(old)]
    ):
        return f"{base}.reshape({shape(node.shape)})"  # nothing is repeated, and it can be written to
    return f"np.broadcast_to({base}, {shape(node.shape)})"


VIEWS: dict[str, Callable[[Node, str, Callable[[Shape], str]], str]] = {
    "slice": lambda node, base, shape: base + cut(node.attrs["axis"], node.attrs["start"], node.attrs["stop"]),
    "transpose": _transpose,
    "moveaxis": _moveaxis,
    "reshape": lambda node, base, shape: f"{base}.reshape({shape(node.shape)})",
    "broadcast": _broadcast,
}
