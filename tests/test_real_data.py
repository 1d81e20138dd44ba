"""The King James Bible and the sunspots, and the examples that learn them."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from blocks.errors import BlocksError
from blocks.tasks import text
from blocks.tasks.king_james import king_james
from blocks.tasks.sunspots import VARIANCE, autoregression, sunspots
from blocks.tasks.vowels import japanese_vowels
from blocks.train.model import Model

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["king_james", "king_james_full", "sunspots", "vowels", "vowels_seeds"])
def test_an_example_is_short(name) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 40


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


def test_sunspots_are_forecast() -> None:
    example = runpy.run_path(str(EXAMPLES / "sunspots.py"))
    forecasts = example["learn"](epochs=150, patience=150, trials=2)
    assert forecasts.shape == (2, 35)
    activity = sunspots()[1]
    assert (example["error"](forecasts) < 0.9 * example["error"](activity[220:255])).all()


def test_the_bible_is_read() -> None:
    example = runpy.run_path(str(EXAMPLES / "king_james.py"))
    letters = text.Vocabulary.of("some letters")
    for cell in ("lstm", "mlstm"):
        count = sum(w.size for w in example["model_of"](cell, letters, 5000).weights.values())
        assert 4600 < count <= 5000, cell
    bits = example["read"](king_james()[:30_000], weights=4000, epochs=3, cells=("srn",))
    train, test = (text.Vocabulary.of(king_james()[:30_000]).encode(part) for part in text.split(king_james()[:30_000]))
    assert 1.5 < bits["bigrams"] < text.unigram_bits(train, test, 60) and bits["srn"] < 5.2


def test_the_bible_is_read_with_all_that_fit_has(tmp_path) -> None:
    """Stopped in an epoch, and gone on with: the bits of a run that was not."""
    pytest.importorskip("tensorboardX")
    read, bible = runpy.run_path(str(EXAMPLES / "king_james_full.py"))["read"], king_james()[:10_000]
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, bits = read(bible, tmp_path / "whole", units=8, epochs=2)
    stop = len(whole.history.steps) // 2
    with pytest.raises(SystemExit):
        read(bible, tmp_path / "parts", units=8, epochs=2, stop=stop)
    again, same_bits = read(bible, tmp_path / "parts", units=8, epochs=2)
    assert again.history.steps == whole.history.steps and again.history.epochs == whole.history.epochs
    np.testing.assert_array_equal(again.weights.all, whole.weights.all)
    assert same_bits == bits and bits != read(bible, units=8, epochs=1)[1]
    assert list((tmp_path / "parts" / "log").iterdir())


def test_the_vowels_are_told_apart_with_all_that_fit_has(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    train, test = ({k: rows[::6] for k, rows in part.items()} for part in japanese_vowels())
    shares = runpy.run_path(str(EXAMPLES / "vowels_seeds.py"))["run"](0, train, test, tmp_path, epochs=12, units=4)
    assert len(shares) == 2
    best = Model.load(tmp_path / "best.safetensors")
    losses = [epoch["validation"] for epoch in best.history.epochs]
    assert (
        len(losses) > 1
        and losses[-1] == min(losses)
        and all("validation_right" in epoch for epoch in best.history.epochs)
    )
    held = {name: rows[9::10] for name, rows in train.items()}
    assert best.averaged().evaluate(held, 30) == pytest.approx(losses[-1], rel=1e-5)
