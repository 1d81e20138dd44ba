"""The compiler: every pass and the whole of it equal the interpreter."""

import multiprocessing
import pickle
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blocks as bk
from blocks.compile import PASSES, compile
from blocks.interpret import bind, execute

from .strategies import examples, graphs, networks

many = examples(60)


def single(feeds):
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in feeds.items()}


def same(expected, got, tolerance, label):
    assert set(expected) == set(got)
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(got[name], value, rtol=tolerance, atol=tolerance * scale, err_msg=f"{label}: {name}")
        assert got[name].shape == value.shape and got[name].dtype == value.dtype, (label, name)


def check(graph, feeds):
    gradient = bk.grad(graph)
    expected = bk.run(gradient, feeds)
    lowered = gradient
    arrays, context = bind(gradient, feeds)  # a pass may find that an input is not needed
    for name, change in PASSES:
        lowered = change(lowered).verify()
        same(expected, execute(lowered, arrays, context), 1e-10, name)
    program = compile(gradient)
    first = program(feeds)
    same(expected, first, 1e-10, "program")
    held = {k: v.copy() for k, v in first.items()}
    again = program({k: v * 0.5 if v.dtype.kind == "f" and k != "mask" else v for k, v in feeds.items()})
    assert again.keys() == held.keys()
    same(held, first, 0.0, "results that a caller holds")
    same(bk.run(gradient, single(feeds)), program(single(feeds)), 1e-4, "float32")


@many
@given(networks(kinks=True))
def test_random_cells(case) -> None:
    check(*case)


@many
@given(graphs(kinks=True))
def test_random_graphs(case) -> None:
    check(*case)


@pytest.mark.parametrize("every", [None, 3])
def test_states_that_change_in_place(every) -> None:
    """A next value that is an operation on the state itself is written over it, but not before all has read it."""
    x, h = bk.input("x", 4), bk.state("h", 4)
    steps = [
        h + bk.TANH(4, name="u")(h, x),
        h * bk.tanh(h + x),
        h - bk.SIGM(4, name="u")(x) * bk.tanh(h),
        h / (1.0 + h * h),
        bk.maximum(h, h * x),
        h + 0.5 * bk.TANH(4, name="u", weights="diagonal")(x, h),
        x * h + h,
    ]
    rng = np.random.default_rng(10)
    for k, h1 in enumerate(steps):
        _, last = bk.scan(bk.Cell(states={h: h1}, outputs=x), bk.sequence("x", 4), final=True)
        forward = bk.Graph({"h": last["h"]})
        gradient = bk.grad(bk.Graph({"loss": bk.mean(last["h"] * last["h"])}), wrt=["h", "x", *forward.params])
        for graph in (forward, gradient):
            for T in (1, 2, 7):
                feeds = {**graph.init(1, "float64"), "x": rng.standard_normal((T, 3, 4)) * 0.5}
                feeds["h"] = rng.standard_normal((3, 4))
                same(bk.run(graph, feeds), bk.compile(graph, checkpoint=every)(feeds), 1e-10, f"step {k}, {T}")


# --- in blocks of steps --------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of some elements, so that small arrays are cut up too."""
    monkeypatch.setattr("blocks.ops.loop.WORTH_BLOCKS", 1)
    monkeypatch.setattr("blocks.ops.loop.CACHED", 7)


@examples(30)
@given(case=networks(kinks=True), every=st.sampled_from([1, 2, 3, 7, "sqrt"]))
def test_random_cells_in_small_blocks_and_with_checkpoints(small_blocks, case, every) -> None:
    graph, feeds = case
    gradient = bk.grad(graph)
    expected = bk.run(gradient, feeds)
    same(expected, compile(gradient)(feeds), 1e-10, "small blocks")
    program = compile(gradient, passes=True, checkpoint=every)
    arrays, context = bind(gradient, feeds)
    for name, lowered in program.passes.items():
        same(expected, execute(lowered.verify(), arrays, context), 1e-10, name)
    same(expected, program(feeds), 1e-10, "checkpoint")
    same(bk.run(gradient, single(feeds)), program(single(feeds)), 1e-4, "float32")


