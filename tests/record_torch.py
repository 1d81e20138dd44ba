"""Record forward values and gradients of PyTorch's recurrent layers, and what its optimizers do, for test_recorded.py.

    pip install torch numpy && python tests/record_torch.py      # writes tests/data/torch.npz, torch_optimizers.npz

PyTorch is needed to make the arrays, not to run the tests. Everything is float64, with sizes that all
differ; weights are named as in blocks. The number behind every gradient is

    Σ y ⊙ V + Σ final states ⊙ U        with random V and U
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

T, B, N, H = 7, 3, 5, 4
GATES = {
    "srn": ["hidden"],
    "lstm": ["input", "forget", "candidate", "output"],
    "gru_reset_after": ["reset", "update", "candidate"],
}
torch.set_default_dtype(torch.float64)
records: dict[str, np.ndarray] = {}


def record(case: str, kind: str, name: str, value: torch.Tensor) -> None:
    records[f"{case}|{kind}|{name}"] = value.detach().numpy().copy()


def named(cell: str, module: nn.RNNBase, suffix: str, prefix: str):
    """Blocks' names → (values, gradients) of one layer's weights; the two biases of PyTorch are one sum,
    but for the candidate of its GRU."""
    w_x, w_h, b_x, b_h = (getattr(module, f"{p}_{suffix}") for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    out = {}
    for k, gate in enumerate(GATES[cell]):
        rows = slice(k * H, (k + 1) * H)
        hidden = prefix + ("recurrent" if (cell, gate) == ("gru_reset_after", "candidate") else gate)
        name = prefix + gate
        out[f"{name}.W_x"] = (w_x[rows].T, w_x.grad[rows].T)
        out[f"{hidden}.W_h"] = (w_h[rows].T, w_h.grad[rows].T)
        if hidden != name:
            out[f"{name}.b"] = (b_x[rows], b_x.grad[rows])
            out[f"{hidden}.b"] = (b_h[rows], b_h.grad[rows])
        else:
            out[f"{name}.b"] = (b_x[rows] + b_h[rows], b_x.grad[rows])
    return out


def layer_case(case: str, cell: str, kind: type[nn.RNNBase], layers=1, both=False, lengths=None) -> None:
    module = kind(N, H, num_layers=layers, bidirectional=both)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.6)
    rows = layers * (2 if both else 1)
    x = torch.randn(T, B, N, requires_grad=True)
    states = {s: torch.randn(rows, B, H, requires_grad=True) for s in (["h", "C"] if cell == "lstm" else ["h"])}
    initial = (states["h"], states["C"]) if cell == "lstm" else states["h"]
    if lengths is None:
        y, finals = module(x, initial)
    else:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        y, finals = module(packed, initial)
        y, _ = nn.utils.rnn.pad_packed_sequence(y, total_length=T)
        record(case, "input", "mask", torch.tensor([[float(t < n) for n in lengths] for t in range(T)]))
    finals = finals if cell == "lstm" else (finals,)
    number = torch.zeros(())
    for name, value in {"y": y, **dict(zip(states, finals, strict=True))}.items():
        probe = torch.randn(value.shape)
        number = number + (value * probe).sum()
        record(case, "probe", name, probe)
        record(case, "output", name, value)
    number.backward()
    record(case, "input", "x", x)
    record(case, "grad", "x", x.grad)
    for name, value in states.items():
        record(case, "input", name, value)
        record(case, "grad", name, value.grad)
    for row in range(rows):
        layer, back = (row // 2, row % 2) if both else (row, 0)
        suffix = f"l{layer}" + ("_reverse" if back else "")
        prefix = "" if rows == 1 else f"layer{row}/"
        for name, (value, gradient) in named(cell, module, suffix, prefix).items():
            record(case, "input", name, value)
            record(case, "grad", name, gradient)


def gru_reset_before() -> None:
    """Cho's GRU, written out: PyTorch has only the other form."""
    case = "gru"
    shapes = {"reset": (N, H), "update": (N, H), "candidate": (N, H)}
    weights = {}
    for gate in shapes:
        weights[f"{gate}.W_x"] = torch.randn(N, H) * 0.6
        weights[f"{gate}.W_h"] = torch.randn(H, H) * 0.6
        weights[f"{gate}.b"] = torch.randn(H) * 0.6
    weights = {k: v.requires_grad_() for k, v in weights.items()}
    x, h0 = torch.randn(T, B, N, requires_grad=True), torch.randn(B, H, requires_grad=True)
    h, ys = h0, []
    for t in range(T):
        r = torch.sigmoid(x[t] @ weights["reset.W_x"] + h @ weights["reset.W_h"] + weights["reset.b"])
        z = torch.sigmoid(x[t] @ weights["update.W_x"] + h @ weights["update.W_h"] + weights["update.b"])
        net = x[t] @ weights["candidate.W_x"] + (r * h) @ weights["candidate.W_h"] + weights["candidate.b"]
        h = z * h + (1 - z) * torch.tanh(net)
        ys.append(h)
    y = torch.stack(ys)
    probe, last = torch.randn(y.shape), torch.randn(h.shape)
    ((y * probe).sum() + (h * last).sum()).backward()
    for kind, name, value in [
        ("probe", "y", probe),
        ("probe", "h", last[None]),
        ("output", "y", y),
        ("output", "h", h[None]),
    ]:
        record(case, kind, name, value)
    for name, value in {"x": x, **weights}.items():
        record(case, "input", name, value)
        record(case, "grad", name, value.grad)
    record(case, "input", "h", h0[None])
    record(case, "grad", "h", h0.grad[None])


