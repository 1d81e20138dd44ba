"""How operations and equations are written: signs, precedence, attributes, and names that stand for one value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blocks as bk
from blocks.equations import equation_lines, equations
from blocks.graph import OPS, apply
from blocks.notation import (
    ATOM,
    BETWEEN,
    DOT,
    SUM,
    Formula,
    Run,
    is_silent,
    name,
    numeral,
    plain,
    sign_of,
    write,
    write_text,
)  # fmt: skip
from blocks.ops.elementwise import elementwise


def said(outputs: Any) -> list[str]:
    return equations(bk.Graph(outputs if isinstance(outputs, dict) else {"y": outputs}))


def wires() -> tuple[bk.Node, bk.Node, bk.Node]:
    return bk.input("a", 3), bk.input("b", 3), bk.input("c", 3)


A, B, C = wires()
T = bk.sequence("t", 3)
M = bk.input("m", shape=("batch", 4, 5))


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (A + B * C, "a + b ⊙ c"),
        ((A + B) * C, "(a + b) ⊙ c"),
        (A - (B - C), "a − (b − c)"),
        (A - B - C, "a − b − c"),
        (A / (B * C), "a / (b ⊙ c)"),
        (A * (B / C), "a ⊙ b / c"),
        (A - -B, "a − (−b)"),
        (-(A + B), "−(a + b)"),
        (A ** (B + 1), "a^(b + 1)"),
        ((A + B) ** 2, "(a + b)²"),
        (A**-1 + A**0.5, "a⁻¹ + a^0.5"),
        (A**-1.5, "a^−1.5"),
        (A ** bk.sigm(B), "a^(σ(b))"),
        ((A**2) ** 3, "(a²)³"),
        # numbers
        (A + 1e-6, "a + 10⁻⁶"),
        (A * -0.5, "a ⊙ (−0.5)"),
        (A / 2.5e-5, "a / (2.5·10⁻⁵)"),
        (A - -3e8, "a − (−3·10⁸)"),
        (bk.maximum(A, -1e-9), "max(a, −10⁻⁹)"),
        (A**1e-6, "a^(10⁻⁶)"),
        (bk.maximum(A, -np.inf), "max(a, −∞)"),
        (A * (0.1 + 0.2), "a ⊙ 0.3"),
        (bk.layernorm(A, epsilon=1e-5), "LN(a, epsilon=10⁻⁵)"),
        (bk.cumsum(T, axis="time", reverse=True), "cumsum_time(t, reverse)"),
        (bk.sqrt(A), "√a"),
        (bk.sqrt(A * B), "√(a ⊙ b)"),
        (bk.abs(A - B), "|a − b|"),
        (bk.where(bk.greater(A, B + 1), A, B), "where(a > b + 1, a, b)"),
        (bk.cast(bk.equal(A, B)) * C, "(a = b) ⊙ c"),
        (bk.maximum(A, bk.minimum(B, C)), "max(a, min(b, c))"),
        (bk.log(bk.sigm(A)), "ln(σ(a))"),
        (bk.stop_gradient(A), "stop(a)"),
        # along which axes, and which part
        (bk.sum(A * A), "Σ(a ⊙ a)"),
        (bk.sum(A * A, axis=-1), "Σ_features(a ⊙ a)"),
        (bk.sum(A, axis="batch"), "Σ_batch(a)"),
        (bk.mean(T, axis=("time", "batch")), "mean_(time, batch)(t)"),
        (bk.mean(T, axis=("time", -1), keepdims=True), "mean_(time, features)(t)"),
        (bk.max(M, axis=1), "max_1(m)"),
        (bk.softmax(M, axis=-2), "softmax_1(m)"),
        (bk.softmax(A), "softmax(a)"),
        (bk.slice(A, start=1, stop=3), "a[1:3]"),
        (bk.slice(A + B, start=1), "(a + b)[1:]"),
        (bk.slice(T, start=-2, stop=-1, axis="time"), "t[time −2:−1]"),
        (bk.slice(M, start=0, stop=2, axis=1), "m[1 0:2]"),
        (apply("pad", A, start=1, stop=4, axis=1, shape=("batch", 7)), "pad(a, 1:4)"),
        (bk.concat(A, B), "concat(a, b)"),
        (bk.concat(M, M, axis=1), "concat_1(m, m)"),
        (bk.one_hot(bk.input("ids", dtype="int"), classes=7), "one_hot(ids, classes=7)"),
        (bk.outer(T, T), "Σ_(time, batch) tᵀ t"),
        (bk.matmul(A, bk.transpose(bk.parameter("W_a", 5, 3))), "a W_aᵀ"),
        (bk.mean(T) * 2, "mean(t) ⊙ 2"),
        (bk.reshape(M, shape=("batch", 4, 1, 5)), "m"),
        (bk.reshape(M, shape=("batch", 5, 4)), "reshape(m, 5 × 4)"),
        (bk.moveaxis(M, source=1, destination=2), "moveaxis(m, source=1, destination=2)"),
        (bk.reshape(M, shape=("batch", 2, 10))[:, :, 0], "reshape(m, 2 × 10)[0:1]"),
        (bk.stack(A, A * 2), "stack(a, a ⊙ 2)"),
        (bk.stack(A, A * 2, axis=1), "stack_1(a, a ⊙ 2)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_as_it_is_written(wire: bk.Node, text: str) -> None:
    assert said(wire) == [f"y = {text}"]


def test_two_values_are_never_written_alike() -> None:
    """Operations of one kind that differ in an attribute differ on paper."""
    x = bk.input("x", shape=("batch", 4, 5))
    alike = [
        [bk.sum(x, axis=a) for a in (0, 1, 2, (0, 1), (1, 2), (0, 1, 2))],
        [bk.softmax(x, axis=a) for a in (0, 1, 2)],
        [bk.slice(x, start=s, stop=e, axis=a) for s, e, a in ((0, 2, 1), (0, 2, 2), (1, 2, 2), (1, 3, 2))],
        [bk.concat(x, x, axis=a) for a in (1, 2)],
        [bk.one_hot(bk.input("ids", dtype="int"), classes=c) for c in (3, 4)],
    ]
    for group in alike:
        assert len({said(wire)[0] for wire in group}) == len(group)


def test_every_operation_is_written() -> None:
    """A sign stands between two operands, or is a word or a mark; no two elementwise ones share it and an arity."""
    for op in OPS.values():
        assert sign_of(op) and op.sign != op.name
        assert is_silent(op) == (op.sign == "")
    between = [sign_of(op) for op in OPS.values() if sign_of(op) in BETWEEN]
    assert sorted(between) == sorted([*BETWEEN, "−"])  # − stands before one operand, too


def test_a_sign_of_ones_own() -> None:
    """An operation of a user's is written by its sign, in formulas and in figures; without one by its name."""
    try:
        import numpy as np

        sine = elementwise("test_sine", "sin x", np.sin, lambda g, y, x: (g * y,), sign="sin")
        bare = elementwise("test_bare", "x", lambda x: x, lambda g, y, x: (g,))
        x, h = bk.input("x", 3), bk.state("h", 3)
        cell = bk.Cell({h: sine(bk.TANH(3, name="in")(x, h)) * bare(h)}, h)
        assert "h = sin(in) ⊙ test_bare(h')" in equations(cell.graph)
        drawn = {s.lines[0].plain for s in cell.draw().scene.shapes if s.kind == "operation"}
        assert drawn == {"sin", "test_bare", "×"}
    finally:
        OPS.pop("test_sine", None), OPS.pop("test_bare", None)


