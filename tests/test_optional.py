"""Packages that only some things need: each is named where it is missing, and nothing else is."""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import blocks as bk
from blocks.experiments.reproduce import reproduce
from blocks.optional import needed
from blocks.tasks.demo import run_demo

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def history() -> bk.History:
    x = bk.input("x", 2)
    model = bk.Model(loss=bk.mean(bk.TANH(3, name="t")(x) ** 2.0))
    return model.fit({"x": [[1.0, 2.0]]}, epochs=2)


def trace() -> bk.Trace:
    cell = bk.cells.srn(2, 3)
    feeds = {"x": np.ones((4, 1, 2)), "target": np.ones((4, 1, 3))}
    return bk.trace(cell, {**cell.graph.init(0, "float64"), **feeds})


USES = {
    "a plot needs the package matplotlib": lambda folder: history().plot(),
    "a plot needs the package matplotlib,": lambda folder: trace().plot(),
    "a figure as PDF needs the package matplotlib": lambda folder: bk.cells.srn(2, 3).draw().save(folder / "x.pdf"),
    "blocks demo needs the package matplotlib": lambda folder: run_demo(folder / "demo"),
    "blocks reproduce needs the package matplotlib": lambda folder: reproduce("elman-xor", folder / "out", quick=True),
    "blocks reproduce needs the package scipy": lambda folder: reproduce("elman-xor", folder / "out", quick=True),
    "TensorBoard needs the package tensorboardX": lambda folder: bk.TensorBoard(folder / "runs"),
    "to_torch needs the package torch": lambda folder: bk.to_torch(bk.cells.srn(2, 3)),
    "to_jax needs the package jax": lambda folder: bk.to_jax(bk.cells.srn(2, 3)),
    "to_onnx needs the package onnx": lambda folder: bk.to_onnx(bk.cells.srn(2, 3)),
    "from_onnx needs the package onnx": lambda folder: bk.from_onnx(folder / "x.onnx"),
}


@pytest.mark.parametrize("said", USES)
def test_what_is_missing_is_named(said, tmp_path, monkeypatch) -> None:
    package = said.rstrip(",").split()[-1]
    for module in [m for m in sys.modules if m.partition(".")[0] == package] + [package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "blocks.train.plot", raising=False)
    with pytest.raises(bk.BlocksError, match=f"{said.rstrip(',')}, which is not installed: pip install {package}$"):
        USES[said](tmp_path)
    assert not list(tmp_path.iterdir())
    assert any(one.startswith(package) for name, extra in EXTRAS.items() if name != "test" for one in extra)


def test_what_is_there_is_imported() -> None:
    assert needed("numpy.linalg", "this") is sys.modules["numpy.linalg"]


def test_nothing_optional_is_imported_before_it_is_asked_for() -> None:
    optional = sorted({one.split(">")[0].partition("[")[0] for extra in EXTRAS.values() for one in extra} - {"pytest"})
    code = f"import sys, blocks, blocks.cli; print([m for m in {optional} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
