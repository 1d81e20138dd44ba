"""The gated recurrent unit, in its two forms."""

from ..bricks import ADD, SIGM, TANH
from ..cell import Cell
from ..ops.elementwise import tanh
from ..wires import input, named, state


def gru(inputs: int, units: int, name: str | None = None) -> Cell:
    """The GRU with the reset before the product (Cho et al. 2014, eqs. 5 to 8).

    r = σ(x W_x + h' W_h + b)
    z = σ(x W_x + h' W_h + b)
    h̃ = tanh(x W_x + (r ⊙ h') W_h + b)
    h = z ⊙ h' + (1 - z) ⊙ h̃

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    r = SIGM(units, name="reset")(x, h)
    z = SIGM(units, name="update")(x, h)
    candidate = TANH(units, name="candidate")(x, named("h", r * h))
    h1 = z * h + (1 - z) * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def gru_reset_after(inputs: int, units: int, name: str | None = None) -> Cell:
    """The GRU with the reset after the product and two biases, as in cuDNN, Keras and PyTorch.

    r, z as in `gru`
    h̃ = tanh(x W_x + b + r ⊙ (h' W_h + b))         the second product is the brick "recurrent"
    h = z ⊙ h' + (1 - z) ⊙ h̃

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    r = SIGM(units, name="reset")(x, h)
    z = SIGM(units, name="update")(x, h)
    candidate = tanh(ADD(units, name="candidate")(x) + r * ADD(units, name="recurrent")(h))
    h1 = z * h + (1 - z) * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)
