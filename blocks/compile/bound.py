"""A program with feeds that stay: what it is called with is looked at where its kind is new, not at each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, FeedError, nearest
from ..graph import Graph
from ..interpret import Feeds, Run, bind, drawn
from ..ops.random import Draw

KINDS_KEPT = 1024
NOTHING: Mapping[str, Any] = MappingProxyType({})
Arrays = dict[str, np.ndarray]


class Binding:
    """Feeds that stay, and what is known of the kinds of the others. `token`: what tells its runs from others of the
    same sizes."""

    def __init__(self, graph: Graph, feeds: Feeds = NOTHING, token: Any = None):
        self.graph, self.feeds, self.draws, self.token = graph, dict(feeds), graph.fed("draw"), token
        self._known: dict[Any, tuple[Any, Arrays, Run]] = {}  # the kinds of some feeds → sizes, and what else is known
        self._plain = all(type(a) is np.ndarray for a in self.feeds.values())

    def bind(self, feeds: Feeds, draw: Draw) -> tuple[Any, Arrays, Run]:
        """The sizes, and what `interpret.bind` makes of all feeds; feeds of known kinds are not looked at again, but
        draws are made."""
        kinds = known = None
        if self._plain and all([type(a) is np.ndarray for a in feeds.values()]):  # noqa: C419 (faster)
            kinds = (draw is None, *[(name, a.shape, a.dtype) for name, a in feeds.items()])
            known = self._known.get(kinds)
        if known is not None:
            key, staying, context = known
            arrays = {**staying, **feeds} if feeds else staying
            return key, arrays if draw is None else arrays | drawn(self.draws, arrays, draw, context), context
        whole = {**self.feeds, **feeds}
        arrays, context = bind(self.graph, whole, draw)
        key = (tuple(context.dims.items()), context.dtype, self.token)
        if kinds is not None and all(arrays[name] is whole[name] for name in whole):  # others are converted each time
            if len(self._known) >= KINDS_KEPT:
                self._known.clear()
            anew = feeds if draw is None else {**feeds, **self.draws}
            staying = {name: a for name, a in arrays.items() if name in self.feeds or name not in anew}
            self._known[kinds] = (key, staying, context)
        return key, arrays, context


def into(call: Callable[..., Arrays], out: Arrays) -> Callable[..., Arrays]:
    """A function whose outputs of some names are written into arrays."""

    def written(*args: Any, **options: Any) -> Arrays:
        results = call(*args, **options)
        for name, array in out.items():
            array[...] = results[name]
        return {**results, **out}

    return written if out else call


def check_out(graph: Graph, out: Arrays, context: Run) -> None:
    """Raises FeedError for an array that an output does not fit in a run."""
    for name, array in out.items():
        node = graph.outputs[name]
        shape, kind = context.shape(node.shape), context.type_of(node.dtype)
        if array.shape != shape or array.dtype != kind:
            raise FeedError(f"out: {name!r} is {kind} {shape}, not {array.dtype} {array.shape}")


class Runs(Protocol):
    """What is bound: a `Program`."""

    graph: Graph

    def _run(self, key: Any, arrays: Arrays, context: Run, out: Arrays) -> Arrays:
        """The outputs for feeds that fit, of some sizes; those that `out` has are written there."""


class Bound:
    """A program with some feeds, which stay: `Program.bound`. Called with the others, it returns what the program does.

    Attributes: program; feeds, those that stay; out, name → the array that an output is written into.
    """

    def __init__(self, program: Runs, feeds: Feeds, out: Mapping[str, np.ndarray] = NOTHING):
        for name, array in out.items():
            if name not in program.graph.outputs:
                known = program.graph.outputs
                raise BlocksError(f"out: there is no output {name!r}{nearest(str(name), known)}; {', '.join(known)}")
            if not isinstance(array, np.ndarray):
                raise BlocksError(f"out: {name!r} is written into an array, not a {type(array).__name__}")
        self.program, self.out = program, dict(out)
        self._binding = Binding(program.graph, feeds, object() if out else None)

    @property
    def feeds(self) -> Arrays:
        """Those that stay."""
        return self._binding.feeds

    @checked
    def __call__(self, feeds: Feeds = NOTHING, draw: Draw = None) -> Arrays:
        """The outputs for the other feeds; `draw` as for `run`. Raises what the program does."""
        return self.program._run(*self._binding.bind(feeds, draw), self.out)
