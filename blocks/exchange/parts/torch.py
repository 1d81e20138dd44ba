"""What PyTorch has no function for: copied into the text that `to_torch` writes, where it is needed. Never imported."""

import base64
import zlib

import numpy as np
import torch
from torch import nn


def add_weights(module, shapes, weights=None, paths=None):
    """Registers a parameter for each name, in a submodule for each part of the name before a dot: the keys of the state
    dict are the names, or what `paths` says instead. `weights`: name → array or tensor, whose memory is shared; zeros,
    without."""
    for name, shape in shapes.items():
        *bricks, last = (paths or {}).get(name, name).split(".")
        inner = module
        for brick in bricks:
            if brick not in inner._modules:
                inner.add_module(brick, nn.Module())
            inner = inner._modules[brick]
        value = torch.zeros(shape) if weights is None else torch.as_tensor(weights[name])
        if len(shape) != value.ndim or any(n not in (-1, m) for n, m in zip(shape, value.shape, strict=True)):
            raise ValueError(f"{name!r} is {shape}, not {tuple(value.shape)}")
        inner.register_parameter(last, nn.Parameter(value))


def unpacked(text, dtype, shape):
    """A constant array from its bytes."""
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype).reshape(shape).copy()


def size_of(dim, *places):
    """The size of a dimension: that of the first array, and its axis, that there is."""
    for array, axis in places:
        if array is not None:
            return array.shape[axis]
    raise ValueError(f"the size of {dim!r} is unknown: no input that has it is given")


def drawn(law, of, sizes, training, dtype, device):
    """Random numbers in training; else their expectation."""
    if law == "bernoulli":
        (p,) = of
        mean = torch.full(sizes, p, dtype=dtype, device=device)
        return torch.bernoulli(mean) if training else mean
    if law == "uniform":
        low, high = of
        mean = torch.full(sizes, low + 0.5 * (high - low), dtype=dtype, device=device)
        return low + (high - low) * torch.rand_like(mean) if training else mean
    mean, std = of
    mean = torch.full(sizes, mean, dtype=dtype, device=device)
    return mean + std * torch.randn_like(mean) if training else mean


def fused(operator, x, state, W_x, W_h, b=None, b_h=None, reverse=False):
    """All steps of an LSTM, GRU or RNN by the operator of nn.LSTM, nn.GRU or nn.RNN (cuDNN, on a GPU)."""
    weights = [W_x.mT.contiguous(), W_h.mT.contiguous()]
    if b is not None or b_h is not None:
        weights += [torch.zeros_like(b_h) if b is None else b, torch.zeros_like(b) if b_h is None else b_h]
    rows, first = x.flip(0) if reverse else x, tuple(s[None].contiguous() for s in state)
    first = first if len(first) > 1 else first[0]
    ys, *last = operator(rows, first, weights, len(weights) > 2, 1, 0.0, torch.is_grad_enabled(), False, False)
    return (ys.flip(0) if reverse else ys, *(s[0] for s in last))


def outer_of_each(a, b, each):
    """aᵗ b, summed over all leading axes but `each`."""
    front = tuple(range(len(each)))
    x, y = a.movedim(each, front), b.movedim(each, front)
    lead = torch.broadcast_shapes(x.shape[: len(each)], y.shape[: len(each)])
    x = x.reshape(*x.shape[: len(each)], -1, x.shape[-1])
    y = y.reshape(*y.shape[: len(each)], -1, y.shape[-1])
    return (x.mT @ y).expand(*lead, x.shape[-1], y.shape[-1])


def padded(x, sizes, axis, start, stop):
    """Zeros, with x at start:stop of an axis."""
    before = range(sizes[axis])[slice(start, stop)].start
    parts = [
        x.new_zeros(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in (before, sizes[axis] - before - x.shape[axis])
    ]
    return torch.cat((parts[0], x, parts[1]), axis)


def gather_each(table, ids):
    """Rows by number, of a table of each one's own."""
    return torch.stack([t[i] for t, i in zip(table, ids, strict=True)])


def scatter(x, ids, rows):
    """The sum of the rows that have one id."""
    row = x.shape[ids.ndim :]
    return x.new_zeros(rows, *row).index_add(0, ids.reshape(-1), x.reshape(-1, *row))


def scatter_each(x, ids, rows):
    """The sum of the rows that have one id, for each one's own ids."""
    return torch.stack([scatter(v, i, rows) for v, i in zip(x, ids, strict=True)])


def held_from(m):
    """The step and the sequence whose value each step has: its own, if the mask admits it; else the last admitted one
    before, or the first; of a sequence that is masked whole, those of another one."""
    steps = torch.arange(m.shape[0], device=m.device)[:, None].expand(m.shape)
    sequences = torch.arange(m.shape[1], device=m.device).expand(m.shape)
    admitted = m != 0
    some = admitted.any(0)
    first = torch.where(some, admitted.long().argmax(0), 0)
    source = torch.where(admitted, steps, first).cummax(0).values
    other = some.long().argmax()
    source = torch.where(some, source, source[:, other, None])
    sequences = torch.where(some, sequences, other)
    return torch.where(some.any(), source, steps), torch.where(
        some.any(), sequences, torch.arange(m.shape[1], device=m.device)
    )


def hold(x, m):
    """x, each step that the mask does not admit with the value of an admitted one."""
    if m.ndim > 2:
        return torch.stack([hold(x[:, r], m[:, r]) for r in range(m.shape[1])], 1)
    return x[held_from(m)]


def release(x, m):
    """Masked steps added to the steps that they hold: the gradient of `hold`."""
    if m.ndim > 2:
        return torch.stack([release(x[:, r], m[:, r]) for r in range(m.shape[1])], 1)
    return torch.zeros_like(x).index_put(held_from(m), x, accumulate=True)


def weighted_mean(x, w, empty=float("nan")):
    """Σ w x / Σ w; `empty`, where all weights are 0."""
    w = w.expand(x.shape)
    total, nothing = w.sum(), (w == 0).all()
    return torch.where(nothing, empty, (x * w).sum() / torch.where(nothing, 1.0, total))
