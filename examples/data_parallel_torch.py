"""A cell in PyTorch on several GPUs, or processes: DistributedDataParallel, with a loss that counts steps.

    torchrun --nproc-per-node 2 examples/data_parallel_torch.py

DDP takes the mean of the processes' gradients. Where masks or a last batch leave one process fewer steps than another
one, the gradient of a mean is no mean of those: so each process divides its sum by what all of them count. The last
batch is filled up with rows that the mask leaves out, so that no process has none.
"""

import os
import sys

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

import blocks as bk


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
    rank, world, cuda = dist.get_rank(), dist.get_world_size(), torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    module = DistributedDataParallel(bk.to_torch(model).to(device))
    optimizer = torch.optim.SGD(module.parameters(), lr)
    for start in [*range(0, len(data[0]), size)] * epochs:
        batch = [a[start : start + size] for a in data]
        fill = -len(batch[0]) % world
        full = (np.pad(a, [(0, fill)] + [(0, 0)] * (a.ndim - 1)) for a in batch)
        x, target, mask = (torch.as_tensor(a[rank::world], device=device) for a in full)
        each = cross_entropy(module(x=x, mask=mask).flatten(0, 1), target.flatten(), reduction="none")
        count = mask.sum()
        dist.all_reduce(count)
        loss = (each * mask.flatten()).sum() / count * world  # DDP divides by `world`
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.set_weights({name: w.numpy(force=True) for name, w in module.module.named_parameters()})


if __name__ == "__main__":
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    model = network()
    train(model, sequences())
    if dist.get_rank() == 0:
        model.save(sys.argv[1] if len(sys.argv) > 1 else "data_parallel.safetensors")
    dist.destroy_process_group()
