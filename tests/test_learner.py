"""Learning as a cell: the updates of `fit`, scanned; drawn, written, and differentiated."""

import re

import numpy as np
import pytest

import blocks as bk
from blocks.equations import equations

RNG = np.random.default_rng(11)
N, H, M, B = 3, 5, 2, 4


def read_out(h: bk.Node, target: bk.Node) -> bk.Node:
    return bk.losses.squared_error(bk.ADD(M, name="out")(bk.named("read", h)), target)


def online(make=bk.cells.srn) -> bk.Node:
    """The loss of one step, whose cell brings its states along."""
    return read_out(make(N, H)(bk.input("x", N)), bk.input("target", M))


def whole(make=bk.cells.srn) -> bk.Node:
    """The loss of whole sequences."""
    return read_out(bk.scan(make(N, H), bk.sequence("x", N)), bk.sequence("target", M))


def sequences() -> dict[str, bk.Node]:
    return {"x": bk.sequence("x", N), "target": bk.sequence("target", M)}


def batches() -> dict[str, bk.Node]:
    """A batch of sequences for each update."""
    dims = ("update", "time", "batch")
    return {"x": bk.input("x", shape=(*dims, N)), "target": bk.input("target", shape=(*dims, M))}


def data(steps: int, samples: int = B, rng: np.random.Generator = RNG) -> dict[str, np.ndarray]:
    return {"x": rng.standard_normal((samples, steps, N)), "target": rng.standard_normal((samples, steps, M))}


def time_first(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: np.moveaxis(v, 1, 0).copy() for k, v in arrays.items()}


def fitted(given, optimizer, make=bk.cells.srn, **options) -> tuple[dict, dict, np.ndarray]:
    """The weights before and after `fit`, and the losses of its updates."""
    model = bk.Model(loss=whole(make), dtype="float64", seed=3)
    before = {k: v.copy() for k, v in model.weights.items()}
    history = model.fit(given, optimizer=optimizer, shuffle=False, **options)
    return before, model.weights, np.array([r["loss"] for r in history.steps])


def same_as_fit(learner, xs, feeds, fit) -> None:
    before, after, losses = fit
    got, last = bk.scan(learner, xs, final=True)
    results = bk.compile(bk.Graph({"losses": got, **last}))({**before, **feeds})
    np.testing.assert_allclose(results["losses"], losses, rtol=1e-12)
    assert set(learner.firsts) == set(after)
    for name, w in after.items():
        np.testing.assert_allclose(results[name], w, rtol=1e-12, atol=1e-12, err_msg=name)
        assert np.abs(w - before[name]).max() > 1e-3


def test_a_thousand_updates_are_those_of_fit() -> None:
    given = data(1000)
    fit = fitted(given, bk.SGD(0.05), tbptt=1)
    same_as_fit(bk.learner(online(), bk.SGD(0.05)), sequences(), time_first(given), fit)


@pytest.mark.parametrize(
    ("optimizer", "clip"),
    [
        (bk.SGD(0.05, momentum=0.9), 0.3),
        (bk.SGD(0.1, momentum=0.8, nesterov=True), None),
        (bk.RMSprop(0.01), None),
        ("adam", 0.1),
        (bk.AdamW(0.01, decay=0.5), None),
    ],
)
def test_every_rule_is_that_of_fit(optimizer, clip) -> None:
    given = data(50)
    fit = fitted(given, optimizer, bk.cells.lstm, tbptt=1, clip=clip)
    same_as_fit(bk.learner(online(bk.cells.lstm), optimizer, clip=clip), sequences(), time_first(given), fit)


@pytest.mark.parametrize(
    "rate",
    [
        bk.schedules.constant(0.1),
        bk.schedules.step_decay(0.1, 7, 0.6),
        bk.schedules.exponential(0.1, 9),
        bk.schedules.linear(0.1, 15, final=0.01),
        bk.schedules.linear(0.1, 15, warmup=4),
        bk.schedules.cosine(0.1, 17, final=0.02, warmup=5),
        lambda step: 0.1 / (1.0 + step),
    ],
    ids=["constant", "steps", "exponential", "linear", "warm-up", "cosine", "a function"],
)
def test_every_schedule_is_that_of_fit(rate) -> None:
    given = data(25)
    fit = fitted(given, bk.SGD(rate), tbptt=1)
    same_as_fit(bk.learner(online(), bk.SGD(rate)), sequences(), time_first(given), fit)


