"""The gated recurrent unit and its relatives: one state, gated."""

from ..bricks import ADD, RELU, SIGM, TANH
from ..cell import Cell
from ..ops.elementwise import sigm, tanh
from ..wires import input, named, parameter, state
from .nets import fitted, integrated


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
    """The GRU with the reset after the product (Cho et al. 2014, the first version; as in cuDNN, Keras and PyTorch).

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


def mgu(inputs: int, units: int, name: str | None = None) -> Cell:
    """The minimal gated unit: a GRU whose two gates are one (Zhou et al. 2016, eqs. 6).

    f = σ(x W_x + h' W_h + b)
    h̃ = tanh(x W_x + (f ⊙ h') W_h + b)
    h = (1 - f) ⊙ h' + f ⊙ h̃

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    f = SIGM(units, name="forget")(x, h)
    candidate = TANH(units, name="candidate")(x, named("h", f * h))
    h1 = (1 - f) * h + f * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def gru1(inputs: int, units: int, name: str | None = None) -> Cell:
    """GRU1: gates of the state and a bias, without the input (Dey and Salem 2017, eqs. 4).

    r = σ(h' W_h + b)                             z = σ(h' W_h + b)
    h̃, h as in `gru`, with z for 1 - z

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    r = SIGM(units, name="reset")(h)
    z = SIGM(units, name="update")(h)
    candidate = TANH(units, name="candidate")(x, named("h", r * h))
    h1 = (1 - z) * h + z * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def gru2(inputs: int, units: int, name: str | None = None) -> Cell:
    """GRU2: gates of the state alone (Dey and Salem 2017, eqs. 5).

    r = σ(h' W_h)                                 z = σ(h' W_h)
    h̃, h as in `gru`, with z for 1 - z

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    r = SIGM(units, name="reset", bias=False)(h)
    z = SIGM(units, name="update", bias=False)(h)
    candidate = TANH(units, name="candidate")(x, named("h", r * h))
    h1 = (1 - z) * h + z * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def gru3(inputs: int, units: int, name: str | None = None) -> Cell:
    """GRU3: gates that are biases alone, the same at every step (Dey and Salem 2017, eqs. 6).

    r = σ(b)                                      z = σ(b)
    h̃, h as in `gru`, with z for 1 - z

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    r = sigm(parameter("reset", units, init=0.0))
    z = sigm(parameter("update", units, init=0.0))
    candidate = TANH(units, name="candidate")(x, named("h", r * h))
    h1 = (1 - z) * h + z * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def mut1(inputs: int, units: int, name: str | None = None) -> Cell:
    """MUT1, the best of ten thousand cells that evolved (Jozefowicz et al. 2015, sec. 3.5).

    z = σ(x W_x + b)
    r = σ(x W_x + h' W_h + b)
    h = tanh((r ⊙ h') W_h + tanh(x) + b) ⊙ z + h' ⊙ (1 - z)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. tanh(x) is added as it is; where inputs differ
    from units, x goes through a matrix first, the brick "through".
    """
    x = input("x", inputs)
    h = state("h", units)
    z = SIGM(units, name="update")(x)
    r = SIGM(units, name="reset")(x, h)
    candidate = tanh(ADD(units, name="candidate")(named("h", r * h)) + tanh(fitted(x, units, "through")))
    h1 = candidate * z + h * (1 - z)
    return Cell(states={h: h1}, outputs=h1, name=name)


def mut2(inputs: int, units: int, name: str | None = None) -> Cell:
    """MUT2 (Jozefowicz et al. 2015, sec. 3.5).

    z = σ(x W_x + h' W_h + b)
    r = σ(x + h' W_h + b)
    h = tanh((r ⊙ h') W_h + x W_x + b) ⊙ z + h' ⊙ (1 - z)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. r adds x as it is; where inputs differ from
    units, x goes through a matrix first, the brick "through".
    """
    x = input("x", inputs)
    h = state("h", units)
    z = SIGM(units, name="update")(x, h)
    r = sigm(fitted(x, units, "through") + ADD(units, name="reset")(h))
    candidate = TANH(units, name="candidate")(named("h", r * h), x)
    h1 = candidate * z + h * (1 - z)
    return Cell(states={h: h1}, outputs=h1, name=name)


def mut3(inputs: int, units: int, name: str | None = None) -> Cell:
    """MUT3 (Jozefowicz et al. 2015, sec. 3.5).

    z = σ(x W_x + tanh(h') W_h + b)
    r = σ(x W_x + h' W_h + b)
    h = tanh((r ⊙ h') W_h + x W_x + b) ⊙ z + h' ⊙ (1 - z)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    z = SIGM(units, name="update")(x, named("h", tanh(h)))
    r = SIGM(units, name="reset")(x, h)
    candidate = TANH(units, name="candidate")(named("h", r * h), x)
    h1 = candidate * z + h * (1 - z)
    return Cell(states={h: h1}, outputs=h1, name=name)


def mi_gru(inputs: int, units: int, name: str | None = None) -> Cell:
    """The GRU with multiplicative integration in every net input (Wu et al. 2016, eq. 4 and appendix).

    net = α ⊙ x W ⊙ s U + β₁ ⊙ s U + β₂ ⊙ x W + b        of each gate its own
    r, z = σ(net) with s = h'                            h̃ = tanh(net) with s = r ⊙ h'
    h = (1 - z) ⊙ h' + z ⊙ h̃

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    r = sigm(integrated("reset", units, x, h))
    z = sigm(integrated("update", units, x, h))
    candidate = tanh(integrated("candidate", units, x, named("h", r * h)))
    h1 = (1 - z) * h + z * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def li_gru(inputs: int, units: int, name: str | None = None) -> Cell:
    """The light GRU: no reset, and rectified candidates (Ravanelli et al. 2018, eqs. 8 to 10).

    z = σ(x W_x + h' W_h + b)
    h̃ = max(x W_x + h' W_h + b, 0)
    h = z ⊙ h' + (1 - z) ⊙ h̃

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. There x W_x is normalised over the batch, which
    takes the place of the bias; here it is not.
    """
    x = input("x", inputs)
    h = state("h", units)
    z = SIGM(units, name="update")(x, h)
    candidate = RELU(units, name="candidate")(x, h)
    h1 = z * h + (1 - z) * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def brc(inputs: int, units: int, name: str | None = None) -> Cell:
    """The bistable recurrent cell: each unit keeps a bit of its own (Vecoven et al. 2021, eqs. 5).

    a = 1 + tanh(x W_x + h' ⊙ W_h)
    c = σ(x W_x + h' ⊙ W_h)
    h = c ⊙ h' + (1 - c) ⊙ tanh(x W_x + a ⊙ h')

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. a > 1 makes a unit bistable. With biases, as in
    most libraries; the paper writes none.
    """
    x = input("x", inputs)
    h = state("h", units)
    a = 1 + TANH(units, name="feedback", weights={"h": "diagonal"})(x, h)
    c = SIGM(units, name="update", weights={"h": "diagonal"})(x, h)
    h1 = c * h + (1 - c) * tanh(ADD(units, name="candidate")(x) + a * h)
    return Cell(states={h: h1}, outputs=h1, name=name)


def nbrc(inputs: int, units: int, name: str | None = None) -> Cell:
    """The neuromodulated bistable cell: its units set each other's bistability (Vecoven et al. 2021, eqs. 6).

    a = 1 + tanh(x W_x + h' W_h)
    c = σ(x W_x + h' W_h)
    h = c ⊙ h' + (1 - c) ⊙ tanh(x W_x + a ⊙ h')

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. With biases, as in `brc`.
    """
    x = input("x", inputs)
    h = state("h", units)
    a = 1 + TANH(units, name="feedback")(x, h)
    c = SIGM(units, name="update")(x, h)
    h1 = c * h + (1 - c) * tanh(ADD(units, name="candidate")(x) + a * h)
    return Cell(states={h: h1}, outputs=h1, name=name)


def atr(inputs: int, units: int, name: str | None = None) -> Cell:
    """The addition-subtraction twin-gated network: two gates of two products (Zhang et al. 2018, eqs. 9 to 13).

    p = x W_x                                     q = h' W_h + b
    i = σ(p + q)                                  f = σ(p - q)
    h = i ⊙ p + f ⊙ h'

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    p = ADD(units, name="p", bias=False)(x)
    q = ADD(units, name="q")(h)
    i = sigm(p + q)
    f = sigm(p - q)
    h1 = i * p + f * h
    return Cell(states={h: h1}, outputs=h1, name=name)


def star(inputs: int, units: int, name: str | None = None) -> Cell:
    """STAR, a cell for deep stacks: its gradient neither grows nor fades upwards (Turkoglu et al. 2021, eqs. 12 to 14).

    z = tanh(x W_x + b)
    k = σ(x W_x + h' W_h + b)
    h = tanh((1 - k) ⊙ h' + k ⊙ z)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    z = TANH(units, name="candidate")(x)
    k = SIGM(units, name="gate")(x, h)
    h1 = tanh((1 - k) * h + k * z)
    return Cell(states={h: h1}, outputs=h1, name=name)


def fast_grnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """FastGRNN: gate and candidate share their matrices (Kusupati et al. 2018, eqs. 4 and 5).

    n = x W_x + h' W_h
    z = σ(n + b)                                  h̃ = tanh(n + b), each a bias of its own
    h = (σ(ζ) (1 - z) + σ(ν)) ⊙ h̃ + z ⊙ h'       ζ = 1 and ν = -4 at first, one number each

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. W is dense; there also of low rank and sparse.
    """
    x = input("x", inputs)
    h = state("h", units)
    n = ADD(units, name="shared", bias=False)(x, h)
    z = sigm(n + parameter("gate.b", units, init=1.0))
    candidate = tanh(n + parameter("candidate.b", units, init=1.0))
    zeta, nu = sigm(parameter("zeta", init=1.0)), sigm(parameter("nu", init=-4.0))
    h1 = (zeta * (1 - z) + nu) * candidate + z * h
    return Cell(states={h: h1}, outputs=h1, name=name)
