"""Programs in C: every cell, random networks, functions of one number, products, and what falls back."""

import ctypes
import itertools
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blocks as bk
from blocks.compile.native import build, copies, run
from blocks.compile.native.access import Access, Accesses, never_negative
from blocks.compile.native.expressions import Unsupported
from blocks.compile.native.run import FLAGS, evaluate
from blocks.compile.native.text import folded
from blocks.compile.plan.geometry import Geometry, whole
from blocks.compile.plan.places import Buffer
from blocks.compile.plan.sizes import Size
from blocks.graph import OPS

from .native import HERE, function, judged, threads, together
from .strategies import examples
from .test_ops import TABLE
from .wide import case, memory

needs_compiler = pytest.mark.skipif(not HERE, reason="no C compiler on the PATH")
TYPES = ["float64", "float32"]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """What these tests build is kept for them alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOCKS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def feeds_of(graph, seed=0, **sizes):
    rng = np.random.default_rng(seed)
    leaves = {**graph.inputs, **graph.params}
    return {n: rng.standard_normal([sizes.get(d, d) for d in shape]) * 0.8 for n, shape in leaves.items()}


def test_copies_at_equal_distances_are_one() -> None:
    """Gates of a packed gradient, in any order of equal steps; not those at other steps, nor into separate arrays."""
    packed, rng = np.zeros((3, 4 * 5), "float32"), np.random.default_rng(0)
    packed[...] = rng.standard_normal(packed.shape)
    gates = [packed[:, 5 * k : 5 * k + 5] for k in range(4)]
    vector = np.zeros(100, "float32")
    places = lambda starts: [vector[k : k + 15].reshape(3, 5) for k in starts]
    apart = [np.zeros((3, 5), "float32") for _ in gates]
    cases = [(gates, places([0, 20, 40, 60]), 1), (gates[::-1], places([80, 60, 40, 20]), 1), (gates, apart, 4)]
    cases += [(gates, places([0, 20, 40, 80]), 4), ([gates[k] for k in (0, 2, 1, 3)], places([0, 20, 40, 60]), 4)]
    for sources, targets, calls in cases:
        vector[...] = 0
        found = copies.together((0, (to, of)) for to, of in zip(targets, sources, strict=True))
        assert len(found) == calls
        for to, of in found:
            to[...] = of
        assert all(np.array_equal(to, of) for to, of in zip(targets, sources, strict=True))
        assert np.count_nonzero(vector) in (0, 60)


# --- programs ------------------------------------------------------------------------------------


@needs_compiler
def test_every_cell_of_the_gallery() -> None:
    """With its gradient, every other one masked."""
    made = []
    for number, name in enumerate(bk.cells.__all__):
        mask = bk.sequence("mask") if number % 2 else None
        inputs = 6 if name == "book_lstm" else 3
        hs = bk.scan(getattr(bk.cells, name)(inputs, 6), bk.sequence("x", inputs), mask=mask)
        graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "y": hs}))
        made.append((graph, function(graph, f"cell_{number}")))
    for dtype, some in (("float64", made), ("float32", made[::8])):
        together([f for _, f in some], "-O0")
        for graph, f in some:
            feeds = feeds_of(graph, time=6, batch=5)
            if "mask" in feeds:
                feeds["mask"] = (feeds["mask"] > -0.5).astype(float)
                feeds["mask"][0] = 1.0
            judged(f, graph, feeds, dtype)


WITHOUT_C = {"hold", "last", "release"}  # of a mask that has not been made numbers


@needs_compiler
def test_every_operation() -> None:
    """And its gradient, as it is and among trials that differ in all that is fed, or in one thing."""
    made, refused = [], set()
    for name, (wire, feeds, _) in TABLE.items():
        graph = bk.Graph({"y": wire})
        inputs = graph.fed("input")
        wrt = [n for n, leaf in {**inputs, **graph.fed("parameter")}.items() if leaf.dtype == "float"]
        if wire.dtype == "float" and wrt:
            graph = bk.grad(bk.Graph({"loss": bk.sum(wire * wire), "y": wire}), wrt=wrt)
        for k, vary in enumerate((None, list(inputs), list(inputs)[-1:])):
            several = graph if vary is None else bk.trials(graph, vary)
            given = dict(feeds)
            for n, shape in {**several.inputs, **several.params}.items():
                if "trials" in shape:
                    given[n] = np.stack([feeds[n], np.flip(feeds[n])], shape.index("trials"))
            try:
                made.append((several, given, function(several, f"{name}_{k}")))
            except Unsupported:
                refused.add(name)
    assert refused == WITHOUT_C
    together([f for _, _, f in made], "-O1")
    for dtype in TYPES:
        for graph, feeds, f in made:
            judged(f, graph, feeds, dtype, count=3)


@needs_compiler
def test_random_networks() -> None:
    """Networks as wide as the language, matrix memories, their gradients, and gradients in blocks of steps."""
    made = []
    for number in range(40):
        network = memory(number) if number >= 30 else case(number)
        every = (None, 1, 2, "sqrt")[number % 4]
        graph = network.gradient() if number % 5 else network.graph
        made.append((graph, network.feeds, function(graph, f"network_{number}", every, number % 3 != 0)))
    for dtype, count in (("float64", 40), ("float32", 8)):
        together([f for _, _, f in made[:count]], "-O0")
        for number, (graph, feeds, f) in enumerate(made[:count]):
            judged(f, graph, feeds, dtype, count=3 if number % 4 == 3 else 1)


@needs_compiler
def test_a_pointer_is_known_in_the_loop_whose_rows_it_is_of() -> None:
    """Also to the last state of an earlier loop, where a loop inside of it asks first: so it is in this network."""
    network = case(481)
    graph = network.gradient()
    f = function(graph, "network_481")
    together([f], "-O0")
    judged(f, graph, network.feeds, count=3)


@needs_compiler
def test_sums_over_the_same_rows_are_made_in_one_pass() -> None:
    """Each of several outer products and the sum of the rows; not one that needs what another of them makes."""
    shapes = {"a": (5, 3), "b": (6, 5), "c": (6, 7), "g": (5, 4)}
    a, b, c, g = (bk.parameter(name, *shape) for name, shape in shapes.items())
    made = bk.outer(b, c)  # (5, 7)
    graphs = {
        "together": ({"first": bk.outer(a, g), "second": bk.outer(g, g), "sum": bk.sum(g, axis=0)}, [2]),
        "needing": ({"first": bk.outer(a, g), "made": made, "second": bk.outer(made, g)}, [1, 1, 1]),
        "part": ({"first": bk.outer(a, g), "part": bk.outer(g, g[:, 1:]), "sum": bk.sum(g, axis=0)}, [1, 1]),
        "across": ({"first": bk.outer(a, g), "sum": bk.sum(g, axis=1)}, [1]),
    }
    for name, (outputs, sides) in graphs.items():
        graph = bk.Graph(outputs)
        f = function(graph, name)
        calls = [line for line in f.source.splitlines() if "multiply(" in line]
        assert [line.count("}") - 1 for line in calls] == sides, f.source
        assert name not in ("together", "part") or "NULL" not in calls[0]
        for dtype in ("float64", "float32"):
            judged(f, graph, feeds_of(graph), dtype, count=3)


@needs_compiler
def test_sums_of_what_a_nest_makes_are_made_in_it() -> None:
    """What is summed over all rows is stored only if something else needs it; no sum's result is read before its end."""
    columns = {"x": 70, "y": 70, "z": 70}
    x, y, z = (bk.sequence(name, n) for name, n in columns.items())
    product, rows = x * y, (0, 1)
    total = bk.sum(product, axis=rows)
    again = bk.sum(product * z, axis=rows)
    graphs = {
        "alone": ({"sum": total}, 1, 0),
        "twice": ({"sum": total, "again": again}, 1, 0),
        "kept": ({"product": product, "sum": total, "again": again}, 1, 1),
        "needing": ({"product": product * total, "sum": total}, 1, 2),
        "chained": ({"sum": bk.sum(bk.tanh(product * total), axis=rows)}, 2, 1),
        "narrow": ({"sum": bk.sum(x[:, :, :15] * y[:, :, :15], axis=rows)}, 0, 1),
        "other": ({"sum": bk.sum(product, axis=(0, 2)), "mean": bk.sum(product, axis=-1)}, 1, 1),
    }
    for name, (outputs, nests, stored) in graphs.items():
        graph = bk.Graph(outputs)
        f = function(graph, name)
        assert f.source.count("const num after") == nests, f.source
        assert len([line for line in f.source.splitlines() if re.search(r"\w\[[^=]*[ijk]\] = [^R]", line)]) == stored, (
            f.source
        )
        for dtype in TYPES:
            for sizes in ({"time": 5, "batch": 3}, {"time": 1, "batch": 1}):
                judged(f, graph, feeds_of(graph, **sizes), dtype, count=3)


