"""One cell written in many ways, and cells that are almost the same."""

from __future__ import annotations

from collections.abc import Callable

import blocks as bk

Made = Callable[[int, int], bk.Cell]
WAYS: dict[str, tuple[str, Made]] = {}  # what it is → the operator that it becomes, and the cell
MISSES: dict[str, Made] = {}


def way(what: str, operator: str) -> Callable[[Made], Made]:
    def keep(make: Made) -> Made:
        WAYS[what] = operator, make
        return make

    return keep


def miss(what: str) -> Callable[[Made], Made]:
    def keep(make: Made) -> Made:
        MISSES[what] = make
        return make

    return keep


def states(n: int, *names: str) -> list[bk.Node]:
    return [bk.state(name, n) for name in names]


def net(name: str, x: bk.Node, h: bk.Node, n: int, bias: bool = True) -> bk.Node:
    """x W + h U + b in the order of a person who begins with the bias."""
    w, u = bk.parameter(f"{name}.in", int(x.shape[-1]), n), bk.parameter(f"{name}.back", n, n)
    return (bk.parameter(f"{name}.offset", n) + h @ u) + x @ w if bias else h @ u + x @ w


WAYS |= {
    name: (operator, getattr(bk.cells, name))
    for name, operator in (
        ("lstm", "LSTM"),
        ("lstm_peephole", "LSTM"),
        ("gru", "GRU"),
        ("gru_reset_after", "GRU"),
        ("srn", "RNN"),
        ("irnn", "RNN"),
    )
}


@way("an LSTM under other names, its gates misnamed, its states the other way round", "LSTM")
def misnamed(inputs: int, n: int) -> bk.Cell:
    u, (memory, out) = bk.input("u", inputs), states(n, "h", "c")
    new = bk.TANH(n, name="forget")(u, out) * bk.SIGM(n, name="output")(u, out)
    new = new + memory * bk.SIGM(n, name="candidate")(u, out)
    after = bk.tanh(new) * bk.SIGM(n, name="input")(u, out)
    return bk.Cell(states={memory: new, out: after}, outputs={"result": after})