def test_updates_of_whole_sequences_are_those_of_fit() -> None:
    """A loss that scans: a loop in the loop of the updates."""
    given = data(6, 5 * B)
    fit = fitted(given, bk.Adam(0.01), batch_size=B)
    feeds = {k: np.moveaxis(v.reshape(5, B, 6, -1), 1, 2).copy() for k, v in given.items()}
    same_as_fit(bk.learner(whole(), bk.Adam(0.01)), batches(), feeds, fit)


def test_states_are_carried_from_chunk_to_chunk() -> None:
    h = bk.state("h", H)
    hs, last = bk.scan(bk.cells.srn(N, H), bk.sequence("x", N), initial={"h": h}, final=True)
    loss = read_out(hs, bk.sequence("target", M))
    given = data(12)
    feeds = {k: v.reshape(4, 3, B, -1) for k, v in time_first(given).items()}
    learner = bk.learner(loss, bk.SGD(0.1), states={h: last["h"]})
    same_as_fit(learner, batches(), feeds, fitted(given, bk.SGD(0.1), tbptt=3))


# --- gradients through learning ------------------------------------------------------------------


def taught(kind: str, optimizer, clip=None, updates: int = 4, make=bk.cells.srn) -> tuple[bk.Graph, dict]:
    """The mean loss of some updates, and feeds."""
    step = kind == "online"
    learner = bk.learner(online(make) if step else whole(make), optimizer, clip=clip)
    graph = bk.Graph({"loss": bk.mean(bk.scan(learner, sequences() if step else batches()))})
    feeds = dict(graph.init(5, "float64"))
    for name, width in (("x", N), ("target", M)):
        feeds[name] = RNG.standard_normal((updates, B, width) if step else (updates, 2, B, width))
    states = [s for s in ("h", "C") if s in graph.inputs]
    return graph, feeds | {s: RNG.standard_normal((B, H)) for s in states}


def weight(name: str, value: float) -> bk.Node:
    return bk.parameter(name, init=value)


def falling(step: bk.Node) -> bk.Node:
    return weight("lr", 0.1) * bk.exp(-0.1 * step)


@pytest.mark.parametrize("kind", ["online", "whole"])
@pytest.mark.parametrize(
    ("optimizer", "clip"),
    [
        (bk.SGD(weight("lr", 0.1)), None),
        (bk.SGD(weight("lr", 0.1), momentum=weight("m", 0.8), nesterov=True), 0.4),
        (bk.RMSprop(weight("lr", 0.1), weight("decay", 0.8), weight("e", 0.1)), None),
        (bk.Adam(weight("lr", 0.1), weight("b1", 0.7), weight("b2", 0.9), 0.1), None),
        (bk.AdamW(weight("lr", 0.1), epsilon=0.1, decay=weight("d", 0.3)), 0.3),
        (bk.SGD(falling), None),
    ],
)
def test_gradients_by_settings_weights_and_data(kind, optimizer, clip) -> None:
    graph, feeds = taught(kind, optimizer, clip)
    assert "lr" in graph.params
    bk.check_grads(graph, feeds, wrt=list(feeds), tolerance=1e-5)
    gradient = bk.grad(graph)
    want, got = bk.run(gradient, feeds), bk.compile(gradient)(feeds)
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_gradient_by_the_learning_rate_over_many_updates() -> None:
    graph, feeds = taught("online", bk.SGD(weight("lr", 0.05)), updates=200)
    program, gradient = bk.compile(graph), bk.compile(bk.grad(graph, wrt="lr"))

    def loss(lr: float) -> float:
        return float(program({**feeds, "lr": np.array(lr)})["loss"])

    step = 1e-5
    slope = (loss(0.05 - 2 * step) - 8 * loss(0.05 - step) + 8 * loss(0.05 + step) - loss(0.05 + 2 * step)) / 12 / step
    assert float(gradient({**feeds, "lr": np.array(0.05)})["grad/lr"]) == pytest.approx(slope, rel=1e-7)


