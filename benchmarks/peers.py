"""The same cells in PyTorch (fused, as a loop, TorchScript), in JAX (lax.scan), and the LSTM in NumPy by hand.

Each function takes a `Task` and returns what is called to do it, or None where it has no such form of the cell.
"""

import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from benchmarks.handwritten import HandwrittenLSTM

GATES = ("forget", "input", "candidate", "output")  # of an LSTM
KINDS = ("W_x", "W_h", "b")


def step_function(cell, m):
    """One step of a cell, (weights, x, states) → (states, output), over a module m that has sigmoid, tanh, einsum
    and @ (torch or jax.numpy)."""
    s, t = m.sigmoid, m.tanh

    def net(w, gate, x, h):
        return x @ w[f"{gate}.W_x"] + h @ w[f"{gate}.W_h"] + w[f"{gate}.b"]

    def of_input(w, gate, x):
        return x @ w[f"{gate}.W_x"] + w[f"{gate}.b"]

    def lstm(w, x, h, c):
        f, i, o = (s(net(w, gate, x, h)) for gate in ("forget", "input", "output"))
        c = f * c + i * t(net(w, "candidate", x, h))
        h = o * t(c)
        return (h, c), h

    def gru(w, x, h):
        r, z = s(net(w, "reset", x, h)), s(net(w, "update", x, h))
        h = z * h + (1 - z) * t(net(w, "candidate", x, r * h))
        return (h,), h

    def peephole(w, x, h, c):
        f = s(net(w, "forget", x, h) + c * w["forget_peep.W_C"])
        i = s(net(w, "input", x, h) + c * w["input_peep.W_C"])
        c = f * c + i * t(net(w, "candidate", x, h))
        h = s(net(w, "output", x, h) + c * w["output_peep.W_1"]) * t(c)
        return (h, c), h

    def multiplicative(w, x, h, c):
        def both(gate):
            wx, uh = x @ w[f"{gate}_W.W_x"], h @ w[f"{gate}_U.W_h"]
            return w[f"{gate}.a"] * wx * uh + w[f"{gate}.b1"] * uh + w[f"{gate}.b2"] * wx + w[f"{gate}.b"]

        c = s(both("forget")) * c + s(both("input")) * t(both("candidate"))
        h = s(both("output")) * t(c)
        return (h, c), h

    def min_gru(w, x, h):
        z = s(of_input(w, "update", x))
        h = (1 - z) * h + z * of_input(w, "candidate", x)
        return (h,), h

    def matrix_memory(w, x, c):
        f, i, o = (s(of_input(w, gate, x)) for gate in ("forget", "input", "output"))
        k, v, q = (of_input(w, gate, x) for gate in ("key", "value", "query"))
        c = f[..., None] * c + i[..., None] * v[..., :, None] * k[..., None, :]
        return (c,), o * m.einsum("bnk,bk->bn", c, q)

    def odd(w, x, h, c):
        leak = s(x @ w["leak.W_x"] + c @ w["leak.W_s"] + w["leak.b"])
        n = net(w, "net", x, h)
        product = (x @ w["product.W_x"]) * (h @ w["product.W_h"])
        c = leak * c + (1 - leak) * t(product + n)
        h = c / (1 + m.abs(n))
        return (h, c), h

    steps = (lstm, gru, peephole, multiplicative, min_gru, matrix_memory, odd)
    return {step.__name__: step for step in steps}[cell]


@dataclass(frozen=True)
class Task:
    """What all compute: the outputs of a cell for x (time, batch, inputs), or, with d (time, batch, units), the
    gradients of Σ h ⊙ d by all weights. `weights` by the names that blocks gives them, `states` the first ones."""

    cell: str
    units: int
    weights: dict
    states: list
    x: np.ndarray
    d: np.ndarray | None


def torch_loop(task):
    import torch

    step = step_function(task.cell, torch)
    first = [torch.tensor(s) for s in task.states]

    def outputs(w, xs):
        now, out = first, []
        for t in range(len(xs)):
            now, y = step(w, xs[t], *now)
            out.append(y)
        return torch.stack(out)

    return _torch(task, outputs)


