"""What checkpoints save and cost: memory and time of a training step with them, over one without.

    python -m benchmarks.checkpoint
    python -m benchmarks.checkpoint --cell gru --point 2000 16 32 64 --every 10 sqrt

Time is the median of rounds in which all take turns (`benchmarks.turns`); memory is the peak of arrays, feeds left out.
"""

import argparse
import statistics
import tracemalloc
from functools import partial

import blocks as bk
from benchmarks.cells import CELLS
from benchmarks.speed import graph_of, tasks
from benchmarks.turns import positive, ratio, rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", choices=CELLS, default="lstm")
    parser.add_argument(
        "--point", type=positive, nargs=4, default=[1000, 32, 64, 128], metavar=("T", "BATCH", "IN", "UNITS")
    )
    parser.add_argument("--every", nargs="+", default=["10", "sqrt", "100"], help="numbers of steps, or sqrt")
    parser.add_argument("--rounds", type=positive, default=5)
    options = parser.parse_args()
    graph, feeds = graph_of(tasks(options.cell, tuple(options.point))["gradients"])
    kinds = [None, *(k if k == "sqrt" else int(k) for k in options.every)]
    programs = {kind: bk.compile(graph, checkpoint=kind) for kind in kinds}
    peaks = {}
    for kind, program in programs.items():
        tracemalloc.start()
        program(feeds)
        peaks[kind] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    times = rounds({kind: partial(program, feeds) for kind, program in programs.items()}, options.rounds)
    print(f"{options.cell} {tuple(options.point)}\n{'checkpoint':>12}{'ms':>9}{'time':>7}{'MiB':>8}{'memory':>8}")
    for kind in kinds:
        share, ms = ratio(times[kind], times[None]), 1000 * statistics.median(times[kind])
        print(f"{kind or 'none'!s:>12}{ms:>9.1f}{share:>7.2f}{peaks[kind]:>8.0f}{peaks[kind] / peaks[None]:>8.2f}")


if __name__ == "__main__":
    main()
