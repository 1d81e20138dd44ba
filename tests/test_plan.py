"""The plan: places and their geometry, stages, outputs that are the caller's; and programs whose numbers move."""

import itertools
import signal
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blocks as bk
from blocks.compile.names import Names
from blocks.compile.numpy.statements import in_place
from blocks.compile.numpy.views import VIEWS
from blocks.compile.plan.geometry import RULES, view_of, whole
from blocks.compile.plan.lives import Lives
from blocks.compile.plan.places import Buffer, Compute, ForEach, Part, View, array_of
from blocks.compile.plan.plan import make_plan
from blocks.compile.plan.sizes import ONE, ZERO, Size
from blocks.compile.plan.stages import Stage, stages
from blocks.compile.targets import emit_numpy
from blocks.graph import OPS

from .moving import judge, network
from .strategies import examples
from .test_compile import many, training_step

# --- sizes and geometry --------------------------------------------------------------------------


def test_sizes_are_equal_if_they_are_for_all_sizes_of_all_dimensions() -> None:
    time, batch = Size.of("time"), Size.of("batch")
    assert (time + 1) * batch * 5 == batch * 5 * time + batch * 5
    assert time * batch != time * time and time * 0 == ZERO and time + 1 + -1 == time
    assert str((time + 1) * 5 + batch * time) == "5 + batch * time + 5 * time"
    assert (
        ((time + -2) * 3).write(lambda name: f"n_{name}") == "-6 + 3 * n_time" and str(ZERO) == "0" and str(ONE) == "1"
    )
    dims = {"time": 7, "batch": 3}
    for a, b in itertools.product([time, batch + 2, time * batch + -4, Size.of(5)], repeat=2):
        assert eval(str(a * b + a), dims) == eval(str(a), dims) * eval(str(b), dims) + eval(str(a), dims)


def at(geometry, sizes):
    """A geometry as NumPy has it: shape, strides and offset, counted in numbers."""
    number = lambda size: eval(str(size), dict(sizes))
    return (
        tuple(sizes.get(d, d) for d in geometry.shape),
        [number(s) for s in geometry.strides],
        number(geometry.offset),
    )


