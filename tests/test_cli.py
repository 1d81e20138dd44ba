"""The command line, as a user calls it."""

import html
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from blocks import cells
from blocks.cells.table import GALLERY
from blocks.tasks.demo import add, unseen

from .command import blocks

USER_CELL = """
import blocks as bk

def mine(inputs, units):
    x, h = bk.input("x", inputs), bk.state("h", units)
    gate = bk.SIGM(units, name="gate")(x, h)
    h1 = gate * h + (1 - gate) * bk.TANH(units, name="new")(x)
    return bk.Cell(states={h: h1}, outputs=h1)

def wrong(inputs, units):
    return 3
"""


def test_help_has_examples() -> None:
    assert all(
        c in blocks("--help").stdout
        for c in ("demo", "train", "sample", "draw", "export", "cells", "describe", "doctor")
    )
    for command in ("demo", "train", "sample", "draw", "export", "cells", "describe", "doctor"):
        done = blocks(command, "--help")
        assert done.returncode == 0 and f"Example: blocks {command}" in done.stdout


def test_describe(tmp_path) -> None:
    out = blocks("describe", "lstm", "--inputs", 8, "--units", 32).stdout
    assert "forget = σ(x W_x + h' W_h + b)" in out and "C = forget ⊙ C' + input ⊙ candidate" in out
    assert re.search(r"forget\.W_x +\(8, 32\) +256", out) and re.search(r"total +5,248", out)
    (tmp_path / "my.py").write_text(USER_CELL)
    out = blocks("describe", f"{tmp_path}/my.py:mine").stdout
    assert "h = gate ⊙ h' + (1 − gate) ⊙ new" in out


def test_draw(tmp_path) -> None:
    (tmp_path / "my.py").write_text(USER_CELL)
    for cell in ("lstm", f"{tmp_path}/my.py:mine"):
        for ending in ("svg", "png", "pdf", "dot"):
            done = blocks("draw", cell, "-o", tmp_path / f"x.{ending}", "--shapes")
            assert done.returncode == 0 and (tmp_path / f"x.{ending}").stat().st_size > 500, done.stderr