@examples(30)
@given(case=graphs(kinks=True))
def test_random_graphs_in_small_blocks(small_blocks, case) -> None:
    graph, feeds = case
    gradient = bk.grad(graph)
    same(bk.run(gradient, feeds), compile(gradient)(feeds), 1e-10, "small blocks")


def deep(inputs=3, units=5):
    """Two layers, the second in both directions, masked, with a read-out at every step and one at the end."""
    xs, mask = bk.sequence("x", inputs), bk.sequence("mask")
    hs = bk.scan(bk.cells.lstm(inputs, units, name="one"), xs, mask=mask)
    there, last = bk.scan(bk.cells.gru(units, 4, name="there"), hs, mask=mask, final=True)
    back = bk.scan(bk.cells.srn(units, 6, name="back"), hs, mask=mask, reverse=True)
    y = bk.ADD(2, name="w_o")(there, back)
    end = bk.ADD(1, name="end")(last["there/h"])
    loss = bk.losses.squared_error(y, bk.sequence("t", 2), mask=mask) + bk.mean(end * end)
    graph = bk.grad(bk.Graph({"loss": loss, "y": y}), wrt=[*bk.Graph({"loss": loss}).params, "x"])
    return graph


@pytest.mark.parametrize("every", [1, 4, "sqrt", 50])
def test_checkpoints_in_layers_directions_and_masks(small_blocks, every) -> None:
    graph = deep()
    program = bk.compile(graph, checkpoint=every)
    rng = np.random.default_rng(8)
    for T, B in ((11, 2), (1, 3), (16, 1)):
        mask = (np.arange(T)[:, None] < rng.integers(1, T + 1, B)).astype(float)
        feeds = {**graph.init(2, "float64"), "x": rng.standard_normal((T, B, 3)), "mask": mask}
        feeds["t"] = rng.standard_normal((T, B, 2))
        for name in ("one/h", "back/h"):
            feeds[name] = rng.standard_normal((B, graph.inputs[name][-1]))
        same(bk.run(graph, feeds), program(feeds), 1e-10, (T, B))
    same(program(feeds), pickle.loads(pickle.dumps(program))(feeds), 0.0, "pickle")


def test_checkpoints_save_memory() -> None:
    """√T: the values of all steps are never in memory together."""
    graph, whole = training_step(bk.cells.lstm(4, 32), 4, 32)
    rng = np.random.default_rng(9)
    feeds = {**graph.init(0), "x": rng.standard_normal((400, 4, 4)), "t": rng.standard_normal((400, 4, 2))}
    feeds = single(feeds)
    peaks = []
    for program in (whole, bk.compile(graph, checkpoint=20), bk.compile(graph, checkpoint="sqrt")):
        tracemalloc.start()
        program(feeds)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] / 4 and peaks[2] < peaks[0] / 4, peaks


def test_checkpoints_that_are_none() -> None:
    graph, _ = training_step(bk.cells.srn(3, 5))
    assert bk.compile(graph, checkpoint=np.int64(3)).checkpoint == 3
    for wrong in (0, -1, True, 2.5, "cache", "half"):
        with pytest.raises(bk.BlocksError, match='a number of steps or "sqrt"'):
            bk.compile(graph, checkpoint=wrong)
    lowered = bk.compile(graph, checkpoint=2).lowered
    with pytest.raises(bk.BlocksError, match="before compiling"):
        bk.grad(bk.Graph({"loss": lowered.outputs["loss"], "g": bk.sum(lowered.outputs["grad/hidden.b"])}), of="g")


