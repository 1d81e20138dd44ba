"""What NumPy has no function for: copied into the text that `to_numpy` writes, where it is needed. Never imported."""

import numpy as np


def sigm(x):
    """1 / (1 + e⁻ˣ), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def softmax(x, axis):
    """eˣ / Σ eˣ along an axis."""
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis):
    """x - ln Σ eˣ along an axis."""
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def padded(x, sizes, axis, start, stop):
    """Zeros, with x at start:stop of an axis."""
    out = np.zeros(sizes, x.dtype)
    out[(slice(None),) * axis + (slice(start, stop),)] = x
    return out


def gather_each(table, ids):
    """Rows by number, of a table of each one's own."""
    return np.stack([t[i] for t, i in zip(table, ids, strict=True)])


def scatter(x, ids, rows):
    """The sum of the rows that have one id."""
    out = np.zeros((rows, *x.shape[ids.ndim :]), x.dtype)
    np.add.at(out, ids, x)
    return out


def scatter_each(x, ids, rows):
    """The sum of the rows that have one id, for each one's own ids."""
    return np.stack([scatter(v, i, rows) for v, i in zip(x, ids, strict=True)])


def held_from(m):
    """The step and the sequence whose value each step has: its own, if the mask admits it; else the last admitted one
    before, or the first; of a sequence that is masked whole, those of another one."""
    steps, sequences = np.indices(m.shape)
    admitted = m != 0
    some = admitted.any(0)
    if not some.any():
        return steps, sequences
    source = np.maximum.accumulate(np.where(admitted, steps, admitted.argmax(0)), 0)
    other = some.argmax()
    return np.where(some, source, source[:, other, None]), np.where(some, sequences, other)


def hold(x, m):
    """x, each step that the mask does not admit with the value of an admitted one."""
    if m.ndim > 2:
        return np.stack([hold(x[:, r], m[:, r]) for r in range(m.shape[1])], 1)
    return x[held_from(m)]


def release(x, m):
    """Masked steps added to the steps that they hold: the gradient of `hold`."""
    if m.ndim > 2:
        return np.stack([release(x[:, r], m[:, r]) for r in range(m.shape[1])], 1)
    out = np.zeros_like(x)
    np.add.at(out, held_from(m), x)
    return out


def weighted_mean(x, w, empty=float("nan")):
    """Σ w x / Σ w; `empty`, where all weights are 0."""
    w = np.broadcast_to(w, x.shape)
    return (x * w).sum() / w.sum() if w.any() else np.asarray(empty, x.dtype)
