"""Which target a graph becomes: the one asked for, else the one that the environment names, else by a rule.

The rule looks at the graph and for a compiler, never at a clock, so that a run gives the same bits on a busy machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..errors import BlocksError, nearest
from ..graph import Graph
from .native import build
from .targets import NATIVE, NUMPY, TARGETS, Target

VARIABLE = "BLOCKS_TARGET"
AUTO, INTERPRETER = "auto", "interpreter"  # an interpreter is for models alone: a program is compiled
MODELS = (AUTO, *TARGETS, INTERPRETER)
PROGRAMS = (AUTO, *TARGETS)


def wanted(target: Any, names: Sequence[str]) -> str:
    """A target by its name, one of `names`; for "auto" the one that the environment names in BLOCKS_TARGET, if it does.

    Raises BlocksError for another name.
    """
    if target not in names:
        raise BlocksError(f"there is no target {target!r}{nearest(str(target), names)}; there are {', '.join(names)}")
    named = os.environ.get(VARIABLE) or AUTO
    if target != AUTO or named == AUTO:
        return str(target)
    if named not in MODELS:
        raise BlocksError(f"{VARIABLE} is {named!r}{nearest(named, MODELS)}; it may be {', '.join(MODELS)}")
    return named if named in names else NUMPY.name


def choose(graph: Graph, target: Any) -> tuple[Target, str]:
    """The row of a target by its name, and, for "auto", why it is not the native one, if it is not.

    "auto" is native for a graph with a loop on a machine with a compiler; without a loop there is little to gain.
    """
    name = wanted(target, PROGRAMS)
    if name != AUTO:
        return TARGETS[name], ""
    if all(node.op.kind != "loop" for node in graph.order()):
        return NUMPY, "a graph without a loop has little to gain in C"
    try:
        build.compiler()
    except build.Unavailable as error:
        return NUMPY, str(error)
    return NATIVE, ""
