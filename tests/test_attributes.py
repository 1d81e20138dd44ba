"""Attributes that do not fit, made by hand or in a file: an error of ours, at once, never one from inside NumPy."""

import json

import numpy as np
import pytest

import blocks as bk
from blocks.files import ARRAYS
from blocks.graph import OPS

from .test_ops import TABLE

ODD = [None, True, -7, 99, 2.5, "x", "batch", (), (0,), (1, 1), ("a", "b"), [], {"graph": 1}, np.arange(3), 10**12]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_odd_attributes(name) -> None:
    wire, feeds, _ = TABLE[name]
    graph = bk.Graph({"y": wire})
    for node in graph.order():
        if not node.attrs or node.op.kind in ("loop", "leaf"):
            continue
        for key in node.attrs:
            for odd in ODD:
                try:
                    again = node.op(*node.operands, **{**node.attrs, key: odd})
                except bk.BlocksError as error:
                    assert node.op.name in str(error)
                    continue
                changed = graph.substitute({node: again}) if again.shape == node.shape else bk.Graph({"y": again})
                try:
                    values = bk.run(
                        changed, {n: v for n, v in feeds.items() if n in {**changed.inputs, **changed.params}}
                    )
                except (bk.BlocksError, MemoryError):  # of a size that fits, but not here
                    continue
                for out, value in values.items():
                    assert len(changed.outputs[out].shape) == value.ndim


@pytest.mark.parametrize("dtype", ARRAYS)
def test_constants_of_every_type_come_back(dtype) -> None:
    value = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    if value.dtype.kind == "f":
        value[0] = [np.inf, -np.inf, 0.1]
    graph = bk.Graph({"y": bk.constant(value=value)})
    again = bk.from_json(bk.to_json(graph))
    (constant,) = again.order()
    assert constant.attrs["value"].dtype == (np.int64 if value.dtype.kind in "iu" else value.dtype)
    np.testing.assert_array_equal(constant.attrs["value"], value)


def test_constants_are_what_runs_compute_in() -> None:
    assert bk.constant(value=np.ones(2, ">f8")).attrs["value"].dtype.isnative
    assert bk.constant(value=np.ones(2, np.longdouble)).attrs["value"].dtype == np.float64


def test_a_small_file_of_a_huge_graph_is_refused() -> None:
    """28 concatenations of a value with itself would take gigabytes."""
    x = bk.input("x", 1)
    for _ in range(4):
        x = bk.concat(x, x)
    document = json.loads(bk.to_json(bk.Graph({"y": x})))
    for _ in range(25):
        last = len(document["nodes"]) - 1
        document["nodes"].append({**document["nodes"][-1], "operands": [last, last]})
    document["outputs"] = {"y": len(document["nodes"]) - 1}
    with pytest.raises(bk.ModelFileError, match="numbers, more than a model needs"):
        bk.from_json(json.dumps(document))


def test_operations_of_a_user_are_checked_where_they_are_made() -> None:
    for options, said in [
        ({"name": "not a name"}, "identifier"),
        ({"vjp": lambda g, x: (g,)}, "takes g, y and 1 operands"),
        ({"dtype": "complex"}, "dtype"),
        ({"name": "tanh"}, "defined twice"),
    ]:
        row = {"name": "odd", "formula": "odd x", "forward": np.abs, "vjp": lambda g, y, x: (g,), **options}
        with pytest.raises(bk.BlocksError, match=said):
            bk.elementwise(**row)
    assert "odd" not in OPS