@many
@given(st.integers(0, 2**32))
def test_geometry_is_what_numpy_has(seed) -> None:
    """Views of views, down from an array or a part of one: what is called a view is one for every size, with these
    strides; and what is not is a copy for some size."""
    rng = np.random.default_rng(seed)
    shape = [("time", "batch", 6), ("batch", 4, 6), ("batch", 2, 3, 2), ("time", 1, "batch", 4)][int(rng.integers(4))]
    wire = bk.input("x", shape=shape)
    geometry = whole(shape)
    arrays = {}
    for time, batch in ((3, 2), (1, 5), (4, 1), (7, 3)):
        sizes = {"time": time, "batch": batch}
        n = [sizes.get(d, d) for d in shape]
        arrays[time, batch] = np.arange(np.prod(n), dtype=float).reshape(n)
    roots = dict(arrays)
    for _ in range(int(rng.integers(1, 7))):
        rank = len(wire.shape)
        how = ["slice", "reshape", "transpose", "moveaxis", "broadcast", "split"][int(rng.integers(6))]
        axis = int(rng.integers(rank))
        n = wire.shape[axis]
        if how == "slice":
            start = int(rng.integers(n)) if isinstance(n, int) else -1
            node = bk.slice(wire, start=start, stop=start + 1 if start >= 0 else None, axis=axis)
        elif how == "broadcast":
            node = bk.broadcast(wire, shape=tuple(3 if d == 1 else d for d in wire.shape))
        elif how == "moveaxis":
            node = bk.moveaxis(wire, source=axis, destination=int(rng.integers(rank)))
        elif how == "transpose" and rank > 1:
            node = bk.transpose(wire)
        elif how == "split" and isinstance(n, int) and n % 2 == 0:
            node = bk.reshape(wire, shape=(*wire.shape[:axis], 2, n // 2, *wire.shape[axis + 1 :]))
        else:
            features = int(np.prod([d for d in wire.shape if isinstance(d, int)]))
            node = bk.reshape(wire, shape=(*(d for d in wire.shape if isinstance(d, str)), features))
        made = view_of(node, geometry)
        views = {}
        for (time, batch), array in arrays.items():
            sizes = {"time": time, "batch": batch}
            target = tuple(sizes.get(d, d) for d in node.shape)
            if how == "broadcast":
                views[time, batch] = np.broadcast_to(array, target)
            elif node.op.name == "reshape":
                views[time, batch] = array.reshape(target)
            else:
                views[time, batch] = node.op.forward(array, **node.attrs)
            if made is not None:
                root = roots[time, batch]
                assert np.shares_memory(views[time, batch], root)
                shape_, strides, offset = at(made, sizes)
                same = np.lib.stride_tricks.as_strided(root.ravel()[offset:], shape_, [8 * s for s in strides])
                np.testing.assert_array_equal(same, views[time, batch])
        if made is None:
            assert not all(np.shares_memory(v, roots[k]) for k, v in views.items()), (node, geometry)
            return
        assert made.contiguous is False or all(v.flags.c_contiguous for v in views.values())
        wire, geometry, arrays = node, made, views


def test_every_view_operation_has_a_geometry() -> None:
    views = {name for name, op in OPS.items() if op.kind == "view"}
    assert views == RULES.keys() and views - {"stop_gradient"} == VIEWS.keys()


def test_rows_and_parts_know_where_they_are() -> None:
    whole_ = Buffer("packed", ("time", "batch", 7), "float")
    part = Part(whole_, 2, 3, 5, "part")
    g = part.geometry
    assert (
        str(g.offset) == "3"
        and [str(s) for s in g.strides] == ["7 * batch", "7", "1"]
        and g.shape == ("time", "batch", 2)
    )
    assert not g.contiguous and g.joined and g.row().shape == ("batch", 2) and not g.repeats
    assert not Part(Buffer("b", ("batch", 4, 6), "float"), 2, 0, 3, "p").geometry.reshaped(("batch", 12))
    assert array_of(Part(part, 2, 0, 1, "p")) is whole_


# --- plans ---------------------------------------------------------------------------------------


def compute_steps(instructions):
    for step in instructions:
        if isinstance(step, ForEach):
            yield from compute_steps(step.body)
        elif isinstance(step, Compute):
            yield step


def test_stages_are_of_one_brick_and_keep_every_step() -> None:
    _, program = training_step(bk.cells.lstm(3, 5))
    plan = make_plan(program.lowered, in_place)
    found = []
    lists = [plan.instructions]
    while lists:
        for item in stages(lists.pop()):
            if isinstance(item, ForEach):
                lists.append(item.body)
            elif isinstance(item, Stage):
                found.append(item)
    steps = [step for stage in found for step in stage.steps]
    assert len(steps) == len(list(compute_steps(plan.instructions)))
    for stage in found:
        assert len({(step.node.brick, step.node.role == "gradient") for step in stage.steps if step.node.brick}) <= 1
        assert [step for run in stage.runs() for step in run] == stage.steps
        for run in stage.runs():
            assert len(run) == 1 or {(s.node.op.kind, s.node.shape) for s in run} == {
                ("elementwise", run[0].node.shape)
            }
    assert max(len(run) for stage in found for run in stage.runs()) > 2


def chain(n):
    y = bk.input("x", 3)
    for _ in range(n):
        y = bk.tanh(y)
    return bk.grad(bk.Graph({"loss": bk.sum(y)}), wrt=["x"])


def views(n):
    y = bk.tanh(bk.input("x", 4, 6))
    for _ in range(n):
        y = bk.slice(bk.transpose(y), start=0, stop=y.shape[-2])
    return bk.Graph({"y": bk.tanh(y), "end": y})


def reads(n):
    y = out = bk.tanh(bk.input("x", 4))
    for _ in range(n):
        out = bk.tanh(out * y) + y
    return bk.Graph({"y": out})


def parts(n):
    ys = [bk.tanh(bk.input(f"x{k}", 2)) for k in range(n)]
    whole_ = bk.concat(*ys)
    return bk.Graph({f"y{k}": bk.slice(whole_, start=2 * k, stop=2 * k + 1) for k in range(n)})


def states(n):
    x, before = bk.input("x", 2), [bk.state(f"s{k}", 2) for k in range(n)]
    cell = bk.Cell(
        states={s: bk.tanh(s + x) for s in before}, outputs={f"o{k}": bk.tanh(s) for k, s in enumerate(before)}
    )
    return bk.Graph({"y": bk.concat(*bk.scan(cell, bk.sequence("x", 2)).values())})


def calls(function, *args):
    """How many functions are called."""
    count = 0

    def tick(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tick)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("make", [chain, views, reads, parts, states])
def test_twice_the_nodes_are_twice_the_work(make) -> None:
    few, many_ = (calls(emit_numpy, make(n)) for n in (60, 120))
    assert many_ < 2.2 * few, (few, many_)


def test_a_deep_graph_is_planned_without_recursion() -> None:
    for make in (chain, views):
        graph = make(3 * sys.getrecursionlimit())
        shape = (2, *graph.fed("input")["x"].shape[1:])
        got = emit_numpy(graph).allocate({"batch": 2}, np.dtype(float))({"x": np.full(shape, 0.5)})
        assert all(np.isfinite(value).all() for value in got.values())


def test_names_are_found_at_once() -> None:
    names = Names()
    tried = names.taken
    looks = 0

    class Counted(set):
        def __contains__(self, name):
            nonlocal looks
            looks += 1
            return super().__contains__(name)

    names.taken = Counted(tried)
    made = [names.fresh("squashed") for _ in range(1000)]
    assert made[:2] == ["squashed", "squashed_2"] and len(set(made)) == 1000 and looks < 3000
    assert names.fresh("squashed_7") == "squashed_7_2"


def test_a_state_is_written_over_only_where_nothing_needs_it() -> None:
    h, x = bk.state("h", 3), bk.input("x", 3)
    after = h + bk.tanh(x)
    assert Lives(bk.Graph({"next": after})).ends_with(h, after)
    assert not Lives(bk.Graph({"next": after, "old": h})).ends_with(h, after)
    assert not Lives(
        bk.Graph({"next": after, "late": bk.tanh(bk.transpose(bk.reshape(h, shape=("batch", 1, 3))))})
    ).ends_with(h, after)
    turned = bk.reshape(h, shape=("batch", 3, 1))
    both = h + bk.sum(turned, axis=2) + bk.reshape(turned, shape=("batch", 3))
    assert not Lives(bk.Graph({"next": both})).ends_with(h, both)


def test_nothing_is_written_over_what_another_operand_shows() -> None:
    """NumPy would make a copy where they overlap; another target would read what it has just written."""
    y = bk.tanh(bk.input("x", 3, 3))
    for operands, over in (((y, bk.transpose(y)), False), ((y, y), True), ((y, bk.input("z", 3, 3)), True)):
        first, second, _ = compute_steps(make_plan(bk.Graph({"y": bk.exp(bk.add(*operands))}), in_place).instructions)
        assert (second.out is first.out) == over


# --- the values of programs whose numbers move ---------------------------------------------------


def late(*_):
    raise TimeoutError


@examples(25)
@given(st.integers(0, 2**32))
def test_random_networks_that_move_numbers(seed) -> None:
    rng = np.random.default_rng(seed)
    graph = network(rng)
    signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    try:
        judge(graph, bk.compile(graph), rng)
        gradient = bk.grad(graph, wrt=[*graph.params, "x"])
        judge(gradient, bk.compile(gradient), rng)
        judge(gradient, bk.compile(gradient, checkpoint=[1, 2, "sqrt"][seed % 3]), rng, ((5, 2), (4, 3)))
    finally:
        signal.alarm(0)


def test_reshapes_of_what_is_not_contiguous() -> None:
    """Of a slice, a transpose, a moved axis, a repeat, and a part of a concatenation; in a cell and outside."""
    x, y = bk.tanh(bk.input("x", 4, 6)), bk.tanh(bk.input("y", 4))
    repeated = bk.broadcast(bk.reshape(y, shape=("batch", 4, 1)), shape=("batch", 4, 3))
    side = bk.tanh(bk.slice(x, start=0, stop=3))
    both = bk.concat(side, x, axis=2)
    h, u = bk.state("h", 4), bk.input("u", 4)
    twice = bk.broadcast(bk.reshape(bk.tanh(h), shape=("batch", 4, 1)), shape=("batch", 4, 2))
    wide = bk.reshape(twice, shape=("batch", 8))
    cell = bk.Cell(states={h: bk.TANH(4, name="a")(wide, u)}, outputs=wide)
    turned = bk.moveaxis(bk.reshape(x, shape=("batch", 2, 2, 6)), source=1, destination=3)
    graphs = {
        "slice": bk.reshape(bk.slice(x, start=1, stop=3), shape=("batch", 8)),
        "transpose": bk.softmax(bk.reshape(bk.transpose(x), shape=("batch", 24))),
        "moved": bk.sum(bk.reshape(turned, shape=("batch", 24)), axis=0),
        "repeat": bk.reshape(repeated, shape=("batch", 12)),
        "part": bk.tanh(bk.reshape(side, shape=("batch", 12))),
        "cell": bk.scan(cell, bk.sequence("s", 4)),
    }
    rng = np.random.default_rng(0)
    for label, node in graphs.items():
        outputs = {"loss": bk.mean(node * node), "y": node}
        graph = bk.Graph(outputs | {"both": both} if label == "part" else outputs)
        judge(graph, bk.compile(graph), rng)
        gradient = bk.grad(graph, wrt=[n for n in graph.inputs if n != "h"])
        judge(gradient, bk.compile(gradient), rng)


@pytest.mark.parametrize("every", [1, 2, "sqrt"])
def test_what_asks_for_sizes_in_blocks_of_steps(every) -> None:
    """The gradient of a slice, padded, and a repeat, over the steps of blocks of which the last is shorter."""
    h, u = bk.state("h", 4), bk.input("u", 2, 3)
    few = bk.tanh(bk.slice(bk.tanh(u), start=0, stop=1, axis=2))
    wide = bk.reshape(bk.broadcast(few, shape=("batch", 2, 2)), shape=("batch", 4))
    cell = bk.Cell(states={h: bk.TANH(4, name="a")(wide, h)}, outputs=h)
    hs = bk.scan(cell, bk.sequence("s", 2, 3))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}), wrt=["s", "a.W_h"])
    judge(graph, bk.compile(graph, checkpoint=every), np.random.default_rng(3), ((5, 2), (1, 1), (7, 3)))


