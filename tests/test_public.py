"""What a user meets first: `help`, signatures, names."""

import inspect
import pydoc

import numpy as np
import pytest

import blocks as bk
from blocks.graph import OPS, Op

NAMES = [name for name in bk.__all__ if not inspect.ismodule(getattr(bk, name))]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_says_what_it_does(name) -> None:
    thing = getattr(bk, name)
    said = inspect.getdoc(thing)
    assert said and len(said) > 30, name
    assert thing.__doc__ != type(thing).__doc__, f"{name} says what its type is, not what it is"
    if callable(thing) and not (inspect.isclass(thing) and issubclass(thing, Exception)):
        signature = str(inspect.signature(thing))
        assert "*operands" not in signature and "**attrs" not in signature, (name, signature)
    assert said.splitlines()[0].strip() in pydoc.render_doc(thing, renderer=pydoc.plaintext)


@pytest.mark.parametrize("op", [o for o in OPS.values() if o.kind not in ("leaf", "loop")], ids=lambda o: o.name)
def test_every_operation_says_its_shapes(op: Op) -> None:
    assert "Shapes:" in str(op.__doc__) and op.formula in str(op.__doc__)


def test_signatures_are_those_of_the_row() -> None:
    assert list(inspect.signature(bk.sum).parameters) == ["x", "axis", "keepdims"]
    assert inspect.signature(bk.sum).parameters["axis"].default is None
    assert list(inspect.signature(bk.concat).parameters) == ["wires", "axis"]
    assert inspect.signature(bk.concat).parameters["wires"].kind is inspect.Parameter.VAR_POSITIONAL
    assert list(inspect.signature(bk.where).parameters) == ["c", "a", "b"]
    x = bk.input("x", 4)
    for name, op in OPS.items():  # a default that is written is the default
        for option in inspect.signature(op).parameters.values():
            if option.default is not option.empty and name in ("sum", "mean", "max", "softmax", "concat", "slice"):
                default = {option.name: option.default} | ({"stop": 2} if name == "slice" else {})
                small = {"stop": 2} if name == "slice" else {}
                assert dict(op(x, **default).attrs) == dict(op(x, **small).attrs), (name, option)


def test_outer_says_that_it_sums() -> None:
    assert "summed over all leading dimensions" in str(bk.outer.__doc__)
    a, b = np.random.default_rng(0).standard_normal((2, 3, 4))
    got = bk.run(bk.Graph({"y": bk.outer(bk.input("a", 4), bk.input("b", 4))}), {"a": a, "b": b})["y"]
    np.testing.assert_allclose(got, a.T @ b)
