"""The values of a run on the wires: numbers where there are few, colour where there are many.

A value that the run did not compute, because something it needs was not fed, is drawn as a dashed wire with a
question mark: not computed is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import BlocksError, nearest
from ...graph import FED, Graph, Node
from ...interpret import run
from ..diagram.elements import Diagram
from ..scene import Scene, Wire
from ..text import line
from ..themes import Theme
from .gradients import cotangents
from .labels import SIZE, with_labels

FEW = 4  # numbers that are written out


def computed(graph: Graph, feeds: Mapping[str, Any]) -> dict[Node, np.ndarray]:
    """Node → value for all that can be computed from some feeds. States that are not fed are zero, draws their
    expectation.

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
        fed = node.name in feeds or node.attrs.get("default") == "zeros" or node.op.name == "draw"
        if fed if node.op.name in FED else all(o in found for o in node.operands):
            found.add(node)
            known[name] = node
    if not feeds or not known:
        return {}
    part = Graph(known)
    needed = {**part.inputs, **part.params, **part.draws}
    results = run(part, {name: value for name, value in feeds.items() if name in needed})
    return {node: np.asarray(results[name]) for name, node in known.items()}


def gradient_values(graph: Graph, feeds: Mapping[str, Any]) -> dict[Node, np.ndarray]:
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
    values = computed(back, {name: v for name, v in {**given, **seeded}.items() if name in asked})
    return {node: values[g] for node, g in found.items() if g in values}


def _seed_name(graph: Graph, node: Node) -> str:
    """The name of the gradient that comes in at an output; outputs that are one value share it."""
    return [f"d/{name}" for name, other in graph.outputs.items() if other is node][-1]


def with_values(scene: Scene, diagram: Diagram, values: Mapping[Node, np.ndarray], theme: Theme) -> Scene:
    """The scene with values on its wires, and a line that says what the colours mean."""
    carried = {link.source: link.node for e in diagram.elements.values() for link in e.entries}
    known = {key: np.asarray(values[node], dtype=float) for key, node in carried.items() if node in values}
    means = {key: float(value.mean()) for key, value in known.items() if value.size > FEW}
    largest = max((abs(m) for m in means.values() if np.isfinite(m)), default=0.0) or 1.0

    def key_of(wire: Wire) -> str | None:
        """The element whose value a wire shows: its source; for a gradient, the one it arrives at."""
        key = wire.target if wire.kind == "gradient" else wire.source
        return key if key in carried and diagram.elements[key].kind != "merge" else None

    wires = []
    for wire in scene.wires:
        key = key_of(wire)
        if key is None or not wire.lit:
            wires.append(wire)
        elif key not in known:
            wires.append(replace(wire, dashed=True, paint=theme.values[1], tooltip=f"{wire.tooltip}: not computed"))
        else:
            colour = shade(means[key] / largest, theme) if key in means else None
            wires.append(replace(wire, paint=colour, tooltip=f"{wire.tooltip}: {summary(known[key])}"))

    def text(wire: Wire) -> Any:
        key = key_of(wire)
        if key is None or not wire.lit or (key in known and known[key].size > FEW):
            return None
        return line(numbers(known[key]) if key in known else "?", SIZE)

    return with_labels(replace(scene, wires=tuple(wires)), text)


def legend(values: Mapping[Node, np.ndarray]) -> str:
    """What the colours of a figure with values mean."""
    many = [float(np.mean(v)) for v in values.values() if np.size(v) > FEW]
    if not many:
        return "values of one run; a dashed wire was not computed"
    most = number(max(abs(m) for m in many))
    return f"mean of each value: blue −{most}, grey 0, orange {most}; a dashed wire was not computed"


def shade(part: float, theme: Theme) -> str:
    """The colour of a mean, from −1 over 0 to 1."""
    if not np.isfinite(part):
        return theme.wrong
    negative, zero, positive = theme.values
    t = min(abs(part), 1.0)
    ends = zip(_channels(zero), _channels(positive if part > 0 else negative), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * t):02x}" for a, b in ends)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def number(value: float) -> str:
    """A number in two digits, with a proper minus."""
    return f"{value:.2g}".replace("-", "−")


def numbers(value: np.ndarray) -> str:
    """A few numbers."""
    return ", ".join(number(float(v)) for v in value.ravel())


def summary(value: np.ndarray) -> str:
    """A value in words: its numbers, or their range."""
    if value.size <= FEW:
        return numbers(value)
    return f"from {number(float(value.min()))} to {number(float(value.max()))}, mean {number(float(value.mean()))}"
