"""The interpreter in JavaScript: a row for each operation, and the numbers of the one in Python."""

import json
import math
import re

import numpy as np
import pytest

import blocks as bk
from blocks.explain.document import array_json, graph_json, known_rows, rows_for, script, script_json
from blocks.graph import OPS
from blocks.interpret import bind

from .javascript import engine, evaluated
from .test_ops import LOOPS, TABLE
from .wide import case

needs_engine = pytest.mark.skipif(not engine(), reason="neither node nor chromium is installed")

MAIN = """
function main(cases) {
  return cases.map(({ graph, feeds, dims }) => {
    const given = {};
    for (const [name, v] of Object.entries(feeds)) given[name] = interpreter.array(v);
    const out = interpreter.run(graph, given, null, dims), found = {};
    const said = (v) => (Number.isFinite(v) ? v : String(v));
    for (const [name, v] of Object.entries(out)) found[name] = [v.dtype, v.shape, Array.from(v.data, said)];
    return found;
  });
}
"""
TYPES = {"f": "float", "i": "int", "b": "bool"}


def documents(cases):
    """Graphs and their feeds, as JavaScript takes them; draws in the numbers that Python's interpreter has."""
    for graph, feeds in cases:
        arrays, context = bind(graph, feeds)
        yield {
            "graph": graph_json(graph),
            "feeds": {name: array_json(np.asarray(array)) for name, array in arrays.items()},
            "dims": context.dims,
        }


def numbers(values):
    return [float(v.replace("Infinity", "inf")) if isinstance(v, str) else v for v in values]


def compare(cases, tolerance=1e-12):
    cases = list(cases)
    found = evaluated([script("interpret.js"), MAIN], list(documents(cases)))
    for number, ((graph, feeds), out) in enumerate(zip(cases, found, strict=True)):
        for name, want in bk.run(graph, feeds).items():
            dtype, shape, data = out[name]
            want = np.asarray(want)
            assert dtype == TYPES[want.dtype.kind] and tuple(shape) == want.shape, (number, name)
            size = max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0.0)))
            got = np.array(numbers(data), float).reshape(want.shape)
            np.testing.assert_allclose(
                got, want.astype(float), rtol=tolerance, atol=tolerance * size, err_msg=f"{number} {name}"
            )


def test_every_operation_has_a_row() -> None:
    assert known_rows() == set(OPS)


def test_the_rows_are_read_off_the_table() -> None:
    """A row that is taken out is missed."""
    text = script("interpret.js")
    table = text.partition("const ROWS = {")[2].partition("\n  };")[0]
    assert all(re.search(rf"^    {name}: ", table, re.M) for name in OPS)
    assert {"add", "cross_entropy", "loop", "argmax"} <= known_rows() and "shape" not in known_rows()


def test_numbers_that_are_not_finite_and_texts_that_end_a_script() -> None:
    text = script_json({"</script>": [math.nan, -math.inf, {"a": (1.5, math.inf)}]})
    assert "<" not in text
    assert json.loads(text) == {"</script>": ["nan", "-inf", {"a": [1.5, "inf"]}]}


@needs_engine
def test_every_operation_of_the_table() -> None:
    names = sorted(set(OPS) - LOOPS)
    compare((bk.Graph({"y": TABLE[name][0]}), TABLE[name][1]) for name in names)


@needs_engine
@pytest.mark.parametrize("first", range(0, 200, 50))
def test_random_networks_and_their_gradients(first) -> None:
    networks = [case(number) for number in range(first, first + 50)]
    compare((network.gradient(), network.feeds) for network in networks)


@needs_engine
def test_kinks_zeros_and_what_is_not_finite() -> None:
    a, b = bk.input("a", 6), bk.input("b", 6)
    i, j = (bk.input(n, 4, dtype="int") for n in "ij")
    graph = bk.Graph(
        {
            "floats": bk.stack(
                a // b, a % b, a / b, a**b, bk.maximum(a, b), bk.round(a), bk.sign(a), bk.relu(a), axis=1
            ),
            "whole": bk.stack(i // j, i % j, abs(i), -i, bk.sign(i), bk.maximum(i, j), axis=1),
            "places": bk.argmax(bk.stack(a, b, axis=1)),
            "largest": bk.max(a),
            "truncated": bk.cast(bk.stack(b, b * 1.7), "int"),
        }
    )
    feeds = {
        "a": np.array([[1.5, -2.5, 0.0, 3.0, -np.inf, 2.5]]),
        "b": np.array([[0.0, 2.0, -3.0, -3.0, 2.0, 0.5]]),
        "i": np.array([[7, -7, 5, 0]]),
        "j": np.array([[-2, 2, 0, 3]]),
    }
    compare([(graph, feeds)])


@needs_engine
def test_an_operation_of_the_user_s_says_its_own_javascript() -> None:
    cube = bk.elementwise(
        "cube", "x³", lambda x: x**3, lambda g, y, x: (g * 3.0 * x * x,), rows={"javascript": "{0} ** 3"}
    )
    bare = bk.elementwise("bare", "x", lambda x: x, None)
    try:
        graph = bk.Graph({"loss": bk.sum(cube(bk.input("x", 2)))})
        rows = rows_for(graph)
        assert rows == {"cube": "a ** 3"}
        with pytest.raises(bk.BlocksError, match="'bare'.*javascript"):
            rows_for(bk.Graph({"y": bare(bk.input("x", 2))}))
    finally:
        del OPS["cube"], OPS["bare"]


@needs_engine
def test_what_does_not_fit_is_an_error() -> None:
    graph = bk.Graph({"y": bk.one_hot(bk.input("i", dtype="int"), classes=3)})
    (document,) = documents([(graph, {"i": np.array([1, 2])})])
    document["feeds"]["i"]["array"]["data"][1] = 3
    with pytest.raises(AssertionError, match="the id 3 is outside"):
        evaluated([script("interpret.js"), MAIN], [document])
