"""A program with feeds that stay: what it is called with is looked at where its kind is new, not at each call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from ..arguments import checked
from ..graph import Graph
from ..interpret import Feeds, Run, bind, drawn
from ..ops.random import Draw

KINDS_KEPT = 1024
NOTHING: Mapping[str, Any] = MappingProxyType({})
Arrays = dict[str, np.ndarray]


class Binding:
    """Feeds that stay, and what is known of the kinds of the others."""

    def __init__(self, graph: Graph, feeds: Feeds = NOTHING):
        self.graph, self.feeds, self.draws = graph, dict(feeds), graph.fed("draw")
        self._known: dict[Any, tuple[Any, Arrays, Run]] = {}  # the kinds of some feeds → sizes, and what is not fed
        self._plain = all(type(a) is np.ndarray for a in self.feeds.values())

    def bind(self, feeds: Feeds, draw: Draw) -> tuple[Any, Arrays, Run]:
        """The sizes, and what `interpret.bind` makes of all feeds; feeds of known kinds are not looked at again, but
        draws are made."""
        kinds = known = None
        if self._plain and all([type(a) is np.ndarray for a in feeds.values()]):  # noqa: C419 (faster)
            kinds = (draw is None, *[(name, a.shape, a.dtype) for name, a in feeds.items()])
            known = self._known.get(kinds)
        whole = {**self.feeds, **feeds}
        if known is not None:
            random = {} if draw is None else drawn(self.draws, whole, draw, known[2])
            return known[0], {**whole, **known[1], **random}, known[2]
        arrays, context = bind(self.graph, whole, draw)
        key = (tuple(context.dims.items()), context.dtype)
        if kinds is not None and all(arrays[name] is whole[name] for name in whole):  # others are converted each time
            if len(self._known) >= KINDS_KEPT:
                self._known.clear()
            anew = whole if draw is None else {**whole, **self.draws}
            unfed = {name: a for name, a in arrays.items() if name not in anew}
            self._known[kinds] = (key, unfed, context)
        return key, arrays, context


class Runs(Protocol):
    """What is bound: a `Program`."""

    graph: Graph

    def _run(self, key: Any, arrays: Arrays, context: Run) -> Arrays:
        """The outputs for feeds that fit, of some sizes."""


class Bound:
    """A program with some feeds, which stay: `Program.bound`. Called with the others, it returns what the program does.

    Attributes: program; feeds, those that stay.
    """

    def __init__(self, program: Runs, feeds: Feeds):
        self.program = program
        self._binding = Binding(program.graph, feeds)

    @property
    def feeds(self) -> Arrays:
        """Those that stay."""
        return self._binding.feeds

    @checked
    def __call__(self, feeds: Feeds = NOTHING, draw: Draw = None) -> Arrays:
        """The outputs for the other feeds; `draw` as for `run`. Raises what the program does."""
        return self.program._run(*self._binding.bind(feeds, draw))
