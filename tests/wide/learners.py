"""Random learners: a random network's loss, learnt by a random optimizer over a few updates, each one step of a scan.

So there are loops in loops, gradients in their bodies, and gradients of these.
"""

from __future__ import annotations

import numpy as np

import blocks as bk
from blocks.graph import Node
from blocks.train.optimizers import Optimizer

from .dice import Choices

UPDATES = 2


def optimizer(dice: Choices) -> Optimizer:
    """Any optimizer; its settings are numbers or weights, its rate a number, a weight or a schedule."""

    def setting(name: str, value: float) -> float | Node:
        return bk.parameter(name, init=value) if dice.chance(40) else value

    rate = 0.1 * bk.sigm(bk.parameter("rate", init=0.3)) if dice.chance(50) else dice.pick([0.03, falling])
    kind = dice.pick(["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
    if kind == "sgd":
        return bk.SGD(rate)
    if kind in ("momentum", "nesterov"):
        return bk.SGD(rate, momentum=setting("momentum", 0.7), nesterov=kind == "nesterov")
    if kind == "rmsprop":
        return bk.RMSprop(rate, decay=setting("decay", 0.8), epsilon=0.3)
    if kind == "adam":
        return bk.Adam(rate, setting("beta1", 0.8), epsilon=0.3)
    return bk.AdamW(rate, beta2=setting("beta2", 0.9), epsilon=0.3, decay=setting("decay", 0.1))


def falling(step: Node) -> Node:
    """A schedule of operations."""
    return 0.05 / (1.0 + step)


def learnt(loss: Node, fed: dict[str, np.ndarray], dice: Choices) -> tuple[bk.Graph, dict[str, np.ndarray], set[str]]:
    """A few updates by a loss: their mean loss and what is left of some weights; feeds; and what is new to be fed."""
    cell = bk.learner(loss, optimizer(dice), clip=0.5 if dice.chance(30) else None)
    each = {name for i, name in enumerate(cell.inputs) if i == 0 or dice.chance(60)}
    wires = {
        name: bk.input(name, shape=(*["update"] * (name in each), *node.shape), dtype=node.dtype)
        for name, node in cell.graph.fed("input").items()
        if name in cell.inputs
    }
    losses, last = bk.scan(cell, wires, final=True)
    total = bk.mean(losses)
    for w in dice.some([last[s] for s in cell.firsts], 0, 2):
        total = total + bk.sum(bk.tanh(w)) * 0.3
    graph = bk.Graph({"loss": total, "losses": losses})
    feeds = {name: varied(fed[name]) if name in each else fed[name] for name in wires}
    for name, node in graph.fed("parameter").items():
        feeds[name] = fed[name] if name in fed else np.array(node.attrs["init"], float)
    return graph, {k: v for k, v in feeds.items() if k in graph.nodes}, set(feeds) - set(fed)


def varied(value: np.ndarray) -> np.ndarray:
    """A value for each update: others each time, but for what is whole, or only 0 and 1."""
    whole = value.dtype.kind != "f" or not set(np.unique(value)) - {0.0, 1.0}
    return np.stack([value * (1.0 if whole else 0.7**k) for k in range(UPDATES)]).astype(value.dtype)
