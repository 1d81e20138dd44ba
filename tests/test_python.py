"""A cell as Python: what the text makes is the cell again, node by node, name by name."""

import ast
import sys

import numpy as np
import pytest
from hypothesis import given

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.graph import OPS
from blocks.ops.random import draw_array

from .strategies import cells
from .test_gallery import SQUARE
from .wide.cells import cell as random_cell
from .wide.dice import Dice
from .wide.wires import World


def again(cell: bk.Cell, *sizes: int) -> bk.Cell:
    """The cell that its text makes."""
    return executed(bk.to_python(cell))(*sizes)


def executed(text: str):
    space: dict = {}
    exec(compile(text, "cell", "exec"), space)
    *_, called = [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]  # behind those that it scans
    return space[called]


def check(cell: bk.Cell, exactly: bool) -> bk.Cell:
    """States, inputs, outputs, weights and their first values, and numbers; `exactly`: every node in its place."""
    made = again(cell)
    for what in ("states", "inputs", "outputs", "params"):
        assert getattr(made, what) == getattr(cell, what), what
    assert {k: (w.shape, w.dtype) for k, w in made.wires.items()} == {
        k: (w.shape, w.dtype) for k, w in cell.wires.items()
    }
    one, other = (c.graph.init(3, "float64") for c in (cell, made))
    assert all(np.array_equal(one[k], other[k]) for k in one)
    assert {n.split("_")[0] for n in made.graph.draws} == {n.split("_")[0] for n in cell.graph.draws}
    if exactly:
        assert made.graph.dump() == cell.graph.dump()
        assert [n.brick for n in made.graph.order()] == [n.brick for n in cell.graph.order()]
    feeds = fed(cell.graph)
    for name, value in bk.run(cell.graph, feeds).items():
        np.testing.assert_array_equal(bk.run(made.graph, feeds)[name], value, err_msg=name)
    first, second = ({k: bk.Graph({"y": w}) for k, w in c.firsts.items()} for c in (cell, made))
    assert first.keys() == second.keys()
    for name, graph in first.items():
        assert np.array_equal(bk.run(graph, graph.init(1))["y"], bk.run(second[name], second[name].init(1))["y"])
    return made


def fed(graph: bk.Graph) -> dict:
    rng, sizes = np.random.default_rng(0), {"batch": 3, "steps": 4, "time": 5}
    feeds = {n: draw_array(node, (1, 1), sizes) for n, node in graph.fed("draw").items()}
    for name, node in {**graph.fed("parameter"), **graph.fed("input")}.items():
        shape = [sizes[d] if isinstance(d, str) else d for d in node.shape]
        kinds = {
            "float": rng.normal(0.0, 0.7, shape),
            "int": rng.integers(0, 2, shape),
            "bool": rng.random(shape) < 0.5,
        }
        feeds[name] = kinds[node.dtype]
    return feeds


@pytest.mark.parametrize("name", GALLERY)
def test_the_gallery(name) -> None:
    make = GALLERY[name].make
    sizes = (4, 4) if name in SQUARE else (3, 5)
    check(make(*sizes), exactly=True)
    check(make(*sizes, name="layer1"), exactly=True)
    text = bk.to_python(make(*sizes))
    if "inputs: int" in text and name not in {*SQUARE, "retention"}:  # it takes other sizes too; √units is a number
        assert executed(text)(7, 2).graph.dump() == make(7, 2).graph.dump()


def test_most_of_the_gallery_takes_sizes() -> None:
    texts = [bk.to_python(e.make(*((4, 4) if n in SQUARE else (3, 5)))) for n, e in GALLERY.items()]
    assert sum("inputs: int" in text for text in texts) > 0.7 * len(texts)


@given(cells(kinks=True))
def test_random_cells(cell) -> None:
    check(cell, exactly=cell.name is None)


WIDE = [*range(25), 40, 58, 175, 184, 205, 263, 277, 345]  # of 700 cells; these have taught something


@pytest.mark.parametrize("number", WIDE)
def test_cells_as_wide_as_the_language(number) -> None:
    check(random_cell(World(Dice(number), True), 3).cell, exactly=False)


