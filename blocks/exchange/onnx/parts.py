"""What takes several nodes of ONNX: functions of a scope and of names of values, called by rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .rows import END, INT

if TYPE_CHECKING:
    from .scope import Scope, Value


def expm1(s: Scope, x: Value) -> Value:
    """eˣ − 1, exact for small x: 2 t / (1 − t) with t = tanh(x / 2)."""
    half = s.emit("Tanh", s.emit("Mul", x, 0.5))
    small = s.emit("Div", s.emit("Mul", half, 2.0), s.emit("Sub", 1.0, half))
    return s.emit("Where", s.emit("Less", s.emit("Abs", x), 0.5), small, s.emit("Sub", s.emit("Exp", x), 1.0))


def _remainder(s: Scope, a: Value, b: Value) -> tuple[Value, Value]:
    """What is left of a / b cut off, of the sign of a; and where that sign is not the one of b."""
    rest = s.emit("Mod", a, b, fmod=1)
    signs = s.emit("Xor", s.emit("Less", b, 0.0), s.emit("Less", rest, 0.0))
    return rest, s.emit("And", signs, s.emit("Not", s.emit("Equal", rest, 0.0)))


def mod(s: Scope, a: Value, b: Value) -> Value:
    """a − b ⌊a / b⌋, of the sign of b."""
    rest, wrong = _remainder(s, a, b)
    return s.emit("Where", wrong, s.emit("Add", rest, b), rest)


def floor_divide(s: Scope, a: Value, b: Value) -> Value:
    """⌊a / b⌋ of the exact quotient; a / b where b is 0: as NumPy has it."""
    rest, wrong = _remainder(s, a, b)
    whole = s.emit("Div", s.emit("Sub", a, rest), b)
    whole = s.emit("Where", wrong, s.emit("Sub", whole, 1.0), whole)
    down = s.emit("Floor", whole)
    above = s.emit("Greater", s.emit("Sub", whole, down), 0.5)
    down = s.emit("Where", above, s.emit("Add", down, 1.0), down)
    return s.emit("Where", s.emit("Equal", b, 0.0), s.emit("Div", a, b), down)


def weighted_mean(s: Scope, x: Value, w: Value, empty: float | None) -> Value:
    """Σ w x / Σ w; `empty`, or NaN, where all weights are 0."""
    spread = s.emit("Expand", w, s.emit("Shape", x))
    total = s.emit("ReduceSum", spread, keepdims=0)
    mean = s.emit("Div", s.emit("ReduceSum", s.emit("Mul", x, w), keepdims=0), total)
    if empty is None:
        return mean
    some = s.emit("ReduceMax", s.emit("Abs", spread), keepdims=0)
    return s.emit("Where", s.emit("Equal", some, 0.0), float(empty), mean)


def scatter(s: Scope, x: Value, ids: Value, sizes: Value) -> Value:
    """The sum of the rows that have one id; `sizes`: of the result."""
    rows = s.emit("Reshape", x, s.emit("Concat", (-1,), s.emit("Slice", sizes, (1,), (END,)), axis=0))
    return s.emit("ScatterND", s.emit("Expand", 0.0, sizes), s.emit("Reshape", ids, (-1, 1)), rows, reduction="add")


def scatter_each(s: Scope, x: Value, ids: Value, rows: int, sizes: Value) -> Value:
    """The sum of the rows that have one id, for each one's own ids: those of the second follow those of the first."""
    count = s.emit("Slice", sizes, (0,), (1,))
    first = s.emit("Mul", _numbers(s, count), rows)
    numbers = s.emit("Add", s.emit("Reshape", ids, s.emit("Concat", count, (-1,), axis=0)), _column(s, first))
    row = s.emit("Slice", sizes, (2,), (END,))
    all_rows = s.emit("Concat", s.emit("Mul", count, (rows,)), row, axis=0)
    return s.emit("Reshape", scatter(s, x, numbers, all_rows), sizes)


def hold(s: Scope, x: Value, admitted: Value, rank: int) -> Value:
    """x, each step that the mask does not admit with the value of an admitted one."""
    return s.emit("GatherND", x, _held_from(s, admitted, rank))


def release(s: Scope, x: Value, admitted: Value, rank: int) -> Value:
    """Masked steps added to the steps that they hold: the gradient of `hold`."""
    zeros = s.emit("Expand", 0.0, s.emit("Shape", x))
    return s.emit("ScatterND", zeros, _held_from(s, admitted, rank), x, reduction="add")


def _held_from(s: Scope, admitted: Value, rank: int) -> Value:
    """Where the value of each step is from, ``(time, ..., batch, rank)``: its own place, if the mask admits it; else
    the last admitted step before, or the first; of a sequence that is masked whole, those of another one."""
    whole, last = s.emit("Shape", admitted), rank - 1
    ones = s.emit("Cast", admitted, to=INT)
    steps = s.emit("Expand", _column(s, _numbers(s, s.emit("Shape", admitted, start=0, end=1)), rank), whole)
    some = s.emit("ReduceMax", ones, (0,), keepdims=0)
    first = s.emit("ArgMax", ones, axis=0, keepdims=0)
    source = s.running_max(s.emit("Where", admitted, steps, first), rank)
    own = _numbers(s, s.emit("Shape", admitted, start=last, end=rank))
    other = s.emit("ArgMax", some, axis=last - 1, keepdims=1)
    any_some = s.emit("Equal", s.emit("ReduceMax", some, (-1,), keepdims=1), 1)
    has_steps = s.emit("Or", s.emit("Equal", some, 1), s.emit("Not", any_some))  # where none has any, each has its own
    sequences = s.emit("Expand", s.emit("Where", has_steps, own, other), whole)
    source = s.emit("Where", any_some, s.emit("GatherElements", source, sequences, axis=last), steps)
    places = [source, sequences]
    if rank > 2:  # trials stand between
        each = _column(s, _numbers(s, s.emit("Shape", admitted, start=1, end=2)), rank - 1)
        places.insert(1, s.emit("Expand", each, whole))
    return s.emit("Concat", *(s.emit("Unsqueeze", place, (-1,)) for place in places), axis=rank)


def _numbers(s: Scope, count: Value) -> Value:
    """0, 1, …, count − 1."""
    return s.emit("Range", 0, s.emit("Squeeze", count, (0,)), 1)


def _column(s: Scope, numbers: Value, rank: int = 2) -> Value:
    """Numbers along the first of so many axes."""
    return s.emit("Reshape", numbers, (-1, *(1,) * (rank - 1)))


PARTS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (expm1, mod, floor_divide, weighted_mean, scatter, scatter_each, hold, release)
}
