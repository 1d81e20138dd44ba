"""Decoding: a model that says what comes next writes on, step by step, its states carried along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, FeedError, NonFiniteError, nearest
from ..graph import Graph, Node
from .data import Data
from .inputs import Arrays, is_number, is_whole
from .model import Model
from .purposes import FINAL, within
from .terms import check_causal
from .truncated import carried_states


@checked
def generate(
    model: Model,
    prime: Any,
    steps: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    without: Sequence[int] = (),
    output: str | None = None,
    seed: int = 0,
) -> np.ndarray:
    """What a model writes after a beginning: class numbers, ``(batch, steps)``; with trials ``(trials, batch, steps)``.

    The model takes class numbers, one sequence ``(time, batch)`` of dtype "int", and gives at each step a logit of each
    class that may be next, ``(time, batch, classes)``. It reads the beginning at once; each further step is one call of
    the compiled program, with the last states of the one before.

    Args:
        model: any that looks back alone; a mask of its steps is 1.
        prime: the beginning, class numbers ``(batch, time)``, or ``(time,)`` for one sequence.
        steps: how many are written.
        temperature: the logits are divided by it: 1 is as learnt, less is more careful, 0 takes the largest.
        top_k: only the k most likely classes are drawn (Fan et al. 2018).
        top_p: only the most likely ones that have a share p together, and one at least (Holtzman et al. 2020); of what
            `top_k` leaves.
        without: class numbers that are never drawn.
        output: the name of the logits, where the model has several that could be.
        seed: of what is drawn; trial r has the seed + r.

    Raises FeedError for a beginning that does not fit, NonFiniteError for logits that are no numbers, and BlocksError
    for a model that cannot write step by step, and for settings that make no sense.
    """
    if not isinstance(model, Model):
        raise BlocksError(f"generate takes a Model, not a {type(model).__name__}")
    graph = model.graph_for("predict")
    name, logits = _ids_of(graph), _logits_of(model, graph, output)
    classes = int(graph.outputs[logits].shape[-1])
    if not is_whole(steps) or steps < 1:
        raise BlocksError(f"steps is a whole number from 1, not {steps!r}")
    _check(temperature, top_k, top_p, without, classes, seed)
    carried_states(graph, strict=True)
    check_causal(graph, model.time())
    first = np.asarray(prime)
    if not first.size:
        raise FeedError("the beginning is empty: at least one class is read before the first is written")
    data = Data(
        model.inputs_of("predict"), {name: first[None] if first.ndim == 1 else prime, **_ones(graph, name, first)}
    )
    feeds = data.batch(np.arange(data.samples))
    rngs = [np.random.default_rng(seed + r) for r in range(model.trials or 1)]
    written: list[np.ndarray] = []
    for _ in range(int(steps)):
        results = model.results("predict", feeds)
        last = np.moveaxis(results[logits], -3, 0)[-1].astype(np.float64)  # (batch, classes), behind trials
        if not np.isfinite(last).all():
            raise NonFiniteError(f"the logits {logits!r} are not finite at step {len(written)}")
        rows = last.reshape(len(rngs), -1, classes)
        ids = np.stack([_drawn(z, temperature, top_k, top_p, without, rng) for z, rng in zip(rows, rngs, strict=True)])
        written.append(ids[0] if model.trials is None else ids)
        feeds = {**_step_of(graph, feeds), name: np.expand_dims(written[-1], -2), **within(results, FINAL)}
    return np.stack(written, axis=-1)


def _ids_of(graph: Graph) -> str:
    """The input of the class numbers. Raises BlocksError where there is none, or more to feed than that."""
    inputs = graph.fed("input")
    found = [k for k, n in inputs.items() if n.dtype == "int" and _is_steps(n)]
    needed = [k for k, n in inputs.items() if n.attrs["default"] is None and k not in found and not _is_steps(n)]
    if len(found) != 1 or needed:
        raise BlocksError(
            "generate needs a model with one sequence of class numbers, sequence('char', dtype='int'), and no other "
            f"input; this one has {', '.join(n.describe() for n in inputs.values()) or 'none'}"
        )
    return found[0]


def _is_steps(node: Node) -> bool:
    return len(node.shape) == 2 and node.shape[1] == "batch" and isinstance(node.shape[0], str)


def _ones(graph: Graph, name: str, first: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the steps, and all else of their shape: ones."""
    shape = (1, *first.shape) if first.ndim == 1 else first.shape
    others = {k: n for k, n in graph.fed("input").items() if k != name and _is_steps(n)}
    return {k: np.ones(shape, bool if n.dtype == "bool" else np.float64) for k, n in others.items()}


