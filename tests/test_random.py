"""Random networks as wide as the language: they verify, run, differentiate, compile, survive a file, and are shown.

How many, the profile says (see conftest.py); each has a limit of time, and one that does not end is named.
"""

import numpy as np
import pytest
from hypothesis import given

import blocks as bk

from .helpers import limit, poisoned, same
from .strategies import examples, graphs, networks, wide
from .wide import Dice, Replayed, case, network, shrink

SECONDS = 20  # for each network


@given(wide(kinks=False))
def test_gradients_are_those_of_finite_differences(made) -> None:
    with limit(SECONDS, made):
        made.graph.verify()
        bk.check_grads(made.graph, made.feeds, wrt=made.wrt, tolerance=1e-5)


@given(wide())
def test_files_hold_everything(made) -> None:
    """A graph and its gradient, as JSON and back, are the same text and give the same numbers."""
    with limit(SECONDS, made):
        for graph in (made.graph, made.gradient().verify()):
            again = bk.from_json(bk.to_json(graph))
            assert again.dump() == graph.dump()
            same(bk.run(graph, made.feeds), bk.run(again, made.feeds), 0.0)
            assert set(graph.nodes) <= set(graph.to_networkx())


@given(wide())
def test_programs_give_the_numbers_of_the_interpreter(made) -> None:
    with limit(SECONDS, made):
        gradient = made.gradient()
        expected = bk.run(gradient, made.feeds)
        forward = {name: expected[name] for name in made.graph.outputs}
        same(forward, bk.compile(made.graph)(made.feeds), 1e-9, "without a gradient")
        for every in (None, 3, "sqrt"):
            program = bk.compile(gradient, checkpoint=every)
            with poisoned():
                first = program(made.feeds)
            same(expected, first, 1e-9, f"checkpoint={every}")
            same(first, program(made.feeds), 0.0, "a second call")


@examples(12)
@given(wide())
def test_programs_of_second_derivatives(made) -> None:
    with limit(SECONDS, made):
        twice = made.second()
        if twice is not None:
            feeds = {name: value for name, value in made.feeds.items() if name in twice.nodes}
            same(bk.run(twice, feeds), bk.compile(twice)(feeds), 1e-8)


@examples(8)
@given(wide())
def test_equations_and_figures_of_everything(made) -> None:
    with limit(SECONDS, made):
        assert equations(made.graph)
        assert "<svg" in made.graph.draw()._repr_svg_()


def equations(graph: bk.Graph) -> list[str]:
    from blocks.equations import equations

    return equations(graph)


# --- plain graphs and cells ----------------------------------------------------------------------


@given(graphs())
def test_plain_graphs(made) -> None:
    graph, feeds = made
    bk.check_grads(graph.verify(), feeds)


@given(networks())
def test_plain_cells(made) -> None:
    graph, feeds = made
    bk.check_grads(graph.verify(), feeds)


@examples(20)
@given(networks())
def test_plain_cells_of_second_order(made) -> None:
    graph, feeds = made
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)


# --- the generator -------------------------------------------------------------------------------


def test_a_number_is_the_same_network_in_every_process() -> None:
    one, two = case(17), case(17)
    assert one.graph.dump() == two.graph.dump() and one.wrt == two.wrt
    same(one.feeds, two.feeds, 0.0)


def test_the_generator_says_all_of_the_language() -> None:
    """Every operation that a user can ask for, and loops in loops, within two thousand networks."""
    seen, deepest = set(), 0

    def look(graph: bk.Graph, depth: int) -> None:
        nonlocal deepest
        deepest = max(deepest, depth)
        for node in graph.order():
            seen.add(node.op.name)
            if node.op.name == "loop":
                look(node.attrs["body"], depth + 1)

    from blocks.graph import OPS

    made_by_gradients_alone = {"pad", "release", "scatter", "size"}
    ours = {name for name, op in OPS.items() if op.infer.__module__.startswith("blocks.")} - made_by_gradients_alone
    for number in range(2000):
        look(case(number).graph, 0)
        if seen >= ours and deepest == 3:  # a learner of a network with a loop in a loop
            break
    assert not ours - seen
    assert deepest == 3


def test_shrinking_finds_a_small_network() -> None:
    dice = Dice(5)
    network(dice)

    def has_loop(choices) -> bool:
        return any(n.op.name == "loop" for n in network(Replayed(choices)).graph.order())

    small = shrink(dice.said, has_loop, tries=200)
    assert has_loop(small) and sum(map(bool, small)) < sum(map(bool, dice.said)) / 3


def test_what_does_not_end_is_named() -> None:
    with pytest.raises(Exception, match="case 3 does not end within 0.05 s"), limit(0.05, "case 3"):
        while True:
            np.tanh(0.0)
