"""The passes one by one: no cycles, each operation lifted or refused by name, exact numbers, short names."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blocks as bk
from benchmarks import compile as benchmark
from blocks.compile import PASSES, TARGETS
from blocks.compile.passes import fuse as fusing
from blocks.compile.passes.checkpoint import checkpointing
from blocks.compile.passes.expand import expand
from blocks.compile.passes.fuse import fuse
from blocks.compile.passes.groups import Groups
from blocks.compile.passes.hoist import hoist, hoist_what_pays
from blocks.compile.passes.lift import REFUSALS, RULES
from blocks.compile.passes.logistic import logistic
from blocks.compile.passes.simplify import simplify
from blocks.compile.passes.sweep import build_in_order, same
from blocks.graph import OPS, Node
from blocks.interpret import bind, execute

from .strategies import examples, sizes

many = examples(30)


def close(expected, got, label, tolerance=1e-9):
    assert set(expected) == set(got), label
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(got[name], value, rtol=tolerance, atol=tolerance * scale, err_msg=f"{label}: {name}")


def check_passes(graph, feeds):
    """Each pass leaves a graph that verifies and gives the same numbers; so does the program."""
    expected = bk.run(graph, feeds)
    arrays, context = bind(graph, feeds)
    for target in TARGETS.values():
        lowered = graph
        for name, change in target.passes:
            before, lowered = lowered, change(lowered).verify()
            if lowered is not before:
                close(expected, execute(lowered, arrays, context), f"{target.name}: {name}")
    close(expected, bk.compile(graph)(feeds), "program")


# --- cycles --------------------------------------------------------------------------------------


def test_a_pass_that_makes_a_cycle_is_an_error_at_once() -> None:
    x = bk.input("x", 3)
    a = bk.tanh(x)
    b = bk.exp(a)
    needs = {a: [b], b: [a]}
    with pytest.raises(bk.BlocksError, match=r"cycle: tanh \(batch, 3\) needs exp \(batch, 3\) needs tanh"):
        build_in_order([a], lambda n: needs.get(n, []), lambda n: n, {})
    row = [x]
    for _ in range(40):
        row.append(bk.tanh(row[-1]))
    with pytest.raises(bk.BlocksError, match=r"\(36 more\)"):
        build_in_order([row[0]], lambda n: [row[(row.index(n) + 1) % 41]], lambda n: n, {})


def test_building_in_order_meets_what_is_needed_twice() -> None:
    x = bk.input("x", 3)
    a = bk.tanh(x)
    b = a * a + a
    new = {}
    build_in_order([b, a], lambda n: n.operands, lambda n: same(n, tuple(new[o] for o in n.operands)), new)
    assert new[b] is b and set(new) == set(bk.Graph({"b": b}).order())


def outer_of_an_outer():
    """x is a factor of an outer product, and of another one that needs the first."""
    x, p = bk.sequence("x", 3), bk.sequence("p", 4)
    a = OPS["outer"](x, p)
    q = bk.tanh(x @ a)
    return bk.Graph({"a": a, "b": OPS["outer"](x, q)})


def test_outer_products_that_need_each_other_are_not_packed(monkeypatch) -> None:
    graph = outer_of_an_outer()
    rng = np.random.default_rng(0)
    feeds = {"x": rng.standard_normal((3, 2, 3)), "p": rng.standard_normal((3, 2, 4))}
    check_passes(graph, feeds)

    class NoRank(Groups):
        def __init__(self, *args):
            super().__init__(*args)
            self.rank = dict.fromkeys(self.rank, 0)

    monkeypatch.setattr(fusing, "Groups", NoRank)
    with pytest.raises(bk.BlocksError, match="passes that make a cycle: .*outer"):
        fuse(graph)


def normalised(hs, usual):
    m = bk.mean(hs, axis=-1, keepdims=True)
    centred = hs - m
    return centred / bk.sqrt(bk.mean((hs - m) ** 2 if usual else centred * centred, axis=-1, keepdims=True) + 1e-3)


def one_more(draw, a, b, n, name):
    """A wire (time, batch, n) made of two of them."""
    return draw(
        st.sampled_from(
            [
                lambda: bk.tanh(a + b),
                lambda: a * bk.sigm(b),
                lambda: normalised(a, False),
                lambda: normalised(a, True),
                lambda: bk.broadcast(bk.sigm(bk.sum(a, axis=-1, keepdims=True)), shape=("time", "batch", n)) * b,
                lambda: a - bk.mean(bk.tanh(b), axis=draw(st.sampled_from(["time", "batch", -1])), keepdims=True),
                lambda: bk.slice(bk.concat(a, b), start=1, stop=n + 1),
                lambda: bk.softmax(a) * b,
                lambda: bk.TANH(n, name=name)(a, b),
                lambda: bk.transpose(bk.transpose(bk.tanh(a)) * 0.5) + b,
            ]
        )
    )()


@st.composite
def after_loops(draw):
    """A scan, then random operations over all steps: broadcasts, reductions, views, normalisation; then maybe another
    scan and more of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(sizes)
    x = bk.sequence("x", 3)
    wires = [bk.scan(draw(st.sampled_from([bk.cells.srn, bk.cells.gru]))(3, n, "one"), x)]
    for k in range(draw(st.integers(2, 9))):
        a, b = draw(st.sampled_from(wires)), draw(st.sampled_from(wires))
        if k and k % 4 == 0:
            wires.append(bk.scan(bk.cells.srn(n, n, f"layer{k}"), a, reverse=draw(st.booleans())))
            continue
        wires.append(one_more(draw, a, b, n, f"brick{k}"))
    loss = bk.mean(bk.tanh(wires[-1]) ** 2.0) + bk.mean(wires[len(wires) // 2] * wires[-2])
    graph = bk.grad(bk.Graph({"loss": loss, "y": wires[-1]}), wrt=["x", *bk.Graph({"loss": loss}).params])
    T, B = draw(st.integers(1, 4)), draw(sizes)
    feeds = {**graph.init(int(rng.integers(99)), "float64"), "x": rng.standard_normal((T, B, 3))}
    return graph, feeds


@many
@given(after_loops())
def test_what_follows_loops(case) -> None:
    check_passes(*case)


def test_weights_alone_are_in_no_group() -> None:
    """A vector that is made of what would be a member is not packed beside what it was made of."""
    x = bk.input("x", 4)
    params = bk.Graph({"y": bk.TANH(4, name="n")(x)}).fed("parameter")
    shared, bias = params["n.W_x"], params["n.b"]
    first, second = shared @ bk.tanh(shared), shared @ bk.exp(shared * 0.1)
    scaled = first * bias
    again = second * bk.reshape(bk.slice(scaled, start=0, stop=1, axis=0), shape=(4,))
    graph = bk.Graph({"y": bk.tanh(x @ (bk.tanh(scaled) + bk.tanh(again)))})
    feeds = {**graph.init(0, "float64"), "n.b": np.arange(1.0, 5.0), "x": np.random.default_rng(0).random((2, 4))}
    check_passes(graph, feeds)


def test_a_diagonal_brick_on_its_own_output() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    d = bk.ADD(3, name="d", weights="diagonal", bias=False)
    h1 = bk.sigm(d(h, d(h, d(h, h)))) * h + x
    hs = bk.scan(bk.Cell(states={h: h1}, outputs=h1), bk.sequence("x", 3))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs**2.0)}))
    feeds = {**graph.init(0, "float64"), "x": np.random.default_rng(1).standard_normal((4, 2, 3))}
    check_passes(graph, feeds)