def test_single_numbers_are_views_too() -> None:
    """NumPy gives one number of an array as a copy: a view that lasts would show what stood there at first."""
    xs, k, g = bk.sequence("x", 2), bk.input("k", shape=()), bk.state("g", 3)
    sums = bk.reshape(bk.sum(bk.tanh(xs), axis=("batch", -1), keepdims=True), shape=("time",))
    ys = bk.scan(bk.Cell(states={g: bk.tanh(g + k)}, outputs=g), {"k": sums})  # a loop over numbers of our own
    last = bk.reshape(bk.slice(sums, start=-1, axis=0), shape=())
    graph = bk.Graph({"y": ys, "last": last, "twice": last * 2.0, "loss": bk.sum(ys * ys) + last})
    rng = np.random.default_rng(0)
    judge(graph, bk.compile(graph), rng)
    gradient = bk.grad(graph, wrt=["x", "g"])
    for every in (None, 2, "sqrt"):
        judge(gradient, bk.compile(gradient, checkpoint=every), rng, ((5, 2), (4, 3)))


def test_products_into_parts() -> None:
    """A product of three axes into one half of the rows of a concatenation, which no reshape of it would reach."""
    h, u = bk.state("h", 3), bk.input("u", 2, 3)
    rows = bk.matmul(u * bk.reshape(h, shape=("batch", 1, 3)), bk.parameter("W", 3, 4))
    cell = bk.Cell(
        states={h: bk.tanh(h + bk.sum(rows, axis=1) @ bk.parameter("V", 4, 3))},
        outputs={"a": rows, "b": bk.tanh(rows * bk.sum(h))},
    )
    out = bk.scan(cell, bk.sequence("s", 2, 3))
    for axis in (2, 3):
        graph = bk.Graph({"y": bk.concat(out["a"], bk.tanh(out["b"]), axis=axis)})
        program = bk.compile(graph)
        assert "np.matmul(" in program.source
        judge(graph, program, np.random.default_rng(1))