def test_runs() -> None:
    """Names and exponents are marked, for those who set them; as text they are one line."""
    x, h = bk.input("x", 3), bk.state("h", 4)
    runs = equation_lines(bk.Cell({h: bk.TANH(4, name="f")(x, h) ** 2}, h).graph)[0].runs
    assert runs[:4] == (Run("f"), Run(" = "), Run("tanh"), Run("("))
    assert {Run("x", "sub"), Run("h", "sub"), Run("'", "accent")} <= set(runs)
    assert plain((Run("Σ"), Run("time, batch", "sub"), Run("W"), Run("T", "super"))) == "Σ_(time, batch)Wᵀ"
    assert name("W_x").runs == (Run("W"), Run("x", "sub")) and name("W_x").plain == "W_x"
    for text in ("my_wire", "W_", "_x", "W_one/h", "W_</svg>"):
        assert name(text).runs == (Run(text),) and name(text).plain == text
    assert name("h", before=True).plain == "h'"


@pytest.mark.parametrize(
    ("printed", "runs"),
    {
        "1e-06": (Run("10"), Run("−6", "super")),
        "2.5e-05": (Run("2.5·10"), Run("−5", "super")),
        "-3e+08": (Run("−3·10"), Run("8", "super")),
        "-1e+100": (Run("−10"), Run("100", "super")),
        "-0.5": (Run("−0.5"),),
        "-inf": (Run("−∞"),),
        "nan": (Run("nan"),),
        "12": (Run("12"),),
    }.items(),
)
def test_numbers(printed: str, runs: tuple[Run, ...]) -> None:
    """A power of ten is raised, and a minus is one."""
    assert numeral(printed).runs == runs


