"""Every cell of the gallery, from one table: equal to its equations in NumPy, differentiated, compiled, drawn, trained."""

import sys

import numpy as np
import pytest

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.equations import equations

from .helpers import same
from .written_out import STEPS, Net

ALL = pytest.mark.parametrize("name", GALLERY)
SQUARE = {"book_lstm"}  # what they call x and h they add, so both have one size
ELSEWHERE = {"book_srn": "test_cells.py", "book_lstm": "test_cells.py"}  # written out there


OF_EACH_FAMILY = {family: name for name, family in reversed([(n, e.family) for n, e in GALLERY.items()])}.values()
# Numbers of the papers that a small test wants otherwise: steps so long that something happens in six of them, and a
# gradient that finite differences can see.
OPTIONS = {
    "cornn": {"step": 0.7, "stiffness": 1.0, "damping": 1.0},
    "antisymmetric_gated": {"step": 0.7},
    "lstm_1997": {"truncated": False},
}


def rng_of(name: str) -> np.random.Generator:
    return np.random.default_rng(sum(map(ord, name)))


def scanned(name: str, inputs: int = 3, units: int = 4, **options) -> tuple[bk.Cell, bk.Graph, dict]:
    """A cell over five steps of a batch of two, all states as outputs, and random feeds."""
    rng, width = rng_of(name), units if name in SQUARE else inputs
    cell = GALLERY[name].make(width, units, **options)
    ys, finals = bk.scan(cell, bk.sequence("x", width), final=True)
    graph = bk.Graph({"y": ys, **{f"last {s}": wire for s, wire in finals.items()}}).verify()
    feeds = {n: rng.normal(0.0, 0.6, s) for n, s in graph.params.items()} | {"x": rng.normal(size=(5, 2, width))}
    return cell, graph, feeds


def first(wire: bk.Node) -> np.ndarray:
    """The first value of a state, for a batch of two."""
    default = wire.attrs["default"]
    shape = tuple({"batch": 2}.get(d, d) for d in wire.shape)
    return np.broadcast_to(0.0 if isinstance(default, str) else default, shape)


def test_the_table_is_the_gallery() -> None:
    assert set(GALLERY) == set(bk.cells.__all__) == {*STEPS, *ELSEWHERE}
    for name, entry in GALLERY.items():
        said = entry.make.__doc__
        assert entry.line and str(entry.year) in said, name
        assert " = " in said and "Input x ``(batch, " in said + sys.modules[entry.make.__module__].__doc__, name


@ALL
def test_it_is_what_the_paper_says(name: str) -> None:
    if name in ELSEWHERE:
        return
    cell, graph, feeds = scanned(name)
    weights = Net({n: feeds[n] for n in graph.params})
    states = {s: first(wire) for s, wire in cell.wires.items()}
    ys = []
    for x in feeds["x"]:
        y, states = STEPS[name](weights, x, states)
        ys.append(y)
    want = {"y": np.stack(ys), **{f"last {s}": value for s, value in states.items()}}
    same(want, bk.run(graph, feeds), 1e-11)


@ALL
def test_it_is_differentiated_and_compiled(name: str) -> None:
    cell, graph, feeds = scanned(name, **OPTIONS.get(name, {}))
    rng = rng_of(name)  # not from zero, where what is normalised is steep
    feeds |= {s: rng.normal(size=first(wire).shape) for s, wire in cell.wires.items() if np.isfinite(first(wire)).all()}
    bk.check_grads(graph, feeds)
    if name in OF_EACH_FAMILY:
        bk.check_grads(graph, feeds, order=2, tolerance=1e-5)
    ys = graph.outputs["y"]
    gradient = bk.grad(bk.Graph({"loss": bk.mean(ys * ys), "y": ys}))
    same(bk.run(gradient, feeds), bk.compile(gradient)(feeds), 1e-10)
    assert bk.from_json(bk.to_json(graph)).dump() == graph.dump()


@ALL
def test_it_is_drawn_and_said(name: str) -> None:
    cell, _, _ = scanned(name)
    assert b"<svg" in cell.draw().render("svg")
    assert len(equations(cell.graph)) >= len(cell.states)


