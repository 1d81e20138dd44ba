"""Cells made of cells."""

from __future__ import annotations

from collections.abc import Mapping

from .cell import Cell
from .errors import WiringError, nearest, user_line
from .graph import Node, substitute
from .ops.random import check_rate, make_draw


def zoneout(cell: Cell, rate: float | Mapping[str, float]) -> Cell:
    """The cell, whose states keep their old value with a probability, drawn for each number at each step (Krueger et
    al. 2017, "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations", section 3):

        h = d ⊙ h' + (1 − d) ⊙ (what the cell makes of it),   d ∼ bernoulli(rate)

    Args:
        cell: a `Cell`.
        rate: one for all states, or a dict by state, ``{"C": 0.5, "h": 0.05}``; states that it does not name are as
            they were.

    What the cell gives, it makes of the states that are kept; but one next value of another next value, as it is (h of
    the new C in an LSTM). Of several layers, each is wrapped by itself.

    Where nothing is drawn (`predict`, `evaluate`) a state is the mix of both, ``rate ⊙ h' + (1 − rate) ⊙ …``. The draw
    of a state ``h`` is called ``zoneout.h``. The new cell has the inputs, states, outputs and weights of the first.

    Raises WiringError for a rate that is not from 0 up to 1, a state that the cell does not have, or one of integers.
    """
    if not isinstance(cell, Cell):
        raise WiringError(f"zoneout is of a Cell, not of a {type(cell).__name__}; call the cell function first")
    rates = rate if isinstance(rate, Mapping) else dict.fromkeys(cell.states, rate)
    full = {name: name if name in cell.states else _whole_name(cell, name) for name in rates}
    checked = {full[name]: check_rate("zoneout", value) for name, value in rates.items()}
    fed = cell.graph.fed("input")
    states = {s: cell.port(s, "state") for s in cell.states}
    outputs, after = cell.step({name: fed[name] for name in cell.inputs}, states)
    mixed = {s: _mixed(cell, s, states[s], after[s], checked[s]) for s in cell.states if checked.get(s)}
    following = {states[s]: mixed.get(s, after[s]) for s in cell.states}
    kept = {after[s]: node for s, node in reversed(mixed.items()) if after[s].operands}  # no old value, no number
    return Cell(states=following, outputs=substitute(outputs, kept))


def _mixed(cell: Cell, name: str, old: Node, new: Node, rate: float) -> Node:
    """A state that is its old value with the probability `rate`, and else its new one."""
    if new.dtype != "float":
        raise WiringError(
            f"zoneout of {cell}: the state {name!r} is {new.dtype}, of which there is no mix [{user_line()}]"
        )
    scope, slash, short = name.rpartition("/")
    keep = make_draw(f"{scope}{slash}zoneout.{short}", "bernoulli", (rate,), new.shape, named=False)
    return keep * old + (1.0 - keep) * new


def _whole_name(cell: Cell, name: str) -> str:
    """The name of a state of a named cell. Raises WiringError if there is none."""
    found = [s for s in cell.states if s.rsplit("/", 1)[-1] == name]
    if len(found) != 1:
        known = ", ".join(cell.states) or "none"
        raise WiringError(
            f"{cell} has no state {name!r}{nearest(str(name), cell.states)}; it has {known} [{user_line()}]"
        )
    return found[0]
