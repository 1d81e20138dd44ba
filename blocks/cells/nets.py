"""Net inputs that several cells have in common."""

from ..bricks import ADD
from ..graph import Node
from ..wires import named


def integrated(gate: str, units: int, x: Node, h: Node) -> Node:
    """Multiplicative integration (Wu et al. 2016, eq. 4): α ⊙ x W ⊙ h U + β₁ ⊙ h U + β₂ ⊙ x W + b.

    Wires ``(batch, …)`` → ``(batch, units)``. α begins at 1, β₁ and β₂ at 0.5; the bricks are `gate`, which weighs,
    and gate_forward, gate_recurrent, which multiply.
    """
    forward = ADD(units, name=f"{gate}_forward", bias=False)(x)
    recurrent = ADD(units, name=f"{gate}_recurrent", bias=False)(h)
    both = named(f"{gate}_both", forward * recurrent)
    first = {f"W_{gate}_both": 1.0, f"W_{gate}_recurrent": 0.5, f"W_{gate}_forward": 0.5}
    return ADD(units, name=gate, weights="diagonal", init=first)(both, recurrent, forward)


def fitted(wire: Node, units: int, name: str) -> Node:
    """The wire itself, if it has the `units` features that an equation wants; else times a matrix, the brick `name`."""
    return wire if wire.shape[-1] == units else ADD(units, name=name, bias=False)(wire)
