"""Cells whose products see the input alone: what is recurrent is elementwise, so a step costs little.

The compiler takes their products out of the loop, one for all steps.
"""

import numpy as np

from ..bricks import ADD, SIGM, TANH
from ..cell import Cell
from ..ops.elementwise import exp, softplus, sqrt
from ..ops.linear import matvec
from ..ops.shape import reshape
from ..wires import input, named, parameter, state
from .nets import fitted


def sru(inputs: int, units: int, name: str | None = None) -> Cell:
    """The simple recurrent unit (Lei et al. 2018, eqs. 1 to 4).

    f = σ(x W_x + c' ⊙ W_c + b)
    c = f ⊙ c' + (1 - f) ⊙ (x W_x)
    r = σ(x W_x + c' ⊙ W_c + b)
    h = r ⊙ c + (1 - r) ⊙ x

    Input x ``(batch, inputs)``, state c and output h ``(batch, units)``. h adds x itself; where inputs differ from
    units, x goes through a matrix, the brick "through", as in the paper's code.
    """
    x = input("x", inputs)
    c = state("c", units)
    f = SIGM(units, name="forget", weights={"c": "diagonal"})(x, c)
    c1 = f * c + (1 - f) * ADD(units, name="candidate", bias=False)(x)
    r = SIGM(units, name="reset", weights={"c": "diagonal"})(x, c)
    h = r * c1 + (1 - r) * fitted(x, units, "through")
    return Cell(states={c: c1}, outputs=h, name=name)


def qrnn(inputs: int, units: int, name: str | None = None) -> Cell:
    """The quasi-recurrent network: a convolution of two steps, and fo-pooling (Bradbury et al. 2017, eqs. 2 and 4).

    z = tanh(x W_x + p' W_p)                      p' is x one step before
    f = σ(x W_x + p' W_p)                         o = σ(x W_x + p' W_p)
    c = f ⊙ c' + (1 - f) ⊙ z
    h = o ⊙ c

    Input x ``(batch, inputs)``; states p ``(batch, inputs)`` and c, output h ``(batch, units)``. With biases, as in the
    paper's code.
    """
    x = input("x", inputs)
    p, c = state("p", inputs), state("c", units)
    z = TANH(units, name="candidate")(x, p)
    f = SIGM(units, name="forget")(x, p)
    o = SIGM(units, name="output")(x, p)
    c1 = f * c + (1 - f) * z
    h = o * c1
    return Cell(states={p: x, c: c1}, outputs=h, name=name)


def min_gru(inputs: int, units: int, name: str | None = None) -> Cell:
    """minGRU: the GRU with all that sees the state taken off (Feng et al. 2024, *Were RNNs all we needed?*, sec. 3.1).

    z = σ(x W_x + b)
    h̃ = x W_x + b
    h = (1 - z) ⊙ h' + z ⊙ h̃

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    z = SIGM(units, name="update")(x)
    candidate = ADD(units, name="candidate")(x)
    h1 = (1 - z) * h + z * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def min_lstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """minLSTM: two gates that share one whole, and no gate of the output (Feng et al. 2024, sec. 3.2).

    f = σ(x W_x + b)                              i = σ(x W_x + b)
    h = f / (f + i) ⊙ h' + i / (f + i) ⊙ (x W_x + b)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``.
    """
    x = input("x", inputs)
    h = state("h", units)
    f = SIGM(units, name="forget")(x)
    i = SIGM(units, name="input")(x)
    candidate = ADD(units, name="candidate")(x)
    whole = f + i
    h1 = f / whole * h + i / whole * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def rg_lru(inputs: int, units: int, name: str | None = None) -> Cell:
    """The real-gated linear recurrent unit of Griffin and RecurrentGemma (De et al. 2024, eqs. 1 to 4).

    r = σ(x W_x + b)                              i = σ(x W_x + b)
    a = σ(Λ)^(8 r) = exp(-8 softplus(-Λ) ⊙ r)
    h = a ⊙ h' + √(1 - a²) ⊙ (i ⊙ x)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. Λ is "decay", 2 to 7 at first, so that σ(Λ)⁸ is
    about 0.36 to 0.99. x enters as it is; where inputs differ from units, through a matrix first, the brick "through".
    """
    x = input("x", inputs)
    h = state("h", units)
    r = SIGM(units, name="recurrence")(x)
    i = SIGM(units, name="input")(x)
    a = named("a", exp(-8 * softplus(-parameter("decay", units, init=("uniform", 2.0, 7.0))) * r))
    h1 = a * h + sqrt(1 - a * a) * (i * fitted(x, units, "through"))
    return Cell(states={h: h1}, outputs=h1, name=name)


def selective_ssm(inputs: int, units: int, name: str | None = None, order: int = 4) -> Cell:
    """The selective state space of Mamba, S6 (Gu and Dao 2023, alg. 2), one step of it.

    u = x W_x                                     Δ = softplus(x W_x + b)
    B = x W_x, C = x W_x                          `order` numbers each, the same for all units
    S = exp(-Δ exp(A)) ⊙ S' + (Δ ⊙ u) Bᵀ
    h = S C + u ⊙ D

    Input x ``(batch, inputs)``; state S ``(batch, units, order)``; output h ``(batch, units)``. A is "decay", the
    logarithm of 1 … order at first (S4D-real); D is "skip". Mamba has a convolution, a gate, and Δ of low
    rank around it.
    """
    x = input("x", inputs)
    S = state("S", units, order)
    u = ADD(units, name="u", bias=False)(x)
    delta = named("delta", softplus(ADD(units, name="step", init={"b": -2.0})(x)))
    B, C = (ADD(order, name=which, bias=False)(x) for which in ("B", "C"))
    rate = exp(parameter("decay", units, order, init=np.tile(np.log(np.arange(1, order + 1)), (units, 1))))
    keep = exp(-reshape(delta, shape=("batch", units, 1)) * rate)
    S1 = keep * S + reshape(delta * u, shape=("batch", units, 1)) * reshape(B, shape=("batch", 1, order))
    h = matvec(S1, C) + u * parameter("skip", units, init=1.0)
    return Cell(states={S: S1}, outputs=h, name=name)
