"""A cell in JAX on several devices: the rows of a batch are sharded, the weights are everywhere.

    python examples/data_parallel_jax.py
    XLA_FLAGS=--xla_force_host_platform_device_count=2 python examples/data_parallel_jax.py    (a CPU as two devices)

The loss is written for the whole batch, so its mean counts the steps of all devices, and XLA adds up the gradients. The
rows of a batch divide among the devices: the last batch is filled up with rows that the mask leaves out.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import blocks as bk

jax.config.update("jax_enable_x64", True)


def network():
    mask = bk.sequence("mask")
    hs = bk.scan(bk.cells.lstm(3, 8), bk.sequence("x", 3), mask=mask)
    return bk.Model(outputs={"y": bk.ADD(5, name="out")(hs)}, seed=0, dtype="float64")


def sequences(samples=49, steps=12):
    """Long ones beside short ones: x (samples, steps, 3), what to say at each step, and which steps there are."""
    rng = np.random.default_rng(0)
    x, lengths = rng.standard_normal((samples, steps, 3)), np.where(rng.random(samples) < 0.5, steps, 1)
    return x, rng.integers(0, 5, (samples, steps)), (np.arange(steps) < lengths[:, None]).astype(float)


def train(model, data, epochs=3, size=8, lr=0.1):
    f = bk.to_jax(model)

    def loss(params, x, target, mask):
        says = jax.nn.log_softmax(f(params, x=x, mask=mask))
        return -(jnp.take_along_axis(says, target[..., None], -1)[..., 0] * mask).sum() / mask.sum()

    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    rows, everywhere = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    moved = lambda params, *batch: jax.tree.map(lambda w, g: w - lr * g, params, jax.grad(loss)(params, *batch))
    step = jax.jit(moved, in_shardings=(everywhere, rows, rows, rows), out_shardings=everywhere)
    params = jax.device_put(f.params, everywhere)
    for start in [*range(0, len(data[0]), size)] * epochs:
        batch = [a[start : start + size] for a in data]
        fill = -len(batch[0]) % jax.device_count()
        params = step(params, *(np.pad(a, [(0, fill)] + [(0, 0)] * (a.ndim - 1)) for a in batch))
    model.set_weights(params)


if __name__ == "__main__":
    model = network()
    train(model, sequences())
    model.save(sys.argv[1] if len(sys.argv) > 1 else "data_parallel.safetensors")
    print(f"trained on {jax.device_count()} devices")
