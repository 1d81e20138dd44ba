"""The simple recurrent network."""

from ..bricks import TANH
from ..cell import Cell
from ..wires import input, state


def srn(inputs: int, units: int, name: str | None = None) -> Cell:
    """Elman's simple recurrent network (Elman 1990, *Finding structure in time*; tanh for his logistic).

    h = tanh(x W_x + h' W_h + b)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = TANH(units, name="hidden")(x, h)
    return Cell(states={h: h1}, outputs=h1, name=name)
