"""A benchmark in a process of its own, for each number of threads: libraries take it from the environment, at start."""

import json
import os
import subprocess
import sys
import tempfile

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_HERE = "BLOCKS_BENCHMARK_ROWS"


def rows(module, threads, measure, processes=1):
    """What `measure(threads)`, a list of JSON values, returns in processes with so many processors and threads each, in
    so many one after another: the program starts again, and comes here again."""
    if _HERE in os.environ:
        with open(os.environ[_HERE], "w") as file:
            json.dump(measure(int(os.environ[VARIABLES[0]])), file)
        sys.exit()
    return [row for number in threads for _ in range(processes) for row in _measured(module, number)]


def threads_of(number):
    """A number of threads, in words."""
    return f"{number} {'thread' if number == 1 else 'threads'}"


def _measured(module, threads):
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if before is not None:
        os.sched_setaffinity(0, sorted(before)[:threads])  # the process inherits it
    try:
        with tempfile.TemporaryDirectory() as folder:
            output = os.path.join(folder, "rows.json")
            environment = {**os.environ, **dict.fromkeys(VARIABLES, str(threads)), _HERE: output}
            environment["BLOCKS_CACHE"] = folder  # what is compiled is compiled here
            subprocess.run([sys.executable, "-m", module, *sys.argv[1:]], check=True, env=environment)
            with open(output) as file:
                return json.load(file)
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)
