"""The King James Bible and the sunspots, and the examples that learn them."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

import blocks as bk
from blocks.errors import BlocksError
from blocks.tasks import text
from blocks.tasks.king_james import king_james
from blocks.tasks.sunspots import VARIANCE, autoregression, sunspots
from blocks.tasks.vowels import japanese_vowels
from blocks.train.model import Model

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["king_james", "king_james_full", "sunspots", "vowels", "vowels_seeds"])
def test_an_example_is_short(name) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 40


def test_the_bible() -> None:
    bible = king_james()
    verses = bible.splitlines()
    assert len(verses) == 31_102 and bible.isascii() and 4.0e6 < len(bible) < 4.2e6
    assert verses[0] == "In the beginning God created the heaven and the earth."
    assert "Jesus wept." in verses and verses[-1].endswith("Amen.")
    assert 60 < len(text.Vocabulary.of(bible)) < 80


def test_the_sunspots() -> None:
    years, activity = sunspots()
    assert years.tolist() == list(range(1700, 2009)) and activity.min() == 0.0
    assert (activity[0], activity[years == 1957][0]) == (5.0, 190.2)  # the greatest
    assert activity.argmax() == 257 and abs(activity[:280].var() / VARIANCE - 1) < 0.03


@pytest.mark.parametrize("order", [1, 2, 5])
def test_an_autoregression_is_least_squares(order) -> None:
    """It finds the law of a series that has one, and takes nothing from what it forecasts."""
    rng = np.random.default_rng(order)
    law, series = rng.uniform(-0.5, 0.5, order) / order, list(rng.standard_normal(order))
    for _ in range(80):
        series.append(2.0 + float(np.dot(law, series[-order:])))
    series = np.array(series) + 1e-9 * rng.standard_normal(80 + order)
    got = autoregression(series, 60, order)
    assert len(got) == len(series) - 60
    np.testing.assert_allclose(got, series[60:], rtol=1e-6)
    noisy = series + rng.standard_normal(len(series))
    other = noisy.copy()
    other[-1] += 100.0
    np.testing.assert_array_equal(autoregression(noisy, 60, order), autoregression(other, 60, order))
    rows = np.array([[*noisy[t - order : t], 1.0] for t in range(order, 60)])
    residual = noisy[order:60] - rows @ np.linalg.lstsq(rows, noisy[order:60])[0]
    np.testing.assert_allclose(rows.T @ residual, 0.0, atol=1e-9)
    with pytest.raises(BlocksError, match="of order 1 to 29, not 40"):
        autoregression(series, 60, 40)


def test_the_linear_baseline_is_the_published_one() -> None:
    activity = sunspots()[1]
    known, end = 221, 256
    off = activity[known:end] - autoregression(activity[:end], known, 12)
    assert (off**2).mean() / VARIANCE == pytest.approx(0.126, abs=1e-3)  # Weigend, Huberman and Rumelhart (1990)


def kept(name: str) -> dict:
    """What an example wrote."""
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def test_sunspots_are_forecast() -> None:
    example = runpy.run_path(str(EXAMPLES / "sunspots.py"))
    assert kept("sunspots")["linear"] == pytest.approx(0.126, abs=1e-3)
    forecasts = example["learn"](epochs=150, patience=150, trials=2)
    assert forecasts.shape == (2, 35)
    activity = sunspots()[1]
    assert (example["error"](forecasts) < 0.9 * example["error"](activity[220:255])).all()


def test_the_bible_is_read() -> None:
    example = runpy.run_path(str(EXAMPLES / "king_james.py"))
    letters = text.Vocabulary.of("some letters")
    for cell in ("lstm", "mlstm"):
        model, units = example["model_of"](cell, letters, 5000)
        assert 4600 < model.weights.all.size <= 5000 and units > 5, cell
    assert list(kept("king_james")) == ["pairs of characters", *example["CELLS"]]
    count = len(text.Vocabulary.of(king_james()))
    for cell in ("srn", "mlstm"):
        row, units = kept("king_james")[cell], kept("king_james")[cell]["units"]
        model = text.character_model(getattr(bk.cells, cell), count, units)
        assert 57_000 < model.weights.all.size == row["weights"] <= 60_000
    found = example["read"](king_james()[:30_000], weights=4000, epochs=3, cells=("srn",))
    train, test = (text.Vocabulary.of(king_james()[:30_000]).encode(part) for part in text.split(king_james()[:30_000]))
    assert 1.5 < found["pairs of characters"]["bits"] < text.unigram_bits(train, test, 60)
    assert found["srn"]["bits"] < 5.2 and 3500 < found["srn"]["weights"] <= 4000


def test_the_bible_is_read_with_all_that_fit_has(tmp_path) -> None:
    """Stopped in an epoch after the rate has fallen, and gone on with: the bits of a run that was not."""
    pytest.importorskip("tensorboardX")
    read, bible = runpy.run_path(str(EXAMPLES / "king_james_full.py"))["read"], king_james()[:10_000]
    options = {"units": 8, "epochs": 4, "threshold": 0.9}
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, bits = read(bible, tmp_path / "whole", **options)
    rates = [record["lr"] for record in whole.history.steps]
    assert rates[0] == 5e-3 and rates[-1] == 1.25e-3 and len(set(rates)) == 3
    stop = 3 * len(rates) // 4 + 1
    assert stop % (len(rates) // 4) and rates[stop - 2] < 5e-3
    with pytest.raises(SystemExit):
        read(bible, tmp_path / "parts", stop=stop, **options)
    again, same_bits = read(bible, tmp_path / "parts", **options)
    assert again.history.steps == whole.history.steps and again.history.epochs == whole.history.epochs
    np.testing.assert_array_equal(again.weights.all, whole.weights.all)
    np.testing.assert_array_equal(again.averaged().weights.all, whole.averaged().weights.all)
    assert same_bits == bits and bits != read(bible, units=8, epochs=1)[1]
    assert list((tmp_path / "parts" / "log").iterdir())


def test_the_vowels_are_told_apart_with_all_that_fit_has(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    train, test = ({k: rows[::6] for k, rows in part.items()} for part in japanese_vowels())
    example, file = runpy.run_path(str(EXAMPLES / "vowels_seeds.py")), tmp_path / "best.safetensors"
    small = {"epochs": 12, "units": 4}
    plain = example["run"](0, train, test, **{**example["PLAIN"], **small})
    full = example["run"](0, train, test, file, **{**example["CHOSEN"], **small})
    assert set(plain) == {"loss", "right"} and plain != full
    best = Model.load(file)
    losses = [epoch["validation"] for epoch in best.history.epochs]
    assert (
        len(losses) > 1
        and losses[-1] == min(losses)
        and all("validation_right" in epoch for epoch in best.history.epochs)
    )
    held = {name: rows[9::10] for name, rows in train.items()}
    assert best.averaged().evaluate(held, 30) == pytest.approx(losses[-1], rel=1e-5)
    assert best.averaged().evaluate(test) == pytest.approx(full["loss"], rel=1e-5)


def test_the_settings_are_chosen_without_the_test_split(monkeypatch) -> None:
    """Each fold is judged by a network that has not seen it, all are once for a seed, and one value after the other
    with the least loss stays; those of the full run are what was chosen."""
    monkeypatch.syspath_prepend(EXAMPLES)
    example = runpy.run_path(str(EXAMPLES / "vowels_choice.py"))
    choose, calls = example["choose"], []

    def run(seed, rest, fold, best, **settings):
        calls.append((seed, rest["x"], fold["x"], settings))
        return {"loss": abs(settings["lr"] - 3) + abs(settings["rate"] - 10 * settings["lr"]), "right": 0.5}

    monkeypatch.setitem(choose.__globals__, "run", run)
    found = choose({"x": list(range(20))}, {"lr": (1, 3, 4), "rate": (5, 40, 30)})
    tried = [(t["lr"], t["rate"], t["loss"]) for t in found["tried"]]
    assert tried == [(1, 5, 7.0), (3, 5, 25.0), (4, 5, 36.0), (1, 40, 32.0), (1, 30, 22.0)]
    assert found["chosen"] == {"lr": 1, "rate": 5} and len(calls) == 5 * 5 * 2
    for seed in (0, 1):
        of_seed = [(rest, fold) for s, rest, fold, settings in calls if s == seed and settings == {"lr": 1, "rate": 5}]
        assert sorted(i for _, fold in of_seed for i in fold) == list(range(20)) and len(of_seed) == 5
        assert all(sorted([*rest, *fold]) == list(range(20)) for rest, fold in of_seed)
    committed = json.loads((EXAMPLES / "vowels_choice.json").read_text())
    assert committed["chosen"] == runpy.run_path(str(EXAMPLES / "vowels_seeds.py"))["CHOSEN"]
    names = list(example["GRID"])
    assert [list(t) for t in committed["tried"]] == [[*names, "loss", "right"]] * len(committed["tried"])
    assert all(t[name] in example["GRID"][name] for t in committed["tried"] for name in names)
    chosen = [t for t in committed["tried"] if all(t[k] == v for k, v in committed["chosen"].items())]
    assert len(chosen) == 1 and chosen[0]["loss"] == min(t["loss"] for t in committed["tried"])
