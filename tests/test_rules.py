"""Every operation of the table is a full citizen, and so is one that a user defines in two lines."""

import inspect

import numpy as np
import pytest

import blocks as bk
from blocks.compile.passes.lift import REFUSALS, RULES
from blocks.draw.diagram.signs import symbol
from blocks.draw.formats.tex import tex_line
from blocks.draw.typeset import formula_line
from blocks.graph import KINDS, OPS, Op
from blocks.notation import is_silent, write_text

from .mutants import MUTANTS, ROOT
from .test_ops import LOOPS, TABLE


@pytest.fixture
def hyperbolic():
    """sinh and cosh, as a user defines them; they leave the table after the test."""
    made = {}
    made["sinh"] = bk.elementwise("sinh", "sinh x", np.sinh, lambda g, y, x: (g * made["cosh"](x),))
    made["cosh"] = bk.elementwise("cosh", "cosh x", np.cosh, lambda g, y, x: (g * made["sinh"](x),))
    yield made["sinh"]
    for name in made:
        del OPS[name]


def wires_of(op: Op) -> list[str]:
    """The operands of an operation, without its options."""
    return [n for n, p in inspect.signature(op.infer).parameters.items() if p.kind is not p.KEYWORD_ONLY]


def rules_broken(op: Op) -> list[str]:
    """What an operation lacks."""
    broken = []
    if op.kind not in KINDS:
        broken.append("kind")
    if op.kind not in ("leaf", "loop", "elementwise") and (op.name in RULES) == (op.name in REFUSALS):
        broken.append("lift rule or a named refusal")
    if not op.formula or "Shapes:" not in str(op.__doc__):
        broken.append("documentation")
    return broken


def says_too_little(node, values) -> bool:
    """Whether a formula passes an operand on for an operation that makes other numbers of it."""
    given = [v for o in node.operands for v in np.ravel(values[o]).tolist()]
    return is_silent(node.op) and bool(given) and not set(np.ravel(values[node]).tolist()) <= set(given)


@pytest.mark.parametrize("op", list(OPS.values()), ids=lambda o: o.name)
def test_every_operation_keeps_the_rules(op) -> None:
    assert rules_broken(op) == []


@pytest.mark.parametrize("name", sorted(set(OPS) - LOOPS))
def test_every_operation_is_written_and_emitted(name) -> None:
    wire, feeds, _ = TABLE[name]
    graph = bk.Graph({"y": wire})
    values: dict = {}
    bk.run(graph, feeds, watch=lambda node, value, steps: values.__setitem__(node, value))
    seen = False
    for node in graph.order():
        assert not says_too_little(node, values), node
        text, strength = write_text(node, [(f"a{i}", 9) for i in range(len(node.operands))])
        assert text and strength >= 0
        assert tex_line(formula_line(symbol(node), 10))  # raises for a sign that TeX does not have
        for key, value in node.attrs.items():  # what an option says is written
            if node.op.kind == "reduction" and key == "axis" and len(value) < len(node.operands[0].shape):
                assert any(str(node.operands[0].shape[a]) in text or "_" in text for a in value), text
        seen = seen or node.op.name == name
    assert seen
    program = bk.compile(graph)
    assert all(node.op.expand is None for node in program.lowered.order())
    want, got = bk.run(graph, feeds)["y"], program(feeds)["y"]
    np.testing.assert_allclose(got, want, atol=1e-12)


PAIRS = [op for op in OPS.values() if op.kind == "elementwise" and len(wires_of(op)) == 2]


@pytest.mark.parametrize("op", PAIRS, ids=lambda op: op.name)
def test_an_operation_says_whether_its_operands_may_change_places(op) -> None:
    a, b = np.random.default_rng(0).uniform(0.5, 2.0, (2, 7))
    b[0] = a[0]
    assert np.array_equal(op.forward(a, b), op.forward(b, a)) == op.commutative


