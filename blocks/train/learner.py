"""Learning as a cell: its states are weights, and each of its steps is one update.

           ┌──────────────────────────────────────────────┐
    W ───▶ │ loss(W, x) ─▶ ∂loss/∂W ─▶ the optimizer's rule │ ───▶ W after the update
    slots ▶│     │                                        │ ───▶ slots
           └─────┼────────────────────────────────────────┘
                 ▼
               loss, before the update

So what holds for a cell holds for learning: it is scanned, drawn, compiled, and differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..arguments import checked
from ..cell import Cell, with_states_of_inner_cells
from ..errors import WiringError, fresh_name, made
from ..grad import grad
from ..graph import Graph, Node, Wire, as_node, stamped, substitute, topological
from ..ops.elementwise import split_named
from ..ops.leaves import make_input
from ..ops.shape import concat, reshape
from ..wires import state
from .optimizers import Optimizer, optimizer_named
from .update import check_clip, decays, norm_of, scale_to

LOSS, AFTER, UPDATED = "loss", "after/", "updated/"


@checked
def learner(
    loss: Node,
    optimizer: Optimizer | str,
    states: Mapping[Node, Wire] | None = None,
    outputs: Mapping[str, Node] | None = None,
    clip: float | None = None,
    name: str | None = None,
) -> Cell:
    """A cell of which each step is one update of the weights of a loss:

        x, target = bk.input("x", 3), bk.input("target", 2)
        loss = bk.losses.squared_error(bk.ADD(2)(bk.cells.srn(3, 5)(x)), target)
        learning = bk.learner(loss, bk.SGD(0.1))
        losses = bk.scan(learning, {"x": bk.sequence("x", 3), "target": bk.sequence("target", 2)})

    are updates at every step of a sequence, online, as ``fit(tbptt=1)`` makes them; compiled, they are one loop.

    Args:
        loss: a wire with one number. Its inputs are those of the cell. A sequence of it, ``(time, batch, 3)``, is one
            whole sequence at each update: what is scanned is ``input("x", shape=("update", "time", "batch", 3))``.
        optimizer: an `Optimizer`, or one by name. Its settings may be wires of one number, ``SGD(bk.parameter("lr",
            init=0.1))``: then the gradient of what was learnt goes through them. A schedule is called with the number
            of the update as a wire.
        states: state → its next value: what is carried from update to update besides. A cell that is called in the loss
            brings its own along, as it does inside any cell. No gradient flows from an update to the states before.
        outputs: more wires to give at each update, by name, as they are before it.
        clip: the largest norm of all gradients together.
        name: put in front of the names of weights and states.

    Its states are the weights, under their names, which begin with the parameters themselves: these are trained and fed
    as those of any graph. Then come the optimizer's slots, ``mean/hidden.W_x``, which begin with zeros, and ``step``,
    where the optimizer counts. Its output "loss" is that before the update. `scan` with ``final=True`` gives the
    weights after the last one, and `grad` the gradient by the first ones.

    Raises WiringError for a loss that is no single number, or has no weights; BlocksError for an optimizer that there
    is not, a schedule that takes numbers alone, and a limit that is none.
    """
    if not isinstance(loss, Node) or loss.shape != () or loss.dtype != "float":
        got = made(loss) if isinstance(loss, Node) else type(loss).__name__
        raise WiringError(f"a learner minimises one number, not {got}; take the mean", "learner")
    given = {LOSS: loss, **(outputs or {})}
    pairs = with_states_of_inner_cells({s: as_node(n) for s, n in (states or {}).items()}, given)
    after = {f"{AFTER}{i}": node for i, node in enumerate(pairs.values())}
    parameters = Graph({LOSS: loss}).fed("parameter")
    if not parameters:
        raise WiringError(f"there is nothing to learn: {made(loss)} depends on no weights", "learner")
    rule, limit = optimizer_named(optimizer), check_clip(clip)
    graph = grad(Graph({**given, **after}), of=LOSS, wrt=list(parameters))
    gradients = {n: graph.outputs[f"grad/{n}"] for n in parameters}
    weights = {n: state(n, shape=node.shape, init=node) for n, node in parameters.items()}
    step = state(fresh_name("step", graph.nodes), shape=())
    learnt = _updates(rule, parameters, gradients if limit is None else _clipped(gradients, limit), step)
    inside = {parameters[n]: w for n, w in weights.items()}
    inside |= {n: _one_step_of(n) for n in topological([*graph.outputs.values(), *learnt]) if n.role == "sequence"}
    everything = {**graph.outputs, **{f"{UPDATED}{i}": node for i, node in enumerate(learnt.values())}}
    wires = substitute(everything, inside)
    updated = {inside.get(s, s): wires[f"{UPDATED}{i}"] for i, s in enumerate(learnt)}
    carried = {s: wires[f"{AFTER}{i}"] for i, s in enumerate(pairs)}
    return Cell(states={**updated, **carried}, outputs={k: wires[k] for k in given}, name=name)


def _updates(
    rule: Optimizer, weights: Mapping[str, Node], gradients: Mapping[str, Node], step: Node
) -> dict[Node, Node]:
    """The next value of each weight, of each slot, which is a state, and of the number of the update, where it has a
    part in them."""
    lr, new, slots = rule.rate_at(step), dict[Node, Node](), dict[Node, Node]()
    for name, w in weights.items():
        with stamped(brick=f"{type(rule).__name__} {w.brick or name}", role="update"):
            own = [state(f"{slot}/{name}", shape=w.shape) for slot in rule.slot_names]
            change, after = rule.moved(w, gradients[name], own, lr, step + 1.0, float(decays(name)))
            new[w] = w - change
        slots |= dict(zip(own, after, strict=True))
    new |= slots
    return {**new, step: step + 1.0} if step in topological(new.values()) else new


def _clipped(gradients: Mapping[str, Node], limit: float) -> dict[str, Node]:
    """The gradients scaled down together."""
    with stamped(brick="clip", role="update"):
        scale = scale_to(limit, norm_of(concat(*(_as_row(g) for g in gradients.values()))))
        return {name: g * scale for name, g in gradients.items()}


def _as_row(node: Node) -> Node:
    """All features of a wire in one."""
    named, features = split_named(node.shape)
    return reshape(node, shape=(*named, math.prod(int(d) for d in features)))


def _one_step_of(sequence: Node) -> Node:
    """A sequence of the loss, as what a cell is fed at one step."""
    shape, dtype = sequence.shape, sequence.dtype
    return make_input(str(sequence.name), shape, dtype, role="input", default=sequence.attrs["default"])
