"""What is written for other frameworks, as text: it needs none of them. `.ci/more exchange` runs it in them."""

import ast
import builtins
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as given_by

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.exchange.given import given
from blocks.exchange.torch import TORCH, TorchModule, torch_source
from blocks.exchange.walk import STRUCTURE, all_nodes, ready
from blocks.graph import OPS

from .exchange.examples import EXAMPLES
from .strategies import wide
from .test_gallery import scanned
from .test_ops import TABLE

RECORDED = Path(__file__).parent / "data" / "exported"
DIALECTS = {"torch": TORCH}
WRITERS = {"torch": torch_source}
EACH = pytest.mark.parametrize("language", WRITERS)


def written(language: str, graph, **options) -> str:
    return WRITERS[language](given(graph, **options))


def loose_names(source: str) -> set[str]:
    """The names that a text uses and that nothing in it makes: in each function what it assigns and takes, what the
    functions around it do, and what the text imports and defines."""
    found: set[str] = set()

    def look(body: list[ast.stmt], known: set[str]) -> None:
        here = set(known)
        inner: list[ast.FunctionDef | ast.ClassDef | ast.Lambda] = []
        loads: list[str] = []
        pending: list[ast.AST] = [*body]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                here.add(node.name)
                inner.append(node)
                pending += node.args.defaults if isinstance(node, ast.FunctionDef) else node.bases
                continue
            if isinstance(node, ast.Lambda):
                inner.append(node)
                continue
            if isinstance(node, ast.Import | ast.ImportFrom):
                here |= {(a.asname or a.name).partition(".")[0] for a in node.names}
            if isinstance(node, ast.Name):
                (loads.append if isinstance(node.ctx, ast.Load) else here.add)(node.id)
            pending += ast.iter_child_nodes(node)
        found.update(name for name in loads if name not in here and not hasattr(builtins, name))
        for one in inner:
            if isinstance(one, ast.ClassDef):
                for method in one.body:
                    look([method], here)
                continue
            takes = {a.arg for a in [*one.args.args, one.args.vararg, one.args.kwarg] if a}
            look(one.body if isinstance(one.body, list) else [ast.Expr(one.body)], here | takes)

    look(ast.parse(source).body, set())
    return found


def check_text(source: str) -> None:
    """What every text keeps: it is Python, alone, and each name in it is made before it is used."""
    compile(source, "exported", "exec")
    assert not loose_names(source), source
    assert not re.search(r"^\s*(import|from) blocks", source, re.MULTILINE)
    assert "hole__" not in source


def test_loose_names_are_found() -> None:
    assert loose_names("import a\ndef f(x, y=b):\n    z = x + a + len(u)\n    return lambda v: v + w + z") == set("buw")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("name", sorted(set(OPS) - set(STRUCTURE)))
def test_every_operation_has_a_row_or_parts(name, dialect) -> None:
    wire, _, _ = TABLE[name]
    nodes = [node for node in all_nodes(bk.Graph({"y": wire})) if node.op.name == name]
    assert nodes and all(dialect.covers(node) or node.op.expand is not None for node in nodes)


@EACH
@pytest.mark.parametrize("name", sorted(set(OPS) - set(STRUCTURE)))
def test_every_operation_is_written(name, language) -> None:
    check_text(written(language, bk.Graph({"y": TABLE[name][0]})))


@pytest.fixture
def sinh():
    """An operation of a user's, which leaves the table after the test."""
    made = []

    def define(**options):
        made.append(bk.elementwise("sinh", "sinh x", np.sinh, None, **options))
        return made[0]

    yield define
    OPS.pop("sinh", None)


@pytest.mark.parametrize("language", ["torch"])  # in NumPy a ufunc is its own row
def test_an_operation_without_a_row_is_refused_by_name(sinh, language) -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    cell = bk.Cell(states={h: sinh()(x + h)}, outputs=h)
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 3))})
    with pytest.raises(
        bk.BlocksError, match=r"'sinh' has no row for \w+, asked for by sinh \(batch, 3\) made at test_e"
    ):
        written(language, graph)


@EACH
def test_an_operation_says_its_own_row(sinh, language) -> None:
    op = sinh(rows={language: "(exp_({0}) - exp_(-{0})) / 2.0"})
    source = written(language, bk.Graph({"y": op(bk.input("x", 3) * 2.0)}))
    assert "total = x * 2.0" in source.replace("product", "total")  # used twice, so it has a line
    assert re.search(r"\(exp_\((\w+)\) - exp_\(-\1\)\) / 2.0", source)


@pytest.mark.parametrize(
    "row, said",
    [
        ("sinh({3})", r"the row 'sinh\(\{3\}\)' of operation 'sinh' has no \{3\}; it may have \{0\}, \{sizes\} and"),
        ("sinh({0}", "of operation 'sinh' is no expression"),
    ],
)
def test_a_row_that_is_none_is_refused(sinh, row, said) -> None:
    graph = bk.Graph({"y": sinh(rows={"torch": row})(bk.input("x", 3))})
    with pytest.raises(bk.BlocksError, match=said):
        written("torch", graph)


@EACH
def test_a_loop_over_blocks_is_refused(language) -> None:
    ys = bk.scan(bk.cells.srn(3, 4), bk.sequence("x", 3))
    gradient = bk.grad(bk.Graph({"loss": bk.mean(ys)}))
    with pytest.raises(bk.BlocksError, match=r"a loop over blocks of steps \(every=2\)"):
        written(language, bk.compile(gradient, checkpoint=2, passes=True).passes["checkpoint"])


