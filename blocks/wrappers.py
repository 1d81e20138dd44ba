"""Cells made of cells, and two cells over one sequence, one in each direction.

What goes through layers is called by name: the input of a cell is its only one, or of several the one called "x"; its
output the only one, or of several the one called "y".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .arguments import checked
from .cell import Cell
from .errors import WiringError, nearest, user_line
from .graph import Node, Wire, as_node, show_shape, substitute
from .ops.random import check_rate, make_draw
from .ops.shape import concat
from .scan import scan


@checked
def layers(*cells: Cell, name: str | None = None) -> Cell:
    """Cells on top of each other: what each gives at a step is the input of the next at that step.

        encoder = layers(lstm(8, 32), lstm(32, 32), name="encoder")

    Args:
        cells: one or more; a cell without a name is called by its place, ``layer1``, ``layer2``, so its weights are
            ``layer2/forget.W_x``. The same cell twice shares its weights; its states are each layer's own.
        name: put before all names, ``encoder/layer2/forget.W_x``.

    Returns a cell with the inputs of the first cell, the outputs of the last and the states of all. Layers may have
    further inputs: those called alike are one input of all. Other outputs of lower layers than "y" are left out.

    Raises WiringError for what is no cell, for a layer that has several inputs or outputs and none of that name, and
    where the output of a layer does not fit the next.
    """
    if not cells:
        raise WiringError(f"layers are made of one cell or more, not of none [{user_line()}]")
    named = _told_apart("layers", {f"layer{i}": cell for i, cell in enumerate(cells, 1)})
    shared: dict[str, Wire] = {}
    states: dict[Node, Node] = {}
    outputs: dict[str, Node] = {}
    for below, cell in zip((None, *named), named, strict=False):
        through = {} if below is None else {_input_of(cell): outputs[_output_of(below)]}
        outputs, following = _stepped(cell, through, shared)
        states |= following
    return Cell(states=states, outputs=outputs, name=name)


@checked
def residual(cell: Cell) -> Cell:
    """The cell with its input added to its output: y = x + (what the cell makes of it).

    So layers learn what to add to what comes from below (He et al. 2016, "Deep residual learning for image
    recognition", eq. 1; between the layers of a recurrent network, Wu et al. 2016, eq. 6). Of several inputs "x" is
    added, of several outputs to "y". The names of weights and states stay.

    Raises WiringError if input and output are not of one shape, floating-point.
    """
    x, y = _input_of(_cell("residual", cell)), _output_of(cell)
    shared: dict[str, Wire] = {}
    outputs, states = _stepped(cell, {}, shared)
    given, made = as_node(shared[x]), outputs[y]
    if given.shape != made.shape or made.dtype != "float" or given.dtype != "float":
        raise WiringError(
            f"residual of {cell}: its input {x!r} is {show_shape(given.shape)} {given.dtype}, its output {y!r} "
            f"{show_shape(made.shape)} {made.dtype}; a sum needs two of one shape, floating-point [{user_line()}]"
        )
    return _like(cell, states, {**outputs, y: given + made})


@checked
def bidirectional(
    forward: Cell,
    backward: Cell,
    xs: Node | Mapping[str, Node],
    mask: Node | None = None,
    final: bool = False,
    name: str | None = None,
) -> Any:
    """Two cells over one sequence, one from the first step to the last, one from the last to the first, side by side
    (Schuster and Paliwal 1997, "Bidirectional recurrent neural networks").

    Args:
        forward, backward: a `Cell` each; one without a name is called ``forward`` or ``backward``. The same cell twice
            shares its weights.
        xs: ``(time, batch, ...)``, or a dict by input, as for `scan`; both cells get all of it.
        mask: ``(time, batch)``, as for `scan`: the backward cell begins at each sequence's own last step.
        final: give the last states of both too; of the backward cell, those at the first step.
        name: put before all names, ``layer1/forward/forget.W_x``.

    Returns the outputs of both at each step, joined along the features, ``(time, batch, m + n)``: a wire, or a dict
    where the cells name several; with `final`, a pair of that and the dict of last states, ``"forward/h"`` and so on.

    Raises WiringError for cells that do not name the same outputs, and for what `scan` refuses.
    """
    pair = _told_apart("bidirectional", {"forward": forward, "backward": backward})
    ahead, back = pair if name is None else [_renamed(cell, name) for cell in pair]
    if set(ahead.outputs) != set(back.outputs):
        raise WiringError(
            f"bidirectional: {ahead} gives {', '.join(ahead.outputs)}, {back} gives {', '.join(back.outputs)}; "
            f"outputs of one name are joined [{user_line()}]"
        )
    for cell in (ahead, back):
        for key in cell.outputs:
            shape = cell.graph.outputs[key].shape
            if not shape or isinstance(shape[-1], str):
                raise WiringError(
                    f"bidirectional: the output {key!r} of {cell} is {show_shape(shape)}; it has no features along "
                    f"which both directions are joined [{user_line()}]"
                )
    ys, ends = scan(ahead, xs, mask=mask, final=True)
    zs, beginnings = scan(back, xs, mask=mask, final=True, reverse=True)
    joined = {key: concat(ys[key], zs[key]) for key in ys} if isinstance(ys, dict) else concat(ys, zs)
    return (joined, {**ends, **beginnings}) if final else joined


@checked
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
    rates = rate if isinstance(rate, Mapping) else dict.fromkeys(_cell("zoneout", cell).states, rate)
    full = {name: name if name in cell.states else _whole_name(cell, name) for name in rates}
    checked = {full[name]: check_rate("zoneout", value) for name, value in rates.items()}
    outputs, after = _stepped(cell, {}, {})
    olds = {str(old.name): old for old in after}
    mixed = {s: _mixed(cell, s, old, after[old], checked[s]) for s, old in olds.items() if checked.get(s)}
    following = {old: mixed.get(s, after[old]) for s, old in olds.items()}
    kept = {after[olds[s]]: node for s, node in reversed(mixed.items()) if after[olds[s]].operands}  # no number
    return _like(cell, following, substitute(outputs, kept))


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


# --- what all have in common ---------------------------------------------------------------------


def _cell(what: str, cell: Cell) -> Cell:
    if not isinstance(cell, Cell):
        raise WiringError(
            f"{what}: {cell!r:.60} is a {type(cell).__name__}, not a Cell; a cell function must be called first "
            f"[{user_line()}]"
        )
    return cell


def _stepped(
    cell: Cell, through: Mapping[str, Wire], shared: dict[str, Wire]
) -> tuple[dict[str, Node], dict[Node, Node]]:
    """A step of a cell inside of another: its outputs, and its states with their next values. Inputs that are not
    handed `through` are those of the cell around it, `shared` by name."""
    fed = cell.graph.fed("input")
    inputs = {name: through[name] if name in through else shared.setdefault(name, fed[name]) for name in cell.inputs}
    states = {s: cell.port(s, "state") for s in cell.states}
    outputs, after = cell.step(inputs, states)
    return outputs, {old: after[s] for s, old in states.items()}


def _told_apart(what: str, cells: Mapping[str, Cell]) -> list[Cell]:
    """The cells, each under a name of its own: by its place, where it has none or one that another has too."""
    names = [_cell(what, cell).name for cell in cells.values()]
    own = [name for name in names if name is not None and names.count(name) == 1]
    return [cell if cell.name in own else _renamed(cell, place) for place, cell in cells.items()]


def _renamed(cell: Cell, name: str) -> Cell:
    """The cell under a name, which stands before those that it has."""
    outputs, states = _stepped(cell, {}, {})
    return Cell(states=states, outputs=outputs, name=name)


def _like(cell: Cell, states: dict[Node, Node], outputs: dict[str, Node]) -> Cell:
    """A cell under the name of another, which its weights and states have already."""
    made = Cell(states=states, outputs=outputs)
    made.name = cell.name
    return made


def _input_of(cell: Cell) -> str:
    return _main("input", cell, cell.inputs, "x")


def _output_of(cell: Cell) -> str:
    return _main("output", cell, cell.outputs, "y")


def _main(what: str, cell: Cell, names: tuple[str, ...], usual: str) -> str:
    """The only one of some names, or the usual one of several. Raises WiringError if there is neither."""
    if len(names) != 1 and usual not in names:
        known = ", ".join(names) or "none"
        raise WiringError(
            f"{cell} has the {what}s {known}; that which goes through it is its only {what}, or the one called "
            f"{usual!r} [{user_line()}]"
        )
    return names[0] if len(names) == 1 else usual