def test_an_lstm_reads_as_one_would_write_it() -> None:
    assert (
        bk.to_python(bk.cells.lstm(8, 32))
        == """\
import blocks as bk


def cell(inputs: int = 8, units: int = 32, name: str | None = None) -> bk.Cell:
    x = bk.input('x', inputs)
    h = bk.state('h', units)
    C = bk.state('C', units)
    forget = bk.SIGM(units, name='forget', init={'b': 1.0})(x, h)
    input = bk.SIGM(units, name='input')(x, h)
    candidate = bk.TANH(units, name='candidate')(x, h)
    C_next = forget * C + input * candidate
    output = bk.SIGM(units, name='output')(x, h)
    h_next = output * bk.tanh(C_next)
    return bk.Cell(states={h: h_next, C: C_next}, outputs=h_next, name=name)
"""
    )


def odd() -> bk.Cell:
    """Every kind of brick and option: shared, diagonal, without a bias, with first weights of all kinds."""
    x, ids = bk.input("x", 3), bk.input("ids", dtype="int")
    h, C = bk.state("h", 4, init=[0.5, -1.0, 0.0, 2.0]), bk.state("C", 4, init=bk.tanh(bk.parameter("C0", 4, init=0.3)))
    count, memory = bk.state("count", dtype="int", init=3), bk.state("memory", shape=("batch", 4, 2))
    shared = bk.TANH(4, name="shared", bias=False, init=("uniform", -0.3, 0.2))
    a = bk.RELU(4, name="a", weights={"C": "diagonal"}, init={"W_x": "he_normal", "b": [1.0, 2.0, 3.0, -4.0]})(x, C)
    b = bk.MULTIPLY(4, name="b", bias=True, weights="scalar")(h, C)
    row = bk.EMBED(7, 4, name="row", init=("normal", 0.4))(ids)
    twice = shared(shared(h))
    net = bk.LAYERNORM(4, name="norm", epsilon=1e-3, init={"gain": 0.1})(a + b)
    gate = bk.SOFTMAX(4, name="gate", init=0.01)(bk.dropout(net, 0.25), bk.named("r", row * h))
    size = bk.RMSNORM(4, name="size")(bk.noise(gate, 0.1)) + bk.uniform(4, low=-1.0, high=0.5)
    C1 = bk.where(count > 2, gate, twice) * bk.sigm(C) + bk.max(size, axis=-1, keepdims=True)
    h1 = bk.concat(C1[:, 1:], h[:, :1]) - bk.sum(bk.stop_gradient(memory), axis="batch")[:, 0] / 3
    m1 = memory * bk.normal(std=0.2, name="shake", shape=("batch", 4, 2)) + bk.outer_each(h, bk.split(C1, 2)[0])
    states = {h: h1, C: C1, count: bk.minimum(count + 1, 9), memory: m1}
    return bk.Cell(states=states, outputs={"y": h1, "old": C, "flag": bk.abs(h1) >= 0.5})


def test_every_kind_of_brick_and_option() -> None:
    made = check(odd(), exactly=False)
    assert len(made.graph.order()) == len(odd().graph.order())
    text = bk.to_python(odd())
    for part in (
        "weights={'C': 'diagonal'}", "bias=True", "weights='scalar'", "bk.EMBED(7, 4, name='row', init=('normal', 0.4))",
        "epsilon=0.001", "bk.dropout(norm, 0.25)", "bk.noise(gate, 0.1)", "init={'gain': 0.1}", "shared_brick(shared_brick(h))",
        "C_first = bk.tanh(bk.parameter('C0', 4, init=0.3))", "bk.state('C', 4, init=C_first)", "bk.state('count', dtype='int', init=3)",
    ):  # fmt: skip
        assert part in text, (part, text)


