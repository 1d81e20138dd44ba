"""Callbacks that are ready, histories as tables, and how progress is shown."""

import csv
import subprocess
import sys
import textwrap
import types

import numpy as np
import pytest

import blocks as bk
from blocks.train import progress

from .helpers import data, model

RNG = np.random.default_rng(3)


def measured(m: bk.Model) -> dict:
    return {"accuracy": bk.metrics.accuracy(m.graph.outputs["y"], bk.sequence("target", dtype="int"))}


def test_the_best_epoch_is_saved_over_all_calls(tmp_path) -> None:
    path = tmp_path / "best.safetensors"
    d, other = data(24), data(24, seed=9)
    m = model()
    best = bk.SaveBest(path, of="validation_accuracy", mode="max")
    kept: list[float] = []

    def note(m, record) -> None:
        kept.append(bk.Model.load(path).evaluate(other, metrics=measured(m))["accuracy"])

    for epochs in (1, 3, 4):
        call = bk.Callback()
        call.on_epoch = note  # type: ignore[method-assign]
        options = {"optimizer": bk.Adam(0.1), "batch_size": 8, "validation": other, "metrics": measured(m)}
        m.fit(d, epochs=epochs, callbacks=[best, call], **options)
    values = m.history["validation_accuracy"]
    np.testing.assert_allclose(kept, np.maximum.accumulate(values), rtol=1e-12)
    assert kept[-1] > values[-1] or len(set(values)) > 1
    loaded = bk.Model.load(path)
    assert loaded.training is not None and loaded.history.epochs[-1]["validation_accuracy"] == max(values)
    with pytest.raises(bk.BlocksError, match="the epoch has no 'validaton' .did you mean 'validation'"):
        model().fit(d, validation=other, callbacks=bk.SaveBest(path, of="validaton"))
    with pytest.raises(bk.BlocksError, match="min or max, not 'mx'"):
        bk.SaveBest(path, mode="mx")
    with pytest.raises(bk.BlocksError, match="no folder"):
        bk.SaveBest(tmp_path / "none" / "x.safetensors")


def writer(trials=None) -> bk.Model:
    ids, following = bk.sequence("char", dtype="int"), bk.sequence("next", dtype="int")
    logits = bk.ADD(4, name="out")(bk.scan(bk.cells.gru(3, 8), bk.EMBED(4, 3, name="letters")(ids)))
    loss = bk.losses.cross_entropy(logits, following)
    return bk.Model(loss=loss, outputs={"logits": logits}, seed=1, trials=trials)


def test_a_sample_is_shown_every_few_epochs() -> None:
    ids = np.tile([0, 1, 2, 3], 30)[None]
    said: list[str] = []
    shows = bk.SampleText(lambda k: "".join("abcd"[i] for i in k), [0], 8, every=20, say=said.append, temperature=0)
    writer().fit({"char": ids[:, :-1], "next": ids[:, 1:]}, epochs=60, optimizer=bk.Adam(0.03), callbacks=shows)
    assert [line.split(":")[0] for line in said] == [f"after epoch {k}" for k in (20, 40, 60)]
    assert said[-1] == "after epoch 60: bcdabcda"
    for wrong, message in (
        ({"prime": [4]}, "the class 4 is outside"),
        ({"prime": [0], "temperature": -1}, "temperature"),
    ):
        m = writer()
        with pytest.raises(bk.BlocksError, match=message):
            m.fit({"char": ids[:, :-1], "next": ids[:, 1:]}, callbacks=bk.SampleText(str, **wrong))
        assert m.training is None
    with pytest.raises(bk.BlocksError, match="writes as many texts"):
        writer(2).fit({"char": ids[:, :-1], "next": ids[:, 1:]}, callbacks=bk.SampleText(str, [0]))


