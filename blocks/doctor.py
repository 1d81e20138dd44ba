"""What a machine has of all that the package uses, and what would help."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from .bricks import TANH
from .cell import Cell
from .compile import compile
from .compile.native import build
from .graph import Graph
from .scan import scan
from .wires import input, sequence, state

PACKAGES = (
    "numpy", "networkx", "graphviz", "resvg-py", "fonttools", "matplotlib", "rich", "typer",
    "safetensors", "threadpoolctl", "platformdirs",
)  # fmt: skip


def report() -> Iterator[str]:
    """Lines: versions, libraries, the compiler; then advice."""
    from . import __version__

    yield f"blocks {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    for name in PACKAGES:
        yield _line(name, _version(name))
    advice: list[str] = []
    yield from _blas(advice)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield _line("processors", str(cores))
    yield from _compiler(advice)
    yield from (f"advice: {line}" for line in advice or ["nothing that would help is missing"])


def _line(name: str, value: str) -> str:
    return f"  {name:<14} {value}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"missing: pip install {name}"


def _blas(advice: list[str]) -> Iterator[str]:
    import numpy as np
    import threadpoolctl

    for pool in threadpoolctl.threadpool_info():
        kernels = pool.get("architecture", "unknown kernels")
        library = f"{pool['internal_api']} {pool.get('version') or ''}"
        yield _line("BLAS", f"{library}, {kernels}, {pool['num_threads']} threads")
        if pool["internal_api"] == "openblas" and kernels == "Haswell" and _has_avx512(np):
            advice.append("this processor has AVX-512, but OpenBLAS uses AVX2 kernels: try OPENBLAS_CORETYPE=SKYLAKEX")


def _has_avx512(np: Any) -> bool:
    return "AVX512_SKX" in np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])


def _compiler(advice: list[str]) -> Iterator[str]:
    """The compiler, tried on a small program, and where what it makes is kept."""
    try:
        yield _line("C compiler", str(build.compiler()))
    except build.Unavailable as error:
        yield _line("C compiler", "none")
        advice.append(f"programs in C are faster than NumPy, but {error}")
        return
    program = compile(_small(), target="native")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if program.prepare("float32") != "native":
            advice.append(f"programs are NumPy here: {program.why}")
    folder = build.cache()
    yield _line("programs in C", str(folder or "made anew by each process"))
    if folder is None:
        advice.append("no private folder can keep what is compiled: let BLOCKS_CACHE name one of your own (mode 700)")


def _small() -> Graph:
    """A small network."""
    x, h = input("x", 2), state("h", 2)
    hs = scan(Cell({h: TANH(2, name="hidden")(x, h)}, outputs=h), sequence("x", 2))
    return Graph({"hs": hs})
