"""Programs in C as a 64-bit ARM processor computes them, with NEON's vectors, in an emulator: against the interpreter.

``python -m tests.arm 30`` compiles cells, their gradients and so many random networks by aarch64-linux-gnu-gcc, runs
them in qemu-aarch64, and compares; functions of one number are within 4 units in the last place.
"""

import ctypes
import math
import shutil
import struct
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np

import blocks as bk
from blocks.compile.native import build
from blocks.compile.native.pointers import Scratch
from blocks.compile.native.run import FLAGS, Call, kind_of, sizes
from blocks.compile.plan.places import Constant, Feed

from .native import BATCH, function, judged, networks

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"

# Reads which program, the sizes of its dimensions, and its arrays; calls it, and writes its answer and the arrays.
MAIN = """
#include <stdio.h>
typedef int task(void *const *, const int64_t *, int, int, crew *);
static task *const tasks[] = {%s};
static int64_t number(void) { int64_t n; if (fread(&n, 8, 1, stdin) != 1) abort(); return n; }
int main(void) {
    const int64_t which = number(), dims = number();
    int64_t *n = calloc((size_t)dims + 1, 8);
    for (int64_t i = 0; i < dims; i++) n[i] = number();
    const int64_t arrays = number();
    void **at = calloc((size_t)arrays + 1, 8);
    size_t *size = calloc((size_t)arrays + 1, 8);
    for (int64_t i = 0; i < arrays; i++) {
        size[i] = (size_t)number();
        at[i] = aligned_alloc(64, size[i] / 64 * 64 + 128);
        if (fread(at[i], 1, size[i], stdin) != size[i]) abort();
    }
    const int answer = tasks[which](at, n, 0, 1, NULL);
    fwrite(&answer, 4, 1, stdout);
    for (int64_t i = 0; i < arrays; i++) fwrite(at[i], 1, size[i], stdout);
    return 0;
}
"""


class Emulated(Call):
    """A call whose work is done by the emulator, from a copy of the memory, which is brought back."""

    def __init__(self, function, dims, dtype, which, binary):
        every = sizes(dims, function.every)
        super().__init__(function, every, dtype, types.SimpleNamespace(**{function.name: ctypes.c_void_p()}))
        self.which, self.binary, self.parts, self.work = which, binary, 1, self.emulate

    def extent(self, root):
        """How many bytes an array has."""
        if isinstance(root, Constant):
            count, dtype = np.asarray(root.node.attrs["value"]).size, root.node.dtype
        elif isinstance(root, Feed):
            count, dtype = math.prod(map(self.size, root.shape)), self.function.feeds[root.name]
        else:
            count, dtype = self.size(root.size) if isinstance(root, Scratch) else self.numbers(root), root.dtype
        return count * kind_of(dtype, self.dtype).itemsize

    def emulate(self, task, at, n, parts):
        extents = [self.extent(root) for root in self.function.roots]
        said = [struct.pack("<qq", self.which, len(self.function.dims)), bytes(n)[: 8 * len(self.function.dims)]]
        said.append(struct.pack("<q", len(extents)))
        for place, extent in zip(at, extents, strict=False):
            said += [struct.pack("<q", extent), ctypes.string_at(place, extent)]
        done = subprocess.run([EMULATOR, self.binary], input=b"".join(said), stdout=subprocess.PIPE, check=True).stdout
        start = 4
        for place, extent in zip(at, extents, strict=False):
            ctypes.memmove(place, done[start : start + extent], extent)
            start += extent
        assert start == len(done)
        return struct.unpack("<i", done[:4])[0]


def compiled(functions, dtype, folder):
    """Have functions compiled as one binary for one type of numbers; calls of them go to the emulator."""
    source, binary = folder / "all.c", folder / f"all-{dtype}"
    text = '#include "blocks.h"\n' + "\n".join(f.source for f in functions)
    source.write_text(text + MAIN % ", ".join(f.name for f in functions))
    bits = 8 * np.dtype(dtype).itemsize
    flags = [flag for flag in build.FLAGS if flag not in ("-fPIC", "-shared")]
    include = ["-I", build.HEADER.parent, f"-DREAL={bits}", "-static", "-o", binary, source, "-lm"]
    subprocess.run([COMPILER, *flags, *FLAGS, "-O1", *include], check=True)
    for which, f in enumerate(functions):
        f.allocate = lambda dims, kind, f=f, which=which: Emulated(f, dims, kind, which, binary)


def numbers(folder):
    """Functions of one number, near 0 and far out."""
    rng, failed = np.random.default_rng(0), 0
    x = bk.input("x", 1)
    elementwise = {"tanh": bk.tanh, "sigm": bk.sigm, "exp": bk.exp, "softplus": bk.softplus, "log": bk.log}
    f = function(bk.Graph({name: op(x) for name, op in elementwise.items()}), "numbers")
    for dtype, far in (("float32", 80.0), ("float64", 700.0)):
        compiled([f], dtype, folder)
        small = 10.0 ** rng.uniform(-30, 0, 5_000) * rng.choice([-1, 1], 5_000)
        values = np.concatenate([rng.uniform(-9, 9, 5_001), rng.uniform(-far, far, 5_000), small]).astype(dtype)
        got = f.allocate({"batch": len(values)}, np.dtype(dtype))({"x": values[:, None]})
        wide = values.astype(np.longdouble)
        exact = {
            "tanh": np.tanh(wide),
            "sigm": 1 / (1 + np.exp(-wide)),
            "exp": np.exp(wide),
            "softplus": np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide))),
            "log": np.log(np.where(wide > 0, wide, np.nan)),
        }
        for name, value in exact.items():
            rounded = value.astype(dtype)
            normal = np.abs(value) >= np.finfo(dtype).tiny
            off = np.abs(got[name][:, 0].astype(np.longdouble) - value) / np.spacing(np.abs(rounded))
            worst = float(np.nanmax(np.where(normal, off, 0)))
            failed += not worst <= 4
            print(f"{name} {dtype}: {worst:.2f} units in the last place")
    return failed


def cells():
    """Cells of several kinds, and their gradients."""
    for name in ("srn", "lstm", "gru", "lstm_peephole", "mi_lstm", "mlstm"):
        hs = bk.scan(getattr(bk.cells, name)(19, 37), bk.sequence("x", 19))
        graph = bk.grad(bk.Graph({"loss": bk.mean(hs * hs), "y": hs}))
        rng = np.random.default_rng(1)
        leaves, sizes = {**graph.inputs, **graph.params}, {"time": 5, "batch": 7}
        feeds = {n: rng.standard_normal([sizes.get(d, d) for d in shape]) * 0.5 for n, shape in leaves.items()}
        yield graph, feeds, function(graph, f"cell_{name}", large=True)


def main(count):
    """Judge all; returns how many differ."""
    for tool in (COMPILER, EMULATOR):
        if not shutil.which(tool):
            raise SystemExit(f"there is no {tool}")
    with tempfile.TemporaryDirectory() as name:
        failed = numbers(Path(name))
        groups = [list(cells())]
        groups += [list(networks(range(first, min(first + BATCH, count)))) for first in range(0, count, BATCH)]
        for group in groups:
            for dtype in ("float64", "float32"):
                compiled([f for _, _, f in group], dtype, Path(name))
                for graph, feeds, f in group:
                    try:
                        judged(f, graph, feeds, dtype)
                    except AssertionError as error:
                        failed += 1
                        print(error)
            print(f"{len(group)} programs, up to {group[-1][2].name}: {failed} wrong", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)))
