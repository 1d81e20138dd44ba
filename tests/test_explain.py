"""The page that steps through a cell: its numbers, wherever they are changed, are those of Python."""

import contextlib
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from typer.testing import CliRunner

import blocks as bk
from blocks.cli import app
from blocks.explain import page as page_module
from blocks.explain.document import script
from blocks.explain.lessons import LESSONS
from blocks.explain.page import SCRIPTS
from blocks.graph import OPS

from .javascript import engine, evaluated
from .strategies import examples, networks

needs_engine = pytest.mark.skipif(not engine(), reason="neither node nor chromium is installed")
STATE = [script("interpret.js"), script("state.js"), script("export.js")]
TOLD = """
const plain = (v) => Array.from(v.data, (x) => (Number.isFinite(x) ? x : String(x)));
function told(state) {
  return state.lines.map((line, i) => ({ symbol: line.symbol, value: plain(state.value(i)), parts: line.parts.map((p) => plain(state.part(p))) }));
}
"""


def odd(inputs, units):
    """A cell with two states, one of which is a matrix, and a gate on the wrong side."""
    x, h, m = bk.input("x", inputs), bk.state("h", units), bk.state("M", units, 2)
    key = bk.SOFTMAX(2, name="key")(x, h)
    m1 = 0.9 * m + bk.outer_each(bk.TANH(units, name="write")(x), key)
    h1 = bk.matvec(m1, key) - bk.sigm(h)
    return bk.Cell({h: h1, m: m1}, h1)


MAKERS = {"srn": bk.cells.srn, "lstm": bk.cells.lstm, "gru": bk.cells.gru, "mlstm": bk.cells.mlstm, "odd": odd}


def document_of(page):
    return json.loads(page.html.partition('id="data">')[2].partition("</script>")[0])


def asked(page, main):
    """What JavaScript makes of the page's state."""
    return evaluated(
        [*STATE, TOLD, f"function main(page) {{ const state = new State(page);\n{main}\n}}"], document_of(page)
    )


def numbers(values):
    return [float(v.replace("Infinity", "inf")) if isinstance(v, str) else v for v in values]


def compare(told, trace):
    assert [line["symbol"] for line in told] == [e.symbol for e in trace]
    for line, e in zip(told, trace, strict=True):
        np.testing.assert_allclose(
            numbers(line["value"]), e.value.ravel().astype(float), rtol=1e-9, atol=1e-9, err_msg=e.symbol
        )
        for part, c in zip(line["parts"], e.contributions, strict=True):
            np.testing.assert_allclose(numbers(part), c.value.ravel(), rtol=1e-9, atol=1e-9, err_msg=e.symbol)


def lines_of(page):
    return [line for lines in document_of(page)["lines"].values() for line in lines]


def unmarked(page):
    """The symbols of lines at which no shape of a figure is marked; of their values, forwards and backwards alike."""
    figures = document_of(page)["figures"]
    drawn = re.findall(r'<template class="drawn">(.*?)</template>', page.html, re.DOTALL)
    found = []
    for number, (line, entry) in enumerate(zip(lines_of(page), page.trace, strict=True)):
        owner = str(line.get("of", number))
        marks = [
            (f["prefix"] + i, svg) for f, svg in zip(figures, drawn, strict=True) for i in f["parts"].get(owner, ())
        ]
        found += [entry.symbol] if not marks else []
        assert all(f' id="{html.escape(i)}"' in svg for i, svg in marks), entry.symbol
    assert all(f["start"] for f in figures)
    return found


def marked_at(page, symbol):
    """What is marked at a symbol, in all figures."""
    number = [e.symbol for e in page.trace].index(symbol)
    owner = str(lines_of(page)[number].get("of", number))
    return [i for f in document_of(page)["figures"] for i in f["parts"].get(owner, ())]


def first_states(initial):
    """A cell whose two states begin with something and change places, over a sequence and between two layers."""
    h, c = bk.state("h", 3), bk.state("c", 3)
    cell = bk.Cell({h: c, c: bk.TANH(3, name="a")(bk.input("x", 3), h)}, h)
    first = bk.TANH(3, name="before")(bk.sequence("x", 2))
    ys = bk.scan(cell, first, initial=initial())
    out = bk.ADD(2, name="out")
    loss = bk.losses.squared_error(out(ys), bk.sequence("target", 2)) + 0.1 * bk.sum(bk.parameter("gain", 3) ** 2.0)
    return bk.Model(loss, seed=1)


