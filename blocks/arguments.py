"""What an argument must be, said where a call fails since it is something else.

    @checked
    def scan(cell: Cell, xs: Node, mask: Node | None = None) -> Node: ...

    scan(lstm, xs, mask=[1, 0])  # BlocksError: scan: mask is a wire or None, not [1, 0], a list [cell.py:12]

A call that succeeds is not looked at: nothing that works is refused, and nothing is lost. A call that fails with a bare
error of Python or NumPy is compared with the annotations; where all arguments fit them, the error stays as it is.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import numpy as np

from .errors import BlocksError, user_line

F = TypeVar("F", bound=Callable[..., Any])

BARE = (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError)
NUMBERS: dict[type, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
}
WORDS: dict[Any, str] = {
    Any: "anything",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a dict",
    Mapping: "a dict",
    list: "a list",
    None: "None",
    types.NoneType: "None",
    np.ndarray: "an array",
}


def checked(function: F) -> F:
    """A public function whose bare errors name the argument that does not fit, what would, and the user's line."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except BARE as error:
            if isinstance(error, BlocksError):
                raise
            wrong = wrong_argument(function, args, options)
            if wrong is None:
                raise
            raise BlocksError(f"{wrong} [{user_line()}]") from None  # the bare error stays its __context__

    return cast(F, call)


def wrong_argument(
    function: Callable[..., Any], args: Iterable[Any], options: Mapping[str, Any], name: str = ""
) -> str | None:
    """Which argument is not what its annotation says, as a sentence; None if all are, or if the call itself is wrong:
    of that Python speaks clearly."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **options)
    except TypeError:
        return None
    for key, value in bound.arguments.items():
        if key == "self":  # half-made, if this is how it is made
            continue
        parameter = signature.parameters[key]
        hint = _hint(parameter.annotation, function)
        several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for one in (value.values() if isinstance(value, dict) else value) if several else [value]:
            if not fits(one, hint):
                called = name or re.sub(r"\.__\w+__$", "", function.__qualname__)
                return f"{called}: {key} is {words(hint)}, not {shown(one)}"
    return None


def _hint(annotation: Any, function: Callable[..., Any]) -> Any:
    """What an annotation stands for; Any, where it cannot be looked up."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, inspect.unwrap(function).__globals__)  # the package's own text
    except NameError:  # it was imported for type checkers alone
        return Any


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a hint says. What cannot be decided does."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is None or hint is types.NoneType:
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if hint in NUMBERS:
        return isinstance(value, NUMBERS[hint])
    kind = origin or hint
    if not isinstance(kind, type):
        return True
    try:
        if not isinstance(value, kind):
            return False
    except TypeError:  # a protocol
        return True
    if isinstance(value, Mapping) and len(parts) == 2:
        return all(fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items())
    if isinstance(value, tuple) and kind is tuple and Ellipsis not in parts:
        return not parts or (len(value) == len(parts) and all(map(fits, value, parts)))
    if isinstance(value, Collection) and not isinstance(value, str) and parts:
        return all(fits(one, parts[0]) for one in (value.flat if isinstance(value, np.ndarray) else value))
    return True


def words(hint: Any) -> str:
    """A hint as a reader says it."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in WORDS:
        return WORDS[hint]
    if origin in (Union, types.UnionType):
        each = list(dict.fromkeys(words(part) for part in parts))
        return " or ".join([", ".join(each[:-1]), each[-1]] if len(each) > 1 else each)
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is not None and issubclass(origin, Mapping):
        return f"a dict, {words(parts[0])} → {words(parts[1])}"
    if origin is tuple:
        return f"a tuple of {' and '.join(words(part) for part in parts if part is not Ellipsis)}"
    if origin is not None and issubclass(origin, Iterable):
        return f"some of them, each {words(parts[0])}"
    if getattr(origin or hint, "__module__", "") == "collections.abc" and (origin or hint).__name__ == "Callable":
        return "a function"
    name = getattr(origin or hint, "__name__", str(hint))
    return {"Node": "a wire", "generic": "a number of NumPy", "PathLike": "a path"}.get(name, f"a {name}")


def shown(value: Any) -> str:
    """What was given, in few words."""
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    text = repr(value)
    short = text if len(text) <= 60 else f"{text[:57]}…"
    return (
        short if value is None or isinstance(value, bool | int | float | str) else f"{short}, a {type(value).__name__}"
    )
