"""Cells that are steps along a differential equation."""

import numpy as np

from ..bricks import ADD, SIGM, TANH
from ..cell import Cell
from ..graph import Node
from ..ops.elementwise import sigm, tanh
from ..ops.leaves import constant
from ..ops.linear import matmul, transpose
from ..wires import input, named, parameter, state


def antisymmetric(inputs: int, units: int, name: str | None = None, step: float = 0.1, friction: float = 0.1) -> Cell:
    """The antisymmetric RNN: a step of Euler along a stable equation (Chang et al. 2019, eq. 12).

    h = h' + ε tanh(x W_x + b + h' (Wᵀ - W) - γ h')       ε, the step, and γ, the friction, are numbers

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``. (There: (W - Wᵀ) h, of a column.)
    """
    x = input("x", inputs)
    h = state("h", units)
    h1 = h + step * tanh(ADD(units, name="candidate")(x) + _turned(h, units, friction))
    return Cell(states={h: h1}, outputs=h1, name=name)


def antisymmetric_gated(
    inputs: int, units: int, name: str | None = None, step: float = 0.1, friction: float = 0.1
) -> Cell:
    """The antisymmetric RNN with a gate (Chang et al. 2019, eqs. 13 and 14).

    a = h' (Wᵀ - W) - γ h'                        ε, the step, and γ, the friction, are numbers
    z = σ(x W_x + b + a)
    h = h' + ε z ⊙ tanh(x W_x + b + a)

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``; both use one W.
    """
    x = input("x", inputs)
    h = state("h", units)
    a = named("a", _turned(h, units, friction))
    z = sigm(ADD(units, name="gate")(x) + a)
    h1 = h + step * z * tanh(ADD(units, name="candidate")(x) + a)
    return Cell(states={h: h1}, outputs=h1, name=name)


def _turned(h: Node, units: int, friction: float) -> Node:
    """h (Wᵀ - W) - γ h: its eigenvalues have the real part -γ, whatever the weights."""
    weights = parameter("W", units, units, init="glorot")
    return matmul(h, transpose(weights) - weights) - friction * h


def cornn(
    inputs: int,
    units: int,
    name: str | None = None,
    step: float = 0.042,
    stiffness: float = 2.7,
    damping: float = 4.7,
) -> Cell:
    """The coupled oscillatory RNN: damped, driven oscillators (Rusch and Mishra 2021, eq. 3).

    z = z' + Δt (tanh(y' W_y + z' W_z + x W_x + b) - γ y' - ε z')
    y = y' + Δt z                                 Δt, γ (stiffness), ε (damping) are numbers

    Input x ``(batch, inputs)``; states y and z, output y ``(batch, units)``. Damping is explicit (their n̄ = n - 1);
    the numbers are those of their sequential MNIST.
    """
    x = input("x", inputs)
    y, z = state("y", units), state("z", units)
    force = TANH(units, name="force")(y, z, x)
    z1 = named("z", z + step * (force - stiffness * y - damping * z))
    y1 = y + step * z1
    return Cell(states={y: y1, z: z1}, outputs=y1, name=name)


def lem(inputs: int, units: int, name: str | None = None, step: float = 1.0) -> Cell:
    """The long expressive memory: two time scales that it learns (Rusch et al. 2022, eq. 3).

    s = Δt σ(y' W_y + x W_x + b)                  r = Δt σ(y' W_y + x W_x + b)
    z = (1 - s) ⊙ z' + s ⊙ tanh(y' W_y + x W_x + b)
    y = (1 - r) ⊙ y' + r ⊙ tanh(z W_z + x W_x + b)

    Input x ``(batch, inputs)``; states y and z, output y ``(batch, units)``. Δt is a number.
    """
    x = input("x", inputs)
    y, z = state("y", units), state("z", units)
    s = step * SIGM(units, name="fast")(y, x)
    r = step * SIGM(units, name="slow")(y, x)
    z1 = named("z", (1 - s) * z + s * TANH(units, name="inner")(y, x))
    y1 = (1 - r) * y + r * TANH(units, name="outer")(z1, x)
    return Cell(states={y: y1, z: z1}, outputs=y1, name=name)


def lmu(inputs: int, units: int, name: str | None = None, order: int | None = None, window: float = 20.0) -> Cell:
    """The Legendre memory unit: the last `window` steps of a signal, as polynomials (Voelker et al. 2019, eqs. 1 to 7).

    u = x W_x + h' W_h + m' W_m                   one number, written into the memory
    m = m' A + u B                                fixed: of θ dm/dt = A m + B u, θ the window
    h = tanh(x W_x + h' W_h + m W_m)

    Input x ``(batch, inputs)``; states h, the output, ``(batch, units)``, and m ``(batch, order)``; as many polynomials
    as units unless told. Steps are taken by the bilinear rule, which is stable for any window (there: zero-order hold).
    """
    x = input("x", inputs)
    h, m = state("h", units), state("m", order or units)
    A, B = _legendre(order or units, window)
    u = ADD(1, name="write", bias=False)(x, h, m)
    m1 = named("m", matmul(m, constant(value=A)) + u * constant(value=B))
    h1 = TANH(units, name="hidden", bias=False)(x, h, m1)
    return Cell(states={h: h1, m: m1}, outputs=h1, name=name)


def _legendre(order: int, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Eqs. 2 and 3, transposed for rows and made discrete by the bilinear rule: ``(order, order)``, ``(order,)``."""
    i, j = np.arange(order)[:, None], np.arange(order)
    A = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1)) / window
    B = (2 * i[:, 0] + 1) * (-1.0) ** i[:, 0] / window
    half = np.eye(order) - A / 2
    return np.linalg.solve(half, np.eye(order) + A / 2).T, np.linalg.solve(half, B)
