"""Scans inside cells, first values, and masks of every type."""

import numpy as np
import pytest

import blocks as bk
from blocks.errors import fresh_name

from .helpers import same


def by_words(words_wired: bool) -> tuple[bk.Graph, dict[str, np.ndarray]]:
    """Each step of a cell reads a word, letter by letter, with a scan of its own."""
    letter, k = bk.input("letter", 3), bk.state("k", 4)
    reader = bk.Cell(states={k: bk.TANH(4, name="read")(letter, k)}, outputs={"seen": bk.sigm(k)})
    word, h = bk.input("word", shape=("letters", "batch", 3)), bk.state("h", 4)
    first = {"k": 0.5 * h} if words_wired else None
    seen, last = bk.scan(reader, {"letter": word}, initial=first, final=True)
    cell = bk.Cell(states={h: bk.TANH(4, name="join")(last["k"], h)}, outputs={"y": h * bk.mean(seen, axis="letters")})
    assert cell.inputs == ("word",) and cell.states == ("h",)
    words = bk.sequence("words", dtype="float")
    words = bk.input("words", shape=("time", "letters", "batch", 3))
    ys = bk.scan(cell, words)
    graph = bk.Graph({"loss": bk.mean(ys * ys) + bk.mean(ys), "y": ys})
    rng = np.random.default_rng(1)
    return graph, {**graph.init(0, "float64"), "words": rng.standard_normal((5, 3, 2, 3))}


@pytest.mark.parametrize("wired", [False, True])
def test_a_scan_inside_a_cell(wired) -> None:
    graph, feeds = by_words(wired)
    w = feeds
    h, ys = np.zeros((2, 4)), []
    for t in range(5):
        k, seen = (0.5 * h if wired else np.zeros((2, 4))), []
        for x in feeds["words"][t]:
            seen.append(1 / (1 + np.exp(-k)))
            k = np.tanh(x @ w["read.W_letter"] + k @ w["read.W_k"] + w["read.b"])
        ys.append(h * np.mean(seen, axis=0))
        join = [n for n in w if n.startswith("join.W")]
        h = np.tanh(k @ w[join[0]] + h @ w[join[1]] + w["join.b"])
    np.testing.assert_allclose(bk.run(graph, feeds)["y"], ys)
    bk.check_grads(graph, feeds)
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)
    gradient = bk.grad(graph)
    want = bk.run(gradient, feeds)
    for every in (None, 2, "sqrt"):
        got = bk.compile(gradient, checkpoint=every)(feeds)
        for name, value in want.items():
            np.testing.assert_allclose(got[name], value, atol=1e-12)
    assert bk.from_json(bk.to_json(gradient)).dump() == gradient.dump()


@pytest.mark.parametrize("make", [lambda: bk.parameter("h0", 4, init="normal"), lambda: 0.25, lambda: np.arange(4.0)])
def test_first_values_are_repeated_along_the_batch(make) -> None:
    first = make()
    ys = bk.scan(bk.cells.srn(3, 4), bk.sequence("x", 3), initial=first)
    graph = bk.Graph({"loss": bk.mean(ys * ys), "y": ys})
    feeds = {**graph.init(0, "float64"), "x": np.random.default_rng(2).standard_normal((3, 5, 3))}
    value = feeds.get("h0", first)
    h = np.broadcast_to(value, (5, 4))
    step = feeds["x"][0] @ feeds["hidden.W_x"] + h @ feeds["hidden.W_h"] + feeds["hidden.b"]
    np.testing.assert_allclose(bk.run(graph, feeds)["y"][0], np.tanh(step))
    bk.check_grads(graph, feeds)
    np.testing.assert_allclose(bk.compile(bk.grad(graph))(feeds)["loss"], bk.run(graph, feeds)["loss"])


def test_first_values_that_do_not_fit_are_named() -> None:
    for wire, said in [
        (bk.parameter("h0", 3), "h0 \\(3\\) made at test_scans.py"),
        (bk.input("i", 4, dtype="int"), "int"),
    ]:
        with pytest.raises(bk.WiringError, match=f"state 'h' is \\(batch, 4\\) float, its initial value .*{said}"):
            bk.scan(bk.cells.srn(3, 4), bk.sequence("x", 3), initial=wire)


