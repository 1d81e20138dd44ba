"""The long short-term memory, from 1997 on."""

from ..bricks import ADD, MULTIPLY, SIGM, TANH
from ..cell import Cell
from ..errors import WiringError
from ..graph import Node
from ..norms import LAYERNORM
from ..ops.elementwise import relu, sigm, stop_gradient, tanh
from ..ops.shape import concat, reshape, slice_
from ..wires import input, named, state
from .nets import integrated


def lstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The LSTM with forget gate (Hochreiter and Schmidhuber 1997; Gers et al. 2000, eqs. 1 to 9).

    f = σ(x W_x + h' W_h + b)              the forget gate, its bias 1 at first (Jozefowicz et al. 2015)
    i = σ(x W_x + h' W_h + b)              each gate has weights of its own
    C = f ⊙ C' + i ⊙ tanh(x W_x + h' W_h + b)
    o = σ(x W_x + h' W_h + b)
    h = o ⊙ tanh(C)

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h. What Greff et al. (2017) call NP.
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


def lstm_1997(
    inputs: int, units: int, name: str | None = None, block: int = 1, bias: str = "gates", truncated: bool = True
) -> Cell:
    """The first LSTM: no forget gate, and everything hidden sees everything hidden (Hochreiter and Schmidhuber 1997,
    appendix A.1, eqs. 3 to 11).

    z = (h', i', o')                              the cells and the gates, one step before
    i = σ(x W_x + z W_z + b)                      o = σ(x W_x + z W_z + b)
    C = C' + i ⊙ g(x W_x + z W_z)                 g = 4σ - 2
    h = o ⊙ s(C)                                  s = 2σ - 1

    Input x ``(batch, inputs)``; states h, C ``(batch, units)`` and i, o ``(batch, units / block)``: `block` cells share
    an input gate and an output gate. bias: what has one, "gates", "all" (the cells too) or "none"; it differs by task.
    truncated: the gradient ends where z enters, and only C carries it back, as in the paper; False: it goes everywhere.
    g and s are written as 2 tanh(net / 2) and tanh(C / 2), which they are. The first biases of the gates, which the
    paper sets by task, are 0 here. Raises WiringError if blocks of this size do not make up the units, and for another
    bias.
    """
    if units % block:
        raise WiringError(f"lstm_1997: {units} cells cannot be cut into blocks of {block}")
    if bias not in ("gates", "all", "none"):
        raise WiringError(f"lstm_1997: bias is of 'gates', 'all' or 'none', not {bias!r}")
    gates, gated = units // block, bias != "none"
    x = input("x", inputs)
    h, C, i, o = state("h", units), state("C", units), state("i", gates), state("o", gates)
    z = concat(h, i, o)
    z = named("z", stop_gradient(z) if truncated else z)
    i1 = SIGM(gates, name="input", bias=gated)(x, z)
    o1 = SIGM(gates, name="output", bias=gated)(x, z)
    g = 2 * tanh(0.5 * ADD(units, name="candidate", bias=bias == "all")(x, z))
    C1 = C + _shared(i1, block) * g
    h1 = _shared(o1, block) * tanh(0.5 * C1)
    return Cell(states={h: h1, C: C1, i: i1, o: o1}, outputs=h1, name=name)


def _shared(gate: Node, block: int) -> Node:
    """The gate of each block for each of its cells: ``(batch, gates)`` → ``(batch, gates · block)``."""
    if block == 1:
        return gate
    gates = gate.shape[-1]
    column = reshape(gate, shape=("batch", gates, 1))
    return reshape(concat(*[column] * block), shape=("batch", gates * block))


def lstm_peephole(inputs: int, units: int, name: str | None = None) -> Cell:
    """The LSTM with peepholes (Gers et al. 2002, eqs. 1 to 6; the vanilla one of Greff et al. 2017).

    i = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    f = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    C = f ⊙ C' + i ⊙ tanh(x W_x + h' W_h + b)
    o = σ(x W_x + h' W_h + C ⊙ W_C + b)           it sees the new C
    h = o ⊙ tanh(C)

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    i = SIGM(units, name="input", weights={"C": "diagonal"})(x, h, C)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, h, C)
    candidate = TANH(units, name="candidate")(x, h)
    C1 = named("C", f * C + i * candidate)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, h, C1)
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def lstm_projected(inputs: int, units: int, name: str | None = None, projection: int | None = None) -> Cell:
    """The LSTM with a projection: gates see a smaller r, not h (Sak et al. 2014, eqs. 1 to 6).

    i, f = σ(x W_x + r' W_r + C' ⊙ W_C + b)
    C = f ⊙ C' + i ⊙ tanh(x W_x + r' W_r + b)
    o = σ(x W_x + r' W_r + C ⊙ W_C + b)
    r = (o ⊙ tanh(C)) W_m

    Input x ``(batch, inputs)``; states C ``(batch, units)`` and r, the output, ``(batch, projection)``; half as many as
    units, rounded up, unless told. PyTorch's proj_size has no peepholes.
    """
    narrow = projection or (units + 1) // 2
    x = input("x", inputs)
    r, C = state("r", narrow), state("C", units)
    i = SIGM(units, name="input", weights={"C": "diagonal"})(x, r, C)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, r, C)
    candidate = TANH(units, name="candidate")(x, r)
    C1 = named("C", f * C + i * candidate)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, r, C1)
    r1 = ADD(narrow, name="projection", bias=False)(named("m", o * tanh(C1)))
    return Cell(states={r: r1, C: C1}, outputs=r1, name=name)


def lstm_working_memory(inputs: int, units: int, name: str | None = None) -> Cell:
    """The LSTM with working-memory connections: peepholes through a product and tanh (Landi et al. 2021, eqs. 8 to 10).

    i, f = σ(x W_x + h' W_h + b + tanh(C' W_C))
    C = f ⊙ C' + i ⊙ tanh(x W_x + h' W_h + b)
    o = σ(x W_x + h' W_h + b + tanh(C W_C))
    h = o ⊙ tanh(C)

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    i = sigm(ADD(units, name="input")(x, h) + TANH(units, name="input_memory", bias=False)(C))
    f = sigm(ADD(units, name="forget", init={"b": 1.0})(x, h) + TANH(units, name="forget_memory", bias=False)(C))
    candidate = TANH(units, name="candidate")(x, h)
    C1 = named("C", f * C + i * candidate)
    o = sigm(ADD(units, name="output")(x, h) + TANH(units, name="output_memory", bias=False)(C1))
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def mi_lstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The LSTM with multiplicative integration in every net input (Wu et al. 2016, eq. 4 and appendix).

    net = α ⊙ x W ⊙ h' U + β₁ ⊙ h' U + β₂ ⊙ x W + b      of each gate its own
    f, i, o = σ(net)
    C = f ⊙ C' + i ⊙ tanh(net)
    h = o ⊙ tanh(C)

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    f = sigm(integrated("forget", units, x, h))
    i = sigm(integrated("input", units, x, h))
    candidate = tanh(integrated("candidate", units, x, h))
    C1 = f * C + i * candidate
    o = sigm(integrated("output", units, x, h))
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def multiplicative_lstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The multiplicative LSTM: each input has its own recurrent matrix (Krause et al. 2017, eqs. 17 to 24).

    m = (x W_x) ⊙ (h' W_h)
    ĥ = tanh(x W_x + m W_m + b)                  i, f, o = σ(x W_x + m W_m + b)
    C = f ⊙ C' + i ⊙ ĥ
    h = o ⊙ tanh(C)

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h. With a bias, as in PyTorch's LSTM; the
    paper writes none. Its h = tanh(C) ⊙ o is of the later version; the first had tanh(C ⊙ o).
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    m = MULTIPLY(units, name="m")(x, h)
    candidate = TANH(units, name="candidate")(x, m)
    i = SIGM(units, name="input")(x, m)
    f = SIGM(units, name="forget", init={"b": 1.0})(x, m)
    o = SIGM(units, name="output")(x, m)
    C1 = f * C + i * candidate
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def sub_lstm(inputs: int, units: int, name: str | None = None) -> Cell:
    """The subtractive LSTM: gates inhibit, as in cortical circuits (Costa et al. 2017, eqs. 7 to 9).

    i, f, z, o = σ(x W_x + h' W_h + b)
    C = f ⊙ C' + z - i
    h = σ(C) - o

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    f = SIGM(units, name="forget", init={"b": 1.0})(x, h)
    z = SIGM(units, name="candidate")(x, h)
    i = SIGM(units, name="input")(x, h)
    o = SIGM(units, name="output")(x, h)
    C1 = f * C + z - i
    h1 = sigm(C1) - o
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def janet(inputs: int, units: int, name: str | None = None, beta: float = 1.0) -> Cell:
    """JANET, just another network: the forget gate alone (van der Westhuizen and Lasenby 2018, eqs. 5).

    s = x W_x + h' W_h + b
    h = σ(s) ⊙ h' + (1 - σ(s - β)) ⊙ tanh(x W_x + h' W_h + b)          β is a number

    Input x ``(batch, inputs)``, state and output h ``(batch, units)``; C and h are one.
    """
    x = input("x", inputs)
    h = state("h", units)
    s = ADD(units, name="forget", init={"b": 1.0})(x, h)
    candidate = TANH(units, name="candidate")(x, h)
    h1 = sigm(s) * h + (1 - sigm(s - beta)) * candidate
    return Cell(states={h: h1}, outputs=h1, name=name)


def nas_cell(inputs: int, units: int, name: str | None = None) -> Cell:
    """The cell that a search with reinforcement found (Zoph and Le 2017, fig. 8 and appendix A; as in TensorFlow).

    n_k = (x W_x, h' W_h), k = 0 … 7              b where they are added
    l₀ = tanh(σ(n₀) ⊙ max(n₁, 0))                l₁ = tanh(σ(n₂) + max(x W_x ⊙ h' W_h, 0))
    l₂ = tanh(tanh(n₄) ⊙ σ(n₅))                  l₃ = σ(tanh(n₆) + σ(n₇))
    C = tanh(l₀ + C') ⊙ l₁
    h = tanh(C ⊙ tanh(l₂ + l₃))

    Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    n = [MULTIPLY(units, name="n_3") if k == 3 else ADD(units, name=f"n_{k}") for k in range(8)]
    n0, n1, n2, n3, n4, n5, n6, n7 = (brick(x, h) for brick in n)
    l0 = tanh(sigm(n0) * relu(n1))
    l1 = tanh(sigm(n2) + relu(n3))
    l2 = tanh(tanh(n4) * sigm(n5))
    l3 = sigm(tanh(n6) + sigm(n7))
    C1 = tanh(l0 + C) * l1
    h1 = tanh(C1 * tanh(l2 + l3))
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
