"""Sizes that a run makes known: sums of products of a number and named dimensions.

    (time + 1) · batch · 5        is        5 batch time + 5 batch

Two of them are equal if they are equal for every size of every dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...graph import Dim


@dataclass(frozen=True)
class Size:
    """A polynomial in the names of dimensions, with whole numbers before them."""

    terms: tuple[tuple[tuple[str, ...], int], ...] = ()  # the names of a product, in order, and how often it counts

    @classmethod
    def of(cls, value: Dim | Size) -> Size:
        """A number or the name of a dimension, as a size."""
        if isinstance(value, Size):
            return value
        return _made({(value,): 1} if isinstance(value, str) else {(): value})

    def __add__(self, other: Dim | Size) -> Size:
        total = dict(self.terms)
        for names, factor in Size.of(other).terms:
            total[names] = total.get(names, 0) + factor
        return _made(total)

    def __mul__(self, other: Dim | Size) -> Size:
        product: dict[tuple[str, ...], int] = {}
        for names, factor in self.terms:
            for more, again in Size.of(other).terms:
                both = tuple(sorted(names + more))
                product[both] = product.get(both, 0) + factor * again
        return _made(product)

    def write(self, dim: Callable[[str], str]) -> str:
        """An expression in Python, and in C, where `dim` says how a dimension is written."""
        texts = []
        for names, factor in self.terms:
            factors = ([] if factor == 1 and names else [str(factor)]) + [dim(name) for name in names]
            texts.append(" * ".join(factors))
        return " + ".join(texts) or "0"

    def __str__(self) -> str:
        return self.write(str)


def _made(terms: dict[tuple[str, ...], int]) -> Size:
    return Size(tuple(sorted((names, factor) for names, factor in terms.items() if factor)))


ZERO, ONE = Size.of(0), Size.of(1)
