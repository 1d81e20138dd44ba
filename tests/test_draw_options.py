"""Every option of `draw` changes what is drawn, or is refused before anything is; none is dropped in silence."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import blocks as bk
from blocks.draw import views
from blocks.draw.diagram.cell import diagram_of
from blocks.draw.views import LAYERS, LOOPS, OPTIONS


def two_layers() -> bk.Cell:
    """A cell with two cells inside, of different sizes, and bricks of its own."""
    x = bk.input("x", 3)
    inner = bk.cells.lstm(3, 5, name="low")(x)
    return bk.Cell({}, bk.ADD(4, name="out")(bk.cells.gru(5, 2, name="high")(inner)))


def network() -> bk.Graph:
    hs = bk.scan(bk.cells.lstm(3, 4), bk.sequence("x", 3))
    y = bk.ADD(2, name="out")(hs)
    return bk.Graph({"loss": bk.losses.cross_entropy(y, bk.sequence("target", dtype="int")), "y": y})


def one_step_gradient() -> bk.Graph:
    outputs = bk.cells.gru(3, 4).graph.outputs
    return bk.grad(bk.Graph({"loss": bk.sum(outputs["y"] * outputs["y"])}))


GRAPHS = {
    "a cell": lambda: two_layers().graph,
    "no cell": lambda: bk.Graph({"y": bk.SIGM(4, name="forget")(bk.tanh(bk.input("x", 3)))}),
    "a loop": network,
    "a gradient": lambda: bk.grad(network()),
    "a gradient of a step": one_step_gradient,
    "unrolled": lambda: bk.unroll(bk.cells.lstm(3, 4), 3),
}


def asked(option: str, graph: bk.Graph) -> dict[str, Any]:
    """An option with a value that says something, and what it needs beside it."""
    brick = next(str(node.brick) for node in graph.order() if node.brick)
    values: dict[str, Any] = {
        "highlight": brick, "bricks": False, "shapes": True, "counts": True, "open": brick, "unroll": 3, "zoom": 1,
        "full": True, "gradient": True, "theme": "dark", "values": {"x": np.ones((2, 3))}, "scale": "log", "fold": True,
        "title": "another title", "labels": {brick: "q_t"}, "legend": True, "equations": True,
        "x": {brick: 7.5}, "lane": {"low/C": 1},
    }  # fmt: skip
    beside = {"zoom": {"unroll": 3}, "full": {"unroll": 9}, "scale": {"values": {"x": np.ones((2, 3))}}}
    return {option: values[option], **beside.get(option, {})}


def digest(graph: bk.Graph, **options: Any) -> str:
    return graph.draw(**options).digest


def test_each_option_is_tried() -> None:
    graph = GRAPHS["a cell"]()
    assert all(option in asked(option, graph) for option in OPTIONS)


@pytest.mark.parametrize("kind", GRAPHS)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_changes_the_figure_or_is_refused(option: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = GRAPHS[kind]()
    options = asked(option, graph)
    without = {name: value for name, value in options.items() if name != option}
    takers = OPTIONS[option].taken_by
    if kind == "a gradient" and LOOPS in takers:
        with pytest.raises(bk.BlocksError, match="^unroll: a step of .* is not drawn as a cell is"):
            graph.draw(**options)
        return
    if kind == "a cell" or LAYERS in takers or (kind == "a loop" and LOOPS in takers):
        if option == "lane":  # another order of the lanes
            assert len(set(diagram_of(graph).conveyors) & {"low/C", "high/h"}) == 2
        if option == "shapes":
            assert any(w.label and w.label.plain.startswith("(") for w in graph.draw(**options).scene.wires)
        if option == "title":
            assert graph.draw(**options).title == "another title"
        assert digest(graph, **options) != digest(graph, **without)
        return
    for work in ("drawn", "Drawing"):
        monkeypatch.setattr(views, work, lambda *a, **k: pytest.fail("work was done"))
    with pytest.raises(bk.BlocksError, match=rf"{option}\b.*: only for one step of a cell.*takes highlight, bricks"):
        graph.draw(**options)


def test_the_error_says_why() -> None:
    with pytest.raises(bk.BlocksError, match="^counts and unroll: only .*not so here: it has no state that goes from"):
        GRAPHS["no cell"]().draw(unroll=3, counts=True)
    with pytest.raises(bk.BlocksError, match="gradient: only .*it has a loop over time in it; draw the cell itself"):
        network().draw(gradient=True)
    with pytest.raises(bk.BlocksError, match="open: only .*with bricks=False each operation is drawn by itself"):
        bk.cells.lstm(3, 4).draw(open="forget", bricks=False)


@pytest.mark.parametrize("kind", GRAPHS)
def test_an_option_that_there_is_not(kind: str) -> None:
    with pytest.raises(bk.BlocksError, match=r"no option 'shape' \(did you mean 'shapes'\?\); there are highlight,"):
        GRAPHS[kind]().draw(shape=True)
    with pytest.raises(bk.BlocksError, match="no option 'level'"):
        GRAPHS[kind]().draw(level="operations")


@pytest.mark.parametrize("option", ["zoom", "full"])
def test_options_of_steps_need_steps(option: str) -> None:
    with pytest.raises(bk.BlocksError, match=f"^{option}: only with unroll"):
        bk.cells.gru(3, 4).draw(**{option: 1})


def test_values_and_shapes_share_a_place() -> None:
    with pytest.raises(bk.BlocksError, match="^values stand where shapes would; leave out shapes, or values"):
        bk.cells.gru(3, 4).draw(values={"x": np.ones((2, 3))}, shapes=True)


def test_options_that_meet() -> None:
    """Of each two options both are seen, or they are refused with a reason: a third of the pairs, and all in the deep
    profile."""
    every = max(1, 60 // settings().max_examples)
    graph = GRAPHS["a cell"]()
    drawn: dict[str, Any] = {}

    def seen(options: dict[str, Any]) -> Any:
        """What is drawn; None where it is refused."""
        if options.get("values") and options.get("unroll"):
            options = {**options, "values": {"x": np.ones((options["unroll"], 2, 3))}}
        key = str(sorted(options.items(), key=str))
        if key not in drawn:
            try:
                figure = graph.draw(**options)
                drawn[key] = figure.scene, figure.theme.name
            except bk.BlocksError as error:
                assert re.search(
                    "only for one step|only with values|stand where|one step; leave|need the gradient|there is no|"
                    "computed forwards",
                    str(error),
                )
                drawn[key] = None
        return drawn[key]

    refused = set()
    for one, other in list(combinations(OPTIONS, 2))[::every]:
        both = {**asked(one, graph), **asked(other, graph)}
        both |= {"unroll": 9} if "full" in both else {}
        if seen(both) is None:
            refused.add((one, other))
            continue
        for name, beside in ((one, other), (other, one)):
            inside = (name, beside) == ("labels", "fold")  # what is labelled is inside of what is folded
            if not inside and (name != "unroll" or beside not in ("zoom", "full")):  # these need it
                assert seen(both) != seen({k: v for k, v in both.items() if k != name}), f"{name} is lost with {beside}"
    assert len(refused) <= 20


def test_what_is_seen_in_open_steps_alone() -> None:
    cell = bk.cells.gru(3, 4)
    for options in ({"highlight": "reset"}, {"counts": True}, {"x": {"reset": 3}}):
        with pytest.raises(
            bk.BlocksError, match=r"^\w+: seen only in a step that is open, and with zoom='none' none is"
        ):
            cell.draw(unroll=3, zoom="none", **options)
    labels = {w.label.plain for w in cell.draw(unroll=3, zoom="none", shapes=True).scene.wires if w.label}
    assert labels == {"(batch, 3)", "(batch, 4)"}


def test_nothing_to_fold() -> None:
    with pytest.raises(bk.BlocksError, match="fold: there is no named cell inside"):
        bk.cells.lstm(3, 4).draw(fold=True)


def test_a_cell_too_large_to_unroll() -> None:
    """It is drawn as any graph is; what a cell alone takes is refused with the size."""
    x, h = bk.input("x", 2), bk.state("h", 3)
    wire = x
    for number in range(60):
        wire = bk.TANH(3, name=f"b{number}")(wire, h)
    cell = bk.Cell({h: wire}, wire)
    assert len([s for s in cell.draw().scene.shapes if s.kind == "brick"]) == 60
    for options in ({"unroll": 3}, {"gradient": True}, {"counts": True}, {"x": {"b1": 3}}):
        with pytest.raises(bk.BlocksError, match=r"^\w+: only .* too large: it has \d+ parts, of 120 at most"):
            cell.draw(**options)


def test_a_cell_without_state_has_no_steps() -> None:
    cell = bk.Cell({}, bk.TANH(4, name="t")(bk.input("x", 3)))
    assert cell.draw(shapes=True).render("svg")
    with pytest.raises(bk.BlocksError, match="^unroll: .*no state"):
        cell.draw(unroll=3)