@needs_compiler
def test_a_nest_goes_on_past_sums_that_it_has_nothing_to_do_with() -> None:
    """They wait for it; not where it needs what they make, or writes what they read."""
    a, b, x = bk.parameter("a", 5, 70), bk.parameter("b", 5, 70), bk.parameter("x", 5, 3)
    d = a * b
    outer = bk.outer(x, d)
    graphs = {
        "past": ({"outer": outer, "sum": bk.sum(d * b, axis=0), "d": d}, ["EACH", "multiply"]),
        "needing": ({"outer": outer, "y": bk.tanh(d) * bk.sum(outer, axis=0)}, ["EACH", "multiply", "EACH", "EACH"]),
    }
    for name, (outputs, order) in graphs.items():
        graph = bk.Graph(outputs)
        f = function(graph, name)
        written = [
            word
            for line in f.source.splitlines()
            for word in ("EACH", "multiply")
            if f"{word} (" in line or f"{word}(" in line
        ]
        assert written == order, f.source
        for dtype in TYPES:
            judged(f, graph, feeds_of(graph), dtype, count=3)


@needs_compiler
def test_threads_meet_before_they_sum_columns_of_rows_that_others_made() -> None:
    hs = bk.scan(bk.cells.srn(3, 70), bk.sequence("x", 3))
    graph = bk.Graph({"sum": bk.sum(hs * bk.sequence("z", 70), axis=(0, 1))})
    f = function(graph, "summed")
    lines = [line.strip() for line in f.source.splitlines()]
    at = next(i for i, line in enumerate(lines) if line.startswith("for (num first"))
    assert lines[at - 1] == "meet(all);", f.source
    judged(f, graph, feeds_of(graph, time=4, batch=5), count=3)


