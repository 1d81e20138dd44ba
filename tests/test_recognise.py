"""Cells that are an LSTM, a GRU or an RNN, however they are written, become that operator of ONNX; others do not."""

import numpy as np
import pytest

import blocks as bk
from blocks.exchange.recognise import known

from .exchange.ways import MISSES, WAYS
from .test_onnx import check, kinds

FUSED = ("LSTM", "GRU", "RNN")


def loops(graph: bk.Graph) -> list[bk.Node]:
    return [node for node in graph.order() if node.op.name == "loop"]


def run_over(make, mask=None, reverse=False, initial=False):
    """A graph, and feeds for it."""
    rng, cell = np.random.default_rng(4), make(3, 5)
    (port,) = cell.inputs
    ys, finals = bk.scan(cell, {port: bk.sequence("x", 3)}, mask=mask, reverse=reverse, final=True)
    outputs = ys if isinstance(ys, dict) else {"ys": ys}
    graph = bk.Graph({**outputs, **{f"last {k}": v for k, v in finals.items()}})
    feeds = {n: rng.normal(0.0, 0.6, s) for n, s in graph.params.items()} | {"x": rng.normal(size=(6, 2, 3))}
    feeds |= {s: rng.normal(size=(2, 5)) for s in cell.states} if initial else {}
    return graph, feeds


@pytest.mark.parametrize("what", WAYS)
def test_it_is_recognised_and_has_its_numbers(what) -> None:
    operator, make = WAYS[what]
    for options in ({}, {"reverse": True}, {"initial": True}):
        graph, feeds = run_over(make, **options)
        made = check(graph, feeds, states="inputs" if "initial" in options else "zeros")
        assert [op for op in kinds(made) if op in (*FUSED, "Scan")] == [operator]


@pytest.mark.parametrize("what", MISSES)
def test_a_near_miss_is_none_of_them(what) -> None:
    graph, feeds = run_over(MISSES[what])
    made = check(graph, feeds)
    assert [op for op in kinds(made) if op in (*FUSED, "Scan")] == ["Scan"]


def test_a_masked_loop_is_a_loop() -> None:
    graph, feeds = run_over(bk.cells.lstm, mask=bk.sequence("mask"))
    mask = np.array([[1, 1], [1, 1], [0, 1], [1, 1], [1, 0], [0, 0]], float)
    assert kinds(check(graph, {**feeds, "mask": mask})).count("Scan") == 2  # one finds the steps that are held


def test_what_is_asked_for_is_what_is_done() -> None:
    graph, feeds = run_over(bk.cells.gru)
    assert "GRU" not in kinds(check(graph, feeds, fused=False))


def test_layers_are_each_an_operator() -> None:
    xs, rng = bk.sequence("x", 3), np.random.default_rng(0)
    ys = bk.scan(bk.cells.lstm(3, 4, name="one"), xs)
    graph = bk.Graph({"y": bk.scan(bk.cells.gru(4, 2, name="two"), ys, reverse=True)})
    feeds = {n: rng.normal(0.0, 0.6, s) for n, s in graph.params.items()} | {"x": rng.normal(size=(6, 2, 3))}
    assert [op for op in kinds(check(graph, feeds)) if op in (*FUSED, "Scan")] == ["LSTM", "GRU"]


def test_the_weights_of_a_known_loop_have_the_names_of_the_gallery() -> None:
    graph, _ = run_over(WAYS["an LSTM under other names, its gates misnamed, its states the other way round"][1])
    (loop,) = loops(graph)
    found = known(loop)
    assert found is not None and (found.kind, found.units, found.inputs) == ("lstm", 5, 3)
    assert found.states == {"h": "c", "C": "h"} and found.row == "u"
    names = {k: str(v.name) for k, v in found.weights.items() if v is not None}
    assert names["input.W_x"] == "output.W_u" and names["candidate.b"] == "forget.b"
    assert found.weights["input.W_C"] is None