# --- lifting -------------------------------------------------------------------------------------


def test_each_operation_is_lifted_or_refused_by_name() -> None:
    for name, op in OPS.items():
        if op.kind == "elementwise":
            assert name not in RULES and name not in REFUSALS
        else:
            assert (name in RULES) != (name in REFUSALS), f"{name}: a rule to lift it, or the reason why not"
    assert not (RULES.keys() | REFUSALS.keys()) - OPS.keys()
    assert all(len(reason) > 10 for reason in REFUSALS.values())


def test_a_join_of_the_input_with_what_is_the_same_at_each_step() -> None:
    x, same = bk.input("x", 3), bk.broadcast(bk.parameter("same", 2), shape=("batch", 2))
    h = bk.state("h", 4)
    h1 = bk.TANH(4, name="hidden")(bk.concat(x, same, 2.0 * x), h)
    graph = bk.Graph({"loss": bk.mean(bk.scan(bk.Cell(states={h: h1}, outputs=h1), bk.sequence("x", 3)) ** 2.0)})
    rng = np.random.default_rng(8)
    check_passes(bk.grad(graph), {**graph.init(2, "float64"), "x": rng.standard_normal((5, 3, 3))})


@pytest.mark.parametrize("kept", ["new", "old", "both", "none"])
def test_running_sums_that_are_kept(kept) -> None:
    """A state that only adds up is one sum after the loop, but not where its values at each step are asked for."""
    x, s, h = bk.input("x", 3), bk.state("s", 3), bk.state("h", 3)
    new = s + bk.tanh(x)
    h1 = bk.TANH(3, name="u")(h, x)
    outputs = (
        {"h": h1} | ({"new": new} if kept in ("new", "both") else {}) | ({"old": s} if kept in ("old", "both") else {})
    )
    ys, last = bk.scan(bk.Cell(states={s: new, h: h1}, outputs=outputs), bk.sequence("x", 3), final=True)
    ys = ys if isinstance(ys, dict) else {"h": ys}
    loss = sum((bk.mean(bk.tanh(y) ** 2.0) for y in ys.values()), bk.mean(last["s"] * last["s"]))
    graph = bk.grad(bk.Graph({"loss": loss, **ys}), wrt=["x", "u.W_h", "s"])
    rng = np.random.default_rng(2)
    feeds = {**graph.init(0, "float64"), "x": rng.standard_normal((5, 2, 3)), "s": rng.standard_normal((2, 3))}
    check_passes(graph, feeds)
    forward = hoist(simplify(bk.Graph({"s": last["s"], **ys})))
    states = [n.attrs["states"] for n in forward.order() if n.op.name == "loop"]
    assert states == [("h",) if kept == "none" else ("s", "h")]