def _step_of(graph: Graph, feeds: Arrays) -> Arrays:
    """One step of what is fed."""
    known = graph.fed("input")
    return {k: v[..., :1, :] if _is_steps(known[k]) else v for k, v in feeds.items()}


def _logits_of(model: Model, graph: Graph, output: str | None) -> str:
    """The output that has the logits. Raises BlocksError where it is not clear which."""
    fit = [k for k in model.outputs if len(graph.outputs[k].shape) == 3 and _is_rows(graph.outputs[k])]
    if output is None and len(fit) == 1:
        return fit[0]
    if output in fit:
        return str(output)
    shown = ", ".join(f"{k} {graph.outputs[k].describe()}" for k in model.outputs)
    if output is None:
        raise BlocksError(
            f"generate needs logits (time, batch, classes): output=NAME of one of these; there are {shown}"
        )
    raise BlocksError(f"there are no logits {output!r} (time, batch, classes){nearest(output, fit)}; there are {shown}")


def _is_rows(node: Node) -> bool:
    return node.shape[1] == "batch" and isinstance(node.shape[2], int) and node.dtype == "float"


def _check(temperature: Any, top_k: Any, top_p: Any, without: Sequence[int], classes: int, seed: Any) -> None:
    if not is_number(temperature) or temperature < 0:
        raise BlocksError(f"the temperature is a number from 0, not {temperature!r}")
    if top_k is not None and (not is_whole(top_k) or not 1 <= top_k <= classes):
        raise BlocksError(f"top_k is a whole number from 1 to the {classes} classes, not {top_k!r}")
    if top_p is not None and not (is_number(top_p) and 0 < top_p <= 1):
        raise BlocksError(f"top_p is a share above 0, and 1 at most, not {top_p!r}")
    wrong = [k for k in without if not is_whole(k) or not 0 <= k < classes]
    if wrong or len(set(without)) == classes:
        what = f"{wrong[0]!r} is none" if wrong else "it leaves none"
        raise BlocksError(f"without= names classes from 0 to {classes - 1}; {what}")
    if not is_whole(seed) or seed < 0:
        raise BlocksError(f"a seed is a whole number from 0, not {seed!r}")


def _drawn(
    logits: np.ndarray,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    without: Sequence[int],
    rng: np.random.Generator,
) -> np.ndarray:
    """A class of each row ``(batch, classes)``."""
    logits = logits.copy()
    logits[:, list(without)] = -np.inf
    order = np.argsort(-logits, axis=-1, kind="stable")  # the most likely first
    if temperature == 0:
        return order[:, 0]
    ranked = np.take_along_axis(logits, order, -1)[:, :top_k]
    p = np.exp((ranked - ranked[:, :1]) / temperature)
    if top_p is not None:
        before = np.cumsum(p, axis=-1) - p  # what the more likely ones have together
        p = np.where(before < top_p * p.sum(axis=-1, keepdims=True), p, 0.0)
    sums = np.cumsum(p, axis=-1)
    u = rng.random((len(logits), 1)) * sums[:, -1:]
    at = np.minimum((sums <= u).sum(axis=-1), (p > 0).sum(axis=-1) - 1)  # u may round up to the sum
    return np.take_along_axis(order, at[:, None], -1)[:, 0]
