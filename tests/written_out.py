"""One step of the gallery's cells in plain NumPy, from the papers' equations: what the cells are compared with.

``STEPS[name](W, x, s)`` takes the weights by name, the input ``(batch, inputs)``, the states by name, and gives the
output and the new states. Nothing here knows blocks.
"""

import numpy as np

STEPS = {}


def step(function):
    STEPS[function.__name__] = function
    return function


def sigm(z):
    return 1 / (1 + np.exp(-z))


def softplus(z):
    return np.log1p(np.exp(z))


def relu(z):
    return z * (z > 0)


class Net:
    """``net("forget", x=x, h=h)``: the net input x W_x + h W_h + b of one brick, products or, of vectors, ⊙."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, brick, **wires):
        total = self.weights.get(f"{brick}.b", 0.0)
        for name, wire in wires.items():
            w = self.weights[f"{brick}.W_{name}"]
            total = total + (wire @ w if w.ndim == 2 else wire * w)
        return total

    def __getitem__(self, name):
        return self.weights[name]


@step
def srn(n, x, s):
    h = np.tanh(n("hidden", x=x, h=s["h"]))
    return h, {"h": h}


@step
def jordan(n, x, s):
    y = sigm(n("out", h=sigm(n("hidden", x=x, y=s["y"]))))
    return y, {"y": y}


@step
def leaky_srn(n, x, s):
    h = 0.7 * s["h"] + 0.3 * np.tanh(n("hidden", x=x, h=s["h"]))
    return h, {"h": h}


@step
def irnn(n, x, s):
    h = relu(n("hidden", x=x, h=s["h"]))
    return h, {"h": h}


indrnn = step(type(irnn)(irnn.__code__, globals(), "indrnn"))


def integrated(n, gate, x, h):
    wx, uh = x @ n[f"{gate}_forward.W_x"], h @ n[f"{gate}_recurrent.W_h"]
    alpha, beta1, beta2 = (n[f"{gate}.W_{gate}_{part}"] for part in ("both", "recurrent", "forward"))
    return alpha * wx * uh + beta1 * uh + beta2 * wx + n[f"{gate}.b"]


@step
def mi_rnn(n, x, s):
    h = np.tanh(integrated(n, "hidden", x, s["h"]))
    return h, {"h": h}


@step
def multiplicative_rnn(n, x, s):
    f = (x @ n["factor.W_x"]) * (s["h"] @ n["factor.W_h"])
    h = np.tanh(n("hidden", x=x, factor=f))
    return h, {"h": h}


@step
def scrn(n, x, s):
    c = 0.05 * (x @ n["context.W_x"]) + 0.95 * s["s"]
    h = sigm(n("hidden", s=c, x=x, h=s["h"]))
    return n("out", h=h, s=c), {"s": c, "h": h}


@step
def fast_rnn(n, x, s):
    h = sigm(n["alpha"]) * np.tanh(n("candidate", x=x, h=s["h"])) + sigm(n["beta"]) * s["h"]
    return h, {"h": h}


@step
def ugrnn(n, x, s):
    g = sigm(n("gate", x=x, h=s["h"]))
    h = g * s["h"] + (1 - g) * np.tanh(n("candidate", x=x, h=s["h"]))
    return h, {"h": h}


@step
def intersection_rnn(n, x, s):
    wires = {"x": x, "h": s["h"]}
    g, k = sigm(n("up_gate", **wires)), sigm(n("gate", **wires))
    y = g * (x @ n["through.W_x"]) + (1 - g) * relu(n("up", **wires))
    return y, {"h": k * s["h"] + (1 - k) * np.tanh(n("candidate", **wires))}


@step
def chaos_free(n, x, s):
    wires = {"x": x, "h": s["h"]}
    h = sigm(n("forget", **wires)) * np.tanh(s["h"]) + sigm(n("input", **wires)) * np.tanh(n("candidate", x=x))
    return h, {"h": h}


@step
def ran(n, x, s):
    wires = {"x": x, "h": s["h"]}
    c = sigm(n("input", **wires)) * n("content", x=x) + sigm(n("forget", **wires)) * s["c"]
    return np.tanh(c), {"h": np.tanh(c), "c": c}


@step
def recurrent_highway(n, x, s):
    h = s["h"]
    t = sigm(n("gate_1", x=x, h=h))
    h = np.tanh(n("transform_1", x=x, h=h)) * t + h * (1 - t)
    t = sigm(n("gate_2", s_1=h))
    h = np.tanh(n("transform_2", s_1=h)) * t + h * (1 - t)
    return h, {"h": h}


@step
def lstm(n, x, s):
    wires = {"x": x, "h": s["h"]}
    C = sigm(n("forget", **wires)) * s["C"] + sigm(n("input", **wires)) * np.tanh(n("candidate", **wires))
    h = sigm(n("output", **wires)) * np.tanh(C)
    return h, {"h": h, "C": C}


@step
def lstm_1997(n, x, s):
    z = np.concatenate([s["h"], s["i"], s["o"]], axis=-1)
    i, o = sigm(n("input", x=x, z=z)), sigm(n("output", x=x, z=z))
    C = s["C"] + i * (4 * sigm(n("candidate", x=x, z=z)) - 2)
    h = o * (2 * sigm(C) - 1)
    return h, {"h": h, "C": C, "i": i, "o": o}


def variant(name, change):
    """An LSTM with peepholes, but for what `change` gives; parts: i, f, o gates, z input, g function of the output."""

    def cell(n, x, s):
        wires = {"x": x, "h": s["h"]}
        if change.get("recurrence"):
            wires |= {gate: s[gate] for gate in ("i", "f", "o")}
        z = change.get("z", np.tanh)(n("candidate", x=x, h=s["h"]))
        f = change["f"] if "f" in change else sigm(n("forget", **wires, C=s["C"]))
        i = change["i"](f) if "i" in change else sigm(n("input", **wires, C=s["C"]))
        C = f * s["C"] + i * z
        o = change["o"] if "o" in change else sigm(n("output", **wires, C=C))
        h = o * change.get("g", np.tanh)(C)
        return h, {"h": h, "C": C} | ({"i": i, "f": f, "o": o} if change.get("recurrence") else {})

    STEPS[name] = cell


def itself(z):
    return z


variant("lstm_peephole", {})
variant("lstm_nig", {"i": lambda f: 1.0})
variant("lstm_nfg", {"f": 1.0})
variant("lstm_nog", {"o": 1.0})
variant("lstm_niaf", {"z": itself})
variant("lstm_noaf", {"g": itself})
variant("cifg", {"i": lambda f: 1 - f})
variant("lstm_fgr", {"recurrence": True})


def normalised(z):
    centred = z - z.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


@step
def lstm_layernorm(n, x, s):
    z = normalised(s["h"] @ n["recurrent.W_h"]) * n["norm_h.gain"]
    z = z + normalised(x @ n["input.W_x"]) * n["norm_x.gain"] + n["norm_x.b"]
    f, i, o, g = np.split(z, 4, axis=-1)
    C = sigm(f) * s["C"] + sigm(i) * np.tanh(g)
    h = sigm(o) * np.tanh(normalised(C) * n["norm_C.gain"] + n["norm_C.b"])
    return h, {"h": h, "C": C}


@step
def lstm_projected(n, x, s):
    wires = {"x": x, "r": s["r"]}
    i, f = sigm(n("input", **wires, C=s["C"])), sigm(n("forget", **wires, C=s["C"]))
    C = f * s["C"] + i * np.tanh(n("candidate", **wires))
    r = n("projection", m=sigm(n("output", **wires, C=C)) * np.tanh(C))
    return r, {"r": r, "C": C}


@step
def lstm_working_memory(n, x, s):
    wires = {"x": x, "h": s["h"]}
    i, f = (sigm(n(g, **wires) + np.tanh(n(f"{g}_memory", C=s["C"]))) for g in ("input", "forget"))
    C = f * s["C"] + i * np.tanh(n("candidate", **wires))
    h = sigm(n("output", **wires) + np.tanh(n("output_memory", C=C))) * np.tanh(C)
    return h, {"h": h, "C": C}


@step
def mi_lstm(n, x, s):
    f, i, c, o = (integrated(n, gate, x, s["h"]) for gate in ("forget", "input", "candidate", "output"))
    C = sigm(f) * s["C"] + sigm(i) * np.tanh(c)
    h = sigm(o) * np.tanh(C)
    return h, {"h": h, "C": C}


@step
def multiplicative_lstm(n, x, s):
    wires = {"x": x, "m": (x @ n["m.W_x"]) * (s["h"] @ n["m.W_h"])}
    C = sigm(n("forget", **wires)) * s["C"] + sigm(n("input", **wires)) * np.tanh(n("candidate", **wires))
    h = sigm(n("output", **wires)) * np.tanh(C)
    return h, {"h": h, "C": C}


@step
def sub_lstm(n, x, s):
    f, z, i, o = (sigm(n(gate, x=x, h=s["h"])) for gate in ("forget", "candidate", "input", "output"))
    C = f * s["C"] + z - i
    h = sigm(C) - o
    return h, {"h": h, "C": C}


@step
def janet(n, x, s):
    f = n("forget", x=x, h=s["h"])
    h = sigm(f) * s["h"] + (1 - sigm(f - 1.0)) * np.tanh(n("candidate", x=x, h=s["h"]))
    return h, {"h": h}


@step
def nas_cell(n, x, s):
    wires = {"x": x, "h": s["h"]}
    a = [n(f"n_{k}", **wires) for k in (0, 1, 2)]
    a += [(x @ n["n_3.W_x"]) * (s["h"] @ n["n_3.W_h"])] + [n(f"n_{k}", **wires) for k in (4, 5, 6, 7)]
    first = np.tanh(sigm(a[0]) * relu(a[1]))
    second = np.tanh(sigm(a[2]) + relu(a[3]))
    third = np.tanh(np.tanh(a[4]) * sigm(a[5]))
    fourth = sigm(np.tanh(a[6]) + sigm(a[7]))
    C = np.tanh(first + s["C"]) * second
    h = np.tanh(C * np.tanh(third + fourth))
    return h, {"h": h, "C": C}


def gated(name, nets, keeps):
    """A GRU whose reset and update have the net inputs that `nets` gives; `keeps`: the update keeps the old state."""

    def cell(n, x, s):
        r, z = (sigm(net) for net in nets(n, x, s["h"]))
        candidate = np.tanh(n("candidate", x=x, h=r * s["h"]))
        h = z * s["h"] + (1 - z) * candidate if keeps else z * candidate + (1 - z) * s["h"]
        return h, {"h": h}

    STEPS[name] = cell


gated("gru", lambda n, x, h: (n("reset", x=x, h=h), n("update", x=x, h=h)), keeps=True)
gated("gru1", lambda n, x, h: (n("reset", h=h), n("update", h=h)), keeps=False)
gated("gru2", lambda n, x, h: (h @ n["reset.W_h"], h @ n["update.W_h"]), keeps=False)
gated("gru3", lambda n, x, h: (n["reset"], n["update"]), keeps=False)
gated("mut3", lambda n, x, h: (n("reset", x=x, h=h), n("update", x=x, h=np.tanh(h))), keeps=False)
gated("mut2", lambda n, x, h: (x @ n["through.W_x"] + n("reset", h=h), n("update", x=x, h=h)), keeps=False)
gated("mgu", lambda n, x, h: [n("forget", x=x, h=h)] * 2, keeps=False)


@step
def mut1(n, x, s):
    z, r = sigm(n("update", x=x)), sigm(n("reset", x=x, h=s["h"]))
    h = np.tanh(n("candidate", h=r * s["h"]) + np.tanh(x @ n["through.W_x"])) * z + s["h"] * (1 - z)
    return h, {"h": h}


@step
def gru_reset_after(n, x, s):
    r, z = sigm(n("reset", x=x, h=s["h"])), sigm(n("update", x=x, h=s["h"]))
    h = z * s["h"] + (1 - z) * np.tanh(n("candidate", x=x) + r * n("recurrent", h=s["h"]))
    return h, {"h": h}


@step
def mi_gru(n, x, s):
    r, z = sigm(integrated(n, "reset", x, s["h"])), sigm(integrated(n, "update", x, s["h"]))
    h = (1 - z) * s["h"] + z * np.tanh(integrated(n, "candidate", x, r * s["h"]))
    return h, {"h": h}


@step
def li_gru(n, x, s):
    z = sigm(n("update", x=x, h=s["h"]))
    h = z * s["h"] + (1 - z) * relu(n("candidate", x=x, h=s["h"]))
    return h, {"h": h}


@step
def nbrc(n, x, s):
    c = sigm(n("update", x=x, h=s["h"]))
    a = 1 + np.tanh(n("feedback", x=x, h=s["h"]))
    h = c * s["h"] + (1 - c) * np.tanh(n("candidate", x=x) + a * s["h"])
    return h, {"h": h}


brc = step(type(nbrc)(nbrc.__code__, globals(), "brc"))


@step
def atr(n, x, s):
    p, q = x @ n["p.W_x"], n("q", h=s["h"])
    h = sigm(p + q) * p + sigm(p - q) * s["h"]
    return h, {"h": h}


@step
def star(n, x, s):
    k = sigm(n("gate", x=x, h=s["h"]))
    h = np.tanh((1 - k) * s["h"] + k * np.tanh(n("candidate", x=x)))
    return h, {"h": h}


@step
def fast_grnn(n, x, s):
    net = n("shared", x=x, h=s["h"])
    z, c = sigm(net + n["gate.b"]), np.tanh(net + n["candidate.b"])
    h = (sigm(n["zeta"]) * (1 - z) + sigm(n["nu"])) * c + z * s["h"]
    return h, {"h": h}


@step
def antisymmetric(n, x, s):
    M = n["W"] - n["W"].T - 0.1 * np.eye(len(n["W"]))
    h = s["h"] + 0.1 * np.tanh(n("candidate", x=x) + (M @ s["h"].T).T)
    return h, {"h": h}


@step
def antisymmetric_gated(n, x, s):
    M = n["W"] - n["W"].T - 0.1 * np.eye(len(n["W"]))
    a = (M @ s["h"].T).T
    h = s["h"] + 0.1 * sigm(n("gate", x=x) + a) * np.tanh(n("candidate", x=x) + a)
    return h, {"h": h}


@step
def cornn(n, x, s):
    force = np.tanh(n("force", y=s["y"], z=s["z"], x=x))
    z = s["z"] + 0.042 * (force - 2.7 * s["y"] - 4.7 * s["z"])
    y = s["y"] + 0.042 * z
    return y, {"y": y, "z": z}


@step
def lem(n, x, s):
    a, b = sigm(n("fast", y=s["y"], x=x)), sigm(n("slow", y=s["y"], x=x))
    z = (1 - a) * s["z"] + a * np.tanh(n("inner", y=s["y"], x=x))
    y = (1 - b) * s["y"] + b * np.tanh(n("outer", z=z, x=x))
    return y, {"y": y, "z": z}


@step
def lmu(n, x, s):
    d, window = s["m"].shape[-1], 20.0
    A = np.array([[(2 * i + 1) * (-1.0 if i < j else (-1.0) ** (i - j + 1)) for j in range(d)] for i in range(d)])
    B = np.array([(2 * i + 1) * (-1.0) ** i for i in range(d)])
    u = n("write", x=x, h=s["h"], m=s["m"])[:, 0]
    one = np.eye(d)  # (m - m')/1 = (A (m + m')/2 + B u) / window
    m = np.array([np.linalg.solve(one - A / (2 * window), (one + A / (2 * window)) @ old + B / window * now)
                  for old, now in zip(s["m"], u, strict=True)])  # fmt: skip
    h = np.tanh(n("hidden", x=x, h=s["h"], m=m))
    return h, {"h": h, "m": m}


@step
def sru(n, x, s):
    f = sigm(n("forget", x=x, c=s["c"]))
    r = sigm(n("reset", x=x, c=s["c"]))
    c = f * s["c"] + (1 - f) * (x @ n["candidate.W_x"])
    return r * c + (1 - r) * (x @ n["through.W_x"]), {"c": c}


@step
def qrnn(n, x, s):
    z, f, o = (n(part, x=x, p=s["p"]) for part in ("candidate", "forget", "output"))
    c = sigm(f) * s["c"] + (1 - sigm(f)) * np.tanh(z)
    return sigm(o) * c, {"c": c, "p": x}


@step
def min_gru(n, x, s):
    z = sigm(n("update", x=x))
    h = (1 - z) * s["h"] + z * n("candidate", x=x)
    return h, {"h": h}


@step
def min_lstm(n, x, s):
    f, i = sigm(n("forget", x=x)), sigm(n("input", x=x))
    h = (f * s["h"] + i * n("candidate", x=x)) / (f + i)
    return h, {"h": h}


@step
def rg_lru(n, x, s):
    a = sigm(n["decay"]) ** (8 * sigm(n("recurrence", x=x)))
    h = a * s["h"] + np.sqrt(1 - a**2) * (sigm(n("input", x=x)) * (x @ n["through.W_x"]))
    return h, {"h": h}


@step
def selective_ssm(n, x, s):
    u, delta, B, C = n("u", x=x), softplus(n("step", x=x)), n("B", x=x), n("C", x=x)
    keep = np.exp(-delta[..., None] * np.exp(n["decay"]))
    S = keep * s["S"] + np.einsum("bu,bn->bun", delta * u, B)
    return np.einsum("bun,bn->bu", S, C) + u * n["skip"], {"S": S}


@step
def slstm(n, x, s):
    """Without a stabiliser: eqs. 8 to 14; the states that it keeps are compared multiplied by exp(m)."""
    i, f = np.exp(n("input", x=x, h=s["h"])), sigm(n("forget", x=x, h=s["h"]))
    scale = np.where(np.isinf(s["m"]), 0.0, np.exp(s["m"]))
    c = f * s["c"] * scale + i * np.tanh(n("candidate", x=x, h=s["h"]))
    total = f * s["n"] * scale + i
    m = np.maximum(np.log(f) + s["m"], np.log(i))
    h = sigm(n("output", x=x, h=s["h"])) * c / total
    return h, {"h": h, "c": c / np.exp(m), "n": total / np.exp(m), "m": m}


@step
def mlstm(n, x, s):
    """Without a stabiliser: eqs. 19 to 24, the 1 of eq. 21 as printed."""
    q, k, v = (n(which, x=x) for which in ("query", "key", "value"))
    k = k / np.sqrt(k.shape[-1])
    i, f = np.exp(n("input", x=x)), sigm(n("forget", x=x))
    scale = np.where(np.isinf(s["m"]), 0.0, np.exp(s["m"]))
    C = (f * scale)[..., None] * s["C"] + np.einsum("bk,bv->bkv", i * k, v)
    total = f * scale * s["n"] + i * k
    m = np.maximum(np.log(f) + s["m"], np.log(i))
    size = np.maximum(np.abs(np.sum(total * q, axis=-1, keepdims=True)), 1.0)
    h = sigm(n("output", x=x)) * np.einsum("bkv,bk->bv", C, q) / size
    return h, {"C": C / np.exp(m)[..., None], "n": total / np.exp(m), "m": m}


def queries(n, x):
    return n("query", x=x), n("key", x=x), n("value", x=x)


@step
def linear_attention(n, x, s):
    def phi(a):
        return np.where(a > 0, a + 1, np.exp(a))

    q, k, v = queries(n, x)
    S = s["S"] + np.einsum("bk,bv->bkv", phi(k), v)
    total = s["n"] + phi(k)
    h = np.einsum("bkv,bk->bv", S, phi(q)) / np.sum(total * phi(q), axis=-1, keepdims=True)
    return h, {"S": S, "n": total}


@step
def retention(n, x, s):
    q, k, v = queries(n, x)
    S = 0.9 * s["S"] + np.einsum("bk,bv->bkv", k / np.sqrt(k.shape[-1]), v)
    return np.einsum("bkv,bk->bv", S, q), {"S": S}


@step
def gated_linear_attention(n, x, s):
    q, k, v = queries(n, x)
    S = sigm(n("forget", x=x))[..., None] ** (1 / 16) * s["S"]
    S = S + np.einsum("bk,bv->bkv", k / np.sqrt(k.shape[-1]), v)
    return np.einsum("bkv,bk->bv", S, q), {"S": S}


@step
def delta_net(n, x, s):
    q, k, v = queries(n, x)
    q, k = (a / np.sqrt((a**2).sum(axis=-1, keepdims=True) + 1e-6) for a in (q, k))
    b = sigm(n("rate", x=x))
    forgets = np.eye(k.shape[-1]) - b[..., None] * np.einsum("bi,bj->bij", k, k)
    S = forgets @ s["S"] + np.einsum("bk,bv->bkv", b * k, v)
    return np.einsum("bkv,bk->bv", S, q), {"S": S}


@step
def rwkv(n, x, s):
    """Eqs. 16 to 19 as printed, without the scale; the states are compared multiplied by exp(p)."""
    r, k, v = (x @ n[f"{which}.W_x"] for which in ("receptance", "key", "value"))
    scale = np.where(np.isinf(s["p"]), 0.0, np.exp(s["p"]))
    w, now = np.exp(-np.exp(n["decay"])), np.exp(n["bonus"] + k)
    a, b = s["a"] * scale, s["b"] * scale
    wkv = (a + now * v) / (b + now)
    a, b = w * a + np.exp(k) * v, w * b + np.exp(k)
    p = np.maximum(s["p"] - np.exp(n["decay"]), k)
    return (sigm(r) * wkv) @ n["out.W_wkv"], {"a": a / np.exp(p), "b": b / np.exp(p), "p": p}
