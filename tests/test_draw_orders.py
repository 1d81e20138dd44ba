"""The search for the order of the bricks in which the fewest wires cross."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

import blocks as bk
from blocks.draw.diagram.cell import diagram_of
from blocks.draw.layout import orders
from blocks.draw.layout.orders import best_columns, score
from blocks.draw.layout.place import place, weighted
from blocks.draw.layout.rising import rising
from blocks.draw.layout.route import route

from .test_draw_invariants import check


def two_layer_highway(inputs: int, units: int) -> bk.Cell:
    """Two layers of a recurrent highway network, the input in the first alone."""
    x, before = bk.input("x", inputs), bk.state("s", units)
    s = before
    for layer in "12":
        fed = (x, s) if layer == "1" else (s,)
        h, t = bk.TANH(units, name=f"h{layer}")(*fed), bk.SIGM(units, name=f"t{layer}")(*fed)
        s = h * t + s * (1.0 - t)
    return bk.Cell(states={before: s}, outputs=s)


def minimal_rnn(inputs: int, units: int) -> bk.Cell:
    """u = σ(h' W_h + z W_z + b), h = u ⊙ h' + (1 − u) ⊙ z, with z = tanh(x W_x + b) (Chen 2017)."""
    x, h = bk.input("x", inputs), bk.state("h", units)
    z = bk.TANH(units, name="z")(x)
    u = bk.SIGM(units, name="u")(h, z)
    h1 = u * h + (1.0 - u) * z
    return bk.Cell(states={h: h1}, outputs=h1)


# crossings, at most; no figure gets worse
MOST = {
    minimal_rnn: 0, two_layer_highway: 0, bk.cells.gru_reset_after: 1, bk.cells.sru: 2, bk.cells.mut3: 2,
    bk.cells.mut1: 1, bk.cells.recurrent_highway: 0, bk.cells.intersection_rnn: 1, bk.cells.star: 0,
    bk.cells.selective_ssm: 3, bk.cells.lstm: 1, bk.cells.gru: 1, bk.cells.mi_rnn: 0, bk.cells.mi_gru: 3,
    bk.cells.mi_lstm: 4, bk.cells.scrn: 3, bk.cells.jordan: 0,
}  # fmt: skip


def crossings(scene) -> int:
    return sum(len(w.hops) for w in scene.wires)


@pytest.mark.parametrize("make", MOST, ids=lambda make: make.__name__)
def test_crossings(make) -> None:
    diagram = diagram_of(make(5, 5).graph)
    made, best = (score(route(diagram, place(diagram, columns))) for columns in ({}, best_columns(diagram, {})))
    assert best[0] <= made[0] and best[0] <= MOST[make]


def chain(inputs: int, units: int) -> bk.Cell:
    """Bricks that feed each other, the state in the first alone."""
    x, h = bk.input("x", inputs), bk.state("h", units)
    y = bk.TANH(units, name="first")(x, h)
    for name in ("second", "third"):
        y = bk.TANH(units, name=name)(y)
    return bk.Cell({h: y}, y)


def above(scene, *names: str) -> bool:
    """Whether bricks stand above each other, one of them higher than the next one that is named."""
    by_name = {s.name: s for s in scene.shapes if s.kind == "brick"}
    return all(by_name[low].top < by_name[high].bottom for low, high in pairwise(names))


def test_bricks_that_are_fed_by_bricks_rise() -> None:
    scene = chain(3, 4).draw().scene
    assert above(scene, "first", "second", "third") and len({s.x for s in scene.shapes if s.kind == "brick"}) == 1
    assert not any(w.hops for w in scene.wires)
    for name, low, high in (("mi_lstm", "forget_forward", "forget"), ("mi_gru", "reset_forward", "reset")):
        scene = getattr(bk.cells, name)(4, 4).draw().scene
        check(scene)
        assert above(scene, low, high)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (bk.cells.lstm, []),
        (bk.cells.recurrent_highway, []),  # the second layer takes what stands on a lane
        (bk.cells.lstm_projected, ["projection"]),
        (bk.cells.multiplicative_lstm, []),  # each takes the input too
    ],
)
def test_what_may_rise(make, names: list[str]) -> None:
    diagram = diagram_of(make(4, 4).graph)
    assert [diagram.elements[key].name for key in sorted(rising(diagram))] == names


def test_what_would_cross_more_does_not_rise() -> None:
    diagram = diagram_of(bk.cells.mut1(4, 4).graph)
    assert rising(diagram) and None not in best_columns(diagram, {}).values()
    assert not above(bk.cells.mut1(4, 4).draw().scene, "reset", "candidate")


def test_an_output_leaves_straight_where_nothing_else_needs_it() -> None:
    scene = bk.cells.qrnn(4, 4).draw().scene
    (wire,) = (w for w in scene.wires if w.target.startswith("output"))
    assert len(wire.points) == 2
    scene = bk.cells.lstm(4, 4).draw().scene  # h is also the next state
    (output,) = (s for s in scene.shapes if s.kind == "output")
    assert output.x > max(s.right for s in scene.shapes if s.kind in ("brick", "operation"))


def test_no_order_of_few_bricks_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is estimated leads to the best of all orders, though few of them are laid out."""
    monkeypatch.setattr(orders, "LAID_OUT", 4)
    monkeypatch.setattr(orders, "_found", {})
    diagram = diagram_of(bk.cells.gru_reset_after(5, 4).graph)
    bricks = weighted(diagram)
    scores = {
        order: score(route(diagram, place(diagram, {key: float(i) for i, key in enumerate(order, 1)})))
        for order in permutations(bricks)
    }
    found = best_columns(diagram, {})
    assert scores[tuple(sorted(found, key=found.__getitem__))] == min(scores.values()) < scores[tuple(bricks)]


@pytest.mark.parametrize("make", [bk.cells.lstm, bk.cells.sru, bk.cells.mut2, bk.cells.min_lstm])
def test_where_no_order_has_fewer_crossings_the_authors_stands(make) -> None:
    diagram = diagram_of(make(4, 4).graph)
    assert best_columns(diagram, {}) == {key: float(i) for i, key in enumerate(weighted(diagram), 1)}


def test_sifting(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more bricks than all orders are tried of, it does as well, and stops at a number of tries."""
    monkeypatch.setattr(orders, "ALL", 2)
    monkeypatch.setattr(orders, "_found", {})
    diagram = diagram_of(bk.cells.gru_reset_after(4, 4).graph)
    assert score(route(diagram, place(diagram, best_columns(diagram, {}))))[0] <= 1
    tried = {"estimate": 0, "place": 0}

    def counted(name: str):
        true = getattr(orders, name)

        def call(*args: object) -> object:
            tried[name] += 1
            return true(*args)

        return call

    for name in tried:
        monkeypatch.setattr(orders, name, counted(name))
    size = len(diagram.elements)
    monkeypatch.setattr(orders, "ESTIMATES", 7 * size)
    monkeypatch.setattr(orders, "LAYOUTS", 3 * size)
    monkeypatch.setattr(orders, "_found", {})
    first = best_columns(diagram, {})
    assert tried == {"estimate": 7, "place": 3 + 1}
    assert best_columns(diagram_of(bk.cells.gru_reset_after(7, 3).graph), {}) == first  # remembered
    assert tried == {"estimate": 7, "place": 3 + 1}
    monkeypatch.setattr(orders, "_found", {})
    assert best_columns(diagram, {}) == first and tried["estimate"] == 2 * 7


def test_a_figure_has_the_best_order() -> None:
    cell = bk.cells.mut3(4, 4)
    for options in ({}, {"unroll": 3}, {"gradient": "beside"}):
        check(cell.draw(**options).scene)
    made, best = cell.draw(x="made").scene, cell.draw().scene
    assert crossings(best) < crossings(made)
    assert crossings(best) == crossings(cell.draw(lane={"h": 1}).scene)
    hs = bk.scan(cell, bk.sequence("x", 4))
    in_a_loop = bk.Graph({"loss": bk.mean(hs * hs)}).draw().scene
    inner = {s.name: s.x for s in in_a_loop.shapes if s.kind == "brick"}
    alone = {s.name: s.x for s in best.shapes if s.kind == "brick"}
    assert sorted(inner, key=inner.__getitem__) == sorted(alone, key=alone.__getitem__)
    with pytest.raises(bk.BlocksError, match="x is 'made', or name → column, not 'search'"):
        cell.draw(x="search")