def test_slices_of_the_input_and_their_gradients_leave_the_loop() -> None:
    x, h = bk.input("x", 5), bk.state("h", 3)
    part = bk.stop_gradient(bk.slice(x, start=0, stop=2)), bk.tanh(bk.slice(x, start=2, stop=5))
    h1 = bk.TANH(3, name="u")(h, *part)
    hs = bk.scan(bk.Cell(states={h: h1}, outputs=h1), bk.sequence("x", 5))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}), wrt=["x", "u.W_h"])
    feeds = {**graph.init(0, "float64"), "x": np.random.default_rng(3).standard_normal((4, 2, 5))}
    check_passes(graph, feeds)
    for node in bk.compile(graph).lowered.order():
        if node.op.name == "loop" and node.attrs["states"]:
            assert not [n for n in node.attrs["body"].order() if n.op.name in ("pad", "stop_gradient")]


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", -104.5), ("float64", -746.0)])
def test_the_logistic_function_is_exact_at_both_ends(dtype, lowest) -> None:
    """Within 8 units in the last place for all z, denormal results included."""
    rng = np.random.default_rng(4)
    kind = np.dtype(dtype)
    bits = rng.integers(0, 256, (200_000, kind.itemsize), dtype=np.uint8).view(kind).ravel()
    z = np.concatenate([np.linspace(lowest, 60, 400_001), np.linspace(-3, 3, 100_001), bits[np.isfinite(bits)]])
    z = np.concatenate([z.astype(kind), np.array([0.0, -0.0, np.finfo(kind).max, np.finfo(kind).min], kind)])[:, None]
    e = np.exp(np.minimum(z.astype(np.longdouble), 100))
    right = e / (1 + e)
    graph = bk.Graph({"y": bk.sigm(bk.input("x", 1))})
    program = bk.compile(graph)
    with np.errstate(under="ignore"):
        step = np.spacing(np.maximum(right.astype(kind), np.finfo(kind).smallest_subnormal))
        for label, y in (("run", bk.run(graph, {"x": z})["y"]), ("compile", program({"x": z})["y"])):
            off = np.abs(y.astype(np.longdouble) - right) / step
            assert off.max() <= 8, (label, z[off.argmax()], off.max())
    ends = np.array([[np.inf], [-np.inf], [np.nan]], kind)
    for y in (bk.run(graph, {"x": ends})["y"], program({"x": ends})["y"]):
        np.testing.assert_array_equal(y, np.array([[1], [0], [np.nan]], kind))


