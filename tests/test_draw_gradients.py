"""The figure of a gradient is carried out: what the shapes and wires say is done with numbers, and what comes out is the
gradient of the unrolled graph. So each drawn relation is the gradient's: the same operands, the same sums.

Nothing is known but what is drawn: a gradient goes where a wire goes, is added where a sum stands, and a shape has of the
forward values only its own and those that come in on grey wires.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import blocks as bk
from blocks.draw.diagram.slopes import slope
from blocks.draw.scene import Scene, Shape, Wire
from blocks.grad import backward
from blocks.graph import Graph, Node, substitute, topological
from blocks.notation import is_silent
from blocks.ops.leaves import make_input

from .strategies import examples
from .test_draw_invariants import GALLERY, UNUSUAL, cells, gallery_cell

STEPS = 3
Payload = dict[Any, np.ndarray]  # (step, node) or a weight → its gradient, or a part of it


def root(node: Node) -> Node:
    while is_silent(node.op) and node.operands:
        node = node.operands[0]
    return node


def fixed(node: Node) -> bool:
    """Whether no gradient changes anything behind a value: it is made of draws, constants, and what stops gradients."""
    found: dict[Node, bool] = {}
    for n in topological([node]):
        leaf = n.op.name in ("draw", "constant") or n.dtype != "float"
        found[n] = (n.op.vjp is None or all(found[o] for o in n.operands)) if n.operands else leaf
    return found[node]


def added(parts: list[Payload]) -> Payload:
    total: Payload = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total[key] + value if key in total else value
    return total


@dataclass
class Machine:
    """A drawn gradient over some open steps, its forward values, and the gradients that come in, by the name of what they
    come in at: ``y(2)``, ``h(3)``."""

    scene: Scene
    graph: Graph
    values: list[dict[Node, np.ndarray]]  # of each step
    seeds: Mapping[str, np.ndarray]
    flowing: dict[str, Payload] = field(default_factory=dict)  # the key of a wire → what it carries
    arrived: dict[str, Payload] = field(default_factory=dict)  # the key of a shape → all that has come in

    def __post_init__(self) -> None:
        self.shapes = {s.key: s for s in self.scene.shapes}
        self.back = [w for w in self.scene.wires if w.kind == "gradient"]
        self.into = {key: [w for w in self.back if w.target == key] for key in self.shapes}
        self.out = {key: [w for w in self.back if w.source == key] for key in self.shapes}
        self.same: dict[Node, Node] = {}  # what is computed twice is drawn once
        for s in self.scene.shapes:
            if s.kind == "gradient" and s.key.startswith("step") and s.nodes and "weights-" not in s.key:
                own = [self.graph.nodes[n] for n in s.nodes]
                used = {o for n in own for o in n.operands}
                self.same |= dict.fromkeys((n for n in own if n not in used), self.node_of(s)[1])
        self.lanes = {key: [w for w in self.scene.wires if w.kind == "kept" and w.target == key] for key in self.shapes}

    def run(self) -> dict[str, Payload]:
        """What arrives at each shape."""
        waiting = set(self.shapes)
        while waiting:
            ready = [k for k in sorted(waiting) if all(w.key in self.flowing for w in self.into[k])]
            assert ready, "the drawn gradient goes in a circle"
            for key in ready:
                self.arrived[key] = added([self.flowing[w.key] for w in self.into[key]])
                self.pass_on(self.shapes[key])
            waiting -= set(ready)
        return self.arrived

    def pass_on(self, s: Shape) -> None:
        """What goes out of a shape on each of its wires."""
        came = self.arrived[s.key]
        wires = self.out[s.key]
        if s.form == "ring":
            self.divide(wires, came)
        elif s.kind in ("next", "output"):
            assert not self.into[s.key]
            for w in wires:
                step, node = self.only(w)
                value = self.values[max(step - 1, 0)][node]
                seed = self.seed(s)
                self.flowing[w.key] = {(step, node): seed.reshape(value.shape) if seed.size == value.size else seed}
        elif s.key in ("shared", "all") or s.form == "sum" or s.key.rpartition("-")[0].endswith("weights"):
            for w in wires:
                self.flowing[w.key] = came
        elif s.kind in ("gradient",):
            self.compute(s, came, wires)

    def seed(self, s: Shape) -> np.ndarray:
        if s.kind == "next" and s.name in self.graph.outputs:
            return np.zeros(1)  # `unroll` has no name for it
        return self.seeds[f"{s.name}({self.step_of(s) if s.kind == 'output' else STEPS})"]

    @staticmethod
    def step_of(s: Shape) -> int:
        return int(s.key.split("-")[0].removeprefix("step"))

    def node_of(self, s: Shape) -> tuple[int, Node]:
        """The value that a shape stands for: the last of its nodes, at its step; the first states are at step 0."""
        if s.key.startswith("before-"):
            return 0, self.graph.nodes[s.nodes[0]]
        own = [self.graph.nodes[n] for n in s.nodes]
        used = {o for n in own for o in n.operands}
        return self.step_of(s), root(next(n for n in own if n not in used))

    def behind(self, w: Wire) -> set[tuple[int, Node]]:
        """The values that are merged where a wire of a gradient ends, over sums."""
        target = self.shapes[w.target]
        if target.form == "sum":
            return self.behind(self.out[target.key][0])
        if target.form == "ring":
            return {key for w in self.out[target.key] for key in self.behind(w)}
        return {self.node_of(target)}

    def only(self, w: Wire) -> tuple[int, Node]:
        (key,) = self.behind(w)
        return key

    def given(self, s: Shape) -> dict[tuple[int, Node], np.ndarray]:
        """The forward values that come into a shape on grey wires that are kept for it."""
        found = {}
        pending = [w for w in self.lanes[s.key] if w.kept]
        while pending:
            w = pending.pop()
            source = self.shapes[w.source]
            if source.form == "ring":
                pending += self.lanes[source.key]
            else:
                step, node = self.node_of(source)
                found[step, node] = self.values[max(step - 1, 0)][node]
        return found

    def value(self, step: int, node: Node) -> tuple[int, Node]:
        """Where a value comes from: a state is the next value of the step before."""
        node = root(node)
        if node.role != "state":
            return step, self.same.get(node, node)
        return self.value(step - 1, self.graph.outputs[f"next/{node.name}"]) if step > 1 else (0, node)

    def compute(self, s: Shape, came: Payload, wires: list[Wire]) -> None:
        """The rule of the shape's own nodes, on the values that are drawn to come in."""
        step, last = self.node_of(s)
        if last.op.name == "parameter":
            for w in wires:
                self.flowing[w.key] = {str(last.name): came[step, last]} if came else {}
            return
        if (step, last) not in came:  # nothing at this step needs its value
            for w in wires:
                self.flowing[w.key] = {}
            return
        own = [self.graph.nodes[n] for n in s.nodes if self.graph.nodes[n].operands]
        if s.form != "box":
            own = [last]
        weights = {o for n in own for o in n.operands if o.op.name == "parameter" and str(o.name) in self.tabs(s)}
        places: list[tuple[Node, Node]] = []  # the operand, and its own port: an operand that stands twice has two
        inner: dict[Node, Node] = {}
        for n in own:
            operands = []
            for o in n.operands:
                passing = [o]  # what is passed on unwritten has its rule, too
                while passing[-1] not in inner and is_silent(passing[-1].op) and passing[-1].operands:
                    passing.append(passing[-1].operands[0])
                start = passing.pop()
                port = inner.get(start, start)
                if port is start and start not in weights and start.op.name != "constant" and start.dtype == "float":
                    port = make_input(f"o{len(places)}", start.shape, start.dtype, role="input")
                    places.append((start, port))
                for each in reversed(passing):
                    port = Node(each.op, (port, *each.operands[1:]), each.attrs, each.stamp)
                operands.append(port)
            inner[n] = Node(n.op, tuple(operands), n.attrs, n.stamp)
        g = make_input("g", last.shape, "float", role="gradient")
        result = inner[last]
        asked = [*(port for _, port in places), *weights]
        none = {port for o, port in places if fixed(o)}  # nothing changes it, so no gradient goes there
        found, _ = backward({result: g}, [a for a in asked if a not in none])
        kept_y = make_input("y", last.shape, "float", role="input")
        back = Graph(substitute({str(i): found[a] for i, a in enumerate(asked) if a in found}, {result: kept_y}))
        given = self.given(s)
        feeds: dict[str, Any] = {"g": came[step, last], "y": self.values[step - 1][last]}
        for i, (o, _) in enumerate(places):
            if f"o{i}" in back.inputs:
                assert self.value(step, o) in given, f"{s.key} needs {o.describe()}, which does not come in"
                feeds[f"o{i}"] = given[self.value(step, o)]
        others = {**back.inputs, **back.params}
        feeds |= {n: self.values[step - 1][self.graph.nodes[n]] for n in others if n not in feeds}
        if s.form != "box":
            needed = {self.value(step, o) for i, (o, _) in enumerate(places) if f"o{i}" in others}
            needed |= {self.value(step, o) for o in last.operands if o.dtype != "float" and str(o.name) in others}
            plain = {self.value(step, o) for o in last.operands if o.dtype != "float" or root(o).op.name == "constant"}
            assert set(given) <= needed | plain
        got = bk.run(back, {n: v for n, v in feeds.items() if n in others}) if back.outputs else {}
        parts = [(root(o), self.value(step, o), got[str(i)]) for i, (o, _) in enumerate(places) if str(i) in got]
        self.hand_out(s, wires, parts, {str(w.name): got[str(i + len(places))] for i, w in enumerate(weights)})

    def tabs(self, s: Shape) -> set[str]:
        prefix, _, element = s.key.partition("-")
        tab = self.shapes.get(f"{prefix}-weights-{element}")
        return set(tab.nodes) if tab else set()

    def hand_out(self, s: Shape, wires: list[Wire], parts: list[Any], weights: Payload) -> None:
        """Each part on a wire that leads where its operand comes from, an operand that stands twice on two; a brick
        has one wire for all that goes one way."""
        for w in wires:
            if self.shapes[w.target].name.startswith("weights of"):
                self.flowing[w.key] = weights
        others = [w for w in wires if w.key not in self.flowing]
        for _, key, value in parts:
            ways = sum(self.count(w, key) for w in others)
            uses = [o for o, k, _ in parts if k == key]
            drawn = len(set(uses)) if s.form == "box" else len(uses)
            assert ways == drawn or not value.any(), f"{ways} wires from {s.key} to what it uses {drawn} times"
        self.divide(others, added([{key: value} for _, key, value in parts]))

    def count(self, w: Wire, key: tuple[int, Node]) -> int:
        """How many ways there are along a wire to a value."""
        target = self.shapes[w.target]
        if target.form in ("sum", "ring"):
            return sum(self.count(out, key) for out in self.out[target.key])
        return int(self.node_of(target) == key)

    def divide(self, wires: list[Wire], came: Payload) -> None:
        """What there is for each value, on the wires that lead to it."""
        for w in wires:
            ways = {key: (self.count(w, key), sum(self.count(o, key) for o in wires)) for key in came}
            self.flowing[w.key] = {key: came[key] * n / all for key, (n, all) in ways.items() if n}