def test_outputs_are_the_callers_alone() -> None:
    x, c = bk.sequence("x", 4), bk.constant(value=np.arange(4.0))
    hs, last = bk.scan(bk.cells.srn(4, 4), x, final=True)
    y = bk.tanh(x)
    wide = bk.broadcast(bk.tanh(bk.sum(y, axis=2, keepdims=True)), shape=("time", "batch", 2))
    graph = bk.Graph({
        "one of two": bk.slice(wide, start=1, stop=2), "a part": bk.slice(y, start=1, stop=3), "y": y, "again": y, "reshaped": bk.reshape(y, shape=("time", "batch", 2, 2)),
        "other part": bk.slice(y, start=2, stop=4), "fed": x, "turned": bk.transpose(x), "cut": bk.slice(x, start=0, stop=2),
        "repeated": bk.broadcast(bk.sum(y), shape=("time", "batch")), "constant": c, "number": bk.zeros((3,)),
        "states": hs, "last": last["h"], "once": bk.broadcast(bk.tanh(y), shape=(1, "time", "batch", 4)),
    })  # fmt: skip
    judge(graph, bk.compile(graph), np.random.default_rng(2))


def test_parts_of_one_array_that_do_not_meet_are_not_copied() -> None:
    _, program = training_step(bk.cells.gru(3, 5))
    plan = make_plan(program.lowered, in_place)
    parts = [place for name, place in plan.outputs.items() if name.endswith(".W_x")]
    assert len(parts) == 3 and all(isinstance(place, View) for place in parts)
    assert len({array_of(place) for place in parts}) == 1


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_constants_that_are_no_finite_number(value) -> None:
    x, keep = bk.input("x", 3), bk.input("keep", 3, dtype="bool")
    rng = np.random.default_rng(3)
    graph = bk.Graph(
        {
            "s": bk.softmax(bk.where(keep, x, value)),
            "m": bk.minimum(x, value),
            "p": bk.maximum(x, value),
            "a": x + value,
        }
    )
    feeds = {"x": rng.standard_normal((2, 3)), "keep": np.array([[True, False, True], [True, True, True]])}
    want, got = bk.run(graph, feeds), bk.compile(graph)(feeds)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-12)
