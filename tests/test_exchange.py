"""What is written for other frameworks, as text: it needs none of them. `.ci/more exchange` runs it in them."""

import ast
import builtins
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as given_by

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.exchange.given import given
from blocks.exchange.jax import JAX, jax_source
from blocks.exchange.numpy import NUMPY, numpy_source
from blocks.exchange.onnx.rows import ONNX
from blocks.exchange.torch import TORCH, TorchModule, torch_source
from blocks.exchange.walk import STRUCTURE, all_nodes, ready
from blocks.graph import OPS

from .command import blocks
from .exchange.examples import EXAMPLES
from .exchange.exported import alone
from .strategies import wide
from .test_gallery import scanned
from .test_ops import TABLE

RECORDED = Path(__file__).parent / "data" / "exported"
DIALECTS = {"torch": TORCH, "jax": JAX, "numpy": NUMPY, "onnx": ONNX}
WRITERS = {"torch": torch_source, "jax": jax_source, "numpy": numpy_source}
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


@pytest.mark.parametrize("language", ["torch", "jax"])  # in NumPy a ufunc is its own row
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
    op = sinh(rows={DIALECTS[language].key: "(exp_({0}) - exp_(-{0})) / 2.0"})
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
    with pytest.raises(
        bk.BlocksError, match="to_torch needs the package torch, which is not installed: pip install torch"
    ):
        bk.to_torch(bk.cells.srn(2, 3))


def test_a_known_cell_is_an_operator() -> None:
    x, h = bk.input("x", 3), bk.state("h", 4)
    r, z = bk.SIGM(4, name="r", bias=False)(x, h), bk.SIGM(4, name="z")(x, h)
    new = z * bk.tanh(bk.ADD(4, name="n", bias=False)(x) + bk.ADD(4, name="nh")(h) * r) + (1 - z) * h
    turned = bk.Cell(states={h: new}, outputs=new)  # a GRU whose update gate is 1 − z
    xs = bk.sequence("x", 3)
    ys = bk.concat(bk.scan(turned, xs), bk.scan(bk.cells.lstm(3, 4, name="lstm"), xs, reverse=True))
    graph = bk.Graph({"y": bk.scan(bk.cells.gru(8, 4, name="before"), ys)})
    source = torch_source(given(graph), fused=True)
    check_text(source)
    assert "W_x = torch.cat((self.r.W_x, -self.z.W_x, self.n.W_x), 1)" in source
    assert "torch.cat((self.lstm_input.b, self.lstm_forget.b, self.lstm_candidate.b, self.lstm_output.b))" in source
    assert "fused(torch.gru, x, (h,), W_x, W_h, b, b_h)" in source
    assert re.search(r"fused\(torch.lstm, x, \(lstm_h, lstm_C\), W_x_2, W_h_2, b_2, reverse=True\)", source)
    assert "def before(self" in source and "def lstm(self" not in source  # the reset before the product has no operator


@pytest.mark.parametrize("name", ["gru", "lstm_peephole", "mgu", "lstm_layernorm"])
def test_what_has_no_operator_is_not_fused(name) -> None:
    _, graph, _ = scanned(name)
    with pytest.raises(bk.BlocksError, match="fused=True: no loop here is an LSTM, a GRU"):
        torch_source(given(graph), fused=True)


# --- in NumPy, the numbers too -------------------------------------------------------------------


def compared(graph: bk.Graph, *feeds: dict) -> None:
    """The text for NumPy has the numbers of `run`, at several sizes."""
    weights = {n: feeds[0][n] for n in graph.params}
    function = bk.to_numpy(graph, weights=weights)
    for fed in feeds:
        got = function(weights, **{n: v for n, v in fed.items() if n not in weights})
        for name, want in bk.run(graph, fed).items():
            np.testing.assert_allclose(got[name], want, atol=1e-11 * max(1.0, np.abs(want).max()), err_msg=name)
            assert np.shape(got[name]) == want.shape and np.asarray(got[name]).dtype == want.dtype


@pytest.mark.parametrize("name", sorted(set(OPS) - set(STRUCTURE)))
def test_the_numbers_of_operations(name) -> None:
    wire, feeds, _ = TABLE[name]
    compared(bk.Graph({"y": wire}), feeds)


@pytest.mark.parametrize("name", GALLERY)
def test_the_numbers_of_the_gallery(name) -> None:
    _, graph, feeds = scanned(name)
    rng = np.random.default_rng(3)
    compared(graph, feeds, *({**feeds, "x": rng.normal(size=(*s, feeds["x"].shape[-1]))} for s in [(1, 1), (3, 4)]))
    ys = graph.outputs["y"]
    compared(bk.grad(bk.Graph({"loss": bk.mean(ys * ys), "y": ys})), feeds)


@given_by(wide())
def test_the_numbers_of_random_networks(made) -> None:
    compared(made.graph, made.feeds)
    compared(made.gradient(), made.feeds)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_numbers_of_recorded_texts_alone(name) -> None:
    """Where blocks cannot be imported."""
    alone("numpy", name)


