"""The tasks of the papers: each sequence is one of its definition, and the best scores are what the best predictor gets."""

import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from blocks.errors import BlocksError
from blocks.tasks import elman, long_lags, reber

SEEDS = range(3)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, 41])


def follows(data) -> None:
    """The target is the next input, and after the last one the first."""
    np.testing.assert_array_equal(data["target"][0], np.roll(data["x"][0], -1, axis=0))


def best_squared(keys, targets) -> np.ndarray:
    """The least mean squared error of each feature, for a predictor that knows the keys: the variance of what follows."""
    groups = defaultdict(list)
    for key, target in zip(keys, targets, strict=True):
        groups[key].append(target)
    return sum(len(g) * np.var(g, axis=0) for g in groups.values()) / len(targets)


# --- Elman ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_xor(seed) -> None:
    data = elman.xor(rng(seed), 6000)
    follows(data)
    a, b, c = data["x"][0, :, 0].astype(int).reshape(-1, 3).T
    assert (c == a ^ b).all() and set(Counter(zip(a.tolist(), b.tolist(), strict=True))) == {
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    }
    got = [np.var(a), np.mean([np.var(b[a == k]) for k in (0, 1)]), 0.0]
    np.testing.assert_allclose(got, elman.xor_best(), atol=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_letters(seed) -> None:
    data = elman.letters(rng(seed), 1500)
    follows(data)
    assert re.fullmatch("(ba|dii|guuu)+", data["text"]) and len(re.findall("[bdg]", data["text"])) == 1500
    np.testing.assert_array_equal(data["x"][0], [elman.CODES[c] for c in data["text"]])
    assert elman.CODES["g"] == (1, 0, 1, 0, 1, 1) and elman.CODES["u"] == (0, 1, 0, 1, 1, 1)
    consonants = np.array([elman.CODES[c] for c in data["text"] if c in "bdg"])
    np.testing.assert_allclose(consonants.var(axis=0), elman.letters_best()["consonant"], atol=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_words(seed) -> None:
    data = elman.words(rng(seed), 200)
    follows(data)
    cut = np.flatnonzero(data["onset"]).tolist()
    words = [data["text"][a:b] for a, b in zip(cut, [*cut[1:], None], strict=True)]
    assert set(words) == set(elman.LEXICON) and len(elman.LEXICON) == 15
    assert 200 * 4 <= len(words) <= 200 * 9 and abs(len(words) - 1300) < 100
    assert data["x"][0].shape == (len(data["text"]), 5)
    y = data["text"].index("y")
    np.testing.assert_array_equal(data["x"][0, y], [1, 1, 0, 0, 1])  # the 25th letter


def test_classes() -> None:
    assert len(elman.WORDS) == 29 and len(elman.TEMPLATES) == 16
    data = elman.classes(rng(), 10_000)
    follows(data)
    assert abs(len(data["words"]) - 27_534) < 200 and (data["x"].sum(axis=-1) == 1).all()
    assert set(data["words"].tolist()) == set(range(29)) and not data["x"][0, :, 29:].any()


@pytest.mark.parametrize("ends", [False, True])
def test_the_best_predictor_of_words(ends) -> None:
    """Against counts of what follows each sentence so far, of many sentences."""
    draws, words, keys = rng(), [], []
    for template in draws.integers(len(elman.TEMPLATES), size=60_000):
        parts = elman.TEMPLATES[template]
        sentence = tuple(elman.WORDS.index(draws.choice(elman.CLASSES[part])) for part in parts)
        words += sentence
        keys += [() if ends and k == len(sentence) else sentence[:k] for k in range(1, len(sentence) + 1)]
    targets = np.eye(29)[words[1:]]
    best = elman.classes_best(ends)
    np.testing.assert_allclose(np.sqrt(best_squared(keys[:-1], targets).sum()), best["rms"], atol=3e-3)
    assert best["perplexity"] == pytest.approx(np.exp(best["nats"]))
    assert elman.classes_best(True)["rms"] == pytest.approx(0.889, abs=5e-4)


# --- Reber ---------------------------------------------------------------------------------------

INSIDE = "B(?:TS*X(?:XT*VP)*(?:S|XT*VV)|PT*V(?:PXT*V)*(?:V|PS))E"


def test_strings_of_the_grammar() -> None:
    texts = [reber.reber(rng(k)) for k in range(300)]
    assert all(re.fullmatch(INSIDE, t) for t in texts)
    assert {"BTXSE", "BTSXSE", "BPVVE", "BPVPSE", "BTXXVVE"} <= set(texts)
    embedded = [reber.embedded_reber(rng(k)) for k in range(300)]
    assert all(re.fullmatch(f"B([TP]){INSIDE}\\1E", t) for t in embedded)
    assert 100 < sum(t[1] == "T" for t in embedded) < 200


def test_what_is_legal() -> None:
    """After each beginning: what really comes, and all of it."""
    draws = rng()
    for make in (reber.reber, reber.embedded_reber):
        came = defaultdict(set)
        texts = [make(draws) for _ in range(4000)]
        for text in texts:
            for k in range(1, len(text)):
                came[text[:k]].add(text[k])
        for text in texts:
            options = reber.legal(text)
            assert len(options) == len(text) - 1
            for k, option in enumerate(options, 1):
                assert text[k] in option and came[text[:k]] <= set(option)
                assert k > 4 or came[text[:k]] == set(option), (text[:k], option)


def test_reber_as_data() -> None:
    data = reber.as_data(["BTBTXSETE", "BPBPVVEPE", "BTBTSSXSETE"])
    assert data["x"].shape == data["target"].shape == data["legal"].shape == (3, 10, 7)
    np.testing.assert_array_equal(data["mask"].sum(axis=1), [8, 8, 10])
    assert "".join(reber.SYMBOLS[k] for k in data["target"][0, :8].argmax(axis=-1)) == "TBTXSETE"
    assert (data["legal"] >= data["target"]).all() and not data["x"][0, 8:].any()
    np.testing.assert_array_equal(data["legal"][2].sum(axis=-1), [2, 1, 2, 2, 2, 2, 2, 1, 1, 1])


def test_training_and_test_strings_are_apart() -> None:
    train, test = reber.training_and_test(rng(), 256)
    assert len(train) == len(test) == 256 and not set(train) & set(test) and len(set(train)) < 256


def test_the_best_predictor_of_strings() -> None:
    options = [len(o) for k in range(8000) for o in reber.legal(reber.embedded_reber(rng(k)))]
    best, choices = reber.best(), np.mean([n == 2 for n in options])
    assert best["squared"] == pytest.approx(choices / 2, abs=5e-3)
    assert best["nats"] == pytest.approx(choices * np.log(2), abs=7e-3)


# --- long lags -----------------------------------------------------------------------------------


def lengths(data) -> np.ndarray:
    """The lengths by the mask, which has no holes and covers all that is not 0."""
    n = data["mask"].sum(axis=1).astype(int)
    np.testing.assert_array_equal(data["mask"], np.arange(data["mask"].shape[1]) < n[:, None])
    assert not data["x"][data["mask"] == 0].any() and n.max() == data["mask"].shape[1]
    return n


@pytest.mark.parametrize(("p", "noise"), [(100, False), (7, True), (2, True)])
def test_two_sequences(p, noise) -> None:
    data = long_lags.two_sequences(rng(), 400, p, noise)
    ids = np.concatenate([data["x"].argmax(axis=-1), data["target"].argmax(axis=-1)[:, -1:]], axis=1)
    assert data["x"].shape == data["target"].shape == (400, p, p + 1)
    np.testing.assert_array_equal(data["x"][:, 1:], data["target"][:, :-1])
    assert set(ids[:, 0].tolist()) == {p - 1, p} and (ids[:, 0] == ids[:, -1]).all()
    middle = ids[:, 1:-1]
    assert (len(np.unique(middle, axis=0)) == 1) is not (noise and p > 2) and middle.max() == p - 2
    assert noise or (middle == np.arange(p - 1)).all()


def test_distractors() -> None:
    data = long_lags.distractors(rng(), 3000, p=5, q=8)
    n, ids = lengths(data), data["x"].argmax(axis=-1)
    last = ids[np.arange(3000), n - 1]
    assert (ids[:, 0] == 6).all() and (last == 5).all()  # b and e
    np.testing.assert_array_equal(data["target"].argmax(axis=-1), ids[:, 1] - 7)
    assert set(ids[:, 1].tolist()) == {7, 8} and n.min() == 11
    assert n.mean() == pytest.approx(8 + 3 + 9, abs=0.6)  # the trigger comes nine symbols late, in the mean
    for row in ids[:50]:
        assert (row[2:10] < 5).all()


@pytest.mark.parametrize("informative", [1, 3])
def test_noisy(informative) -> None:
    data = long_lags.noisy(rng(), 2000, 50, informative)
    n = lengths(data)
    assert (n.min(), n.max()) == (50, 55)
    np.testing.assert_array_equal(data["x"][:, :informative, 0], np.repeat(2 * data["target"] - 1, informative, axis=1))
    rest = data["x"][:, informative:50]
    assert rest.var() == pytest.approx(0.2, rel=0.02) and abs(rest.mean()) < 0.01
    assert data["target"].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("steps", [100, 20, 11])
@pytest.mark.parametrize("task", ["adding", "multiplication"])
def test_pairs(task, steps) -> None:
    data = getattr(long_lags, task)(rng(), 4000, steps)
    n, rows = lengths(data), np.arange(4000)
    assert (n.min(), n.max()) == (steps, steps + steps // 10)
    numbers, markers = np.moveaxis(data["x"], -1, 0)
    assert set(np.unique(markers).tolist()) == {-1.0, 0.0, 1.0}
    assert (markers[rows, n - 1] == -1).all() and ((markers[:, 0] == -1) | (markers[:, 0] == 1)).all()
    assert ((markers == 1).sum(axis=1) == 2).all()
    first, second = (markers == 1).argmax(axis=1), np.array([np.flatnonzero(m == 1)[1] for m in markers])
    assert first.max() <= min(10, steps // 2) - 1 and second.max() <= max(steps // 2 - 2, min(9, steps // 2 - 1))
    a, b = numbers[rows, first], numbers[rows, second]
    rare = first == 0
    assert 0 < rare.sum() < 4000 and (a[rare] == (0.0 if task == "adding" else 1.0)).all()
    want = 0.5 + (a + b) / 4 if task == "adding" else a * b
    np.testing.assert_allclose(data["target"][:, 0], want)
    low = -1.0 if task == "adding" else 0.0
    assert low <= numbers.min() and numbers.max() <= 1.0
    if steps == 100:
        assert np.var(data["target"]) == pytest.approx(0.0392 if task == "adding" else 0.0593, rel=0.06)


@pytest.mark.parametrize(("steps", "relevant"), [(100, 2), (100, 3), (20, 2)])
def test_temporal_order(steps, relevant) -> None:
    data = long_lags.temporal_order(rng(), 2000, steps, relevant)
    n, ids = lengths(data), data["x"].argmax(axis=-1)
    assert (n.min(), n.max()) == (steps, steps + steps // 10)
    seen = Counter()
    for row, length, target in zip(ids, n, data["target"], strict=True):
        text = "".join(long_lags.ORDER[k] for k in row[:length])
        assert re.fullmatch("E[abcdXY]+B", text)
        named = re.sub("[^XY]", "", text)
        assert len(named) == relevant and target.sum() == 1
        assert target.argmax() == int(named.replace("X", "0").replace("Y", "1"), 2)
        places = [k for k, c in enumerate(text) if c in "XY"]
        starts = (10, 50) if relevant == 2 else (10, 33, 66)
        assert all(s <= 100 * p // steps <= s + 10 for s, p in zip(starts, places, strict=True)), places
        seen[named] += 1
    assert len(seen) == 2**relevant and max(seen.values()) < 2 * min(seen.values())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: long_lags.temporal_order(rng(), 1, relevant=4),
        lambda: long_lags.temporal_order(rng(), 1, steps=5),
        lambda: long_lags.adding(rng(), 1, steps=3),
        lambda: long_lags.two_sequences(rng(), 1, p=1),
        lambda: long_lags.distractors(rng(), 1, p=0),
    ],
)
def test_what_cannot_be_is_refused(wrong) -> None:
    with pytest.raises(BlocksError, match="steps|p is|relevant"):
        wrong()