def test_models_train_with_checkpoints(tmp_path) -> None:
    xs, target = bk.sequence("x", 3), bk.sequence("t", 2)
    y = bk.ADD(2, name="w_o")(bk.scan(bk.cells.lstm(3, 6), xs))
    X = np.random.default_rng(5).standard_normal((16, 9, 3))
    losses = []
    for checkpoint in (None, 2):
        model = bk.Model(bk.losses.squared_error(y, target), y, dtype="float64", checkpoint=checkpoint)
        losses.append(model.fit({"x": X, "t": X[..., :2]}, epochs=3, batch_size=4).loss)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)
    for mixed_up in ("sqrt", 10):
        with pytest.raises(bk.BlocksError, match=r"name of a file.*Model\(\.\.\., checkpoint="):
            model.fit({"x": X, "t": X[..., :2]}, checkpoint=mixed_up)
    model.save(tmp_path / "m.safetensors")
    assert bk.Model.load(tmp_path / "m.safetensors", checkpoint="sqrt").checkpoint == "sqrt"


# --- what the source looks like ------------------------------------------------------------------


def training_step(cell, inputs=3, units=5):
    """The gradient graph of a cell with a read-out, and its program."""
    hs = bk.scan(cell, bk.sequence("x", inputs))
    y = bk.ADD(2, name="w_o")(hs)
    graph = bk.grad(bk.Graph({"loss": bk.losses.squared_error(y, bk.sequence("t", 2))}))
    return graph, compile(graph)


def peephole(inputs, units):
    x, h, C = bk.input("x", inputs), bk.state("h", units), bk.state("C", units)

    def gate(name, c):
        return bk.sigm(bk.ADD(units, name=name)(x, h) + bk.ADD(units, name=f"{name}_peep", weights="diagonal")(c))

    C1 = gate("forget", C) * C + gate("input", C) * bk.TANH(units, name="candidate")(x, h)
    h1 = gate("output", C1) * bk.tanh(C1)
    return bk.Cell(states={h: h1, C: C1}, outputs=h1)


def normalised_gates(inputs, units):
    """Each gate normalises its two products by itself."""
    x, h, C = bk.input("x", inputs), bk.state("h", units), bk.state("C", units)

    def net(name):
        parts = (bk.ADD(units, name=f"{name} {wire.name}", bias=False)(wire) for wire in (x, h))
        return sum(bk.LAYERNORM(units, name=f"norm {name} {k}")(part) for k, part in enumerate(parts))

    C1 = bk.sigm(net("forget")) * C + bk.sigm(net("input")) * bk.tanh(net("candidate"))
    h1 = bk.sigm(net("output")) * bk.tanh(C1)
    return bk.Cell(states={h: h1, C: C1}, outputs=h1)


def loops(source):
    """The bodies of the loops over time in a program's source."""
    found, inside, depth = [], None, 0
    for line in source.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.lstrip().startswith("for ") and " in " in line and line.endswith(":"):
            inside, depth = [], indent
            found.append((line, inside))
        elif inside is not None and line.strip() and indent <= depth:
            inside = None
        elif inside is not None:
            inside.append(line)
    return found


@pytest.mark.parametrize(
    ("cell", "forward", "backward"),
    [
        (bk.cells.srn, 1, 1),
        (bk.cells.lstm, 1, 1),
        (bk.cells.lstm_layernorm, 1, 1),
        (normalised_gates, 1, 1),
        (peephole, 1, 1),  # the peepholes are no products of matrices
        (bk.cells.gru_reset_after, 1, 1),
        (bk.cells.gru, 2, 2),  # the candidate's product needs r, which needs a product
    ],
)
def test_products_per_step(cell, forward, backward) -> None:
    """One product with the recurrent weights a step, none with the input; weight gradients after the loop."""
    _, program = training_step(cell(3, 5))
    bodies = [(line, body) for line, body in loops(program.source) if "_steps" in line]
    assert [line.split(" in ")[-1] for line, _ in bodies] == ["forward_steps:", "backward_steps:"]
    for (_, body), count in zip(bodies, (forward, backward), strict=True):
        products = [line for line in body if re.search(r"matmul\(|\.dot\(|@", line.split("#")[0])]
        assert len(products) == count, "\n".join(body)
        assert not any("np.empty" in line or "x.reshape" in line for line in body)
    for node in program.lowered.order():
        if node.op.name == "loop":
            body = node.attrs["body"]
            assert not [n for n in body.order() if n.op.name in ("outer", "sum", "sigm", "transpose")]
            weights = [n for n in body.order() if n.op.name == "matmul"]
            assert all(n.operands[1].op.name == "input" for n in weights)


