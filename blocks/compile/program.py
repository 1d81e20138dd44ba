"""A compiled graph: callable like `run`, with its source to read."""

from __future__ import annotations

import linecache
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import BlocksError, Graph
from ..interpret import FeedError, Feeds, bind
from . import runtime
from .arrange import arrange, logistic
from .fuse import fuse
from .hoist import hoist
from .plan import make_plan
from .rewrite import Pass
from .simplify import simplify
from .source import Writer

PASSES: tuple[tuple[str, Pass], ...] = (
    ("simplify", simplify),
    ("logistic", logistic),
    ("arrange", arrange),
    ("fuse", fuse),
    ("simplify again", simplify),
    ("hoist", hoist),
    ("simplify at last", simplify),
)


class Program:
    """What `compile` returns: call it with feeds, as `run`; the outputs are a dict, name → array.

    Attributes: graph, as it was given; lowered, after all passes; source, the NumPy that runs; trace, the
    graph after each pass, name → graph, if it was asked for.

    New sizes of batch and time cost an allocation, not a compilation. Several threads may call one
    program: each call has buffers to itself. Outputs belong to the caller and are never written again.
    """

    def __init__(self, graph: Graph, trace: bool = False):
        self.graph = graph
        self.trace: dict[str, Graph] = {"given": graph} if trace else {}
        lowered = graph
        for name, change in PASSES:
            lowered = change(lowered)
            if trace:
                self.trace[name] = lowered
        self.lowered = lowered
        writer = Writer(make_plan(lowered), lowered)
        self.source = writer.source()
        self._constants = writer.constants
        self._needed = [*lowered.fed("input"), *lowered.fed("parameter")]
        name = f"<blocks program {id(self):x}>"
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(True), name)
        space: dict[str, Any] = {"np": np, "rt": runtime}
        exec(compile_python(self.source, name), space)
        self._allocate: Callable[..., Callable[[Feeds], dict[str, np.ndarray]]] = space["allocate"]
        self._lock = threading.Lock()
        self._spare: dict[Any, list[Any]] = {}  # sizes → runs, each with its buffers, that no call is using

    def __call__(self, feeds: Feeds) -> dict[str, np.ndarray]:
        """The outputs for some feeds. Raises FeedError naming a feed that does not fit."""
        arrays, context = bind(self.graph, feeds)
        key = (tuple(context.dims.items()), context.dtype)
        with self._lock:
            spare = self._spare.setdefault(key, [])
            run = spare.pop() if spare else None
        if run is None:
            run = self._allocate(context.dims, context.dtype, self._constants)
        try:
            with np.errstate(all="ignore"):
                return run(arrays)
        except BlocksError as error:
            raise FeedError(str(error)) from None
        finally:
            with self._lock:
                self._spare[key].append(run)

    def __reduce__(self) -> tuple[Any, ...]:
        from ..train.files import to_json

        return _again, (to_json(self.graph), bool(self.trace))

    def __repr__(self) -> str:
        return f"<Program of {len(self.source.splitlines())} lines: {', '.join(self.graph.outputs)}>"


def compile_python(source: str, name: str) -> Any:
    """Python's own compile, under a name that is free here."""
    import builtins

    return builtins.compile(source, name, "exec")


def compile(graph: Graph, trace: bool = False) -> Program:  # noqa: A001
    """A `Program` that computes the outputs of a graph, fast.

    With `trace` it keeps the graph after each pass, to print or to draw. Raises BlocksError if the graph
    is none.
    """
    if not isinstance(graph, Graph):
        raise BlocksError(f"compile takes a Graph, not a {type(graph).__name__}")
    return Program(graph, trace)


def _again(text: str, trace: bool) -> Program:
    from ..train.files import from_json

    return Program(from_json(text), trace)
