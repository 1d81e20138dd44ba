"""Whatever is handed over in the place of an argument, one at a time: it works, or the error is the library's own.

A table of right calls; each argument of each is replaced by things of other kinds.
"""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
import pytest

import blocks as bk
from blocks.arguments import fits
from blocks.graph import Op

SRN = bk.cells.srn(3, 4)
XS = bk.sequence("x", 3)
HS = bk.scan(SRN, XS)
TARGET = bk.sequence("target", 4)
LOSS = bk.losses.squared_error(HS, TARGET)
GRAPH = bk.Graph({"loss": LOSS})
IDS = bk.sequence("ids", dtype="int")
YES = bk.input("yes", 4, dtype="bool")
ROW, ROWS, CLASS = bk.input("row", 4), bk.input("rows", 4, 4), bk.input("class", dtype="int")
X, T = (np.random.default_rng(i).standard_normal((2, 5, n)) for i, n in enumerate((3, 4)))
DATA = {"x": X, "target": T}


def a_model(**options: Any) -> bk.Model:
    return bk.Model(loss=LOSS, outputs={"y": HS}, target="interpreter", **options)


def fed() -> dict[str, np.ndarray]:
    return {**a_model().weights, "x": np.moveaxis(X, 0, 1), "target": np.moveaxis(T, 0, 1)}


class Anything:
    """What takes whatever it is given."""

    def __init__(self, *args: Any, **options: Any) -> None: ...


