"""The same cells in other frameworks: PyTorch (fused, as a loop, TorchScript) and JAX (lax.scan).

Every function returns a callable that computes the loss Σ h ⊙ D and all parameter gradients, or None with a
reason where the framework is missing.
"""

import numpy as np


def step_function(cell, m):
    """One step of a cell over a module m that has sigmoid, tanh and @ (torch or jax.numpy)."""
    s, t = m.sigmoid, m.tanh

    def net(w, g, x, h):
        return x @ w[g + ".W"] + h @ w[g + ".U"] + w[g + ".b"]

    def lstm(w, x, h, c):
        f, i, o = (s(net(w, g, x, h)) for g in ("forget", "input", "output"))
        c = f * c + i * t(net(w, "candidate", x, h))
        return o * t(c), c

    def gru(w, x, h, c):
        r, z = s(net(w, "reset", x, h)), s(net(w, "update", x, h))
        new = t(x @ w["candidate.W"] + (r * h) @ w["candidate.U"] + w["candidate.b"])
        return z * h + (1 - z) * new, c

    def peephole(w, x, h, c):
        f = s(net(w, "forget", x, h) + c * w["forget.p"])
        i = s(net(w, "input", x, h) + c * w["input.p"])
        c = f * c + i * t(net(w, "candidate", x, h))
        o = s(net(w, "output", x, h) + c * w["output.p"])
        return o * t(c), c

    def multiplicative(w, x, h, c):
        def mi(g):
            wx, uh = x @ w[g + ".W"], h @ w[g + ".U"]
            return w[g + ".a"] * wx * uh + w[g + ".b1"] * uh + w[g + ".b2"] * wx + w[g + ".b"]

        f, i, o = s(mi("forget")), s(mi("input")), s(mi("output"))
        c = f * c + i * t(mi("candidate"))
        return o * t(c), c

    return {"lstm": lstm, "gru": gru, "peephole": peephole, "multiplicative": multiplicative}[cell]


def random_weights(cell, inputs, units, rng):
    """Weights by name, float32."""
    gates = ["reset", "update", "candidate"] if cell == "gru" else ["forget", "input", "candidate", "output"]
    w = {}
    for g in gates:
        w[g + ".W"] = rng.standard_normal((inputs, units)) / np.sqrt(inputs)
        w[g + ".U"] = rng.standard_normal((units, units)) / np.sqrt(units)
        w[g + ".b"] = np.zeros(units)
        if cell == "peephole" and g != "candidate":
            w[g + ".p"] = rng.standard_normal(units)
        if cell == "multiplicative":
            w |= {f"{g}.{k}": rng.standard_normal(units) for k in ("a", "b1", "b2")}
    return {k: v.astype(np.float32) for k, v in w.items()}


def torch_loop(cell, weights, x, d):
    import torch

    step = step_function(cell, torch)
    w = {k: torch.tensor(v, requires_grad=True) for k, v in weights.items()}
    xs, ds = torch.tensor(x), torch.tensor(d)
    units = d.shape[-1]

    def run():
        for v in w.values():
            v.grad = None
        h = c = torch.zeros(x.shape[1], units)
        out = []
        for t in range(len(xs)):
            h, c = step(w, xs[t], h, c)
            out.append(h)
        (torch.stack(out) * ds).sum().backward()
        return {k: v.grad.numpy() for k, v in w.items()}

    return run


def torch_script(cell, weights, x, d):
    import torch

    if cell != "lstm":
        return None
    code = """
def run(x: Tensor, W: List[Tensor], U: List[Tensor], b: List[Tensor]) -> Tensor:
    h = torch.zeros([x.size(1), U[0].size(0)])
    c = torch.zeros([x.size(1), U[0].size(0)])
    out: List[Tensor] = []
    for t in range(x.size(0)):
        f = torch.sigmoid(x[t] @ W[0] + h @ U[0] + b[0])
        i = torch.sigmoid(x[t] @ W[1] + h @ U[1] + b[1])
        g = torch.tanh(x[t] @ W[2] + h @ U[2] + b[2])
        o = torch.sigmoid(x[t] @ W[3] + h @ U[3] + b[3])
        c = f * c + i * g
        h = o * torch.tanh(c)
        out.append(h)
    return torch.stack(out)
"""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit = torch.jit.CompilationUnit(code)
    gates = ["forget", "input", "candidate", "output"]
    lists = [[torch.tensor(weights[f"{g}.{k}"], requires_grad=True) for g in gates] for k in ("W", "U", "b")]
    xs, ds = torch.tensor(x), torch.tensor(d)

    def run():
        for row in lists:
            for v in row:
                v.grad = None
        (unit.run(xs, *lists) * ds).sum().backward()
        return {
            f"{g}.{k}": v.grad.numpy()
            for k, row in zip("WUb", lists, strict=True)
            for g, v in zip(gates, row, strict=True)
        }

    return run


def torch_fused(cell, weights, x, d):
    import torch

    if cell != "lstm":
        return None
    module = torch.nn.LSTM(x.shape[-1], d.shape[-1])
    gates = ["input", "forget", "candidate", "output"]
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.tensor(np.concatenate([weights[g + ".W"].T for g in gates])))
        module.weight_hh_l0.copy_(torch.tensor(np.concatenate([weights[g + ".U"].T for g in gates])))
        module.bias_ih_l0.copy_(torch.tensor(np.concatenate([weights[g + ".b"] for g in gates])))
        module.bias_hh_l0.zero_()
    xs, ds, units = torch.tensor(x), torch.tensor(d), d.shape[-1]

    def run():
        module.zero_grad()
        (module(xs)[0] * ds).sum().backward()
        g = module.weight_hh_l0.grad.numpy()
        return {f"{gate}.U": g[k * units : (k + 1) * units].T for k, gate in enumerate(gates)}

    return run


def jax_scan(cell, weights, x, d, hoisted=False):
    import jax
    import jax.numpy as jnp

    class Module:
        sigmoid, tanh = staticmethod(jax.nn.sigmoid), staticmethod(jnp.tanh)

    step = step_function(cell, Module)
    units = d.shape[-1]
    if hoisted and cell != "lstm":
        return None
    gates = ["forget", "input", "candidate", "output"]

    def naive(w, xs, ds):
        def body(carry, inputs):
            h, c = step(w, inputs, *carry)
            return (h, c), h

        zero = jnp.zeros((xs.shape[1], units))
        return (jax.lax.scan(body, (zero, zero), xs)[1] * ds).sum()

    def by_hand(w, xs, ds):
        wx, wh, b = (jnp.concatenate([w[f"{g}.{k}"] for g in gates], -1) for k in ("W", "U", "b"))
        xw = xs @ wx + b

        def body(carry, z):
            h, c = carry
            f, i, g, o = jnp.split(z + h @ wh, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((xs.shape[1], units))
        return (jax.lax.scan(body, (zero, zero), xw)[1] * ds).sum()

    function = jax.jit(jax.grad(by_hand if hoisted else naive))
    w = {k: jnp.asarray(v) for k, v in weights.items()}
    xs, ds = jnp.asarray(x), jnp.asarray(d)

    def run():
        return {k: np.asarray(v) for k, v in jax.block_until_ready(function(w, xs, ds)).items()}

    return run
