"""The variants of the LSTM that were compared in *LSTM: a search space odyssey* (Greff et al. 2017).

Each is the LSTM with peepholes (`lstm_peephole`, their vanilla one) but for one thing; NP, without peepholes, is
`lstm`. Input x ``(batch, inputs)``; states h and C ``(batch, units)``; output h.
"""

from ..bricks import ADD, SIGM, TANH
from ..cell import Cell
from ..ops.elementwise import tanh
from ..wires import input, named, state


def lstm_nig(inputs: int, units: int, name: str | None = None) -> Cell:
    """NIG: no input gate (Greff et al. 2017, section III).

    f = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    z = tanh(x W_x + h' W_h + b)
    C = f ⊙ C' + z
    o = σ(x W_x + h' W_h + C ⊙ W_C + b)
    h = o ⊙ tanh(C)
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, h, C)
    z = TANH(units, name="candidate")(x, h)
    C1 = named("C", f * C + z)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, h, C1)
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def lstm_nfg(inputs: int, units: int, name: str | None = None) -> Cell:
    """NFG: no forget gate (Greff et al. 2017, section III).

    i = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    z = tanh(x W_x + h' W_h + b)
    C = C' + i ⊙ z
    o = σ(x W_x + h' W_h + C ⊙ W_C + b)
    h = o ⊙ tanh(C)
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    i = SIGM(units, name="input", weights={"C": "diagonal"})(x, h, C)
    z = TANH(units, name="candidate")(x, h)
    C1 = named("C", C + i * z)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, h, C1)
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def lstm_nog(inputs: int, units: int, name: str | None = None) -> Cell:
    """NOG: no output gate (Greff et al. 2017, section III).

    i = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    f = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    z = tanh(x W_x + h' W_h + b)
    C = f ⊙ C' + i ⊙ z
    h = tanh(C)
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    i = SIGM(units, name="input", weights={"C": "diagonal"})(x, h, C)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, h, C)
    z = TANH(units, name="candidate")(x, h)
    C1 = named("C", f * C + i * z)
    h1 = tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def lstm_niaf(inputs: int, units: int, name: str | None = None) -> Cell:
    """NIAF: no function on the input (Greff et al. 2017, section III).

    i = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    f = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    z = x W_x + h' W_h + b
    C = f ⊙ C' + i ⊙ z
    o = σ(x W_x + h' W_h + C ⊙ W_C + b)
    h = o ⊙ tanh(C)
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    i = SIGM(units, name="input", weights={"C": "diagonal"})(x, h, C)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, h, C)
    z = ADD(units, name="candidate")(x, h)
    C1 = named("C", f * C + i * z)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, h, C1)
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def lstm_noaf(inputs: int, units: int, name: str | None = None) -> Cell:
    """NOAF: no function on the output (Greff et al. 2017, section III).

    i = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    f = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    z = tanh(x W_x + h' W_h + b)
    C = f ⊙ C' + i ⊙ z
    o = σ(x W_x + h' W_h + C ⊙ W_C + b)
    h = o ⊙ C
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    i = SIGM(units, name="input", weights={"C": "diagonal"})(x, h, C)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, h, C)
    z = TANH(units, name="candidate")(x, h)
    C1 = named("C", f * C + i * z)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, h, C1)
    h1 = o * C1
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def cifg(inputs: int, units: int, name: str | None = None) -> Cell:
    """CIFG: input and forget gate coupled, as in a GRU (Greff et al. 2017, section III).

    f = σ(x W_x + h' W_h + C' ⊙ W_C + b)
    z = tanh(x W_x + h' W_h + b)
    C = f ⊙ C' + (1 - f) ⊙ z
    o = σ(x W_x + h' W_h + C ⊙ W_C + b)
    h = o ⊙ tanh(C)
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, h, C)
    z = TANH(units, name="candidate")(x, h)
    C1 = named("C", f * C + (1 - f) * z)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, h, C1)
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1}, outputs=h1, name=name)


def lstm_fgr(inputs: int, units: int, name: str | None = None) -> Cell:
    """FGR: full gate recurrence, every gate sees every gate one step before (Greff et al. 2017, section III).

    i = σ(x W_x + h' W_h + i' W_i + f' W_f + o' W_o + C' ⊙ W_C + b)
    f = σ(x W_x + h' W_h + i' W_i + f' W_f + o' W_o + C' ⊙ W_C + b)
    z = tanh(x W_x + h' W_h + b)
    C = f ⊙ C' + i ⊙ z
    o = σ(x W_x + h' W_h + i' W_i + f' W_f + o' W_o + C ⊙ W_C + b)
    h = o ⊙ tanh(C)

    The gates are states as well, i, f and o ``(batch, units)``: nine matrices more.
    """
    x = input("x", inputs)
    h, C = state("h", units), state("C", units)
    gates = [state(gate, units) for gate in ("i", "f", "o")]
    i = SIGM(units, name="input", weights={"C": "diagonal"})(x, h, *gates, C)
    f = SIGM(units, name="forget", weights={"C": "diagonal"}, init={"b": 1.0})(x, h, *gates, C)
    z = TANH(units, name="candidate")(x, h)
    C1 = named("C", f * C + i * z)
    o = SIGM(units, name="output", weights={"C": "diagonal"})(x, h, *gates, C1)
    h1 = o * tanh(C1)
    return Cell(states={h: h1, C: C1, **dict(zip(gates, (i, f, o), strict=True))}, outputs=h1, name=name)