THINGS: dict[str, Any] = {
    "a number": 3,
    "a negative number": -1,
    "a fraction": 2.5,
    "NaN": np.nan,
    "text": "abc",
    "no text": "",
    "None": None,
    "True": True,
    "an empty list": [],
    "a list": [1, 2],
    "a list of wires": [HS, ROW],
    "an empty dict": {},
    "a dict": {"a": 1},
    "an object": object(),
    "a function": lambda *args, **options: 0,
    "an array": np.ones((2, 3)),
    "letters": np.array(["a", "b"]),
    "a cell": SRN,
    "a graph": GRAPH,
    "a wire": HS,
    "another wire": bk.input("other", 7),
    "a wire of integers": CLASS,
    "a class": Anything,
}

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def right_calls() -> dict[str, Call]:
    """Name → a function, arguments and options that are right for it."""
    made: dict[str, Call] = {}

    def right(name: str, /, *args: Any, **options: Any) -> None:
        made[name] = operator.attrgetter(name)(bk), args, options

    for name, op in vars(bk).items():
        if isinstance(op, Op) and op.kind == "elementwise":
            right(
                name,
                *[
                    YES if name.startswith("logical") else ROW
                    for p in inspect.signature(op).parameters.values()
                    if p.kind is p.POSITIONAL_ONLY
                ],
            )
    right("abs", ROW)
    right("argmax", ROW, axis=-1)
    right("cast", ROW, "int")
    right("clip", ROW, -1.0, 1.0)
    right("concat", ROW, ROW, axis=-1)
    right("cumsum", ROW, axis=-1)
    right("expand_dims", ROW, -1)
    right("gather", bk.parameter("table", 5, 4), CLASS)
    right("gelu", ROW)
    right("last", HS)
    right("layernorm", ROW)
    right("log_sigm", ROW)
    right("matmul", ROW, bk.parameter("w", 4, 4))
    right("matvec", ROWS, ROW)
    right("max", ROW, axis=-1, keepdims=True)
    right("mean", ROW, axis=-1, keepdims=True)
    right("moveaxis", ROWS, source=1, destination=2)
    right("named", "C", bk.tanh(ROW))
    right("one_hot", CLASS, classes=4)
    right("outer", ROW, ROW)
    right("outer_each", ROW, ROW)
    right("reshape", ROW, shape=("batch", 2, 2))
    right("rmsnorm", ROW)
    right("silu", ROW)
    right("slice", ROW, start=0, stop=2, axis=-1)
    right("softmax", ROW, axis=-1)
    right("split", ROW, 2, axis=-1)
    right("stack", ROW, ROW, axis=-1)
    right("sum", ROW, axis=-1, keepdims=True)
    right("transpose", ROWS)
    right("where", bk.greater(ROW, 0.0), ROW, ROW)

    right("bernoulli", 3, p=0.5, name="keep", shape=None)
    right("constant", value=2.0)
    right("dropout", ROW, 0.5, name="keep", shape=None)
    right("input", "x", 3, dtype="float", shape=None)
    right("noise", ROW, 0.5, name="z")
    right("normal", 3, mean=0.0, std=1.0, name="z", shape=None)
    right("parameter", "w", 3, 4, init="glorot")
    right("sequence", "x", 3, dtype="float", time="time")
    right("state", "h", 3, dtype="float", shape=None, init=0.0)
    right("uniform", 3, low=0.0, high=1.0, name="u", shape=None)
    right("zeros", (3,), dtype="float")

    for brick in ("ADD", "MULTIPLY", "SIGM", "TANH", "RELU", "SOFTMAX"):
        right(brick, 4, name="b", bias=True, init="glorot")
    right("EMBED", 5, 4, name="e", init="normal")
    right("LAYERNORM", 4, name="n", bias=True, epsilon=1e-5, init=None)
    made["a brick"] = bk.TANH(4, name="b"), (ROW, ROW), {}
    right("Cell", states={bk.state("k", 4): ROW}, outputs=ROW)
    right("cells.gru", 3, 4)
    right("bidirectional", SRN, bk.cells.gru(3, 4), XS, mask=None)
    right("layers", SRN, bk.cells.gru(4, 4), name="both")
    right("learner", LOSS, bk.SGD(0.1), clip=1.0, name="learner")
    right("residual", bk.cells.gru(4, 4))
    right("scan", SRN, XS, initial={"h": bk.zeros((4,))}, reverse=False, mask=None, final=True)
    right("unroll", SRN, 3)
    right("zoneout", SRN, 0.1)

    right("Graph", {"y": HS})
    right("check_grads", GRAPH, fed(), order=1, wrt=["x"], tolerance=1e-4, seed=0, draw=None)
    right("compile", GRAPH, target="numpy", checkpoint=2, passes=False)
    right("draw", SRN.graph, **DRAW)
    right("equations", SRN.graph)
    right("from_json", bk.to_json(GRAPH))
    right("grad", GRAPH, "loss", ["x"])
    right("panels", [SRN.draw()], rows=1, letters=True, title="t")
    right("run", GRAPH, fed(), watch=None, draw=(0, 0))
    right("to_json", GRAPH)
    right("to_python", SRN)
    right("trials", GRAPH, vary=["x"])
    made["a program"] = bk.compile(GRAPH, target="numpy"), (fed(),), {"draw": (0, 0)}
    made["init"] = GRAPH.init, (0, "float32"), {"trials": 1}

    for name in bk.losses.__all__:
        aim = IDS if name == "cross_entropy" else TARGET
        right(f"losses.{name}", HS, aim, mask=bk.sequence("mask"), reduction="sum")
    for name in ("SGD", "Adam", "AdamW", "RMSprop"):
        right(name, 0.1)
    for name, schedule in vars(bk.schedules).items():
        if inspect.isclass(schedule) and name.islower() and schedule.__module__ == bk.schedules.__name__:
            needed = [p for p in inspect.signature(schedule).parameters.values() if p.default is p.empty]
            made[f"schedules.{name}"] = schedule, tuple(10 for _ in needed), {}

    trained = a_model()  # it goes on from call to call
    right("Model", LOSS, {"y": HS}, **MODEL)
    made["fit"] = (lambda data, **o: trained.fit(data, **o)), (DATA,), FIT
    made["evaluate"] = (
        lambda data, **o: a_model().evaluate(data, **o), (DATA,), {"batch_size": 2, "chunk": 2, "metrics": {"m": LOSS}}
    )  # fmt: skip
    made["predict"] = (
        lambda data, **o: a_model().predict(data, **o), ({"x": X},), {"batch_size": 2, "chunk": 2, "final": True}
    )  # fmt: skip
    made["set_weights"] = (lambda weights: a_model().set_weights(weights)), (dict(a_model().weights),), {}
    made["save"] = (lambda path, training: a_model().save(path, training)), ("m.safetensors", True), {}
    return made


