"""Where two values are equal, or a number is exactly 0: the slopes that the formulas promise."""

import numpy as np
import pytest

import blocks as bk


def slopes(y, names, feeds):
    got = bk.run(bk.grad(bk.Graph({"loss": bk.sum(y * np.array([[1.0, 10.0, 100.0]]))}), wrt=names), feeds)
    return [got[f"grad/{name}"] for name in names]


@pytest.mark.parametrize("op", [bk.maximum, bk.minimum])
def test_at_a_tie_both_get_half_the_gradient(op) -> None:
    a, b = bk.input("a", 3), bk.input("b", 3)
    feeds = {"a": np.array([[2.0, -1.5, 0.25]]), "b": np.array([[2.0, -1.5, 0.75]])}
    da, db = slopes(op(a, b), ["a", "b"], feeds)
    third = [100.0, 0.0] if op is bk.minimum else [0.0, 100.0]
    np.testing.assert_array_equal(da, [[0.5, 5.0, third[0]]])
    np.testing.assert_array_equal(db, [[0.5, 5.0, third[1]]])


def test_ties_share_the_gradient_of_the_largest() -> None:
    x = bk.input("x", 4)
    y = bk.max(x, axis=-1, keepdims=True)
    (dx,) = slopes(y, ["x"], {"x": np.array([[0.5, 3.0, 3.0, -2.0]])})
    np.testing.assert_array_equal(dx, [[0.0, 55.5, 55.5, 0.0]])


@pytest.mark.parametrize("op", [bk.relu, bk.abs])
def test_the_slope_at_zero_is_zero(op) -> None:
    (dx,) = slopes(op(bk.input("x", 3)), ["x"], {"x": np.array([[0.0, 2.0, -3.0]])})
    np.testing.assert_array_equal(dx, [[0.0, 10.0, 0.0 if op is bk.relu else -100.0]])