def test_the_logarithm_of_a_small_gate_trains() -> None:
    y = bk.sigm(bk.input("x", 1))
    graph = bk.grad(bk.Graph({"loss": bk.sum(-bk.log(y)), "y": y}), wrt=["x"])
    for dtype, z in (("float32", -20.0), ("float32", -80.0), ("float64", -40.0), ("float64", -700.0)):
        for got in (f(graph, {"x": np.full((1, 1), z, dtype)}) for f in (bk.run, lambda g, f: bk.compile(g)(f))):
            np.testing.assert_allclose(got["loss"], -z, rtol=1e-5)
            np.testing.assert_allclose(got["grad/x"], -1, rtol=1e-5)


def test_expand_leaves_the_parts() -> None:
    x = bk.sequence("x", 3)
    y = bk.scan(bk.cells.lstm_layernorm(3, 2), bk.RMSNORM(3, name="before")(x))
    graph = bk.grad(bk.Graph({"loss": bk.mean(bk.layernorm(y, axis="time") ** 2.0)}))
    feeds = {**graph.init(1, "float64"), "x": np.random.default_rng(3).standard_normal((4, 5, 3))}
    feeds |= {"h": feeds["x"][0, :, :2], "C": feeds["x"][1, :, 1:]}
    check_passes(graph, feeds)
    for part, left in ((graph, {"layernorm", "rmsnorm"}), (expand(graph), set())):
        bodies = [n.attrs["body"] for n in part.order() if n.op.name == "loop"]
        names = {n.op.name for g in (part, *bodies) for n in g.order()}
        assert bodies and names & {"layernorm", "rmsnorm"} == left


def test_logistic_leaves_no_other_squashing_behind() -> None:
    graph = logistic(bk.Graph({"y": bk.scan(bk.cells.lstm(2, 3), bk.sequence("x", 2))}))
    names = [n.op.name for loop in graph.order() if loop.op.name == "loop" for n in loop.attrs["body"].order()]
    assert names.count("exp") == 3 and names.count("tanh") == 2 and "sigm" not in names


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan, 5e-324])
@pytest.mark.parametrize("op", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
def test_identities_hold_for_all_numbers(op, value) -> None:
    """A zero may lose its sign; nothing else changes."""
    x = bk.input("x", shape=("batch",))
    graph = bk.Graph({"left": OPS[op](value, x), "right": OPS[op](x, value)})
    feeds = {"x": np.array([0.0, -0.0, 1.0, -2.5, 5e-324, -1e300, np.inf, -np.inf, np.nan])}
    arrays, context = bind(graph, feeds)
    with np.errstate(all="ignore"):
        got = execute(simplify(graph), arrays, context)
    for name, want in bk.run(graph, feeds).items():
        np.testing.assert_array_equal(got[name], want, err_msg=f"{op} {value} {name}")


def test_constants_that_look_equal_stay_apart() -> None:
    """0 and -0 are two numbers, and NaN is one, for common subexpressions and for what is packed."""
    x = bk.input("x", 3)
    graph = bk.Graph({"a": bk.maximum(x, 1.0) / 0.0, "b": bk.maximum(x, 1.0) / -0.0, "c": x * np.nan, "d": x * np.nan})
    lowered = simplify(graph)
    assert lowered.outputs["a"] is not lowered.outputs["b"] and lowered.outputs["c"] is lowered.outputs["d"]
    w, v = bk.ADD(3, name="w", bias=False)(x), bk.ADD(3, name="v", bias=False)(x)
    graph = bk.Graph({"a": 1.0 / bk.multiply(w, 0.0), "b": 1.0 / bk.multiply(v, -0.0)})
    feeds = {**graph.init(0, "float64"), "x": np.random.default_rng(5).random((2, 3))}
    arrays, context = bind(graph, feeds)
    with np.errstate(all="ignore"):
        got = execute(fuse(graph), arrays, context)
    for name, want in bk.run(graph, feeds).items():
        np.testing.assert_array_equal(got[name], want)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [[c * 90 for c in "pqrs"], [f"b{i}" for i in range(60)]], ids=["long", "many"])