def stack_reader(name: str | None = None) -> bk.Cell:
    """A cell that reads a memory of several rows twice at each step, backwards and under a mask, and a list."""
    x, memory = bk.input("x", 3), bk.input("memory", shape=("steps", "batch", 3))
    valid, h = bk.input("valid", shape=("steps", "batch")), bk.state("h", 4)
    reader = bk.cells.gru(3, 4, name="reader")
    there = bk.scan(reader, memory, mask=valid)
    _, last = bk.scan(reader, memory, initial={"h": bk.tanh(h)}, reverse=True, final=True)
    a, s = bk.input("a", 4), bk.state("s", 2, init=bk.parameter("s0", 2, init=0.5))
    both = bk.TANH(2, name="both")(bk.dropout(a, 0.2), s)
    pair = bk.scan(bk.Cell({s: both}, {"y": both, "twice": 2.0 * a}, name="list"), there)
    new = bk.TANH(4, name="new")(x, h, last["reader/h"], bk.mean(pair["twice"], axis="steps"))
    return bk.Cell({h: new}, {"y": new, "s": bk.max(pair["y"], axis="steps")}, name=name)


@pytest.mark.parametrize("name", [None, "outer"])
def test_a_cell_that_is_scanned_inside_stands_before(name) -> None:
    """A shared one is made once; what it is handed, and what is used of it, is written."""
    cell = stack_reader(name)
    text = bk.to_python(check(cell, exactly=False))
    assert text == bk.to_python(cell)
    assert [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)] == [
        "reader",
        "list",
        name or "cell",
    ]
    for line in (
        "reader_cell = reader()", "reader_steps_2 = bk.scan(reader_cell, memory, mask=valid)", "squashed = bk.tanh(h)",
        "reader_steps, reader_last = bk.scan(reader_cell, memory, initial={'reader/h': squashed}, reverse=True, final=True)",
        "list_steps = bk.scan(list(), reader_steps_2)", "reader_last['reader/h']", "list_steps['twice']",
    ):  # fmt: skip
        assert line in text, (line, text)
    model = bk.Model(
        outputs=bk.scan(cell, {"x": bk.sequence("x", 3)} | {n: cell.graph.fed("input")[n] for n in ("memory", "valid")})
    )
    assert "def reader(" in bk.to_python(model)


def test_a_scan_of_what_stands_elsewhere_too_is_refused() -> None:
    x, h, memory = bk.input("x", 3), bk.state("h", 4), bk.input("memory", shape=("steps", "batch", 3))
    shared = bk.TANH(4, name="shared")
    inner = bk.Cell({h: shared(x, h)}, outputs=h, name=None)
    other = bk.state("other", 4)
    cell = bk.Cell({other: shared(x, other)}, outputs=bk.sum(bk.scan(inner, memory), axis="steps"))
    with pytest.raises(
        bk.BlocksError, match=r"a scan inside .* its weights shared.W_\w \(., 4\) .* stand elsewhere too"
    ):
        bk.to_python(cell)


def test_a_brick_of_a_users_own_is_written_as_its_operations() -> None:
    class TWICE(bk.TANH):
        """tanh of twice the net input."""

        def squash(self, net):
            return bk.tanh(net * 2.0)

    x, h = bk.input("x", 3), bk.state("h", 4)
    cell = bk.Cell(states={h: TWICE(4, name="twice")(x, h)}, outputs=h)
    check(cell, exactly=False)
    assert "bk.parameter('twice.W_x', inputs, units, init='glorot')" in bk.to_python(cell)


def test_what_is_not_written_is_refused() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    with pytest.raises(
        bk.BlocksError, match="a Cell is written as Python, or those of a Graph or a Model, not a function"
    ):
        bk.to_python(bk.cells.srn)
    brick = bk.TANH(3, name="own", init=lambda rng, shape: rng.normal(size=shape))
    with pytest.raises(
        bk.BlocksError, match=r"a function makes the first weights of own.W_x \(3, 3\) made at test_python"
    ):
        bk.to_python(bk.Cell(states={h: brick(x)}, outputs=h))
    try:
        sinh = bk.elementwise("sinh", "sinh x", np.sinh, None)
        cell = bk.Cell(states={h: sinh(x)}, outputs=h)
        with pytest.raises(
            bk.BlocksError, match=r"the operation 'sinh' is not written as Python: sinh \(batch, 3\) made at"
        ):
            bk.to_python(cell)
    finally:
        OPS.pop("sinh", None)


