"""How far apart the lines of a cell's grid are."""

from __future__ import annotations

from itertools import pairwise

import pytest

import blocks as bk
from blocks.draw.layout.lines import EXACT, PAGE, PARTS, WIDE, Hung, Room, heights, places
from blocks.draw.layout.place import LEFT, RIGHT
from blocks.draw.layout.route import Routes
from blocks.draw.scene import Scene

SMALL = Room(10.0, 10.0, 10.0, 10.0)


def grid(*columns: tuple[str, float]) -> Routes:
    """Elements by name, each in a column of its own, with a row; without wires."""
    xs = [("column", x, 0) for x in (LEFT, *range(1, len(columns) + 1), RIGHT)]
    rows = sorted({row for _, row in columns})
    at = {key: (i, rows.index(row)) for i, (key, row) in enumerate(columns, 1)}
    return Routes(xs, [("column", row, 0) for row in rows], at, {}, {})


def test_what_is_at_one_height_is_apart() -> None:
    routes = grid(("a", 1.0), ("b", 1.0))
    x, _ = places(routes, {"a": SMALL, "b": Room(30.0, 5.0, 10.0, 10.0)}, [0.0], 0.0)
    assert x[2] - x[1] == 10 + WIDE + 30
    x, _ = places(routes, {"a": SMALL, "b": SMALL}, [0.0], 5.0)
    assert x[2] - x[1] == 10 + WIDE + 10 + 5


@pytest.mark.parametrize(("height", "apart"), [(100.0, 10 + WIDE + 10), (25.0, 2 * (10 + WIDE + 10))])
def test_what_is_at_another_height_stands_over_a_gap(height: float, apart: float) -> None:
    """c is above the gap between a and b; close above, it keeps its distance from both."""
    routes = grid(("a", 1.0), ("c", 2.0), ("b", 1.0))
    x, _ = places(routes, dict.fromkeys("abc", SMALL), [0.0, height], 0.0)
    assert x[3] - x[1] == apart and x[2] == (x[1] + x[3]) / 2


def test_what_hangs_below_keeps_away_what_is_at_its_height_alone() -> None:
    routes = grid(("a", 1.0), ("b", 1.0))
    for hung, apart in ((Hung(25.0, 20.0, 40.0), 10 + WIDE + 10), (Hung(25.0, 15.0, 40.0), 25 + WIDE + 10)):
        x, _ = places(routes, {"a": SMALL._replace(hung=hung), "b": SMALL}, [0.0], 0.0)
        assert x[2] - x[1] == apart
    assert heights(routes, {"a": SMALL, "b": SMALL}, 0.0) == [0.0]
    routes = grid(("a", 2.0), ("b", 1.0))
    low, high = heights(routes, {"a": SMALL._replace(hung=Hung(25.0, 20.0, 40.0)), "b": SMALL}, 0.0)
    assert high - low == 40 + WIDE + 10


def test_smaller_gaps_can_be_asked_for() -> None:
    routes = grid(("a", 1.0), ("b", 1.0))
    for most in PARTS:
        x, part = places(routes, {"a": SMALL, "b": SMALL}, [0.0], 0.0, most)
        assert part == most and x[2] - x[1] == pytest.approx(10 + most * WIDE + 10, abs=1 / EXACT)
        assert all(
            EXACT * place == round(EXACT * place) for place in x
        )  # what is in line stays so, wherever it is moved


def test_what_is_wide_has_smaller_gaps() -> None:
    gaps = []
    for count in (4, 20, 100):
        routes = grid(*((f"e{i}", 1.0) for i in range(count)))
        x, _ = places(routes, {f"e{i}": SMALL for i in range(count)}, [0.0], 0.0)
        gaps.append(x[2] - x[1] - 20)
        assert x[-1] - x[0] <= PAGE or gaps[-1] == pytest.approx(WIDE * PARTS[-1], abs=1 / EXACT)
    assert gaps[0] == WIDE > gaps[1] > gaps[2]


def row(scene: Scene) -> list[tuple[float, float]]:
    return sorted((s.left, s.right) for s in scene.shapes if s.kind == "brick")


def test_in_a_cell() -> None:
    """Bricks side by side are as far apart as they were; what stands above them does not push them apart."""
    for cell in (bk.cells.lstm(4, 4), bk.cells.cifg(4, 4)):
        assert {round(b[0] - a[1], 6) for a, b in pairwise(row(cell.draw().scene))} == {WIDE}
