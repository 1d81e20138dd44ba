"""The record of one update: its numbers are those of `run` and `grad`, and each gradient is the sum of its parts."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.interpret import bind
from blocks.trace import training_graph

from .strategies import wide
from .wide import case


def close(got, want, said=""):
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10, err_msg=str(said))


def check_sums(trace):
    """Every gradient is the sum of what its value's users hand back; nothing that is shown is shown twice."""
    for e in trace:
        if e.phase == "backward" and e.symbol not in ("∂L/∂L", "∂L′/∂L′"):
            assert e.contributions, e.symbol
            close(sum(c.value for c in e.contributions), e.value, e.symbol)
            assert all(c.value.shape == e.value.shape for c in e.contributions)
    symbols = [e.symbol for e in trace]
    assert len(set(symbols)) == len(symbols)


def check_against_run(trace, graph, feeds, names):
    """The record's numbers are those of `run` and `grad`."""
    want = bk.run(bk.grad(graph, wrt=names), feeds)
    close(trace.loss, want["loss"])
    for name in names:
        close(trace.gradient(name), want[f"grad/{name}"], name)
    for e in trace:
        if e.phase == "update":
            close(e.value, feeds[e.of] - 0.1 * want[f"grad/{e.of}"], e.symbol)


def of_cell(cell, steps=3, batch=2, seed=0):
    """Feeds of a cell with a target, all sizes different."""
    rng, graph = np.random.default_rng(seed), cell.graph
    sizes = {"batch": batch}
    feeds = {name: value + 0.1 * rng.normal(size=value.shape) for name, value in graph.init(seed, "float64").items()}
    for name, node in graph.fed("input").items():
        shape = tuple(sizes.get(d, d) for d in node.shape)
        lead = () if name in cell.states else (steps,)
        feeds[name] = (
            rng.normal(size=(*lead, *shape)) if node.dtype == "float" else np.ones((*lead, *shape), node.dtype)
        )
    outputs = {n: graph.outputs[n] for n in cell.outputs}
    for name, node in outputs.items():
        target = "target" if len(outputs) == 1 else f"target/{name}"
        feeds[target] = rng.normal(size=(steps, *(sizes.get(d, d) for d in node.shape)))
    return feeds


@pytest.mark.parametrize("name", sorted(GALLERY))
def test_a_cell_of_the_gallery(name) -> None:
    make = getattr(bk.cells, name)
    try:
        cell = make(3, 4)
    except bk.WiringError:
        cell = make(4, 4)
    feeds = of_cell(cell)
    trace = bk.trace(cell, feeds)
    graph = training_graph(cell, feeds)
    known = {k: v for k, v in feeds.items() if k in graph.inputs or k in graph.params}
    check_against_run(trace, graph, known, [n for n in known if known[n].dtype.kind == "f"])
    check_sums(trace)
    stacked = bk.run(graph, known)
    for t in range(3):
        for output in cell.outputs:
            symbols = [e for e in trace if e.step == (t + 1,) and e.base == output and e.phase == "forward"]
            for e in symbols:
                close(e.value, stacked[output][t])


@given(wide())
def test_random_networks(network) -> None:
    trace = bk.trace(network.graph, network.feeds)
    arrays, _ = bind(network.graph, network.feeds)
    want = bk.run(network.gradient(), network.feeds)
    close(trace.loss, want["loss"])
    for name in network.wrt:
        close(trace.gradient(name), want[f"grad/{name}"], name)
    for e in trace:
        if e.phase == "update":
            close(e.value, arrays[e.of] - 0.1 * trace.gradient(e.of), e.symbol)
    check_sums(trace)


def test_every_value_of_every_step_is_that_of_the_loop() -> None:
    cell = bk.cells.lstm(2, 3)
    feeds = of_cell(cell, steps=4)
    trace, seen = bk.trace(cell, feeds), {}
    graph = training_graph(cell, feeds)
    bk.run(graph, feeds, watch=lambda n, v, steps: seen.__setitem__((n.brick, n.op.name, *(s + 1 for s in steps)), v))
    for t in range(1, 5):
        for brick in ("forget", "input", "output"):
            close(trace[f"{brick}({t})"], seen[brick, "sigm", t])
        close(trace[f"tanh(C({t}))"], np.tanh(trace[f"C({t})"]))
        close(trace[f"C({t})"], trace[f"forget({t})"] * trace[f"C({t - 1})"] + trace[f"input({t}) ⊙ candidate({t})"])


