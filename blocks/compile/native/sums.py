"""Sums over all rows: gradients of weights and biases. Those of the same rows are made in one pass over them.

    /* outer = xᵀ · dz */
    /* outer_2 = hᵀ · dz */
    /* sums = Σ_batch(dz) */
    multiply((side[]){{x, 1, 3, 3, outer, 8}, {h, 1, 2, 2, outer_2, 8}}, 2, dz, 8, 1, batch, first, last, 0, sums);

The rows are packed once, then every sum takes what it needs of them while they are near.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...ops.elementwise import broadcast_dims
from ..plan.places import Compute, Place
from ..plan.sizes import ONE, ZERO
from ..plan.stages import label_of_stage
from .access import Access
from .axes import Axis, axes_of
from .nests import Assign
from .totals import Total

if TYPE_CHECKING:
    from .emit import Writer


@dataclass(frozen=True)
class RowSum:
    """A sum over all rows of a matrix: of the rows, or, where `left` is another matrix, of left ⊗ right."""

    step: Compute
    right: Access
    left: Access | None
    out: Access
    rows: Axis  # how many there are, and how far apart they are in left and right, or in right

    @property
    def operands(self) -> list[Access]:
        return [x for x in (self.left, self.right) if x is not None]

    @property
    def reads(self) -> list[Place]:
        """The arrays that it reads."""
        return [x.array for x in self.operands]

    def wrote(self, arrays: list[Place]) -> bool:
        """Whether the result stands in one of some arrays."""
        return any(array is self.out.array for array in arrays)

    @property
    def added(self) -> Assign | None:
        """As a part of a nest, where it is a sum of rows."""
        if self.left is not None:
            return None
        lead = len(self.right.shape) - 1
        total = Total(tuple(range(lead)), (ZERO,) * lead + (ONE,), across=True)
        return Assign(self.step.node, self.out, [self.right], lambda texts: texts[0], label_of_stage(self.step), total)

    @property
    def same(self) -> object:
        """What sums that are made in one pass have in common: the rows of `right`."""
        at, shape = self.right.geometry, self.right.shape
        return self.right.pointer, at.offset, shape[-1], at.strides[-1], self.rows.extent, self.rows.strides[-1]


@dataclass
class RowSums:
    """Such sums one after the other, none of which needs another's result."""

    steps: list[RowSum] = field(default_factory=list)

    def take(self, step: RowSum) -> bool:
        """Make one more at the same time, if that can be; whether it can."""
        for before in self.steps:
            if step.left is before.left is None and step.same == before.same:
                return False
            if before.wrote(step.reads) or step.wrote(before.reads) or step.out.meets(before.out) != "apart":
                return False
        self.steps.append(step)
        return True

    def has_rows_of(self, step: RowSum) -> bool:
        """Whether one of them is made of the same rows."""
        return any(step.same == before.same for before in self.steps)

    def passes(self) -> list[list[RowSum]]:
        """Those of the same rows together, in their order."""
        found: dict[object, list[RowSum]] = {}
        for step in self.steps:
            found.setdefault(step.same, []).append(step)
        return list(found.values())


def row_sum(writer: Writer, step: Compute) -> RowSum | None:
    """An instruction as a sum over all rows, where that is what it is."""
    node, places = step.node, writer.places
    if node.op.name not in ("outer", "sum") or node.dtype != "float":
        return None
    out = places.access(step.out, node.dtype)
    a = [places.access(p, o.dtype) for p, o in zip(step.operands, node.operands, strict=True)]
    if any(x.literal or not x.shape for x in a) or out.geometry.strides[-1:] != (ONE,):
        return None
    if node.op.name == "sum":
        axes = node.attrs["axis"]
        if node.attrs["keepdims"] or sorted(axes) != list(range(len(a[0].shape) - 1)):
            return None
        lead, (left, right) = a[0].shape[:-1], (None, a[0])
    else:
        if node.attrs.get("each"):
            return None
        lead = broadcast_dims([x.shape[:-1] for x in a])
        left, right = (x.repeated((*lead, x.shape[-1])) for x in a)
    strides = [x.geometry.strides[:-1] for x in (left, right) if x is not None]
    rows = axes_of(lead, strides) or [Axis(ONE, (ZERO,) * len(strides))]
    return RowSum(step, right, left, out, rows[0]) if len(rows) == 1 else None