@way("an LSTM without biases", "LSTM")
def unbiased(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    f, i, o = (bk.SIGM(n, name=k, bias=False)(x, h) for k in "fio")
    new = f * c + i * bk.TANH(n, name="g", bias=False)(x, h)
    after = o * bk.tanh(new)
    return bk.Cell(states={h: after, c: new}, outputs=after)


@way("an LSTM of parameters, with brackets of its own", "LSTM")
def bracketed(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    f, i, o = (bk.sigm(net(k, x, h, n, bias=k != "i")) for k in "fio")
    new = -(-(bk.tanh(net("g", x, h, n)) * i) - c * f)
    after = bk.tanh(new) * o
    return bk.Cell(states={h: after, c: new}, outputs=after)


@way("an LSTM with packed weights", "LSTM")
def packed(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    whole = x @ bk.parameter("W", inputs, 4 * n) + h @ bk.parameter("U", n, 4 * n) + bk.parameter("b", 4 * n)
    gates = bk.sigm(whole[:, : 3 * n])
    new = gates[:, :n] * c + gates[:, n : 2 * n] * bk.tanh(whole[:, 3 * n :])
    after = gates[:, 2 * n :] * bk.tanh(new)
    return bk.Cell(states={h: after, c: new}, outputs=after)


@way("an LSTM that sees input and state side by side", "LSTM")
def side_by_side(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    z = bk.concat(h, x)
    f, i, o, g = (z @ bk.parameter(f"W_{k}", n + inputs, n) + bk.parameter(f"b_{k}", n) for k in "fiog")
    new = bk.sigm(f) * c + bk.sigm(i) * bk.tanh(g)
    after = bk.sigm(o) * bk.tanh(new)
    return bk.Cell(states={h: after, c: new}, outputs=after)


@way("an LSTM with turned weights and two biases, as PyTorch has them", "LSTM")
def two_biases(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")

    def gate(k: str) -> bk.Node:
        w, u = bk.parameter(f"{k}.w_ih", n, inputs), bk.parameter(f"{k}.w_hh", n, n)
        first = x @ bk.transpose(w) + bk.parameter(f"{k}.b_ih", n)
        return first + (h @ bk.transpose(u) + bk.parameter(f"{k}.b_hh", n))

    new = bk.sigm(gate("f")) * c + bk.sigm(gate("i")) * bk.tanh(gate("g"))
    after = bk.sigm(gate("o")) * bk.tanh(new)
    return bk.Cell(states={h: after, c: new}, outputs=after)


@way("an LSTM with thresholds, whose memory is written twice", "LSTM")
def twice(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    net_of = {k: bk.ADD(n, name=k, bias=False)(x, h) - bk.parameter(f"{k}.threshold", n) for k in "fiog"}

    def memory() -> bk.Node:
        return bk.sigm(net_of["i"]) * bk.tanh(net_of["g"]) + bk.sigm(net_of["f"]) * c

    after = bk.sigm(net_of["o"]) * bk.tanh(memory())
    return bk.Cell(states={h: after, c: memory()}, outputs=after)


@way("an LSTM with one peephole", "LSTM")
def one_peephole(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    f, i = bk.SIGM(n, name="f")(x, h), bk.SIGM(n, name="i")(x, h)
    new = f * c + i * bk.TANH(n, name="g")(x, h)
    o = bk.sigm(bk.parameter("p", n) * new + bk.ADD(n, name="o")(x, h))
    after = o * bk.tanh(new)
    return bk.Cell(states={h: after, c: new}, outputs=after)


@way("a GRU whose gate is turned", "GRU")
def turned(inputs: int, n: int) -> bk.Cell:
    x, (h,) = bk.input("x", inputs), states(n, "h")
    r, z = bk.SIGM(n, name="z")(x, h), bk.SIGM(n, name="r")(x, h)
    candidate = bk.tanh(net("c", x, h * r, n))
    after = h * (1 - z) + candidate * z
    return bk.Cell(states={h: after}, outputs=after)


@way("a GRU as a step towards its candidate", "GRU")
def towards(inputs: int, n: int) -> bk.Cell:
    x, (h,) = bk.input("x", inputs), states(n, "h")
    r, z = bk.SIGM(n, name="r")(x, h), bk.SIGM(n, name="z")(x, h)
    candidate = bk.tanh(net("c", x, h * r, n, bias=False))
    after = h + (1.0 - z) * (candidate - h)
    return bk.Cell(states={h: after}, outputs=after)


@way("a GRU with the reset after the product, turned, one bias missing", "GRU")
def after_product(inputs: int, n: int) -> bk.Cell:
    x, (h,) = bk.input("x", inputs), states(n, "state")
    r, z = bk.SIGM(n, name="r")(h, x), bk.SIGM(n, name="z", bias=False)(x, h)
    candidate = bk.tanh(bk.ADD(n, name="back")(h) * r + bk.ADD(n, name="c", bias=False)(x))
    after = z * (candidate - h) + h
    return bk.Cell(states={h: after}, outputs=after)


@way("an RNN of parameters", "RNN")
def plain(inputs: int, n: int) -> bk.Cell:
    x, (h,) = bk.input("x", inputs), states(n, "s")
    after = bk.tanh(net("a", x, h, n))
    return bk.Cell(states={h: after}, outputs=after)


# --- near misses ---------------------------------------------------------------------------------


def _lstm(inputs: int, n: int, **changed: Callable[..., bk.Node]) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    f, i, o = (bk.SIGM(n, name=k)(x, h) for k in "fio")
    g = changed.get("candidate", bk.tanh)(bk.ADD(n, name="g")(x, h))
    f, i = changed.get("gates", lambda f, i: (f, i))(f, i)
    new = f * c + i * g
    o = changed.get("gate", lambda o, c: o)(o, c)
    after = o * changed.get("squash", bk.tanh)(new)
    return bk.Cell(states={h: after, c: new}, outputs=changed.get("output", lambda h, c: h)(after, new))


@miss("h from C without its tanh")
def without_tanh(inputs: int, n: int) -> bk.Cell:
    return _lstm(inputs, n, squash=lambda c: c)


@miss("a candidate by σ")
def candidate_by_sigm(inputs: int, n: int) -> bk.Cell:
    return _lstm(inputs, n, candidate=bk.sigm)


@miss("a peephole on the old C at the output")
def old_peephole(inputs: int, n: int) -> bk.Cell:
    x, (h, c) = bk.input("x", inputs), states(n, "h", "C")
    f, i = bk.SIGM(n, name="f")(x, h), bk.SIGM(n, name="i")(x, h)
    new = f * c + i * bk.TANH(n, name="g")(x, h)
    o = bk.SIGM(n, name="o", weights={"C": "diagonal"})(x, h, c)
    after = o * bk.tanh(new)
    return bk.Cell(states={h: after, c: new}, outputs=after)


@miss("a GRU whose candidate sees h both reset and whole")
def both(inputs: int, n: int) -> bk.Cell:
    x, (h,) = bk.input("x", inputs), states(n, "h")
    r, z = bk.SIGM(n, name="r")(x, h), bk.SIGM(n, name="z")(x, h)
    candidate = bk.tanh(net("c", x, r * h, n) + h @ bk.parameter("again", n, n))
    after = z * h + (1 - z) * candidate
    return bk.Cell(states={h: after}, outputs=after)


@miss("coupled gates")
def coupled(inputs: int, n: int) -> bk.Cell:
    return _lstm(inputs, n, gates=lambda f, i: (f, 1 - f))


@miss("gates that are one and the same in f and i, but half as large")
def halved(inputs: int, n: int) -> bk.Cell:
    return _lstm(inputs, n, gates=lambda f, i: (0.5 * f, i))


@miss("an LSTM that gives its memory")
def gives_memory(inputs: int, n: int) -> bk.Cell:
    return _lstm(inputs, n, output=lambda h, c: {"h": h, "memory": c})


@miss("an update gate that is not the same in both places")
def two_gates(inputs: int, n: int) -> bk.Cell:
    x, (h,) = bk.input("x", inputs), states(n, "h")
    r, z, y = (bk.SIGM(n, name=k)(x, h) for k in "rzy")
    after = z * h + (1 - y) * bk.tanh(net("c", x, r * h, n))
    return bk.Cell(states={h: after}, outputs=after)


@miss("an RNN with a diagonal of recurrent weights")
def diagonal(inputs: int, n: int) -> bk.Cell:
    x, (h,) = bk.input("x", inputs), states(n, "h")
    after = bk.TANH(n, name="a", weights={"h": "diagonal"})(x, h)
    return bk.Cell(states={h: after}, outputs=after)
