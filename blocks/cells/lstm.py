"""The long short-term memory with a forget gate, and with layer normalisation."""

from ..bricks import ADD, SIGM, TANH
from ..cell import Cell
from ..norms import LAYERNORM
from ..ops.elementwise import sigm, tanh
from ..ops.shape import slice_
from ..wires import input, named, state


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


def lstm_layernorm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The LSTM with layer normalisation (Ba, Kiros and Hinton 2016, supplement, eqs. 20 to 22).

    z = LN(h' W_h) ⊙ gain + LN(x W_x) ⊙ gain + b     eq. 20: f, i, o and g, normalised together; of its three biases,
                                                    which are added, there is one, for f 1 at first
    C = σ(f) ⊙ C' + σ(i) ⊙ tanh(g)                   eq. 21
    h = σ(o) ⊙ tanh(LN(C) ⊙ gain + b)                eq. 22

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    n, b = 4 * units, [1.0] * units + [0.0] * (3 * units)
    old = LAYERNORM(n, name="norm_h", bias=False)(ADD(n, name="recurrent", bias=False)(h))
    new = LAYERNORM(n, name="norm_x", init={"b": b})(ADD(n, name="input", bias=False)(x))
    z = named("z", old + new)
    f, i, o, g = (slice_(z, start=k * units, stop=(k + 1) * units) for k in range(4))
    C1 = sigm(f) * C + sigm(i) * tanh(g)
    h1 = sigm(o) * tanh(LAYERNORM(units, name="norm_C")(C1))
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)
