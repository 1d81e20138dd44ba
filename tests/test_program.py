"""Programs in use: feeds of every kind, errors with names, threads, a user's own operations, other targets."""

import dataclasses
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import blocks as bk
from blocks.compile import NUMPY, PASSES, Program
from blocks.compile import program as program_module
from blocks.compile.numpy import runtime
from blocks.compile.numpy.statements import in_place, ufunc
from blocks.graph import OPS
from blocks.ops.elementwise import elementwise

from .moving import judge
from .native import HERE
from .test_compile import same, training_step

IN_C = pytest.param("native", marks=pytest.mark.skipif(not HERE, reason="no C compiler on the PATH"))
TARGETS = ["numpy", IN_C]

sinh = elementwise("sinh", "sinh x", np.sinh, lambda g, y, x: (g * cosh(x),))
cosh = elementwise("cosh", "cosh x", np.cosh, lambda g, y, x: (g * sinh(x),))
bump = elementwise(
    "bump", "x / (1 + x²)", lambda x: x / (1 + x * x), lambda g, y, x: (g * (1 - x * x) / (1 + x * x) ** 2,)
)
ramp = elementwise("half_ramp", "½ max(x, 0)", lambda x: np.maximum(x, 0) / 2, lambda g, y, x: (g * 0.25 * (bk.sign(x) + 1),),
                   rows={"numpy": "multiply(np.maximum({0}, zero), half, out={out})"})  # fmt: skip
OWN = {op.name: OPS.pop(op.name) for op in (sinh, cosh, bump, ramp)}


@pytest.fixture(autouse=True)
def operations_of_a_user():
    """The operations above stand in the table for the tests of this file alone."""
    OPS.update(OWN)
    yield
    for name in OWN:
        OPS.pop(name, None)


def cell_with(op):
    x, h = bk.input("x", 3), bk.state("h", 4)
    return bk.Cell(states={h: op(bk.ADD(4, name="a")(x, h))}, outputs=h)


# --- operations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "written"), [(sinh, r"^ +sinh\(\w+, out=\w+\)$"), (bump, r"^ +rt\.call\('bump', \w+, out=\w+\)$"),
                                             (ramp, r"^ +multiply\(np\.maximum\(\w+, zero\), half, out=\w+\)$")])  # fmt: skip
def test_a_users_own_operation_is_one_statement_of_the_step(op, written) -> None:
    hs = bk.scan(cell_with(op), bk.sequence("s", 3))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "y": hs}))
    program = bk.compile(graph)
    loop = program.source[program.source.index("# forwards in time") :]
    assert re.search(written, loop, re.MULTILINE), program.source
    judge(graph, program, np.random.default_rng(0))


def test_every_function_of_numpy_among_the_operations_is_found() -> None:
    named = {name for name, op in OPS.items() if ufunc(op)}
    assert {"add", "tanh", "exp", "abs", "greater", "sinh", "cosh"} <= named
    assert not named & {"matmul", "bump", "where", "sigm"}
    assert in_place(OPS["relu"]) and in_place(sinh) and not in_place(bump) and not in_place(OPS["where"])
    assert not in_place(ramp)  # two functions: the first would be written over before the second has read it


def test_rows_with_names_that_mean_nothing_are_refused() -> None:
    for k, (row, wrong) in enumerate(
        {"nothing({0}, out={out})": "'nothing'", "tanh({1}, out={out})": r"\{1\}"}.items()
    ):
        op = elementwise(f"wrong_{k}", "x", np.tanh, None, rows={"numpy": row})
        try:
            with pytest.raises(bk.BlocksError, match=rf"operation 'wrong_{k}' has .*{wrong}"):
                bk.compile(bk.Graph({"y": op(bk.input("x", 2))}))
        finally:
            del OPS[op.name]


def test_an_input_may_be_called_like_a_function() -> None:
    graph = bk.Graph({"y": sinh(bk.input("sinh", 3)) + bk.input("zero", 3) * 0.5})
    judge(graph, bk.compile(graph), np.random.default_rng(1))


# --- targets and options -------------------------------------------------------------------------


def test_a_target_is_a_row() -> None:
    graph, _ = training_step(bk.cells.gru(3, 5))
    plain = dataclasses.replace(
        NUMPY, name="plain", passes=tuple(p for p in PASSES if p[0] not in ("logistic", "block"))
    )
    program = Program(graph, passes=True, target=plain)
    assert "logistic" not in program.passes and "in blocks of" not in program.source
    rng = np.random.default_rng(2)
    feeds = {**graph.init(0, "float64"), "x": rng.standard_normal((5, 2, 3)), "t": rng.standard_normal((5, 2, 2))}
    same(bk.run(graph, feeds), program(feeds), 1e-10, "plain")
    small = Program(bk.Graph({"y": bk.tanh(bk.input("x", 3))}), target=NUMPY)
    assert pickle.loads(pickle.dumps(small)).target == "numpy"


