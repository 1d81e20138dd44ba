"""What JAX has no function for: copied into the text that `to_jax` writes, where it is needed. Never imported."""

import jax
import jax.numpy as jnp
from jax import lax


def padded(x, sizes, axis, start, stop):
    """Zeros, with x at start:stop of an axis."""
    before = start if start >= 0 else sizes[axis] + start
    widths = [(0, 0)] * len(sizes)
    widths[axis] = (before, sizes[axis] - before - x.shape[axis])
    return jnp.pad(x, widths)


def gather_each(table, ids):
    """Rows by number, of a table of each one's own."""
    return jax.vmap(lambda t, i: t[i])(table, ids)


def scatter(x, ids, rows):
    """The sum of the rows that have one id."""
    return jnp.zeros((rows, *x.shape[ids.ndim :]), x.dtype).at[ids].add(x)


def scatter_each(x, ids, rows):
    """The sum of the rows that have one id, for each one's own ids."""
    return jax.vmap(lambda v, i: scatter(v, i, rows))(x, ids)


def held_from(m):
    """The step and the sequence whose value each step has: its own, if the mask admits it; else the last admitted one
    before, or the first; of a sequence that is masked whole, those of another one."""
    steps = jnp.broadcast_to(jnp.arange(m.shape[0])[:, None], m.shape)
    sequences = jnp.broadcast_to(jnp.arange(m.shape[1]), m.shape)
    admitted = m != 0
    some = admitted.any(0)
    source = lax.cummax(jnp.where(admitted, steps, admitted.argmax(0)), 0)
    other = some.argmax()
    source = jnp.where(some, source, source[:, other][:, None])
    return jnp.where(some.any(), source, steps), jnp.where(some.any() & ~some, other, sequences)


def hold(x, m):
    """x, each step that the mask does not admit with the value of an admitted one."""
    if m.ndim > 2:
        return jax.vmap(hold, (1, 1), 1)(x, m)
    return x[held_from(m)]


def release(x, m):
    """Masked steps added to the steps that they hold: the gradient of `hold`."""
    if m.ndim > 2:
        return jax.vmap(release, (1, 1), 1)(x, m)
    return jnp.zeros_like(x).at[held_from(m)].add(x)


def weighted_mean(x, w, empty=float("nan")):
    """Σ w x / Σ w; `empty`, where all weights are 0."""
    w = jnp.broadcast_to(w, x.shape)
    nothing = (w == 0).all()
    return jnp.where(nothing, empty, (x * w).sum() / jnp.where(nothing, 1.0, w.sum()))
