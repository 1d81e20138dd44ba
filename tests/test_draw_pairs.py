"""What must hold of every scene, on random cells with every option and every pair of options; in the deep profile on a
thousand of them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

import blocks as bk
from blocks.draw.scene import Scene
from blocks.draw.views import OPTIONS

from .strategies import examples
from .test_draw_invariants import cells, check, of_operations
from .test_draw_levels import layered

ASKED = [*((option,) for option in OPTIONS), *combinations(OPTIONS, 2), ("blocks",), *(("blocks", o) for o in OPTIONS)]
REFUSED = re.compile(
    "only with (unroll|values)|stand where shapes would|say what is computed forwards|seen only in a step that is open|"
    "shapes='blocks' hang where|there is no named cell inside|draw them all|takes a value that is made from its own|"
    "there is no conveyor|there is no brick|to (label|place); there are|only for one step of a cell"
)


def options_of(cell: bk.Cell, asked: tuple[str, ...]) -> dict[str, Any]:
    """The options that are asked for and what they need, each with a value that says something of this cell."""
    asked = (*asked, *(need for option in asked if option in OPTIONS and (need := OPTIONS[option].needs)))
    bricks = sorted({str(n.brick) for n in cell.graph.order() if n.brick and n.operands})
    state = cell.states[0]
    one = bricks[0] if bricks else state
    steps = (3,) if "unroll" in asked else ()
    feeds = cell.graph.init(0, "float64")
    feeds |= {n: np.full((*steps, 2, 3), 0.25) for n in cell.inputs}
    feeds |= {s: np.full((2, *map(int, cell.wires[s].shape[1:])), 0.5) for s in cell.states}
    if "gradient" in asked:
        feeds |= {f"d/{n}": np.ones((*steps, 2, 3)) for n in cell.outputs}
    feeds = {n: array for n, array in feeds.items() if n in {*cell.graph.inputs, *cell.params} or n.startswith("d/")}
    values: dict[str, Any] = {
        "highlight": one, "bricks": False, "shapes": True, "theme": "dark", "title": "a title", "labels": {state: "q_t"},
        "legend": True, "equations": True, "counts": True, "fold": True, "x": {one: 7.5} if bricks else "made",
        "lane": {state: 1}, "values": feeds, "scale": "log", "gradient": True, "unroll": 3, "zoom": 1, "full": True,
        "open": one,
    }  # fmt: skip
    given = {name: values[name] for name in asked if name != "blocks"}
    return given | ({"shapes": "blocks"} if "blocks" in asked else {})


def drawn(cell: bk.Cell, asked: tuple[str, ...]) -> bool:
    """Draw a cell with some options, and check its scene; whether it was not refused, with a reason that is known."""
    try:
        figure = cell.draw(**options_of(cell, asked))
    except bk.BlocksError as error:
        assert REFUSED.search(str(error)), error
        return False
    check(without_legend(figure.scene))
    return True


def without_legend(scene: Scene) -> Scene:
    """The scene without the samples of its legend, which are no wires between shapes."""
    return replace(
        scene,
        wires=tuple(w for w in scene.wires if not w.sample),
        dots=tuple(d for d in scene.dots if not d.net.startswith("legend")),
    )


@examples(40)
@given(st.one_of(cells(), layered()), st.sampled_from(ASKED))
def test_every_pair_of_options(cell: bk.Cell, asked: tuple[str, ...]) -> None:
    drawn(cell, asked)


def test_a_cell_of_operations_in_every_view() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    cell = bk.Cell({h: h + bk.TANH(3, name="b")(x, of_operations(3, "norm")(h, x))}, h)
    assert sum(drawn(cell, asked) for asked in ASKED[:: len(ASKED) // 20]) > 10