def test_one_exponential_covers_all_gates() -> None:
    _, program = training_step(bk.cells.lstm(3, 5))
    forward = loops(program.source)[0][1]
    assert sum(line.lstrip().startswith("exp(") for line in forward) == 1
    assert sum(line.lstrip().startswith("tanh(") for line in forward) == 2  # of the candidate, and of C
    assert any("forget, input, output: " in line and "exp" in line for line in forward)


def test_the_source_names_bricks_and_says_formulas() -> None:
    _, program = training_step(bk.cells.lstm(3, 5))
    assert "# c_next = forget ⊙ c + input_2 ⊙ candidate" in program.source
    assert "feeds['forget.W_x']" in program.source


def test_no_cell_is_known_to_the_compiler() -> None:
    folder = Path(bk.__file__).parent / "compile"
    text = "\n".join(p.read_text(encoding="utf-8") for p in folder.glob("*.py")).lower()
    for word in ("lstm", "gru", "srn", "forget", "candidate", "gate_", "peephole", "elman"):
        assert word not in text, word


@pytest.mark.parametrize(
    "name", ["'); import os; os.abort() #", '"""', "a\\", "feeds", "class", "np", "ü b", "x\u2028y"]
)
def test_hostile_names_are_inert_in_source(name) -> None:
    if not name.isprintable():
        with pytest.raises(bk.WiringError):
            bk.input(name, 2)
        return
    h = bk.state(f"h {name}", 2)
    h1 = bk.TANH(2, name=name)(bk.input(f"in {name}", 2), h)
    cell = bk.Cell(states={h: h1}, outputs={f"out {name}": h1})
    graph = bk.grad(bk.Graph({"loss": bk.mean(bk.scan(cell, bk.sequence("s", 2)))}))
    feeds = {**graph.init(0, "float64"), "s": np.random.default_rng(0).standard_normal((3, 2, 2))}
    same(bk.run(graph, feeds), compile(graph)(feeds), 1e-12, name)


def test_passes_keep_every_graph() -> None:
    graph, _ = training_step(bk.cells.srn(3, 5))
    program = bk.compile(graph, passes=True)
    assert list(program.passes) == ["given", *(name for name, _ in PASSES)]
    assert "tanh" in program.passes["hoist"].dump() and program.passes["given"] is graph


def test_compile_time_does_not_depend_on_time() -> None:
    """The source of a program is made without knowing any size."""
    graph, program = training_step(bk.cells.lstm(3, 5))
    feeds = {**graph.init(0, "float64")}
    rng = np.random.default_rng(1)
    for T, B in ((2, 3), (43, 1), (1, 5), (2, 3)):
        case = {**feeds, "x": rng.standard_normal((T, B, 3)), "t": rng.standard_normal((T, B, 2))}
        same(bk.run(graph, case), program(case), 1e-10, (T, B))
    assert "43" not in program.source


# --- programs in use -----------------------------------------------------------------------------


def test_threads_have_buffers_of_their_own() -> None:
    graph, program = training_step(bk.cells.gru(3, 5))
    rng = np.random.default_rng(2)
    cases = [
        {**graph.init(k, "float64"), "x": rng.standard_normal((9, 4, 3)), "t": rng.standard_normal((9, 4, 2))}
        for k in range(8)
    ]
    expected = [bk.run(graph, case) for case in cases]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for want, got in zip(expected, pool.map(program, cases), strict=True):
                same(want, got, 1e-10, "threads")


