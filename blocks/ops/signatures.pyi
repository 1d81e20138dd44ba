"""How operations are called. Written by .ci/signatures.py; do not edit."""

from typing import Any

from ..graph import Node, Shape, Wire

Axes = int | str | tuple[int | str, ...] | None

def abs(x: Wire, /) -> Node:
    """abs(x): |x|; slope 0 at 0

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def add(a: Wire, b: Wire, /) -> Node:
    """add(a, b): a + b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def argmax(x: Wire, /, *, axis: int | str = -1, keepdims: bool = False) -> Node:
    """argmax(x, axis=-1, keepdims=False): the place of the largest number along an axis, the first of equal ones

    Shapes: ``(batch, 32)`` → integers ``(batch,)``; with keepdims ``(batch, 1)``. axis: a number or the name of a
    dimension; the last, by default.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def broadcast(x: Wire, /, *, shape: Shape) -> Node:
    """broadcast(x, shape): x repeated to a larger shape

    Shapes: ``(32,)`` with shape=("batch", 32) → ``(batch, 32)``: NumPy's rule, from the right.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def constant(*, value: Any) -> Node:
    """constant(value): the same at each run

    Shapes: the value's own.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def cos(x: Wire, /) -> Node:
    """cos(x): cos x

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def cumsum(x: Wire, /, *, axis: int | str = -1, reverse: bool = False) -> Node:
    """cumsum(x, axis=-1, reverse=False): the sum of all numbers up to each, along an axis

    Shapes: ``(time, batch, 32)`` → ``(time, batch, 32)``. axis: a number or the name of a dimension; the last, by
    default. reverse: from the last number to the first. Integers stay integers.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def divide(a: Wire, b: Wire, /) -> Node:
    """divide(a, b): a / b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def equal(a: Wire, b: Wire, /) -> Node:
    """equal(a, b): a = b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def exp(x: Wire, /) -> Node:
    """exp(x): eˣ

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def expm1(x: Wire, /) -> Node:
    """expm1(x): eˣ - 1, exact for small x

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def floor(a: Wire, /) -> Node:
    """floor(a): x rounded down to a whole number; no gradient

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def floor_divide(a: Wire, b: Wire, /) -> Node:
    """floor_divide(a, b): a / b rounded down; of integers, 0 where b is 0

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def gather(table: Wire, ids: Wire, /, *, each: int = 0) -> Node:
    """gather(table, ids, each=0): row ids[...] of a table: an embedding

    Shapes: a table ``(rows, 32)`` and integers ``(time, batch)`` → ``(time, batch, 32)``; a row may have any
    shape. each=1: a table of its own for each, ``(trials, 100, 32)`` and ``(trials, batch)`` →
    ``(trials, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def gelu(x: Wire, /) -> Node:
    """gelu(x): x σ(2 z), z = √(2/π) (x + 0.044715 x³): with tanh, not erf

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def greater(a: Wire, b: Wire, /) -> Node:
    """greater(a, b): a > b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def greater_equal(a: Wire, b: Wire, /) -> Node:
    """greater_equal(a, b): a ≥ b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def layernorm(x: Wire, /, *, axis: int | str = -1, epsilon: float = 1e-05) -> Node:
    """layernorm(x, axis=-1, epsilon=1e-05): (x - mean) / √(variance + ε) along an axis

    Shapes: ``(batch, 32)`` → ``(batch, 32)``. axis: the number or name of the dimension whose numbers are normalised
    together; the last, by default. epsilon: is added to the mean of squares; a positive number.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def less(a: Wire, b: Wire, /) -> Node:
    """less(a, b): a < b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def less_equal(a: Wire, b: Wire, /) -> Node:
    """less_equal(a, b): a ≤ b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def log(x: Wire, /) -> Node:
    """log(x): ln x

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def log_softmax(x: Wire, /, *, axis: int | str = -1) -> Node:
    """log_softmax(x, axis=-1): x - ln Σ eˣ along an axis

    Shapes: ``(batch, 32)`` → ``(batch, 32)``. axis: a number or the name of a dimension; the last, by default.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def logical_and(a: Wire, b: Wire, /) -> Node:
    """logical_and(a, b): whether a and b are true, of booleans: a & b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def logical_not(a: Wire, /) -> Node:
    """logical_not(a): whether x is false, of booleans: ~x

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def logical_or(a: Wire, b: Wire, /) -> Node:
    """logical_or(a, b): whether a or b is true, of booleans: a | b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def max(x: Wire, /, *, axis: Axes = None, keepdims: bool = False) -> Node:
    """max(x, axis=None, keepdims=False): the largest over axes; ties share the gradient

    Shapes: ``(time, batch, 32)`` over axis="time" → ``(batch, 32)``; with keepdims ``(1, batch, 32)``; over no named
    axis, ``()``. axis: a number, the name of a dimension, or several; all, by default.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def maximum(a: Wire, b: Wire, /) -> Node:
    """maximum(a, b): the larger of a and b; at a tie both get half the gradient

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def mean(x: Wire, /, *, axis: Axes = None, keepdims: bool = False) -> Node:
    """mean(x, axis=None, keepdims=False): the mean over axes

    Shapes: ``(time, batch, 32)`` over axis="time" → ``(batch, 32)``; with keepdims ``(1, batch, 32)``; over no named
    axis, ``()``. axis: a number, the name of a dimension, or several; all, by default.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def minimum(a: Wire, b: Wire, /) -> Node:
    """minimum(a, b): the smaller of a and b; at a tie both get half the gradient

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def mod(a: Wire, b: Wire, /) -> Node:
    """mod(a, b): a - b (a // b), of the sign of b; of integers, 0 where b is 0

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def moveaxis(x: Wire, /, *, source: int, destination: int) -> Node:
    """moveaxis(x, source, destination): x with one axis moved to another place

    Shapes: ``(batch, 4, 8)`` with source=1, destination=-1 → ``(batch, 8, 4)``. Axes are numbers, or names.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def multiply(a: Wire, b: Wire, /) -> Node:
    """multiply(a, b): a * b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def negative(x: Wire, /) -> Node:
    """negative(x): -x

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def not_equal(a: Wire, b: Wire, /) -> Node:
    """not_equal(a, b): a ≠ b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def one_hot(ids: Wire, /, *, classes: int) -> Node:
    """one_hot(ids, classes): 1 at the id, else 0

    Shapes: integers ``(time, batch)`` with classes=10 → ``(time, batch, 10)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def outer(a: Wire, b: Wire, /, *, each: Axes = ()) -> Node:
    """outer(a, b, each=()): Σ aᵗ b, summed over all leading dimensions, batch and time too

    Shapes: ``(time, batch, n)`` and ``(time, batch, m)`` → ``(n, m)``: it *sums* over time and batch. One product
    for each example is `outer_each`.
    each: the leading dimensions that it does not sum over but the one before the last axis, by name or number: of
    ``(time, trials, batch, n)`` and ``(time, trials, batch, m)`` with each="trials" → ``(trials, n, m)``; there one
    factor may have 1, and is the same for all.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def outer_each(a: Wire, b: Wire, /) -> Node:
    """outer_each(a, b): aᵗ b, a matrix for each example

    Shapes: ``(batch, n)`` and ``(batch, m)`` → ``(batch, n, m)``: a product for each example, where `outer` sums
    them. Leading dimensions meet by name.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def power(x: Wire, p: Wire, /) -> Node:
    """power(x, p): a ** b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def relu(x: Wire, /) -> Node:
    """relu(x): max(x, 0); slope 0 at 0

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def reshape(x: Wire, /, *, shape: Shape) -> Node:
    """reshape(x, shape): the same values in another shape

    Shapes: ``(batch, 32)`` with shape=("batch", 4, 8) → ``(batch, 4, 8)``. Named dimensions stay, in their order,
    and the features in all, because the sizes of the named are known only at run time.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def rmsnorm(x: Wire, /, *, axis: int | str = -1, epsilon: float = 1e-05) -> Node:
    """rmsnorm(x, axis=-1, epsilon=1e-05): x / √(mean x² + ε) along an axis

    Shapes: ``(batch, 32)`` → ``(batch, 32)``. axis: the number or name of the dimension whose numbers are normalised
    together; the last, by default. epsilon: is added to the mean of squares; a positive number.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def round(a: Wire, /) -> Node:
    """round(a): the nearest whole number, of two the even one; no gradient

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def sigm(x: Wire, /) -> Node:
    """sigm(x): 1 / (1 + e⁻ˣ)

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def sign(a: Wire, /) -> Node:
    """sign(a): -1, 0 or 1

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def silu(x: Wire, /) -> Node:
    """silu(x): x σ(x), or swish (Elfwing et al. 2018)

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def sin(x: Wire, /) -> Node:
    """sin(x): sin x

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def slice(x: Wire, /, *, start: int = 0, stop: int | None = None, axis: int = -1) -> Node:
    """slice(x, start=0, stop=None, axis=-1): x[start:stop] along an axis

    Shapes: ``(batch, 8)`` with start=2, stop=5 → ``(batch, 3)``. axis: the last, by default. Of a named axis count
    both ends from one side: start=-1 is its last element.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def softmax(x: Wire, /, *, axis: int | str = -1) -> Node:
    """softmax(x, axis=-1): eˣ / Σ eˣ along an axis

    Shapes: ``(batch, 32)`` → ``(batch, 32)``. axis: a number or the name of a dimension; the last, by default.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def softplus(x: Wire, /) -> Node:
    """softplus(x): ln(1 + eˣ)

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def sqrt(x: Wire, /) -> Node:
    """sqrt(x): √x

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def stop_gradient(x: Wire, /) -> Node:
    """stop_gradient(x): x forwards, nothing backwards

    Shapes: that of x.

    No gradient flows through it.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def subtract(a: Wire, b: Wire, /) -> Node:
    """subtract(a, b): a - b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def sum(x: Wire, /, *, axis: Axes = None, keepdims: bool = False) -> Node:
    """sum(x, axis=None, keepdims=False): the sum over axes

    Shapes: ``(time, batch, 32)`` over axis="time" → ``(batch, 32)``; with keepdims ``(1, batch, 32)``; over no named
    axis, ``()``. axis: a number, the name of a dimension, or several; all, by default.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def tanh(x: Wire, /) -> Node:
    """tanh(x): (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def transpose(x: Wire, /) -> Node:
    """transpose(x): the last two axes swapped

    Shapes: ``(batch, n, m)`` → ``(batch, m, n)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """

def where(c: Wire, a: Wire, b: Wire, /) -> Node:
    """where(c, a, b): a where the condition holds (is not 0), else b

    Shapes: operands meet by the names of their leading dimensions, and by NumPy's rule in their features:
    ``(time, batch, 32)`` and ``(batch, 1)`` → ``(time, batch, 32)``.

    It has a gradient.

    Raises WiringError, which names the wires and where they were made, if they do not fit.
    """
