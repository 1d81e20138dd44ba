"""What is written together: operations number by number as one nest, and after it sums over all rows, of which those of
the same rows are made in one pass.

An operation that could still go with the nest does not end it where sums stand in between, if it has nothing to do with
them: these wait.
"""

from __future__ import annotations

from dataclasses import dataclass

from .nests import Assign, Nest
from .sums import RowSum, RowSums


@dataclass
class Group:
    """A nest, and sums that are made after it; each may be missing."""

    nest: Nest | None = None
    sums: RowSums | None = None

    def take(self, part: object) -> bool:
        """Do an operation too, if that can be; whether it can."""
        if isinstance(part, Assign):
            return self.take_assign(part)
        return isinstance(part, RowSum) and self.take_sum(part)

    def take_assign(self, part: Assign) -> bool:
        """One in the nest, before all sums."""
        if self.nest is not None:
            return not (self.sums and self.sums.stand_against(part)) and self.nest.take(part)
        if self.sums is None:
            self.nest = Nest(part.shape, [part])
        return self.sums is None

    def take_sum(self, part: RowSum) -> bool:
        """A sum with those of the same rows, or else, of what the nest makes, in the nest."""
        if not (self.sums and self.sums.has_rows_of(part)) and self.nest is not None:
            added = part.added()
            if added is not None and self.take_assign(added):
                return True
        if self.sums is None:
            self.sums = RowSums([part])
            return True
        return self.sums.take(part)