def check_gradient(cell: bk.Cell) -> None:
    rng = np.random.default_rng(3)
    graph, unrolled = cell.graph, bk.unroll(cell, STEPS)
    weights = {n: rng.normal(size=a.shape) for n, a in unrolled.init(0, "float64").items()}

    def sized(node: Node) -> Any:
        shape = [2 if isinstance(d, str) else d for d in node.shape]
        return rng.normal(size=shape) if node.dtype == "float" else rng.integers(0, 2, size=shape)

    feeds = {**weights, **{n: sized(node) for n, node in unrolled.fed("input").items()}}
    seeds = {n: sized(node) for n, node in unrolled.outputs.items() if node.dtype == "float"}
    want = expected(unrolled, feeds, seeds)
    with np.errstate(all="ignore"):
        values = []
        states = {s: feeds.get(f"{s}(0)", sized(node)) for s, node in graph.fed("input").items() if s in cell.states}
        every = Graph({str(i): n for i, n in enumerate(graph.order())})
        for t in range(1, STEPS + 1):
            inputs = {
                n: feeds.get(f"{n}({t})", sized(node)) for n, node in graph.fed("input").items() if n in cell.inputs
            }
            asked = {**every.inputs, **every.params}
            result = bk.run(every, {k: v for k, v in {**weights, **inputs, **states}.items() if k in asked})
            values.append({n: np.asarray(result[str(i)]) for i, n in enumerate(graph.order())})
            states = {s: values[-1][graph.outputs[f"next/{s}"]] for s in cell.states}
        scene = graph.draw(gradient=True, unroll=STEPS, zoom="all").scene
        arrived = Machine(scene, graph, values, seeds).run()
    compare(cell, scene, arrived, want)
    drawn = arrived.get("all", {})
    for name in weights:
        if f"grad/{name}" in want:
            np.testing.assert_allclose(drawn.get(name, 0.0), want[f"grad/{name}"], rtol=1e-9, atol=1e-12, err_msg=name)