def test_learning_is_differentiated_where_a_gradient_is_zero() -> None:
    """At the first step h is 0, and so is the gradient of W_h: the square root of its square has no slope there."""
    for optimizer in (bk.Adam(weight("lr", 0.1)), bk.RMSprop(weight("lr", 0.1)), bk.SGD(weight("lr", 0.1))):
        graph, feeds = taught("online", optimizer, clip=0.5)
        feeds = {k: v for k, v in feeds.items() if k != "h"}
        assert all(np.isfinite(v).all() for v in bk.run(bk.grad(graph), feeds).values())
        feeds |= {k: np.zeros_like(feeds[k]) for k in ("x", "target") if k in feeds}
        feeds |= {k: np.zeros_like(v) for k, v in feeds.items() if k.startswith(("hidden", "out"))}
        assert all(np.isfinite(v).all() for v in bk.run(bk.grad(graph), feeds).values())  # nothing has a gradient


def test_a_model_learns_how_to_learn() -> None:
    """The learning rate and the first weights, trained through ten updates."""
    lr = bk.exp(bk.parameter("log lr", init=-3.0))
    losses = bk.scan(bk.learner(online(), bk.SGD(lr)), sequences())
    model = bk.Model(loss=bk.mean(losses), outputs={"losses": losses}, dtype="float64")
    given = data(10, rng=np.random.default_rng(7))
    history = model.fit(given, epochs=30, batch_size=B, optimizer=bk.Adam(0.05))
    assert history.loss[-1] < 0.7 * history.loss[0]
    assert abs(model.weights["log lr"] + 3.0) > 0.05
    learner = bk.learner(bk.mean(losses), bk.Adam(0.05))  # the same, as a cell: three loops deep with its gradient
    outer = {
        n: bk.input(n, shape=("epoch", *node.shape)) for n, node in learner.graph.fed("input").items() if n in "xtarget"
    }
    again = bk.compile(bk.Graph({"losses": bk.scan(learner, outer)}))
    feeds = {k: np.stack([v] * 30) for k, v in time_first(given).items()}
    fresh = bk.Model(loss=bk.mean(losses), dtype="float64")
    np.testing.assert_allclose(
        again({**fresh.weights, **feeds})["losses"], [r["loss"] for r in history.steps], rtol=1e-10
    )


# --- what a cell is ------------------------------------------------------------------------------


def test_states_names_and_outputs() -> None:
    learner = bk.learner(online(), bk.Adam(), outputs={}, name="study")
    weights = ["hidden.W_x", "hidden.W_h", "hidden.b", "out.W_read", "out.b"]
    slots = [f"{slot}/{w}" for w in weights for slot in ("mean", "square")]
    assert list(learner.states) == [f"study/{s}" for s in [*weights, *slots, "step", "h"]]
    assert list(learner.params) == [f"study/{w}" for w in weights]
    assert (learner.inputs, learner.outputs) == (("x", "target"), ("loss",))
    assert "step" not in bk.learner(online(), bk.SGD()).states
    assert "momentum/hidden.W_x" in bk.learner(online(), bk.SGD(0.1, momentum=0.5)).states


def test_more_outputs_are_those_before_the_update() -> None:
    x, target = bk.input("x", N), bk.input("target", M)
    y = bk.ADD(M, name="out")(x)
    learner = bk.learner(bk.losses.squared_error(y, target), bk.SGD(0.5), outputs={"y": y})
    out = bk.scan(learner, sequences())
    graph = bk.Graph(out)
    feeds = {**graph.init(0, "float64"), **time_first(data(3))}
    results = bk.run(graph, feeds)
    np.testing.assert_allclose(results["y"][0], feeds["x"][0] @ feeds["out.W_x"] + feeds["out.b"])
    np.testing.assert_allclose(results["loss"], ((results["y"] - feeds["target"]) ** 2).mean((1, 2)))