UPDATES = 20
OPTIMIZERS = {
    "sgd": lambda w: torch.optim.SGD(w, 0.3),
    "momentum": lambda w: torch.optim.SGD(w, 0.1, momentum=0.9),
    "nesterov": lambda w: torch.optim.SGD(w, 0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda w: torch.optim.RMSprop(w, 0.02, alpha=0.9, eps=1e-7),
    "adam": lambda w: torch.optim.Adam(w, 0.05, (0.8, 0.99), 1e-6),
    "adamw": lambda w: torch.optim.AdamW(
        [{"params": [p for p in w if p.ndim > 1]}, {"params": [p for p in w if p.ndim < 2], "weight_decay": 0.0}],
        0.05, weight_decay=0.2,
    ),
}  # fmt: skip
DECAYING = {  # what has two axes decays, biases do not
    "momentum l2": lambda w: torch.optim.SGD(groups(w, 0.3), 0.1, momentum=0.9),
    "rmsprop l2": lambda w: torch.optim.RMSprop(groups(w, 0.3), 0.02, alpha=0.9, eps=1e-7),
    "adam l2": lambda w: torch.optim.Adam(groups(w, 0.3), 0.05),
    "adam decoupled": lambda w: torch.optim.AdamW(groups(w, 0.3), 0.05),
}
PLATEAU = lambda w: torch.optim.SGD(w, 2.5, momentum=0.5)  # so much that it does not always become better
SCHEDULES = {
    "step_decay": lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.7),
    "exponential": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.1 ** (1 / 30)),
    "linear": lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.25, 16),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, UPDATES, 0.02),
}
LATER_SCHEDULES = {
    "warmup": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [torch.optim.lr_scheduler.LinearLR(o, 0.2, total_iters=4), torch.optim.lr_scheduler.CosineAnnealingLR(o, 15)],
        milestones=[5],
    ),
    "plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(
        o, factor=0.4, patience=2, threshold=0.9, cooldown=1, min_lr=0.3
    ),
}


def groups(weights, decay: float) -> list[dict]:
    """What has two axes, which decays, and the rest."""
    return [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]