def test_symbols_and_rules_are_a_student_s() -> None:
    cell = bk.cells.lstm(2, 3)
    trace = bk.trace(cell, of_cell(cell))
    assert trace.entry("C(2)").rule == "forget(2) ⊙ C(1) + input(2) ⊙ candidate(2)"
    assert trace.entry("forget(2)").rule == "σ(forget.net(2))"
    assert trace.entry("forget.net(2)").rule == "x(2) · forget.W_x + h(1) · forget.W_h + forget.b"
    assert trace.entry("∂L/∂(forget(2) ⊙ C(1))").rule == "∂L/∂C(2)"
    assert trace.entry("∂L/∂forget(2)").rule == "∂L/∂(forget(2) ⊙ C(1)) ⊙ C(1)"
    fork = trace.entry("∂L/∂C(1)").contributions
    assert [c.through for c in fork] == ["forget(2) ⊙ C(1)", "tanh(C(1))"]
    assert fork[0].rule == "∂L/∂(forget(2) ⊙ C(1)) ⊙ forget(2)"
    weights = trace.entry("∂L/∂forget.W_h").contributions
    assert [c.rule for c in weights] == [f"h({t - 1})ᵀ · ∂L/∂forget.net({t})" for t in (3, 2, 1)]
    assert trace.entry("new forget.W_h").rule == "forget.W_h − lr ⊙ ∂L/∂forget.W_h"
    assert not any("multiply" in e.symbol + e.rule or "_2" in e.symbol for e in trace)
    phases = [e.phase for e in trace]
    assert phases == sorted(phases, key=["given", "forward", "loss", "backward", "update"].index)
    back = [e.symbol for e in trace if e.phase == "backward"]
    for later, earlier in (("h(3)", "C(3)"), ("C(3)", "forget(3)"), ("forget(3)", "C(2)"), ("C(1)", "forget.W_x")):
        assert back.index(f"∂L/∂{later}") < back.index(f"∂L/∂{earlier}")


def test_two_loops_keep_their_names_apart() -> None:
    xs = bk.sequence("x", 2)
    cell = bk.cells.gru(2, 3)
    both = bk.scan(cell, xs) + bk.scan(cell, xs, reverse=True)
    graph = bk.Graph({"loss": bk.mean(both * both)})
    feeds = {**graph.init(0, "float64"), "x": np.random.default_rng(0).normal(size=(3, 2, 2))}
    trace = bk.trace(graph, feeds)
    check_against_run(trace, graph, feeds, [*graph.params, "x"])
    assert {"h(1)", "h_2(1)"} <= {e.symbol for e in trace}
    backwards = bk.run(bk.Graph({"y": bk.scan(cell, xs, reverse=True)}), feeds)["y"]
    close(trace["h_2(1)"], backwards[0])


def test_a_loop_in_a_loop_has_two_steps() -> None:
    inner, h, x = bk.cells.srn(2, 3, name="inner"), bk.state("h", 3), bk.input("x", shape=("inside", "batch", 2))
    last = bk.scan(inner, x, final=True)[1]["inner/h"]
    after = bk.tanh(h * 0.5 + last)
    outer = bk.Cell({h: after}, after)
    xs = bk.input("x", shape=("time", "inside", "batch", 2))
    graph = bk.Graph({"loss": bk.mean(bk.scan(outer, xs) ** 2.0)})
    rng = np.random.default_rng(0)
    feeds = {**graph.init(0, "float64"), "x": rng.normal(size=(4, 3, 2, 2)), "h": rng.normal(size=(2, 3))}
    trace = bk.trace(graph, feeds)
    check_against_run(trace, graph, feeds, [*graph.params, "x", "h"])
    assert trace.entry("inner/h(4, 3)").step == (4, 3)


def test_steps_loss_mask_and_classes() -> None:
    cell = bk.cells.gru(2, 5)
    feeds = of_cell(cell, steps=6)
    short = bk.trace(cell, feeds, steps=2)
    assert short.steps == 2
    close(short.loss, bk.trace(cell, {**feeds, **{n: feeds[n][:2] for n in ("x", "target")}}).loss)
    mask = np.zeros((6, 2))
    mask[-1] = 1
    masked = bk.trace(cell, {**feeds, "mask": mask})
    close(masked.loss, 0.5 * ((masked["h(6)"] - feeds["target"][-1]) ** 2).sum())
    classes = {**feeds, "target": np.array([[1, 4], [0, 2]] * 3)}
    trace = bk.trace(cell, classes, loss=bk.losses.cross_entropy)
    logits = np.stack([trace[f"h({t})"] for t in range(1, 7)])
    chosen = np.take_along_axis(logits, classes["target"][..., None], -1)[..., 0]
    close(trace.loss, (np.log(np.exp(logits).sum(-1)) - chosen).mean(-1).sum())
    for wrong, said in (
        (lambda: bk.trace(cell, {k: v for k, v in feeds.items() if k != "target"}), "'target'"),
        (lambda: bk.trace(cell, feeds, steps=7), "has 6"),
        (
            lambda: bk.trace(cell, {k: v[0] if k in ("x", "target") else v for k, v in feeds.items()}),
            "traced over steps",
        ),
        (lambda: bk.trace(cell, feeds, loss="loss"), "function"),
        (lambda: bk.trace(cell, feeds, loss=lambda y, t: y - t), "one number"),
        (lambda: bk.trace(bk.Graph({"lost": bk.sum(bk.input("x", 2))}), {"x": np.ones((1, 2))}), "did you mean 'lost'"),
        (lambda: bk.trace(bk.cells.gru, feeds), "not a function"),
        (lambda: short.gradient("hh", 1), "did you mean"),
        (lambda: short.gradient("∂L/∂h(1)"), "ask for that"),
    ):
        with pytest.raises(bk.BlocksError, match=said):
            wrong()


