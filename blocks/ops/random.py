"""Draws: random numbers that a run is fed, as inputs are; and dropout and noise, which are made of them.

A draw is a leaf with a name. Before a run its numbers are made here, all at once, from the seed, the number of the
update and that name; or they are its expectation, where the run draws nothing. So the interpreter, every target, a
resumed run and each of several trials see the same bits, and none of them knows of randomness. A gradient takes the
numbers as given.

Dropout and noise keep the name of their wire: what meets it has the same weights' names with and without.

A draw in a cell is drawn anew at each step: `scan` takes it out of the loop, as a sequence. One that is made outside
and handed to the cell as an input is the same at each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, WiringError, misfit, nearest, user_line
from ..graph import Node, Op, Shape, Wire, apply, as_node, rebuild, show_shape
from .leaves import _not_fed, check_name, check_shape, sizes_of

# The seed and the number of the update, one for all trials or one for each; None: the expectation.
Draw = tuple[int, int | tuple[int, ...]] | None


class Law(NamedTuple):
    """How the numbers of a draw are distributed, given what it is of (the ends of an interval, a probability)."""

    options: tuple[str, ...]
    fits: Callable[..., bool]
    needs: str  # what `fits` asks for
    mean: Callable[..., float]
    numbers: Callable[..., np.ndarray]  # (generator, sizes, ...) → float64


LAWS = {
    "uniform": Law(
        ("low", "high"),
        lambda low, high: low <= high and math.isfinite(high - low),
        "low ≤ high",
        lambda low, high: low + 0.5 * (high - low),
        lambda rng, sizes, low, high: low + (high - low) * rng.random(sizes),
    ),
    "normal": Law(
        ("mean", "std"),
        lambda mean, std: std >= 0.0,
        "std ≥ 0",
        lambda mean, std: mean,
        lambda rng, sizes, mean, std: mean + std * rng.standard_normal(sizes),
    ),
    "bernoulli": Law(
        ("p",),
        lambda p: 0.0 <= p <= 1.0,
        "0 ≤ p ≤ 1",
        lambda p: p,
        lambda rng, sizes, p: (rng.random(sizes) < p).astype(np.float64),
    ),
}


def _infer_draw(*, law: str, of: tuple[float, ...], shape: Shape, named: bool) -> tuple[Shape, str]:
    """Shapes: of any, as those of an input. law, of: see `LAWS`. named: by the user; else `Graph` may number it."""
    if not isinstance(law, str) or law not in LAWS:
        raise misfit(f"unknown distribution {law!r:.80}; known are {', '.join(LAWS)}{nearest(str(law), LAWS)}")
    options, fits, needs, *_ = LAWS[law]
    numbers = isinstance(of, tuple) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in of)
    if not numbers or len(of) != len(options) or not all(map(math.isfinite, of)) or not fits(*of):
        given = ", ".join(f"{v!r:.40}" for v in of) if isinstance(of, tuple) else f"{of!r:.40}"
        raise misfit(f"{law} is of finite numbers {', '.join(options)} with {needs}, not of {given}")
    if not isinstance(named, bool):
        raise misfit(f"a draw is named or it is not; {named!r:.40} is neither")
    return check_shape(shape, "a draw"), "float"


draw_op = Op("draw", "random numbers, made before the run", _infer_draw, _not_fed, kind="leaf")


def make_draw(name: str, law: str, of: tuple[float, ...], shape: Shape, named: bool) -> Node:
    """A draw node. Raises WiringError, naming it, for numbers that the law does not take."""
    try:
        check_name(name, "a draw")
        return apply(draw_op, name=name, role="draw", law=law, of=of, shape=shape, named=named)
    except WiringError as error:
        raise WiringError(f"{name!r}: {error} [{user_line()}]", "draw") from None


def renamed(node: Node, name: str, **labels: Any) -> Node:
    """Another draw like this one."""
    again = rebuild(node, name=name, **labels)
    object.__setattr__(again, "origin", None)
    return again


def stepped(node: Node, time: str) -> Node:
    """The draw of a cell as the sequence of the draws of all its steps."""
    return make_draw(str(node.name), node.attrs["law"], node.attrs["of"], (time, *node.shape), node.attrs["named"])


# --- what a user calls ---------------------------------------------------------------------------


@checked
def uniform(
    *features: int, low: float = 0.0, high: float = 1.0, name: str | None = None, shape: Shape | None = None
) -> Node:
    """Random numbers between `low` and `high`, equally likely: ``uniform(8)`` is ``(batch, 8)``; `shape` gives all
    dimensions instead. Their expectation is the middle.

    They are made anew for each update of `Model.fit`, and for each `run` with ``draw=(seed, update)``; elsewhere, as
    in `predict` and `evaluate`, they are their expectation. In a cell they are new at each step. They are drawn in
    float64; a run in float32 rounds them. They can be fed under their name, to a run or in the data of a model: a
    `name` is one value wherever it is used. Without one they are called ``uniform``, ``uniform_2``, … in the order of
    the graph.

    Raises WiringError for numbers that are not finite, or where low > high.
    """
    return _drawn("uniform", (low, high), features, name, shape)


@checked
def normal(
    *features: int, mean: float = 0.0, std: float = 1.0, name: str | None = None, shape: Shape | None = None
) -> Node:
    """Normally distributed random numbers: ``normal(8)`` is ``(batch, 8)``. Their expectation is `mean`. For all
    else see `uniform`. Raises WiringError for numbers that are not finite, or a negative `std`."""
    return _drawn("normal", (mean, std), features, name, shape)


@checked
def bernoulli(*features: int, p: float = 0.5, name: str | None = None, shape: Shape | None = None) -> Node:
    """Numbers that are 1 with probability `p`, else 0: ``bernoulli(8, p=0.9)`` is ``(batch, 8)``. Their expectation
    is p. For all else see `uniform`. Raises WiringError for a p outside of 0 to 1."""
    return _drawn("bernoulli", (p,), features, name, shape)


def _drawn(law: str, of: tuple[Any, ...], features: tuple[int, ...], name: str | None, shape: Shape | None) -> Node:
    called = law if name is None else name
    return make_draw(
        called, law, tuple(map(_number, of)), sizes_of(called, features, ("batch",), shape), name is not None
    )


@checked
def dropout(x: Wire, rate: float, name: str | None = None, shape: Shape | None = None) -> Node:
    """x, of which each number is 0 with probability `rate`, and else divided by 1 − rate (Srivastava et al. 2014):
    ``x ⊙ keep / (1 − rate)`` with a draw ``keep``. Where nothing is drawn (`predict`, `evaluate`) it is x, to the bit.

    The draw has the shape of x; or `shape`, repeated along the other dimensions of x: ``dropout(xs, 0.5,
    shape=("batch", 8))`` drops the same features of a sequence at every step. `name` is that of the draw.

    Raises WiringError unless 0 ≤ rate < 1, for a wire of integers, and for a shape that x cannot be multiplied by.
    """
    x, keep = _float_wire("dropout", x), 1.0 - check_rate("dropout", rate)
    if keep == 1.0:
        return x
    sizes: Any = x.shape if shape is None else shape
    mask = make_draw("keep" if name is None else name, "bernoulli", (keep,), sizes, name is not None)
    out = apply("multiply", x, mask / keep, name=x.name or x.brick)
    if out.shape != x.shape:
        raise WiringError(f"dropout: {x.describe()} has no dimensions {show_shape(sizes)} [{user_line()}]", "dropout")
    return out


@checked
def noise(x: Wire, std: float, name: str | None = None) -> Node:
    """x + normal noise with the standard deviation `std`, drawn for each number of x; x itself where nothing is drawn.
    `name` is that of the draw. Raises WiringError for a negative std, and for a wire of integers."""
    x = _float_wire("noise", x)
    drawn = make_draw("noise" if name is None else name, "normal", (0.0, _number(std)), x.shape, name is not None)
    return apply("add", x, drawn, name=x.name or x.brick)


def _float_wire(what: str, x: Wire) -> Node:
    node = as_node(x)
    if node.dtype != "float":
        raise WiringError(f"{what}: {node.describe()} is {node.dtype}; {what} is of floating-point numbers", what)
    return node


def _number(value: Any) -> Any:
    """A number as Python has it, whole ones as floats; anything else as it is, to be refused."""
    value = value.item() if isinstance(value, np.generic) else value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def check_rate(what: str, rate: Any) -> float:
    """A rate, 0 ≤ rate < 1, as a float. Raises WiringError for anything else."""
    value = _number(rate)
    if not isinstance(value, float) or not 0.0 <= value < 1.0:
        raise WiringError(f"the rate of {what} is a number from 0 up to, but not, 1; not {rate!r:.80} [{user_line()}]")
    return value


# --- the numbers ---------------------------------------------------------------------------------


def check_draw(draw: Any) -> Draw:
    """A pair of whole numbers from 0, the second one for each trial or one for all, or None. Raises BlocksError for
    anything else."""
    if draw is None:
        return None
    pair = draw if isinstance(draw, tuple | list) else ()
    several = len(pair) == 2 and isinstance(pair[1], tuple | list)
    numbers = (pair[0], *pair[1]) if several else pair
    whole = all(isinstance(v, int | np.integer) and not isinstance(v, bool) and v >= 0 for v in numbers)
    if not whole or len(pair) != 2:
        raise BlocksError(f"draw is a pair (seed, update) of whole numbers from 0, or None; not {draw!r:.80}")
    return int(pair[0]), tuple(map(int, pair[1])) if several else int(pair[1])


def draw_array(node: Node, draw: Draw, dims: Mapping[str, int]) -> np.ndarray:
    """The numbers of a draw in float64, for sizes of its named dimensions; or its expectation, where `draw` is None.

    Of several trials, trial r has the numbers that a single one has with the seed + r, and with an update of its own,
    where there is one for each. The first steps of long sequences have the numbers of short ones.
    """
    law, of = LAWS[node.attrs["law"]], node.attrs["of"]
    sizes = tuple(dims[d] if isinstance(d, str) else d for d in node.shape)
    if draw is None:
        return np.full(sizes, law.mean(*of))
    seed, update = draw
    name = int.from_bytes(str(node.name).encode(), "little")  # not 0, so no other use of the seed has these bits

    def numbers(seed: int, update: int, sizes: tuple[int, ...]) -> np.ndarray:
        return law.numbers(np.random.default_rng([seed, update, name]), sizes, *of)

    axis = node.shape.index("trials") if "trials" in node.shape else None
    trials = 1 if axis is None else sizes[axis]
    updates = update if isinstance(update, tuple) else (update,) * trials
    if len(updates) != trials:
        raise BlocksError(f"draw has {len(updates)} updates, but there are {trials} trials")
    if axis is None:
        return numbers(seed, updates[0], sizes)
    each = sizes[:axis] + sizes[axis + 1 :]
    return np.stack([numbers(seed + r, own, each) for r, own in enumerate(updates)], axis)