def test_exponents() -> None:
    """What is raised has no parentheses, and as text those that it needs."""
    assert write(A ** (B + 1), [name("a"), Formula((Run("b + 1"),), SUM)]).runs == (Run("a"), Run("b + 1", "super"))
    assert [plain((Run("a"), Run(text, "super"))) for text in ("−12", "b", "0.5", "b + 1", "10⁻⁶")] == [
        "a⁻¹²", "a^b", "a^0.5", "a^(b + 1)", "a^(10⁻⁶)"
    ]  # fmt: skip


def test_text_for_programs() -> None:
    """Over words a product has its dot, and binds less than a product of elements."""
    product = bk.matmul(A, bk.parameter("W", 3, 2))
    assert write_text(product, [("rows", ATOM), ("total + b", SUM)]) == ("rows · (total + b)", DOT)
    assert write_text(A * B, [("x · W", DOT), ("y", ATOM)])[0] == "(x · W) ⊙ y"
    assert write_text(bk.outer(A, B), [("rows", ATOM), ("g", ATOM)])[0] == "rowsᵀ · g"
    assert write(A * B, [name("W_a"), name("b")]).plain == "W_a ⊙ b"


# --- which values get a line, and what they are called -------------------------------------------


@pytest.mark.parametrize("output", ["h", "oh", "o", "b", "= x"])
def test_no_output_is_lost(output: str) -> None:
    """Whatever an output is called: the end of another name, a state's, a brick's."""
    x, oh = bk.input("x", 2), bk.state("oh", 2)
    brick = bk.TANH(2, name="b")(x, oh)
    lines = equations(bk.Cell({oh: brick}, {output: x * oh, "last": x}).graph)
    shown = {line.split(" = ")[0]: line.rpartition(" = ")[2] for line in lines}
    assert shown["b"].startswith("tanh(") and shown["oh"] == "b" and shown["last"] == "x"
    other = output if output not in ("oh", "b") else f"output {output}"
    assert f"{other} = x ⊙ oh'" in lines
    passed = equations(bk.Cell({oh: brick}, {output: x}).graph)  # an output that is an input has no line but this
    assert f"{other} = x" in passed
    assert len({line.rpartition(" = ")[0] for line in lines}) == len(lines)


def test_a_name_stands_for_one_value() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    twice = bk.TANH(3, name="twice")
    lines = equations(bk.Cell({h: twice(x) * twice(h)}, {"x": bk.exp(x)}).graph)
    names = [line.split(" = ")[0] for line in lines]
    assert len(set(names)) == len(names)
    assert "h = twice ⊙ twice_2" in lines and "output x = exp(x)" in lines
    steps = equations(bk.unroll(bk.cells.srn(2, 3), 3))
    names = [line.split(" = ")[0] for line in steps]
    assert len(set(names)) == len(names) and "hidden(3) = tanh(x(3) W_x + hidden(2) W_h + b)" in steps


def test_a_long_formula_is_written_once() -> None:
    s = bk.concat(A[:, 1:], A[:, :1])
    for _ in range(20):
        s = bk.concat(s[:, 1:] + s[:, :-1], s[:, :1])
    lines = said(s)
    assert lines[:2] == ["v1 = concat(a[1:], a[0:1])", "v2 = concat(v1[1:] + v1[0:−1], v1[0:1])"]
    assert max(map(len, lines)) < 60


def test_equations_take_time_in_proportion() -> None:
    """The line of each of many bricks is found without looking at all others: operands are looked at a few times
    each."""
    looked = 0

    class Counting(tuple):  # a tuple of operands that counts how often it is walked
        def __iter__(self) -> Any:
            nonlocal looked
            looked += 1
            return super().__iter__()

    wire = bk.input("x", 2)
    for number in range(200):
        wire = bk.TANH(2, name=f"b{number}")(wire)
    graph = bk.Graph({"y": wire})
    for node in graph.order():
        object.__setattr__(node, "operands", Counting(node.operands))
    equations(graph)
    assert looked < 8 * len(graph.order())
