"""The record of one update: every value, gradient and new weight, with its rule and what it is the sum of."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BlocksError, nearest
from ..graph import Graph
from ..interpret import Run, execute
from .feeds import feeds_of_figure
from .script import PHASES, Script

if TYPE_CHECKING:
    from ..train.plot import Plot

FORMAT, VERSION = "blocks-trace", 1
FEW = 6  # numbers of a value that a table writes out


@dataclass(frozen=True)
class Contribution:
    """A part of a gradient: what comes back through one value (`through`), by its rule."""

    through: str
    rule: str
    value: np.ndarray


@dataclass(frozen=True)
class Entry:
    """One value of the record.

    phase: "given" (weights, inputs, first states), "forward", "loss", "backward" or "update". symbol: ``C(1)``,
    ``∂L/∂C(1)``, ``new forget.W_x``. rule: what it is computed from. value: the array. step: at which steps, from 1, of
    loops inside of loops several. brick: whose it is. of: for a gradient and an update the symbol of what it belongs
    to. inside: whether it stays in its brick. base: its name without the step. kind: "weight", "input", "brick",
    "loss", "sequence" (all steps of a value) or "value", a state say. contributions: for a gradient, what it is the sum
    of.
    """

    phase: str
    symbol: str
    rule: str
    value: np.ndarray
    step: tuple[int, ...] = ()
    brick: str | None = None
    of: str = ""
    inside: bool = False
    base: str = ""
    kind: str = "value"
    contributions: tuple[Contribution, ...] = ()


class Trace:
    """What happened in one update, in order: iterate over its entries, or ask for a value by its symbol.

        trace["C(1)"]                   a value
        trace["∂L/∂C(1)"]               a gradient; also trace.gradient("C", 1)
        trace.entry("∂L/∂forget.W_h").contributions

    Attributes: entries; steps, their number; loss, the number that is minimised; script, the lines without numbers, and
    the graph that makes them; feeds, what it was given; arrays, all that the graph is fed; dims, the
    sizes of its named dimensions.
    """

    def __init__(self, script: Script, feeds: Mapping[str, Any], arrays: Mapping[str, np.ndarray], context: Run):
        self.script, self.feeds, self.steps = script, feeds, script.steps
        self.dims = dict(context.dims)
        self.arrays = {**script.settings(context), **arrays}
        values: dict[Any, np.ndarray] = {}

        def watch(node: Any, value: Any, steps: tuple[int, ...]) -> None:
            values[node] = np.asarray(value)

        context.watch = watch
        with np.errstate(all="ignore"):
            execute(script.graph, self.arrays, context)
        self.entries: tuple[Entry, ...] = tuple(
            Entry(
                line.phase, line.symbol, line.rule, values[line.node], line.step, line.brick, line.of, line.inside,
                line.base, line.kind, tuple(Contribution(p.through, p.rule, values[p.node]) for p in line.parts),
            )
            for line in script.lines
        )  # fmt: skip
        self.loss = float(values[script.loss])
        self._by_symbol = {entry.symbol: entry for entry in self.entries}
        for line, entry in zip(script.lines, self.entries, strict=True):
            if line.phase == "given":  # a first state, ``h(0)``, is fed as h
                self._by_symbol.setdefault(str(line.node.name), entry)

    def entry(self, symbol: str) -> Entry:
        """The entry of that symbol. Raises BlocksError, with the nearest one, if there is none."""
        if symbol not in self._by_symbol:
            raise BlocksError(f"the trace has no {symbol!r}{nearest(symbol, self._by_symbol)}")
        return self._by_symbol[symbol]

    def __getitem__(self, symbol: str) -> np.ndarray:
        return self.entry(symbol).value

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._by_symbol

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def gradient(self, name: str, step: int | None = None) -> np.ndarray:
        """The gradient of a value: by its symbol, ``"C(1)"``, or by its name and the step, ``"C", 1``; zeros, where the
        loss does not depend on it. Raises BlocksError for a value that there is not, or that has no gradient."""
        symbol = name if step is None else f"{name}({step})"
        if symbol in self.arrays and symbol not in self:  # fed, and used by nothing that the outputs need
            return np.zeros_like(self.arrays[symbol])
        value = self.entry(symbol)
        symbol = value.symbol
        if value.phase in ("backward", "update"):
            raise BlocksError(f"{symbol!r} is a gradient or an update itself; ask for that of {value.of!r}")
        if value.value.dtype.kind != "f":
            raise BlocksError(f"{symbol!r} is {value.value.dtype}; only floating-point numbers have a gradient")
        for entry in self.entries:
            if entry.phase == "backward" and entry.of == symbol:
                return entry.value
        return np.zeros_like(value.value)

    def feeds_of(self, cell: Graph, gradient: bool = False) -> dict[str, np.ndarray]:
        """What a figure of the cell is fed so that it shows this trace, as ``draw(values=trace)`` does: weights, inputs
        with the steps first, first states; with `gradient`, what comes in at the outputs. Raises BlocksError for a
        trace of something else."""
        return feeds_of_figure(self, cell, gradient)

    def norms(self, names: Sequence[str] | None = None) -> Norms:
        """How large the gradient of each brick and state is at each step, ‖∂L/∂h(t)‖, over all examples.

        names: which, by their names; by default all that have a name, but what is inside of a brick. Raises BlocksError
        for a name without a gradient.
        """
        found: dict[str, dict[int, float]] = {}
        for e in self.entries:
            wanted = names is not None or (e.kind in ("brick", "value") and not e.inside)
            if e.phase == "backward" and len(e.step) == 1 and e.base and wanted:
                found.setdefault(e.base, {})[e.step[0]] = float(np.linalg.norm(e.value))
        for name in names or ():
            if name not in found:
                raise BlocksError(f"there is no gradient of {name!r} at single steps{nearest(name, found)}")
        rows = list(found) if names is None else list(names)
        table = [[found[name].get(t, math.nan) for t in range(1, self.steps + 1)] for name in rows]
        return Norms(tuple(rows), np.array(table).reshape(len(rows), self.steps))

    def plot(self, names: Sequence[str] | None = None, path: str | os.PathLike[str] | None = None) -> Plot:
        """A heat map of `norms`, by order of magnitude; written to `path` too, if given."""
        figure = self.norms(names).plot()
        if path is not None:
            figure.savefig(os.fspath(path))
        return figure

    def table(self, inside: bool = False) -> Table:
        """All entries as a table that shows itself, in a notebook too; with `inside`, also what stays in its brick."""
        return Table(tuple(e for e in self.entries if inside or not e.inside))

    def to_json(self) -> str:
        """The record as JSON: ``{"format", "version", "steps", "loss", "entries": [...]}``; numbers that are not finite
        are the texts "nan", "inf" and "-inf"."""
        entries = [
            {
                "phase": e.phase, "symbol": e.symbol, "rule": e.rule, "step": e.step, "brick": e.brick, "of": e.of,
                "inside": e.inside, "shape": e.value.shape, "value": _plain(e.value),
                "contributions": [
                    {"through": c.through, "rule": c.rule, "value": _plain(c.value)} for c in e.contributions
                ],
            }
            for e in self.entries
        ]  # fmt: skip
        head = {"format": FORMAT, "version": VERSION, "steps": self.steps, "loss": _plain(np.array(self.loss))}
        return json.dumps({**head, "entries": entries}, ensure_ascii=False)

    def to_csv(self) -> str:
        """The record as CSV, one line a number: phase, symbol, step, brick, rule, through, index, value. The parts of a
        gradient follow it, with what they come back `through`."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["phase", "symbol", "step", "brick", "rule", "through", "index", "value"])
        for e in self.entries:
            start = [e.phase, e.symbol, " ".join(map(str, e.step)), e.brick or ""]
            parts = [(c.rule, c.through, c.value) for c in e.contributions]
            for rule, through, value in [(e.rule, "", e.value), *parts]:
                for index in np.ndindex(value.shape):
                    writer.writerow([*start, rule, through, " ".join(map(str, index)), repr(value[index].item())])
        return out.getvalue()

    def __repr__(self) -> str:
        return f"<Trace of {self.steps} steps, {len(self.entries)} values, loss {self.loss:.6g}>"