def test_options_that_are_none_are_refused() -> None:
    graph = bk.Graph({"y": bk.tanh(bk.input("x", 3))})
    with pytest.raises(bk.BlocksError, match=r"compile\(passes=True\) now, and Program.trace is Program.passes"):
        bk.compile(graph, trace=True)
    with pytest.raises(bk.BlocksError, match="no option 'check_point' .did you mean 'checkpoint'"):
        bk.compile(graph, check_point=3)
    assert list(bk.compile(graph, passes=True).passes) == ["given", *(name for name, _ in PASSES)]
    assert bk.compile(graph).passes == {}


# --- feeds ---------------------------------------------------------------------------------------


def kinds_of(x):
    """The same numbers in other kinds of arrays."""
    wide = np.zeros((*x.shape, 2), x.dtype)
    wide[..., 1] = x
    yield "list", x.tolist()
    yield "matrix", x.view(np.matrix)
    yield "masked array without a mask", np.ma.array(x)
    yield "other byte order", x.astype(x.dtype.newbyteorder())
    yield "Fortran's order", np.asfortranarray(x)
    yield "strides", wide[..., 1]
    yield "backwards", x[::-1, ::-1].copy()[::-1, ::-1]
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen


def test_feeds_of_every_kind_also_after_plain_arrays() -> None:
    x, W = bk.input("x", 3), bk.parameter("W", 3, 2)
    ids = bk.input("ids", shape=("batch",), dtype="int")
    graph = bk.Graph({"y": bk.tanh(x @ W), "rows": bk.gather(W, ids), "hot": bk.one_hot(ids, classes=3)})
    rng = np.random.default_rng(3)
    plain = {"x": rng.standard_normal((4, 3)), "W": rng.standard_normal((3, 2)), "ids": rng.integers(0, 3, 4)}
    for warm in (False, True):
        for name in ("x", "W"):
            for label, value in kinds_of(plain[name]):
                program = bk.compile(graph)
                if warm:
                    program(plain)
                got = program({**plain, name: value})
                same(bk.run(graph, plain), got, 1e-12, label)
                assert all(type(array) is np.ndarray and array.dtype.isnative for array in got.values()), label
        for kind in ("int8", "uint8", "int32", "uint64", ">i4"):
            same(bk.run(graph, plain), program({**plain, "ids": plain["ids"].astype(kind)}), 1e-12, kind)
        for kind in ("int64", "uint8", "bool"):
            few = {**plain, "x": (plain["x"] > 0).astype(kind)}
            same(bk.run(graph, few), program(few), 1e-12, kind)


def test_half_precision() -> None:
    graph, program = training_step(bk.cells.srn(3, 5))
    rng = np.random.default_rng(4)
    feeds = {**graph.init(0, "float16"), "x": rng.standard_normal((5, 2, 3)), "t": rng.standard_normal((5, 2, 2))}
    got = program(feeds)
    for name, value in bk.run(graph, feeds).items():
        assert got[name].dtype == np.float16
        np.testing.assert_allclose(got[name], value, rtol=0.02, atol=0.02)
    many = bk.compile(bk.Graph({"m": bk.mean(bk.input("x", 500))}))({"x": np.full((400, 500), 2, np.float16)})
    assert many["m"] == 2  # their sum is no number of half precision


# --- errors --------------------------------------------------------------------------------------


def errors_of(graph, feeds):
    messages = []
    for call in (lambda: bk.run(graph, feeds), lambda: bk.compile(graph)(feeds)):
        with pytest.raises(bk.FeedError) as caught:
            call()
        messages.append(str(caught.value))
    return messages


def test_errors_of_a_run_name_what_the_interpreter_names() -> None:
    x, target, mask = bk.sequence("x", 3), bk.sequence("k", dtype="int"), bk.sequence("mask")
    good = {"x": np.zeros((2, 1, 3)), "k": np.zeros((2, 1), int)}
    cases = {
        "class": (bk.losses.cross_entropy(x, target), {"k": np.full((2, 1), 7)}),
        "mask": (bk.losses.cross_entropy(x, target, mask), {"mask": np.zeros((2, 1))}),
        "hot": (bk.one_hot(target, classes=3), {"k": np.full((2, 1), -1)}),
    }
    for label, (node, more) in cases.items():
        graph = bk.Graph({"y": node})
        feeds = {name: value for name, value in {**good, **more}.items() if name in graph.inputs}
        interpreted, compiled = errors_of(graph, feeds)
        assert interpreted == compiled and "made at test_program.py" in compiled, (label, compiled)


