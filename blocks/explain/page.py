"""The page: a cell, a task and weights as one HTML file that computes and learns by itself, and fetches nothing."""

from __future__ import annotations

import html
import inspect
import os
import re
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import checked
from ..bricks import ADD
from ..cell import Cell
from ..draw.notebook import chosen
from ..errors import BlocksError, WiringError, fresh_name
from ..files import to_json, write_whole
from ..graph import Graph, Node, Shape
from ..interpret import bind
from ..ops.leaves import make_input
from ..tasks.lags import Task, task_named
from ..trace import Trace, trace, training_graph
from ..trace.script import PHASES, Line, Part, Script
from ..trace.symbols import CLOSE, OPEN, added, bare
from ..train.model import LOSS, Model
from .compare import comparison
from .document import array_json, graph_json, rows_for, script, script_json
from .figure import figure_document, loops_of, mark_the_rest
from .lessons import Lesson, lesson_named

SCRIPTS = ("interpret.js", "state.js", "figure.js", "panels.js", "learn.js", "lessons.js", "export.js", "main.js")
LARGEST = 4000  # values forwards that keep the page usable
CellMaker = Callable[[int, int], Cell]


class Page:
    """A page that steps through a cell; it shows itself in a notebook, and is saved as one file.

    Attributes: trace, the record that it starts with; html, the whole file.
    """

    def __init__(self, trace: Trace, text: str):
        self.trace, self.html = trace, text

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page. Raises BlocksError for another ending than .html, and if there is no such folder."""
        target = Path(path)
        if target.suffix.lower() not in (".html", ".htm"):
            raise BlocksError(f"{target.name!r}: a page is saved as .html")
        if not target.parent.is_dir():
            raise BlocksError(f"there is no folder {os.fspath(target.parent)!r} for the page")
        write_whole(target, self.html.encode())
        return target

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        frame = f'<iframe srcdoc="{html.escape(self.html)}" style="width:100%;height:760px;border:0"></iframe>'
        return chosen({"text/html": lambda: frame, "text/plain": lambda: repr(self)}, include, exclude)

    def __repr__(self) -> str:
        return f"<Page of {self.trace.steps} steps, {len(self.html):,} characters; .save('page.html')>"


@checked
def explain(
    cell: Cell | CellMaker | Model,
    feeds: Mapping[str, Any] | None = None,
    *,
    steps: int = 4,
    units: int = 3,
    task: str = "recall",
    seed: int = 0,
    lesson: str | None = None,
) -> Page:
    """A page that steps through a cell: forwards, loss, backwards, update, brick by brick, with real numbers, each of
    which can be changed there.

        bk.explain(bk.cells.lstm).save("lstm.html")
        bk.explain(bk.cells.srn, steps=6, task="echo")
        bk.explain(my_cell, {**weights, "x": x, "target": target})

    Args:
        cell: a cell function, called with the task's inputs and `units`; a `Cell`; or a `Model`.
        feeds: what it begins with, as for `trace`: weights, inputs ``(time, batch, ...)``, ``target``, first states.
            What is not given is made: weights from the seed, inputs and target from the task.
        steps: how many, where the task makes the inputs.
        units: of a cell function, and of the cells of a lesson.
        task: "recall", "echo" or "adding", see `tasks.lags`. Without a target in `feeds` a read-out, w_o, is put on the
            cell's output.
        seed: of weights and inputs.
        lesson: "vanishing", "gates", "shared-weights", "forks" or "learning-rate": a question, with the cell, task and
            steps that it is about in place of those given.

    Returns a `Page`. Raises BlocksError for a task or lesson that there is not, for an operation without JavaScript,
    for a cell that cannot be drawn, and for what is too large to step through.
    """
    asked = None if lesson is None else lesson_named(lesson)
    if asked is not None:
        cell, steps, task = asked.cell, asked.steps, asked.task
    given = dict(feeds or {})
    if isinstance(cell, Model):
        graph, given, title = cell.graph, {**_weights(cell), **given}, "model"
        if LOSS not in graph.outputs:
            raise BlocksError("this model has no loss; there is nothing to step through")
        given = {**_made_up(graph, given, steps, seed), **given}
    else:
        graph, given, title = _with_task(cell, given, steps, units, task_named(task), seed)
    _check_size(graph, given)
    record = trace(graph, {name: _exact(value) for name, value in given.items()})
    own = isinstance(cell, Model) or _has_target(feeds or {})
    drawn = [figure_document(record.script, loop, record.dims[loop.attrs["time"]]) for loop in loops_of(graph)]
    document = page_document(graph, record, title, "" if own else task, asked)
    document["figures"] = [belongs for _, belongs in drawn]
    mark_the_rest(record.script, document["figures"])
    if not isinstance(cell, Model):
        document["compare"] = comparison(task_named(task), units, seed)
    return Page(record, page_html(document, [svg for svg, _ in drawn], rows_for(record.script.graph)))


def _check_size(graph: Graph, feeds: Mapping[str, Any]) -> None:
    """Raises BlocksError for a graph that is no cell over time, and for one with too many values to step through."""
    loops, dims = loops_of(graph), bind(graph, feeds)[1].dims
    if not loops:
        raise BlocksError("the page shows a cell over time; this graph has no loop")
    values = sum(dims[loop.attrs["time"]] * len(loop.attrs["body"].order()) for loop in loops)
    if values > LARGEST:
        raise BlocksError(f"these steps compute {values:,} values; a page holds {LARGEST:,}: ask for fewer steps")


def _exact(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _weights(model: Model) -> dict[str, Any]:
    if model.trials is not None:
        raise BlocksError("this model has several trials; a page shows one")
    return {name: np.array(value) for name, value in model.weights.items()}


def _with_task(
    cell: Cell | CellMaker, feeds: dict[str, Any], steps: int, units: int, task: Task, seed: int
) -> tuple[Graph, dict[str, Any], str]:
    """The graph of a cell with a loss, and what it is fed."""
    title = getattr(cell, "__name__", "") or getattr(cell, "name", "") or "cell"
    built = cell if isinstance(cell, Cell) else _built(cell, task, units)
    if not _has_target(feeds):
        data = {k: np.moveaxis(v, 0, 1) for k, v in task.make(np.random.default_rng(seed), 1, steps).items()}
        feeds = {
            **_inputs(built, data["x"], steps, seed, feeds),
            "target": data["target"],
            "mask": data["mask"],
            **feeds,
        }
        built = _with_read_out(built, task.outputs)
    graph = training_graph(built, feeds)
    first = graph.init(seed, "float64")
    return graph, {**first, **{n: v for n, v in feeds.items() if n in {**graph.inputs, **first, **graph.draws}}}, title


def _has_target(feeds: Mapping[str, Any]) -> bool:
    """Whether feeds say themselves what a cell's outputs are compared with."""
    return any(name == "target" or name.startswith("target/") for name in feeds)