def torch_script(task):
    import torch

    if task.cell != "lstm":
        return None
    code = """
def run(x: Tensor, W: List[Tensor], U: List[Tensor], b: List[Tensor], h: Tensor, c: Tensor) -> Tensor:
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit = torch.jit.CompilationUnit(code)
    first = [torch.tensor(s) for s in task.states]
    return _torch(task, lambda w, xs: unit.run(xs, *([w[f"{g}.{k}"] for g in GATES] for k in KINDS), *first))


def _torch(task, outputs):
    """What is measured, of a function (weights, x) → outputs."""
    import torch

    w = {k: torch.tensor(v, requires_grad=task.d is not None) for k, v in task.weights.items()}
    xs, ds = torch.tensor(task.x), None if task.d is None else torch.tensor(task.d)

    def forward():
        with torch.no_grad():
            return {"y": outputs(w, xs).numpy()}

    def gradients():
        for v in w.values():
            v.grad = None
        (outputs(w, xs) * ds).sum().backward()
        return {k: v.grad.numpy() for k, v in w.items()}

    return forward if ds is None else gradients


def torch_fused(task):
    """`nn.LSTM` of the sizes of the task. Beside another cell it is a yardstick: it computes something else, and gives
    nothing to compare."""
    import torch

    xs, ds = torch.tensor(task.x), None if task.d is None else torch.tensor(task.d)
    module = torch.nn.LSTM(xs.shape[-1], task.units, dtype=xs.dtype)
    weights = {"W_x": module.weight_ih_l0, "W_h": module.weight_hh_l0, "b": module.bias_ih_l0}
    order = [GATES.index(g) for g in ("input", "forget", "candidate", "output")]
    same = task.cell == "lstm"
    if same:
        with torch.no_grad():
            for kind, parameter in weights.items():
                parameter.copy_(torch.tensor(np.concatenate([task.weights[f"{GATES[g]}.{kind}"].T for g in order])))
            module.bias_hh_l0.zero_()

    def forward():
        with torch.no_grad():
            y = module(xs)[0].numpy()
        return {"y": y} if same else {}

    def gradients():
        module.zero_grad()
        (module(xs)[0] * ds).sum().backward()
        parts = {kind: np.split(parameter.grad.numpy(), 4) for kind, parameter in weights.items()}
        return {f"{GATES[g]}.{kind}": parts[kind][k].T for kind in parts for k, g in enumerate(order)} if same else {}

    return forward if ds is None else gradients


def jax_scan(task):
    import jax

    step = step_function(task.cell, _jax_module())
    return _jax(task, lambda w, xs: jax.lax.scan(lambda now, x: step(w, x, *now), tuple(task.states), xs)[1])


def jax_hoisted(task):
    """The LSTM as a careful user of JAX writes it: gates packed, x W before the loop."""
    import jax
    import jax.numpy as jnp

    if task.cell != "lstm":
        return None

    def outputs(w, xs):
        wx, wh, b = (jnp.concatenate([w[f"{g}.{k}"] for g in GATES], -1) for k in KINDS)

        def body(now, z):
            h, c = now
            f, i, g, o = jnp.split(z + h @ wh, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        return jax.lax.scan(body, tuple(task.states), xs @ wx + b)[1]

    return _jax(task, outputs)


def _jax(task, outputs):
    """What is measured, of a function (weights, x) → outputs."""
    import jax
    import jax.numpy as jnp

    def loss(w, xs, ds):
        return (outputs(w, xs) * ds).sum()

    function = jax.jit((lambda w, xs, ds: {"y": outputs(w, xs)}) if task.d is None else jax.grad(loss))
    w = {k: jnp.asarray(v) for k, v in task.weights.items()}
    xs, ds = jnp.asarray(task.x), None if task.d is None else jnp.asarray(task.d)
    return lambda: {k: np.asarray(v) for k, v in jax.block_until_ready(function(w, xs, ds)).items()}


def _jax_module():
    """What `step_function` asks of JAX."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    return SimpleNamespace(sigmoid=jax.nn.sigmoid, tanh=jnp.tanh, abs=jnp.abs, einsum=jnp.einsum)


def handwritten(task):
    """The LSTM of `handwritten`, in NumPy."""
    if task.cell != "lstm":
        return None
    T, B, N = task.x.shape
    hand = HandwrittenLSTM(T, B, N, task.units, task.x.dtype)
    order = ("input", "forget", "output", "candidate")
    packed = [np.concatenate([task.weights[f"{g}.{k}"] for g in order], -1) for k in KINDS]

    def gradients():
        out = hand.gradients(task.x, *packed, task.d)
        parts = {kind: np.split(out[name], 4, axis=-1) for kind, name in zip(KINDS, ("x", "h", "b"), strict=True)}
        return {f"{g}.{kind}": parts[kind][k] for kind in KINDS for k, g in enumerate(order)}

    return gradients if task.d is not None else lambda: {"y": hand.outputs(task.x, *packed)}


PEERS = {  # column → the module that it needs, and what makes it
    "nn.LSTM": ("torch", torch_fused),
    "torch loop": ("torch", torch_loop),
    "torch script": ("torch", torch_script),
    "jax scan": ("jax", jax_scan),
    "jax hoisted": ("jax", jax_hoisted),
    "handwritten": ("numpy", handwritten),
}