def test_a_program_goes_on_after_an_error() -> None:
    graph = bk.Graph({"y": bk.losses.cross_entropy(bk.sequence("x", 3), bk.sequence("k", dtype="int"))})
    program = bk.compile(graph)
    feeds = {"x": np.random.default_rng(5).standard_normal((2, 2, 3)), "k": np.array([[0, 2], [1, 1]])}
    for _ in range(2):
        with pytest.raises(bk.FeedError, match="the id 4 at"):
            program({**feeds, "k": feeds["k"] + 2})
        same(bk.run(graph, feeds), program(feeds), 1e-12, "after an error")


# --- threads -------------------------------------------------------------------------------------


class Pool:
    """A BLAS library that says how many threads it has."""

    def __init__(self, threads):
        self.threads = threads

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, threads):
        self.threads = threads


@pytest.fixture
def pools(monkeypatch):
    found = [Pool(6), Pool(3)]
    monkeypatch.setattr(runtime, "_blas", found)
    return lambda: [pool.threads for pool in found]


WORTH = (runtime.TINY + runtime.SMALL) // 2


def test_blas_has_one_thread_inside_and_its_own_after(pools) -> None:
    for size, inside in ((runtime.TINY, [6, 3]), (WORTH, [1, 1]), (runtime.SMALL, [1, 1]), (runtime.SMALL + 1, [6, 3])):
        with runtime.blas_for(size):
            assert pools() == inside
        assert pools() == [6, 3]
    with pytest.raises(KeyError), runtime.blas_for(WORTH):
        raise KeyError
    assert pools() == [6, 3]


@pytest.mark.parametrize("first_out", [0, 1])
def test_loops_that_run_at_once_give_the_threads_back(pools, first_out) -> None:
    """One enters, another enters, one leaves, the other leaves: in two Python threads, in both orders."""
    loops = [runtime.blas_for(WORTH), runtime.blas_for(WORTH)]
    for loop in loops:
        loop.__enter__()
        assert pools() == [1, 1]
    loops[first_out].__exit__(None, None, None)
    assert pools() == [1, 1]
    loops[1 - first_out].__exit__(None, None, None)
    assert pools() == [6, 3]


def test_many_threads_with_other_sizes_are_right_and_give_the_threads_back(pools) -> None:
    graph, program = training_step(bk.cells.lstm(3, 5))
    rng = np.random.default_rng(6)
    cases = []
    for k in range(12):
        T, B = int(rng.integers(1, 7)), int(rng.integers(1, 4))
        cases.append(
            {**graph.init(k, "float64"), "x": rng.standard_normal((T, B, 3)), "t": rng.standard_normal((T, B, 2))}
        )
    expected = [bk.run(graph, case) for case in cases]
    start = threading.Barrier(4)

    def work(seed):
        start.wait()
        for k in np.random.default_rng(seed).integers(len(cases), size=40):
            with runtime.blas_for(WORTH):
                same(expected[k], program(cases[k]), 1e-10, "threads")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert pools() == [6, 3]


@pytest.mark.parametrize("target", TARGETS)
def test_feeds_that_stay_are_read_at_each_call(target) -> None:
    """What is written into bound weights counts; inputs may be of any size and kind, new or the same, and draws are
    made anew: to the bits of a call with all of them. Names and values that do not fit are refused as there."""
    x = bk.dropout(bk.sequence("x", 2), 0.5)
    hs = bk.scan(bk.cells.gru(2, 3), x * bk.parameter("scale", init=1.0))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "ids": bk.sequence("id", dtype="int") * 2}))
    program, rng = bk.compile(graph, target=target), np.random.default_rng(0)
    weights = graph.init(0, "float32")
    bound = bk.compile(graph, target=target).bound(weights)
    for number, steps in enumerate([4, 4, 9, 4, 1, 9000, 9000, 4]):
        fresh = rng.standard_normal((steps, 2, 2)).astype("float32")
        id = rng.integers(0, 9, (steps, 2))
        kinds = [
            fresh,
            fresh,
            fresh.copy(),
            fresh.astype("float64"),
            fresh.transpose(1, 0, 2).copy().transpose(1, 0, 2),
        ]
        fresh.flags.writeable = False
        for x in kinds:
            for ids in (id, id.astype("int32"), id.tolist()):
                got = bound({"x": x, "id": ids}, draw=(1, number))
                copies = {k: w.copy() for k, w in {**weights, "x": x}.items()}
                want = program({**copies, "id": ids}, draw=(1, number))
                assert list(got) == list(want) and all(np.array_equal(got[k], want[k]) for k in want), (steps, x.dtype)
                for array in (*weights.values(), *([x] if x.flags.writeable else [])):
                    array += 0.01
    kept = {k: v.copy() for k, v in got.items()}
    bound({"x": kinds[0] + 1.0, "id": id})
    assert all(np.array_equal(got[k], kept[k]) for k in kept)  # what came out belongs to the caller
    with pytest.raises(bk.FeedError, match="no input 'y'"):
        bound({"y": kinds[0]})
    with pytest.raises(bk.FeedError, match="'x' wants"):
        bound({"x": kinds[0][..., :1], "id": id})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("units", [3, 150])
