"""Parts of wires, products of rows with matrices, a product for each example, running sums, and lists of wires."""

import numpy as np
import pytest

import blocks as bk

RNG = np.random.default_rng(11)
xs, x, c = bk.sequence("xs", 4, 6), bk.input("x", 8), bk.input("c", shape=(8,))
XS, X, C = RNG.standard_normal((5, 3, 4, 6)), RNG.standard_normal((3, 8)), RNG.standard_normal(8)
FEEDS = {"xs": XS, "x": X, "c": C}


def everywhere(wire, feeds, wanted, gradient=True):
    """By the interpreter, compiled, compiled over a gradient, and from a file; and the gradient to second order."""
    graph = bk.Graph({"y": wire}).verify()
    fed = {name: feeds[name] for name in graph.inputs}
    again = bk.from_json(bk.to_json(graph))
    for got in (bk.run(graph, fed), bk.compile(graph)(fed), bk.run(again, fed)):
        assert got["y"].shape == wanted.shape and got["y"].dtype == wanted.dtype
        np.testing.assert_allclose(got["y"], wanted, rtol=1e-12, atol=1e-12)
    if gradient:
        bk.check_grads(bk.Graph({"y": wire * wire}), fed, order=2)


KEYS = [
    0, -1, 2, np.int64(1), slice(0, 3), slice(-2, None), slice(None, 2), slice(None), ..., None,
    (-1, 0), (slice(None), slice(None), 1), (slice(None), slice(None), slice(1, 3)), (..., 2), (..., slice(2, 5)),
    (..., -2, slice(None, -1)), (slice(0, 2), slice(1, 2), 3, slice(-4, -1)), (..., None), (None, ...),
    (0, None, ..., None, 1), (slice(None), 0, ..., slice(0, 6)), (1, -1, 3, 2), (..., slice(3, 99)), (-1, ...),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_parts_are_numpys(key) -> None:
    everywhere(xs[key], {"xs": XS}, XS[key], gradient=len(str(key)) % 3 == 0)


def test_parts_of_integers_and_of_what_has_no_names() -> None:
    ids = bk.sequence("ids", dtype="int")
    everywhere(ids[-1], {"ids": np.arange(15).reshape(5, 3)}, np.arange(12, 15), gradient=False)
    everywhere(c[2:5] * c[-1], FEEDS, C[2:5] * C[-1])
    assert x[:] is x and x[...] is x and c[None].shape == (1, 8)


WRONG = [
    (lambda: x[:, 8], r"a part of x \(batch, 8\) made at test_parts.*: 8 is outside of axis 1 of \(batch, 8\) \[test_parts"),
    (lambda: x[:, -9], "-9 is outside of axis 1"),
    (lambda: x[0, 0, 0], r"has 2 axes; it takes so many numbers and slices, and one"),
    (lambda: x[..., ...], "and one ..."),
    (lambda: x[::2], "steps of 1, not of 2"),
    (lambda: x[:, 3:3], "is empty"),
    (lambda: xs[1:], r"\[1:None\] of 'time' has no known length"),
    (lambda: x[[0, 1]], r"\[0, 1\] takes no part.*gather"),
    (lambda: x[True], "True takes no part"),
    (lambda: x[x > 0], "a wire takes no part.*where"),
    (lambda: x["batch"], "'batch' takes no part"),
    (lambda: bk.split(x, 3), r"split of x.*axis 1 of \(batch, 8\) is not 3 equal parts"),
    (lambda: bk.split(x, [3, 4]), "is not parts of 3, 4"),
    (lambda: bk.split(x, 0), "a number of equal ones or a list of their sizes, not 0"),
    (lambda: bk.split(x, "ab"), "not 'ab'"),
    (lambda: bk.split(x, 2, axis="batch"), "the length of 'batch' is not known"),
    (lambda: bk.expand_dims(x, 4), r"expand_dims of x.*has no axis 4"),
    (lambda: bk.expand_dims(x, (1, 1)), "names one twice"),
    (lambda: bk.argmax(x, axis=None), "goes along one axis, not None"),
    (lambda: bk.cumsum(x, axis="time"), "has no axis 'time'"),
    (lambda: bk.cumsum(x, reverse=1), "reverse is True or False"),
    (lambda: bk.outer_each(x, 2.0), r"takes rows \(\.\.\., n\)"),
    (lambda: bk.concat([]), "at least 1 wire"),
    (lambda: bk.concat([x, c]), "do not fit"),
    (lambda: x @ bk.input("w", 7, 2), "rows of 8 meet a matrix of 7 rows"),
    (lambda: x @ bk.input("v", shape=(7,)), "rows of 8 meet a matrix of 7 rows"),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_what_fits_not_is_said(row) -> None:
    make, said = WRONG[row]
    with pytest.raises(bk.WiringError, match=said):
        make()


def test_a_wire_is_not_walked_over() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(x)
    with pytest.raises(TypeError):
        assert 0.0 in x
    with pytest.raises(bk.WiringError, match="no number, array or wire"):
        bk.constant(value=[x, c])


BEYOND = [
    lambda: xs[3],
    lambda: bk.sum(xs[:3]),
    lambda: xs[:3] * 2.0,
    lambda: xs[-3] * 2.0,
    lambda: bk.slice(xs, start=-4, axis=0),
    lambda: bk.sum(bk.tanh(xs)[-3:], axis=(0, 3)),
]


@pytest.mark.parametrize("make", BEYOND)
def test_a_part_beyond_the_steps_of_a_run_is_refused(make) -> None:
    """In programs too, whose parts are views: NumPy would cut them short, C would read what stands behind."""
    graph = bk.Graph({"y": make()})
    feeds = {**graph.init(0, "float64"), "xs": XS}
    program, said = bk.compile(graph), set()
    np.testing.assert_allclose(program(feeds)["y"], bk.run(graph, feeds)["y"])
    for run in (lambda f: bk.run(graph, f), program):
        with pytest.raises(
            bk.FeedError, match=r"reaches beyond the 2 elements of axis 0 .made at test_parts"
        ) as caught:
            run({**feeds, "xs": XS[:2]})
        said.add(str(caught.value))
    assert len(said) == 1


def test_split_and_expand_dims() -> None:
    for parts, axis, wanted in [
        (4, -1, np.split(X, 4, -1)),
        ([3, 5], 1, np.split(X, [3], 1)),
        (np.array([1, 6, 1]), -1, np.split(X, [1, 7], 1)),
        (1, -1, [X]),
    ]:
        made = bk.split(x, parts, axis=axis)
        assert isinstance(made, list) and len(made) == len(wanted)
        for wire, value in zip(made, wanted, strict=True):
            everywhere(wire, FEEDS, value)
    assert bk.compile(bk.Graph({"y": bk.concat(bk.split(x, [3, 5]))})).lowered.order()[-1].op.name == "input"
    for axis in (1, -1, 0, (1, -1), (0, 2, 4)):
        everywhere(bk.expand_dims(x, axis), FEEDS, np.expand_dims(X, axis), gradient=False)


def test_concat_and_stack_take_lists_and_wires() -> None:
    parts = bk.split(x, 2)
    for made in (bk.concat(parts), bk.concat(tuple(parts)), bk.concat(*parts)):
        everywhere(made, FEEDS, X, gradient=False)
    for made in (bk.stack(parts), bk.stack(*parts), bk.stack([*parts], axis=-1)):
        everywhere(made, FEEDS, np.stack([X[:, :4], X[:, 4:]], -1), gradient=False)
    everywhere(bk.stack([c, 2.0 * c], axis=0), FEEDS, np.stack([C, 2 * C]), gradient=False)


# --- products ------------------------------------------------------------------------------------


def wires(**shapes):
    """Inputs of some shapes, and numbers for them: time is 5, batch 3, trials 2."""
    made = {name: bk.input(name, shape=shape) for name, shape in shapes.items()}
    sizes = {"time": 5, "batch": 3, "trials": 2}
    return made, {name: RNG.standard_normal([sizes.get(d, d) for d in shape]) for name, shape in shapes.items()}


PRODUCTS = {  # x, w, the result's shape, NumPy's letters
    "rows": (("time", "batch", 4), (4, 6), ("time", "batch", 6), "tbn,nm->tbm"),
    "one row": ((4,), (4, 6), (6,), "n,nm->m"),
    "stacks": (("batch", 2, 4), ("batch", 4, 6), ("batch", 2, 6), "bkn,bnm->bkm"),
    "a matrix for each row": (("batch", 4), ("batch", 4, 6), ("batch", 6), "bn,bnm->bm"),
    "at each step": (("time", "batch", 4), ("batch", 4, 6), ("time", "batch", 6), "tbn,bnm->tbm"),
    "for each step and row": (("batch", 4), ("time", "batch", 4, 6), ("time", "batch", 6), "bn,tbnm->tbm"),
    "one row for all": ((4,), ("batch", 4, 6), ("batch", 6), "n,bnm->bm"),
    "a matrix for each step": (("time", "batch", 4), ("time", 4, 6), ("time", "batch", 6), "tbn,tnm->tbm"),
    "trials": (("time", "batch", 4), ("trials", 4, 6), ("time", "trials", "batch", 6), "tbn,rnm->trbm"),
    "a row for each trial": (("trials", 4), ("trials", 4, 6), ("trials", 6), "rn,rnm->rm"),
    "column": (("time", "batch", 4), (4,), ("time", "batch"), "tbn,n->tb"),
    "row and column": ((4,), (4,), (), "n,n->"),
    "matrix of numbers": ((3, 4), (4, 6), (3, 6), "kn,nm->km"),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name) -> None:
    left, right, shape, letters = PRODUCTS[name]
    made, feeds = wires(a=left, w=right)
    y = made["a"] @ made["w"]
    assert y.shape == shape
    everywhere(y, feeds, np.asarray(np.einsum(letters, feeds["a"], feeds["w"])))


def test_an_array_on_the_left() -> None:
    matrix = RNG.standard_normal((2, 8))
    everywhere(C @ bk.reshape(c, shape=(8, 1)), FEEDS, C @ C[:, None])
    everywhere(matrix @ c, FEEDS, matrix @ C)


OUTERS = {
    "each": (("batch", 4), ("batch", 2), ("batch", 4, 2), "bn,bm->bnm"),
    "each step": (("time", "batch", 4), ("batch", 2), ("time", "batch", 4, 2), "tbn,bm->tbnm"),
    "the other way round": (("batch", 4), ("time", "batch", 2), ("time", "batch", 4, 2), "bn,tbm->tbnm"),
    "heads": (("batch", 2, 4), ("batch", 2, 3), ("batch", 2, 4, 3), "bkn,bkm->bknm"),
    "with one for all": (("batch", 4), (2,), ("batch", 4, 2), "bn,m->bnm"),
    "vectors": ((4,), (2,), (4, 2), "n,m->nm"),
    "trials": (("batch", 4), ("trials", 2), ("trials", "batch", 4, 2), "bn,rm->rbnm"),
}


@pytest.mark.parametrize("name", OUTERS)
def test_a_product_for_each_example(name) -> None:
    left, right, shape, letters = OUTERS[name]
    made, feeds = wires(a=left, b=right)
    y = bk.outer_each(made["a"], made["b"])
    assert y.shape == shape
    everywhere(y, feeds, np.einsum(letters, feeds["a"], feeds["b"]))


def memory(n, m):
    """A matrix memory (Schmidhuber 1992): C = f C' + v kᵗ, read out by a row, as in mLSTM (Beck et al. 2024)."""
    x, C = bk.input("x", 3), bk.state("C", n, m)
    v, k, q = (bk.TANH(size, name=name)(x) for name, size in (("value", n), ("key", m), ("query", n)))
    C1 = bk.SIGM(1, name="forget")(x)[..., None] * C + bk.outer_each(v, k)
    return bk.Cell(states={C: C1}, outputs=q @ C1)


def test_a_matrix_memory_is_a_cell() -> None:
    from blocks.equations import equations

    cell = memory(4, 2)
    assert "C = forget ⊙ C' + valueᵀ key" in equations(cell.graph)
    assert "⊗" in cell.draw()._repr_svg_()
    graph = bk.Graph({"loss": bk.mean(bk.scan(cell, bk.sequence("x", 3)) ** 2)})
    feeds = {**graph.init(3, "float64"), "x": RNG.standard_normal((4, 3, 3))}
    bk.check_grads(graph, feeds, order=2)
    gradient = bk.grad(graph)
    want = bk.run(gradient, feeds)
    for got in (bk.compile(gradient)(feeds), bk.compile(gradient, checkpoint=2)(feeds)):
        for name, value in want.items():
            np.testing.assert_allclose(got[name], value, rtol=1e-10, atol=1e-12)


# --- along an axis -------------------------------------------------------------------------------


def test_running_sums_and_places() -> None:
    everywhere(bk.cumsum(xs, axis="time"), FEEDS, XS.cumsum(0))
    everywhere(bk.cumsum(xs, axis=2, reverse=True), FEEDS, XS[:, :, ::-1].cumsum(2)[:, :, ::-1])
    n = bk.input("n", 4, dtype="int")
    N = {"n": np.array([[2**60, 1, 7, -2], [0, 0, 3, 3], [5, 1, 1, 5]])}
    everywhere(bk.cumsum(n), N, N["n"].cumsum(1), gradient=False)
    everywhere(bk.argmax(n), N, N["n"].argmax(1), gradient=False)
    everywhere(bk.argmax(n > 0, axis="batch"), N, (N["n"] > 0).argmax(0), gradient=False)
    everywhere(bk.argmax(xs, axis=-2, keepdims=True), FEEDS, XS.argmax(2)[:, :, None], gradient=False)
    nan = {"x": np.where(np.arange(8) == 5, np.nan, X)}
    everywhere(bk.argmax(x), nan, np.full(3, 5), gradient=False)
    chosen = bk.one_hot(bk.argmax(x), classes=8)
    everywhere(bk.sum(chosen * x, axis=-1), FEEDS, X.max(1))