def test_a_function_takes_and_gives_what_predict_does() -> None:
    rng = np.random.default_rng(1)
    mask = bk.sequence("mask")
    h, last = bk.scan(bk.cells.lstm(3, 4), bk.sequence("x", 3), mask=mask, final=True)
    model = bk.Model(outputs={"y": bk.ADD(2, name="out")(h), "C": last["C"]}, dtype="float64")
    data = {
        "x": rng.normal(size=(5, 7, 3)),
        "mask": np.arange(7) < rng.integers(1, 8, (5, 1)),
        "h": rng.normal(size=(5, 4)),
    }
    data["mask"] = data["mask"] * 1.0
    f = bk.to_numpy(model)
    want, states = model.predict(data, final=True)
    got, finals = f(f.params, **data, final=True)
    assert list(f(f.params, **data)) == ["y", "C"]
    for wanted, found in ((want, got), (states, finals)):
        assert set(wanted) == set(found)
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key], value, atol=1e-13)
    alone_ = bk.Model(outputs=bk.ADD(2, name="out")(bk.scan(bk.cells.srn(3, 4), bk.sequence("x", 3))), dtype="float64")
    f = bk.to_numpy(alone_)
    np.testing.assert_allclose(f(f.params, data["x"]), alone_.predict({"x": data["x"]}), atol=1e-13)
    alone_.weights["out.b"][:] = 1.5  # the memory is shared
    np.testing.assert_allclose(f(f.params, data["x"]), alone_.predict({"x": data["x"]}), atol=1e-13)


def test_inputs_by_other_names_than_identifiers() -> None:
    cell = bk.layers(bk.cells.srn(2, 3), bk.cells.srn(3, 3))
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 2))})
    f, rng = bk.to_numpy(graph), np.random.default_rng(0)
    feeds = {"x": rng.normal(size=(4, 2, 2)), "layer2/h": rng.normal(size=(2, 3))}
    np.testing.assert_allclose(f(f.params, **feeds)["y"], bk.run(graph, {**f.params, **feeds})["y"], rtol=1e-5)
    with pytest.raises(TypeError, match="unknown inputs: layer3/h"):
        f(f.params, **{**feeds, "layer3/h": 0})


def test_sizes_of_what_may_be_fed() -> None:
    h = bk.state("h", 3)
    step = bk.to_numpy(bk.Cell(states={h: bk.tanh(h) + bk.zeros(("batch", 3))}, outputs=h))
    fed = np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(step({}, h=fed)["next/h"], np.tanh(fed))
    with pytest.raises(ValueError, match="the size of 'batch' is unknown: no input that has it is given"):
        step({})


def test_draws_are_their_expectation_or_fed() -> None:
    graph = bk.Graph({"y": bk.dropout(bk.input("x", 3), 0.25, name="keep") + bk.uniform(3, low=1.0, high=2.0)})
    f, x = bk.to_numpy(graph), np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(f({}, x)["y"], x + 1.5)
    np.testing.assert_allclose(f({}, x, keep=np.zeros((2, 3)))["y"], np.full((2, 3), 1.5))


def test_large_constants_are_bytes() -> None:
    rng = np.random.default_rng(0)
    for size in (3, 9):
        matrix = rng.normal(size=(size, size))
        graph = bk.Graph({"y": bk.input("x", size) @ bk.constant(value=matrix)})
        f, x = bk.to_numpy(graph), rng.normal(size=(2, size))
        assert ("unpacked(" in f.source) == (size > 8)
        assert np.array_equal(f({}, x)["y"], x @ matrix)


# --- the command line ----------------------------------------------------------------------------


def test_export_writes_what_the_functions_do(tmp_path) -> None:
    model = EXAMPLES["lstm"]()
    model.save(tmp_path / "model.safetensors")
    for language in WRITERS:
        done = blocks("export", "model.safetensors", "--to", language, "-o", "out.py", cwd=tmp_path)
        assert done.returncode == 0 and done.stdout == "written: out.py\n", done.stderr
        assert (tmp_path / "out.py").read_text(encoding="utf-8") == written(language, model)
    assert (
        blocks("export", "gru", "--to", "python", "-o", "gru.py", "--inputs", 3, "--units", 5, cwd=tmp_path).returncode
        == 0
    )
    assert (tmp_path / "gru.py").read_text(encoding="utf-8") == bk.to_python(bk.cells.gru(3, 5), called="gru")
    done = blocks(
        "export", "gru.py:gru", "--to", "numpy", "-o", "step.py", cwd=tmp_path
    )  # the file is one to call again
    assert done.returncode == 0 and "def network(params, x, h=None)" in (tmp_path / "step.py").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    "args, said",
    [
        (
            ("lstm", "--to", "troch"),
            r"no language 'troch' \(did you mean 'torch'\?\); there are numpy, python, torch, jax",
        ),
        (("lstmm", "--to", "torch"), "no cell 'lstmm' in the gallery"),
        (("note.txt", "--to", "jax"), "note.txt"),
    ],
)
def test_export_refuses(tmp_path, args, said) -> None:
    (tmp_path / "note.txt").write_text("no model")
    done = blocks("export", *args, "-o", "out.py", cwd=tmp_path)
    assert done.returncode == 2 and re.search(said, done.stderr) and "Traceback" not in done.stderr
    assert not (tmp_path / "out.py").exists()
