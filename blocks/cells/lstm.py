"""The long short-term memory with a forget gate."""

from ..bricks import SIGM, TANH
from ..cell import Cell
from ..ops.elementwise import tanh
from ..wires import input, state


def lstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The LSTM with forget gate (Hochreiter and Schmidhuber 1997; Gers et al. 2000, eqs. 1 to 9).

    f = σ(x W_x + h' W_h + b)              the forget gate, its bias 1 at first (Jozefowicz et al. 2015)
    i = σ(x W_x + h' W_h + b)              each gate has weights of its own
    C = f ⊙ C' + i ⊙ tanh(x W_x + h' W_h + b)
    o = σ(x W_x + h' W_h + b)
    h = o ⊙ tanh(C)

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    f = SIGM(units, name="forget", init={"b": 1.0})(x, h)
    i = SIGM(units, name="input")(x, h)
    candidate = TANH(units, name="candidate")(x, h)
    C1 = f * C + i * candidate
    o = SIGM(units, name="output")(x, h)
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)
