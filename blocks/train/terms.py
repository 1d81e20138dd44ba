"""What a loss counts: a loss is an expression over *terms*, each a mean, sum or maximum over named dimensions.

        loss = cross_entropy(y, target, mask) + 0.1 * mean(h * h) + 0.01 * sum(W * W)
               ╰──── Σ w x / Σ w ───────────╯         ╰─ Σ x / n ╯   no term: it counts no data

The loss of data that comes in pieces (batches, chunks of steps) is the same expression over the terms of
all pieces together: every piece gives each term's value and its count, those are added up, and the rest of
the expression is computed once, at the end. So it does not depend on how the data was cut.

Data is cut along two dimensions. A term takes the *batch* away. Where a sequence is cut into chunks too, a
term that takes the batch and the steps away at once (a mean over all steps) is added up over the chunks;
what takes only the steps away (a last state) is added up over the chunks of a sequence, and the term is
computed at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import BlocksError, made
from ..graph import Graph, Node, Op, topological
from ..ops.leaves import make_input
from ..ops.linear import matmul_op, outer
from ..ops.loop import FINAL, loop_op, pick_op
from ..ops.masks import last_op, weighted_mean, weighted_sum
from ..ops.norm import layernorm, rmsnorm
from ..ops.shape import broadcast, log_softmax, max_, mean, reshape, size, slice_, softmax, sum_
from .trials import each

BATCH = "batch"
Arrays = dict[str, np.ndarray]

# How the values of pieces become one: each takes the term so far (None at first), its count, and the same of a piece.
Joint = tuple[Any, Any]


def _add(a: Joint, b: Joint) -> Joint:
    return a[0] + b[0], a[1] + b[1]


def _average(a: Joint, b: Joint) -> Joint:
    count = a[1] + b[1]
    if (isinstance(a[0], float) and isinstance(count, float)) or np.ndim(a[0]) == np.ndim(count) == 0:
        if a[1] == 0 or b[1] == 0:
            return b[0] if a[1] == 0 else a[0], count
        return (a[0] * a[1] + b[0] * b[1]) / (count or np.float64(0)), count  # NumPy divides by 0
    behind = (1,) * (np.ndim(a[0]) - np.ndim(count))
    of_a, of_b, of_both = (np.reshape(c, np.shape(c) + behind) for c in (a[1], b[1], count))
    with np.errstate(invalid="ignore"):
        value = (a[0] * of_a + b[0] * of_b) / np.where(of_both == 0, 1.0, of_both)
    if np.all(a[1]) and np.all(b[1]):
        return value, count
    # the value of a piece in which nothing counts says nothing
    return each(np.equal(a[1], 0), b[0], each(np.equal(b[1], 0), a[0], value)), count


JOIN: dict[str, Callable[[Joint, Joint], Joint]] = {
    "average": _average,
    "add": _add,
    "largest": lambda a, b: (np.maximum(a[0], b[0]), a[1] + b[1]),
    "first": lambda a, b: a,
    "last": lambda a, b: b,
    "latest": lambda a, b: (np.where(b[1] != 0, b[0], a[0]), a[1] + b[1]),  # of each sequence that has a step
}


def _ends(node: Node) -> str | None:
    start, stop = node.attrs["start"], node.attrs["stop"]
    return "first" if (start, stop) == (0, 1) else "last" if (start, stop) == (-1, None) else None


# What takes a dimension away → how the values of its pieces are joined. Whatever stands in no row cannot be cut.
RULES: dict[Op, Callable[[Node], str | None]] = {
    mean: lambda node: "average",
    weighted_mean: lambda node: "average",
    sum_: lambda node: "add",
    weighted_sum: lambda node: "add",
    outer: lambda node: "add",
    matmul_op: lambda node: "add",
    max_: lambda node: "largest",
    pick_op: lambda node: "last" if node.attrs["output"].startswith(FINAL) else None,
    slice_: _ends,
    last_op: lambda node: "latest",
}
ALONG = (softmax, log_softmax, layernorm, rmsnorm)  # each number of the result needs all along an axis


def count_of(node: Node) -> Node:
    """What a term counts, as a wire: the sum of its weights, or the number of values that it is a mean of; of last
    steps, for each value the steps that its sequence has."""
    x = node.operands[0]
    if node.op in (weighted_mean, weighted_sum):
        return sum_(broadcast(node.operands[1], shape=x.shape))
    if node.op is last_op:
        mask = node.operands[1]
        spread = reshape(mask, shape=(*mask.shape, *(1,) * (len(x.shape) - len(mask.shape))))
        return sum_(broadcast(spread, shape=x.shape), axis=0)
    return size(tuple(x.shape[i] for i in node.attrs["axis"])) if node.op is mean else size(())


def extent(order: Iterable[Node], dim: str) -> set[Node]:
    """The nodes that have a dimension; a loop has those of its operands."""
    found: set[Node] = set()
    for node in order:
        if dim in node.shape or (node.dtype == "loop" and any(o in found for o in node.operands)):
            found.add(node)
    return found


def terms_of(outputs: Mapping[str, Node], dim: str) -> list[Node]:
    """The nodes that take a dimension away, on the way to the outputs; none stands behind another. Their order is that
    of the expression, read from left to right: a gradient has made some of its nodes anew, but keeps it."""
    inside = extent(topological(outputs.values()), dim)
    found: list[Node] = []
    seen: set[Node] = set()
    pending = list(outputs.values())[::-1]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node not in inside and any(o in inside for o in node.operands):
            found.append(node)
        else:
            pending.extend(reversed(node.operands))
    return found


def check_causal(graph: Graph, time: str) -> None:
    """Raises BlocksError, naming the node, where a step needs what comes after it: such a graph cannot run in
    chunks of steps."""
    inside = extent(graph.order(), time)
    behind: set[Node] = set()  # needs whole sequences
    for node in graph.order():
        after = any(o in behind for o in node.operands)
        along = node.op in ALONG and node.shape[node.attrs["axis"]] == time
        if node in inside and (after or along):
            raise BlocksError(f"{made(node)} needs whole sequences over {time!r}; it cannot run in chunks of steps")
        if after or (node not in inside and any(o in inside for o in node.operands)):
            behind.add(node)


def looks_back_only(graph: Graph) -> bool:
    """Whether each output has a value for each step that no later step has a part in."""
    times = {d for shape in graph.inputs.values() for d in shape if isinstance(d, str) and d != BATCH}
    if len(times) != 1 or any(n.op is loop_op and n.attrs["reverse"] for n in graph.order()):
        return False
    (time,) = times
    try:
        check_causal(graph, time)
    except BlocksError:
        return False
    return all(time in n.shape for k, n in graph.outputs.items() if not k.startswith(FINAL))


class Terms:
    """The terms of some numbers, a loss say, and the graphs that give them.

    `pieces` is run on every piece of data: ``value/<i>`` and ``count/<i>`` of each term, and the parts of
    those that need a sequence's end, all behind a `prefix`. `ends`, where there are such terms, is run at the end of
    the chunks of a batch. `rest` is the numbers over the terms ``term/<i>``. `time` is the dimension that is cut into
    chunks, or None.

    Raises BlocksError, naming the node, for what cannot be cut.
    """

    def __init__(self, numbers: Mapping[str, Node], time: str | None = None, prefix: str = ""):
        terms = terms_of(numbers, BATCH)
        self.prefix = prefix
        self.joins = [_join(term, BATCH) for term in terms]
        at_end = [t for t in terms if time is not None and not any(time in o.shape for o in t.operands)]
        pieces = {f"{prefix}{k}/{i}": n for i, t in enumerate(terms) if t not in at_end for k, n in _given(t)}
        self.parts: list[str | None] = []
        self.ends: Graph | None = None
        if at_end and time is not None:
            outputs = {f"{prefix}{k}/{i}": n for i, t in enumerate(terms) if t in at_end for k, n in _given(t)}
            parts = terms_of(outputs, time)
            self.parts = [_join(part, time) for part in parts]
            pieces |= {f"{prefix}part/{k}/{i}": n for i, t in enumerate(parts) for k, n in _given(t)}
            fed = {t: make_input(f"part/{i}", t.shape, t.dtype, role="input") for i, t in enumerate(parts)}
            self.ends = Graph(outputs).substitute(fed)
        self.pieces = pieces
        fed = {t: make_input(f"term/{i}", t.shape, t.dtype, role="input") for i, t in enumerate(terms)}
        self.rest = Graph(numbers).substitute(fed) if numbers else None
        self.nodes = terms
        if time is not None and self.rest and any(time in n.shape for n in self.rest.order()):
            named = ", ".join(numbers)
            raise BlocksError(f"the {named} needs whole sequences over {time!r}; it cannot be taken in chunks of steps")

    def pieces_fit(self, several: bool) -> None:
        """Raises BlocksError, naming the node, if a term cannot be put together from several batches."""
        for node, join in zip(self.nodes, self.joins, strict=True):
            if several and join is None:
                raise BlocksError(f"{made(node)} takes the batch away in one piece: evaluate with one batch")


class Tally:
    """The numbers of some terms over all pieces of data that are added to it. `run` computes a graph once."""

    def __init__(self, terms: Terms, run: Callable[[Graph, Mapping[str, Any]], Arrays]):
        self.terms, self.run = terms, run
        self.totals = Totals(terms.joins, terms.prefix)
        self.parts = Totals(terms.parts, f"{terms.prefix}part/")

    def add(self, results: Mapping[str, Any], feeds: Mapping[str, Any], last: bool) -> None:
        """The results of one piece more, of what it was fed; `last`: whether it is the last one of its sequences."""
        self.totals.add(results)
        self.parts.add(results)
        if last and self.terms.ends is not None:
            self.totals.add(self.run(self.terms.ends, {**feeds, **self.parts.feeds("part")}))
            self.parts = Totals(self.terms.parts, f"{self.terms.prefix}part/")

    def numbers(self, fixed: Mapping[str, Any]) -> Arrays:
        """The numbers, given what is fed that has no batch."""
        return numbers_of(self.terms, self.totals, fixed, self.run)


def numbers_of(
    terms: Terms, totals: Totals, fixed: Mapping[str, Any], run: Callable[[Graph, Mapping[str, Any]], Arrays]
) -> Arrays:
    """The numbers of some terms, given their totals; `run` computes a graph once."""
    return {} if terms.rest is None else run(terms.rest, {**fixed, **totals.feeds("term")})


def _given(term: Node) -> list[tuple[str, Node]]:
    return [("value", term), ("count", count_of(term))]


def _join(term: Node, dim: str) -> str | None:
    how = RULES[term.op](term) if term.op in RULES and (dim != BATCH or term.op is not pick_op) else None
    if how is None and dim != BATCH:
        raise BlocksError(f"{made(term)} needs whole sequences over {dim!r}; it cannot be taken in chunks of steps")
    return how


class Totals:
    """The terms of all pieces so far, joined; in double precision. Of several trials, each has its own."""

    def __init__(self, joins: list[str | None], prefix: str = ""):
        self.joins, self.prefix = joins, prefix
        self.known: dict[int, Joint] = {}
        self.begun: dict[int, Any] = {}  # whether a term has a piece yet

    def add(self, results: Mapping[str, Any], counts: Any = True) -> None:
        """One piece more: its ``value/<i>`` and ``count/<i>``; terms that it does not have stay. `counts`: whether it
        is one, or of which of several trials."""
        for i, join in enumerate(self.joins):
            if (name := f"{self.prefix}value/{i}") not in results:
                continue
            value = np.asarray(results[name])
            if counts is True and not value.ndim:  # one number: as below, in a tenth of the time
                one = float(value), float(results[f"{self.prefix}count/{i}"])
                self.known[i] = JOIN[join or "last"](self.known[i], one) if self.begun.get(i) else one
                self.begun[i] = True
                continue
            value = value.astype(np.float64) if value.dtype.kind == "f" else value.copy()
            if i in self.known and np.shape(self.known[i][0]) != value.shape:
                raise BlocksError("this loss takes means at each step; evaluate sequences of one length, or one batch")
            piece = (value, np.asarray(results[f"{self.prefix}count/{i}"], np.float64))
            before = self.known.get(i, piece)
            begun = self.begun.get(i, np.zeros(piece[1].shape, bool))
            after = JOIN[join or "last"](before, piece)
            if not np.all(begun & counts):
                joined = zip(after, piece, before, strict=True)
                now, count = (each(counts, each(begun, new, first), old) for new, first, old in joined)
                after = now, count
            self.known[i], self.begun[i] = after, begun | counts

    def nothing(self) -> bool:
        """Whether all that there is to count was masked."""
        return bool(self.known) and all(not np.any(count) for _, count in self.known.values())

    def arrays(self, name: str) -> Arrays:
        """All that is known, to be kept in a file; see `restore`."""
        pairs = {f"{name}value/{i}": np.asarray(v) for i, (v, _) in self.known.items()}
        pairs |= {f"{name}count/{i}": np.asarray(c, np.float64) for i, (_, c) in self.known.items()}
        return pairs | {f"{name}begun/{i}": np.asarray(b) for i, b in self.begun.items()}

    def restore(self, arrays: Mapping[str, np.ndarray], name: str) -> None:
        """What `arrays` gave."""
        for key in (k for k in arrays if k.startswith(name + "value/")):
            i = int(key[len(name) + 6 :])
            self.known[i] = (arrays[key], arrays[f"{name}count/{i}"])
            self.begun[i] = arrays[f"{name}begun/{i}"]

    def feeds(self, name: str) -> Arrays:
        """The joined values, as ``<name>/<i>``."""
        return {f"{name}/{i}": value for i, (value, _) in self.known.items()}
