"""The targets: what graphs become, a row each.

A target says which passes prepare a graph for it and what writes the graph down. Most passes are common to all; what
is a choice of one target stands in its row: for NumPy, σ through one exponential for all gates and elementwise
operations in blocks of steps that stay in cache; C needs neither, its elementwise operations run together anyway.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Graph
from .bound import into
from .native.emit import emit_native
from .numpy import runtime
from .numpy.source import write
from .numpy.statements import in_place
from .passes.arrange import arrange
from .passes.block import block
from .passes.expand import expand
from .passes.fuse import fuse, fuse_products
from .passes.hoist import hoist, hoist_what_pays
from .passes.logistic import logistic
from .passes.simplify import simplify
from .passes.stacks import stacks
from .passes.sweep import Pass
from .plan.plan import make_plan

Passes = tuple[tuple[str, Pass], ...]
Arrays = dict[str, np.ndarray]
MODULE = "blocks.compiled"  # the name under which programs run


@dataclass(frozen=True)
class Emitted:
    """What a target makes of a graph: its source, and ``allocate(dims, dtype)``, which makes the buffers for some
    sizes and returns ``run(feeds)``, the computation with them; ``allocate(dims, dtype, out)``, one that writes the
    outputs of those names into the arrays of `out`. ``prepare(dtype)`` does what is done once for a type of numbers."""

    source: str
    allocate: Callable[..., Callable[[Arrays], Arrays]]
    prepare: Callable[[np.dtype], Any] = lambda dtype: None


@dataclass(frozen=True)
class Target:
    """A language that graphs become: the passes before it, and what makes source of a graph that went through them."""

    name: str
    passes: Passes
    emit: Callable[[Graph], Emitted]


FIRST: Passes = (("simplify", simplify), ("expand", expand))


def _passes(fuse: Pass, hoist: Pass) -> Passes:
    """What all targets have in common, around two passes that each does in its way."""
    return (
        ("arrange", arrange),
        ("fuse", fuse),
        ("simplify again", simplify),
        ("hoist", hoist),
        ("stacks", stacks),
        ("simplify at last", simplify),
    )


def emit_numpy(graph: Graph) -> Emitted:
    """A graph as NumPy."""
    written = write(make_plan(graph, in_place), graph)
    name = f"<blocks program {id(written):x}>"
    linecache.cache[name] = (len(written.source), None, written.source.splitlines(True), name)
    space: dict[str, Any] = {"np": np, "rt": runtime, "__name__": MODULE}
    exec(compile(written.source, name, "exec"), space)

    def allocate(dims: dict[str, int], dtype: np.dtype, out: Arrays | None = None) -> Callable[[Arrays], Arrays]:
        run: Callable[[Arrays], Arrays] = space["allocate"](dims, dtype, written.constants)
        return into(run, out or {})

    return Emitted(written.source, allocate)


NUMPY = Target("numpy", (*FIRST, ("logistic", logistic), *_passes(fuse, hoist), ("block", block)), emit_numpy)


def emit_c(graph: Graph) -> Emitted:
    """A graph as C. Raises Unsupported for what has no C; `allocate` and `prepare` raise Unavailable where
    no compiler is."""
    function = emit_native(graph)
    return Emitted(function.unit, function.allocate, function.loaded)


NATIVE = Target("native", (*FIRST, *_passes(fuse_products, hoist_what_pays)), emit_c)
TARGETS = {target.name: target for target in (NUMPY, NATIVE)}