def test_outputs_are_written_into_arrays(target, units) -> None:
    """Gradients into views of one vector, whatever else shares memory with them; all else is the caller's to keep."""
    hs = bk.scan(bk.cells.lstm(2, units), bk.sequence("x", 2))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "h": hs, "last": hs[-1]}))
    program, weights = bk.compile(graph, target=target), graph.init(0, "float32")
    for left_out in ("", "grad/forget.b", "grad/input.W_h"):  # it shares its array with others
        names = [n for n in graph.outputs if n.startswith("grad/") and n != left_out]
        ends = np.cumsum([1, *(np.prod(graph.outputs[n].shape) for n in names)])
        vector = np.full(ends[-1], 7.0, "float32")
        out = {n: vector[a:b].reshape(graph.outputs[n].shape) for n, a, b in zip(names, ends, ends[1:], strict=False)}
        bound, kept = program.bound(weights, out), []
        for seed, steps in enumerate([4, 9, 4, 4]):
            x = np.random.default_rng(seed).standard_normal((steps, 3, 2)).astype("float32")
            want, got = bk.compile(graph, target=target)({**weights, "x": x}), bound({"x": x})
            assert set(got) == set(want) and all(np.array_equal(got[k], want[k]) for k in want)
            assert all(got[k] is out[k] for k in out) and vector[0] == 7.0
            kept.append(({k: v for k, v in got.items() if k not in out}, want))
        assert all(np.array_equal(v, want[k]) for got, want in kept for k, v in got.items())
    with pytest.raises(bk.BlocksError, match="no output 'grad/forget.W_'.*did you mean"):
        program.bound(weights, {"grad/forget.W_": vector})
    with pytest.raises(bk.BlocksError, match="written into an array"):
        program.bound(weights, {"loss": 1.0})
    for wrong in (vector[:2], np.zeros((), "float64")):
        with pytest.raises(bk.FeedError, match=r"out: 'loss' is float32 \(\), not"):
            program.bound(weights, {"loss": wrong})({"x": x})


def test_many_lengths_are_allocated_once_and_large_ones_let_go(monkeypatch) -> None:
    """Buffers of small sizes are kept by their memory; of large ones a few are, in any case."""
    xs = bk.sequence("x", 2)
    hs = bk.scan(bk.cells.srn(2, 3), xs)
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}))
    program = bk.compile(graph)
    weights = graph.init(0, "float64")
    allocated: list[int] = []
    emitted = program._emitted
    counted = lambda dims, dtype: allocated.append(dims["time"]) or emitted.allocate(dims, dtype)
    monkeypatch.setattr(program, "_emitted", dataclasses.replace(emitted, allocate=counted))

    def run(steps: int) -> None:
        x = np.random.default_rng(steps).standard_normal((steps, 2, 2))
        want = bk.run(graph, {**weights, "x": x})["grad/hidden.W_h"]
        np.testing.assert_allclose(program({**weights, "x": x})["grad/hidden.W_h"], want, atol=1e-12)

    lengths = [*range(1, 41)] * 2
    for steps in lengths:
        run(steps)
    assert allocated == lengths[:40]
    kept = {key: program_module.memory_of(runs[0]) for key, runs in program._runs.items()}
    sizes = [kept[key] for key in kept]
    assert sizes == sorted(sizes) and sizes[-1] > 20 * sizes[0]  # they grow with the number of steps
    assert sizes[-1] > 40 * 2 * 3 * 8 * 2  # h of all steps and its gradient are among them
    monkeypatch.setattr(program_module, "BYTES_KEPT", sizes[-1] * 12)
    for steps in (50, 41, 42):
        run(steps)
    assert program_module.SIZES_KEPT <= len(program._runs) <= 14
    assert sum(program._memory.values()) <= sizes[-1] * 12 or len(program._runs) == program_module.SIZES_KEPT
    monkeypatch.setattr(program_module, "BYTES_KEPT", 0)
    run(43)
    assert len(program._runs) == program_module.SIZES_KEPT and set(program._runs) == set(program._memory)
