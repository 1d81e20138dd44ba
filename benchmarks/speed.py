"""Side by side: blocks against PyTorch, JAX and NumPy by hand.

    python -m benchmarks.speed                                  # all cells: twenty minutes
    python -m benchmarks.speed --cell lstm --rounds 9 -o speed.json
    python -m benchmarks.speed --what forward --dtype float64 --threads 1 2

Forward plus all gradients of the weights, or forward alone; each number of threads in processes of its own, on so many
processors. All contestants take turns within each round, each after a pause (`benchmarks.turns`), and the median of the
ratios counts, over the rounds of all processes: in some, nn.LSTM takes up to 1.5 times what it takes in others. It stands
beside every cell, as a yardstick. The machine may be shared: what others used of it is printed; compare columns of one
run, never two runs. Peers that are not installed are named.
"""

import argparse
import datetime
import importlib.util
import itertools
import json
import os
import platform
import statistics
import time
import tracemalloc

import numpy as np

import blocks as bk
from benchmarks import apart
from benchmarks.cells import CELLS
from benchmarks.peers import PEERS, Task
from benchmarks.turns import Others, positive, ratio, rounds

POINTS = [(100, 1, 16, 16), (100, 32, 16, 32), (100, 32, 64, 128), (100, 32, 128, 256), (50, 128, 256, 512)]
INSTALL = {"torch": "pip install torch", "jax": "pip install jax"}
TOLERANCE = {"float32": 2e-3, "float64": 1e-9}


def tasks(cell, point, dtype="float32"):
    """The outputs of a cell for a random input, and the gradients of Σ h ⊙ d by its weights."""
    T, B, N, H = point
    rng = np.random.default_rng(0)
    graph = CELLS[cell](N, H).graph
    weights = {
        name: (rng.standard_normal(shape) / (np.sqrt(shape[0]) if len(shape) > 1 else 1)).astype(dtype)
        for name, shape in graph.params.items()
    }
    states = [node for node in graph.fed("input").values() if node.role == "state"]
    zeros = [np.zeros((B, *node.shape[1:]), dtype) for node in states]
    x, d = (rng.standard_normal((T, B, size)).astype(dtype) for size in (N, H))
    return {what: Task(cell, H, weights, zeros, x, given) for what, given in (("forward", None), ("gradients", d))}


def graph_of(task):
    """The graph of a task, and feeds for it."""
    hs = bk.scan(CELLS[task.cell](task.x.shape[-1], task.units), bk.sequence("x", task.x.shape[-1]))
    if task.d is None:
        return bk.Graph({"y": hs}), {**task.weights, "x": task.x}
    graph = bk.grad(bk.Graph({"loss": bk.sum(hs * bk.sequence("d", task.units))}))
    graph = bk.Graph({k: v for k, v in graph.outputs.items() if k != "loss"})
    return graph, {**task.weights, "x": task.x, "d": task.d}


def contestants(task, interpreted, target="auto"):
    """Name → what to call, and the seconds that blocks took to compile."""
    graph, feeds = graph_of(task)
    began = time.perf_counter()
    program = bk.compile(graph, target=target)
    program.prepare(task.x.dtype)
    seconds = time.perf_counter() - began
    found = {"blocks": lambda: program(feeds)}
    if program.target != "numpy":
        plain = bk.compile(graph, target="numpy")
        found["numpy"] = lambda: plain(feeds)
    if interpreted:
        found["interpreted"] = lambda: bk.run(graph, feeds)
    for name, (module, make) in PEERS.items():
        run = make(task) if importlib.util.find_spec(module) else None
        if run is not None:
            found[name] = run
    return found, seconds


def agree(results, tolerance):
    """Every contestant computes the same; raises if one does not."""
    reference = {name.removeprefix("grad/"): value for name, value in results["blocks"].items()}
    for name, got in results.items():
        for key, value in got.items():
            expected = reference[key.removeprefix("grad/")]
            worst = np.abs(value - expected).max() / np.abs(expected).max()
            if not worst < tolerance:
                raise SystemExit(f"{name} disagrees with blocks on {key}: {worst:.2g}")


def peak_memory(task, target="auto"):
    """Peak memory of the arrays of one call, in MiB, feeds left out."""
    graph, feeds = graph_of(task)
    program = bk.compile(graph, target=target)
    tracemalloc.start()
    program(feeds)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return peak


def measure(task, count, interpreted, target):
    """The row of one task: seconds in each round by contestant, and what else is reported."""
    found, seconds = contestants(task, interpreted, target)
    agree({name: run() for name, run in found.items()}, TOLERANCE[str(task.x.dtype)])
    others = Others()
    times = rounds(found, count)
    busy = others.busy()
    return {"seconds": times, "compile_s": seconds, "peak_mib": peak_memory(task, target), "others": busy}


def about(row):
    """What all rows of a table have in common."""
    return row["cell"], row["what"], row["dtype"], row["threads"]


def measured(cell, what, dtype, threads, options):
    """The rows of the points of one cell, one by one."""
    for point in POINTS[: options.points]:
        interpreted = options.interpreted and point[3] <= 256
        row = measure(tasks(cell, point, dtype)[what], options.rounds, interpreted, options.target)
        yield with_ratios({"cell": cell, "what": what, "dtype": dtype, "threads": threads, "point": point, **row})


def with_ratios(row):
    """A row with its medians: of blocks' time over that of each other contestant in the same round."""
    times = row["seconds"]
    return {**row, "ratios": {name: ratio(times["blocks"], times[name]) for name in times if name != "blocks"}}