def written(function, shape):
    """The arrays of a shape that a function has in memory."""
    text = re.sub(r"/\*.*?\*/", "", function.source.split("int failed")[1])
    names = {name: function.roots[int(i)] for name, i in re.findall(r"(\w+) = at\[(\d+)\];", function.source)}
    found = [name for name, root in names.items() if isinstance(root, Buffer) and root.shape == shape]
    return [name for name in found if re.search(rf"\b{name}\b", text)]


@needs_compiler
@pytest.mark.parametrize("columns", [18, 70])
def test_sums_along_axes_are_made_in_the_nest(columns) -> None:
    """Several at once, of rows, of columns, of both, and means; what is summed has no memory of its own."""
    a, b = bk.sequence("a", 5, columns), bk.sequence("b", 5, columns)
    c, e = bk.sequence("c", 5, 1), bk.sequence("e", 1, columns)
    product = bk.tanh(a * b)
    graphs = {
        "rows": ({"y": bk.sum(product, axis=-1)}, 0),
        "columns": ({"y": bk.sum(product, axis=-2), "z": bk.mean(product * e, axis=2)}, 0),
        "both": ({"y": bk.sum(product, axis=(-2, -1)), "z": bk.mean(product * c, axis=(2, 3), keepdims=True)}, 0),
        "mixed": (
            {"y": bk.sum(product, axis=-1, keepdims=True), "z": bk.sum(product * e, axis=(2, 3)), "v": product},
            1,
        ),
        "used": ({"y": product * bk.sum(product, axis=-1, keepdims=True)}, 2),
        "outer": ({"y": bk.sum(c * e * a, axis=-1), "z": bk.sum(c * e * b, axis=-2)}, 0),
        "of all steps": ({"y": bk.sum(product, axis=(0, 3))}, 1),
    }
    made = [(bk.Graph(outputs), stored, name.replace(" ", "_")) for name, (outputs, stored) in graphs.items()]
    functions = [function(graph, name) for graph, _, name in made]
    for f, (_, stored, _) in zip(functions, made, strict=True):
        assert len(written(f, ("time", "batch", 5, columns))) == stored, f.source
    together(functions, "-O1")
    for dtype in TYPES:
        for f, (graph, *_) in zip(functions, made, strict=True):
            for sizes in ({"time": 4, "batch": 3}, {"time": 1, "batch": 1}):
                judged(f, graph, feeds_of(graph, **sizes), dtype, count=3)


def matrix_memory(inputs, units, keys, share="value"):
    """A memory of vᵀk at each step; `share`: what is made of the same net."""
    x, memory = bk.input("x", inputs), bk.state("C", units, keys)
    k, v, q = (bk.ADD(n, name=name)(x) for name, n in (("key", keys), ("value", units), ("query", keys)))
    k = v if share == "key" else k
    forget, take = (bk.reshape(bk.SIGM(1, name=name)(x), shape=("batch", 1, 1)) for name in ("forget", "take"))
    written = bk.reshape(v, shape=("batch", units, 1)) * bk.reshape(k, shape=("batch", 1, keys))
    after = forget * memory + take * written
    return bk.Cell(states={memory: after}, outputs=bk.tanh(bk.matvec(after, q)) + bk.mean(after, axis=-1))


@needs_compiler
@pytest.mark.parametrize("share", ["value", "key"])
def test_of_a_matrix_memory_all_steps_are_kept_once(share) -> None:
    """Forwards not at all: what is read from it, and what is summed in its gradient, is made while it is at hand; what
    is written into it is made again."""
    hs = bk.scan(matrix_memory(3, 18, 18, share), bk.sequence("x", 3))
    graphs = [bk.Graph({"h": hs}), bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "h": hs}))]
    functions = [function(graph, f"memory_{k}") for k, graph in enumerate(graphs)]
    for kept, f in enumerate(functions):
        assert len(written(f, ("time", "batch", 18, 18))) == kept, f.source
        assert len(written(f, ("batch", 18, 18))) == 2, f.source  # states in turn
    together(functions, "-O1")
    for dtype in TYPES:
        for f, graph in zip(functions, graphs, strict=True):
            judged(f, graph, feeds_of(graph, time=5, batch=4), dtype, count=3)


@needs_compiler
def test_a_nest_reads_nothing_at_other_indices_than_it_wrote_it() -> None:
    """A square matrix beside its transpose, of the same shape: alone, as a state, and in the gradients."""
    x, M = bk.input("x", 5, 5), bk.state("M", 5, 5)
    y = bk.tanh(x)
    turned = bk.Graph({"y": y * bk.transpose(y) + y})
    after = bk.tanh(bk.transpose(M) * 0.5 + x)
    states = bk.scan(bk.Cell({M: after}, outputs=after * bk.transpose(after)), bk.sequence("x", 5, 5))
    graphs = [turned, bk.grad(bk.Graph({"loss": bk.mean(turned.outputs["y"] ** 2.0)}), wrt=["x"])]
    graphs += [bk.grad(bk.Graph({"loss": bk.mean(states**2.0)}), wrt=["x"])]
    functions = [function(graph, f"turned_{k}") for k, graph in enumerate(graphs)]
    together(functions, "-O1")
    for dtype in TYPES:
        for f, graph in zip(functions, graphs, strict=True):
            judged(f, graph, feeds_of(graph, time=4, batch=3), dtype, count=3)


