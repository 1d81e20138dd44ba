"""Several processes for real: torchrun on this machine, with 2 and 4 ranks, against one process.

    .ci/more ranks          python -m tests.exchange.torchrun

Each case is trained by every number of ranks: they must be equal to the last bit, and equal one process within 1e-12.
Then a rank is killed, and another number of ranks goes on with what was saved; `blocks reproduce` shares its trials; and
the scripts in examples/ train what is exported, by DistributedDataParallel and on two devices of JAX.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import blocks as bk

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 300
CASES: dict[str, dict[str, Any]] = {
    "lstm": {},
    "odd cell": {"cell": "odd"},
    "tbptt": {"options": {"tbptt": 3}},
    "trials": {"trials": 3},
    "several batches an update": {"cell": "odd", "options": {"accumulate": 3}},
}


def odd(n: int, m: int) -> bk.Cell:
    """A cell that no library has."""
    x, h, s = bk.input("x", n), bk.state("h", m), bk.state("s", m)
    gate = bk.SIGM(m, name="gate")(x, h)
    new = s * gate + bk.TANH(m, name="new")(x, bk.layernorm(h))
    return bk.Cell({h: bk.sin(new) * gate, s: new}, outputs=bk.sin(new) * gate)


def model(cell: str = "lstm", trials: int | None = None, options: object = None) -> bk.Model:
    """A model with dropout and a mask."""
    x, target, mask = bk.sequence("x", 3), bk.sequence("target", dtype="int"), bk.sequence("mask")
    made = odd(3, 4) if cell == "odd" else bk.cells.lstm(3, 4)
    y = bk.ADD(5, name="out")(bk.scan(made, bk.dropout(x, 0.3), mask=mask))
    loss = bk.losses.cross_entropy(y, target, mask)
    return bk.Model(loss=loss, outputs={"y": y}, dtype="float64", seed=3, trials=trials)


def data() -> dict[str, list[np.ndarray]]:
    """Long sequences beside short ones; the last batch of 4 has one."""
    rng = np.random.default_rng(5)
    lengths = [40, 30, 1, 2, 1, 35, 2, 3, 25] * 3
    return {"x": [rng.standard_normal((n, 3)) for n in lengths], "target": [rng.integers(0, 5, n) for n in lengths]}


def train(case: str, out: Path, epochs: int = 3, **more: Any) -> None:
    """Train a case, and write the weights of this rank."""
    rank = os.environ.get("RANK", "alone")
    made, options = model(**CASES[case]), {**CASES[case].get("options", {}), **more}
    made.fit(data(), epochs=epochs, batch_size=4, clip=1.0, shuffle=True, progress=False, **options)
    losses = np.array([record["loss"] for record in made.history.steps])
    np.savez(out / f"{rank}.npz", weights=made.weights.all, losses=losses)


def start(ranks: int, *arguments: str, module: str = "tests.exchange.torchrun") -> subprocess.Popen[str]:
    """A module of Python, or a script, alone or by torchrun."""
    run = ["-m", module] if not module.endswith(".py") else [module]
    if ranks:
        port = str(29500 + os.getpid() % 400)
        run = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks), "--master-port", port, *run]
    command = [sys.executable, *run, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """What a process printed. Raises SystemExit with the output of one that failed."""
    output, _ = process.communicate(timeout=SECONDS)
    if process.returncode:
        sys.exit(f"FAIL:\n{output[-3000:]}")
    return output


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
    finished(start(0, "undisturbed", str(folder)))
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


def reproduced(folder: Path) -> None:
    """`blocks reproduce` by two processes: the numbers of one, said once."""
    trials = []
    for ranks in (0, 2):
        out = folder / str(ranks)
        said = finished(start(ranks, "reproduce", "hs-adding", *QUICK, "-o", str(out), module="blocks"))
        rows = json.loads((out / "hs-adding.json").read_text())["rows"]
        trials.append([trial for row in rows.values() for trial in row["trials"]])
        if said.count("written to") != 1:
            sys.exit(f"FAIL: reproduce was to say once that it is done:\n{said}")
    for one, two in zip(*trials, strict=True):
        if one.keys() != two.keys() or any(not np.allclose(one[k], two[k], rtol=1e-9, atol=0) for k in one):
            sys.exit(f"FAIL: reproduce by two processes gave {two}, not {one}")
    print(f"reproduce, 2 ranks: {len(trials[0])} trials, those of one process")


def exported(folder: Path) -> None:
    """The scripts in examples/: an exported module under DDP, a function of JAX on two devices, and `fit`."""
    ways = {"ddp1": 1, "ddp2": 2, "jax1": 0, "jax2": 0}
    weights = {}
    for way, ranks in ways.items():
        script, file = f"examples/data_parallel_{'jax' if way[:3] == 'jax' else 'torch'}.py", folder / way
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={way[3]}"
        if way[:3] != "jax" or importlib.util.find_spec("jax"):
            finished(start(ranks, f"{file}.safetensors", module=script))
            weights[way] = bk.Model.load(f"{file}.safetensors").weights.all
    sys.path.insert(0, str(ROOT / "examples"))
    script = importlib.import_module("data_parallel_torch")
    made = script.network()
    y, mask = made.graph.outputs["y"], made.graph.fed("input")["mask"]
    loss = bk.losses.cross_entropy(y, bk.sequence("target", dtype="int"), mask)
    here = bk.Model(loss=loss, outputs={"y": y}, seed=0, dtype="float64")
    fed = dict(zip(("x", "target", "mask"), script.sequences(), strict=True))
    here.fit(fed, epochs=3, batch_size=8, shuffle=False, optimizer=bk.SGD(0.1), progress=False)
    if np.abs(here.weights.all - made.weights.all).max() < 0.01:
        sys.exit("FAIL: the examples were to move the weights")
    for way, found in weights.items():
        gap = float(np.abs(found - here.weights.all).max())
        if not gap <= 1e-12:
            sys.exit(f"FAIL: {way} trained to weights that are off by {gap:.2g} from those of fit")
        print(f"{way}: weights off by {gap:.1g} from those of fit in one process")


def main() -> None:
    """All cases."""
    for case in CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            finished(start(0, "case", case, name))
            for ranks in (2, 4):
                inner = folder / str(ranks)
                inner.mkdir()
                finished(start(ranks, "case", case, str(inner)))
                compare(case, folder, inner)
    for what in (reproduced, exported, killed):
        with tempfile.TemporaryDirectory() as name:
            what(Path(name))


LONG, QUICK = 30, ("--quick", "--trials", "3")

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