def test_hostile_names_stay_text() -> None:
    evil = "x'); import os; os.abort() #"
    x, h = bk.input(evil, 3), bk.state("def", 3)
    cell = bk.Cell(states={h: bk.TANH(3, name='b"""\\')(x, h)}, outputs={evil: h}, name="return")
    check(cell, exactly=True)


# --- the cells of a graph ------------------------------------------------------------------------


def test_cells_are_taken_out_of_loops(tmp_path) -> None:
    """Masked, backwards, with draws, learnt first values and states whose old value is not used; from a file too."""
    x, h, old = bk.input("x", 3), bk.state("h", 4, init=bk.parameter("h0", 4, init=0.5)), bk.state("old", 4, init=0.25)
    own = bk.TANH(4, name="own")(bk.dropout(x, 0.5), h)
    mine = bk.Cell(states={h: own, old: h * 2.0}, outputs={"y": own, "z": own * 2.0}, name="mine")
    mask, xs = bk.sequence("mask"), bk.sequence("x", 3)
    both = bk.bidirectional(bk.cells.lstm(3, 4), bk.cells.gru(3, 4), xs, mask=mask)
    out = bk.scan(mine, bk.ADD(3, name="into")(both), mask=mask, reverse=True, final=True)
    outputs = {"y": out[0]["y"], "z": out[0]["z"], "end": out[1]["mine/old"]}
    model = bk.Model(outputs=outputs)
    model.save(tmp_path / "model.safetensors")
    for source in (model, bk.Graph(outputs), bk.Model.load(tmp_path / "model.safetensors")):
        text = bk.to_python(source)
        space: dict = {}
        exec(text, space)
        assert [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)] == [
            "forward",
            "backward",
            "mine",
        ]
        for called, cell in (
            ("forward", bk.cells.lstm(3, 4, name="forward")), ("backward", bk.cells.gru(3, 4, name="backward")), ("mine", mine),
        ):  # fmt: skip
            found = space[called]()
            assert found.states == cell.states and found.outputs == cell.outputs and found.params == cell.params
            feeds = fed(cell.graph)
            for name, value in bk.run(cell.graph, feeds).items():
                np.testing.assert_array_equal(bk.run(found.graph, feeds)[name], value, err_msg=name)
        again_ = space["mine"]()
        assert {s: w.attrs["default"] for s, w in again_.wires.items() if s == "mine/old"} == {"mine/old": 0.25}
        assert again_.firsts["mine/h"].name == "mine/h0"


def test_a_cell_that_is_scanned_twice_is_written_once() -> None:
    cell, other, xs = bk.cells.srn(2, 3), bk.cells.lstm(2, 3, name="lstm"), bk.sequence("x", 2)
    graph = bk.Graph({"y": bk.scan(cell, xs), "z": bk.scan(cell, xs, reverse=True), "w": bk.scan(other, xs)})
    assert bk.to_python(graph, called="rnn").count("def rnn") == 2  # the SRN, and the LSTM under a number
    with pytest.raises(bk.BlocksError, match="scans no cell"):
        bk.to_python(bk.Graph({"y": bk.input("x", 3) * 2.0}))


def test_a_row_of_a_users_own_is_imported(tmp_path, monkeypatch) -> None:
    (tmp_path / "my_doubles.py").write_text(
        "import blocks as bk\n\n"
        "twice = bk.elementwise('twice', '2 x', lambda x: 2 * x, lambda g, y, x: (2 * g,),\n"
        "                       rows={'python': 'my_doubles.twice({0})'})\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import my_doubles

    try:
        x, h = bk.input("x", 3), bk.state("h", 3)
        text = bk.to_python(bk.Cell({h: (h1 := my_doubles.twice(x + h))}, h1))
        assert "import my_doubles\n" in text and "my_doubles.twice(" in text
        scope: dict = {}
        exec(text, scope)
        assert bk.to_python(scope["cell"]()) == text
        OPS["twice"].rows["python"] = "no_such_module.twice({0})"
        with pytest.raises(
            bk.BlocksError,
            match=r"'twice' is not written as Python: .*; its row, 'no_such_module.twice\(\{0\}\)', does not",
        ):
            bk.to_python(bk.Cell({h: h1}, h1))
    finally:
        OPS.pop("twice"), sys.modules.pop("my_doubles")