def test_programs_pickle_and_survive_a_fork() -> None:
    graph, program = training_step(bk.cells.srn(3, 5))
    rng = np.random.default_rng(3)
    feeds = {**graph.init(0, "float64"), "x": rng.standard_normal((5, 2, 3)), "t": rng.standard_normal((5, 2, 2))}
    want = program(feeds)
    same(want, pickle.loads(pickle.dumps(program))(feeds), 0.0, "pickle")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for got in pool.map(program, [feeds] * 4):
            same(want, got, 0.0, "fork")


def test_bad_feeds_get_the_interpreters_errors() -> None:
    graph, program = training_step(bk.cells.srn(3, 5))
    good = {**graph.init(), "x": np.zeros((5, 2, 3)), "t": np.zeros((5, 2, 2))}
    program(good)
    with pytest.raises(bk.FeedError, match="3 where|not \\(5, 2, 4\\)"):
        program({**good, "x": np.zeros((5, 2, 4))})
    with pytest.raises(bk.FeedError, match="did you mean"):
        program({**good, "tt": np.zeros(3)})
    target = bk.sequence("k", dtype="int")
    classes = compile(bk.Graph({"loss": bk.losses.cross_entropy(bk.sequence("x", 3), target)}))
    with pytest.raises(bk.FeedError, match="id 7 at"):
        classes({"x": np.zeros((2, 1, 3)), "k": np.full((2, 1), 7)})
    with pytest.raises(bk.BlocksError, match="takes a Graph"):
        bk.compile(3)


def test_nested_loops_compile() -> None:
    inner = bk.cells.lstm(2, 3, name="inner")
    h = bk.state("h", 3)
    words = bk.input("letters", shape=("letter", "batch", 2))
    _, last = bk.scan(inner, words, initial={"h": h, "C": h * 0.5}, final=True)
    h1 = bk.TANH(3, name="outer")(last["inner/h"], h)
    cell = bk.Cell(states={h: h1}, outputs=h1)
    for reverse in (False, True):
        ys = bk.scan(cell, bk.input("letters", shape=("word", "letter", "batch", 2)), reverse=reverse)
        graph = bk.Graph({"loss": bk.mean(ys * ys), "y": ys})
        feeds = {**graph.init(0, "float64"), "letters": np.random.default_rng(4).standard_normal((4, 3, 2, 2))}
        check(graph, feeds)


def test_models_agree_compiled_and_interpreted() -> None:
    xs, target = bk.sequence("x", 3), bk.sequence("t", 2)
    y = bk.ADD(2, name="w_o")(bk.scan(bk.cells.lstm(3, 6), xs))
    X = np.random.default_rng(5).standard_normal((16, 7, 3))
    losses = []
    for runs_on in ("numpy", "interpreter"):
        model = bk.Model(bk.losses.squared_error(y, target), y, dtype="float64", target=runs_on)
        losses.append(model.fit({"x": X, "t": X[..., :2]}, epochs=3, batch_size=4).loss)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


def with_scalars(inputs, units):
    """A cell with weights of one number, whose gradient has states of one number."""
    x, h = bk.input("x", inputs), bk.state("h", units)
    net = bk.ADD(units, name="b", weights="scalar")(h) + bk.ADD(units, name="c")(x)
    return bk.Cell(states={h: bk.tanh(net)}, outputs=h)


@pytest.mark.parametrize("make", [bk.cells.lstm, with_scalars])
def test_a_second_derivative_compiles(make) -> None:
    graph, _ = training_step(make(2, 3), 2, 3)
    norm = None
    for name, g in graph.outputs.items():
        if name.startswith("grad/"):
            norm = bk.sum(g * g) if norm is None else norm + bk.sum(g * g)
    rng = np.random.default_rng(6)
    feeds = {**graph.init(1, "float64"), "x": rng.standard_normal((4, 2, 2)), "t": rng.standard_normal((4, 2, 2))}
    check(bk.Graph({"loss": norm}), feeds)