def without_a_batch(inputs, units):
    """A state that all examples share: how large their sum was."""
    x, h, seen = bk.input("x", inputs), bk.state("h", units), bk.state("seen", shape=(units,))
    h1 = bk.TANH(units, name="a")(x, h) + bk.reshape(seen, shape=(1, units))
    return bk.Cell({h: h1, seen: 0.5 * seen + bk.mean(h1, axis="batch")}, h1)


WALKED = {
    **{name: lambda make=make: bk.explain(make, steps=3) for name, make in MAKERS.items()},
    "one figure for all steps": lambda: bk.explain(bk.cells.lstm, steps=8),
    "first states of zeros": lambda: bk.explain(first_states(lambda: None), steps=3),
    "first states that are learnt": lambda: bk.explain(
        first_states(lambda: {"h": bk.parameter("h0", 3, init=0.3), "c": bk.tanh(bk.parameter("c0", 3, init=0.3))}),
        steps=3,
    ),
    "first states that are given": lambda: bk.explain(
        first_states(lambda: {"h": bk.input("before h", 3), "c": bk.constant(value=np.full((1, 3), 0.5))}), steps=3
    ),
    "a state without a batch": lambda: bk.explain(without_a_batch, steps=3),
    "backwards in time, through layers": lambda: bk.explain(
        bk.Model(
            bk.losses.squared_error(
                bk.ADD(1, name="out")(bk.bidirectional(bk.cells.gru(2, 2), bk.cells.srn(2, 2), bk.sequence("x", 2))),
                bk.sequence("target", 1),
            ),
            seed=1,
        ),
        steps=3,
    ),
}


@pytest.mark.parametrize("name", WALKED)
def test_something_is_marked_at_every_position(name) -> None:
    assert not unmarked(WALKED[name]())


@given(networks())
@examples(12)
def test_something_is_marked_at_every_position_of_random_networks(network) -> None:
    graph, feeds = network
    model = bk.Model(graph.outputs["loss"], seed=0)
    assert not unmarked(bk.explain(model, feeds))


def test_what_is_marked() -> None:
    page = bk.explain(bk.cells.mlstm, steps=3)
    assert marked_at(page, "∂L/∂m(0)") == ["before-m"]
    assert marked_at(page, "y(2)") == marked_at(page, "∂L/∂y(2)") != marked_at(page, "loss(2)")
    assert marked_at(page, "loss(2)") == ["step2-output1"]  # what it is computed from
    assert marked_at(page, "L") == [f"step{t}-output1" for t in (3, 2, 1)]
    bricks = marked_at(page, "new forget.W_x")
    assert len(bricks) == 3 and bricks == marked_at(page, "forget.W_x")  # all steps share it
    assert marked_at(page, "∂L/∂forget(1)") == bricks[:1]


@needs_engine
@pytest.mark.parametrize("name", MAKERS)
def test_every_number_is_python_s_also_after_a_change(name) -> None:
    page = bk.explain(MAKERS[name], steps=3)
    weight = next(iter(page.trace.script.graph.params))
    found = asked(
        page,
        f"""const first = told(state), name = {json.dumps(weight)};
        state.set(name, 1, -0.7);
        const changed = told(state), loss = state.loss;
        state.undo();
        return {{ first, changed, loss, again: told(state) }};""",
    )
    compare(found["first"], page.trace)
    compare(found["again"], page.trace)
    feeds = dict(page.trace.feeds)
    feeds[weight] = feeds[weight].copy()
    feeds[weight].flat[1] = -0.7
    graph = bk.from_json(document_of(page)["source"])
    changed = bk.trace(graph, feeds)
    compare(found["changed"], changed)
    assert abs(found["loss"] - changed.loss) < 1e-9 and abs(changed.loss - page.trace.loss) > 1e-9


