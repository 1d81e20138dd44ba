"""The measured cells, as a user of each framework writes them; each is a step function over dicts of weights.

`gates` names the weights: for each gate W (inputs × units), U (units × units) and b.
"""

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


CELLS = {"lstm": lstm, "gru": gru, "peephole": peephole, "multiplicative": multiplicative}