FIT: dict[str, Any] = {
    "epochs": 1, "batch_size": 2, "optimizer": bk.SGD(0.1), "clip": 1.0, "tbptt": 2, "validation": DATA, "patience": 2,
    "shuffle": True, "batches_per_epoch": None, "carry": False, "accumulate": 1, "average": 0.9, "freeze": "*.b",
    "restart": False, "autosave": None, "autosave_every": 1, "resume": False, "progress": False,
    "metrics": {"m": LOSS}, "watch": (), "callbacks": (), "callback": None,
}  # fmt: skip
DRAW: dict[str, Any] = {
    "highlight": ["hidden"], "bricks": True, "shapes": True, "counts": True, "open": None, "unroll": 2, "gradient": None,
    "theme": "classic", "title": "t", "labels": {"h": "h_t"}, "legend": True, "equations": True,
}  # fmt: skip
MODEL: dict[str, Any] = {"seed": 0, "dtype": "float32", "target": "numpy", "checkpoint": None, "trials": None}
CALLS = right_calls()
EACH = {"fit": 3, "draw": 3}  # of these dear ones, each argument meets one in so many things


@pytest.mark.parametrize("name", CALLS)
def test_no_argument_of_another_kind_gives_a_bare_error(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    function, args, options = CALLS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function(*args, **options)  # it is right as it stands
        faults = []
        for number, place in enumerate([*range(len(args)), *options]):
            for kind, thing in islice(THINGS.items(), number % EACH.get(name, 1), None, EACH.get(name, 1)):
                wrong = [thing if i == place else a for i, a in enumerate(args)]
                try:
                    function(*wrong, **{k: thing if k == place else v for k, v in options.items()})
                except bk.BlocksError as error:
                    assert str(error)
                except Exception as error:  # what this test looks for
                    faults.append(f"{place}, {kind}: {type(error).__name__}: {str(error)[:90]}")
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: bk.unroll(SRN, "3"), "a cell is unrolled over 1 step or more, not '3'"),
        (lambda: bk.scan(SRN, XS, mask=[1, 0]), r"scan: mask is a wire or None, not \[1, 0\], a list"),
        (lambda: bk.run(GRAPH, [1]), "feeds are a dict, name → array, not a list"),
        (lambda: bk.run(SRN, {}), "run takes a Graph, not a Cell; a Cell has one, its .graph"),
        (lambda: bk.grad(HS), r"grad takes a Graph, not a Node: Graph\(\{'y': wire\}\) makes one of wires"),
        (lambda: bk.reshape(ROW), "reshape: missing a required argument: 'shape'; its options go by name: shape"),
        (lambda: bk.sum(ROW, axis=2.5), "axis"),
        (lambda: bk.Cell(states=[ROW], outputs=ROW), "Cell: states is a dict, a wire → "),
        (lambda: bk.TANH(4, name=ROW), "Brick: name is text or None, not <input row"),
        (lambda: bk.compile(GRAPH)(7), r"Program: feeds is a dict, text → anything, not 7 \[test_misuse.py:\d+\]"),
    ],
)
def test_it_says_which_argument_and_what_it_must_be(wrong, said) -> None:
    with pytest.raises(bk.BlocksError, match=said):
        wrong()


def test_the_bare_error_is_kept_behind_it() -> None:
    with pytest.raises(bk.BlocksError) as caught:
        bk.scan(SRN, XS, mask=[1, 0])
    assert isinstance(caught.value.__context__, AttributeError)


def test_an_error_that_is_no_arguments_fault_stays_as_it_is() -> None:
    def watch(node: Any, value: Any, steps: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        bk.run(GRAPH, fed(), watch)


@pytest.mark.parametrize(
    ("value", "hint", "right"),
    [
        (True, int, True), (np.int32(3), int, True), (3, float, True), (3.0, int, False), (np.True_, bool, True),
        ("a", Sequence[str], True), ("a", list[str] | str, True), (["a", 1], list[str], False),
        ({"a": 1}, Mapping[str, int], True), ({"a": "b"}, Mapping[str, int], False), ({1: 1}, Mapping[str, int], False),
        ((1, 2), tuple[int, int], True), ((1, 2, 3), tuple[int, int], False), ((1, 2, 3), tuple[int, ...], True),
        ((1, "a"), tuple[int, ...], False), (None, int | None, True), ("b", Literal["a", "b"], True),
        (True, Literal[1], False), (len, Callable[[int], int], True), (3, Callable[[int], int], False),
        (np.ones(2), Sequence[float], False), (np.ones(2), Iterable[str], False), (object(), Any, True),
    ],
)  # fmt: skip
def test_what_a_hint_says_is_what_fits(value, hint, right) -> None:
    assert fits(value, hint) == right


@pytest.mark.parametrize("name", bk.__all__)
def test_every_public_function_is_checked(name) -> None:
    function = getattr(bk, name)
    assert not inspect.isfunction(function) or hasattr(function, "__wrapped__"), f"{name} lacks @checked"