def optimizer_case(case: str, make, schedule=None, clip: float | None = None, average: float | None = None) -> None:
    """Updates of y = tanh(x W + b) under the mean squared error, the weights after each and their moving average."""
    weights = {"W": torch.randn(N, H), "b": torch.randn(H)}
    x, target = torch.randn(B * T, N), torch.rand(B * T, H)
    for name, value in {**weights, "x": x, "target": target}.items():
        record(case, "input", name, value)
        value.requires_grad_(name in weights)
    optimizer = make(list(weights.values()))
    rates = schedule(optimizer) if schedule else None
    after: dict[str, list[torch.Tensor]] = {name: [] for name in weights}
    losses = []
    module = nn.ParameterDict({name: nn.Parameter(w, requires_grad=False) for name, w in weights.items()})
    averaged = average and torch.optim.swa_utils.AveragedModel(
        module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(average)
    )
    for _ in range(UPDATES):
        optimizer.zero_grad()
        loss = ((torch.tanh(x @ weights["W"] + weights["b"]) - target) ** 2).mean()
        loss.backward()
        if clip is not None:  # clip_grad_norm_ divides by the norm + 1e-6
            norm = torch.sqrt(sum((w.grad**2).sum() for w in weights.values()))
            for w in weights.values():
                w.grad *= min(1.0, clip / norm)
        optimizer.step()
        if rates:
            rates.step(*[loss.detach()] * (case == "plateau"))
        if averaged:
            for name, w in weights.items():
                module[name].data.copy_(w.detach())
            averaged.update_parameters(module)
        losses.append(loss.detach())
        for name, w in weights.items():
            after[name].append(w.detach().clone())
    record(case, "output", "loss", torch.stack(losses))
    for name in weights if averaged else ():
        record(case, "average", name, averaged.module[name])
    for name, steps in after.items():
        record(case, "output", name, torch.stack(steps))


def save(name: str) -> None:
    """Write what was recorded, and begin anew."""
    target = Path(__file__).parent / "data" / name
    np.savez_compressed(target, **records)
    print(f"{target}: {len(records)} arrays, PyTorch {torch.__version__}")
    records.clear()


def norm_cases() -> None:
    """A normalisation with its weights, and its gradients."""
    for case, module in (("layernorm", nn.LayerNorm(N, eps=1e-2)), ("rmsnorm", nn.RMSNorm(N, eps=1e-2))):
        for weight in module.parameters():
            nn.init.normal_(weight)
        x = torch.randn(T, B, N, requires_grad=True)
        y = module(x)
        probe = torch.randn(y.shape)
        (y * probe).sum().backward()
        record(case, "probe", "y", probe)
        record(case, "output", "y", y)
        names = {"weight": "norm.gain", "bias": "norm.b"}
        for name, value in {"x": x, **{names[k]: v for k, v in module.named_parameters()}}.items():
            record(case, "input", name, value)
            record(case, "grad", name, value.grad)


def layernorm_lstm() -> None:
    """The LSTM of Ba, Kiros and Hinton 2016, eqs. 20 to 22, of PyTorch's linear and normalising layers."""
    case, bias = "lstm_layernorm", torch.randn(4 * H, requires_grad=True)
    linear = {"input.W_x": nn.Linear(N, 4 * H, bias=False), "recurrent.W_h": nn.Linear(H, 4 * H, bias=False)}
    norms = {"norm_h": nn.LayerNorm(4 * H), "norm_x": nn.LayerNorm(4 * H), "norm_C": nn.LayerNorm(H)}
    for module in (*linear.values(), *norms.values()):
        for weight in module.parameters():
            nn.init.normal_(weight, std=0.6)
    for name in ("norm_h", "norm_x"):
        nn.init.zeros_(norms[name].bias)
    x, h0, C0 = (torch.randn(*s, requires_grad=True) for s in ((T, B, N), (B, H), (B, H)))
    h, C, ys = h0, C0, []
    for t in range(T):
        z = norms["norm_h"](linear["recurrent.W_h"](h)) + norms["norm_x"](linear["input.W_x"](x[t])) + bias
        f, i, o, g = z.chunk(4, dim=-1)
        C = torch.sigmoid(f) * C + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(norms["norm_C"](C))
        ys.append(h)
    number = torch.zeros(())
    for name, value in {"y": torch.stack(ys), "h": h[None], "C": C[None]}.items():
        probe = torch.randn(value.shape)
        number = number + (value * probe).sum()
        record(case, "probe", name, probe)
        record(case, "output", name, value)
    number.backward()
    weights = {name: (module.weight.T, module.weight.grad.T) for name, module in linear.items()}
    weights |= {f"{name}.gain": (module.weight, module.weight.grad) for name, module in norms.items()}
    weights |= {"norm_C.b": (norms["norm_C"].bias, norms["norm_C"].bias.grad), "norm_x.b": (bias, bias.grad)}
    weights |= {"x": (x, x.grad), "h": (h0[None], h0.grad[None]), "C": (C0[None], C0.grad[None])}
    for name, (value, gradient) in weights.items():
        record(case, "input", name, value)
        record(case, "grad", name, gradient)