@pytest.mark.parametrize("rule", [bk.SGD(0.3), bk.SGD(0.1, momentum=0.9), bk.Adam(1e-2), bk.RMSprop(), "adamw"])
def test_the_update_is_the_optimizer_s(rule) -> None:
    cell = bk.cells.srn(2, 3)
    feeds = of_cell(cell)
    trace = bk.trace(cell, feeds, optimizer=rule)
    optimizer = bk.AdamW() if rule == "adamw" else rule
    weights = {n: feeds[n] for n in cell.params}
    gradients = {n: trace.gradient(n) for n in weights}
    new, _ = optimizer.update(dict(weights), gradients, optimizer.slots(weights), 0)
    for name, value in new.items():
        close(trace[f"new {name}"], value, name)


def test_norms_show_the_gradient_fade() -> None:
    mask = np.zeros((12, 1))
    mask[-1] = 1
    norms = {}
    for make in (bk.cells.srn, bk.cells.lstm):
        cell = make(2, 4)
        feeds = {**of_cell(cell, steps=12, batch=1), "mask": mask}
        trace = bk.trace(cell, feeds)
        norms[make.__name__] = trace.norms()
        close(norms[make.__name__]["h"][3], np.linalg.norm(trace.gradient("h", 4)))
        assert norms[make.__name__].values.shape[1] == 12
        assert not {"x", "target", "loss"} & set(norms[make.__name__].names)
    assert norms["lstm"]["C"][0] > norms["srn"]["h"][0]
    picture = trace.plot(["C", "h"])
    assert len(picture.axes[0].get_yticklabels()) == 2
    assert trace.plot()._repr_png_()[:4] == b"\x89PNG"
    with pytest.raises(bk.BlocksError, match="did you mean"):
        trace.norms(["forgets"])


def test_table_json_and_csv_hold_all_numbers() -> None:
    cell = bk.cells.mgu(2, 3)
    trace = bk.trace(cell, of_cell(cell))
    document = json.loads(trace.to_json())
    assert [e["symbol"] for e in document["entries"]] == [e.symbol for e in trace]
    for entry, e in zip(document["entries"], trace, strict=True):
        close(np.array(entry["value"]).reshape(e.value.shape), e.value)
        for part, c in zip(entry["contributions"], e.contributions, strict=True):
            close(part["value"], c.value)
    rows = list(csv.DictReader(io.StringIO(trace.to_csv())))
    assert len(rows) == sum(v.size for e in trace for v in (e.value, *(c.value for c in e.contributions)))
    own = [float(r["value"]) for r in rows if r["symbol"] == "∂L/∂h(1)" and not r["through"]]
    close(own, trace["∂L/∂h(1)"].ravel())
    whole, short = trace.table(inside=True), trace.table()
    assert len(short.entries) < len(whole.entries) == len(trace)
    assert "∂L/∂h(1)" in str(short) and "<table>" in short._repr_html_()
    assert ".net(1)" in str(whole)


def test_what_is_not_finite_is_still_json() -> None:
    x = bk.input("x", 2)
    graph = bk.Graph({"loss": bk.sum(bk.log(x))})
    trace = bk.trace(graph, {"x": np.array([[0.0, 2.0]])})
    document = json.loads(trace.to_json())
    assert document["loss"] == "-inf"
    assert [e["value"] for e in document["entries"] if e["symbol"] == "∂L/∂x"] == [[["inf", 0.5]]]


def test_hostile_names_are_inert_in_the_table() -> None:
    h = bk.state("<b>h</b>", 2)
    cell = bk.Cell({h: bk.TANH(2, name="<script>alert(1)</script>")(bk.input("x", 2), h)}, h)
    page = bk.trace(cell, of_cell(cell)).table(inside=True)._repr_html_()
    assert "<script>" not in page and "<b>h" not in page


def test_a_masked_and_a_learnt_network_of_the_suite() -> None:
    """Numbers of networks with draws, masks, learners: those that a script has chosen."""
    for number in (3, 23, 57, 60):
        network = case(number)
        check_sums(bk.trace(network.graph, network.feeds))
