"""Cells with exponential gates, and cells whose state is a matrix that an outer product writes and a query reads.

In the equations k vᵀ is ``(batch, width, units)``: keys stand in rows, values in columns.
"""

from ..bricks import ADD, SIGM, TANH
from ..cell import Cell
from ..ops.composed import log_sigm
from ..ops.elementwise import abs_, exp, maximum, sigm
from ..ops.linear import outer_each
from ..ops.parts import expand_dims
from ..ops.shape import sum_
from ..wires import input, named, parameter, state


def slstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The sLSTM of xLSTM: exponential input gate, normaliser and stabiliser (Beck et al. 2024, eqs. 8 to 17).

    z = tanh(x W_x + h' W_h + b)                  o = σ(x W_x + h' W_h + b)
    m = max(log σ(f̃) + m', ĩ)                    f̃, ĩ: net inputs of the forget and the input gate
    i = exp(ĩ - m)                                f = exp(log σ(f̃) + m' - m)
    c = f ⊙ c' + i ⊙ z                            n = f ⊙ n' + i
    h = o ⊙ c / n

    Input x ``(batch, inputs)``; states h, c, n and m, which begins at -∞, output h ``(batch, units)``. The forget gate
    is σ (the paper allows exp, too); one head, no normalisation of h.
    """
    x = input("x", inputs)
    h, c, n, m = state("h", units), state("c", units), state("n", units), state("m", units, init=float("-inf"))
    z = TANH(units, name="candidate")(x, h)
    o = SIGM(units, name="output")(x, h)
    i_net = ADD(units, name="input")(x, h)
    kept = log_sigm(ADD(units, name="forget", init={"b": 1.0})(x, h)) + m
    m1 = named("m", maximum(kept, i_net))
    i, f = exp(i_net - m1), exp(kept - m1)
    c1 = f * c + i * z
    n1 = f * n + i
    h1 = o * c1 / n1
    return Cell(states={h: h1, c: c1, n: n1, m: m1}, outputs=h1, name=name)


def mlstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The mLSTM of xLSTM: a matrix memory with exponential gates (Beck et al. 2024, eqs. 19 to 27).

    q, v = x W_x + b                              k = (x W_x + b) / √units
    m = max(log σ(f̃) + m', ĩ)                    f̃, ĩ = x W_x + b, one number each
    i = exp(ĩ - m)                                f = exp(log σ(f̃) + m' - m)
    C = f C' + i k vᵀ                             n = f n' + i k
    h = σ(x W_x + b) ⊙ Cᵀ q / max(|n · q|, exp(-m))

    Input x ``(batch, inputs)``; states C ``(batch, units, units)``, n ``(batch, units)`` and m ``(batch, 1)``, which
    begins at -∞; output h ``(batch, units)``. exp(-m) is the 1 of eq. 21 in the stabilised scale. One head.
    """
    x = input("x", inputs)
    C, n, m = state("C", units, units), state("n", units), state("m", 1, init=float("-inf"))
    q, k, v = (ADD(units, name=which)(x) for which in ("query", "key", "value"))
    k = k * units**-0.5
    i_net = ADD(1, name="input")(x)
    kept = log_sigm(ADD(1, name="forget", init={"b": 3.0})(x)) + m
    m1 = named("m", maximum(kept, i_net))
    i, f = exp(i_net - m1), exp(kept - m1)
    C1 = expand_dims(f, -1) * C + expand_dims(i, -1) * outer_each(k, v)
    n1 = f * n + i * k
    size = maximum(abs_(sum_(n1 * q, axis=-1, keepdims=True)), exp(-m1))
    h = SIGM(units, name="output")(x) * (q @ C1) / size
    return Cell(states={C: C1, n: n1, m: m1}, outputs=h, name=name)


def linear_attention(inputs: int, units: int, name: str | None = None) -> Cell:
    """Linear attention as a recurrent network (Katharopoulos et al. 2020, eqs. 16 to 20).

    S = S' + φ(k) vᵀ                              n = n' + φ(k)
    h = Sᵀ φ(q) / (n · φ(q))                      q, k, v = x W_x; φ(a) = elu(a) + 1, positive

    Input x ``(batch, inputs)``; states S ``(batch, units, units)`` and n ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    S, n = state("S", units, units), state("n", units)
    q, k, v = (ADD(units, name=which, bias=False)(x) for which in ("query", "key", "value"))
    q, k = (maximum(a, 0) + exp(-maximum(-a, 0)) for a in (q, k))
    S1 = S + outer_each(k, v)
    n1 = n + k
    h = q @ S1 / sum_(n1 * q, axis=-1, keepdims=True)
    return Cell(states={S: S1, n: n1}, outputs=h, name=name)


def retention(inputs: int, units: int, name: str | None = None, decay: float = 0.9) -> Cell:
    """Retention, the recurrent form of RetNet (Sun et al. 2023, eq. 6).

    S = γ S' + k vᵀ                               γ, the decay, is a number
    h = Sᵀ q                                      q, v = x W_x; k = x W_x / √units

    Input x ``(batch, inputs)``; state S ``(batch, units, units)``; output h ``(batch, units)``. One head, without the
    rotation by position and the group norm of the paper.
    """
    x = input("x", inputs)
    S = state("S", units, units)
    q, k, v = (ADD(units, name=which, bias=False)(x) for which in ("query", "key", "value"))
    S1 = decay * S + outer_each(k * units**-0.5, v)
    h = q @ S1
    return Cell(states={S: S1}, outputs=h, name=name)


def gated_linear_attention(inputs: int, units: int, name: str | None = None) -> Cell:
    """Gated linear attention: each row of the memory fades at its own, learnt rate (Yang et al. 2024, eqs. 3 and 4).

    a = σ(x W_x + b)^(1/16)
    S = a ⊙ S' + k vᵀ                             a for each row of S
    h = Sᵀ q                                      q, v = x W_x; k = x W_x / √units

    Input x ``(batch, inputs)``; state S ``(batch, units, units)``; output h ``(batch, units)``. One head; a of full
    rank, without the norm and the gate of the output.
    """
    x = input("x", inputs)
    S = state("S", units, units)
    q, k, v = (ADD(units, name=which, bias=False)(x) for which in ("query", "key", "value"))
    a = exp(log_sigm(ADD(units, name="forget")(x)) / 16)
    S1 = expand_dims(a, -1) * S + outer_each(k * units**-0.5, v)
    h = q @ S1
    return Cell(states={S: S1}, outputs=h, name=name)


def delta_net(inputs: int, units: int, name: str | None = None) -> Cell:
    """The delta rule as a memory: what a key held before is taken out (Schlag et al. 2021, eqs. 23 to 25).

    v̄ = S'ᵀ k                                    β = σ(x W_x + b), one number
    S = S' + k (β (v - v̄))ᵀ
    h = Sᵀ q                                      q, v = x W_x; q and k of length 1

    Input x ``(batch, inputs)``; state S ``(batch, units, units)``; output h ``(batch, units)``. Keys and queries have
    length 1 as in Yang et al. (2024); the paper's φ makes them sum to 1.
    """
    x = input("x", inputs)
    S = state("S", units, units)
    q, k, v = (ADD(units, name=which, bias=False)(x) for which in ("query", "key", "value"))
    q, k = (a / (sum_(a * a, axis=-1, keepdims=True) + 1e-6) ** 0.5 for a in (q, k))
    beta = SIGM(1, name="rate")(x)
    S1 = S + outer_each(k, beta * (v - k @ S))
    h = q @ S1
    return Cell(states={S: S1}, outputs=h, name=name)


def rwkv(inputs: int, units: int, name: str | None = None) -> Cell:
    """The time mixing of RWKV-4: attention whose past fades, each channel at a rate (Peng et al. 2023, eqs. 16 to 19).

    r, k, v = x W_x
    wkv = (a' + exp(u + k) ⊙ v) / (b' + exp(u + k))
    a = exp(-w) ⊙ a' + exp(k) ⊙ v                b = exp(-w) ⊙ b' + exp(k)
    h = (σ(r) ⊙ wkv) W_wkv

    Input x ``(batch, inputs)``; states a, b and p, which begins at -∞, output h ``(batch, units)``. a and b are kept
    divided by exp(p), p the largest exponent so far, as in the paper's appendix D; w = exp("decay"), u is "bonus". The
    mixing of x with the token before it is left out.
    """
    x = input("x", inputs)
    a, b, p = state("a", units), state("b", units), state("p", units, init=float("-inf"))
    r, k, v = (ADD(units, name=which, bias=False)(x) for which in ("receptance", "key", "value"))
    now = k + parameter("bonus", units, init=0.3)
    top = maximum(p, now)
    before, weight = exp(p - top), exp(now - top)
    wkv = (before * a + weight * v) / (before * b + weight)
    faded = p - exp(parameter("decay", units, init=("uniform", -5.0, 1.0)))
    p1 = named("p", maximum(faded, k))
    a1 = exp(faded - p1) * a + exp(k - p1) * v
    b1 = exp(faded - p1) * b + exp(k - p1)
    h = ADD(units, name="out", bias=False)(named("wkv", sigm(r) * wkv))
    return Cell(states={a: a1, b: b1, p: p1}, outputs=h, name=name)