def test_a_mask_leaves_types_as_they_are() -> None:
    x, h = bk.input("x", 3), bk.state("h", 3)
    ids = bk.input("id", dtype="int")
    outs = {"number": h, "id": ids, "is": bk.greater(bk.sum(x, axis=-1), 0.0)}
    cell = bk.Cell(states={h: bk.TANH(3)(x, h)}, outputs=outs)
    wires = {"x": bk.sequence("x", 3), "id": bk.sequence("ids", dtype="int")}
    got = bk.scan(cell, wires, mask=bk.sequence("mask"))
    assert [got[n].dtype for n in outs] == ["float", "int", "bool"]
    graph = bk.Graph(got)
    mask = np.array([[1, 1], [0, 1], [1, 0.0]])
    rng = np.random.default_rng(0)
    feeds = {**graph.init(0), "x": rng.standard_normal((3, 2, 3)), "ids": rng.integers(1, 9, (3, 2)), "mask": mask}
    for values in (bk.run(graph, feeds), bk.compile(graph)(feeds)):
        np.testing.assert_array_equal(values["id"], feeds["ids"] * mask.astype(int))
        np.testing.assert_array_equal(values["is"], (feeds["x"].sum(-1) > 0) & (mask > 0))
        assert values["id"].dtype.kind == "i" and values["is"].dtype == bool


def test_a_flag_goes_through_a_scan_inside_a_cell() -> None:
    """No gradient flows to a boolean state, also where a loop that has one hands it on."""
    x, h, b = bk.input("x", 3), bk.state("h", 4), bk.state("b", shape=("batch",), dtype="bool")
    inner = bk.Cell(states={h: bk.TANH(4, name="in")(x, h), b: b}, outputs=h, name="inner")
    z, g, flag = bk.input("z", 3), bk.state("g", 4), bk.state("flag", shape=("batch",), dtype="bool")
    letters = bk.input("letters", shape=("letter", "batch", 3))
    _, last = bk.scan(inner, letters, initial={"inner/h": g, "inner/b": flag}, final=True)
    g1 = bk.TANH(4, name="out")(z, last["inner/h"])
    y = bk.where(flag, bk.sum(g1, axis=-1), bk.maximum(flag, bk.mean(g1, axis=-1)))
    cell = bk.Cell(states={g: g1, flag: bk.where(flag, last["inner/b"], flag)}, outputs=y)
    wires = {"z": bk.sequence("z", 3), "letters": bk.input("letters", shape=("time", "letter", "batch", 3))}
    graph = bk.Graph({"loss": bk.mean(bk.scan(cell, wires) ** 2)})
    rng = np.random.default_rng(0)
    feeds = {**graph.init(0, "float64"), "z": rng.normal(size=(3, 2, 3)), "letters": rng.normal(size=(3, 4, 2, 3))}
    feeds["flag"] = np.array([True, False])
    bk.check_grads(graph, feeds, order=2, tolerance=1e-5)
    same(bk.run(bk.grad(graph), feeds), bk.compile(bk.grad(graph))(feeds), 1e-10)


def test_names_as_long_as_they_may_be() -> None:
    """What gradients and passes name after a wire of 200 characters, and after many wires of one name, still has one."""
    x, h = bk.input("x", 3), bk.state("h", 4)
    w = bk.named("n" * 200, bk.TANH(4, name="t" * 190)(x, h))
    for _ in range(210):
        w = bk.named("n" * 200, bk.sigm(w) * w + h)
    cell = bk.Cell(states={h: bk.tanh(w)}, outputs=w)
    gradient = bk.grad(bk.Graph({"loss": bk.mean(bk.scan(cell, bk.sequence("x", 3)) ** 2)}))
    feeds = {**gradient.init(0, "float64"), "x": np.ones((3, 2, 3))}
    same(bk.run(gradient, feeds), bk.run(bk.from_json(bk.to_json(gradient)), feeds), 0.0)


def test_many_things_of_one_name() -> None:
    taken: set[str] = set()
    for _ in range(500):
        taken.add(fresh_name("kept/pick", taken))
    assert len(taken) == 500 and max(map(len, taken)) < 20
    assert {"kept/pick", "kept/pick'", "kept/pick'''", "kept/pick'4"} <= taken