def test_a_learner_inside_a_cell() -> None:
    """Its states come along, and begin with its weights."""
    x, target = bk.input("x", N), bk.input("target", M)
    learner = bk.learner(online(), bk.SGD(0.2))
    slow = bk.state("slow", shape=())
    loss = learner(x=x, target=target)
    cell = bk.Cell(states={slow: 0.9 * slow + 0.1 * loss}, outputs={"loss": loss, "slow": slow})
    given = time_first(data(20))
    alone, inside = (bk.Graph({"loss": bk.scan(c, sequences()) if c is learner else bk.scan(c, sequences())["loss"]})
                     for c in (learner, cell))  # fmt: skip
    feeds = {**alone.init(2, "float64"), **given}
    np.testing.assert_array_equal(bk.run(inside, feeds)["loss"], bk.run(alone, feeds)["loss"])


def test_a_loss_draws_anew_at_each_update() -> None:
    x, target = bk.input("x", N), bk.input("target", M)
    loss = bk.losses.squared_error(bk.ADD(M, name="out")(bk.dropout(x, 0.5)), target)
    graph = bk.Graph({"losses": bk.scan(bk.learner(loss, bk.SGD(0.0)), sequences())})
    feeds = {**graph.init(0, "float64"), **{k: np.repeat(v[:1], 6, 0) for k, v in time_first(data(6)).items()}}
    drawn, expected = bk.run(graph, feeds, draw=(0, 0))["losses"], bk.run(graph, feeds)["losses"]
    assert len(set(drawn)) == 6 and len(set(expected)) == 1
    np.testing.assert_array_equal(bk.compile(graph)(feeds, (0, 0))["losses"], drawn)


def test_figure_and_equations() -> None:
    y = bk.ADD(M, name="out")(bk.cells.srn(N, H)(bk.input("x", N)))
    learner = bk.learner(bk.losses.squared_error(y, bk.input("target", M)), bk.SGD(0.1, momentum=0.9), clip=1.0)
    lines = equations(learner.graph)
    assert "hidden = tanh(x hidden.W_x' + h' hidden.W_h' + hidden.b')" in lines
    assert "out.b = out.b' − 0.1 ⊙ momentum/out.b" in lines
    assert any(re.fullmatch(r"momentum/out\.b = 0\.9 ⊙ momentum/out\.b' \+ .*", line) for line in lines)
    svg = learner.draw()._repr_svg_()
    for text in ("∂", "SGD hidden", "SGD out", "clip", "hidden.W_h", "target"):
        assert text in svg
    shown = re.findall(r"<text.*?</text>", svg)
    assert not any("momentum" in text for text in shown)  # slots stand inside of their box


def test_refusals() -> None:
    x = bk.input("x", N)
    with pytest.raises(bk.WiringError, match=r"one number, not x \(batch, 3\) made at .*test_learner"):
        bk.learner(x, "sgd")
    with pytest.raises(bk.WiringError, match="nothing to learn: .* depends on no weights"):
        bk.learner(bk.mean(x), "sgd")
    with pytest.raises(bk.BlocksError, match="unknown optimizer 'adm'"):
        bk.learner(online(), "adm")
    with pytest.raises(bk.BlocksError, match="clip must be a positive number or None, not -1"):
        bk.learner(online(), "sgd", clip=-1)
    with pytest.raises(bk.BlocksError, match=r"SGD: lr is one number, not x \(batch, 3\)"):
        bk.SGD(x)
    with pytest.raises(bk.BlocksError, match="lr is a wire, for a learner; here it is a number"):
        bk.Model(loss=whole()).fit(data(3), optimizer=bk.SGD(weight("lr", 0.1)))
    with pytest.raises(bk.BlocksError, match="the schedule of lr takes numbers alone"):
        bk.learner(online(), bk.SGD(lambda step: 0.1 if step < 3 else 0.01))
    with pytest.raises(bk.BlocksError, match=r"the schedule of lr gives .*, not one number"):
        bk.learner(online(), bk.SGD(lambda step: "fast"))
    with pytest.raises(bk.WiringError, match="one for all sequences; a mask holds states of sequences"):
        bk.scan(bk.learner(online(), "sgd"), sequences(), mask=bk.sequence("mask"))
