"""The numbers of a figure: the values of a run of a cell, over one step or several, and its gradients, back in time.

What a run did not compute, because something it needs was not fed, has no number: not computed is not zero.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from ...errors import BlocksError, nearest
from ...graph import FED, Graph, Node
from ...interpret import run
from ...ops.loop import NEXT
from ..diagram.backwards import cotangents

Known = dict[tuple[int, str], np.ndarray]  # (step, name of a node) → its value, or its gradient; weights at step 0


def computed(graph: Graph, feeds: Mapping[str, Any], unknown: Container[str] = ()) -> dict[Node, np.ndarray]:
    """Node → value for all that can be computed from some feeds. States that are not fed are zero, but for those that
    are unknown; draws are their expectation.

    Raises BlocksError for a name that the graph does not ask for, and FeedError for an array that does not fit.
    """
    asked = {**graph.inputs, **graph.params, **graph.draws}
    for name in feeds:
        if name not in asked:
            raise BlocksError(
                f"the graph asks for no {name!r}{nearest(str(name), asked)}; it asks for {', '.join(asked)}"
            )
    known: dict[str, Node] = {}
    found: set[Node] = set()
    for name, node in graph.nodes.items():
        fed = node.name in feeds or node.attrs.get("default") is not None or node.op.name == "draw"
        fed = fed and node.name not in unknown
        if fed if node.op.name in FED else all(o in found for o in node.operands):
            found.add(node)
            known[name] = node
    if not feeds or not known:
        return {}
    part = Graph(known)
    needed = {**part.inputs, **part.params, **part.draws}
    results = run(part, {name: value for name, value in feeds.items() if name in needed})
    return {node: np.asarray(results[name]) for name, node in known.items()}


def gradient_values(graph: Graph, feeds: Mapping[str, Any], unknown: Container[str] = ()) -> dict[Node, np.ndarray]:
    """Node → gradient, from feeds that also say what gradient comes in, as ``d/y`` or ``d/next/h``; at the
    outputs that are not named it is zero. Raises BlocksError if none is named."""
    if not any(name.startswith("d/") for name in feeds):
        names = ", ".join(f"d/{name}" for name in graph.outputs)
        raise BlocksError(f"values of a gradient need the gradient that comes in, one or more of {names}")
    found = cotangents(graph)
    back = Graph({graph.name_of(node): g for node, g in found.items()})
    given = {name: value for name, value in feeds.items() if not name.startswith("d/")}
    seeds: dict[Node, Any] = {}
    for name, value in feeds.items():
        if name.startswith("d/"):
            node = graph.outputs.get(name[2:])
            if node is None or node not in found:
                known = [f"d/{n}" for n in graph.outputs]
                hint = nearest(name, known)
                raise BlocksError(f"no gradient comes in at {name!r}{hint}; it does at {', '.join(known)}")
            seeds[node] = seeds[node] + value if node in seeds else value
    asked = {**back.inputs, **back.params, **back.draws}
    seeded = {_seed_name(graph, node): value for node, value in seeds.items()}
    values = computed(back, {name: v for name, v in {**given, **seeded}.items() if name in asked}, unknown)
    return {node: values[g] for node, g in found.items() if g in values}


def _seed_name(graph: Graph, node: Node) -> str:
    """The name of the gradient that comes in at an output; outputs that are one value share it."""
    return [f"d/{name}" for name, other in graph.outputs.items() if other is node][-1]


def over_steps(graph: Graph, feeds: Mapping[str, Any], steps: int) -> list[dict[Node, np.ndarray]]:
    """For each step what can be computed of a cell: inputs have the steps as their first dimension, ``(steps, batch,
    …)``, states are fed as they are before the first step. Raises BlocksError for an input without the steps."""
    states = [name.removeprefix(NEXT) for name in graph.outputs if name.startswith(NEXT)]
    found: list[dict[Node, np.ndarray]] = []
    unknown: set[str] = set()
    for number in range(1, steps + 1):
        now = {name: value for name, value in feeds.items() if name not in states or number == 1}
        now |= {
            name: _of_step(graph, name, value, number, steps) for name, value in now.items() if _changes(graph, name)
        }
        if found:
            after = {s: found[-1].get(graph.outputs[NEXT + s]) for s in states if s in graph.inputs}
            now |= {s: value for s, value in after.items() if value is not None}
            unknown = {s for s, value in after.items() if value is None}
        found.append(computed(graph, now, unknown))
    return found


def gradients_over_steps(graph: Graph, feeds: Mapping[str, Any], steps: int) -> list[dict[Node, np.ndarray]]:
    """For each step the gradients, back through time: what comes in at an output has the steps as its first dimension,
    what comes in at the last states, ``d/next/h``, has none."""
    given = {name: value for name, value in feeds.items() if not name.startswith("d/")}
    values = over_steps(graph, given, steps)
    fed = graph.fed("input")
    found: list[dict[Node, np.ndarray]] = []
    for number in range(steps, 0, -1):
        now = {n: v for n, v in given.items() if n in graph.params}
        now |= {name: values[number - 1][node] for name, node in fed.items() if node in values[number - 1]}
        unknown = {name for name in fed if name not in now}
        seeds = {n: v for n, v in feeds.items() if n.startswith("d/") and not n[2:].startswith(NEXT)}
        seeds = {n: _of_step(graph, n, v, number, steps) for n, v in seeds.items()}
        if found:
            seeds |= {
                f"d/{NEXT}{s}": found[0][node] for s, node in fed.items() if node in found[0] and node.role == "state"
            }
        else:
            seeds |= {n: v for n, v in feeds.items() if n[2:].startswith(NEXT)}
        found.insert(0, gradient_values(graph, {**now, **seeds}, unknown))
    return found


def coming_in(graph: Graph, feeds: Mapping[str, Any], steps: int | None) -> Known:
    """The gradients that come in, as ``d/y`` at each step and ``d/next/h`` at the last; zero where none is given."""
    known: Known = {}
    for name in graph.outputs:
        given = np.asarray(feeds.get(f"d/{name}", 0.0))
        of_all = name.startswith(NEXT) or given.ndim == 0 or not steps
        for number in range(1, (steps or 1) + 1):
            known[number, f"d/{name}"] = given if of_all else given[number - 1]
    return known


def _changes(graph: Graph, name: str) -> bool:
    """Whether something that is fed is another one at each step."""
    fed = graph.fed("input")
    return name in fed and fed[name].role != "state"


def _of_step(graph: Graph, name: str, value: Any, number: int, steps: int) -> Any:
    array = np.asarray(value)
    node = graph.outputs.get(name[2:]) if name.startswith("d/") else graph.fed("input").get(name)
    if node is not None and (array.ndim != len(node.shape) + 1 or len(array) != steps):
        raise BlocksError(
            f"values over {steps} steps: {name!r} is {array.shape}; it has the steps first, ({steps}, "
            f"{', '.join(map(str, node.shape))})"
        )
    return array[number - 1] if node is not None else value


def named(graph: Graph, found: list[dict[Node, np.ndarray]], gradient: bool = False) -> Known:
    """What was computed by step and name. Weights, which all steps share, stand at step 0: their gradients added."""
    known: Known = {}
    for number, values in enumerate(found, 1):
        for node, value in values.items():
            name = graph.name_of(node)
            known[number, name] = value
            if node.op.name == "parameter":
                known[0, name] = known[0, name] + value if gradient and (0, name) in known else value
    return known
