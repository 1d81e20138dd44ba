"""The leaves of a graph: inputs and parameters, which are fed, and constants, which are not.

First weights are made here too, because a parameter carries the recipe for them: a name ("glorot",
"orthogonal", "zeros", ...), a number, an array, a distribution with its numbers, or a function.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, WiringError, misfit, nearest, user_line
from ..graph import DTYPES, Dim, Graph, Node, Op, Shape, apply, show_shape

Recipe = Callable[..., np.ndarray]  # (rng, shape) → first weights


def check_name(name: Any, what: str) -> str:
    """A usable name: a string without control characters, 1 to 200 long."""
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        raise misfit(f"the name of {what} must be a printable string of 1 to 200 characters, not {name!r:.80}")
    return name


def check_shape(shape: Any, what: str) -> Shape:
    """A tuple of positive sizes and dimension names."""
    if not isinstance(shape, tuple | list):
        raise misfit(f"the shape of {what} must be a tuple like ('batch', 32), not {shape!r}")
    for d in shape:
        named = isinstance(d, str) and d.isidentifier()
        sized = isinstance(d, int | np.integer) and not isinstance(d, bool) and d > 0
        if not (named or sized):
            raise misfit(f"{what} has the dimension {d!r}; a dimension is a positive number or a name like 'batch'")
    return tuple(d if isinstance(d, str) else int(d) for d in shape)


def sizes_of(name: str, features: tuple[Any, ...], dims: tuple[str, ...], shape: Any) -> Shape:
    """The shape of a leaf: the dimensions that its kind has by itself and its features, or `shape` for all of them.

    Raises WiringError, with the user's line, for both at once and for what are no sizes."""
    try:
        if features and shape is not None:
            raise misfit(f"{name!r}: its sizes stand in shape={shape!r} or before it, not in both")
        return check_shape(shape if shape is not None else (*dims, *features), repr(name))
    except WiringError as error:
        raise WiringError(f"{error} [{user_line()}]") from None


def _infer_input(*, shape: Shape, dtype: str, default: Any) -> tuple[Shape, str]:
    """Shapes: of any; a string is a named dimension, ``("time", "batch", 8)``. dtype: "float", "int" or "bool".
    default: its value where it is not fed, "zeros" or an array that can be repeated to the shape; None: it must be."""
    if dtype not in DTYPES:
        raise misfit(f"unknown dtype {dtype!r}; known are {', '.join(DTYPES)}{nearest(str(dtype), DTYPES)}")
    shape = check_shape(shape, "an input")
    if isinstance(default, np.ndarray):
        _check_default(default, shape, dtype)
    elif default is not None and default != "zeros":
        raise misfit(f"unknown default {default!r:.80}; known are None, 'zeros' and an array")
    return shape, dtype


def _check_default(value: np.ndarray, shape: Shape, dtype: str) -> None:
    """Raises WiringError unless an input that is not fed can be this value, repeated to its shape."""
    if value.dtype.kind not in {"float": "fiu", "int": "iu", "bool": "b"}[dtype]:
        raise misfit(f"its value where it is not fed is {dtype}, not {value.dtype}")
    fits = all(n == 1 or n == d for n, d in zip(value.shape[::-1], shape[::-1], strict=False))
    if value.ndim > len(shape) or not fits:
        raise misfit(
            f"its value where it is not fed is {show_shape(shape)}, which {show_shape(value.shape)} does not fit"
        )


def _infer_parameter(*, shape: Shape, init: Any) -> tuple[Shape, str]:
    """Shapes: of numbers, ``(8, 32)``; with trials in front, ``(trials, 8, 32)``. init: of one trial, see
    `bricks.Brick`."""
    if "trials" in check_shape(shape, "weights")[1:]:
        raise misfit(f"the trials of weights stand in front, but these are {show_shape(shape)}")
    if any(isinstance(d, str) for d in _of_one_trial(shape)):
        raise misfit(f"weights have no time or batch, but these are {show_shape(shape)}")
    check_init(_of_one_trial(shape), init)
    return tuple(shape), "float"


def _of_one_trial(shape: Shape) -> Shape:
    return shape[1:] if shape[:1] == ("trials",) else shape


def _infer_constant(*, value: np.ndarray) -> tuple[Shape, str]:
    """Shapes: the value's own."""
    kinds = {"f": "float", "i": "int", "u": "int", "b": "bool"}
    if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
        raise misfit(f"{value!r:.80} is no number, array or wire")
    return value.shape, kinds[value.dtype.kind]


def _prepare_constant(nodes: tuple[Node, ...], attrs: dict[str, Any]) -> tuple[tuple[Node, ...], dict[str, Any]]:
    return nodes, {"value": _array_of(attrs["value"])}