@EACH
@pytest.mark.parametrize("name", GALLERY)
def test_the_gallery_is_written(name, language) -> None:
    cell, graph, feeds = scanned(name)
    weights = {n: feeds[n] for n in graph.params}
    check_text(written(language, graph, weights=weights))
    check_text(written(language, cell))
    ys = graph.outputs["y"]
    check_text(written(language, bk.grad(bk.Graph({"loss": bk.mean(ys * ys)})), weights=weights))


@EACH
@given_by(wide())
def test_random_networks_are_written(language, made) -> None:
    check_text(written(language, made.graph, weights={n: made.feeds[n] for n in made.graph.params}))


@EACH
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_is_as_recorded(name, language) -> None:
    """The texts that `.ci/more exchange` has run; `python -m tests.exchange.examples` writes them anew."""
    assert written(language, EXAMPLES[name]()) == (RECORDED / f"{name}.{language}.txt").read_text(encoding="utf-8")


HOSTILE = 'x"""\\); import os  #{0}{sizes}'


@EACH
def test_hostile_names_are_text(language) -> None:
    x, h = bk.input(HOSTILE, 3), bk.state("self", 3)
    brick = bk.TANH(3, name='b"""; {import} \\')
    cell = bk.Cell(states={h: brick(x, h)}, outputs={HOSTILE: h}, name="class")
    ys = bk.scan(cell, bk.sequence(HOSTILE, 3))
    y = bk.ADD(2, name="forward.forward..")(ys)
    graph = bk.Graph({HOSTILE: y, "None": bk.named("torch", y + 1.0)})
    source = written(language, graph)
    check_text(source)
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
    assert {a.name for node in calls for a in node.names} <= {
        "torch",
        "torch.nn.functional",
        "numpy",
        "jax",
        "jax.numpy",
    }
    keys = {k.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict) for k in node.keys}
    assert {HOSTILE, "None"} <= keys


def test_where_weights_stand_in_a_module() -> None:
    made = TorchModule(given(bk.Graph({"y": bk.parameter("a.b", 2) * bk.parameter("a", 2) + bk.parameter("train", 2)})))
    assert made.paths == {"a.b": "a.b", "a": "a_", "train": "train_"}


@EACH
def test_what_a_loop_needs_is_bound_before_it(language) -> None:
    """A constant of a loop that is computed is computed once, not at each step."""
    x, k, h = bk.input("x", 3), bk.input("k", shape=(3,)), bk.state("h", 3)
    cell = bk.Cell(states={h: bk.tanh(x + h * k)}, outputs=h)
    context = bk.exp(bk.input("context", shape=(3,)))
    source = written(language, bk.Graph({"y": bk.scan(cell, {"x": bk.sequence("x", 3), "k": context})}))
    called = next(line for line in source.splitlines() if "cell(" in line and "def " not in line)
    assert "exp(" in source and "exp(" not in called


@EACH
def test_constants_of_constants_are_folded(language) -> None:
    h = bk.state("h", 3)
    cell = bk.Cell(states={h: (1 - bk.SIGM(3, name="z")(h)) * bk.input("x", 3)}, outputs=h)
    source = written(language, cell)
    assert "1.0 - z" in source and "int64" not in source


def test_what_is_no_graph_is_refused() -> None:
    graph = bk.Graph({"y": bk.ADD(3, name="out")(bk.input("x", 4))})
    weights = graph.init(1)
    for wrong, said in (
        ({**weights, "out.W": 1}, r"weights for 'out.W', which the graph does not have \(did you mean 'out.W_x'"),
        ({"out.b": weights["out.b"]}, r"no weights for 'out.W_x' \(4, 3\)"),
        ({**weights, "out.b": np.ones(4)}, r"'out.b' is \(3\); float64 of shape \(4,\) does not fit"),
        ({**weights, "out.b": np.ones(3, int)}, r"int64 of shape \(3,\) does not fit"),
    ):
        with pytest.raises(bk.BlocksError, match=said):
            given(graph, wrong)
    with pytest.raises(bk.BlocksError, match="a Graph, a Cell or a Model is exported, not a function"):
        given(bk.cells.lstm)
    model = bk.Model(outputs=bk.ADD(3, name="out")(bk.input("x", 4)), trials=2)
    with pytest.raises(bk.BlocksError, match="2 trials, which are not exported as a model"):
        given(model)


def test_ready_leaves_the_numbers_as_they_are() -> None:
    for name in ("gru", "lstm_layernorm", "mlstm", "lmu"):
        _, graph, feeds = scanned(name)
        ys = graph.outputs["y"]
        gradient = bk.grad(bk.Graph({"loss": bk.mean(ys * ys), "end": bk.last(ys, bk.sequence("mask"))}))
        feeds = {**feeds, "mask": np.ones((5, 2))}
        prepared = ready(gradient, lambda node: node.op.expand is None, "nothing").verify()
        assert not any(node.op.expand for node in all_nodes(prepared))
        for key, value in bk.run(gradient, feeds).items():
            np.testing.assert_allclose(bk.run(prepared, feeds)[key], value, atol=1e-13)


def test_a_framework_is_asked_for_by_name(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(bk.BlocksError, match="PyTorch, which is not installed: pip install torch"):
        bk.to_torch(bk.cells.srn(2, 3))


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, blocks, blocks.cli; print([m for m in ('torch', 'jax', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
