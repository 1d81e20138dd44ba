"""Graphs that are no single step of a cell: loops in frames, and what stands around them."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest

import blocks as bk
from blocks.draw.diagram.network import network_of
from blocks.draw.layout.boxes import Ways, _drawn, drawn
from blocks.draw.layout.channels import Piece, assign
from blocks.draw.layout.columns import settle
from blocks.draw.layout.lines import PARTS
from blocks.draw.scene import PAGE, Frame, Scene, Shape, Wire

from .test_draw_invariants import check
from .wide import case


def trained(hs: bk.graph.Node, units: int) -> bk.Graph:
    y = bk.ADD(units, name="out")(hs)
    return bk.Graph({"loss": bk.losses.cross_entropy(y, bk.sequence("target", dtype="int")), "y": y})


def training() -> bk.Graph:
    return trained(bk.scan(bk.cells.lstm(3, 5), bk.sequence("x", 3)), 4)


def two_layers() -> bk.Graph:
    hs = bk.scan(bk.cells.lstm(3, 5, name="low"), bk.sequence("x", 3))
    return trained(bk.scan(bk.cells.gru(5, 2, name="high"), bk.dropout(hs, 0.2)), 4)


def both_directions() -> bk.Graph:
    return trained(bk.bidirectional(bk.cells.lstm(3, 5), bk.cells.srn(3, 2), bk.sequence("x", 3)), 4)


def encoder_and_decoder() -> bk.Graph:
    _, last = bk.scan(bk.cells.lstm(3, 5, name="encoder"), bk.sequence("x", 3), final=True)
    first = {"h": last["encoder/h"], "C": last["encoder/C"]}
    zs = bk.sequence("previous", 2, time="later")
    y = bk.ADD(4, name="out")(bk.scan(bk.cells.lstm(2, 5, name="decoder"), zs, initial=first))
    return bk.Graph({"loss": bk.losses.cross_entropy(y, bk.sequence("target", dtype="int", time="later"))})


def context() -> bk.Graph:
    """The last state of the encoder begins the decoder, and comes in at each of its steps."""
    _, last = bk.scan(bk.cells.gru(3, 5, name="encoder"), bk.sequence("x", 3), final=True)
    x, seen, h = bk.input("x", 2), bk.input("context", 5), bk.state("h", 5)
    h1 = bk.TANH(5, name="hidden")(x, seen, h)
    decoder = bk.Cell({h: h1}, h1, name="decoder")
    xs = {"x": bk.sequence("previous", 2, time="later"), "context": last["encoder/h"]}
    return bk.Graph({"y": bk.scan(decoder, xs, initial=last["encoder/h"])})


def three_parts(reverse: bool = False) -> bk.Graph:
    """Each of three cells begins where the one before ended, the second with its states exchanged."""
    xs = [bk.sequence(f"x{i}", 3, time=f"time{i}") for i in (1, 2, 3)]
    _, a = bk.scan(bk.cells.lstm(3, 5, name="one"), xs[0], final=True, reverse=reverse)
    first = {"h": a["one/C"], "C": a["one/h"]}
    ys, b = bk.scan(bk.cells.lstm(3, 5, name="two"), xs[1], initial=first, final=True, reverse=reverse)
    zs = bk.scan(bk.cells.gru(3, 5, name="three"), xs[2], initial=b["two/h"], reverse=reverse)
    return bk.Graph({"y": ys, "z": zs, "last": bk.mean(b["two/h"])})


def bridge() -> bk.Graph:
    """What goes to the decoder is made of what the encoder ends with: it cannot stand beside it."""
    _, last = bk.scan(bk.cells.lstm(3, 5, name="encoder"), bk.sequence("x", 3), final=True)
    first = {"h": bk.TANH(5, name="bridge")(last["encoder/h"]), "C": last["encoder/C"]}
    zs = bk.sequence("previous", 2, time="later")
    return bk.Graph({"y": bk.scan(bk.cells.lstm(2, 5, name="decoder"), zs, initial=first)})


def deep_translation() -> bk.Graph:
    """Two layers of encoders and decoders."""
    below, above = bk.sequence("x", 3), bk.sequence("previous", 3, time="later")
    for name, n in (("low", 3), ("high", 5)):
        below, last = bk.scan(bk.cells.lstm(n, 5, name=f"{name}_encoder"), below, final=True)
        first = {s.rpartition("/")[2]: node for s, node in last.items()}
        above = bk.scan(bk.cells.lstm(n, 5, name=f"{name}_decoder"), above, initial=first)
    return bk.Graph({"y": above})


def masked() -> bk.Graph:
    xs, mask = bk.sequence("x", 3), bk.sequence("mask")
    last = bk.scan(bk.cells.gru(3, 5), xs, mask=mask, final=True)[1]["h"]
    return bk.Graph({"loss": bk.losses.cross_entropy(bk.ADD(2)(last), bk.input("label", dtype="int"))})


def words() -> bk.Graph:
    e = bk.EMBED(7, 3)(bk.sequence("word", dtype="int"))
    return trained(bk.scan(bk.layers(bk.cells.lstm(3, 5), bk.cells.srn(5, 2)), e), 7)


def learning(optimizer: bk.train.optimizers.Optimizer | None = None) -> bk.Cell:
    x, target = bk.input("x", 3), bk.input("target", 2)
    error = bk.losses.squared_error(bk.ADD(2, name="out")(bk.cells.srn(3, 5)(x)), target)
    return bk.learner(error, optimizer or bk.SGD(bk.parameter("lr", init=0.1)), clip=1.0)


def learnt() -> bk.Graph:
    losses, last = bk.scan(learning(), {"x": bk.sequence("x", 3), "target": bk.sequence("target", 2)}, final=True)
    return bk.Graph({"loss": bk.mean(losses), "weights": last["hidden.W_x"]})


def deep() -> bk.Graph:
    """A loop in a loop, and a brick that is called again on what it made."""
    inner = bk.scan(bk.cells.srn(3, 4), bk.input("x", shape=("inner", "batch", 3)))
    total, again = bk.state("total", 4), bk.TANH(4, name="again")
    new = again(again(bk.mean(inner, axis=0)) + total)
    xs = bk.input("x", shape=("time", "inner", "batch", 3))
    return bk.Graph({"loss": bk.mean(bk.scan(bk.Cell({total: new}, new), xs))})


GRAPHS = {
    "training": training,
    "two layers": two_layers,
    "both directions": both_directions,
    "encoder and decoder": encoder_and_decoder,
    "a context": context,
    "three parts": three_parts,
    "three parts, backwards": lambda: three_parts(reverse=True),
    "a bridge": bridge,
    "deep translation": deep_translation,
    "a mask": masked,
    "words": words,
    "a learner": lambda: learning().graph,
    "a learner with slots": lambda: learning(bk.Adam(1e-2)).graph,
    "a scanned learner": learnt,
    "a loop in a loop": deep,
    "a gradient": lambda: bk.grad(training()),
    "both gradients": lambda: bk.grad(both_directions()),
    "steps": lambda: bk.unroll(bk.cells.lstm(3, 4), 3),
    "no loop": lambda: bk.Graph({"y": bk.LAYERNORM(4)(bk.TANH(4, name="a")(bk.input("x", 3)))}),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_what_holds_of_every_scene(kind: str) -> None:
    graph = GRAPHS[kind]()
    for options in ({}, {"shapes": True}):
        scene = graph.draw(**options).scene
        check(scene)
        lines_of_operations(graph, scene)
    check(graph.draw(bricks=False).scene)


def lines_of_operations(graph: bk.Graph, scene: Scene) -> None:
    """Each input that is not drawn inside of something, and each output, has a shape, with a wire."""
    ends = {s.name: s for s in scene.shapes if s.kind in ("input", "output", "state", "next")}
    linked = {key for w in scene.wires for key in (w.source, w.target)}
    for name in graph.outputs:
        if not name.startswith(("next/", "grad/")):
            assert ends[name].key in linked, f"nothing leads to {name}"


NETWORKS = int(os.environ.get("BLOCKS_NETWORKS", "20"))  # .ci/more deep has more


@pytest.mark.parametrize("start", range(0, NETWORKS, 5))
def test_random_networks(start: int) -> None:
    for number in range(start, start + 5):
        graph = case(number).graph
        if len(graph.order()) < 400:
            try:
                check(graph.draw(shapes=(False, True, "blocks")[number % 3]).scene)
            except AssertionError as error:
                raise AssertionError(f"case {number}: {error}") from None


# --- loops ---------------------------------------------------------------------------------------


def loops(scene: Scene) -> list[tuple[Shape, Shape, Wire]]:
    """The arrows from the new value of a state to its old one."""
    by_key = {s.key: s for s in scene.shapes}
    found = [(by_key[w.source], by_key[w.target], w) for w in scene.wires]
    return [(a, b, w) for a, b, w in found if (a.kind, b.kind) == ("next", "state")]


@pytest.mark.parametrize("count", [5, 12, 120])
def test_marks_have_room_between_wires(count: int) -> None:
    """However wide the numbers of the entries of one shape are."""
    scene = bk.Graph({"y": bk.concat(*(bk.input(f"x{i}", 2) for i in range(count)))}).draw(bricks=False).scene
    check(scene)
    assert len({w.mark.plain for w in scene.wires if w.mark}) == count


def test_each_state_goes_round() -> None:
    for make, states in ((training, ["C", "h"]), (two_layers, ["high/h", "low/C", "low/h"]), (masked, ["h"])):
        found = loops(make().draw().scene)
        assert sorted(a.name for a, _, _ in found) == states
        assert all(a.name == b.name and a.x > b.x for a, b, _ in found)


def test_a_reverse_loop_is_the_mirror_image() -> None:
    def places(scene: Scene, part: str) -> dict[str, tuple[float, float]]:
        own = {s.name.rpartition("/")[2]: (s.x, s.y) for s in scene.shapes if s.name.startswith(part)}
        x0, y0 = own["forget"]
        return {name: (x - x0, y - y0) for name, (x, y) in own.items()}

    hs = bk.bidirectional(bk.cells.lstm(3, 4), bk.cells.lstm(3, 4), bk.sequence("x", 3))
    scene = bk.Graph({"y": hs}).draw().scene
    ahead, back = places(scene, "forward/"), places(scene, "backward/")
    assert set(ahead) == set(back) and len(ahead) == 6
    assert all(back[name] == pytest.approx((-x, y)) for name, (x, y) in ahead.items())
    assert {a.name.partition("/")[0]: a.x > b.x for a, b, _ in loops(scene)} == {"forward": True, "backward": False}


def test_layers_stack_upwards() -> None:
    frames = [f for f in two_layers().draw().scene.frames if f.kind == "cell"]
    low, high = sorted(frames, key=lambda f: f.y)
    assert "low" in low.lines[0].plain and "high" in high.lines[0].plain
    assert low.y + low.h < high.y and abs(low.x + low.w / 2 - high.x - high.w / 2) < 40


def test_last_values_go_to_the_first() -> None:
    scene = encoder_and_decoder().draw().scene
    by_key = {s.key: s for s in scene.shapes}
    ways = {(by_key[w.source].name, by_key[w.target].name) for w in scene.wires}
    assert {("encoder/h", "decoder/h"), ("encoder/C", "decoder/C")} <= ways


def parts(scene: Scene) -> dict[str, Frame]:
    return {f.lines[0].plain.partition(":")[0]: f for f in scene.frames if f.kind == "cell"}


def test_a_decoder_stands_beside_its_encoder() -> None:
    scene = encoder_and_decoder().draw().scene
    found = parts(scene)
    encoder, decoder = found["encoder"], found["decoder"]
    assert encoder.x + encoder.w < decoder.x and encoder.y == decoder.y
    by_key = {s.key: s for s in scene.shapes}
    between = [w for w in scene.wires if (by_key[w.source].kind, by_key[w.target].kind) == ("next", "state")]
    level = [w for w in between if by_key[w.source].name != by_key[w.target].name]
    assert len(level) == 2 and all(len(w.points) == 2 and w.points[0][1] == w.points[1][1] for w in level)


def test_a_model_wider_than_a_page_has_small_gaps_in_its_cells() -> None:
    """All letters of a decoder beside its encoder can be read."""
    wide = network_of(encoder_and_decoder())
    (whole, _), (small, _) = drawn(wide, Ways()), drawn(wide, Ways(gaps=PARTS[-1]))
    assert whole.width == small.width <= PAGE < _drawn(wide, Ways(), "")[0].width
    hs = bk.scan(bk.cells.gru(3, 5), bk.sequence("x", 3))
    one = network_of(bk.Graph({"y": hs}))
    assert drawn(one, Ways())[0].width == _drawn(one, Ways(), "")[0].width < PAGE


def test_what_stands_beside_what() -> None:
    """From left to right, or from right to left in a loop that runs backwards; above where it has to."""
    for reverse in (False, True):
        found = parts(three_parts(reverse).draw().scene)
        order = sorted(found, key=lambda name: found[name].x)
        assert order == (["three", "two", "one"] if reverse else ["one", "two", "three"])
    found = parts(bridge().draw().scene)
    assert found["encoder"].y + found["encoder"].h < found["decoder"].y
    found = parts(deep_translation().draw().scene)
    for layer in ("low", "high"):
        assert found[f"{layer}_encoder"].y == found[f"{layer}_decoder"].y
        assert found[f"{layer}_encoder"].x + found[f"{layer}_encoder"].w < found[f"{layer}_decoder"].x
    assert found["low_encoder"].y + found["low_encoder"].h < found["high_encoder"].y


def test_a_context_comes_in_from_below() -> None:
    scene = context().draw().scene
    by_key = {s.key: s for s in scene.shapes}
    ways = {(by_key[w.source].name, by_key[w.target].kind, by_key[w.target].name) for w in scene.wires}
    assert {("encoder/h", "state", "decoder/h")} <= ways
    merge = next(s for s in scene.shapes if s.kind == "merge" and "context" in s.name)
    assert any(by_key[w.source].name == "encoder/h" and w.target == merge.key for w in scene.wires)


def test_a_value_that_no_one_takes_is_not_drawn() -> None:
    """What only the last state is taken of has no output, and no wire for it."""
    scene = masked().draw().scene
    assert sorted(s.name for s in scene.shapes if s.kind == "output") == ["loss"]


def test_names_of_one_brick_are_one() -> None:
    """The weights of a brick that are learnt go round together."""
    found = loops(learnt().draw().scene)
    assert sorted(a.name for a, _, _ in found) == ["h", "hidden", "out"]


def test_highlight() -> None:
    scene = two_layers().draw(highlight=["high/update", "out"]).scene
    lit = {s.name for s in scene.shapes if s.lit}
    assert lit == {"high/update", "out", "y"}  # y is what the brick "out" gives
    assert {w.target for w in scene.wires if w.lit} == {s.key for s in scene.shapes if s.name == "y"}
    assert {s.name for s in training().draw(highlight="forget").scene.shapes if s.lit} == {"forget"}


def test_labels_inside_of_loops() -> None:
    scene = training().draw(labels={"forget": "f_t", "target": "d"}).scene
    texts = {line.plain for s in scene.shapes for line in s.lines}
    assert {"f_t", "d_t"} <= texts


def test_all_wires_are_level_or_upright_and_few_cross() -> None:
    scene = training().draw().scene
    assert sum(len(w.hops) for w in scene.wires) <= 4
    for w in scene.wires:
        assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(w.points))


# --- parts of the layout ---------------------------------------------------------------------------


def test_settle_is_the_cheapest() -> None:
    """Against all places on a grid."""
    wishes = [[(3.0, 1.0)], [(1.0, 2.0), (6.0, 1.0)], [(2.0, 3.0)]]
    apart = [2.0, 1.0]

    def cost(places: list[float]) -> float:
        return sum(w * abs(p - at) for p, own in zip(places, wishes, strict=True) for at, w in own)

    found = settle(wishes, apart)
    assert all(b - a >= d for a, b, d in zip(found, found[1:], apart, strict=False))
    grid = [x / 2 for x in range(-8, 16)]
    best = min(cost([a, b, c]) for a in grid for b in grid for c in grid if b - a >= 2 and c - b >= 1)
    assert cost(found) == pytest.approx(best)


def test_wires_that_change_places_go_round() -> None:
    """One comes in where the other leaves, and the other way round: one of them takes two levels."""
    one, other = Piece("a", 0.0, [50.0]), Piece("b", 50.0, [0.0])
    assert assign([one, other]) == 3 and len(one.parts) + len(other.parts) == 1
    nested = [Piece(str(i), float(10 * i), [200.0 - 10 * i]) for i in range(5)]
    assert assign(nested) == 5
    assert assign([Piece("a", 0.0, [20.0]), Piece("b", 60.0, [90.0])]) == 1
