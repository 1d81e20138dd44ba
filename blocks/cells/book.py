"""The SRN and the LSTM as the book writes them.

Read literally, one weight matrix multiplies the *sum* x + h, so both have one size, and there is no bias
(Skansi 2018, *Introduction to Deep Learning*, sections 7.4 and 7.5).
"""

from ..bricks import SIGM, TANH
from ..cell import Cell
from ..errors import WiringError
from ..ops.elementwise import tanh
from ..wires import input, state


def book_srn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The SRN of the book (Skansi 2018, eq. 7.5): two weight matrices, no bias, and f_h the logistic function.

    h(t) = f_h(w_x x(t) + w_h h(t-1))

    Weights f_h.W_x, f_h.W_h. Input x ``(batch, inputs)``, state and output h ``(batch, units)``. The
    output y(t) = f_o(w_o h(t)) is a brick of the network around it.
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = SIGM(units, name="f_h", bias=False)(x, h)
    return Cell(states={h: h1}, outputs=h1, name=name)


def book_lstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The LSTM of the book (Skansi 2018, eqs. 7.8 to 7.10): gates of the sum x + h, no biases, weights zero at first.

    f(t)   = σ(w_f (x(t) + h(t-1)))
    ff(t)  = σ(w_ff (x(t) + h(t-1)))                     (7.8)
    C*(t)  = τ(w_C (x(t) + h(t-1)))
    C(t)   = f(t) · C(t-1) + ff(t) · C*(t)               (7.9, 7.10)
    fff(t) = σ(w_fff (x(t) + h(t-1)))
    h(t)   = fff(t) · τ(C(t))

    Weights f.W_1, ff.W_1, C*.W_1, fff.W_1. Input x ``(batch, units)``; states h and C ``(batch, units)``.
    Raises WiringError unless inputs = units, because x and h are added.
    """
    if inputs != units:
        raise WiringError(f"book_lstm adds x and h, so inputs must be units; {inputs} and {units} differ")
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    f = SIGM(units, name="f", bias=False, init="zeros")(x + h)
    ff = SIGM(units, name="ff", bias=False, init="zeros")(x + h)
    candidates = TANH(units, name="C*", bias=False, init="zeros")(x + h)
    C1 = f * C + ff * candidates
    fff = SIGM(units, name="fff", bias=False, init="zeros")(x + h)
    h1 = fff * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)
