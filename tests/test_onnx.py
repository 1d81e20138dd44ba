"""What is written for ONNX, run by an interpreter of its nodes in NumPy: it needs no onnx. `.ci/more exchange` has the
reference evaluator and onnxruntime run the same."""

import sys

import numpy as np
import pytest
from hypothesis import given as given_by

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.exchange.export import LANGUAGES
from blocks.exchange.onnx import file_of
from blocks.exchange.walk import STRUCTURE
from blocks.graph import OPS

from .exchange import nodes
from .exchange.examples import EXAMPLES
from .exchange.exported import feeds_of
from .exchange.in_onnx import difference
from .strategies import wide
from .test_exchange import sinh  # noqa: F401 (a fixture)
from .test_gallery import scanned
from .test_ops import TABLE


def made_of(source, **options):
    return file_of(nodes.ONNX, source, **{"dtype": "float64", "fused": True, **options})


def check(graph, feeds, tolerance=1e-11, **options) -> nodes.Graph:
    """A file, of which the numbers are those of `run`."""
    weights = {n: np.asarray(feeds[n], np.float64) for n in graph.params}
    made = made_of(graph, weights=weights, **options)
    names = [declared.name for declared in made.input]
    with np.errstate(all="ignore"):
        found = difference(graph, feeds, lambda fed: nodes.run(made, fed), names, "float64")
    assert found is not None and found[0] <= tolerance, found
    return made


def kinds(made: nodes.Graph) -> list[str]:
    return [node.op for node in made.node]


@pytest.mark.parametrize("name", sorted(set(OPS) - set(STRUCTURE)))
def test_every_operation_has_its_numbers(name) -> None:
    wire, feeds, _ = TABLE[name]
    check(bk.Graph({"y": wire}), feeds)


@pytest.mark.parametrize("name", GALLERY)
def test_the_gallery_has_its_numbers(name) -> None:
    cell, graph, feeds = scanned(name)
    check(graph, feeds)
    check(graph, {**feeds, "x": feeds["x"][:1, :1]}, fused=False)
    step = {**{n: feeds[n] for n in cell.graph.params}, "x": feeds["x"][0]}
    made = made_of(cell, weights={n: feeds[n] for n in cell.graph.params})
    assert {declared.name for declared in made.input} >= {s for s in cell.states if s in cell.graph.inputs}
    check(cell.graph, step)


@pytest.mark.parametrize("name", ["lstm", "gru", "mlstm"])
def test_a_gradient_has_its_numbers(name) -> None:
    _, graph, feeds = scanned(name)
    ys, mask = graph.outputs["y"], bk.sequence("mask")
    loss = bk.losses.squared_error(ys, bk.sequence("target", *ys.shape[2:]), mask)
    target = np.random.default_rng(1).normal(size=bk.run(graph, feeds)["y"].shape)
    feeds = {**feeds, "target": target, "mask": np.array([[1, 1], [1, 1], [1, 0], [0, 0], [0, 0]], float)}
    check(bk.grad(bk.Graph({"loss": loss, "y": ys})), feeds)


@given_by(wide())
def test_random_networks_have_their_numbers(made) -> None:
    feeds = {n: v for n, v in made.feeds.items() if n not in made.graph.draws}
    optional = any(leaf.attrs["default"] is not None and n in feeds for n, leaf in made.graph.fed("input").items())
    check(made.graph, feeds, states="inputs" if optional else "zeros")


@pytest.mark.parametrize("name", [n for n, make in EXAMPLES.items() if n != "lstm"])
def test_the_examples_have_their_numbers(name) -> None:
    graph = EXAMPLES[name]()
    made = check(graph, feeds_of(graph, 6, 4))
    assert kinds(made).count("Scan") >= 2


def test_a_model_takes_and_gives_its_arrays_batch_first() -> None:
    model = bk.Model(outputs=bk.ADD(3, name="out")(bk.scan(bk.cells.srn(4, 5), bk.sequence("x", 4))), dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 6, 4))
    found = nodes.run(made_of(model), {"x": x})
    np.testing.assert_allclose(found["y"], model.predict({"x": x}), atol=1e-13)
    carried = made_of(model, states="inputs")
    assert [declared.name for declared in carried.input] == ["x", "h"]
    one = nodes.run(carried, {"x": x[:, :2], "h": np.zeros((2, 5))})
    two = nodes.run(carried, {"x": x[:, 2:], "h": one["final/h"]})
    np.testing.assert_allclose(np.concatenate([one["y"], two["y"]], axis=1), found["y"], atol=1e-13)


