"""The search for the order of the bricks in which the fewest wires cross."""

from __future__ import annotations

from itertools import permutations

import pytest

import blocks as bk
from blocks.draw.diagram.cell import diagram_of
from blocks.draw.layout import orders
from blocks.draw.layout.orders import best_columns, score
from blocks.draw.layout.place import place, weighted
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
    minimal_rnn: 0, two_layer_highway: 0, bk.cells.gru_reset_after: 1, bk.cells.sru: 3, bk.cells.mut3: 2,
    bk.cells.mut1: 1, bk.cells.recurrent_highway: 0, bk.cells.intersection_rnn: 1, bk.cells.star: 0,
    bk.cells.selective_ssm: 3, bk.cells.lstm: 1, bk.cells.gru: 1,
}  # fmt: skip


def crossings(scene) -> int:
    return sum(len(w.hops) for w in scene.wires)


@pytest.mark.parametrize("make", MOST, ids=lambda make: make.__name__)
def test_crossings(make) -> None:
    diagram = diagram_of(make(5, 5).graph)
    made, best = (score(route(diagram, place(diagram, columns))) for columns in ({}, best_columns(diagram, {})))
    assert best[0] <= made[0] and best[0] <= MOST[make]


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


@pytest.mark.parametrize("make", [bk.cells.lstm, bk.cells.sru, bk.cells.mut2, bk.cells.min_lstm, bk.cells.scrn])
def test_where_no_order_has_fewer_crossings_the_authors_stands(make) -> None:
    """Of the last one another order has a crossing less, but its output stands before what feeds it."""
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