def merged(rows):
    """One row for the same point of several processes, with all their rounds."""
    found = {}
    for row in rows:
        found.setdefault((*about(row), tuple(row["point"])), []).append(row)
    for same in found.values():
        busy = [row["others"] for row in same if row["others"] is not None]
        seconds = {name: [s for row in same for s in row["seconds"][name]] for name in same[0]["seconds"]}
        rest = {
            "compile_s": statistics.median(row["compile_s"] for row in same),
            "peak_mib": max(row["peak_mib"] for row in same),
            "others": statistics.mean(busy) if busy else None,
        }
        yield with_ratios({**same[0], "seconds": seconds, **rest})


def show(rows, target):
    """Print the table of some rows as they come; the rows."""
    shown, columns = [], []
    for row in rows:
        ratios = row["ratios"]
        if not shown:
            columns = list(ratios)
            cell, what, dtype, threads = about(row)
            print(
                f"\n{cell}, {what}, {dtype}, {apart.threads_of(threads)}: "
                f"blocks ({target}) in milliseconds; its time over theirs"
            )
            heads = "".join(f"{name:>13}" for name in columns)
            print(f"{'(time, batch, in, units)':<24}{'ms':>9}{heads}{'compile s':>11}{'MiB':>6}{'others':>8}")
        cells = "".join(f"{ratios[name]:>13.2f}" if name in ratios else f"{'-':>13}" for name in columns)
        busy = "-" if row["others"] is None else f"{row['others']:.2f}"
        ms = 1000 * statistics.median(row["seconds"]["blocks"])
        point = str(tuple(row["point"]))
        print(f"{point:<24}{ms:>9.2f}{cells}{row['compile_s']:>11.3f}{row['peak_mib']:>6.0f}{busy:>8}", flush=True)
        shown.append(row)
    means = {name: [row["ratios"][name] for row in shown if name in row["ratios"]] for name in columns}
    print(f"{'geometric mean':<33}" + "".join(f"{statistics.geometric_mean(means[name]):>13.2f}" for name in means))
    return shown


def tables(options, threads):
    """All tables of one number of threads, in one process."""
    print(f"\n{platform.machine()}, {threads} of {os.cpu_count()} processors, NumPy {np.__version__}")
    for module, command in INSTALL.items():
        if importlib.util.find_spec(module) is None:
            print(f"{module} is not installed: its columns are left out ({command})")
    cells = list(CELLS) if "all" in options.cell else options.cell
    kinds = itertools.product(options.what, options.dtype, cells)
    return [
        row
        for what, dtype, cell in kinds
        for row in show(measured(cell, what, dtype, threads, options), options.target)
    ]


def processor():
    """The processor's name and its longest vectors, as far as the system says."""
    try:
        with open("/proc/cpuinfo") as file:
            said = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
    except OSError:
        said = {}
    found = {key.strip(): value.strip() for key, value in said.items()}
    name = found.get("model name") or platform.processor() or platform.machine()
    flags = found.get("flags", "").split()
    vectors = [title for flag, title in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags][:1]
    return " with ".join([name, *vectors])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", nargs="+", choices=[*CELLS, "all"], default=["all"])
    parser.add_argument("--what", nargs="+", choices=["gradients", "forward"], default=["gradients"])
    parser.add_argument("--dtype", nargs="+", choices=list(TOLERANCE), default=["float32"])
    parser.add_argument("--target", choices=["auto", "native", "numpy"], default="auto", help="of blocks")
    parser.add_argument("--threads", nargs="+", type=positive, default=[2])
    parser.add_argument("--points", type=positive, default=len(POINTS), help="only the first so many points")
    parser.add_argument("--rounds", type=positive, default=3, help="in each process")
    parser.add_argument("--processes", type=positive, default=3, help="for each number of threads")
    parser.add_argument("--interpreted", action="store_true", help="the interpreter too: it is slow")
    parser.add_argument("-o", "--output", default="speed.json", help="JSON file; the plot stands beside it as .png")
    options = parser.parse_args()
    rows = apart.rows("benchmarks.speed", options.threads, lambda threads: tables(options, threads), options.processes)
    rows = list(merged(rows))
    if options.processes > 1:
        print(f"\nall {options.processes} processes:")
        for _, same in itertools.groupby(rows, about):
            show(same, options.target)
    with open(options.output, "w") as file:
        when = {"date": datetime.date.today().isoformat(), "processor": processor()}
        json.dump({**when, "results": rows}, file, indent=1)
    plot(rows, os.path.splitext(options.output)[0] + ".png")


def plot(rows, path):
    """A panel for each table: milliseconds of all contestants at all points."""
    from matplotlib.figure import Figure

    tables = list(dict.fromkeys(map(about, rows)))
    across = min(4, len(tables))
    down = -(-len(tables) // across)
    figure = Figure(figsize=(4.2 * across, 4 * down), layout="constrained")
    for axis, key in zip(figure.subplots(down, across, squeeze=False).ravel(), tables, strict=False):
        points = [r for r in rows if about(r) == key]
        for name in dict.fromkeys(n for r in points for n in r["seconds"]):
            values = [1000 * statistics.median(r["seconds"].get(name, [np.nan])) for r in points]
            axis.plot(range(len(points)), values, "o-", label=name, linewidth=2.5 if name == "blocks" else 1)
        axis.set_yscale("log")
        axis.set_title(f"{key[0]}, {key[1]}, {key[2]}, {apart.threads_of(key[3])}", fontsize=9)
        axis.set_xticks(
            range(len(points)), [str(tuple(r["point"])) for r in points], rotation=30, ha="right", fontsize=7
        )
        axis.set_ylabel("ms")
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
