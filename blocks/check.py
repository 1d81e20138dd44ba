"""Gradient checks: the symbolic gradient against finite differences, with the wrong node named.

The outputs of a graph are made one number by random weights; its gradient, of first or second order, is
compared with a five-point difference along a random direction in each parameter and input. Where they
differ, every operation of the graph is checked alone, at the values it had, to find the one to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .arguments import checked
from .errors import BlocksError, made
from .grad import grad
from .graph import Graph, Node, check_graph, rebuild
from .interpret import Run, bind, execute
from .ops.elementwise import stop_gradient
from .ops.leaves import constant, make_input
from .ops.random import Draw
from .ops.shape import sum_

ASIDE = 1e-2  # so far from a kink is far enough
Arrays = Mapping[str, np.ndarray]
STEP = 1e-4  # five-point differences: the error of the formula is of order STEP⁴
STEPS = (STEP, STEP / 8, STEP / 64)  # the shorter ones are for what is steep: normalised numbers that hardly differ


class GradientError(BlocksError):
    """A gradient that disagrees with finite differences."""


@checked
def check_grads(
    graph: Graph,
    feeds: Mapping[str, Any],
    order: int = 1,
    wrt: Iterable[str] | None = None,
    tolerance: float = 1e-6,
    seed: int = 0,
    draw: Draw = None,
) -> None:
    """Compare the gradients of a graph with finite differences, in float64.

    `feeds` and `draw` as for `run`; `wrt` are names of feeds, by default every floating-point one. With ``order=2``
    the gradient of the gradient is compared. The tolerance is relative to the larger of 1 and the
    derivative.

    At a kink (relu at 0, a tie of maxima) a function has a slope on each side, and a rule may give any slope between
    them: where it does, the check steps aside, and compares at a point beside the kink. So it does where several
    kinks meet, each operation alone being right: of their sum, the slope need not lie between.

    Raises GradientError naming the operation that is wrong, where it was made, and both numbers.
    """
    if order not in (1, 2):
        raise BlocksError(f"the order of a gradient check is 1 or 2, not {order!r}")
    check_graph(graph, "check_grads")
    if seed < 0:
        raise BlocksError(f"a seed is a whole number from 0, not {seed!r}")
    exact = {name: _float64(value) for name, value in feeds.items()}
    arrays, context = bind(graph, exact, draw)
    leaves = graph.fed("input", "parameter")
    names = [n for n, leaf in leaves.items() if leaf.dtype == "float"] if wrt is None else list(wrt)
    with np.errstate(all="ignore"):  # NaN and infinity are compared, not warned of
        fault = _Check(context, order, tolerance, seed).fault(graph, arrays, names)
        wrong = _find_wrong_node(graph, arrays, _Check(context, 1, tolerance, seed)) if fault else None
        if fault and not wrong:
            fault = _Check(context, order, tolerance, seed, several=True).fault(graph, arrays, names)
    if fault:
        stops = [n for n in graph.order() if n.op is stop_gradient]
        hint = f"; what flows through {made(stops[0])} counts as given" if stops else ""
        raise GradientError(wrong or f"the gradient with respect to {fault}; every operation alone is right{hint}")


def _float64(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


class _Fault(NamedTuple):
    """A derivative that differs; `kink`, if it may be a slope all the same."""

    text: str
    kink: bool


@dataclass(frozen=True)
class _Check:
    """How gradients are compared: in which run, of which order, how closely, and with which random directions; and
    whether several kinks may meet in one point."""

    context: Run
    order: int
    tolerance: float
    seed: int
    several: bool = False

    def fault(self, graph: Graph, arrays: Arrays, names: list[str]) -> str | None:
        """What `compare` finds; at a kink, what it finds beside it."""
        fault = self.compare(graph, arrays, names)
        if fault is None or not fault.kink:
            return fault and fault.text
        rng = np.random.default_rng(self.seed)
        floats = {n: a for n, a in arrays.items() if a.dtype.kind == "f"}
        aside = {n: a + ASIDE * rng.standard_normal(a.shape) for n, a in floats.items()}
        beside = self.compare(graph, {**arrays, **aside}, names)
        return beside and f"{beside.text}, beside a kink"

    def compare(self, graph: Graph, arrays: Arrays, names: list[str]) -> _Fault | None:
        """None, or which derivative differs, and by how much."""
        rng = np.random.default_rng(self.seed)
        scalar, probes = _one_number(graph.outputs, "probe", self.context, rng)
        arrays = {**arrays, **probes}
        for _ in range(self.order - 1):
            gradients = grad(Graph({"number": scalar}), of="number", wrt=_present(scalar, names))
            outputs = {k: v for k, v in gradients.outputs.items() if k != "number"}
            scalar, probes = _one_number(outputs, "second probe", self.context, rng)
            arrays |= probes
        target = Graph({"number": scalar})
        names = _present(scalar, names)
        results = execute(grad(target, of="number", wrt=names), arrays, self.context)
        for name in names:
            direction = rng.standard_normal(arrays[name].shape)

            def along(step: float, name: str = name, direction: np.ndarray = direction) -> float:
                moved = {**arrays, name: arrays[name] + step * direction}
                return float(execute(target, moved, self.context)["number"])

            symbolic = float((results[f"grad/{name}"] * direction).sum())
            for step in STEPS:
                numeric = (8 * (along(step) - along(-step)) - (along(2 * step) - along(-2 * step))) / (12 * step)
                if abs(numeric - symbolic) <= self.tolerance * max(1.0, abs(numeric), abs(symbolic)):
                    break
            else:
                text = f"{name!r} is {symbolic:.9g} by the graph and {numeric:.9g} by finite differences"
                value = lambda moved, name=name: float(execute(target, {**arrays, name: moved}, self.context)["number"])
                return _Fault(text, _may_be_slope(value, arrays[name], results[f"grad/{name}"], self.several))
        return None


def _may_be_slope(value: Callable[[np.ndarray], float], at: np.ndarray, gradient: np.ndarray, several: bool) -> bool:
    """Whether each number of a gradient lies between the slopes on its two sides, or, where `several` kinks meet, has
    two slopes; where the function jumps, it has none to compare with."""
    here = value(at)
    for place in np.ndindex(at.shape):
        unit = np.zeros(at.shape)
        unit[place] = 1.0

        def sides(step: float, unit: np.ndarray = unit) -> tuple[float, float]:
            return (here - value(at - step * unit)) / step, (value(at + step * unit) - here) / step

        low, high = sorted(sides(STEP))
        size = max(1.0, abs(low), abs(high))
        jumps = max(map(abs, sides(STEP / 8))) > 4 * max(1e-3, abs(low), abs(high))
        slack = 10 * STEP * size  # the error of one-sided differences
        between = low - slack <= gradient[place] <= high + slack
        if not between and not jumps and not (several and high - low > 2 * slack):
            return False
    return True


def _present(scalar: Node, names: list[str]) -> list[str]:
    known = Graph({"number": scalar}).nodes
    return [n for n in names if n in known]


def _one_number(
    outputs: Mapping[str, Node], label: str, context: Run, rng: np.random.Generator
) -> tuple[Node, dict[str, np.ndarray]]:
    """Σ random · output, over every floating-point output; and the random numbers, as feeds."""
    total: Node | None = None
    probes: dict[str, np.ndarray] = {}
    for name, output in outputs.items():
        if output.dtype != "float":
            continue
        probe = make_input(f"{label} of {name}", output.shape, "float", role="input")
        probes[f"{label} of {name}"] = rng.standard_normal(context.shape(output.shape))
        term = sum_(output * probe)
        total = term if total is None else total + term
    if total is None:
        raise BlocksError("the graph has no floating-point output to differentiate")
    return total, probes


def _find_wrong_node(graph: Graph, arrays: Arrays, check: _Check) -> str | None:
    values: dict[Node, Any] = {}
    watching = Run(check.context.dims, check.context.dtype, lambda node, value, steps: values.__setitem__(node, value))
    execute(graph, arrays, watching)
    for node, value in list(values.items()):
        if node.op.vjp is None or not isinstance(value, np.ndarray | np.generic):
            continue
        if value.dtype.kind == "f" and not np.isfinite(value).all():  # how much infinity changes is not known
            continue
        varied = {i: o for i, o in enumerate(node.operands) if o.op is not constant}
        leaves = {i: make_input(f"operand {i}", o.shape, o.dtype, role="input") for i, o in varied.items()}
        alone = Graph({"y": rebuild(node, tuple(leaves.get(i, o) for i, o in enumerate(node.operands)))})
        fed = {f"operand {i}": values[o] for i, o in varied.items()}
        floats = [str(leaf.name) for leaf in leaves.values() if leaf.dtype == "float"]
        fault = None if not floats else check.fault(alone, fed, floats)
        if fault:
            where = f", made at {node.where}" if node.where else ""
            return f"the gradient of {node.describe()} ({node.op.name}{where}) is wrong: with respect to {fault}"
    return None