def expected(unrolled: Graph, feeds: Mapping[str, Any], seeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The gradients of all that is fed and learnt, from the gradient graph of the unrolled cell."""
    coming: dict[Node, Node] = {}
    for name in seeds:
        node = unrolled.outputs[name]
        seed = make_input(f"d/{name}", node.shape, "float", role="gradient")
        coming[node] = coming[node] + seed if node in coming else seed
    leaves = {**unrolled.fed("input"), **unrolled.fed("parameter")}
    found, _ = backward(coming, [node for node in leaves.values() if node.dtype == "float"])
    graph = Graph({f"grad/{name}": found[node] for name, node in leaves.items() if node in found})
    given = {**feeds, **{f"d/{name}": seed for name, seed in seeds.items()}}
    asked = {**graph.inputs, **graph.params}
    with np.errstate(all="ignore"):
        return bk.run(graph, {name: value for name, value in given.items() if name in asked})


def compare(cell: bk.Cell, scene: Scene, arrived: dict[str, Payload], want: Mapping[str, np.ndarray]) -> None:
    for s in scene.shapes:
        if s.kind not in ("input", "state"):
            continue
        name = f"{s.name}(0)" if s.kind == "state" else f"{s.name}({Machine.step_of(s)})"
        if f"grad/{name}" in want:
            total = sum(arrived[s.key].values(), np.zeros(1))
            np.testing.assert_allclose(
                np.broadcast_to(total, want[f"grad/{name}"].shape),
                want[f"grad/{name}"],
                rtol=1e-9,
                atol=1e-12,
                err_msg=name,
            )


@pytest.mark.parametrize("name", GALLERY)
def test_the_drawn_gradient_is_the_gradient(name: str) -> None:
    check_gradient(gallery_cell(name))


@pytest.mark.parametrize("make", UNUSUAL, ids=lambda f: f.__name__)
def test_the_drawn_gradient_of_unusual_cells(make: Callable[[int, int], bk.Cell]) -> None:
    check_gradient(make(4, 5))


@examples(30)
@given(cells())
def test_the_drawn_gradient_of_random_cells(cell: bk.Cell) -> None:
    check_gradient(cell)


A, B = bk.input("a", 3), bk.input("b", 3)
LABELS = {
    "⊙ (1 − y²)": bk.tanh(A), "⊙ y (1 − y)": bk.sigm(A), "⊙ y": bk.exp(A), "/ z": bk.log(A), "⊙ 0.5 / y": bk.sqrt(A),
    "⊙ sign(z)": bk.abs(A), "⊙ sign(y)": bk.relu(A), "⊙ σ(z)": bk.softplus(A), "⊙ 3 z²": A**3.0, "⊙ 0.5": 0.5 * A,
    "⊙ 2 z": A**2, "⊙ −2 z⁻³": A**-2, "⊙ 0.5 z^−0.5": A**0.5, "⊙ 10⁻⁶": A * 1e-6, "⊙ −0.5": A * -0.5, "(2^x)′": 2**A,
    "/ 4": A / 4.0, "/ 2.5·10⁻⁵": A / 2.5e-5, "⊙ −y / z": 2.0 / A,
    "copy": A + B, "±": A - B, "−": 1 - A, "×": A * B, "⊗": bk.outer(A, B),
    "÷′": A / B, "max′": bk.maximum(A, B), "softmax′": bk.softmax(A), "where′": bk.where(bk.greater(A, B), A, B),
}  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_the_labels_of_gradients(label: str) -> None:
    """What stands in a box is the derivative: read as a formula, it has its numbers."""
    node = LABELS[label]
    assert slope(node).plain == label
    if label[0] not in "⊙/" or (len(node.operands) > 1 and not any(o.op.name == "constant" for o in node.operands)):
        return
    formula = label.removeprefix("⊙ ").replace("−", "-").replace("²", "**2").replace("³", "**3").replace("σ", "sigm")
    formula = formula.replace("·10⁻⁵", "e-5").replace("10⁻⁶", "1e-6").replace("⁻**3", "**-3").replace("^", "**")
    formula = re.sub(r"(?<=[\w)]) (?=[\w(])", "*", ("1 " + formula) if label[0] == "/" else formula)
    z = np.array([[0.3, 1.7, 2.5]])
    names = {
        "z": z,
        "y": bk.run(Graph({"y": node}), {"a": z})["y"],
        "sign": np.sign,
        "sigm": lambda v: 1 / (1 + np.exp(-v)),
    }
    slopes = bk.run(bk.grad(Graph({"loss": bk.sum(node)}), wrt="a"), {"a": z})["grad/a"]
    np.testing.assert_allclose(np.broadcast_to(eval(formula, names), z.shape), slopes, rtol=1e-12)


def test_names_of_gradients_differ() -> None:
    """No two gradients in one figure have one name: what comes in at an output, and from the next step; of each brick
    at each call; of one step, and of all."""
    x, h = bk.input("x", 4), bk.state("h", 4)
    twice = bk.TANH(4, name="twice")
    h1 = twice(x) * bk.SIGM(4, name="gate")(x, h) + twice(h)
    for cell in (bk.Cell({h: h1}, {"y": h1, "h": h1}), bk.cells.lstm(4, 4), bk.cells.book_lstm(4, 4)):
        for options in ({}, {"unroll": 3}, {"unroll": 2, "zoom": "all"}):
            scene = cell.draw(gradient=True, **options).scene
            names = [line.plain for s in scene.shapes for line in s.lines if line.plain.startswith("∂")]
            assert len(names) == len(set(names)), names


def test_no_gradient_goes_where_none_comes_out() -> None:
    """What hands no gradient on gets none: it stands for its value, as forwards, with the grey wires of this; the
    labels of weights are set as their author gave them."""
    x, h = bk.input("x", 2), bk.state("h", 3)
    v = bk.ADD(3, name="w", bias=False)(x) * bk.parameter("theta", 3, init=1.0)
    after = h + bk.sign(v) * bk.abs(v)
    cell = bk.Cell(states={h: after}, outputs=after)
    check_gradient(cell)
    for steps in (None, 3):
        scene = cell.draw(labels={"theta": r"\theta", "w": "W_x"}, gradient=True, unroll=steps).scene
        (sign,) = (s for s in scene.shapes if "sign" in s.nodes)
        assert (sign.kind, [text.plain for text in sign.lines]) == ("operation", ["sign"])
        ways = [w.kind for w in scene.wires if sign.key in (w.source, w.target)]
        assert len(ways) == 2 and set(ways) == {"kept"}
        assert all(w.kind == "gradient" for w in scene.wires if w.carries)
        said = {part for s in scene.shapes for text in s.lines for part in text.plain.split("; ")}
        assert "∂θ" in said and not [text for text in said if "theta" in text]
        hung = [text for s in scene.shapes if "weights-" in s.key for text in s.lines]
        assert [[(r.text, r.sub) for r in text.runs][:3] for text in hung] == [
            [("∂W", False), ("W", True), ("x", True)]
        ]


def test_weights_are_those_of_the_graph() -> None:
    """Every weight hangs from its brick, forwards and backwards, and stands in the sum over the steps."""
    cell = bk.cells.lstm(4, 5)
    for options in ({"gradient": True}, {"gradient": "beside"}, {"gradient": True, "unroll": 3}):
        scene = cell.draw(**options).scene
        for prefix in ("panel1-", "panel2-") if options["gradient"] == "beside" else ("",):
            hung = [s for s in scene.shapes if "weights-" in s.key and s.key.startswith(prefix)]
            assert sorted(n for s in hung for n in s.nodes) == sorted(cell.params)
    (total,) = [s for s in scene.shapes if s.key == "all"]
    assert sorted(total.nodes) == sorted(cell.params)
    into = {w.source for w in scene.wires if w.target == "shared"}
    assert into == {"step1-step", "step3-step", *(s.key for s in hung)}
    assert all(w.points[0][0] > w.points[-1][0] for w in scene.wires if w.kind == "gradient" and w.target == "before-C")


def test_a_number_stands_on_its_side() -> None:
    """Operations on one wire and one number, the other way round, are two: x² and 2ˣ, 1− and −1."""
    x, h = bk.input("x", 3), bk.state("h", 3)
    cell = bk.Cell({h: h**2.0 + 2.0**h + (h - 1.0) * (1.0 - h) + x + (2.0**h) * x}, h)
    said = [s.lines[0].plain for s in cell.draw().scene.shapes if s.kind == "operation"]
    assert {said.count(label) for label in ("x^2", "2^x", "−1", "1−")} == {1}


def test_emphasis_goes_back() -> None:
    """A sum is lit if something lit is added there; weights are lit with their brick."""
    scene = bk.cells.lstm(4, 4).draw(gradient=True, highlight="forget").scene
    lit = {s.key for s in scene.shapes if s.lit}
    for s in scene.shapes:
        if s.form == "sum":
            assert s.lit == any(w.lit for w in scene.wires if s.key in (w.source, w.target) and w.kind == "gradient")
        if s.key.startswith("weights-"):
            assert s.lit == (s.key.removeprefix("weights-") in lit)
    assert len([s for s in scene.shapes if s.form == "sum" and not s.lit]) > 0


@pytest.mark.parametrize(
    ("number", "said"),
    [(0.5, "0.5"), (8**-0.5, "0.354"), (-(8**-0.5), "−0.354"), (0.9995, "0.9995"), (0.99995, "0.99995"), (1e-6, "10^−6"),
     (-2.5e-5, "−2.5·10^−5"), (12345.678, "12345.7"), (-2.0, "−2")],
)  # fmt: skip
def test_numbers_are_short_but_no_other_ones(number: float, said: str) -> None:
    """On the way forwards and back; what is nearly one, whose rounding would hide what it does, stays."""
    h = bk.state("h", 3)
    cell = bk.Cell({h: bk.sigm(h) * number}, h)
    for options, written in (({}, f"×{said}"), ({"gradient": True}, f"⊙ {said}")):
        scene = cell.draw(**options).scene
        shown = {text.plain for s in scene.shapes for text in s.lines}
        assert written.replace("−", "-") in {text.replace("−", "-") for text in shown} and "-" not in "".join(shown)