@pytest.mark.parametrize("trials", [None, 2])
def test_a_log_for_tensorboard(tmp_path, trials) -> None:
    pytest.importorskip("tensorboardX")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    m = bk.Model(loss=model().graph.outputs["loss"], trials=trials)
    d = data()
    log = bk.TensorBoard(tmp_path / "log", every=2, weights=True)
    for _ in range(2):
        m.fit(d, epochs=2, batch_size=4, validation=d, callbacks=log)
    found: dict[str, dict[int, float]] = {}
    histograms = set()
    for file in sorted((tmp_path / "log").iterdir()):
        events = accumulator.EventAccumulator(str(file))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            found.setdefault(tag, {}).update({e.step: e.value for e in events.Scalars(tag)})
        histograms |= set(events.Tags()["histograms"])
    for r in range(trials or 1):
        behind = "" if trials is None else f"/trial_{r}"
        want = [np.atleast_1d(s["loss"])[r] for s in m.history.steps if s["step"] % 2 == 0]
        got = found[f"update/loss{behind}"]
        assert list(got) == list(range(0, 12, 2))
        np.testing.assert_allclose(list(got.values()), want, rtol=1e-6)
        want = [np.atleast_1d(e["validation"])[r] for e in m.history.epochs]
        np.testing.assert_allclose(list(found[f"epoch/validation{behind}"].values()), want, rtol=1e-6)
    assert histograms == set(m.weights)


def test_what_is_missing_says_what_to_install(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        bk.BlocksError,
        match="TensorBoard needs the package tensorboardX, which is not installed: pip install tensorboardX",
    ):
        bk.TensorBoard(tmp_path)


@pytest.mark.parametrize("trials", [None, 2])
def test_a_history_is_a_table(tmp_path, trials) -> None:
    m = bk.Model(loss=model().graph.outputs["loss"], trials=trials)
    d = data()
    m.fit(d, epochs=1, batch_size=4)
    m.fit(d, epochs=2, batch_size=4, validation=d)
    path = tmp_path / "h.csv"
    m.history.to_csv(path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    behind = [""] if trials is None else ["[0]", "[1]"]
    assert list(rows[0]) == ["epoch", *(f"loss{b}" for b in behind), *(f"validation{b}" for b in behind)]
    assert rows[0][f"validation{behind[0]}"] == "" and [r["epoch"] for r in rows] == ["0", "1", "2"]
    for r, b in enumerate(behind):
        assert [float(row[f"loss{b}"]) for row in rows] == np.atleast_2d(m.history.loss)[r].tolist()
    m.history.to_csv(path, of="updates")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == 9 and float(rows[3][f"loss{behind[0]}"]) == np.atleast_1d(m.history.steps[3]["loss"])[0]
    with pytest.raises(bk.BlocksError, match="no 'update' .did you mean 'updates'"):
        m.history.to_csv(path, of="update")


# --- progress -------------------------------------------------------------------------------------


def test_a_line_every_few_seconds_where_no_one_looks(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))  # somebody imported it
    clock = iter(np.arange(0.0, 1000.0, 1.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with progress.bar(None, 60, "job") as report:
        for k in range(60):
            report(None if k == 0 else 2.0)
    lines = capsys.readouterr().err.splitlines()
    assert 5 < len(lines) < 30 and all(line.startswith("job: ") for line in lines)
    assert "of 60, loss 2.0000, " in lines[0] and lines[0].endswith(" left")
    with progress.bar(None, None) as report:
        for _ in range(20):
            report(np.array([1.0, np.nan]))
    lines = capsys.readouterr().err.splitlines()
    assert lines and "loss 1.0000" in lines[0] and "left" not in lines[0]
    with progress.bar(False, 60) as report:
        report(1.0)
    assert not capsys.readouterr().err


def test_times_are_read_at_a_glance() -> None:
    assert [progress._time(s) for s in (0.2, 59, 61, 7384)] == ["0 s", "59 s", "1 min 01 s", "2 h 03 min"]


def test_a_bar_in_a_notebook_without_widgets_and_warnings(monkeypatch) -> None:
    """In a page of its own kind; nothing is written to stderr, and no widgets are asked for."""
    pytest.importorskip("IPython")
    script = """
    import sys, types
    import IPython
    IPython.get_ipython = lambda: types.SimpleNamespace(kernel=None)
    sys.modules["ipywidgets"] = None
    import warnings; warnings.simplefilter("error")
    import IPython.display as shown
    pages = []
    class Handle:
        def update(self, page): pages.append(page.data)
    shown.display = lambda page, display_id: (pages.append(page.data), Handle())[1]
    from blocks.train import progress
    with progress.bar(None, 3, "a <b>") as report:
        for _ in range(3):
            report(0.5)
    assert 'value="0" max="3"' in pages[0] and 'value="3" max="3"' in pages[-1], pages
    assert "a &lt;b&gt;: 3 of 3, loss 0.5000" in pages[-1], pages
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bar_in_a_terminal(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    with progress.bar(None, 3) as report:
        for _ in range(3):
            report(0.25)
    said = capsys.readouterr().err
    assert "loss 0.2500" in said and "3/3" in said
