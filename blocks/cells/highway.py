"""Cells between an SRN and a GRU: one or two gates decide how much of the state stays."""

from ..bricks import ADD, RELU, SIGM, TANH
from ..cell import Cell
from ..ops.elementwise import tanh
from ..wires import input, named, state
from .nets import fitted


def ugrnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The update-gate network: a GRU without reset (Collins et al. 2017, *Capacity and trainability*, eqs. 8 to 10).

    c = tanh(x W_x + h' W_h + b)
    g = σ(x W_x + h' W_h + b)
    h = g ⊙ h' + (1 - g) ⊙ c

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. The gate's bias is 1 at first.
    """
    x = input("x", inputs)
    h = state("h", units)
    c = TANH(units, name="candidate")(x, h)
    g = SIGM(units, name="gate", init={"b": 1.0})(x, h)
    h1 = g * h + (1 - g) * c
    return Cell(states={h: h1}, outputs=h1, name=name)


def intersection_rnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The intersection RNN, +RNN: gates in time and gates upwards (Collins et al. 2017, eqs. 11 to 16).

    ỹ = max(x W_x + h' W_h + b, 0)               h̃ = tanh(x W_x + h' W_h + b)
    g_y = σ(x W_x + h' W_h + b)                  g_h = σ(x W_x + h' W_h + b)
    y = g_y ⊙ x + (1 - g_y) ⊙ ỹ
    h = g_h ⊙ h' + (1 - g_h) ⊙ h̃

    Input x ``(batch, inputs)``, state h and output y ``(batch, units)``. y adds x itself, so where inputs differ
    from units, x goes through a matrix, the brick "through"; gates begin with bias 1.
    """
    x = input("x", inputs)
    h = state("h", units)
    y_in = RELU(units, name="up")(x, h)
    h_in = TANH(units, name="candidate")(x, h)
    g_y = SIGM(units, name="up_gate", init={"b": 1.0})(x, h)
    g_h = SIGM(units, name="gate", init={"b": 1.0})(x, h)
    y = g_y * fitted(x, units, "through") + (1 - g_y) * y_in
    h1 = g_h * h + (1 - g_h) * h_in
    return Cell(states={h: h1}, outputs=y, name=name)


def chaos_free(inputs: int, units: int, name: str | None = None) -> Cell:
    """The chaos-free network: without input its state always dies away (Laurent and von Brecht 2017, eqs. 1 and 2).

    θ = σ(x W_x + h' W_h + b)                    η = σ(x W_x + h' W_h + b)
    h = θ ⊙ tanh(h') + η ⊙ tanh(x W_x)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. The biases are 1 and -1 at first, as there.
    """
    x = input("x", inputs)
    h = state("h", units)
    theta = SIGM(units, name="forget", init={"b": 1.0})(x, h)
    eta = SIGM(units, name="input", init={"b": -1.0})(x, h)
    h1 = theta * tanh(h) + eta * TANH(units, name="candidate", bias=False)(x)
    return Cell(states={h: h1}, outputs=h1, name=name)


def ran(inputs: int, units: int, name: str | None = None) -> Cell:
    """The recurrent additive network: an LSTM that only adds what it sees (Lee et al. 2017, eqs. 1).

    c̃ = x W_x
    i = σ(x W_x + h' W_h + b)                    f = σ(x W_x + h' W_h + b)
    c = i ⊙ c̃ + f ⊙ c'
    h = tanh(c)

    Input x ``(batch, inputs)``; states h and c, output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h, c = state("h", units), state("c", units)
    content = ADD(units, name="content", bias=False)(x)
    i = SIGM(units, name="input")(x, h)
    f = SIGM(units, name="forget", init={"b": 1.0})(x, h)
    c1 = i * content + f * c
    h1 = tanh(c1)
    return Cell(states={h: h1, c: c1}, outputs=h1, name=name)


def recurrent_highway(inputs: int, units: int, name: str | None = None, depth: int = 2) -> Cell:
    """The recurrent highway network: several products one after the other in a step (Zilly et al. 2017, eqs. 6 to 9).

    s₀ = h', and for l = 1 … depth
    h̃ = tanh(x W_x + s W + b)                    t = σ(x W_x + s W + b)          x only in layer 1
    s = h̃ ⊙ t + s ⊙ (1 - t)
    h = s                                         that of the last layer

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. The carry gate is 1 - t, as in their
    experiments; the transform gates begin with bias -2.
    """
    x = input("x", inputs)
    h = s = state("h", units)
    for layer in range(1, depth + 1):
        seen = (x, s) if layer == 1 else (s,)
        transformed = TANH(units, name=f"transform_{layer}")(*seen)
        t = SIGM(units, name=f"gate_{layer}", init={"b": -2.0})(*seen)
        s = named(f"s_{layer}", transformed * t + s * (1 - t))
    return Cell(states={h: s}, outputs=s, name=name)