@needs_compiler
def test_names_that_functions_have_for_their_own() -> None:
    """Bricks named after variables of what is written."""
    names = "after", "first", "total", "terms", "lanes", "sums_total", "sums_terms", "sum_of_lanes", "row_times", "dot"
    x, z, loss = bk.input("x", 20), bk.input("z", 20), 0.0
    for name in names:
        y = bk.TANH(20, name=name)(x)
        loss = loss + bk.mean(bk.sum(y * y * z, axis=-1) * bk.sum(bk.reshape(y, shape=("batch", 4, 5)), axis=(1, 2)))
    graph = bk.grad(bk.Graph({"loss": loss}))
    judged(function(graph, "hostile"), graph, feeds_of(graph, batch=3), count=2)


@needs_compiler
def test_what_is_made_of_weights_is_made_by_all_threads() -> None:
    """Where it is much: the gates' weights side by side, and packed for products."""
    for units, packs, shares in ((7, 0, 0), (70, 3, 2)):
        hs = bk.scan(bk.cells.lstm(60, units), bk.sequence("x", 60))
        graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}))
        f = function(graph, f"lstm_{units}")
        assert len(re.findall(r"^    pack\(", f.source, re.M)) == packs, f.source
        assert f.source.count("i = share(") == shares, f.source
        judged(f, graph, feeds_of(graph, time=4, batch=5), count=3)


@needs_compiler
def test_a_program_in_c_is_called_as_any_other() -> None:
    hs = bk.scan(bk.cells.lstm(3, 19), bk.sequence("x", 3))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "y": hs}))
    program = bk.compile(graph, target="native", passes=True)
    assert (program.target, program.why) == ("native", "") and "tanh_(" in program.native and "tanh(" in program.source
    assert list(program.passes)[:2] == ["given", "simplify"]
    for dtype in TYPES:
        for time, batch in ((4, 2), (1, 1), (7, 3)):
            feeds = {n: a.astype(dtype) for n, a in feeds_of(graph, time=time, batch=batch).items()}
            feeds["x"] = np.asfortranarray(feeds["x"])
            want, got = bk.run(graph, feeds), program(feeds)
            for name in want:
                np.testing.assert_allclose(got[name], want[name], rtol=0, atol=1e-5)
    half = {n: a.astype("float16") for n, a in feeds.items()}
    assert program(half)["loss"].dtype == np.float16
    assert program.target == "numpy" and "float16" in program.why


@needs_compiler
def test_a_number_for_every_step() -> None:
    """A constant that is repeated along the sequence that a loop reads has no memory, nor have its rows."""
    s, h = bk.input("s", 3), bk.state("h", 3)
    cell = bk.Cell(states={h: bk.tanh(h + s)}, outputs=h * s)
    steps = bk.broadcast(bk.constant(value=0.3), shape=("time", "batch", 3))
    graph = bk.Graph({"y": bk.scan(cell, steps) + bk.sequence("x", 3)})
    feeds = feeds_of(graph, time=4, batch=2)
    np.testing.assert_allclose(bk.compile(graph, target="native")(feeds)["y"], bk.run(graph, feeds)["y"], rtol=1e-12)


@needs_compiler
def test_a_value_that_is_refused_is_named() -> None:
    table, ids = bk.parameter("table", 5, 3), bk.sequence("ids", dtype="int")
    looked_up = bk.Graph({"y": bk.gather(table, ids)})
    x, mask = bk.sequence("x", 2), bk.sequence("mask")
    masked = bk.Graph({"loss": bk.losses.squared_error(x, bk.sequence("to", 2), mask)})
    zeros = {"x": np.ones((2, 3, 2)), "to": np.ones((2, 3, 2)), "mask": np.zeros((2, 3))}
    for graph, feeds in [
        (looked_up, {"table": np.ones((5, 3)), "ids": np.array([[0, 5]])}),
        (looked_up, {"table": np.ones((5, 3)), "ids": np.array([[-1, 2]])}),
        (masked, zeros),
    ]:
        program = bk.compile(graph, target="native")
        with pytest.raises(bk.FeedError) as want:
            bk.run(graph, feeds)
        with pytest.raises(bk.FeedError) as got:
            program(feeds)
        assert str(got.value) == str(want.value) and program.target == "native"


def test_threads_are_worth_their_meetings(monkeypatch) -> None:
    """An LSTM's threads meet a few times a call; a learner's at each update, so that a small one has one thread."""
    monkeypatch.setattr(run, "threads", lambda: 2)

    hs = bk.scan(bk.cells.lstm(3, 8), bk.sequence("x", 3))
    training = bk.grad(bk.Graph({"loss": bk.mean(hs**2.0)}))
    program = function(training, "training")
    assert [program.parts({"time": T, "batch": 32}) for T in (3, 200)] == [1, 2]
    loss = bk.mean(bk.ADD(4, name="out")(bk.TANH(8, name="inner")(bk.input("x", 3))) ** 2.0)
    losses, last = bk.scan(bk.learner(loss, bk.SGD(0.1)), {"x": bk.sequence("x", 3)}, final=True)
    program = function(bk.Graph({"losses": losses, **last}), "learning")
    assert [program.parts({"time": 5000, "batch": B}) for B in (4, 20_000)] == [1, 2]