def test_what_lacks_a_kind_a_rule_or_a_notation_is_found() -> None:
    with pytest.raises(TypeError, match="kind"):
        Op("odd", "odd", lambda x: (x.shape, "float"), np.abs)
    with pytest.raises(bk.BlocksError, match="its kind is one of elementwise, view"):
        Op("odd", "odd", lambda x: (x.shape, "float"), np.abs, kind="odd")
    try:
        node = bk.elementwise("odd", "2 x", lambda x: 2.0 * x, None, sign="")(bk.input("x", 3))
        x = np.array([[0.5, -3.0, 2.0]])
        assert says_too_little(node, {node.operands[0]: x, node: 2.0 * x})
    finally:
        OPS.pop("odd", None)
    try:
        odd = Op("odd", "odd x", lambda x: (x.shape, "float"), np.abs, kind="other")
        assert rules_broken(odd) == ["lift rule or a named refusal", "documentation"]
    finally:
        OPS.pop("odd", None)


def test_a_hyperbolic_sine_of_two_lines_is_a_full_citizen(hyperbolic) -> None:
    x, h = bk.input("x", 3), bk.state("h", 5)
    wave = bk.Cell(states={h: hyperbolic(bk.ADD(5, name="net")(x, h))}, outputs={"y": h})
    ys = bk.scan(wave, bk.sequence("x", 3))
    graph = bk.Graph({"loss": bk.mean(ys * ys), "y": ys})
    rng = np.random.default_rng(0)
    feeds = {**graph.init(1, "float64"), "x": rng.standard_normal((4, 2, 3))}
    for order in (1, 2):
        bk.check_grads(graph, feeds, order=order, tolerance=1e-5)
    gradient = bk.grad(graph)
    program = bk.compile(gradient)
    for name, value in bk.run(gradient, feeds).items():
        np.testing.assert_allclose(program(feeds)[name], value, atol=1e-12)
    lines = [line.strip() for line in bk.compile(graph).source.splitlines()]
    statements = [line for line in lines if line.startswith("sinh(")]
    assert len(statements) == 1 and ", out=" in statements[0], statements  # one statement, in place, in the step
    assert any("sinh(" in line for line in bk.equations(wave.graph))
    assert "sinh" in wave.draw()._repr_svg_()
    assert bk.from_json(bk.to_json(gradient)).dump() == gradient.dump()
    assert "It has a gradient" in str(hyperbolic.__doc__)


def test_an_operation_without_a_ufunc_is_called(hyperbolic) -> None:
    twice = bk.elementwise("twice", "2 x", lambda x: x + x, lambda g, y, x: (g * 2.0,))
    try:
        x = bk.input("x", 3)
        graph = bk.Graph({"y": twice(hyperbolic(x)) * x})
        feeds = {"x": np.random.default_rng(0).standard_normal((2, 3))}
        np.testing.assert_allclose(bk.compile(graph)(feeds)["y"], 2 * np.sinh(feeds["x"]) * feeds["x"])
        assert "rt.call('twice'" in bk.compile(graph).source
    finally:
        del OPS["twice"]


def test_every_mutant_finds_its_place() -> None:
    """What `.ci/more mutants` changes stands once in the file that it names, and the tests that it names are there."""
    for mutant in MUTANTS:
        assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1, mutant.name
        assert all((ROOT / test.partition("::")[0]).is_file() for test in mutant.tests), mutant.name


def test_rows_are_for_what_there_is() -> None:
    """Each target and dialect reads rows under its name, and no other name is taken."""
    from blocks.compile.targets import TARGETS
    from blocks.exchange.jax import JAX
    from blocks.exchange.numpy import NUMPY
    from blocks.exchange.onnx.rows import ONNX
    from blocks.exchange.python.rows import PYTHON
    from blocks.exchange.torch import TORCH
    from blocks.ops.elementwise import WRITTEN

    dialects = {dialect.key for dialect in (JAX, NUMPY, ONNX, PYTHON, TORCH)}
    assert {*TARGETS, *dialects, "javascript"} == set(WRITTEN)
    with pytest.raises(bk.BlocksError, match=r"nothing writes rows for 'natve' \(did you mean 'native'\?\)"):
        bk.elementwise("misspelt", "x", lambda x: x + 0, lambda g, y, x: (g,), rows={"natve": "{0}"})
