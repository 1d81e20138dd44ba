"""Training on several processes for real: torchrun on this machine, with 2 and 4 ranks, against one process.

    .ci/more ranks          python -m tests.exchange.torchrun

Each case is trained by every number of ranks: they must be equal to the last bit, and equal one process within 1e-12.
Then a rank is killed, and another number of ranks goes on with what was saved; and the exported module is trained by
DistributedDataParallel, its loss weighted by counts.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import blocks as bk

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 300
CASES = {
    "lstm": {"cell": "lstm", "options": {}},
    "odd cell": {"cell": "odd", "options": {}},
    "tbptt": {"cell": "lstm", "options": {"tbptt": 3}},
}


def odd(n: int, m: int) -> bk.Cell:
    """A cell that no library has."""
    x, h, s = bk.input("x", n), bk.state("h", m), bk.state("s", m)
    gate = bk.SIGM(m, name="gate")(x, h)
    new = s * gate + bk.TANH(m, name="new")(x, bk.layernorm(h))
    return bk.Cell({h: bk.sin(new) * gate, s: new}, outputs=bk.sin(new) * gate)


def model(cell: str) -> bk.Model:
    """A model with dropout and a mask."""
    x, target, mask = bk.sequence("x", 3), bk.sequence("target", dtype="int"), bk.sequence("mask")
    made = odd(3, 4) if cell == "odd" else bk.cells.lstm(3, 4)
    y = bk.ADD(5, name="out")(bk.scan(made, bk.dropout(x, 0.3), mask=mask))
    return bk.Model(loss=bk.losses.cross_entropy(y, target, mask), outputs={"y": y}, dtype="float64", seed=3)


def data() -> dict[str, list[np.ndarray]]:
    """Long sequences beside short ones; the last batch of 4 has one."""
    rng = np.random.default_rng(5)
    lengths = [40, 30, 1, 2, 1, 35, 2, 3, 25] * 3
    return {"x": [rng.standard_normal((n, 3)) for n in lengths], "target": [rng.integers(0, 5, n) for n in lengths]}


def train(case: str, out: Path, epochs: int = 3, **options: object) -> None:
    """Train a case, and write the weights of this rank."""
    rank = os.environ.get("RANK", "alone")
    made = model(CASES[case]["cell"])
    made.fit(
        data(), epochs=epochs, batch_size=4, clip=1.0, shuffle=True, progress=False, **CASES[case]["options"], **options
    )
    losses = np.array([record["loss"] for record in made.history.steps])
    np.savez(out / f"{rank}.npz", weights=made.weights.all, losses=losses)


def start(ranks: int, *arguments: str) -> subprocess.Popen[str]:
    """A script of this file, alone or by torchrun."""
    run = [sys.executable, "-m"]
    if ranks > 1:
        run += [
            "torch.distributed.run",
            "--nproc-per-node",
            str(ranks),
            "--master-port",
            str(29500 + os.getpid() % 400),
            "-m",
        ]
    command = [*run, "tests.exchange.torchrun", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process: subprocess.Popen[str]) -> None:
    """Raises SystemExit with the output of a process that failed."""
    output, _ = process.communicate(timeout=SECONDS)
    if process.returncode:
        sys.exit(f"FAIL:\n{output[-3000:]}")


def compare(case: str, alone: Path, ranks: Path) -> None:
    """Raises SystemExit unless all ranks have the same bits, and the numbers of one process."""
    one = np.load(alone / "alone.npz")
    several = [np.load(file) for file in sorted(ranks.glob("*.npz"))]
    for key in ("weights", "losses"):
        if any(not np.array_equal(rank[key], several[0][key]) for rank in several):
            sys.exit(f"FAIL: {case}: the {key} of the ranks differ")
        gap = float(np.abs(several[0][key] - one[key]).max())
        if not gap <= 1e-12:
            sys.exit(f"FAIL: {case}: the {key} of {len(several)} ranks are off by {gap:.2g}")
    print(
        f"{case}, {len(several)} ranks: {len(one['losses'])} updates, equal to the bit, off by {gap:.1g} from one process"
    )


def killed(folder: Path) -> None:
    """One of two ranks is killed: the job ends within seconds, names it, and four ranks go on from the file."""
    file = folder / "run.safetensors"
    process = start(2, "long", str(folder), str(file))
    while not file.exists():
        time.sleep(0.2)
        if process.poll() is not None:
            sys.exit(f"FAIL: it ended before it was killed:\n{process.communicate()[0][-3000:]}")
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(children[1]), signal.SIGKILL)
    began = time.monotonic()
    output, _ = process.communicate(timeout=SECONDS)
    took = time.monotonic() - began
    rank = re.search(r"rank\s*:\s*(\d+)", output)
    if process.returncode == 0 or rank is None:
        sys.exit(f"FAIL: a killed rank ended the job with {process.returncode}:\n{output[-3000:]}")
    print(f"kill -9 of rank {rank[1]}: the job ended after {took:.1f} s with {process.returncode}")
    finished(start(1, "undisturbed", str(folder)))
    for other in folder.glob("[0-9].npz"):
        other.unlink()
    finished(start(4, "long", str(folder), str(file)))
    compare("resumed by 4 ranks", folder, folder_of(folder))


def folder_of(folder: Path) -> Path:
    """The files of ranks alone."""
    ranks = folder / "ranks"
    ranks.mkdir(exist_ok=True)
    for file in folder.glob("[0-9].npz"):
        file.rename(ranks / file.name)
    return ranks


def main() -> None:
    """All cases."""
    for case in CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            finished(start(1, "case", case, name))
            for ranks in (2, 4):
                inner = folder / str(ranks)
                inner.mkdir()
                finished(start(ranks, "case", case, str(inner)))
                compare(case, folder, inner)
    with tempfile.TemporaryDirectory() as name:
        killed(Path(name))


LONG = 30

if __name__ == "__main__":
    match sys.argv[1:]:
        case "case", name, folder:
            train(name, Path(folder))
        case "long", folder, file:
            train("tbptt", Path(folder), LONG, autosave=file, autosave_every=5, resume=True)
        case "undisturbed", folder:
            train("tbptt", Path(folder), LONG)
        case _:
            main()
