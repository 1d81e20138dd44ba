"""The values of a run on the wires: numbers where there are few; colour and root mean square where there are many.

A value that the run did not compute, because something it needs was not fed, is drawn as a dashed wire with a
question mark: not computed is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import BlocksError, nearest
from ...graph import FED, Graph, Node
from ...interpret import run
from ..diagram.backwards import cotangents
from ..diagram.elements import Diagram
from ..scene import MARGIN, Scene, Shade, Shape, Wire, fit
from ..text import line
from .labels import SIZE, with_labels

FEW = 4  # numbers that are written out
BAR, CELL = 9, 9.0  # cells of a bar of colours, and their size


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
        fed = node.name in feeds or node.attrs.get("default") is not None or node.op.name == "draw"
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


@dataclass(frozen=True)
class Scale:
    """What the colours of some wires mean: their root mean square, of which `top` is the largest; None where all values
    are written out."""

    of: str
    top: float | None

    def at(self, size: float) -> Shade:
        """The shade of a root mean square."""
        return Shade(self.of, size / self.top if self.top and math.isfinite(size) else size)


def with_values(
    scene: Scene,
    diagram: Diagram,
    values: Mapping[Node, np.ndarray],
    gradient: bool = False,
    all: bool = False,
) -> tuple[Scene, Scale]:
    """The scene with values on its wires, and the scale of their colours. A value of few numbers is written out; one
    of many is coloured by its root mean square, which stands on the wire. Raises Crowded if a value finds no place,
    with `all`."""
    carried = {link.source: link.node for e in diagram.elements.values() for link in e.entries}
    known = {key: np.asarray(values[node], dtype=float) for key, node in carried.items() if node in values}
    shown = {key for key in map(_carrier(diagram, carried), (w for w in scene.wires if w.lit)) if key}
    sizes = {key: size(known[key]) for key in sorted(shown & set(known)) if known[key].size > FEW}
    top = max((s for s in sizes.values() if np.isfinite(s)), default=None)
    scale = Scale("gradients" if gradient else "values", top)
    key_of = _carrier(diagram, carried)
    wires = []
    for wire in scene.wires:
        key = key_of(wire)
        if key is None or not wire.lit:
            wires.append(wire)
        elif key not in known:
            wires.append(replace(wire, dashed=True, paint=scale.at(0.0), tooltip=f"{wire.tooltip}: not computed"))
        else:
            shade = scale.at(sizes[key]) if key in sizes else None
            wires.append(replace(wire, paint=shade, tooltip=f"{wire.tooltip}: {summary(known[key])}"))

    def text(wire: Wire) -> Any:
        key = key_of(wire)
        if key is None or not wire.lit:
            return None
        said = "?" if key not in known else number(sizes[key]) if key in sizes else numbers(known[key])
        return line(said, SIZE)

    return with_labels(replace(scene, wires=tuple(wires)), text, all), scale


def _carrier(diagram: Diagram, carried: Mapping[str, Node]) -> Callable[[Wire], str | None]:
    """Wire → the element whose value it shows: its source; for a gradient, the one it arrives at."""

    def key_of(wire: Wire) -> str | None:
        key = wire.target if wire.kind == "gradient" else wire.source
        return key if wire.kind != "kept" and key in carried and diagram.elements[key].kind != "merge" else None

    return key_of


def with_scales(scene: Scene, scales: Sequence[Scale]) -> Scene:
    """The scene with a line above it that says what its numbers and colours mean: a bar of colours for each scale."""
    shapes: list[Shape] = []
    x, y = MARGIN, scene.height + 10.0

    def write(key: str, words: str) -> None:
        nonlocal x
        text = line(words, 10)
        shapes.append(Shape(key, "caption", "text", words, x + text.width / 2, y, text.width, 14.0, (text,)))
        x += text.width + 6

    for scale in (s for s in scales if s.top is not None):
        assert scale.top is not None
        write(f"{scale.of}-from", f"{scale.of}, root mean square: 0")
        for i in range(BAR):
            paint = scale.at(scale.top * i / (BAR - 1))
            tip = f"{scale.of} of root mean square {number(scale.top * i / (BAR - 1))}"
            key = f"{scale.of}-{i}"
            shapes.append(
                Shape(
                    key, "scale", "cell", "", x + CELL / 2, y, CELL, CELL * 0.8, tooltip=tip, paint=paint, sample=True
                )
            )
            x += CELL
        x += 6
        write(f"{scale.of}-to", number(scale.top))
        x += 14
    write("not-computed", "a dashed wire was not computed")
    return fit(replace(scene, shapes=(*scene.shapes, *shapes)))


def size(value: np.ndarray) -> float:
    """The root mean square of a value: 0 for zeros alone."""
    largest = float(np.abs(value).max())
    if not largest or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.mean((value / largest) ** 2)))


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
    ends = f"from {number(float(value.min()))} to {number(float(value.max()))}, mean {number(float(value.mean()))}"
    return f"{ends}, root mean square {number(size(value))}"