@needs_compiler
def test_threads_of_python_and_of_a_call() -> None:
    """Eight threads of Python call one program, whose calls have three threads each where these are free."""
    hs = bk.scan(bk.cells.gru(3, 8), bk.sequence("x", 3))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "y": hs}))
    program, feeds = bk.compile(graph, target="native"), feeds_of(graph, time=30, batch=7)
    want = program(feeds)
    with threads(3), ThreadPoolExecutor(8) as pool:
        program = bk.compile(graph, target="native")
        for got in pool.map(lambda _: program(feeds), range(60)):
            for name in want:
                np.testing.assert_array_equal(got[name], want[name])


FORKED = """
import os, sys
import numpy as np
import blocks as bk
from tests.native import threads
x = bk.sequence("x", 3)
program = bk.compile(bk.Graph({"y": bk.scan(bk.cells.srn(3, 4), x)}), target="native")
feeds = {**program.graph.init(0, "float64"), "x": np.ones((5, 6, 3))}
with threads(3):
    want = program(feeds)["y"]
    child = os.fork()
    right = all(np.array_equal(program(feeds)["y"], want) for _ in range(3))
    if child == 0:
        os._exit(not right)
    sys.exit(os.waitpid(child, 0)[1] != 0 or not right)
"""


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork() -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], check=True, timeout=60, cwd=Path(__file__).parents[1]
    )


# each thread computes for 4 ms, and says of how many threads it is one, and where it is
CROWD = """
import ctypes, os, threading, time
from blocks.compile.native import build, copies, run
task = build.load('''
#define _GNU_SOURCE
#include <time.h>
#include "blocks.h"
int task(int64_t *const *at, const int64_t *n, int part, int parts, crew *all) {
    struct timespec begin, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    at[0][part] = parts, at[1][part] = sched_getcpu();
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < 4000000);
    return 0;
}
''').task
crew, parts, places = run.crew(), (ctypes.c_int64 * 2)(), (ctypes.c_int64 * 2)()
at = (ctypes.c_void_p * 2)(ctypes.addressof(parts), ctypes.addressof(places))
away = ctypes.c_int64.in_dll(crew, "away")
def call():
    parts[1] = 0
    crew.work(ctypes.cast(task, ctypes.c_void_p), at, None, 2)
    return list(parts)
caller, everywhere, known = threading.get_native_id(), os.sched_getaffinity(0), set(os.listdir("/proc/self/task"))
away.value = 0  # another process may need a processor by chance
assert call() == [2, 2]
(worker,) = map(int, set(os.listdir("/proc/self/task")) - known)
one = min(everywhere)
os.sched_setaffinity(caller, {one})
apart = 0
for _ in range(20 if len(everywhere) > 1 else 0):
    os.sched_setaffinity(worker, {one})  # on the caller's processor, and free to leave it
    time.sleep(0.002)
    os.sched_setaffinity(worker, everywhere)
    assert call() == [2, 2]
    apart += places[0] != places[1]
assert len(everywhere) == 1 or apart > 15, apart
os.sched_setaffinity(worker, {one})  # where it cannot leave it, each stands still while the other computes
away.value = 1000
assert call() == [2, 2] and call() == [1, 0] and call() == [1, 0]
"""


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="says on which processor a thread is as Linux does")
def test_a_worker_leaves_the_processor_of_its_caller_and_a_crowded_call_is_followed_by_calls_alone() -> None:
    subprocess.run([sys.executable, "-c", CROWD], check=True, timeout=60, cwd=Path(__file__).parents[1])


@needs_compiler
def test_numbers_too_small_for_their_type_are_zero() -> None:
    graph = bk.Graph({"y": bk.input("x", 3) * 0.5})
    x = np.full((2, 3), 1e-38, np.float32)
    assert (bk.compile(graph, target="native")({"x": x})["y"] == 0).all() and x[0, 0] * np.float32(0.5) != 0


@needs_compiler
def test_names_do_no_harm() -> None:
    """Names that are words of C, of the header, or an attack, are identifiers or comments like any other."""
    names = [
        "int",
        "tanh_",
        "real",
        "h */ 1 /*",
        'x"; abort(); //',
        "x\\",
        "??/",
        "n",
        "at",
        "EACH",
        "unix",
        "i",
        "ä",
        "0",
    ]
    made = []
    for name in names:
        graph = bk.Graph({name: bk.tanh(bk.input(name, 3) @ bk.parameter(f"{name}.W", 3, 3))})
        made.append((graph, function(graph, f"program_{len(made)}")))
    together([f for _, f in made], "-O0")
    for name, (graph, f) in zip(names, made, strict=True):
        judged(f, graph, {name: np.ones((2, 3)), f"{name}.W": np.eye(3)})


# --- what falls back -----------------------------------------------------------------------------

bump = bk.elementwise("native_bump", "x / (1 + x²)", lambda x: x / (1 + x * x), None)
wave = bk.elementwise("native_wave", "sin x", np.sin, None, rows={"native": "R(sin({0}))"})
OWN = {op.name: OPS.pop(op.name) for op in (bump, wave)}


@needs_compiler
def test_what_has_no_c_becomes_numpy(monkeypatch) -> None:
    for op in OWN.values():
        monkeypatch.setitem(OPS, op.name, op)
    x = {"x": np.linspace(-2, 2, 6).reshape(2, 3)}
    program = bk.compile(bk.Graph({"y": bump(bk.input("x", 3))}), target="native")
    assert program.target == "numpy" and "native_bump" in program.why and "rt.call" in program.source
    np.testing.assert_array_equal(program(x)["y"], x["x"] / (1 + x["x"] ** 2))
    graph = bk.Graph({"y": wave(bk.input("x", 3))})
    program = bk.compile(graph, target="native")
    assert program.target == "native" and "R(sin(x[i]))" in program.native
    np.testing.assert_allclose(program(x)["y"], np.sin(x["x"]), atol=1e-12)