def _built(make: CellMaker, task: Task, units: int) -> Cell:
    """A cell for the inputs of a task; for as many as its units, if it adds both."""
    if not callable(make):
        raise BlocksError(f"explain takes a cell function, a Cell or a Model, not a {type(make).__name__}")
    try:
        inspect.signature(make).bind(task.inputs, units)
    except TypeError as error:
        name = getattr(make, "__name__", make)
        raise BlocksError(f"a cell function is called with the sizes (inputs, units); {name}: {error}") from None
    try:
        made = make(task.inputs, units)
    except WiringError:
        made = make(units, units)
    if not isinstance(made, Cell):
        raise BlocksError(f"a cell function gives a Cell, not a {type(made).__name__}")
    return made


def _inputs(cell: Cell, x: np.ndarray, steps: int, seed: int, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What a cell's inputs are fed: the first one the task's x, beside zeros, if it is wider; others random numbers."""
    rng = np.random.default_rng([seed, 1])
    found: dict[str, np.ndarray] = {}
    fed = cell.graph.fed("input")
    for number, name in enumerate(n for n in cell.inputs if n not in given):
        node = fed[name]
        size = (steps, *(1 if isinstance(d, str) else d for d in node.shape))
        if node.dtype != "float":
            found[name] = np.zeros(size, {"int": np.int64, "bool": np.bool_}[node.dtype])
        elif number == 0 and len(size) == 3 and size[-1] >= x.shape[-1]:
            found[name] = np.zeros(size)
            found[name][..., : x.shape[-1]] = x
        elif number == 0 and len(size) == 3:
            raise BlocksError(
                f"{cell} takes {size[-1]} features, but the task has {x.shape[-1]}: give feeds of your own"
            )
        else:
            found[name] = rng.standard_normal(size)
    return found


def _with_read_out(cell: Cell, outputs: int) -> Cell:
    """A cell with y = w_o h on the first of its outputs that has features."""
    fed = cell.graph.fed("input")
    inputs = {n: make_input(n, fed[n].shape, fed[n].dtype, "input") for n in cell.inputs}
    result = cell(**inputs)
    wires = list(result.values()) if isinstance(result, dict) else [result]
    read = [w for w in wires if w.dtype == "float" and len(w.shape) == 2 and w.shape[0] == "batch"]
    if not read:
        raise BlocksError(f"{cell} has no output (batch, features) to read an answer from; give a target in feeds")
    bricks = {node.brick for node in cell.graph.order() if node.brick}
    taken = [*bricks, *cell.graph.nodes]
    return Cell(states={}, outputs={"y": ADD(outputs, name=fresh_name("w_o", taken))(read[0])})


def _made_up(graph: Graph, given: Mapping[str, Any], steps: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs for those of a model that are not given: class numbers within their range, masks of ones."""
    rng = np.random.default_rng([seed, 2])
    found: dict[str, np.ndarray] = {}
    classes = _classes(graph)
    for name, node in graph.fed("input").items():
        if name in given or node.attrs["default"] is not None:
            continue
        size = tuple(1 if d == "batch" else steps if isinstance(d, str) else d for d in node.shape)
        if node.dtype == "int":
            found[name] = rng.integers(0, classes.get(node, 2), size)
        elif name == "mask" or node.dtype == "bool":
            found[name] = np.ones(size, bool if node.dtype == "bool" else float)
        else:
            found[name] = rng.standard_normal(size)
    return found


def _classes(graph: Graph) -> dict[Node, int]:
    """How many class numbers there are for inputs of them."""
    found: dict[Node, int] = {}
    for node in graph.order():
        shape: Shape = node.operands[0].shape if node.operands else ()
        if node.op.name == "gather":
            found[node.operands[1]] = int(shape[0])
        elif node.op.name == "cross_entropy":
            found[node.operands[1]] = int(shape[-1])
        elif node.op.name == "one_hot":
            found[node.operands[0]] = int(node.attrs["classes"])
    return found


def page_document(graph: Graph, record: Trace, title: str, task: str, lesson: Lesson | None) -> dict[str, Any]:
    """What a page holds: the graph, its feeds and the lines."""
    plan = record.script
    order = {node: i for i, node in enumerate(plan.graph.order())}
    return {
        "title": title,
        "task": task,
        "steps": record.steps,
        "graph": graph_json(plan.graph, lambda name: not name.startswith("line/")),
        "dims": record.dims,
        "feeds": {name: array_json(np.asarray(v)) for name, v in record.arrays.items() if name in _leaves(plan)},
        "loss": order[plan.loss],
        "lossName": LOSS,
        "rate": plan.rate if plan.rate in plan.graph.inputs else None,
        "count": plan.count if plan.count in plan.graph.inputs else None,
        "source": to_json(graph),
        "lines": lines_document(plan),
        "lesson": None if lesson is None else lesson.document(),
    }


def lines_document(plan: Script) -> dict[str, list[dict[str, Any]]]:
    """The lines of a script by phase. What is usual is left out, and what follows from others: a rule that is the sum
    of its parts', the symbol of a gradient. A symbol that has a line stands in a rule as the line's number."""
    order = {node: i for i, node in enumerate(plan.graph.order())}
    number = {line.symbol: i for i, line in enumerate(plan.lines)}

    def rule(marked: str) -> list[str | int]:
        pieces = re.split(f"({OPEN}[^{CLOSE}]*{CLOSE})", marked)
        return [number.get(bare(p), p) if p.startswith(OPEN) else p for p in pieces if p]

    def through(part: Part) -> str | int:
        return number.get(part.through, part.through)

    def said(line: Line) -> dict[str, Any]:
        follows = bool(line.parts) and line.marked == added(p.marked for p in line.parts)
        own = {
            "symbol": "" if line.symbol == f"∂L/∂{line.of}" else line.symbol,
            "rule": [] if follows else rule(line.marked),
            "step": list(line.step), "brick": line.brick, "inside": line.inside,
            "kind": "" if line.kind == "value" else line.kind,
            "fed": line.node.name if line.phase == "given" else None,
            "parts": [{"through": through(p), "rule": rule(p.marked), "node": order[p.node]} for p in line.parts],
        }  # fmt: skip
        of = {"of": number[line.of]} if line.of else {}
        return {"node": order[line.node], **of, **{key: value for key, value in own.items() if value}}

    return {phase: [said(line) for line in plan.lines if line.phase == phase] for phase in PHASES}


def _leaves(plan: Script) -> set[str]:
    return {*plan.graph.inputs, *plan.graph.params, *plan.graph.draws}


def page_html(document: Mapping[str, Any], figures: Iterable[str], rows: Mapping[str, str]) -> str:
    """The whole file. figures: as SVG, in which the writer escapes what a user named."""
    own = "".join(
        f"interpreter.ROWS[{script_json(n)}] = interpreter.elementwise((a, b, c) => {t});\n" for n, t in rows.items()
    )
    parts = {
        "title": html.escape(str(document["title"])),
        "style": script("style.css"),
        "figures": "\n".join(f'<template class="drawn">{svg}</template>' for svg in figures),
        "document": script_json(document),
        "scripts": "\n".join(script(name) + (own if name == "interpret.js" else "") for name in SCRIPTS),
    }
    return re.sub(r"\[\[(\w+)\]\]", lambda place: parts[place[1]], script("page.html"))
