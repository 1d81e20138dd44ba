"""Loops of a model written out, step by step."""

from __future__ import annotations

import pytest

import blocks as bk
from blocks.draw.scene import Scene, Shape

from .test_draw_graphs import GRAPHS, both_directions, encoder_and_decoder, training, two_layers
from .test_draw_invariants import check
from .wide import case

WHOLE = [kind for kind in GRAPHS if not {"learner", "loop", "gradient", "gradients", "steps"} & {*kind.split()}]


def ends(scene: Scene, kind: str) -> list[str]:
    """The labels of one kind, from left to right."""
    own = sorted((s for s in scene.shapes if s.kind == kind and s.lines), key=lambda s: s.x)
    return [s.lines[0].plain for s in own]


@pytest.mark.parametrize(
    "options", [{}, {"zoom": "all", "shapes": True}, {"zoom": "none"}, {"shapes": "blocks"}], ids=str
)
@pytest.mark.parametrize("kind", WHOLE)
def test_graphs(kind: str, options: dict[str, object]) -> None:
    check(GRAPHS[kind]().draw(unroll=3, **options).scene)


def test_each_step_takes_and_gives() -> None:
    """The sequence goes into every step that is drawn, and what each gives goes on."""
    scene = training().draw(unroll=3).scene
    by_key = {s.key: s for s in scene.shapes}
    ways = [(by_key[w.source], by_key[w.target]) for w in scene.wires]
    given = [b.lines[0].plain for a, b in ways if a.name == "x" and a.key.startswith("n") and "-" not in a.key]
    assert sorted(given) == ["x_1", "x_2", "x_3"]
    taken = [a.lines[0].plain for a, b in ways if b.kind == "brick" and b.name == "out"]
    assert sorted(taken) == ["h_1", "h_2", "h_3"]
    assert {*ends(scene, "state")} == {"C_0", "h_0"} and {*ends(scene, "next")} == {"C_3", "h_3"}
    assert not [w for w in scene.wires if by_key[w.source].kind == "next" and by_key[w.target].kind == "state"]


def test_options_of_steps() -> None:
    closed = training().draw(unroll=9, zoom="none").scene
    assert [s.name for s in closed.shapes if s.kind == "gap"] == ["4 steps"]
    assert len([s for s in training().draw(unroll=9, full=True).scene.shapes if s.kind == "step"]) == 8
    opened = two_layers().draw(unroll=2, zoom="all").scene
    assert not [s for s in opened.shapes if s.kind == "step"]
    assert {f.lines[0].plain for f in opened.frames if f.lines} == {"low", "high"}


def test_backwards_in_time() -> None:
    """The first step is at the left there too, and begins with what comes after the last."""
    scene = both_directions().draw(unroll=3).scene
    back = [s for s in scene.shapes if s.name == "backward/h" and s.kind in ("state", "next")]
    at: dict[str, Shape] = {s.lines[0].plain: s for s in back}
    assert set(at) == {"h_4", "h_1"} and at["h_1"].x < at["h_4"].x
    rolled = both_directions().draw().scene
    said = {s.lines[0].plain for s in rolled.shapes if s.name == "backward/h" and s.kind == "state"}
    assert said == {"h_t+1"}


def test_the_last_state_goes_on_to_the_decoder() -> None:
    scene = encoder_and_decoder().draw(unroll=3).scene
    by_key = {s.key: s for s in scene.shapes}
    ways = {(by_key[w.source].lines[0].plain, by_key[w.target].lines[0].plain) for w in scene.wires
            if (by_key[w.source].kind, by_key[w.target].kind) == ("next", "state")}  # fmt: skip
    assert ways == {("C_3", "C_0"), ("h_3", "h_0")}


def test_what_is_refused() -> None:
    with pytest.raises(
        bk.BlocksError, match="^unroll: a step of .* is not drawn as a cell is: it learns, or has a loop"
    ):
        bk.grad(training()).draw(unroll=3)
    with pytest.raises(bk.BlocksError, match="^unroll: only for one step of a cell or a graph with a loop over time"):
        bk.Graph({"y": bk.tanh(bk.input("x", 3))}).draw(unroll=3)
    with pytest.raises(bk.BlocksError, match="^zoom: only with unroll"):
        training().draw(zoom=2)
    with pytest.raises(bk.BlocksError, match="zoom is a step from 1 to 3"):
        training().draw(unroll=3, zoom=4)


def test_random_networks() -> None:
    drawn = 0
    for number in range(20):
        graph = case(number).graph
        try:
            scene = graph.draw(unroll=3).scene if len(graph.order()) < 400 else None
        except bk.BlocksError:
            continue  # no loop, or one that learns
        if scene:
            check(scene)
            drawn += 1
    assert drawn >= 5
