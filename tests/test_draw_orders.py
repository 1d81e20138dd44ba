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

MOST = {
    "gru_reset_after": 1,
    "mut1": 1,
    "mut3": 2,
    "scrn": 4,
    "lstm_nog": 3,
    "gru": 1,
}  # crossings; no figure gets worse


@pytest.mark.parametrize("name", MOST)
def test_crossings(name: str) -> None:
    diagram = diagram_of(getattr(bk.cells, name)(5, 5).graph)
    plain, best = (
        score(route(diagram, place(diagram))),
        score(route(diagram, place(diagram, best_columns(diagram, {})))),
    )
    assert best <= plain and best[0] <= MOST[name]


def test_no_order_of_few_bricks_is_better() -> None:
    diagram = diagram_of(bk.cells.mut3(4, 5).graph)
    bricks = weighted(diagram)
    found = best_columns(diagram, {})
    scores = {}
    for order in permutations(bricks):
        columns = {key: float(i) for i, key in enumerate(order, 1)}
        scores[order] = score(route(diagram, place(diagram, columns)))
    chosen = tuple(sorted(found, key=found.__getitem__))
    assert scores[chosen] == min(scores.values()) < scores[tuple(bricks)]


def test_of_equal_orders_the_authors_stands() -> None:
    diagram = diagram_of(bk.cells.sru(4, 4).graph)
    assert best_columns(diagram, {}) == {key: float(i) for i, key in enumerate(weighted(diagram), 1)}


def test_sifting(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more bricks than all orders are tried of, it stops at a number of tries, and never makes things worse."""
    monkeypatch.setattr(orders, "ALL", 2)
    diagram = diagram_of(bk.cells.gru_reset_after(4, 4).graph)
    assert score(route(diagram, place(diagram, best_columns(diagram, {}))))[0] <= 1
    tried = 0

    def counted(*args: object) -> object:
        nonlocal tried
        tried += 1
        return route(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(orders, "TRIES", 5)
    monkeypatch.setattr(orders, "route", counted)
    assert best_columns(diagram, {}) == best_columns(diagram, {})
    assert tried <= 10


def test_a_figure_with_the_best_order() -> None:
    cell = bk.cells.mut3(4, 4)
    for options in ({}, {"unroll": 3}, {"gradient": "beside"}):
        check(cell.draw(x="search", **options).scene)
    plain, best = (cell.draw(x=x).scene for x in (None, "search"))
    assert sum(len(w.hops) for w in best.wires) < sum(len(w.hops) for w in plain.wires)
    with pytest.raises(bk.BlocksError, match="x is 'search', or name → column, not 'serch'"):
        cell.draw(x="serch")
