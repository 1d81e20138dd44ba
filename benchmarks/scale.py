"""How time and memory grow: with steps, batch, units, bricks in a cell, and layers.

    python -m benchmarks.scale                                    # all series, 1 and 2 threads
    python -m benchmarks.scale --series steps bricks --threads 1 -o scale.json

Forward and all gradients of the weights, float32. Each series changes one number; a row is ten times the one before or
so. `power` is the p of time ~ sizeᵖ between a row and the one before it: 1 is linear. The plot stands beside the JSON.
A series ends where a call would take long. A program that was compiled for one size comes from the cache for another.
"""

import argparse
import functools
import itertools
import json
import math
import os
import statistics
import time
import tracemalloc

import numpy as np

import blocks as bk
from benchmarks import apart
from benchmarks.compile import bricks_side_by_side
from benchmarks.turns import Others, positive, turn

TARGETS = ("native", "numpy")
LONGEST = 20.0  # seconds of a call, or of a compilation: beyond, a series ends


def trained(cell, inputs):
    """The gradient of a loss over all steps, by the weights."""
    hs = bk.scan(cell, bk.sequence("x", inputs))
    return bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}))


def stacked(count):
    """LSTMs of 32 units on top of each other."""
    return trained(bk.layers(*(bk.cells.lstm(32, 32) for _ in range(count))), 32)


def lstm(units):
    """An LSTM with as many inputs as units."""
    return trained(bk.cells.lstm(units, units), units)


SERIES = {  # name → sizes, the graph for one, and its steps and batch
    "steps": ((10, 100, 1_000, 10_000, 100_000), lambda n: (lstm(32), n, 1)),
    "batch": ((1, 4, 16, 64, 256, 1024), lambda n: (lstm(32), 50, n)),
    "units": ((8, 32, 128, 512, 1024), lambda n: (lstm(n), 20, 16)),
    "bricks": ((1, 10, 100, 1_000), lambda n: (bricks_side_by_side(n), 50, 16)),
    "layers": ((1, 2, 4, 8, 16, 32), lambda n: (stacked(n), 50, 16)),
}


def measure(make, size, target, rounds):
    """The row of one size: seconds of a call and of the compilation, and the peak of memory in MiB."""
    graph, steps, batch = make(size)
    sizes = {"time": steps, "batch": batch}
    x = np.random.default_rng(0).standard_normal([sizes.get(d, d) for d in graph.inputs["x"]])
    feeds = {**graph.init(0, "float32"), "x": x.astype(np.float32)}
    began = time.perf_counter()
    program = bk.compile(graph, target=target)
    program.prepare("float32")
    compiled = time.perf_counter() - began
    tracemalloc.start()
    program(feeds)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    call = functools.partial(program, feeds)
    return {"seconds": statistics.median(turn(call) for _ in range(rounds)), "compile_s": compiled, "peak_mib": peak}


def measure_series(name, target, threads, options):
    """The rows of one series, printed."""
    sizes, make = SERIES[name]
    print(
        f"\n{name}, {target}, {apart.threads_of(threads)}\n"
        f"{name:>8}{'ms':>12}{'power':>7}{'compile s':>11}{'MiB':>8}{'others':>8}"
    )
    rows, before = [], None
    for size in sizes:
        others = Others()
        row = measure(make, size, target, options.rounds)
        busy = others.busy()
        power = math.log(row["seconds"] / before[1]) / math.log(size / before[0]) if before else None
        shown = "-" if power is None else f"{power:.2f}"
        print(
            f"{size:>8}{1000 * row['seconds']:>12.2f}{shown:>7}{row['compile_s']:>11.3f}{row['peak_mib']:>8.1f}"
            f"{'-' if busy is None else f'{busy:.2f}':>8}",
            flush=True,
        )
        about = {"series": name, "target": target, "threads": threads, "size": size, "power": power, "others": busy}
        rows.append({**about, **row})
        before = size, row["seconds"]
        if size != sizes[-1] and max(row["seconds"], row["compile_s"]) > LONGEST:
            print(f"        it ends here: {LONGEST:g} seconds")
            break
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", nargs="+", choices=list(SERIES), default=list(SERIES))
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--threads", nargs="+", type=positive, default=[1, 2])
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("-o", "--output", default="scale.json", help="JSON file; the plot stands beside it as .png")
    options = parser.parse_args()

    def tables(threads):
        kinds = itertools.product(options.series, options.target)
        return [row for name, target in kinds for row in measure_series(name, target, threads, options)]

    rows = apart.rows("benchmarks.scale", options.threads, tables)
    with open(options.output, "w") as file:
        json.dump(rows, file, indent=1)
    plot(rows, os.path.splitext(options.output)[0] + ".png")


PANELS = {"seconds": "seconds of a call", "peak_mib": "MiB at most", "compile_s": "seconds to compile"}


def plot(rows, path):
    """A column for each series: time, memory and compilation over size."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["series"] for row in rows))
    figure = Figure(figsize=(3.6 * len(names), 3 * len(PANELS)), layout="constrained")
    axes = figure.subplots(len(PANELS), len(names), squeeze=False, sharex="col", sharey="row")
    for (i, (key, label)), (j, name) in itertools.product(enumerate(PANELS.items()), enumerate(names)):
        axis = axes[i][j]
        for target, threads in dict.fromkeys((row["target"], row["threads"]) for row in rows):
            line = [row for row in rows if (row["series"], row["target"], row["threads"]) == (name, target, threads)]
            style = {"linestyle": "-" if threads == 1 else "--", "color": f"C{TARGETS.index(target)}"}
            points = [row["size"] for row in line], [row[key] for row in line]
            axis.plot(*points, "o", label=f"{target}, {apart.threads_of(threads)}", markersize=3, **style)
        axis.set_xscale("log")
        axis.set_yscale("log")
        if i == len(PANELS) - 1:
            axis.set_xlabel(name)
        if j == 0:
            axis.set_ylabel(label)
            axis.legend(fontsize=7)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
