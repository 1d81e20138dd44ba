"""Shapes as blocks: sides in proportion to the sizes, of every value and of all weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import blocks as bk
from blocks.draw.layers.blocks import SIZE, block_of
from blocks.draw.scene import Scene, Shape

from .test_draw_graphs import GRAPHS
from .test_draw_invariants import UNUSUAL, check


def model() -> bk.Graph:
    hs = bk.scan(bk.cells.lstm(10, 40), bk.sequence("x", 10))
    y = bk.ADD(20, name="out")(hs)
    return bk.Graph({"loss": bk.losses.cross_entropy(y, bk.sequence("target", dtype="int")), "y": y})


def drawn(scene: Scene, kind: str) -> list[Shape]:
    return [s for s in scene.shapes if SIZE in s.key and s.kind == kind]


def test_sides_are_in_proportion() -> None:
    scene = model().draw(shapes="blocks").scene
    check(scene)
    unit = max(s.w for s in drawn(scene, "parameter")) / 40
    for s in (*drawn(scene, "parameter"), *drawn(scene, "part")):
        rows, columns = map(int, s.name.split(" × "))
        for side, size in ((s.w, columns), (s.h, rows)):
            assert side == pytest.approx(unit * size) if size >= 10 else side < unit * 10
    said = {line.plain for s in scene.shapes if s.kind == "caption" for line in s.lines}
    assert said == {"1", "10", "20", "40"}


def test_all_weights_have_their_block() -> None:
    for graph in (model(), bk.cells.gru(3, 4).graph):
        scene = graph.draw(shapes="blocks").scene
        own = {s.tooltip.partition(":")[0]: s for s in drawn(scene, "parameter")}
        assert set(own) == set(graph.params)
        for name, shape in graph.params.items():
            assert own[name].name == "{} × {}".format(*((1, *shape)[-2:]))
    bricks = {s.key: s for s in scene.shapes if s.kind == "brick"}
    led = [w.target for w in scene.wires if w.source.startswith(SIZE)]
    assert sorted(led) == sorted(bricks)


def test_a_bus_has_the_bars_of_its_values_side_by_side() -> None:
    scene = bk.cells.lstm(10, 40).draw(shapes="blocks").scene
    bus = next(w for w in scene.wires if w.kind == "bus")
    bars = [s for s in drawn(scene, "part") if s.key.rpartition("-")[0] == f"{SIZE}{bus.key}"]
    assert sorted(s.name for s in bars) == ["1 × 10", "1 × 40"]
    assert len({s.y for s in bars}) == 1


@pytest.mark.parametrize("kind", GRAPHS)
def test_graphs(kind: str) -> None:
    check(GRAPHS[kind]().draw(shapes="blocks").scene)


@pytest.mark.parametrize("options", [{}, {"unroll": 3}, {"equations": True}], ids=str)
@pytest.mark.parametrize("make", UNUSUAL)
def test_cells(make: Callable[[int, int], bk.Cell], options: dict[str, Any]) -> None:
    check(make(3, 7).draw(shapes="blocks", **options).scene)


def test_what_is_refused() -> None:
    cell = bk.cells.srn(3, 4)
    with pytest.raises(bk.BlocksError, match="^shapes='blocks' hang where the gradient of weights would; leave out"):
        cell.draw(shapes="blocks", gradient=True)
    with pytest.raises(bk.BlocksError, match="^shapes is True or 'blocks', not 'block'"):
        cell.draw(shapes="block")


def test_the_block_of_a_shape() -> None:
    assert block_of(("time", "batch", 32)) == (1, 32)
    assert block_of(("3", "4")) == (3, 4) and block_of(()) == (1, 1) and block_of(("batch",)) == (1, 1)