def test_a_model_with_its_gradient_trains() -> None:
    """What is left to do is an optimizer: weights and draws are inputs."""
    ys = bk.scan(bk.cells.gru(3, 4), bk.dropout(bk.sequence("x", 3), 0.5))
    loss = bk.losses.squared_error(bk.ADD(1, name="out")(ys), bk.sequence("target", 1))
    model = bk.Model(loss=loss, outputs={"y": ys}, dtype="float64")
    made = made_of(model, gradient=True)
    assert [d.name for d in made.input] == ["x", "target", "keep", *model.weights]
    assert [d.name for d in made.output] == ["loss", "y", *(f"grad/{n}" for n in model.weights)]
    rng = np.random.default_rng(3)
    fed = {
        "x": rng.normal(size=(2, 5, 3)),
        "target": rng.normal(size=(2, 5, 1)),
        "keep": rng.integers(0, 2, (2, 5, 3)) * 1.0,
    }
    found = nodes.run(made, fed)
    turned = {k: np.moveaxis(v, 0, 1) for k, v in fed.items()}
    want = bk.run(bk.grad(model.graph), {**model.weights, **turned})
    for name in model.weights:
        np.testing.assert_allclose(found[f"grad/{name}"], want[f"grad/{name}"], atol=1e-13)
    other = {n: w + 0.1 for n, w in model.weights.items()}
    moved = nodes.run(made, {**fed, **other})["loss"]
    np.testing.assert_allclose(moved, bk.run(model.graph, {**other, **turned})["loss"], atol=1e-13)


@pytest.mark.parametrize("vary", [(), ("mask",), ("ids", "mask", "target")])
def test_trials_have_their_numbers(vary) -> None:
    """Products, rows, sums of rows and held steps of each trial's own."""
    ids, mask = bk.sequence("ids", dtype="int"), bk.sequence("mask")
    ys = bk.scan(bk.cells.gru(3, 4), bk.gather(bk.parameter("E", 7, 3), ids), mask=mask)
    loss = bk.losses.cross_entropy(bk.ADD(5, name="out")(ys), bk.sequence("target", dtype="int"), mask)
    graph = bk.trials(bk.grad(bk.Graph({"loss": loss, "last": bk.last(ys, mask)})), vary)
    rng, sizes = np.random.default_rng(0), {"time": 6, "trials": 3, "batch": 2}
    shapes = {n: [sizes.get(d, d) for d in s] for n, s in {**graph.params, **graph.inputs}.items()}
    feeds = {n: rng.normal(0.0, 0.5, shapes[n]) for n in graph.params}
    feeds |= {"ids": rng.integers(0, 7, shapes["ids"]), "target": rng.integers(0, 5, shapes["target"])}
    feeds["mask"] = np.ones(shapes["mask"])
    feeds["mask"][3:, ..., 0], feeds["mask"][0, ..., 1] = 0.0, 0.0
    check(graph, feeds)


def test_an_output_that_is_called_as_an_input() -> None:
    h = bk.state("h", 3)
    h1 = bk.tanh(h + bk.input("x", 3))
    made = made_of(bk.Cell(states={h: h1}, outputs={"h": h1, "x": h1 * 2.0}))
    assert [d.name for d in made.output] == ["h_out", "x_out", "next/h"]


def test_weights_and_constants_stand_once() -> None:
    _, graph, feeds = scanned("lstm")
    made = check(graph, feeds, fused=False)
    scan = next(node for node in made.node if node.op == "Scan")
    assert not scan.attributes["body"].initializer and {n for n, _ in made.initializer} > set(graph.params)


def test_an_operation_says_its_own_row(sinh) -> None:  # noqa: F811
    for row in ("Sinh({0})", "(Exp({0}) - Exp(-{0})) / 2.0"):
        graph = bk.Graph({"y": sinh(rows={"onnx": row})(bk.input("x", 3))})
        check(graph, {"x": np.array([[-1.0, 0.5, 2.0]])})
        OPS.pop("sinh")


@pytest.mark.parametrize(
    "row, said",
    [
        ("Sinhh({0})", r"'Sinhh\(hole__0\)' in the row of operation 'sinh' is nothing that ONNX has"),
        ("os.system({0})", "is nothing that ONNX has"),
        ("Sinh({3})", r"a row of operation 'sinh' has no \{3\}; it may have \{0\}, \{sizes\} and \{dtype\}"),
        ("Sinh({0}", "is no expression"),
    ],
)
def test_a_row_that_is_none_is_refused(sinh, row, said) -> None:  # noqa: F811
    with pytest.raises(bk.BlocksError, match=said):
        made_of(bk.Graph({"y": sinh(rows={"onnx": row})(bk.input("x", 3))}))


def test_what_cannot_be_written_is_refused(sinh, monkeypatch) -> None:  # noqa: F811
    cell = bk.cells.srn(2, 3)
    with pytest.raises(bk.BlocksError, match=r"'sinh' has no row for ONNX.*rows=\{'onnx': ...\}"):
        made_of(bk.Graph({"y": sinh()(bk.input("x", 3))}))
    with pytest.raises(bk.BlocksError, match=r"states is zeros or inputs, not 'input' \(did you mean 'inputs'"):
        bk.to_onnx(cell, states="input")
    with pytest.raises(bk.BlocksError, match="dtype is float32 or float64, not 'float16'"):
        bk.to_onnx(cell, dtype="float16")
    with pytest.raises(bk.BlocksError, match="the gradient is that of an output 'loss', but this graph has y, next/h"):
        bk.to_onnx(cell, gradient=True)
    with pytest.raises(bk.BlocksError, match="this model has no loss"):
        bk.to_onnx(bk.Model(outputs=bk.scan(cell, bk.sequence("x", 2))), gradient=True)
    monkeypatch.setitem(sys.modules, "onnx", None)
    for write in (bk.to_onnx, lambda source: LANGUAGES["onnx"](source, None)):
        with pytest.raises(bk.BlocksError, match="package onnx, which is not installed: pip install onnx"):
            write(cell)