def loss_cases() -> None:
    """Losses and their gradients by y (and by probabilities as targets), over y (T, B, N)."""
    y, z = torch.randn(T, B, N) * 2.0, torch.randn(T, B, N) * 2.0
    ids, weights = torch.randint(0, N, (T, B)), torch.rand(N) + 0.2
    rows, share = torch.softmax(torch.randn(T, B, N), dim=-1), torch.rand(T, B, N)
    for name, value in {"y": y, "z": z, "rows": rows, "share": share, "weights": weights, "ids": ids}.items():
        record("losses", "input", name, value)
    flat = {"ids": ids.reshape(-1), "rows": rows.reshape(-1, N)}
    makes = {
        f"cross_entropy {kind} {s} {w is not None}": lambda y, t=t, s=s, w=w, **how: F.cross_entropy(
            y.reshape(-1, N), t, weight=w, label_smoothing=s, **how
        )
        for kind, t in flat.items()
        for s in (0.0, 0.3)
        for w in (None, weights)
    }
    makes |= {
        "huber 1.0": lambda y, **how: F.huber_loss(y, z, **how),
        "huber 0.4": lambda y, **how: F.huber_loss(y, z, delta=0.4, **how),
        "absolute_error": lambda y, **how: F.l1_loss(y, z, **how),
        "squared_error": lambda y, **how: F.mse_loss(y, z, **how),
        "binary_cross_entropy": lambda y, **how: F.binary_cross_entropy_with_logits(y, share, **how),
    }
    for reduction in ("mean", "sum"):
        for case, make in makes.items():
            leaf = y.clone().requires_grad_()
            number = make(leaf, reduction=reduction)
            number.backward()
            record("losses", "output", f"{case} {reduction}", number)
            record("losses", "grad", f"{case} {reduction}", leaf.grad)


if __name__ == "__main__":
    torch.manual_seed(20)
    layer_case("srn", "srn", nn.RNN)
    layer_case("lstm", "lstm", nn.LSTM)
    layer_case("gru_reset_after", "gru_reset_after", nn.GRU)
    gru_reset_before()
    for cell, kind in (("srn", nn.RNN), ("lstm", nn.LSTM), ("gru_reset_after", nn.GRU)):
        layer_case(f"{cell} masked", cell, kind, lengths=[4, 7, 2])
        layer_case(f"{cell} 2 layers", cell, kind, layers=2)
        layer_case(f"{cell} 2 directions", cell, kind, both=True)
        layer_case(f"{cell} 2 directions masked", cell, kind, both=True, lengths=[3, 1, 7])
    norm_cases()
    layernorm_lstm()
    save("torch.npz")
    loss_cases()
    save("torch_losses.npz")
    for case, make in OPTIMIZERS.items():
        optimizer_case(case, make)
    for case in ("momentum", "adamw"):
        optimizer_case(f"{case} clipped", OPTIMIZERS[case], clip=0.05)
    for case, schedule in SCHEDULES.items():
        optimizer_case(case, OPTIMIZERS["sgd"], schedule)
    for case, make in DECAYING.items():
        optimizer_case(case, make)
    for case, schedule in LATER_SCHEDULES.items():
        optimizer_case(case, OPTIMIZERS["sgd"] if case == "warmup" else PLATEAU, schedule)
    optimizer_case("momentum averaged", OPTIMIZERS["momentum"], average=0.9)
    save("torch_optimizers.npz")
