"""The notebooks of examples/: each runs in a kernel, in a quick form, and the exercises know right answers from wrong ones.

A code cell may say in its metadata what stands in its place here: "quick", with smaller numbers, or "solution", of an
exercise.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install '.[test]'")
nbclient = pytest.importorskip("nbclient", reason="pip install '.[test]'")
pytest.importorskip("ipykernel", reason="pip install '.[test]'")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def run(path: Path, change: Callable[[Any], str | None] = lambda cell: None) -> list[Any]:
    """Its code cells, in the quick form, with what came out; `change` gives another source for a cell, or None."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.source = change(cell) or cell.metadata.get("quick") or cell.source
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=path.parent)
    return cells


def test_there_are_six() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["compose", "export", "figures", "gradients", "text", "vanishing"]


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem != "gradients"], ids=lambda p: p.stem)
def test_a_notebook_runs(path: Path) -> None:
    shown = [out.get("data", {}) for cell in run(path) for out in cell.outputs]
    pictures = sum("image/svg+xml" in data or "image/png" in data for data in shown)
    assert pictures >= {"compose": 2, "figures": 8, "vanishing": 2}.get(path.stem, 0)


def test_exercises_know_their_answers() -> None:
    """As it is given out, with the solutions, and with each of them a little off."""
    (path,) = (p for p in NOTEBOOKS if p.stem == "gradients")
    kinds = re.compile(r"^[^:\n]+: (not answered yet|right|no, you are off)", re.MULTILINE)

    def told(change: Callable[[Any], str | None]) -> list[str]:
        return kinds.findall("\n".join(out.get("text", "") for cell in run(path, change) for out in cell.outputs))

    def off(cell: Any) -> str | None:
        names = cell.source.partition(" = ")[0].split(", ")
        wrong = "; ".join(
            f"{n} = [2 * p + 1 for p in {n}] if isinstance({n}, list) else {n} * 1.1 + 0.1" for n in names
        )
        return f"{cell.metadata['solution']}; {wrong}" if "solution" in cell.metadata else None

    first, solved, wrong = told(lambda cell: None), told(lambda cell: cell.metadata.get("solution")), told(off)
    assert len(first) == len(solved) == len(wrong) >= 10
    assert {*first} == {"not answered yet"} and {*solved} == {"right"} and {*wrong} == {"no, you are off"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_carries_no_results_and_links_that_lead_somewhere(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        for target in re.findall(r"\]\(([^)]+)\)", cell.source if cell.cell_type == "markdown" else ""):
            assert (path.parent / target).is_file(), target