@needs_engine
@pytest.mark.parametrize("name", ["srn", "gru"])
def test_a_hundred_updates_end_where_fit_ends(name) -> None:
    page = bk.explain(MAKERS[name], steps=5, task="echo", seed=3)
    found = asked(
        page,
        """state.set(state.lr, 0, 0.05);
        state.learn(60); state.learn(40, true);
        const weights = Object.fromEntries(state.weights.map((n) => [n, plain(state.feeds[n])]));
        state.rewind(0);
        return { weights, losses: state.trail.map((t) => t.loss), back: plain(state.feeds[state.weights[0]]) };""",
    )
    graph, feeds = bk.from_json(document_of(page)["source"]), page.trace.feeds
    model = bk.Model(graph.outputs["loss"], dtype="float64", target="interpreter")
    model.weights = {n: feeds[n] for n in graph.params}
    data = {n: np.moveaxis(feeds[n], 0, 1) for n in ("x", "target", "mask")}
    model.fit(data, epochs=100, batch_size=1, optimizer=bk.SGD(0.05), progress=False)
    for weight, value in model.weights.items():
        np.testing.assert_allclose(found["weights"][weight], value.ravel(), rtol=0, atol=1e-9, err_msg=weight)
    np.testing.assert_allclose(found["losses"][:100], model.history.loss, rtol=1e-9)
    first = next(iter(graph.params))
    np.testing.assert_allclose(found["back"], feeds[first].ravel())


@needs_engine
def test_the_walk_stops_at_each_value_once_and_knows_no_more() -> None:
    page = bk.explain(bk.cells.lstm)
    found = asked(
        page,
        """const seen = state.stops.map((s) => state.lines[s.line].symbol), inside = state.stops.flatMap((s) => s.inside.map((i) => state.lines[i].symbol));
        const at = (symbol) => { state.goTo(symbol); return (other) => state.known(state.symbols.get(other)); };
        const early = at("C(2)"), there = ["C(1)", "C(2)", "forget(2)", "h(2)", "∂L/∂h(4)"].map(early);
        const late = at("∂L/∂C(3)"), back = ["h(4)", "∂L/∂h(4)", "∂L/∂C(3)", "∂L/∂C(2)"].map(late);
        const weight = state.symbols.get("∂L/∂forget.W_h"), soFar = state.soFar(weight).length;
        at("∂L/∂C(1)");
        return { seen, inside, there, back, soFar, later: state.soFar(weight).length, all: state.lines[weight].parts.length };""",
    )
    shown = [e for e in page.trace if e.phase != "given" and e.kind not in ("input", "sequence")]
    assert found["seen"][1:] == [e.symbol for e in shown if not e.inside]
    assert set(found["inside"]) == {e.symbol for e in shown if e.inside}
    assert found["there"] == [True, True, True, False, False]
    assert found["back"] == [True, True, True, False]
    assert (found["soFar"], found["later"], found["all"]) == (1, 3, 4)


@needs_engine
def test_finite_differences_agree_with_the_gradient() -> None:
    page = bk.explain(bk.cells.gru, steps=3)
    names = [*page.trace.script.graph.params, "x", "h"]
    found = asked(
        page,
        f"return {json.dumps(names)}.filter((n) => n in state.feeds).map((n) => [n, state.gradientOf(n).data[0], state.difference(n, 0)]);",
    )
    assert len(found) >= len(names) - 1
    for name, gradient, difference in found:
        assert abs(gradient - difference) < 1e-7, name


@needs_engine
def test_python_of_the_state_gives_its_numbers() -> None:
    page = bk.explain(bk.cells.srn, steps=3)
    found = asked(
        page,
        """state.set(state.weights[0], 0, 0.123456789012345); state.set(state.lr, 0, 0.25); state.learn(3); state.goTo("∂L/∂h(2)");
        return { python: pythonOf(state), loss: state.loss, told: told(state) };""",
    )
    scope: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(found["python"], "state.py", "exec"), scope)
    compare(found["told"], scope["trace"])
    assert "∂L/∂h(2)" in said.getvalue()


@needs_engine
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_knows_its_answer_by_computing(name) -> None:
    page = bk.explain(bk.cells.lstm, lesson=name)
    answers = script("lessons.js")
    main = """const lesson = page.lesson, first = ANSWERS[lesson.name](state, lesson);
    const wrong = judged(state, lesson, lesson.asks === "choices" ? (first + 1) % 3 : first * 2);
    if (lesson.asks === "state") for (let i = 0; i < 3; i++) state.set("forget.b", i, 20);
    const right = judged(state, lesson, first);
    return { first, wrong, right, start: !lesson.start || state.goTo(lesson.start) };"""
    found = evaluated(
        [*STATE, answers, f"function main(page) {{ const state = new State(page);\n{main}\n}}"], document_of(page)
    )
    assert found["right"]["right"] and found["start"] and not found["wrong"]["right"], found
    if name == "vanishing":
        want = np.linalg.norm(page.trace["∂L/∂h(1)"]) / np.linalg.norm(page.trace["∂L/∂h(6)"])
        assert abs(found["first"] - want) < 1e-9
    if name == "forks":
        (part,) = [c for c in page.trace.entry("∂L/∂C(3)").contributions if c.through.startswith("forget(4)")]
        assert abs(found["first"] - part.value[0, 0]) < 1e-12


