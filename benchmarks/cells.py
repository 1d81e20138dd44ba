"""The measured cells, as a user of blocks writes them; `peers` has the same in other frameworks."""

import blocks as bk


def lstm(inputs, units):
    return bk.cells.lstm(inputs, units)


def gru(inputs, units):
    return bk.cells.gru(inputs, units)


def peephole(inputs, units):
    """The LSTM with peepholes (Gers 2002): input and forget gate see the old C, the output gate the new."""
    x, h, C = bk.input("x", inputs), bk.state("h", units), bk.state("C", units)

    def gate(name, c):
        peep = bk.ADD(units, name=f"{name}_peep", weights="diagonal", bias=False)(c)
        return bk.sigm(bk.ADD(units, name=name)(x, h) + peep)

    C1 = gate("forget", C) * C + gate("input", C) * bk.TANH(units, name="candidate")(x, h)
    h1 = gate("output", C1) * bk.tanh(C1)
    return bk.Cell(states={h: h1, C: C1}, outputs=h1)


def multiplicative(inputs, units):
    """The LSTM with multiplicative integration (Wu 2016, eq. 4): α ⊙ Wx ⊙ Uh + β₁ ⊙ Uh + β₂ ⊙ Wx + b."""
    x, h, C = bk.input("x", inputs), bk.state("h", units), bk.state("C", units)

    def net(name):
        wx = bk.ADD(units, name=f"{name}_W", bias=False)(x)
        uh = bk.ADD(units, name=f"{name}_U", bias=False)(h)
        alpha, beta1, beta2, b = (bk.parameter(f"{name}.{k}", units, init=1.0) for k in ("a", "b1", "b2", "b"))
        return alpha * wx * uh + beta1 * uh + beta2 * wx + b

    C1 = bk.sigm(net("forget")) * C + bk.sigm(net("input")) * bk.tanh(net("candidate"))
    h1 = bk.sigm(net("output")) * bk.tanh(C1)
    return bk.Cell(states={h: h1, C: C1}, outputs=h1)


def min_gru(inputs, units):
    """The minimal GRU (Feng 2024, section 3.1): gate and candidate see the input alone."""
    x, h = bk.input("x", inputs), bk.state("h", units)
    z = bk.SIGM(units, name="update")(x)
    h1 = (1.0 - z) * h + z * bk.ADD(units, name="candidate")(x)
    return bk.Cell(states={h: h1}, outputs=h1)


KEYS = 16


def matrix_memory(inputs, units):
    """A matrix memory (Beck 2024, eq. 19 to 27, without the normaliser): C = f C + i v kᵀ, h = o ⊙ C q."""
    x, C = bk.input("x", inputs), bk.state("C", units, KEYS)
    f, i = (bk.reshape(bk.SIGM(1, name=name)(x), shape=("batch", 1, 1)) for name in ("forget", "input"))
    k, v = bk.ADD(KEYS, name="key")(x), bk.ADD(units, name="value")(x)
    written = bk.reshape(v, shape=("batch", units, 1)) * bk.reshape(k, shape=("batch", 1, KEYS))
    C1 = f * C + i * written
    h1 = bk.SIGM(units, name="output")(x) * bk.matvec(C1, bk.ADD(KEYS, name="query")(x))
    return bk.Cell(states={C: C1}, outputs=h1)


def odd(inputs, units):
    """A cell that no library has: a leak, a product of two nets, and a quotient as the output."""
    x, h, s = bk.input("x", inputs), bk.state("h", units), bk.state("s", units)
    leak = bk.SIGM(units, name="leak")(x, s)
    net = bk.ADD(units, name="net")(x, h)
    s1 = leak * s + (1.0 - leak) * bk.tanh(bk.MULTIPLY(units, name="product")(x, h) + net)
    h1 = s1 / (1.0 + bk.abs(net))
    return bk.Cell(states={h: h1, s: s1}, outputs=h1)


CELLS = {
    "lstm": lstm,
    "gru": gru,
    "peephole": peephole,
    "multiplicative": multiplicative,
    "min_gru": min_gru,
    "matrix_memory": matrix_memory,
    "odd": odd,
}
