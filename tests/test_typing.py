"""What a type checker says of a script with mistakes, and what a run says; and that the signatures are current."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import blocks as bk

ROOT = Path(__file__).resolve().parent.parent

MISTAKES = [  # a line, and what a run says of it
    ("model.fit(X, epoch=3)", "no option 'epoch' (did you mean 'epochs'?)"),
    ('cell.draw(themes="dark")', "no option 'themes' (did you mean 'theme'?)"),
    ('figure.sav("x.svg")', "Did you mean: 'save'?"),
    ("print(hs.shap)", "Did you mean: 'shape'?"),
    ('bk.concat(hs, "y")', "a str is no number, array or wire: 'y'"),
    ("bk.softmax(y, axes=-1)", "no option 'axes' (did you mean 'axis'?)"),
]
HEAD = """\
import numpy as np

import blocks as bk

xs, target = bk.sequence("x", 3), bk.sequence("target", dtype="int")
cell = bk.cells.gru(3, 4)
hs, last = bk.scan(cell, xs, final=True)
hs = bk.scan(cell, xs)
y = bk.ADD(5, name="out")(hs)
model = bk.Model(loss=bk.losses.cross_entropy(y, target), outputs={"y": y}, trials=None)
X = {"x": np.ones((2, 6, 3)), "target": np.zeros((2, 6), int)}
figure = cell.draw(highlight="update", theme="dark")
"""
RIGHT = """\
history: bk.History = model.fit(X, epochs=2, optimizer=bk.Adam(bk.schedules.plateau(1e-3, of="loss")), average=0.9,
                                metrics={"accuracy": bk.metrics.accuracy(y, target)}, callbacks=lambda m, r: None)
shown: bk.Figure = model.graph.draw(title="all")
wire: bk.Node = bk.concat([hs, y], axis=-1) * 2.0 + bk.tanh(np.float64(0.5) * bk.mean(y, axis=-1, keepdims=True))
both: bk.Node = bk.where(bk.greater(wire, 0), wire, 0.0)[:, :, 0] + bk.sum(last["h"])
h = bk.state("h", 3)
two = bk.Cell(states={h: bk.tanh(h + bk.input("z", 3))}, outputs={"a": h, "b": h + 1})
print(bk.scan(two, bk.sequence("z", 3))["a"].shape, history["accuracy"])
"""


def scripts(folder: Path) -> tuple[Path, Path, int]:
    """A script with the mistakes, one without, and the line of the first mistake."""
    wrong, right = folder / "wrong.py", folder / "right.py"
    wrong.write_text(HEAD + "\n".join(line for line, _ in MISTAKES) + "\n")
    right.write_text(HEAD + RIGHT)
    return wrong, right, HEAD.count("\n") + 1


def test_mypy_finds_each_mistake_and_no_other(tmp_path) -> None:
    wrong, right, first = scripts(tmp_path)
    command = [sys.executable, "-m", "mypy", str(wrong), str(right)]  # with the cache of the project's own check
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout
    errors = [line.split(":") for line in said.splitlines() if ": error:" in line]
    assert {(Path(e[0]).name, int(e[1])) for e in errors} == {("wrong.py", first + k) for k in range(len(MISTAKES))}, (
        said
    )


def test_pyright_finds_each_mistake_and_no_other(tmp_path) -> None:
    pytest.importorskip("pyright")
    wrong, right, first = scripts(tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"extraPaths": [str(ROOT)], "reportAttributeAccessIssue": True})
    )
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(wrong), str(right)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.startswith("{"), f"pyright does not start: {done.stdout[-200:]}{done.stderr[-400:]}"
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = {(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in found if d["severity"] == "error"}
    assert errors == {("wrong.py", first + k) for k in range(len(MISTAKES))}, found


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_a_run_says_what_was_meant(case, tmp_path) -> None:
    line, said = MISTAKES[case]
    done = subprocess.run([sys.executable, "-c", HEAD + line], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and said in done.stderr.replace("\n", " "), done.stderr


def test_the_script_without_mistakes_runs() -> None:
    done = subprocess.run([sys.executable, "-c", HEAD + RIGHT], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_signatures_are_current() -> None:
    """Else: python .ci/signatures.py"""
    found = importlib.util.spec_from_file_location("signatures", ROOT / ".ci" / "signatures.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert module.FILE.read_text(encoding="utf-8") == module.formatted(module.text())


def test_an_option_that_an_operation_does_not_have() -> None:
    x = bk.sequence("x", 3)
    for make, message in (
        (
            lambda: bk.sum(x, axes=0),
            r"sum: there is no option 'axes' \(did you mean 'axis'\?\); its options .*axis, keepdims",
        ),
        (lambda: bk.tanh(x, axis=0), "tanh: there is no option 'axis'; it has no options"),
        (lambda: bk.reshape(x, shpe=(3,)), "did you mean 'shape'"),
    ):
        with pytest.raises(bk.WiringError, match=message):
            make()