@needs_engine
def test_the_probes_of_the_comparison_are_the_gradients_of_the_states() -> None:
    document = document_of(bk.explain(bk.cells.srn, steps=2, seed=5))["compare"]
    main = """function main({ data, cells }) { return cells.map((cell) => {
      const feeds = Object.fromEntries(Object.entries({ ...data, ...cell.weights }).map(([n, v]) => [n, interpreter.array(v)]));
      const out = interpreter.run(cell.graph, feeds);
      return Object.fromEntries(cell.probes.map((p) => [p, [...out["grad/" + p].data]]));
    }); }"""
    found = evaluated([script("interpret.js"), main], document)
    for cell, make, probes in zip(document["cells"], (bk.cells.srn, bk.cells.lstm), found, strict=True):
        xs, target, mask = bk.sequence("x", 2), bk.sequence("target", 1), bk.sequence("mask")
        y = bk.ADD(1, name="w_o")(bk.scan(make(2, 3), xs))
        graph = bk.Graph({"loss": bk.losses.squared_error(y, target, mask)})
        fed = {**document["data"], **cell["weights"]}
        trace = bk.trace(graph, {n: np.array(v["array"]["data"]).reshape(v["array"]["shape"]) for n, v in fed.items()})
        for probe, data in probes.items():
            want = np.stack([trace.gradient(probe[6:], t) for t in range(1, trace.steps + 1)])
            np.testing.assert_allclose(np.reshape(data, want.shape), want, atol=1e-12)


def test_one_file_that_fetches_nothing() -> None:
    page = bk.explain(bk.cells.lstm)
    assert len(page.html.encode()) < 260_000
    assert "default-src 'none'" in page.html and "[[" not in page.html.replace("[[", "", 0).partition("<script")[0]
    assert set(re.findall(r"https?://[^\s\\\"')<]+", page.html)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe|script)[^>]+(src|href)=", page.html)
    assert set(SCRIPTS) == {p.name for p in Path(page_module.__file__).parent.glob("*.js")}


def test_hostile_names_are_inert() -> None:
    x, h = bk.input("x", 2), bk.state("</script><b>h", 3)
    h1 = bk.TANH(3, name="<img src=x onerror=alert(1)>[[document]]")(x, h)
    cell = bk.Cell({h: h1}, h1, name='"><script>alert(2)</script>')
    page = bk.explain(cell)
    body = page.html.partition("<body>")[2]
    assert body.count("<script") == 2 and body.count("</script>") == 2
    assert "<img" not in body and "<b>h" not in body and "&lt;script&gt;" in page.html


@needs_engine
def test_names_that_javascript_has_its_own_use_for() -> None:
    x, h, gain = bk.input("constructor", 2), bk.state("__proto__", 3), bk.parameter("toString", 3, init=1.0)
    cell = bk.Cell({h: bk.TANH(3, name="hasOwnProperty")(x, h) * gain}, h)
    page = bk.explain(cell, steps=3)
    found = asked(
        page,
        """state.set("__proto__", 0, 0.5);
        const first = told(state);
        state.learn(2);
        return { first, moved: ["toString", "hasOwnProperty.W_constructor"].map((n) => plain(state.feeds[n])[0] !== plain(state.first[n])[0]) };""",
    )
    start = np.zeros((1, 3))
    start[0, 0] = 0.5
    compare(
        found["first"], bk.trace(bk.from_json(document_of(page)["source"]), {**page.trace.feeds, "__proto__": start})
    )
    assert found["moved"] == [True, True]


def test_what_is_given_and_what_is_made() -> None:
    rng = np.random.default_rng(0)
    cell = bk.cells.gru(5, 4)
    page = bk.explain(cell, steps=3)  # wider than the task: zeros beside
    assert page.trace["x"].shape == (3, 1, 5) and not page.trace["x"][..., 2:].any()
    assert page.trace.entry("y(3)").brick == "w_o"
    feeds = {**cell.graph.init(1, "float64"), "x": rng.normal(size=(2, 3, 5)), "target": rng.normal(size=(2, 3, 4))}
    own = bk.explain(cell, feeds)
    assert own.trace.steps == 2 and own.trace["x"].shape == (2, 3, 5)
    np.testing.assert_allclose(own.trace.loss, bk.trace(cell, feeds).loss)
    literal = bk.explain(bk.cells.book_lstm)  # adds x and h: both have one size
    assert literal.trace["x"].shape == (4, 1, 3)


