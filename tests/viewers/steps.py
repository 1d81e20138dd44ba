"""The page that steps through a cell, in Chromium: at every step of the walk its numbers are NumPy's, also after a change
and after a hundred updates; nothing is fetched, nothing fails, and the keyboard is enough.

    python -m tests.viewers.steps [--pictures FOLDER] [CELL …]

With a folder it also takes a picture of each phase, at both sizes, in light and dark: some faults only eyes find."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

import blocks as bk
from blocks.explain.figure import loops_of
from blocks.explain.lessons import LESSONS, Lesson

from ..moving import network
from ..strategies import random_feeds
from .chromium import CHROMIUM, SIZES, accessible, axe_core, chromium, in_sight, opened, until

LARGE = {"units": 32, "steps": 50}


def odd(inputs: int, units: int) -> bk.Cell:
    """Two states, one of them a matrix; a gate on the wrong side; names as no one should choose them."""
    x, h, m = bk.input("x", inputs), bk.state("h", units), bk.state("M<b>", units, 2)
    key = bk.SOFTMAX(2, name="key & 'co'")(x, h)
    m1 = 0.9 * m + bk.outer_each(bk.TANH(units, name="<img src=x onerror=alert(1)>")(x), key)
    return bk.Cell({h: (h1 := bk.matvec(m1, key) - bk.sigm(h)), m: m1}, h1)


CELLS = {"srn": bk.cells.srn, "lstm": bk.cells.lstm, "gru": bk.cells.gru, "mlstm": bk.cells.mlstm, "odd": odd}

VALUES = """() => state.lines.map((line, i) => ({ symbol: line.symbol, value: [...state.value(i).data].map(String), parts: line.parts.map((p) => [...state.part(p).data].map(String)) }))"""
TIMED = """() => {
  const timed = (f) => {
    const took = Array.from({ length: 20 }, (_, i) => { const t = performance.now(); f(i); return performance.now() - t; }).sort((a, b) => a - b);
    return [Math.round(took[0]), Math.round(took[10])];
  };
  return [timed(() => state.learn(1)), timed((i) => edit(state.weights[0], 1, i / 20))];
}"""
POSITIONS = """() => {
  const phase = (i) => state.lines[state.stops[i].line].phase, all = state.stops.map((_, i) => i).slice(1), out = { start: 0 };
  for (const name of PHASES.slice(1)) { const some = all.filter((i) => phase(i) === name); out[name] = some[some.length >> 1]; }
  out.first = all.findLast((i) => phase(i) === "backward" && state.lines[state.lines[state.stops[i].line].of].phase === "given" && !state.weights.includes(state.lines[state.lines[state.stops[i].line].of].fed));
  return out;
}"""
COLLIDE = """() => {
  const boxes = [...document.querySelectorAll(".chip")].map((c) => [c.querySelector("title").textContent, c.querySelector(".ground").getBoundingClientRect()]);
  const texts = [...document.querySelectorAll("#figure svg > g:not(.chips):not(.nets) text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1, found = [];
  boxes.forEach(([n, a], i) => { for (const [m, b] of [...boxes.slice(i + 1), ...texts]) if (meet(a, b)) found.push(`${n} on ${m}`); });
  return found;
}"""


def main(wanted: list[str]) -> None:
    """Raises AssertionError for what a page shows wrongly."""
    pictures = None
    if wanted[:1] == ["--pictures"]:
        pictures, wanted = Path(wanted[1]), wanted[2:]
    for name in wanted:
        assert name in CELLS, f"{name}: there are {', '.join(CELLS)}"
    if CHROMIUM is None:
        print("steps: skipped, there is no chromium (apt install chromium)")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, chromium() as browser:
        axe = axe_core(Path(folder))
        for name in wanted or CELLS:
            page = bk.explain(CELLS[name], steps=3)
            file = page.save(Path(folder) / f"{name}.html")
            for scheme in ("light", "dark"):
                with opened(browser, file, scheme, "desktop") as tab:
                    seen = walked(tab, page)
                    faults = accessible(tab, axe)
                if pictures:
                    photographed(browser, file, scheme, pictures)
                print(f"steps: {name}, {scheme}: {seen} positions, their numbers are Python's; axe: {faults}")
            with opened(browser, file, "light", "phone") as tab:
                in_sight(tab)
                accessible(tab, axe)
            with opened(browser, file, "light", "desktop") as tab:
                changed(tab, page)
            with opened(browser, file, "light", "desktop") as tab:
                learnt(tab, page)
        with opened(browser, file, "light", "desktop") as tab:
            by_keyboard(tab)
        marked(browser, Path(folder))
        for name in LESSONS:
            file = bk.explain(bk.cells.lstm, lesson=name).save(Path(folder) / f"lesson-{name}.html")
            with opened(browser, file, "dark", "phone") as tab:
                accessible(tab, axe)
                answered(tab, LESSONS[name])
        print(f"steps: {', '.join(LESSONS)}: answered, wrongly and rightly")
        large(browser, Path(folder))


def photographed(browser: Any, file: Path, scheme: str, folder: Path) -> None:
    """A picture of a position of each kind: the first, the middle one of each phase, and the last first state's."""
    folder.mkdir(exist_ok=True)
    for size in SIZES:
        with opened(browser, file, scheme, size) as tab:
            for name, position in tab.evaluate(POSITIONS).items():
                tab.evaluate(f"go(() => state.go({position}))")
                tab.screenshot(path=folder / f"{file.stem}-{name}-{size}-{scheme}.png", full_page=name == "start")


def close(got: list[str], want: np.ndarray, said: str, tolerance: float = 1e-9) -> None:
    numbers = [float(text.replace("Infinity", "inf").replace("−", "-").replace("∞", "inf")) for text in got]
    np.testing.assert_allclose(numbers, np.ravel(want).astype(float), rtol=tolerance, atol=tolerance, err_msg=said)


def compared(tab: Any, trace: Any) -> None:
    """Every number that the page knows is the trace's, and gradients are the sums of their parts."""
    told = tab.evaluate(VALUES)
    assert [line["symbol"] for line in told] == [e.symbol for e in trace]
    for line, e in zip(told, trace, strict=True):
        close(line["value"], e.value, e.symbol)
        for part, c in zip(line["parts"], e.contributions, strict=True):
            close(part, c.value, e.symbol)
        if line["parts"]:
            close(line["value"], sum(np.array(p, float) for p in line["parts"]), e.symbol)


class Row(list):
    """Numbers of a product: two of them side by side are multiplied and added up."""

    def __mul__(self, other: Any) -> Any:
        return sum(a * b for a, b in zip(self, other, strict=True)) if isinstance(other, list) else NotImplemented


def computed(text: str) -> tuple[float, float] | None:
    """What a rule with its numbers put in gives, and what it would with all signs alike: how far digits that are not
    shown can matter. None for functions of several numbers, and where numbers are left out."""
    said = text.replace("−", "-").replace("·", "*").replace("^", "**").replace("[", "Row([").replace("]", "])")
    known = {
        "Row": Row,
        "tanh": np.tanh,
        "σ": lambda x: 1 / (1 + np.exp(-x)),
        "exp": np.exp,
        "ln": np.log,
        "Σ": lambda x: x,
    }
    try:
        return tuple(float(eval(said.replace("-", sign), known)) for sign in ("-", "+"))  # type: ignore[return-value]
    except (SyntaxError, NameError, TypeError, ValueError, ZeroDivisionError):
        return None


def put_in(stops: list[dict[str, Any]]) -> int:
    """How many rules were computed from the numbers that are put into them; raises AssertionError for one that does
    not give what it says."""
    count = 0
    for stop in stops[1:]:
        text = stop["numbers"].partition(": ")[2] if stop["numbers"].startswith("unit") else stop["numbers"]
        value, _, rule = text.partition(" = ")
        found = computed(rule) if rule and "…" not in rule else None
        if found is not None and np.isfinite(found).all():
            want = float(value.replace("−", "-").replace("∞", "inf"))
            assert abs(found[0] - want) <= 3e-3 * max(abs(found[1]), abs(want)), (stop["symbol"], stop["numbers"])
            count += 1
    return count


def walked(tab: Any, page: bk.Page) -> int:
    """How many positions the walk has. At each the numbers are NumPy's to the digits that are shown, and what is said,
    the address and the ring are there."""
    compared(tab, page.trace)
    stops, left = in_sight(tab), None
    for stop in stops[1:]:
        e = page.trace.entry(stop["symbol"])
        assert stop["symbol"] in stop["live"] and stop["hash"] == f"#{stop['symbol']}", stop
        close(stop["cells"], e.value, e.symbol, 5.1e-4)
        if e.phase == "forward":  # what is known grows
            assert left is None or stop["unknown"] <= left, e.symbol
            left = stop["unknown"]
    assert stops[0]["unknown"] > 0
    assert put_in(stops) > 0.4 * len(stops), f"{put_in(stops)} of {len(stops)} rules were computed"
    assert not (met := tab.evaluate(COLLIDE)), met
    return len(stops)


def changed(tab: Any, page: bk.Page) -> None:
    """A weight is changed by hand, its gradient checked, and the change undone."""
    graph = bk.from_json(tab.evaluate("state.page.source"))
    tab.click("#weights-body .grid button >> nth=1")
    name = tab.evaluate("panels.chosen.name")
    tab.fill("#field", "-0.625")
    tab.press("#field", "Enter")
    feeds = {**page.trace.feeds, name: np.array(page.trace.feeds[name])}
    feeds[name].flat[1] = -0.625
    compared(tab, bk.trace(graph, feeds))
    tab.click("#check")
    said = tab.text_content("#checked")
    assert float(said.rpartition(" ")[2].replace("−", "-")) < 1e-6, said
    tab.check("#hide")
    assert "predict" in tab.text_content("#gradient")
    tab.fill("#guess", "123")
    tab.click("#guessed")
    assert "you are off by" in tab.text_content("#verdict")
    tab.evaluate("document.querySelector('#slider').focus()")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("state.feeds[panels.chosen.name].data[1]") > -0.63
    for _ in range(2):
        tab.click("#undo")
    compared(tab, page.trace)
    with tab.expect_download() as saved:
        tab.click("#save-svg")
    drawn = Path(saved.value.path()).read_text(encoding="utf-8")
    assert drawn.startswith("<svg") and "var(--" not in drawn and 'class="chips"' in drawn
    with tab.expect_download() as saved:
        tab.click("#save-python")
    code = Path(saved.value.path()).read_text(encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def learnt(tab: Any, page: bk.Page) -> None:
    """A hundred updates end where `fit` ends; rewound, they begin where they began."""
    graph, feeds = bk.from_json(tab.evaluate("state.page.source")), page.trace.feeds
    tab.click('[data-learn="100"]')
    until(tab, "state.at === 100 && !document.body.classList.contains('busy')")
    found = tab.evaluate("Object.fromEntries(state.weights.map((n) => [n, [...state.feeds[n].data].map(String)]))")
    model = bk.Model(graph.outputs["loss"], dtype="float64", target="interpreter")
    model.weights = {n: feeds[n] for n in graph.params}
    data = {n: np.moveaxis(feeds[n], 0, 1) for n in ("x", "target", "mask")}
    model.fit(data, epochs=100, batch_size=1, optimizer=bk.SGD(0.1), progress=False)
    for name, value in model.weights.items():
        close(found[name], value, name)
    tab.evaluate("byId('rewind').value = 0; byId('rewind').dispatchEvent(new Event('input'))")
    compared(tab, page.trace)
    tab.click("#undo")
    compared(tab, page.trace)


def by_keyboard(tab: Any) -> None:
    """The whole walk by the arrow, and the other keys."""
    stops = tab.evaluate("state.stops.length")
    for at in range(1, stops):
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("state.position") == at
    for key, position in (("Home", 0), ("End", stops - 1), ("ArrowLeft", stops - 2)):
        tab.keyboard.press(key)
        assert tab.evaluate("state.position") == position, key
    tab.keyboard.press("PageUp")
    assert tab.evaluate("state.current.phase") == "backward"
    tab.keyboard.press("Home")
    tab.keyboard.press("Space")
    until(tab, "state.position > 1")
    tab.keyboard.press("Space")
    assert tab.evaluate("playing") is None
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "first"
    symbol = tab.evaluate("state.lines[state.stops.at(-3).line].symbol")
    tab.evaluate(f"location.hash = {json.dumps('#' + quote(symbol, safe=''))}")
    until(tab, f"state.current.symbol === {json.dumps(symbol)}")


def marked(browser: Any, folder: Path) -> None:
    """In pages of more than a cell, and of random networks: something is marked, in sight, at every position."""
    pages = {
        "nine steps": lambda: bk.explain(bk.cells.lstm, steps=9),
        "both ways": lambda: bk.explain(both_ways(), steps=3),
        **{f"random {k}": lambda k=k: bk.explain(*random_network(k)) for k in range(12)},
    }
    count = 0
    for name, make in pages.items():
        file = make().save(folder / f"{name}.html")
        for size in SIZES:
            with opened(browser, file, "light", size) as tab:
                count += len(in_sight(tab))
    print(f"steps: {len(pages)} pages of several loops and of random networks: marked in sight at {count} positions")


def answered(tab: Any, lesson: Lesson) -> None:
    """A lesson is answered by hand: wrongly, and as its page computes it."""
    known = tab.evaluate("ANSWERS[state.page.lesson.name](state, state.page.lesson)")
    buttons = tab.locator("#lesson-body button")

    def told(right: bool) -> None:
        assert tab.locator("#lesson .verdict.right").count() == right, (
            lesson.name,
            tab.text_content("#lesson .verdict"),
        )

    if lesson.asks == "choices":
        buttons.nth((known + 1) % len(lesson.choices)).click()
        told(False)
        buttons.nth(known).click()
    elif lesson.asks == "number":
        for answer in (2 * known, known):
            tab.fill("#lesson-body input", f"{answer:.4g}")
            buttons.first.click()
            told(answer == known)
    else:  # the biases of the forget gate, by the weights' buttons and the field
        buttons.first.click()
        told(False)
        biases = tab.locator("#weights-body .weight").last.locator(".grid").first.locator("button")
        for i in range(biases.count()):
            biases.nth(i).click()
            tab.fill("#field", "9")
            tab.press("#field", "Enter")
        buttons.first.click()
    told(True)


def both_ways() -> bk.Model:
    """Two cells over one sequence, one of them backwards, and a read-out outside of both."""
    hs = bk.bidirectional(bk.cells.gru(2, 2), bk.cells.srn(2, 2), bk.sequence("x", 2))
    return bk.Model(bk.losses.squared_error(bk.ADD(1, name="out")(hs), bk.sequence("target", 1)), seed=1)


def random_network(seed: int) -> tuple[bk.Model, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    graph = network(rng)
    while not loops_of(bk.Graph({"loss": graph.outputs["loss"]})):
        graph = network(rng)
    model = bk.Model(graph.outputs["loss"], seed=0)
    return model, random_feeds(model.graph, rng, {"time": 3, "batch": 2})


def large(browser: Any, folder: Path) -> None:
    """32 units over 50 steps, and a model: how large, how soon and how fast the page is."""
    file = bk.explain(bk.cells.lstm, **LARGE).save(folder / "large.html")  # type: ignore[arg-type]
    size = file.stat().st_size
    assert size < 5_000_000, size
    with opened(browser, file, "light", "desktop") as tab:
        paint = tab.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? performance.now()"
        )
        learns, edits = tab.evaluate(TIMED)
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("state.position") == 1
    print(
        f"steps: LSTM, 32 units, 50 steps: {size / 1e6:.1f} MB, first paint {paint:.0f} ms; an update {learns}, a change "
        f"of a weight with all that is shown {edits} (ms, least and median of 20)"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