def test_where_no_compiler_is_the_program_becomes_numpy(monkeypatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    program = bk.compile(bk.Graph({"y": bk.tanh(bk.input("x", 3))}), target="native")
    with pytest.warns(UserWarning, match="NumPy runs in place of C: CC names 'no-such-compiler'"):
        got = program({"x": np.ones((2, 3))})["y"]
    np.testing.assert_array_equal(got, np.tanh(np.ones((2, 3))))
    assert program.target == "numpy" and "no-such-compiler" in program.why and "np.tanh" in program.source


def test_targets_have_names() -> None:
    with pytest.raises(bk.BlocksError, match="'nativ' .did you mean 'native'..; there are auto, numpy, native"):
        bk.compile(bk.Graph({"y": bk.tanh(bk.input("x", 3))}), target="nativ")


# --- the header ----------------------------------------------------------------------------------

FUNCTIONS = {
    "exp_": np.exp,
    "expm1_": np.expm1,
    "log_": np.log,
    "tanh_": np.tanh,
    "sigm_": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "softplus_": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
SOURCE = '#include "blocks.h"\n' + "".join(
    f"void {name}s(const real *x, real *y, num n) {{ EACH (num i = 0; i < n; i++) y[i] = {name}(x[i]); }}\n"
    for name in FUNCTIONS
)
SOURCE += """
void products(const real *a, const real *turned, const real *b, real *packed, real *c, real *d, real *e, real *sums, num m, num k, num n, num c_row) {
    pack(b, n, 1, k, 0, n, packed);
    product(a, k, 1, packed, c, c_row, m, k, n);
    multiply((side[]){{a, k, 1, m, d, n}}, 1, b, n, 1, k, 0, n, 0, NULL);
    multiply((side[]){{turned, 1, m, m, d, n}, {a, k, 1, m, e, n}}, 2, b, n, 1, k, 0, n, 1, sums);
}
void product_in_two_parts(const real *a, num a_row, num a_col, const real *b, real *c, num m, num k, num n, num part, num more) {
    multiply((side[]){{a, a_row, a_col, m, c, n}}, 1, b, n, 1, k, part, n, more, NULL);
    multiply((side[]){{a, a_row, a_col, m, c, n}}, 1, b, n, 1, k, 0, part, more, NULL);
}
"""


def header(dtype, flags=FLAGS):
    return build.load(SOURCE, flags=(f"-DREAL={np.dtype(dtype).itemsize * 8}", *flags))


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


@needs_compiler
@pytest.mark.parametrize("dtype", TYPES)
def test_functions_of_one_number(dtype) -> None:
    """At most 4 units in the last place, near 0 and far out; infinities, NaN and zeros as in NumPy."""
    rng, library = np.random.default_rng(0), header(dtype)
    far = 85 if dtype == "float32" else 700
    small = 10.0 ** rng.uniform(-30, 0, 20_000) * rng.choice([-1, 1], 20_000)
    x = np.concatenate([rng.uniform(-9, 9, 50_001), rng.uniform(-far, far, 50_000), small]).astype(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, far + 200, -far - 200], dtype)
    for name, exact in FUNCTIONS.items():
        arguments = np.abs(np.concatenate([x, 1 + small.astype(dtype) * dtype_of(dtype, 0.3)])) if name == "log_" else x
        got, want = applied(library, name, arguments), exact(arguments.astype(np.longdouble))
        tiny = np.finfo(dtype).tiny
        seen = np.abs(want) > tiny
        units = np.abs(got - want)[seen] / np.spacing(np.abs(want[seen]).astype(dtype))
        assert units.max() <= 4, (name, units.max(), arguments[seen][units.argmax()])
        with np.errstate(all="ignore"):
            ends = exact(special.astype(np.longdouble)).astype(dtype)
        if name == "sigm_":
            ends[2] = 1.0
            ends[7] = 1.0
        np.testing.assert_allclose(applied(library, name, special), ends, rtol=1e-6, err_msg=name)
    assert np.signbit(applied(library, "tanh_", special)[1])


@needs_compiler
@pytest.mark.parametrize("dtype", TYPES)
def test_functions_where_the_powers_of_e_end(dtype) -> None:
    """Around the number whose exponential is the largest one, and its negative: right, or infinity, or next to 0."""
    library, about = header(dtype), np.finfo(dtype)
    x = (np.log(np.longdouble(about.max)) + np.linspace(-6, 6, 40_001)).astype(dtype)
    for name, exact in FUNCTIONS.items():
        for arguments in (x, -x) if name != "log_" else (x,):
            with np.errstate(all="ignore"):
                got, want = applied(library, name, arguments), exact(arguments.astype(np.longdouble))
            over, under = np.abs(want) > about.max, np.abs(want) < about.tiny
            far = got[over] * np.sign(want[over]).astype(dtype)
            assert (far >= about.max * 0.999).all() and (np.abs(got[under]) <= about.tiny).all(), name
            right = ~over & ~under
            units = np.abs(got - want)[right] / np.spacing(np.abs(want[right]).astype(dtype))
            assert right.sum() == 0 or units.max() <= 4, (name, units.max(), arguments[right][units.argmax()])


@needs_compiler
def test_what_goes_along_a_row_for_rows_of_all_lengths() -> None:
    """Some numbers at a time, in whole vectors and what is over; numbers that are far apart, -inf, NaN."""
    made = []
    for length in (1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 73, 128, 130):
        x, shares, ids = bk.input("x", length), bk.input("shares", length), bk.input("ids", dtype="int")
        outputs = {
            "softmax": bk.softmax(x),
            "log_softmax": bk.log_softmax(x),
            "largest": bk.max(x, axis=-1),
            "of_class": bk.losses.cross_entropy(x, ids),
            "of_shares": bk.losses.cross_entropy(x, shares),
        }
        made.append((length, graph := bk.Graph(outputs), function(graph, f"rows_of_{length}")))
    together([f for _, _, f in made])
    rng = np.random.default_rng(0)
    for length, graph, f in made:
        x = rng.standard_normal((9, length)) * np.array([1, 1, 1, 1, 1, 1, 30, 80, 1])[:, None]
        x[3] -= 900.0 * (np.arange(length) % 3 > 0)
        feeds = {"x": x, "shares": rng.dirichlet(np.ones(length), 9), "ids": rng.integers(0, length, 9)}
        for dtype in TYPES:
            judged(f, graph, feeds, dtype, count=3)
        x = np.clip(x, -1, 1)
        x[1, 0], x[2], x[3, -1], x[4, 0] = -np.inf, -np.inf, np.nan, np.inf
        with np.errstate(invalid="ignore"):
            judged(f, graph, {**feeds, "x": x})


@needs_compiler
@pytest.mark.parametrize("dtype", [*TYPES, "int64"])
def test_rounding_and_division_of_all_signs(dtype) -> None:
    """To the last bit, the sign of a zero too, as NumPy does; integers divided by 0 are 0."""
    whole = dtype == "int64"
    ends = [2**62, -(2**63), 2**63 - 1] if whole else [0.1, 0.3, 2.5, 1e30, np.inf, np.nan, -0.0]
    numbers = np.array([0, 1, -1, 2, 3, -3, 7, -7, *ends, *(-v for v in ends[: len(ends) * (not whole)])], dtype)
    pairs = np.array(list(itertools.product(numbers, numbers)), dtype)
    a, b = (bk.input(n, dtype="int" if whole else "float") for n in "ab")
    outputs = {"down": a // b, "mod": a % b}
    outputs |= {} if whole else {"floor": bk.floor(a), "round": round(a), "sin": bk.sin(a), "cos": bk.cos(a)}
    program = bk.compile(bk.Graph(outputs), target="native")
    got = program({"a": pairs[:, 0], "b": pairs[:, 1]})
    assert program.target == "native"
    with np.errstate(all="ignore"):
        want = {"down": pairs[:, 0] // pairs[:, 1], "mod": pairs[:, 0] % pairs[:, 1]}
        want |= {name: f(pairs[:, 0]) for name, f in {"floor": np.floor, "round": np.rint}.items() if not whole}
        for name, value in want.items():
            np.testing.assert_array_equal(got[name], value, name)
            assert got[name].dtype == value.dtype
            known = ~np.isnan(value)
            assert np.array_equal(np.signbit(got[name])[known], np.signbit(value)[known]) or whole, name
        for name, f in {"sin": np.sin, "cos": np.cos}.items() if not whole else ():
            np.testing.assert_allclose(got[name], f(pairs[:, 0]), rtol=1e-6, atol=1e-7)


def dtype_of(dtype, value):
    return np.dtype(dtype).type(value)


def applied(library, name, x):
    y = np.empty_like(x)
    getattr(library, f"{name}s")(pointer(x), pointer(y), ctypes.c_ssize_t(x.size))
    return y


@needs_compiler
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("flags", ["-O2", "-O2 -mno-avx512f", "-O2 -mno-avx"])
def test_products(dtype, flags) -> None:
    """Of matrices of any size, packed or not, into part of a larger one, which stays as it is beside them."""
    rng, library = np.random.default_rng(0), header(dtype, (*FLAGS, *flags.split()))
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for m, k, n in [(1, 1, 1), (13, 7, 33), (12, 300, 64), (5, 16, 31), (25, 513, 17), (3, 2, 70), (201, 530, 401)]:
        a, b = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n)))
        turned, e, sums = np.ascontiguousarray(a.T), np.ones((m, n), dtype), np.ones(n, dtype)
        packed, c, d = np.full(k * (n + 64), np.nan, dtype), np.full((m, n + 3), 7, dtype), np.empty((m, n), dtype)
        numbers = [ctypes.c_ssize_t(v) for v in (m, k, n, n + 3)]
        library.products(*map(pointer, (a, turned, b, packed, c, d, e, sums)), *numbers)
        want = a.astype(np.float64) @ b.astype(np.float64)
        np.testing.assert_allclose(c[:, :n], want, atol=tolerance * k**0.5 * 4)
        np.testing.assert_allclose(d, 2 * want, atol=tolerance * k**0.5 * 8)
        np.testing.assert_allclose(e, 1 + want, atol=tolerance * k**0.5 * 8)
        np.testing.assert_allclose(sums, 1 + b.astype(np.float64).sum(0), atol=tolerance * k**0.5)
        assert (c[:, n:] == 7).all()
        apart = np.full((k, 2 * m), np.nan, dtype)
        apart[:, ::2] = a.T
        ways = (a, (k, 1), n), (turned, (1, m), n), (apart, (2, 2 * m), n), (apart, (2, 2 * m), n - n // 2)
        for more in (0, 1):
            d[:], got = (3 if more else np.nan), []
            for matrix, strides, part in ways:
                c = d.copy()
                numbers = [ctypes.c_ssize_t(v) for v in (*strides, m, k, n, part, more)]
                library.product_in_two_parts(pointer(matrix), *numbers[:2], pointer(b), pointer(c), *numbers[2:])
                np.testing.assert_allclose(c, want + 3 * more, atol=tolerance * k**0.5 * 8)
                got.append(c.tobytes())
            assert len(set(got)) == 1  # however it stands, and whoever makes which columns


# --- what accesses have in common ----------------------------------------------------------------


def numbers_of(geometry, sizes):
    """The numbers that a geometry has, for some sizes."""
    axes = [
        [evaluate(s, sizes) * i for i in range(sizes.get(d, d))]
        for d, s in zip(geometry.shape, geometry.strides, strict=True)
    ]
    return {evaluate(geometry.offset, sizes) + sum(parts) for parts in itertools.product(*axes)}


@examples(100)
@given(st.data())
def test_what_is_said_of_two_accesses_is_true_for_all_sizes(data) -> None:
    """Parts of one array, as slices, transposes and repetitions make them."""
    array = Buffer("a", ("time", "batch", 6), "float")

    def part():
        g = whole(array.shape)
        for _ in range(data.draw(st.integers(0, 3))):
            axis = data.draw(st.integers(0, len(g.shape) - 1))
            length = g.shape[axis]
            if isinstance(length, int) and length > 1:
                start = data.draw(st.integers(0, length - 1))
                g = g.part(axis, start, data.draw(st.integers(start + 1, length)))
            elif data.draw(st.booleans()):
                g = g.moved([axis, *(a for a in range(len(g.shape)) if a != axis)])
            else:
                cut = g.reshaped(("time", "batch", 2, 3)) if set(g.shape) == {"time", "batch", 6} else None
                g = cut if cut is not None else g
        return Access("a", g, "float", array)

    a, b, c = part(), part(), part()
    said = a.meets(b)
    assert said == b.meets(a)
    assert Accesses([a, c]).meetings(b) == {said, c.meets(b)}
    for time, batch in ((1, 1), (2, 3), (3, 1)):
        sizes = {"time": time, "batch": batch}
        first, second = (numbers_of(x.geometry, sizes) for x in (a, b))
        if said == "apart":
            assert not first & second
        if said == "same":
            assert first == second


def test_of_many_accesses_few_are_compared(monkeypatch) -> None:
    """Those of one kind that are as far apart as others: twice as many bricks are not four times as many comparisons."""
    asked, found = Access.meets, []
    monkeypatch.setattr(Access, "meets", lambda a, b: found.append(1) or asked(a, b))
    counts = []
    for count in (20, 40):
        x, h = bk.input("x", 4), bk.state("h", 4)
        y = x
        for k in range(count):
            y = y + bk.TANH(4, name=f"b{k}")(x, h)
        hs = bk.scan(bk.Cell({h: y}, outputs=y), bk.sequence("x", 4))
        found.clear()
        function(bk.grad(bk.Graph({"loss": bk.mean(hs * hs)})), "bricks")
        counts.append(len(found))
    assert 0 < counts[1] < 2.5 * counts[0], counts


def test_parts_of_a_matrix_are_known_to_be_apart() -> None:
    array = Buffer("a", ("batch", 8), "float")
    left, right = (Access("a", whole(array.shape).part(1, k, k + 4), "float", array) for k in (0, 4))
    assert left.meets(right) == "apart" and left.meets(left) == "same"
    stacked = Buffer("b", (3, "batch", 5), "float")
    first, last = (Access("b", whole(stacked.shape).part(0, k, k + 1), "float", stacked) for k in (0, 2))
    assert first.meets(last) == "apart"
    assert Access("a", Geometry(("batch", 4), whole(array.shape).strides), "float", array).meets(left) == "same"
    steps = Buffer("c", ("time", "batch", 9), "float")
    rows = {k: whole(steps.shape).part(2, *k) for k in ((0, 4), (4, 9), (3, 5))}
    low, high, across = (Access(f"c{k}", g.row(), "float", steps, (1, 0), g, 1) for k, g in rows.items())
    assert low.meets(high) == "apart" and low.meets(across) == across.meets(high) == "unknown"  # of one step
    later = Access("c", rows[3, 5].row(), "float", steps, (1, 1), rows[3, 5], 1)
    assert low.meets(later) == "apart"


def test_sizes_that_are_never_negative() -> None:
    batch = Size.of("batch")
    assert never_negative(batch + -1) and never_negative(batch * "batch" + batch * -1)
    assert not never_negative(batch + -2) and not never_negative(batch + Size.of("time") * -1)


def test_a_long_call_stands_in_several_lines() -> None:
    call = f"f({', '.join(f'argument_{i}' for i in range(20))});"
    assert folded(call, len(call)) == [call]
    for width in (40, 41, 47, 60):
        lines = folded(call, width)
        assert max(map(len, lines)) <= width < len(lines[1]) + len("argument_10, ")
        assert " ".join(line.strip() for line in lines) == call
    assert folded(f"/* {call} */", 40) == [f"/* {call} */"]