def test_a_model_with_its_weights(tmp_path) -> None:
    ids, target = bk.sequence("char", dtype="int"), bk.sequence("next", dtype="int")
    logits = bk.ADD(7, name="out")(bk.scan(bk.cells.gru(4, 3), bk.EMBED(7, 4, name="letters")(ids)))
    model = bk.Model(bk.losses.cross_entropy(logits, target), seed=3)
    page = bk.explain(model, steps=3)
    np.testing.assert_allclose(page.trace["reset.W_x"], model.weights["reset.W_x"])
    assert page.trace["char"].shape == (3, 1) and page.trace["next"].max() < 7
    path = model.save(tmp_path / "model.safetensors") or tmp_path / "model.safetensors"
    result = CliRunner().invoke(app, ["explain", str(path), "-o", str(tmp_path / "page.html"), "--steps", "2"])
    assert result.exit_code == 0 and (tmp_path / "page.html").stat().st_size > 50_000, result.output


def test_a_layer_that_runs_backwards_has_one_open_step() -> None:
    x, label = bk.sequence("x", 2), bk.input("label", dtype="int")
    both = bk.bidirectional(bk.cells.gru(2, 3), bk.cells.srn(2, 3), x)
    model = bk.Model(bk.losses.cross_entropy(bk.ADD(4, name="out")(both[-1]), label), seed=1)
    page = bk.explain(model, steps=3)
    first, second = document_of(page)["figures"]
    assert (first["all"], second["all"]) == (True, False)
    lines = page.trace.script.lines
    (h,) = [c for c in second["chips"] if lines[c["lines"]["2"]].symbol == "backward/h(2)"]
    assert [lines[i].symbol for i in h["lines"].values()] == [f"backward/h({t})" for t in (1, 2, 3)]
    before = [[lines[i].symbol for i in c["lines"].values()] for c in second["chips"]]
    assert [f"backward/h({t})" for t in (2, 3, 4)] in before  # what a step takes comes from the one after it


def test_command_line(tmp_path) -> None:
    out = tmp_path / "p.html"
    result = CliRunner().invoke(app, ["explain", "srn", "--task", "adding", "--steps", "3", "-o", str(out)])
    assert result.exit_code == 0 and "3 steps" in result.output
    assert "srn, step by step" in out.read_text(encoding="utf-8")


def test_in_a_notebook() -> None:
    page = bk.explain(bk.cells.srn, steps=2)
    bundle = page._repr_mimebundle_()
    assert "<iframe srcdoc=" in bundle["text/html"] and "2 steps" in bundle["text/plain"]


@pytest.mark.parametrize(
    "wrong, said",
    [
        (lambda: bk.explain(bk.cells.srn, task="recal"), "did you mean 'recall'"),
        (lambda: bk.explain(bk.cells.srn, lesson="gate"), "did you mean 'gates'"),
        (lambda: bk.explain(bk.cells.lstm, steps=120), "ask for fewer steps"),
        (lambda: bk.explain("lstm"), "takes a cell function"),
        (lambda: bk.explain(bk.cells.srn(1, 3)), "the task has 2"),
        (lambda: bk.explain(bk.cells.srn, steps=1), "steps is 2 or more"),
        (lambda: bk.explain(bk.cells.srn, steps=2).save("page.svg"), "saved as .html"),
        (lambda: bk.explain(bk.cells.srn, steps=2).save("/no/such/page.html"), "no folder"),
    ],
)
def test_what_cannot_be_explained(wrong, said) -> None:
    with pytest.raises(bk.BlocksError, match=said):
        wrong()


def test_an_operation_without_javascript_is_refused() -> None:
    bare = bk.elementwise("bare", "x", lambda x: x, lambda g, y, x: (g,))
    try:
        h = bk.state("h", 3)
        cell = bk.Cell({h: bare(bk.TANH(3, name="a")(bk.input("x", 2), h))}, h)
        with pytest.raises(bk.BlocksError, match="no JavaScript for the operation 'bare'"):
            bk.explain(cell)
    finally:
        del OPS["bare"]
