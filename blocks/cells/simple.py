"""Simple recurrent networks: one product of the state, and what has been done to it."""

from ..bricks import ADD, MULTIPLY, RELU, SIGM, TANH
from ..cell import Cell
from ..ops.elementwise import sigm, tanh
from ..wires import input, named, parameter, state
from .nets import integrated


def srn(inputs: int, units: int, name: str | None = None) -> Cell:
    """Elman's simple recurrent network (Elman 1990, *Finding structure in time*; tanh for his logistic).

    h = tanh(x W_x + h' W_h + b)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = TANH(units, name="hidden")(x, h)
    return Cell(states={h: h1}, outputs=h1, name=name)


def jordan(inputs: int, units: int, name: str | None = None, outputs: int | None = None) -> Cell:
    """Jordan's network: the output is fed back, not the hidden layer (Jordan 1986, *Serial order*).

    h = σ(x W_x + y' W_y + b)
    y = σ(h W_h + b)

    Input x ``(batch, inputs)``, state and output y ``(batch, outputs)``; as many outputs as units unless told.
    His context units also keep a decaying part of themselves; here, as in most libraries, they do not.
    """
    x = input("x", inputs)
    y = state("y", outputs or units)
    h = SIGM(units, name="hidden")(x, y)
    y1 = SIGM(outputs or units, name="out")(named("h", h))
    return Cell(states={y: y1}, outputs=y1, name=name)


def leaky_srn(inputs: int, units: int, name: str | None = None, leak: float = 0.3) -> Cell:
    """The SRN of leaky integrators (Jaeger et al. 2007, *Echo state networks with leaky-integrator neurons*, eq. 2).

    h = (1 - a) h' + a tanh(x W_x + h' W_h + b)          a, the rate of the leak, is a number

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. An echo state network trains only what reads
    h; here all weights train.
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = (1 - leak) * h + leak * TANH(units, name="hidden")(x, h)
    return Cell(states={h: h1}, outputs=h1, name=name)


def irnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The IRNN: an SRN of rectified units whose recurrent weights are the identity at first (Le et al. 2015, sec. 2).

    h = max(x W_x + h' W_h + b, 0)         W_h = 1 at first

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = RELU(units, name="hidden", init={"W_x": ("normal", 0.001), "W_h": "identity"})(x, h)
    return Cell(states={h: h1}, outputs=h1, name=name)


def indrnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The independently recurrent network: each unit sees itself alone (Li et al. 2018, eq. 2).

    h = max(x W_x + h' ⊙ W_h + b, 0)       W_h a vector, uniform in [0, 1] at first

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = RELU(units, name="hidden", weights={"h": "diagonal"}, init={"W_h": ("uniform", 0.0, 1.0)})(x, h)
    return Cell(states={h: h1}, outputs=h1, name=name)


def mi_rnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The SRN with multiplicative integration (Wu et al. 2016, eq. 4).

    h = tanh(α ⊙ x W ⊙ h' U + β₁ ⊙ h' U + β₂ ⊙ x W + b)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. α, β₁, β₂ are hidden.W_hidden_both,
    hidden.W_hidden_recurrent, hidden.W_hidden_forward, and begin at 1, 0.5, 0.5 as in their character models.
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = tanh(integrated("hidden", units, x, h))
    return Cell(states={h: h1}, outputs=h1, name=name)


def multiplicative_rnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The multiplicative RNN: the input chooses the recurrent matrix, by factors (Sutskever et al. 2011, eqs. 7, 8).

    f = (x W_x) ⊙ (h' W_h)
    h = tanh(x W_x + f W_f + b)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``; as many factors as units.
    """
    x = input("x", inputs)
    h = state("h", units)
    f = MULTIPLY(units, name="factor")(x, h)
    h1 = TANH(units, name="hidden")(x, f)
    return Cell(states={h: h1}, outputs=h1, name=name)


def scrn(inputs: int, units: int, name: str | None = None, decay: float = 0.95) -> Cell:
    """The structurally constrained network: beside the hidden layer a slow context (Mikolov et al. 2014, eqs. 4 to 6).

    s = (1 - α) x W_x + α s'                     α, the decay, is a number
    h = σ(s W_s + x W_x + h' W_h)
    y = h W_h + s W_s                            before the softmax of the read-out

    Input x ``(batch, inputs)``; states s and h, output y ``(batch, units)``. As in the paper no part has a bias.
    """
    x = input("x", inputs)
    s, h = state("s", units), state("h", units)
    s1 = named("s", (1 - decay) * ADD(units, name="context", bias=False)(x) + decay * s)
    h1 = SIGM(units, name="hidden", bias=False)(s1, x, h)
    y = ADD(units, name="out", bias=False)(named("h", h1), s1)
    return Cell(states={s: s1, h: h1}, outputs=y, name=name)


def fast_rnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """FastRNN: an SRN with a weighted residual connection (Kusupati et al. 2018, eqs. 2 and 3).

    h̃ = tanh(x W_x + h' W_h + b)
    h = σ(α) h̃ + σ(β) h'                         α = -3 and β = 3 at first, one number each

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    candidate = TANH(units, name="candidate")(x, h)
    h1 = sigm(parameter("alpha", init=-3.0)) * candidate + sigm(parameter("beta", init=3.0)) * h
    return Cell(states={h: h1}, outputs=h1, name=name)