def test_draw_blocks(tmp_path) -> None:
    done = blocks("draw", "srn", "-o", tmp_path / "x.json", "--blocks", "--units", 4)
    assert done.returncode == 0, done.stderr
    wanted = cells.srn(8, 4).draw(shapes="blocks", title="srn").render("json")
    assert (tmp_path / "x.json").read_bytes() == wanted


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("draw", "lstmm", "-o", "x.svg"), "no cell 'lstmm'.*did you mean 'lstm'"),
        (("draw", "lstm", "-o", "x.gif"), "saved as .svg, .png, .pdf"),
        (("draw", "lstm", "-o", "x.svg", "--highlight", "forgot"), "did you mean 'forget'"),
        (("describe", "none.py:f"), "no file 'none.py'"),
        (("describe", "my.py:f"), "no function 'f'.*mine"),
        (("describe", "my.py:wrong"), "returned a int, not a Cell"),
        (("describe", "broken.py:f"), "does not run: ZeroDivisionError"),
        (("describe", "book_lstm", "--inputs", "3"), "3 and 8 differ"),
        (("sample", "none.safetensors"), "no such file"),
        (("sample", "my.py"), "no whole .safetensors"),
        (("train", "none.txt"), "none.txt: .*No such file"),
        (("train", "short.txt"), "too short to learn from"),
        (("train", "--cell", "nothing"), "no cell 'nothing'"),
    ],
)
def test_errors_are_one_line(args, message, tmp_path) -> None:
    (tmp_path / "my.py").write_text(USER_CELL)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "short.txt").write_text("short")
    done = blocks(*args, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.fullmatch(rf"blocks: .*{message}.*\n", done.stderr, re.DOTALL), done.stderr


def test_train_resume_and_sample(tmp_path) -> None:
    text, model = tmp_path / "t.txt", tmp_path / "m.safetensors"
    text.write_text("the cat sat on the mat. " * 300)
    done = blocks("train", text, "--units", 16, "--epochs", 2, "--batch", 8, "-o", model)
    assert done.returncode == 0 and "epoch 2: loss" in done.stdout, done.stderr
    more = blocks("train", text, "--units", 16, "--epochs", 2, "--batch", 8, "-o", model, "--resume")
    assert "epoch 4: loss" in more.stdout
    bits = [float(b) for b in re.findall(r"held out ([\d.]+) bits", more.stdout)]
    assert len(bits) == 4 and bits[-1] < bits[0]
    other = blocks("train", text, "--units", 12, "--batch", 8, "-o", model, "--resume")
    assert other.returncode == 2 and "this is another model" in other.stderr
    wrote = blocks("sample", model, "--length", 50, "--prime", "the ")
    assert wrote.stdout.startswith("the ") and len(wrote.stdout) == 55
    assert wrote.stdout == blocks("sample", model, "--length", 50, "--prime", "the ").stdout


@pytest.mark.parametrize("early", [False, True])
def test_ctrl_c_while_training_leaves_a_model(tmp_path, early) -> None:
    """One that goes on; or, before the first update, while the compiler is at work, none, and says so."""
    model = tmp_path / "m.safetensors"
    args = [sys.executable, "-m", "blocks", "train", "--units", "16", "--epochs", "500", "-o", str(model)]
    process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and "characters" in process.stdout.readline()
    assert process.stdout.readline()  # what it computes with
    while not early and process.poll() is None and not model.exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130 and "Traceback" not in err
    kept = model.exists()
    assert ("--resume" in err) == kept and ("nothing is written" in err) == (not kept)
    assert early or len(blocks("sample", model, "--length", 20).stdout) >= 20


def test_doctor() -> None:
    out = blocks("doctor").stdout
    assert all(word in out for word in ("Python", "numpy", "resvg-py", "BLAS", "threads", "processors", "advice"))


def test_a_small_demo(tmp_path, monkeypatch) -> None:
    """Its page shows what is there, needs nothing else, and says commands that run."""
    monkeypatch.chdir(tmp_path)
    done = blocks("demo", "-o", "demo", "--units", 12, "--updates", 12)
    assert done.returncode == 0, done.stderr
    assert all(w in done.stdout for w in ("always the mean", "bigrams", "srn", "lstm", "ms/update", "the LSTM writes"))
    folder = tmp_path / "demo"
    shown = {"adding.png", "text.png", "srn.svg", "lstm.svg", "gradient.svg", "sample.txt"}
    assert {p.name for p in folder.iterdir()} == {*shown, "lstm.safetensors", "index.html"}
    page = (folder / "index.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == shown and "http" not in page
    assert html.escape((folder / "sample.txt").read_text().strip()) in page
    for line in re.findall(r"^(?:<pre>)?blocks (.*?) +#", html.unescape(page), re.MULTILINE):
        if not line.startswith("train"):
            assert blocks(*shlex.split(line)).returncode == 0, line
    assert {p.name for p in tmp_path.iterdir()} == {"demo", "lstm.html", "fading.html", "gru.svg"}


def test_an_lstm_is_worth_its_cost() -> None:
    """In the demo's own long lag, with fewer updates: the SRN answers the mean, the LSTM has learnt to add."""
    srn, lstm = (add(name, 16, 260, "auto") for name in ("srn", "lstm"))
    assert srn.error > 0.9 * float(np.var(unseen()["target"][:, -1])) and srn.right < 0.3
    assert lstm.error < 0.2 * srn.error and lstm.right > 0.4


def test_the_cells_are_listed() -> None:
    done = blocks("cells", "--family", "gru", "--units", 5)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 2 + sum(e.family == "GRU" for e in GALLERY.values())
    (row,) = [line for line in lines if line.startswith("gru ")]
    assert row.split()[1:5] == ["GRU", "2014", "210", "6"]
    everything = blocks("cells", "--inputs", 3).stdout
    assert all(name in everything for name in GALLERY) and "book_lstm" in everything
    done = blocks("cells", "--family", "parralel")
    assert done.returncode == 2 and "did you mean 'parallel'" in done.stderr
