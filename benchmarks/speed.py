"""Side by side: blocks against hand-written NumPy, PyTorch and JAX.

    python -m benchmarks.speed                    # all points, all cells
    python -m benchmarks.speed --cell lstm --rounds 9 -o speed.json

Forward plus all parameter gradients, float32, two threads; all contestants take turns within each round, and
the median over rounds counts. The machine may be shared: compare columns of one run, never two runs. Peers
that are not installed are named; to have them: pip install torch==2.13.0 jax
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
import tracemalloc

THREADS = "2"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, THREADS)

import numpy as np  # noqa: E402

import blocks as bk  # noqa: E402
from benchmarks import peers  # noqa: E402
from benchmarks.cells import CELLS  # noqa: E402
from benchmarks.handwritten import HandwrittenLSTM  # noqa: E402

POINTS = [(100, 1, 16, 16), (100, 32, 16, 32), (100, 32, 64, 128), (100, 32, 128, 256), (50, 128, 256, 512)]
TURN = 0.1  # seconds that a contestant has in each round, if it is so fast
INSTALL = {"torch": "pip install torch==2.13.0", "jax": "pip install jax"}


def blocks_name(cell, name):
    """The name that a weight of `peers` has in blocks."""
    gate, kind = name.split(".")
    if cell == "multiplicative":
        return f"{gate}_W.W_x" if kind == "W" else f"{gate}_U.W_h" if kind == "U" else name
    if kind == "p":
        return f"{gate}_peep.W_" + ("C" if gate != "output" else "1")
    if (cell, name) == ("gru", "candidate.U"):
        return "candidate.W_2"
    return {"W": f"{gate}.W_x", "U": f"{gate}.W_h", "b": f"{gate}.b"}[kind]


def gradient_graph(cell, point, rng):
    """The graph of all parameter gradients of Σ h ⊙ d, feeds for it, and its weights as `peers` have them."""
    T, B, N, H = point
    weights = peers.random_weights(cell, N, H, rng)
    x = rng.standard_normal((T, B, N)).astype(np.float32)
    d = rng.standard_normal((T, B, H)).astype(np.float32)
    names = {blocks_name(cell, k): k for k in weights}
    hs = bk.scan(CELLS[cell](N, H), bk.sequence("x", N))
    graph = bk.grad(bk.Graph({"loss": bk.sum(hs * bk.sequence("d", H))}))
    graph = bk.Graph({k: v for k, v in graph.outputs.items() if k != "loss"})
    return graph, {**{k: weights[n] for k, n in names.items()}, "x": x, "d": d}, (weights, names)


def contestants(cell, point, rng, interpreted, alone=False):
    """Name → callable that returns the gradients, by the names of `peers`."""
    T, B, N, H = point
    graph, feeds, (weights, names) = gradient_graph(cell, point, rng)
    x, d = feeds["x"], feeds["d"]
    began = time.perf_counter()
    program = bk.compile(graph)
    seconds = time.perf_counter() - began
    found = {"blocks": lambda: {names[k[5:]]: v for k, v in program(feeds).items()}}
    if interpreted:
        found["interpreted"] = lambda: {names[k[5:]]: v for k, v in bk.run(graph, feeds).items()}
    if cell == "lstm":
        hand = HandwrittenLSTM(T, B, N, H)
        order = ["input", "forget", "output", "candidate"]
        wx, wh, b = (np.concatenate([weights[f"{g}.{k}"] for g in order], -1) for k in ("W", "U", "b"))

        def by_hand():
            out = hand.step(x, wx, wh, b, d)
            return {
                f"{g}.{k}": out[n][..., i * H : (i + 1) * H]
                for k, n in (("W", "x"), ("U", "h"), ("b", "b"))
                for i, g in enumerate(order)
            }

        found["handwritten"] = by_hand
    made = {
        "torch fused": ("torch", lambda: peers.torch_fused(cell, weights, x, d)),
        "torch loop": ("torch", lambda: peers.torch_loop(cell, weights, x, d)),
        "torch script": ("torch", lambda: peers.torch_script(cell, weights, x, d)),
        "jax scan": ("jax", lambda: peers.jax_scan(cell, weights, x, d)),
        "jax hoisted": ("jax", lambda: peers.jax_scan(cell, weights, x, d, hoisted=True)),
    }
    for name, (module, make) in made.items():
        if not alone and importlib.util.find_spec(module) is not None:
            run = make()
            if run is not None:
                found[name] = run
    return found, seconds


def agree(results):
    """Every contestant computes the same gradients; raises if one does not."""
    reference = results["blocks"]
    for name, got in results.items():
        for key, value in got.items():
            scale = np.abs(reference[key]).max()
            worst = np.abs(value - reference[key]).max() / scale
            if not worst < 2e-3:
                raise SystemExit(f"{name} disagrees with blocks on {key}: {worst:.2g}")


def measure(cell, point, rounds, interpreted):
    """Median milliseconds of each contestant, taking turns."""
    found, compile_seconds = contestants(cell, point, np.random.default_rng(0), interpreted)
    agree({name: run() for name, run in found.items()})
    times = {name: [] for name in found}
    repeats = {}
    for name, run in found.items():
        began = time.perf_counter()
        run()
        least = 1 if name == "interpreted" else 3
        repeats[name] = min(50, max(least, int(TURN / (time.perf_counter() - began))))
    for _ in range(rounds):
        for name, run in found.items():
            turn = []
            for _ in range(repeats[name]):
                began = time.perf_counter()
                run()
                turn.append(time.perf_counter() - began)
            times[name].append(1000 * statistics.median(turn))
    return {name: statistics.median(t) for name, t in times.items()}, compile_seconds


def peak_memory(cell, point):
    """Peak memory of the arrays of one compiled training step, in MiB, feeds left out."""
    found, _ = contestants(cell, point, np.random.default_rng(0), False, alone=True)
    tracemalloc.start()
    found["blocks"]()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", choices=[*CELLS, "all"], default="all")
    parser.add_argument("--points", type=int, default=len(POINTS), help="only the first so many points")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-interpreted", action="store_true", help="leave the interpreter out: it is slow")
    parser.add_argument("-o", "--output", default="speed.json", help="JSON file; the plot stands beside it as .png")
    options = parser.parse_args()
    for module, command in INSTALL.items():
        if importlib.util.find_spec(module) is None:
            print(f"{module} is not installed: its columns are left out ({command})")
    print(f"{platform.machine()}, {os.cpu_count()} processors, {THREADS} threads, NumPy {np.__version__}")
    report = []
    for cell in CELLS if options.cell == "all" else [options.cell]:
        print(
            f"\n{cell}: milliseconds of blocks; other columns: time of blocks over theirs (below 1: blocks is faster)"
        )
        header = None
        for point in POINTS[: options.points]:
            times, seconds = measure(cell, point, options.rounds, not options.no_interpreted and point[3] <= 256)
            memory = peak_memory(cell, point)
            ratios = {n: times["blocks"] / t for n, t in times.items() if n != "blocks"}
            if header is None:
                header = [n for n in ratios if n != "interpreted"] + (
                    ["interpreted"] if "interpreted" in ratios else []
                )
                print(
                    f"{'(time, batch, in, units)':<24}{'ms':>9}"
                    + "".join(f"{n:>14}" for n in header)
                    + f"{'compile s':>11}{'MiB':>7}"
                )
            row = "".join(f"{ratios[n]:>14.3f}" if n in ratios else f"{'-':>14}" for n in header)
            print(f"{point!s:<24}{times['blocks']:>9.2f}{row}{seconds:>11.3f}{memory:>7.0f}", flush=True)
            report.append({"cell": cell, "point": point, "ms": times, "compile_s": seconds, "peak_mib": memory})
    with open(options.output, "w") as file:
        json.dump({"machine": platform.machine(), "threads": THREADS, "results": report}, file, indent=1)
    plot(report, os.path.splitext(options.output)[0] + ".png")


def plot(report, path):
    from matplotlib.figure import Figure

    cells = list(dict.fromkeys(r["cell"] for r in report))
    figure = Figure(figsize=(4.2 * len(cells), 4), layout="constrained")
    for axis, cell in zip(np.atleast_1d(figure.subplots(1, len(cells), squeeze=False)).ravel(), cells, strict=True):
        rows = [r for r in report if r["cell"] == cell]
        for name in dict.fromkeys(n for r in rows for n in r["ms"]):
            values = [r["ms"].get(name, np.nan) for r in rows]
            axis.plot(range(len(rows)), values, "o-", label=name, linewidth=2.5 if name == "blocks" else 1)
        axis.set_yscale("log")
        axis.set_title(cell)
        axis.set_xticks(range(len(rows)), [str(tuple(r["point"])) for r in rows], rotation=30, ha="right", fontsize=7)
        axis.set_ylabel("ms, forward and all gradients")
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