def one_step_before(rng: np.random.Generator, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The input, and what it was one step before."""
    X = rng.uniform(-1, 1, (64, 6, width))
    return X, np.concatenate([np.zeros((64, 1, width)), X[:, :-1]], axis=1)


def by_key(rng: np.random.Generator, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys, one-hot, each with a value; and the mean of the values that came with this key so far."""
    keys, values = np.eye(width - 1)[rng.integers(0, width - 1, (64, 6))], rng.uniform(-1, 1, (64, 6, 1))
    sums, counts = np.cumsum(keys * values, axis=1), np.cumsum(keys, axis=1)
    mean = np.sum(keys * sums / np.maximum(counts, 1), axis=-1, keepdims=True)
    return np.concatenate([keys, values], axis=-1), mean


class Learnt(bk.Callback):
    """Training stops where the loss is well below that of the first epoch, and below a bound."""

    def __init__(self, bound: float):
        self.bound = bound

    def __call__(self, loss: list[float]) -> bool:
        return loss[-1] < 0.9 * min(loss[0], self.bound)

    def on_epoch(self, model: bk.Model, record: dict) -> bool:
        return self(model.history.loss)


@ALL
def test_it_trains(name: str) -> None:
    """It learns to say what came one step before; a memory of keys and values, what came with a key."""
    units, rng, entry = 8, rng_of(name), GALLERY[name]
    width = units if name in SQUARE else 4 if entry.family == "memory" else 2
    X, Y = (by_key if entry.family == "memory" else one_step_before)(rng, width)
    target = bk.sequence("target", Y.shape[-1])
    cell = entry.make(width, units, **OPTIONS.get(name, {}))
    y = bk.ADD(Y.shape[-1], name="read_out")(bk.scan(cell, bk.sequence("x", width)))
    model = bk.Model(loss=bk.losses.squared_error(y, target), outputs=y, seed=3)
    learnt = Learnt(np.mean(Y**2))  # without a memory this is the best
    data = {"x": X, "target": Y}
    history = model.fit(data, epochs=40, batch_size=16, optimizer=bk.Adam(2e-2), clip=1.0, callbacks=learnt)
    assert learnt(history.loss), history.loss[::20]


@pytest.mark.parametrize(
    "blocks, size, inputs, outputs, bias, out_bias, weights",
    [
        (4, 1, 7, 7, "gates", False, 264),  # embedded Reber grammar
        (3, 2, 7, 7, "gates", False, 276),
        (2, 2, 2, 1, "all", True, 93),  # adding
        (3, 1, 1, 1, "all", False, 102),  # experiment 3
        (2, 2, 8, 4, "all", True, 156),  # temporal order, 6a
        (3, 2, 8, 8, "all", True, 308),  # 6b
        (2, 1, 54, 2, "none", False, 364),  # 2c
    ],
)
def test_the_weights_of_1997(blocks, size, inputs, outputs, bias, out_bias, weights) -> None:
    """The networks of Hochreiter and Schmidhuber (1997) have the weights that the paper counts."""
    cell = bk.cells.lstm_1997(inputs, blocks * size, block=size, bias=bias)
    y = bk.SIGM(outputs, name="out", bias=out_bias)(bk.scan(cell, bk.sequence("x", inputs)))
    assert sum(int(np.prod(s)) for s in bk.Graph({"y": y}).params.values()) == weights


def test_cells_of_1997_in_blocks_share_their_gates() -> None:
    """Blocks of two: each gate stands for two cells; and what is truncated changes no value, only the gradient."""
    rng = np.random.default_rng(2)
    cell = bk.cells.lstm_1997(3, 4, block=2)
    graph = bk.Graph({"y": bk.scan(cell, bk.sequence("x", 3))})
    feeds = {n: rng.normal(0, 0.6, s) for n, s in graph.params.items()} | {"x": rng.normal(size=(5, 2, 3))}
    net, h, C, i, o, ys = Net(feeds), np.zeros((2, 4)), 0.0, np.zeros((2, 2)), np.zeros((2, 2)), []
    for x in feeds["x"]:
        z = np.concatenate([h, i, o], axis=-1)
        i, o = (1 / (1 + np.exp(-net(gate, x=x, z=z))) for gate in ("input", "output"))
        C = C + np.repeat(i, 2, axis=-1) * 2 * np.tanh(net("candidate", x=x, z=z) / 2)
        h = np.repeat(o, 2, axis=-1) * np.tanh(C / 2)
        ys.append(h)
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], ys, rtol=1e-12)
    whole = bk.Graph({"y": bk.scan(bk.cells.lstm_1997(3, 4, block=2, truncated=False), bk.sequence("x", 3))})
    np.testing.assert_array_equal(bk.run(whole, feeds)["y"], bk.run(graph, feeds)["y"])
    cut, full = (bk.run(bk.grad(bk.Graph({"loss": bk.mean(g.outputs["y"] ** 2)})), feeds) for g in (graph, whole))
    assert np.abs(cut["grad/input.W_z"] - full["grad/input.W_z"]).max() > 1e-4
    with pytest.raises(bk.WiringError, match="blocks of 3"):
        bk.cells.lstm_1997(3, 4, block=3)
    with pytest.raises(bk.WiringError, match="not 'cells'"):
        bk.cells.lstm_1997(3, 4, bias="cells")
