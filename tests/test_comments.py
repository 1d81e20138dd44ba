"""The formulas above the stages of a program are true: each is evaluated on what its stage took and made."""

import re

import numpy as np
import pytest

import blocks as bk
from blocks.compile import compile
from blocks.compile.comments import Line, above
from blocks.compile.numpy import runtime
from blocks.compile.numpy.source import write
from blocks.compile.numpy.statements import in_place
from blocks.compile.plan.plan import make_plan
from blocks.interpret import bind

from .test_compile import peephole, training_step

FUNCTIONS = {n: getattr(np, n) for n in ("tanh", "exp", "log", "sqrt", "abs", "sign", "maximum", "minimum", "negative")}
FROM_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
FUNCTIONS |= {"max": np.maximum, "min": np.minimum, "ln": np.log}
FUNCTIONS |= {"relu": lambda v: np.maximum(v, 0), "square": np.square}


def outer(a, b):
    return a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])


def as_python(formula):
    formula = re.sub(r"(\w+)ᵀ · (\w+)", r"outer(\1, \2)", formula)
    formula = re.sub(r"√(\w+|\([^()]*\))", r"sqrt(\1)", formula)
    formula = re.sub(r"\|([^|]*)\|", r"abs(\1)", formula)
    formula = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: "**" + m[0].translate(FROM_RAISED), formula)
    return formula.replace("⊙", "*").replace("^", "**").replace("−", "-").replace("·", "@")


def assignments(comments):
    """(variable, formula) of the lines above a stage; labels of bricks left out."""
    parts = [part for line in comments for part in line.strip()[2:].split("; ")]
    return [tuple(p.split(": ")[-1].split(" = ", 1)) for p in parts if " = " in p and "…" not in p]


class Judge:
    """Evaluates formulas; counts what is true, and keeps what is false."""

    def __init__(self):
        self.true, self.skipped, self.false = 0, 0, []

    def look(self, *names):
        """Copies of the arrays that some lambdas give, name → array."""
        found = {}
        for name, value in names:
            try:
                found[name] = np.array(value())
            except NameError:  # not made yet
                continue
        return found

    def check(self, formulas, written, before, after):
        """Values of variables that the stage does not write may be views of what it makes."""
        targets = [variable for variable, _ in formulas]
        for values in (before, {**before, **{n: v for n, v in after.items() if n not in written}}):
            verdicts, now = [], {**FUNCTIONS, "outer": outer, **values}
            for i, (variable, formula) in enumerate(formulas):
                try:
                    now[variable] = eval(as_python(formula), {"__builtins__": {}}, now)
                except (NameError, TypeError, ValueError, SyntaxError):  # a sum over axes that it does not say, a view
                    verdicts.append(None)
                    now.pop(variable, None)  # what later formulas are of is not known, unless the stage leaves it
                    if variable in after and variable not in targets[i + 1 :]:
                        now[variable] = after[variable]
                    continue
                if variable in targets[i + 1 :]:
                    continue  # it is not what the stage leaves
                made, is_ = np.broadcast_to(now[variable], np.shape(now[variable])), after[variable]
                if made.size != is_.size:
                    verdicts.append(None)
                else:  # members may stand in front: the same numbers in another order
                    verdicts.append(np.allclose(np.sort(made.ravel()), np.sort(is_.ravel()), atol=1e-9))
            if False not in verdicts:
                break
        self.true += verdicts.count(True)
        self.skipped += verdicts.count(None)
        if False in verdicts:
            self.false.append("; ".join(f"{v} = {f}" for v, f in formulas))


def judged(program, graph, feeds):
    """A judge who saw one run of a program."""
    text = write(make_plan(program.lowered, in_place), program.lowered)
    assert text.source == program.source
    judge, out, lines = Judge(), [], text.source.split("\n")
    at = 0
    while at < len(lines):
        comments = []
        while lines[at].lstrip().startswith("# ") and " = " in lines[at]:
            comments.append(lines[at])
            at += 1
        if not comments:
            out.append(lines[at])
            at += 1
            continue
        indent = comments[0][: len(comments[0]) - len(comments[0].lstrip())]
        stage = []
        while re.match(rf"{indent}(?!#|for |with |return|np\.copyto)\S", lines[at]):
            stage.append(lines[at])
            at += 1
        formulas = assignments(comments)
        names = sorted(set(re.findall(r"[a-z_]\w*", as_python(" ".join(" ".join(f) for f in formulas)))) - {"outer"})
        names = [n for n in names if n not in FUNCTIONS]
        look = f"JUDGE.look({', '.join(f'({n!r}, lambda: {n})' for n in names)})"
        written = set(re.findall(r"out=(\w+)", "\n".join(stage)))
        out += [f"{indent}before_ = {look}", *stage, f"{indent}JUDGE.check({formulas!r}, {written!r}, before_, {look})"]
    space = {"np": np, "rt": runtime, "JUDGE": judge, "__name__": "blocks.compiled"}
    exec("\n".join(out), space)
    arrays, context = bind(graph, feeds)
    space["allocate"](context.dims, context.dtype, text.constants)(arrays)
    return judge


@pytest.mark.parametrize("every", [None, 3])
@pytest.mark.parametrize(
    "make", [bk.cells.lstm, bk.cells.gru, bk.cells.gru_reset_after, bk.cells.srn, bk.cells.book_lstm, peephole]
)
def test_formulas_are_true(make, every) -> None:
    graph, _ = training_step(make(3, 3) if make is bk.cells.book_lstm else make(3, 5))
    rng = np.random.default_rng(0)
    feeds = {**graph.init(1, "float64"), "x": rng.standard_normal((7, 2, 3)), "t": rng.standard_normal((7, 2, 2))}
    judge = judged(compile(graph, checkpoint=every), graph, feeds)
    assert not judge.false, judge.false[:5]
    assert judge.true > 2 * judge.skipped and judge.true > 20, (judge.true, judge.skipped)


def test_a_value_that_is_overwritten_keeps_its_name() -> None:
    x, y, z = (bk.input(n, 2) for n in "xyz")
    lines = [
        Line(x * y, ["v", "y"], "t", False),
        Line(x + z, ["v", "z"], "v", False),
        Line(x - y, ["t", "v"], "r", False),
    ]
    assert above("", lines) == ["t = v ⊙ y; r = t − (v + z)"]


def test_products_of_two_kinds_are_held_apart() -> None:
    x, w = bk.input("x", 2), bk.parameter("w", 2, 2)
    lines = [
        Line(x * x, ["x", "y"], "a", False),
        Line(x @ w, ["a", "w"], "b", False),
        Line(x * x, ["x", "b"], "c", False),
    ]
    assert above("brick", lines) == ["brick: c = x ⊙ ((x ⊙ y) · w)"]


def test_a_long_formula_is_cut_into_named_ones() -> None:
    x = bk.input("x", 2)
    lines = [Line(bk.tanh(x), [f"v{k}"], f"v{k + 1}", False) for k in range(60)]
    shown = "; ".join(above("", lines)).split("; ")
    assert 1 < len(shown) < 10 and shown[-1].startswith("v60 = tanh(")
    assert sum(line.count("tanh") for line in shown) == 60  # each once
