"""Settings of training: what is taken, what is refused before the first update, and what survives to the end."""

import copy
import json
import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import blocks as bk

DATA = {"x": np.random.default_rng(0).standard_normal((8, 5, 2)), "t": np.random.default_rng(1).random((8, 5, 3))}


def model(seed=0):
    hs = bk.scan(bk.cells.srn(2, 3), bk.sequence("x", 2))
    return bk.Model(loss=bk.losses.squared_error(hs, bk.sequence("t", 3)), outputs={"y": hs}, seed=seed)


def test_numbers_of_numpy_are_numbers(tmp_path) -> None:
    path = tmp_path / "run.safetensors"
    m = model(seed=np.int64(3))
    m.info = {"best": np.float64(0.5), "sizes": np.arange(3), "deep": [{"k": np.int8(2)}, (np.bool_(True), None)]}
    options = {
        "clip": np.float32(0.5),
        "tbptt": (np.int64(2), np.int32(3)),
        "epochs": np.int64(2),
        "batch_size": np.int8(4),
    }
    options |= {"optimizer": bk.Adam(np.float32(0.1), beta1=np.float64(0.8)), "autosave_every": np.int64(1)}
    m.fit(DATA, autosave=path, **options)
    again = bk.Model.load(path)
    assert again.info == {"best": 0.5, "sizes": [0, 1, 2], "deep": [{"k": 2}, [True, None]]} and again.seed == 3
    assert json.dumps(again.info)
    model(seed=3).fit(DATA, autosave=path, resume=True, **options)
    first = bk.ADD(2, name="a", init={"b": np.float32(0.25)})(bk.input("x", 1))
    assert (bk.Graph({"y": first}).init()["a.b"] == 0.25).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"checkpoint": "run.safetensors"},
            r"fit\(checkpoint='run.safetensors'\) is autosave= now.*Model\(..., checkpoint",
        ),
        ({"every": 5}, r"fit\(every=5\) is autosave_every= now"),
        ({"epoch": 5}, "no option 'epoch' .did you mean 'epochs'"),
        ({"autosave": "."}, "'.' is a folder"),
        ({"autosave": 3}, "autosave is the name of a file, not 3"),
        ({"autosave": "none/of/it.safetensors"}, "no folder 'none/of'"),
        ({"autosave": "x" * 300}, "cannot be written: File name too long"),
        ({"clip": float("nan")}, "clip must be a positive number"),
        ({"clip": "1"}, "clip must be a positive number"),
        ({"optimizer": bk.SGD(lambda step: 0.1 if step < 3 else -0.1)}, "schedule of lr gives -0.1 at update 3"),
        ({"optimizer": bk.SGD(lambda step: float("nan"))}, "schedule of lr gives nan at update 0"),
        ({"validation": {"x": DATA["x"]}}, "'t' .* has no data"),
        ({"patience": 2.5, "validation": DATA}, "patience"),
    ],
)
def test_refused_before_the_first_update(options, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    m = model()
    before = m.weights.all.copy()
    with pytest.raises(bk.BlocksError, match=message):
        m.fit(DATA, epochs=4, **options)
    assert not m.history.steps and np.array_equal(m.weights.all, before) and not list(tmp_path.iterdir())


def test_averages_have_weights_below_one() -> None:
    for optimizer, options in ((bk.Adam, {"beta1": 1.0}), (bk.AdamW, {"beta2": 1.5}), (bk.RMSprop, {"decay": 1})):
        with pytest.raises(bk.BlocksError, match=f"{next(iter(options))} must be below 1"):
            optimizer(0.1, **options)
    assert bk.AdamW(0.1, decay=1.5).decay == 1.5  # no average


def test_information_that_no_file_can_hold(tmp_path) -> None:
    m = model()
    m.info = {"when": {"now": object()}}
    with pytest.raises(bk.BlocksError, match=r"info\['when'\]\['now'\] is a object"):
        m.fit(DATA, autosave=tmp_path / "run.safetensors")
    assert not m.history.steps and not list(tmp_path.iterdir())


def test_a_run_is_resumed_on_its_own_data_alone(tmp_path) -> None:
    path = tmp_path / "run.safetensors"
    rate = bk.schedules.cosine(0.1, steps=9, warmup=2)
    model().fit(DATA, autosave=path, optimizer=bk.SGD(rate))
    shorter = {k: v[:, :4] for k, v in DATA.items()}
    other = {**DATA, "t": DATA["t"] + 1e-3}
    for data in (shorter, other):
        with pytest.raises(bk.ModelFileError, match="the data is another"):
            model().fit(data, autosave=path, resume=True, optimizer=bk.SGD(rate))
    for lr in (0.1, bk.schedules.cosine(0.1, steps=9, warmup=3), bk.schedules.linear(0.1, steps=9, warmup=2)):
        with pytest.raises(bk.ModelFileError, match="lr was"):
            model().fit(DATA, autosave=path, resume=True, optimizer=bk.SGD(lr))
    with pytest.raises(bk.ModelFileError, match="epochs was 1, now it is 2"):
        model().fit(DATA, epochs=2, autosave=path, resume=True, optimizer=bk.SGD(rate))
    m = model()
    m.fit(DATA, autosave=path, resume=True, optimizer=bk.SGD(bk.schedules.cosine(0.1, steps=9, warmup=2)))
    assert len(m.history.epochs) == 1  # it was finished


def test_the_best_weights_come_back_however_it_ends() -> None:
    x, t = bk.input("x", 1), bk.input("t", 1)
    X = np.ones((4, 1))
    for options in ({"patience": 3}, {"patience": 500}, {"patience": 500, "callbacks": lambda m, r: r["step"] == 30}):
        m = bk.Model(loss=bk.losses.squared_error(bk.ADD(1, name="a", init=0.0)(x), t), dtype="float64")
        history = m.fit({"x": X, "t": 2 * X}, validation={"x": X, "t": X}, optimizer=bk.SGD(0.05), epochs=60, **options)
        assert m.evaluate({"x": X, "t": X}) == pytest.approx(min(history.validation), rel=1e-12)


def test_copies_of_settings_and_history() -> None:
    s = bk.schedules
    rates = [
        s.constant(0.1),
        s.step_decay(0.1, 3),
        s.exponential(0.1, 7),
        s.linear(0.1, 9, 0.01, 2),
        s.cosine(0.1, 9, 0.02, 3),
    ]
    for rate in rates:
        for f in (copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))):
            again = f(bk.AdamW(rate, decay=0.2))
            assert again == bk.AdamW(rate, decay=0.2)
            assert [again.rate(k) for k in range(12)] == [rate(k) for k in range(12)]
    assert len({repr(r) for r in rates}) == 5
    history = model().fit(DATA, validation=DATA)
    assert pickle.loads(pickle.dumps(history)) == history == copy.deepcopy(history)


