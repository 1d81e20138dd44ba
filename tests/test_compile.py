"""The compiler: every pass and the whole of it equal the interpreter."""

import numpy as np
from hypothesis import HealthCheck, given, settings

import blocks as bk
from blocks.compile import PASSES, compile
from blocks.interpret import bind, execute

from .strategies import graphs, networks

many = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def single(feeds):
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in feeds.items()}


def same(expected, got, tolerance, label):
    assert set(expected) == set(got)
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(got[name], value, rtol=tolerance, atol=tolerance * scale, err_msg=f"{label}: {name}")
        assert got[name].shape == value.shape and got[name].dtype == value.dtype, (label, name)


def check(graph, feeds):
    gradient = bk.grad(graph)
    expected = bk.run(gradient, feeds)
    lowered = gradient
    arrays, context = bind(gradient, feeds)  # a pass may find that an input is not needed
    for name, change in PASSES:
        lowered = change(lowered).verify()
        same(expected, execute(lowered, arrays, context), 1e-10, name)
    program = compile(gradient)
    first = program(feeds)
    same(expected, first, 1e-10, "program")
    held = {k: v.copy() for k, v in first.items()}
    again = program({k: v * 0.5 if v.dtype.kind == "f" and k != "mask" else v for k, v in feeds.items()})
    assert again.keys() == held.keys()
    same(held, first, 0.0, "results that a caller holds")
    same(bk.run(gradient, single(feeds)), program(single(feeds)), 1e-4, "float32")


@many
@given(networks(kinks=True))
def test_random_cells(case) -> None:
    check(*case)


@many
@given(graphs(kinks=True))
def test_random_graphs(case) -> None:
    check(*case)