def _array_of(value: Any) -> np.ndarray:
    """A number or an array of them, as an array of its own that nobody changes; integers have 64 bits."""
    try:
        array = np.array(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise misfit(
            f"a {type(value).__name__} is no number, array or wire: {value!r:.80}; options such as shape= and axis= "
            "are given by name"
        )
    if array.dtype.kind in "iu":
        check_whole(array, "a constant")
        array = array.astype(np.int64)
    if array.dtype.char == "g" or not array.dtype.isnative:  # no run computes in more than float64
        array = array.astype(np.float64 if array.dtype.char == "g" else array.dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def check_whole(array: np.ndarray, what: str) -> None:
    """Raises WiringError for unsigned integers that 64 bits with a sign do not hold."""
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise misfit(f"{what} holds the integer {array.max()}; the largest is 2⁶³ − 1")


def _forward_constant(run: Any, *, value: np.ndarray) -> np.ndarray:
    return value.astype(run.dtype) if value.dtype.kind == "f" else value


def _not_fed(*_: Any, **attrs: Any) -> np.ndarray:
    raise BlocksError("an input or parameter has no value of its own; it must be fed")


input_op = Op("input", "a value that is fed at each run", _infer_input, _not_fed, kind="leaf")
parameter_op = Op("parameter", "weights, trained", _infer_parameter, _not_fed, kind="leaf")
constant = Op(
    "constant", "the same at each run", _infer_constant, _forward_constant, None, _prepare_constant, True, kind="leaf"
)


def make_input(name: str, shape: Shape, dtype: str, role: str, default: Any = None) -> Node:
    """An input node; `role` is input, sequence, state or initial. `default` is its value where it is not fed: "zeros",
    a number or an array; None: it must be fed."""
    check_name(name, "an input")
    if default is not None and not isinstance(default, str):
        default = _array_of(default)
        default = "zeros" if default.shape == () and default == 0 else default
    return _named(name, lambda: apply("input", name=name, role=role, shape=shape, dtype=dtype, default=default))


def make_parameter(name: str, shape: Shape, init: Any) -> Node:
    """A parameter node with its recipe for first weights."""
    check_name(name, "a parameter")
    return _named(name, lambda: apply("parameter", name=name, role="parameter", shape=shape, init=_recipe(init)))


def _named(name: str, make: Callable[[], Node]) -> Node:
    try:
        return make()
    except WiringError as error:
        raise WiringError(f"{name!r}: {error} [{user_line()}]", error.op) from None


# --- first weights -------------------------------------------------------------------------------


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[-2], shape[-1]) if len(shape) > 1 else (shape[-1], shape[-1]) if shape else (1, 1)


def _scaled(numerator: float, both: bool, law: str) -> Recipe:
    """First weights of the variance numerator / fan: of the inputs, or with `both` the mean of inputs and units."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        inputs, units = _fans(shape)
        std = np.sqrt(numerator / ((inputs + units) / 2 if both else inputs))
        return rng.normal(0.0, std, shape) if law == "normal" else rng.uniform(-std * 3**0.5, std * 3**0.5, shape)

    return draw


def _glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in ±√(6 / (inputs + units)) (Glorot and Bengio 2010, eq. 16)."""
    limit = np.sqrt(6.0 / sum(_fans(shape)))
    return rng.uniform(-limit, limit, shape)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A random matrix with orthonormal rows or columns (Saxe et al. 2014)."""
    rows, columns = _fans(shape)
    normal = rng.standard_normal((*shape[:-2], max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    return q if rows >= columns else np.swapaxes(q, -1, -2)


def _identity(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The identity (Le et al. 2015, IRNN)."""
    return np.broadcast_to(np.eye(*_fans(shape)), shape).copy()


INITS: dict[str, Recipe] = {
    "glorot": _glorot,
    "glorot_uniform": _glorot,
    "glorot_normal": _scaled(1.0, True, "normal"),  # Glorot and Bengio 2010, eq. 12
    "he_uniform": _scaled(2.0, False, "uniform"),  # He et al. 2015, eq. 10
    "he_normal": _scaled(2.0, False, "normal"),
    "lecun_uniform": _scaled(1.0, False, "uniform"),  # LeCun et al. 1998, eq. 16
    "lecun_normal": _scaled(1.0, False, "normal"),
    "orthogonal": _orthogonal,
    "identity": _identity,
    "zeros": lambda rng, shape: np.zeros(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "uniform": lambda rng, shape: rng.uniform(-0.1, 0.1, shape),
    "normal": lambda rng, shape: rng.normal(0.0, 0.1, shape),
}


GIVEN = "given"  # what a file says of weights that a function made: they stand beside the graph
LAWS: dict[str, tuple[str, Recipe]] = {  # with numbers of their own: which, and how they are drawn
    "uniform": ("low, high", lambda rng, shape, low, high: rng.uniform(low, high, shape)),
    "normal": ("std", lambda rng, shape, std: rng.normal(0.0, std, shape)),
}


def _recipe(init: Any) -> Any:
    """A recipe as a parameter keeps it. Raises WiringError for an array of what are no numbers."""
    if isinstance(init, np.number):
        return init.item()
    if isinstance(init, tuple | list) and init and isinstance(init[0], str):
        return (init[0], *(float(v) if isinstance(v, int | float | np.number) else v for v in init[1:]))
    if isinstance(init, tuple | list | np.ndarray):
        try:
            init = np.array(init, dtype=float)
        except (TypeError, ValueError):
            raise misfit(f"first weights are numbers, not {init!r:.80}") from None
        init.flags.writeable = False
    return init


def _check_law(init: tuple[Any, ...]) -> None:
    law, *numbers = init
    if law not in LAWS:
        raise misfit(f"unknown distribution {law!r:.80}; known are {', '.join(LAWS)}{nearest(str(law), LAWS)}")
    wanted = LAWS[law][0]
    fits = len(numbers) == len(wanted.split(", ")) and all(isinstance(v, float) and math.isfinite(v) for v in numbers)
    if not fits or (law == "uniform" and numbers[0] >= numbers[1]) or (law == "normal" and numbers[0] <= 0):
        said = "low below high" if law == "uniform" else "std above 0"
        raise misfit(f"first weights ({law!r}, {wanted}) are given by finite numbers, {said}, not {init!r:.80}")


def check_init(shape: Shape, init: Any) -> None:
    """Raises WiringError unless `init` is a known name, a number, an array of this shape, a distribution or a
    function."""
    if callable(init) or (isinstance(init, str) and init == GIVEN):
        return
    if isinstance(init, tuple):
        _check_law(init)
    elif isinstance(init, str):
        if init not in INITS:
            raise misfit(f"unknown initialisation {init!r}; known are {', '.join(INITS)}{nearest(init, INITS)}")
        if init in ("orthogonal", "identity") and len(shape) < 2:
            raise misfit(f"the shape is {show_shape(shape)}; {init!r} needs a matrix")
    elif isinstance(init, np.ndarray):
        if init.shape != tuple(shape):
            raise misfit(f"the shape is {show_shape(shape)}, that of the first weights {show_shape(init.shape)}")
    elif not isinstance(init, int | float) or isinstance(init, bool):
        raise misfit(
            "first weights are a name, a number, an array, ('uniform', low, high), ('normal', std) or a function "
            f"(rng, shape), not {init!r:.80}"
        )


def initial_weights(node: Node, seed: int, dtype: Any, trials: int = 1) -> np.ndarray:
    """The first weights of one parameter, from the seed and the parameter's name alone. With trials, trial r has those
    that a parameter without has with the seed + r.

    Raises WiringError for a function that does not give numbers of the parameter's shape, and BlocksError for weights
    that a function made when the graph was saved.
    """
    shape = _of_one_trial(node.shape)
    if shape != node.shape:
        return np.stack([_first_numbers(node, seed + r, dtype, shape) for r in range(trials)])
    return _first_numbers(node, seed, dtype, shape)


def _first_numbers(node: Node, seed: int, dtype: Any, shape: tuple[Any, ...]) -> np.ndarray:
    init = node.attrs["init"]
    if isinstance(init, str) and init == GIVEN:
        raise BlocksError(
            f"{node.name!r}: a function made its first weights, which this graph does not hold: feed them"
        )
    rng = np.random.default_rng([seed, zlib.crc32(str(node.name).encode())])
    if isinstance(init, str):
        return INITS[init](rng, shape).astype(dtype)
    if isinstance(init, tuple):
        return LAWS[init[0]][1](rng, shape, *init[1:]).astype(dtype)
    if callable(init):
        made = np.asarray(init(rng, shape))
        if made.shape != shape or made.dtype.kind not in "fiu":
            raise WiringError(
                f"{node.name!r} made at {node.where}: its init made {made.dtype} of shape {show_shape(made.shape)}, "
                f"not numbers of shape {show_shape(shape)}"
            )
        return made.astype(dtype)
    return np.broadcast_to(np.asarray(init, dtype=dtype), shape).copy()


@checked
def first_weights(graph: Graph, seed: int = 0, dtype: Any = "float32", trials: int = 1) -> dict[str, Any]:
    """Fresh weights of a graph, name → array. Each depends on the seed and its own name alone, so adding a
    brick leaves the others' first weights as they were. Where weights have trials, `trials` says how many; trial r
    begins as a graph without begins with the seed + r.

    Raises BlocksError for a seed below 0, and for a dtype that is not of floating-point numbers.
    """
    if seed < 0:
        raise BlocksError(f"a seed is a whole number from 0, not {seed!r}")
    try:
        known = np.dtype(dtype).kind == "f"
    except (TypeError, ValueError):
        known = False
    if not known:
        raise BlocksError(f"the dtype of weights is 'float32' or 'float64', not {dtype!r:.60}")
    return {name: initial_weights(node, seed, dtype, trials) for name, node in graph.fed("parameter").items()}


def dims_of(shape: Iterable[Dim]) -> tuple[str, ...]:
    """The named dimensions of a shape."""
    return tuple(d for d in shape if isinstance(d, str))