def _save_often(path, errors) -> None:
    m = model()
    for _ in range(40):
        try:
            m.save(path)
            bk.Model.load(path)
        except Exception as error:
            errors.put(repr(error))


def test_two_writers_of_one_file(tmp_path) -> None:
    path = tmp_path / "m.safetensors"
    (tmp_path / ".m.safetensors.999999999-ab.partial").write_bytes(b"left behind by a writer that was killed")
    spawn = multiprocessing.get_context("spawn")
    errors = spawn.Queue()
    workers = [spawn.Process(target=_save_often, args=(path, errors)) for _ in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert errors.empty(), errors.get()
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_a_weight_of_one_number_comes_back(tmp_path) -> None:
    m = bk.Model(outputs={"y": bk.input("x", 2) * bk.parameter("scale", init=0.3)})
    m.save(tmp_path / "m.safetensors")
    assert bk.Model.load(tmp_path / "m.safetensors").weights["scale"].shape == ()


def blocks(*args, cwd, **env):
    return subprocess.run(
        [sys.executable, "-m", "blocks", *map(str, args)], capture_output=True, cwd=cwd, env={**os.environ, **env}
    )


def test_the_command_line_says_one_line(tmp_path) -> None:
    (tmp_path / "t.txt").write_bytes(("\ufeff" + "hello world\r\nsecond line\r\n" * 40).encode())
    small = ("train", "t.txt", "--units", 4, "--epochs", 1, "--batch", 2)
    (tmp_path / "file").write_text("no folder")
    for args in (
        (*small, "-o", "."),
        (*small, "-o", "none/m.safetensors"),
        ("figures", "-o", "file"),
        ("demo", "-o", "file"),
        ("draw", "lstm", "-o", "none/x.svg"),
        ("train", "."),
    ):
        done = blocks(*args, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.startswith(b"blocks: ") and done.stderr.count(b"\n") == 1, (
            done.stderr
        )
    for args in (
        (*small, "-o", "m.safetensors"),
        ("describe", "lstm"),
        ("sample", "m.safetensors", "--prime", "h\u0151", "--length", 5),
    ):
        done = blocks(*args, cwd=tmp_path, PYTHONIOENCODING="ascii")
        assert done.returncode == 0 and not done.stderr, done.stderr
    assert rb"h\u0151" in done.stdout
    assert bk.Model.load(tmp_path / "m.safetensors").info["characters"] == "\n cdehilnorsw"
