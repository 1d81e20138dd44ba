"""Cells made of layers: each layer above the one that it takes its input from."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import blocks as bk
from blocks.draw.diagram.cell import diagram_of
from blocks.draw.diagram.levels import levels_of
from blocks.draw.scene import Scene, Shape

from .strategies import examples
from .test_draw_invariants import VIEWS, check, check_cell


def two(n: int, u: int) -> bk.Cell:
    return bk.layers(bk.cells.lstm(n, u), bk.cells.gru(u, u))


def with_skips(n: int, u: int) -> bk.Cell:
    """Three layers, all of which give to the read-out; the second takes the input too."""
    x = bk.input("x", n)
    one = bk.cells.lstm(n, u, name="one")(x)
    above = bk.cells.gru(u + n, u, name="two")(bk.concat(one, x))
    top = bk.cells.srn(u, u, name="three")(one + above)
    return bk.Cell({}, {"y": bk.ADD(3, name="out")(bk.concat(one, above, top)), "one": one})


def read_back(n: int, u: int) -> bk.Cell:
    """What the upper layer gives comes back to the lower one at the next step: these are no levels."""
    x, back = bk.input("x", n), bk.state("back", u)
    one = bk.cells.gru(n + u, u, name="one")(bk.concat(x, back))
    above = bk.cells.srn(u, u, name="two")(one)
    return bk.Cell({back: above}, above)


def side_by_side(n: int, u: int) -> bk.Cell:
    """Neither of two cells takes anything of the other."""
    x = bk.input("x", n)
    return bk.Cell({}, bk.cells.gru(n, u, name="one")(x) + bk.cells.srn(n, u, name="two")(x))


def parts(scene: Scene, layer: str) -> list[Shape]:
    return [s for s in scene.shapes if s.name.startswith(f"{layer}/") and s.kind not in ("input", "output")]


def above_each_other(scene: Scene, *layers: str) -> None:
    for low, high in pairwise(layers):
        assert max(s.top for s in parts(scene, low)) < min(s.bottom for s in parts(scene, high)), (low, high)


@pytest.mark.parametrize(("make", "names"), [(two, ("layer1", "layer2")), (with_skips, ("one", "two", "three"))])
def test_layers_stand_above_each_other(make: Callable[[int, int], bk.Cell], names: tuple[str, ...]) -> None:
    cell = make(3, 4)
    scene = check_cell(cell)
    above_each_other(scene, *names)
    for kind, border in (("state", "right"), ("next", "left")):
        middles = {s.x for s in scene.shapes if s.kind == kind}
        assert len(middles) == 1, f"the names of states stand in line on the {border}"
    (frame,) = scene.frames
    bricks = [s for s in scene.shapes if s.kind == "brick"]
    assert all(frame.x < s.left and s.right < frame.x + frame.w for s in bricks)
    assert all(frame.y < s.bottom and s.top < frame.y + frame.h for s in bricks)


@pytest.mark.parametrize("options", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("make", [two, with_skips, read_back])
def test_views(make: Callable[[int, int], bk.Cell], options: dict[str, Any]) -> None:
    check(make(3, 4).draw(**options).scene)


@pytest.mark.parametrize("make", [read_back, side_by_side, bk.cells.lstm])
def test_what_has_no_levels(make: Callable[[int, int], bk.Cell]) -> None:
    cell = make(3, 4)
    assert levels_of(diagram_of(cell.graph).elements) == []
    check_cell(cell)


def test_in_a_frame_of_its_own_a_brick_has_no_first_name() -> None:
    scene = two(3, 4).draw().scene
    named = {s.name: s.lines[-1].plain for s in scene.shapes if s.kind == "brick"}
    assert named["layer1/forget"] == "forget" and named["layer2/reset"] == "reset"
    assert {f.lines[0].plain for f in scene.frames if f.kind == "group"} == {"layer1", "layer2"}
    assert {s.lines[0].plain for s in scene.shapes if s.kind == "state"} >= {"layer1/h_t−1", "layer2/h_t−1"}
    named = {s.name: s.lines[-1].plain for s in side_by_side(3, 4).draw().scene.shapes if s.kind == "brick"}
    assert named["one/reset"] == "one/reset"
    labelled = two(3, 4).draw(labels={"layer1/forget": "f"}).scene
    assert {s.lines[-1].plain for s in labelled.shapes if s.name == "layer1/forget"} == {"f"}


def test_layers_in_a_model() -> None:
    """As one cell in a loop, forwards and backwards in time, with its name and the way of time in the frame."""
    for reverse in (False, True):
        hs = bk.scan(two(3, 4), bk.sequence("x", 3), reverse=reverse)
        y = bk.ADD(2, name="out")(hs)
        loss = bk.losses.cross_entropy(y, bk.sequence("target", dtype="int"))
        for graph in (bk.Graph({"loss": loss}), bk.grad(bk.Graph({"loss": loss}))):
            check(graph.draw().scene)
        scene = bk.Graph({"loss": loss}).draw(shapes=True).scene
        check(scene)
        above_each_other(scene, "layer1", "layer2")
        (frame,) = (f for f in scene.frames if f.kind == "cell")
        assert frame.lines[0].plain == ("t = T … 1" if reverse else "t = 1 … T")
        ends = {kind: [s.x for s in scene.shapes if s.kind == kind] for kind in ("state", "next")}
        assert (min(ends["state"]) > max(ends["next"])) == reverse


MAKERS = [bk.cells.srn, bk.cells.gru, bk.cells.lstm, bk.cells.mgu]
ROUND = [lambda cell: cell, bk.residual, lambda cell: bk.zoneout(cell, 0.2)]


@st.composite
def layered(draw: st.DrawFn) -> bk.Cell:
    """Two or three layers, with sums and draws round some, and now and then a way past one."""
    wire = x = bk.input("x", 3)
    for number in range(draw(st.integers(2, 3))):
        inner = draw(st.sampled_from(ROUND))(draw(st.sampled_from(MAKERS))(3, 3))
        cell = bk.Cell({}, inner(bk.input("x", 3)), name=f"layer{number}")
        past = draw(st.sampled_from([None, x, wire]))
        wire = cell(wire) if past is None else bk.tanh(past) + cell(wire)
    return bk.Cell({}, wire)


@examples(20)
@given(layered(), st.sampled_from([*VIEWS.values()]))
def test_random_layers(cell: bk.Cell, options: dict[str, Any]) -> None:
    check(cell.draw(**options).scene)
