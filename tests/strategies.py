"""Random graphs and random cells for Hypothesis, with random sizes, weights and feeds."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import blocks as bk

from .conftest import QUICK
from .wide import Drawn, network
from .wide.dice import MANY

CHOICES = st.integers(0, MANY - 1)
SMOOTH = ("tanh", "sigm", "softplus", "negative", "sin", "cos", "silu", "gelu")
KINKED = (*SMOOTH, "relu", "abs")
sizes = st.integers(1, 5)


def pointwise(draw, wires, kinks=False):
    """One more wire of the shape of the given ones."""
    names = KINKED if kinks else SMOOTH
    pairs = ["add", "multiply", "subtract", "blend"] + (["maximum", "where"] if kinks else [])
    kind = draw(st.sampled_from([*names, *pairs]))
    a = draw(st.sampled_from(wires))
    if kind in names:
        return getattr(bk, kind)(a)
    b = draw(st.sampled_from(wires))
    if kind == "blend":
        gate = bk.sigm(draw(st.sampled_from(wires)))
        return gate * a + (1.0 - gate) * b
    if kind == "where":
        return bk.where(bk.greater(a, b), bk.tanh(a), b)
    return getattr(bk, kind)(a, b)


def examples(quick: int) -> settings:
    """Of how many examples a dear test has: so many, and in the deep profile 25 times as many."""
    asked = settings().max_examples
    return settings(max_examples=min(asked, 25 * quick) if asked > 10 * QUICK else quick)


@st.composite
def graphs(draw, kinks=False):
    """A random graph over (batch, n) and (time, batch, n) wires, with one number "loss"; and its feeds."""
    n, batch, time = draw(sizes), draw(sizes), draw(sizes)
    timed = draw(st.booleans())
    lead = ("time", "batch") if timed else ("batch",)
    wires = [bk.input(name, shape=(*lead, n)) for name in ("a", "b", "c")[: draw(st.integers(1, 3))]]
    for k in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["brick", "pointwise", "pointwise", "shape", "reduce"]))
        x = draw(st.sampled_from(wires))
        if kind == "brick":
            brick = draw(st.sampled_from([bk.SIGM, bk.TANH, bk.ADD, bk.MULTIPLY]))
            weights = draw(st.sampled_from(["dense", "diagonal", "scalar"]))
            some = draw(st.lists(st.sampled_from(wires), min_size=1, max_size=2))
            wires.append(brick(n, name=f"brick{k}", weights=weights, bias=draw(st.booleans()))(*some))
        elif kind == "pointwise":
            wires.append(pointwise(draw, wires, kinks))
        elif kind == "shape":
            cut = draw(st.integers(0, n - 1))
            y = draw(st.sampled_from(wires))
            wires.append(bk.slice(bk.concat(x, y), start=cut, stop=cut + n))
        else:
            reduce = draw(st.sampled_from([bk.sum, bk.mean]))
            axis = draw(st.sampled_from(["batch", -1, ("batch", -1)]))
            wires.append(bk.tanh(x) * reduce(x, axis=axis, keepdims=True))
    weights = {f"v{k}": w for k, w in enumerate(draw(st.permutations(wires))[:2])}
    loss = bk.mean(bk.tanh(wires[-1]))
    for w in weights.values():
        loss = loss + bk.mean(w * w)
    graph = bk.Graph({"loss": loss, "last": wires[-1]})
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return graph, random_feeds(graph, rng, {"batch": batch, "time": time})


@st.composite
def cells(draw, kinks=False, name="cell"):
    """A random cell: one to three states of different shapes, one or two inputs, bricks and operations."""
    n, inputs = draw(sizes), draw(sizes)
    x = bk.input("x", inputs)
    wires = [bk.state("s0", n)]
    states = list(wires)
    for k in range(1, draw(st.integers(1, 3))):
        states.append(bk.state(f"s{k}", n if draw(st.booleans()) else n + 1))
        wires += [states[-1]] if states[-1].shape == states[0].shape else []
    if draw(st.booleans()):
        second = bk.input("z", n)
        wires.append(second)
    for k in range(draw(st.integers(1, 6))):
        if k == 0 or draw(st.booleans()):
            brick = draw(st.sampled_from([bk.SIGM, bk.TANH, bk.ADD]))
            weights = draw(st.sampled_from(["dense", "dense", "diagonal", "scalar"]))
            some = draw(st.lists(st.sampled_from(wires), min_size=1, max_size=2))
            if weights == "dense":
                some.append(x)
            wires.append(brick(n, name=f"b{k}", weights=weights, bias=draw(st.booleans()))(*some))
        else:
            wires.append(pointwise(draw, wires, kinks))
    nexts = {}
    for s in states:
        w = draw(st.sampled_from(wires))
        if s.shape == states[0].shape:
            how = draw(st.sampled_from(["tanh", "sum", "product", "old"]))
            nexts[s] = (
                bk.tanh(w) if how == "tanh"
                else s + bk.tanh(w) * 0.5 if how == "sum"  # may change in place
                else bk.sigm(w) * s if how == "product"
                else draw(st.sampled_from([t for t in states if t.shape == s.shape]))  # states that change places
            )  # fmt: skip
        else:
            nexts[s] = bk.TANH(s.shape[-1], name=f"into {s.name}")(s, draw(st.sampled_from(wires)))
    outputs = {"y": wires[-1]}
    if draw(st.booleans()):
        outputs["old"] = draw(st.sampled_from(states))  # the value before the step
    return bk.Cell(states=nexts, outputs=outputs, name=draw(st.sampled_from([None, name])))


@st.composite
def networks(draw, kinks=False):
    """A random cell scanned, maybe masked, maybe reversed, with a loss; and its feeds."""
    cell = draw(cells(kinks))
    fed = cell.graph.fed("input")
    wires = {}
    for name in cell.inputs:
        constant = name != cell.inputs[0] and draw(st.booleans())
        width = fed[name].shape[-1]
        wires[name] = bk.input(f"in {name}", width) if constant else bk.sequence(f"in {name}", width)
    if not wires:
        cell = bk.cells.srn(2, 3)
        wires = {"x": bk.sequence("in x", 2)}
    mask = bk.sequence("mask") if draw(st.booleans()) else None
    out, finals = bk.scan(cell, wires, reverse=draw(st.booleans()), mask=mask, final=True)
    out = out if isinstance(out, dict) else {"y": out}
    loss = bk.mean(bk.tanh(next(iter(out.values()))))
    for wire in [*list(out.values())[1:], *draw(st.permutations(list(finals.values())))[:1]]:
        loss = loss + bk.mean(wire * wire)
    graph = bk.Graph({"loss": loss, **out})
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return graph, random_feeds(graph, rng, {"batch": draw(sizes), "time": draw(st.integers(1, 4))})


def random_feeds(graph, rng, dims):
    """Values for all inputs and weights; initial states are left out half of the time."""
    feeds = {}
    for name, shape in {**graph.inputs, **graph.params}.items():
        size = tuple(dims.get(d, d) for d in shape)
        if name == "mask":
            feeds[name] = (rng.random(size) < 0.7).astype(float)
            feeds[name][0] = 1.0
        elif name in graph.params or graph.fed("input")[name].attrs["default"] is None or rng.random() < 0.5:
            feeds[name] = rng.standard_normal(size) * 0.8
    return feeds


@st.composite
def wide(draw, kinks=True):
    """A network as wide as the language, from the choices of Hypothesis; see tests/wide."""
    return network(Drawn(draw, CHOICES), kinks)