@pytest.mark.parametrize("chain", [True, False])
@pytest.mark.parametrize("every", [None, 2])
def test_names_of_many_bricks_together_are_never_refused(names, chain, every) -> None:
    x, a = bk.input("x", 2), bk.state("a", 2)
    y = x
    for name in names:
        y = bk.TANH(2, name=name)(y, a) if chain else y + bk.TANH(2, name=name)(x, a)
    hs = bk.scan(bk.Cell({a: y}, outputs=y, name=None), bk.sequence("x", 2))
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}))
    feeds = {**graph.init(0, "float64"), "x": np.random.default_rng(6).standard_normal((3, 2, 2))}
    program = bk.compile(graph, checkpoint=every)
    close(bk.run(graph, feeds), program(feeds), "names")
    if len(names) == 60 and not chain:
        assert "b0, and 59 more" in program.source


# --- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 3, "sqrt"])
@pytest.mark.parametrize("squash", [bk.tanh, bk.sigm, lambda c: bk.softmax(c) * 2.0, lambda c: c])
def test_checkpoints_with_a_context_and_with_what_is_handed_through(every, squash) -> None:
    u, c, h = bk.input("u", 3), bk.input("c", 4), bk.state("h", 2)
    n = bk.TANH(2, name="a")(u, h, squash(c))
    hs = bk.scan(bk.Cell(states={h: n}, outputs=n), {"u": bk.sequence("x", 3), "c": bk.input("context", 4)})
    k, v, old = bk.state("k", 2), bk.input("v", 2), bk.state("old", 2)
    through = bk.scan(bk.Cell(states={old: old}, outputs=v), hs, reverse=True)
    again = bk.scan(bk.Cell(states={k: k + bk.TANH(2, name="b")(v)}, outputs=v), through)
    graph = bk.grad(bk.Graph({"loss": bk.mean(again * hs)}), wrt=["x", "context", "a.W_h"])
    rng = np.random.default_rng(7)
    feeds = {**graph.init(0, "float64"), "x": rng.standard_normal((7, 2, 3)), "context": rng.standard_normal((2, 4))}
    close(bk.run(graph, feeds), bk.compile(graph, checkpoint=every)(feeds), "checkpoint")


# --- work that grows with the graph --------------------------------------------------------------


def sum_of_many(count):
    """A cell whose next state is a sum of `count` terms."""
    x, h = bk.input("x", 3), bk.state("h", 3)
    y = h
    for k in range(count):
        y = y + (bk.tanh(x) if k % 2 else x * float(k + 2))
    return bk.Graph({"loss": bk.mean(bk.scan(bk.Cell({h: bk.tanh(y)}, outputs=y), bk.sequence("x", 3)))})


@pytest.mark.parametrize("kind", ["chain", "bricks_in_a_chain", "bricks_side_by_side", "sum"])
@pytest.mark.parametrize("which", [*dict(PASSES), "checkpoint"])
def test_passes_visit_and_make_nodes_in_proportion_to_the_graph(monkeypatch, kind, which) -> None:
    """Four times the nodes: at most five times the visits (orders asked for, operands read) and the nodes made."""
    work = []
    for count in (20, 80):
        make = getattr(benchmark, kind) if kind != "sum" else lambda n: bk.grad(sum_of_many(n), wrt=["x"])
        lowered = make(count)
        for name, change in (("checkpoint", checkpointing(2)), *PASSES):
            if name == which:
                break
            lowered = lowered if name == "checkpoint" else change(lowered)
        counted = Counter()
        with monkeypatch.context() as patch:
            count_visits(patch, counted)
            {"checkpoint": checkpointing(2), **dict(PASSES)}[which](lowered)
        work.append(counted)
    for what, few in work[0].items():
        assert work[1][what] <= 5 * few + 50, (what, work)


def count_visits(patch, counted):
    """Count the nodes that orders hand out, the operands that are read, and the nodes that are made."""
    order, operands, init = bk.Graph.order, Node.operands, Node.__init__

    def count_order(graph):
        counted["ordered"] += len(order(graph))
        return order(graph)

    def count_init(node, op, *rest, **more):
        counted["made"] += 1
        init(node, op, *rest, **more)

    def read(node):
        found = operands.__get__(node)
        counted["operands"] += 1 + len(found)
        return found

    patch.setattr(bk.Graph, "order", count_order)
    patch.setattr(Node, "__init__", count_init)
    patch.setattr(Node, "operands", property(read, lambda node, value: operands.__set__(node, value)))


