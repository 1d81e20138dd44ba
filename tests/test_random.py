"""Random graphs and cells: they verify, run, survive a file, and their gradients are right."""

import numpy as np
from hypothesis import HealthCheck, given, settings

import blocks as bk

from .strategies import graphs, networks

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@many
@given(graphs())
def test_random_graphs(case) -> None:
    graph, feeds = case
    graph.verify()
    check(graph, feeds)


@many
@given(networks())
def test_random_cells(case) -> None:
    graph, feeds = case
    graph.verify()
    check(graph, feeds)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(networks())
def test_random_cells_of_second_order(case) -> None:
    graph, feeds = case
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)


def check(graph: bk.Graph, feeds: dict[str, np.ndarray]) -> None:
    bk.check_grads(graph, feeds)
    gradient = bk.grad(graph).verify()
    again = bk.from_json(bk.to_json(gradient))
    assert again.dump() == gradient.dump()
    first, second = bk.run(gradient, feeds), bk.run(again, feeds)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    table = gradient.to_networkx()
    assert set(gradient.nodes) <= set(table)