@dataclass(frozen=True)
class Norms:
    """Norms of gradients: `values` has a row for each name and a column for each step; NaN where there is none."""

    names: tuple[str, ...]
    values: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.names:
            raise BlocksError(f"there is no row {name!r}{nearest(name, self.names)}")
        return np.asarray(self.values[self.names.index(name)])

    def plot(self) -> Plot:
        """A heat map, by order of magnitude."""
        from ..train.plot import Plot  # isort: skip (it says what is missing)
        from matplotlib.colors import LogNorm

        rows, steps = self.values.shape
        figure = Plot(figsize=(1.8 + 0.32 * max(steps, 6), 1.2 + 0.3 * max(rows, 2)), layout="constrained")
        ax = figure.subplots()
        shown = np.where(self.values > 0, self.values, np.nan)
        known = shown[np.isfinite(shown)]
        low, high = (known.min(), known.max()) if known.size else (0.1, 1.0)
        low, high = (low / 2, high * 2) if low == high else (low, high)
        image = ax.imshow(shown, aspect="auto", cmap="viridis", norm=LogNorm(low, high), interpolation="nearest")
        ax.set_yticks(range(rows), self.names)
        marked = range(0, steps, max(1, steps // 10))
        ax.set_xticks(list(marked), [str(t + 1) for t in marked])
        ax.set_xlabel("step")
        ax.set_facecolor("lightgrey")
        ax.set_title("norm of the gradient (grey: 0, or none)")
        figure.colorbar(image, ax=ax)
        return figure

    def __repr__(self) -> str:
        width = max(map(len, self.names), default=0)
        rows = [
            f"{name:<{width}}  " + " ".join("        –" if math.isnan(v) else f"{v:9.2e}" for v in row)
            for name, row in zip(self.names, self.values, strict=True)
        ]
        return "\n".join(rows)


@dataclass(frozen=True)
class Table:
    """Entries as a table."""

    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        lines: list[str] = []
        for phase in PHASES:
            own = [e for e in self.entries if e.phase == phase]
            if own:
                lines += [*([""] if lines else []), phase]
                width = max(len(e.symbol) for e in own)
                for e in own:
                    rule = f" = {e.rule}" if e.rule and e.rule != e.symbol else ""
                    lines.append(f"  {e.symbol:<{width}} = {shown(e.value)}{'   ' + rule if rule else ''}")
                    if len(e.contributions) > 1:
                        lines += [f"    {shown(c.value)}  through {c.through}: {c.rule}" for c in e.contributions]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        text = html.escape
        rows = []
        for e in self.entries:
            parts = "".join(
                f"<br><small>{text(shown(c.value))} through {text(c.through)}: {text(c.rule)}</small>"
                for c in (e.contributions if len(e.contributions) > 1 else ())
            )
            rule = text(e.rule if e.rule != e.symbol else "")
            rows.append(
                f"<tr><td>{e.phase}</td><td>{text(e.symbol)}</td><td style='text-align:left'>{rule}{parts}</td>"
                f"<td style='text-align:left'>{text(shown(e.value))}</td></tr>"
            )
        head = "<tr><th>phase</th><th>symbol</th><th>rule</th><th>value</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def shown(value: np.ndarray) -> str:
    """A value in a few words: its numbers, or its shape and size."""
    if value.size <= FEW:
        numbers = ", ".join(f"{v:.4g}" if value.dtype.kind == "f" else str(v) for v in value.ravel())
        return (f"[{numbers}]" if value.ndim else numbers).replace("-", "−")
    size = f"{np.linalg.norm(value.astype(float)):.4g}"
    return f"{'×'.join(map(str, value.shape))} numbers, norm {size}"


def _plain(value: np.ndarray) -> Any:
    """An array as lists that JSON holds."""
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        texts = [v if math.isfinite(v) else str(v) for v in value.ravel().tolist()]
        return np.array(texts, dtype=object).reshape(value.shape).tolist()
    return value.tolist()