# --- stacks --------------------------------------------------------------------------------------


def test_rows_on_both_sides_of_a_stack_meet_each_matrix_in_one_product() -> None:
    """What hoisting leaves of a memory that is read at each step: rows (time, batch), a matrix for each of the batch."""
    memory, q, h = bk.input("memory", 3, 2), bk.input("q", 3), bk.state("h", 2)
    read = bk.reshape(bk.reshape(q, shape=("batch", 1, 3)) @ memory, shape=("batch", 2))
    cell = bk.Cell(states={h: bk.tanh(read + h)}, outputs=h)
    ys = bk.scan(cell, {"q": bk.sequence("q", 3), "memory": bk.input("M", 3, 2)})
    graph = bk.grad(bk.Graph({"loss": bk.sum(ys * ys)}), wrt=["M", "q"])
    rng = np.random.default_rng(2)
    feeds = {"q": rng.standard_normal((5, 4, 3)), "M": rng.standard_normal((4, 3, 2))}
    check_passes(graph, feeds)
    passes = bk.compile(graph, passes=True).passes
    shapes = [n.shape for n in passes["stacks"].order() if n.op.name == "matmul"]
    assert shapes == [("batch", "time", 1, 2), ("batch", "time", 1, 3)]
    assert [n.shape[:2] for n in passes["hoist"].order() if n.op.name == "matmul"] == [("time", "batch")] * 2


# --- where a loop costs nothing --------------------------------------------------------------------------


def kept_of(graph):
    """The shapes of all that loops hand out of all steps, and of the sequences that they are given."""
    loops = [n for n in hoist_what_pays(graph).order() if n.op.name == "loop"]
    out = [n.attrs["body"].outputs[name].shape for n in loops for name in n.attrs["stacked"]]
    given = [
        o.shape[1:]
        for n in loops
        for port, o in zip(n.attrs["ports"], n.operands, strict=True)
        if port in n.attrs["sequences"]
    ]
    return out, given


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["outside", "inside", "same", "constant", "masked"])
def test_what_is_larger_than_what_it_is_made_of_is_made_twice(kind, reverse) -> None:
    """A matrix that a step adds to a state is handed out by no loop, and given to none."""
    wanted = bk.input("a", 4), bk.input("b", 5)
    a, b = (bk.reshape(w, shape=("batch", *shape)) for w, shape in zip(wanted, ((4, 1), (1, 5)), strict=True))
    w = bk.parameter("w", 4, 5)
    made = {"same": lambda: a * bk.reshape(wanted[0], shape=("batch", 1, 4)), "constant": lambda: a * w}
    product = made.get(kind, lambda: a * b)()
    memory = bk.state("M", *product.shape[1:])
    after = bk.tanh(memory * 0.5 + product)
    xs = {"a": bk.sequence("a", 4), "b": bk.sequence("b", 5)}
    if kind == "outside":
        given = bk.input("p", 4, 5)
        after = bk.tanh(memory * 0.5 + given)
        whole = bk.reshape(xs["a"], shape=("time", "batch", 4, 1)) * bk.reshape(xs["b"], shape=("time", "batch", 1, 5))
        xs = {"p": whole}
    elif kind in ("same", "constant"):
        del xs["b"]
    cell = bk.Cell(states={memory: after}, outputs=bk.sum(after * product if kind != "outside" else after, axis=-1))
    mask = bk.sequence("mask") if kind == "masked" else None
    hs = bk.scan(cell, xs, reverse=reverse, mask=mask)
    graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "h": hs}), wrt=["a", *(["b"] if "b" in xs else [])])
    rng = np.random.default_rng(3)
    feeds = {n: rng.standard_normal([{"time": 4, "batch": 3}.get(d, d) for d in s]) for n, s in graph.inputs.items()}
    feeds |= {n: rng.standard_normal(s) for n, s in graph.params.items()}
    if mask is not None:
        feeds["mask"] = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 1], [0, 1, 1]], float)
    check_passes(graph, feeds)
    matrices = [sum(len(shape) == 3 and 1 not in shape for shape in shapes) for shapes in kept_of(graph)]
    assert matrices == {"outside": [2, 1], "constant": [2, 2]}.get(kind, [1, 1])  # the states; with w nothing is saved
