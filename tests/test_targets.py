"""Which target a graph becomes, and what happens where it cannot: programs, models, files, the command line."""

import os
import pickle
import re
import threading
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

import blocks as bk
from blocks import cli, doctor
from blocks.compile.native import build, run

from .helpers import data, network, same
from .native import HERE
from .test_build import REAL, calls, fake, forget

needs_compiler = pytest.mark.skipif(not HERE, reason="no C compiler on the PATH")
NONE = "there is no C compiler (cc, gcc, clang); to have one: "


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No target is named, nothing known of compilers from before, and they are quick."""
    monkeypatch.delenv("BLOCKS_TARGET", raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(run, "FLAGS", (*run.FLAGS, "-O0"))
    forget(monkeypatch)
    yield
    build._compiler.cache_clear()


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BLOCKS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def flat():
    return bk.Graph({"y": bk.tanh(bk.input("x", 3))})


def looped(units=5):
    hs = bk.scan(bk.cells.gru(3, units), bk.sequence("x", 3))
    return bk.grad(bk.Graph({"loss": bk.mean(hs * hs)}))


def model(**options):
    loss, y = network(masked=False, cell=bk.cells.srn)
    return bk.Model(loss, {"y": y}, **{"seed": 1, "dtype": "float64", **options})


def fed(graph, time=4, batch=3):
    return {**graph.init(0, "float64"), "x": np.random.default_rng(1).standard_normal((time, batch, 3))}


# --- the choice ----------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize(("make", "asked", "named", "target"), [
    (flat, "auto", None, "numpy"),
    (looped, "auto", None, "native"),
    (looped, "auto", "", "native"),
    (looped, "numpy", None, "numpy"),
    (flat, "native", None, "native"),
    (looped, "auto", "numpy", "numpy"),
    (flat, "auto", "native", "native"),
    (looped, "native", "numpy", "native"),
    (looped, "numpy", "native", "numpy"),
    (looped, "auto", "interpreter", "numpy"),
])  # fmt: skip
def test_a_program_becomes_what_was_asked_for_else_what_is_named_else_by_the_rule(
    make, asked, named, target, monkeypatch
) -> None:
    if named is not None:
        monkeypatch.setenv("BLOCKS_TARGET", named)
    program = bk.compile(make(), target=asked)
    assert program.target == target
    assert bool(program.native) == (target == "native") and "def allocate" in program.source
    assert ("loop" in program.why) == (make is flat and target == "numpy")


def test_without_a_compiler_auto_is_numpy_and_says_what_would_help(no_compiler) -> None:
    program = bk.compile(looped())
    assert program.target == "numpy" and program.why.startswith(NONE)
    assert pickle.loads(pickle.dumps(program)).why == program.why
    same(bk.run(program.graph, fed(program.graph)), program(fed(program.graph)), 1e-12)


def test_targets_that_are_none(monkeypatch) -> None:
    with pytest.raises(
        bk.BlocksError, match=r"no target 'nativ' .did you mean 'native'..; there are auto, numpy, native$"
    ):
        bk.compile(looped(), target="nativ")
    with pytest.raises(bk.BlocksError, match="no target 'interpreter'"):
        bk.compile(looped(), target="interpreter")
    with pytest.raises(bk.BlocksError, match="no target None"):
        bk.compile(looped(), target=None)
    with pytest.raises(bk.BlocksError, match=r"no target 'gpu'; there are auto, numpy, native, interpreter$"):
        model(target="gpu")
    with pytest.raises(bk.BlocksError, match=r"Model\(compiled=False\) is target='interpreter' now"):
        model(compiled=False)
    with pytest.raises(bk.BlocksError, match=r"no option 'chekpoint' .did you mean 'checkpoint'."):
        model(chekpoint=3)
    monkeypatch.setenv("BLOCKS_TARGET", "numpi")
    for make in (lambda: bk.compile(looped()), model):
        with pytest.raises(bk.BlocksError, match="BLOCKS_TARGET is 'numpi' .did you mean 'numpy'."):
            make()
    assert bk.compile(looped(), target="numpy").target == "numpy"


# --- falling back --------------------------------------------------------------------------------


def falls_back(reason, program=None):
    """A program warns once, and then is NumPy, with the reason; its numbers are right."""
    program = program or bk.compile(looped())
    assert program.target == "native"
    feeds = fed(program.graph)
    with pytest.warns(UserWarning, match=re.escape("NumPy runs in place of C: ") + ".*" + reason) as warned:
        got = program(feeds)
    assert len(warned) == 1 and warned[0].filename == __file__
    same(bk.run(program.graph, feeds), got, 1e-12)
    same(bk.run(program.graph, feeds), program(fed(program.graph)), 1e-12)
    assert program.target == "numpy" and program.native == "" and re.search(reason, program.why)
    return program


def test_a_compiler_that_fails(own_cache, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(own_cache, "echo 'program.c:7: error: out of ideas' >&2; exit 1"))
    falls_back("out of ideas")


def test_a_compiler_that_hangs(own_cache, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(own_cache, "sleep 60"))
    monkeypatch.setattr(build, "SECONDS", 0.2)
    falls_back("took longer than 0.2 seconds")
    falls_back("took longer", bk.compile(looped(6)))
    assert calls(own_cache) == 1


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_compiler_that_computes_wrong_numbers(own_cache, monkeypatch, dtype) -> None:
    """A constant of exp is wrong: as if the compiler had made it so."""
    header = own_cache / "blocks.h"
    header.write_text(re.sub(r"(LOG2_HIGH 0x1\.6)2e", r"\g<1>3e", build.HEADER.read_text()))
    monkeypatch.setattr(build, "HEADER", header)
    for _ in range(2):
        program = bk.compile(looped())
        with pytest.warns(UserWarning, match="made is wrong: .* differs from what the interpreter computes"):
            assert program.prepare(dtype) == "numpy"
        forget(monkeypatch)  # a new process does not find it either


@needs_compiler
def test_a_loop_over_steps_of_which_nothing_is_left(own_cache) -> None:
    """Its length is that of a sequence that no one reads."""
    x, h = bk.input("x", 3), bk.state("h", 3)
    cell = bk.Cell({h: 0.5 * h + bk.parameter("b", 3, init=1.0)}, outputs={"h": h, "x": x})
    hs = bk.scan(cell, bk.sequence("x", 3))["h"]
    graph = bk.grad(bk.Graph({"loss": bk.sum(hs * hs)}))
    program = bk.compile(graph)
    assert program.prepare("float64") == "native"
    same(bk.run(graph, fed(graph)), program(fed(graph)), 1e-10)


@needs_compiler
def test_a_compiler_is_not_blamed_for_a_type_that_c_lacks(own_cache) -> None:
    program = bk.compile(looped())
    half = {name: value.astype("float16") for name, value in fed(program.graph).items()}
    assert program(half)["loss"].dtype == np.float16
    assert program.target == "numpy" and "float16" in program.why


# --- a program in C ------------------------------------------------------------------------------


@needs_compiler
def test_nothing_is_compiled_twice(own_cache, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(own_cache, f'exec {REAL} "$@"'))
    for _ in range(2):
        program = bk.compile(looped())
        assert program.prepare("float64") == "native"
        for time, batch in ((4, 3), (1, 1), (7, 20)):
            feeds = fed(program.graph, time, batch)
            same(bk.run(program.graph, feeds), program(feeds), 1e-10)
        forget(monkeypatch)  # as in a new process
    assert calls(own_cache) == 1
    program({name: value.astype("float32") for name, value in fed(program.graph).items()})
    assert calls(own_cache) == 2


@needs_compiler
def test_threads_and_the_child_of_a_fork_compute_the_same_bits(own_cache) -> None:
    program = bk.compile(looped(19))
    feeds = fed(program.graph, 20, 5)
    want, got = program(feeds), []
    threads = [threading.Thread(target=lambda: got.append(program(feeds))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8 and all(np.array_equal(one[name], want[name]) for one in got for name in want)
    child = os.fork()
    if child == 0:
        try:
            again = program(feeds)
            os._exit(0 if all(np.array_equal(again[name], want[name]) for name in want) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- models --------------------------------------------------------------------------------------


def trained(target, **options):
    one = model(target=target)
    one.fit(data(), epochs=2, batch_size=4, **options)
    return one


@needs_compiler
def test_a_model_is_the_same_on_every_target(own_cache) -> None:
    models = {target: trained(target) for target in ("native", "numpy", "interpreter")}
    assert {target: one.runs_on("train") for target, one in models.items()} == {t: t for t in models}
    assert [one.computed_by() for one in models.values()] == [f"computed by {target}" for target in models]
    for one in models.values():
        same(models["interpreter"].weights, one.weights, 1e-9)
        x = {"x": data()["x"]}
        np.testing.assert_allclose(one.predict(x), models["interpreter"].predict(x), atol=1e-9)
        assert one.evaluate(data()) == pytest.approx(models["interpreter"].evaluate(data()), rel=1e-9)


@needs_compiler
def test_a_model_takes_c_where_there_is_a_compiler(own_cache, monkeypatch) -> None:
    assert model().runs_on("train") == model().runs_on("predict") == "native"
    monkeypatch.setenv("BLOCKS_TARGET", "interpreter")
    assert model().runs_on("train") == "interpreter" and model(target="numpy").runs_on("train") == "numpy"


def test_a_modelout_a_compiler(no_compiler) -> None:
    one = trained("auto", validation=data(seed=6))
    assert one.computed_by().startswith(f"computed by numpy: {NONE}")


@needs_compiler
def test_a_run_that_goes_on_elsewhere_warns(own_cache) -> None:
    file = own_cache / "run.safetensors"

    def run_on(target, **options):
        one = model(target=target)
        one.fit(data(), epochs=2, batch_size=4, autosave=file, **options)
        return one

    def interrupted_on(target):
        with pytest.raises(KeyboardInterrupt):
            run_on(target, callbacks=stop)

    def stop(one, record):
        if record["epoch"] == 1:
            raise KeyboardInterrupt

    whole = run_on("native").weights
    interrupted_on("native")
    again = run_on("native", resume=True)
    assert all(np.array_equal(again.weights[name], whole[name]) for name in whole)
    interrupted_on("native")
    with pytest.warns(UserWarning, match=r"run.safetensors was written by a run on native, this one is on numpy"):
        other = run_on("numpy", resume=True)
    same(whole, other.weights, 1e-9)
    interrupted_on("interpreter")
    with pytest.warns(UserWarning, match="on interpreter, this one is on native"):
        run_on("native", resume=True)


@needs_compiler
def test_a_file_says_nothing_of_how_it_is_run(own_cache) -> None:
    file = own_cache / "model.safetensors"
    one = trained("numpy")
    one.save(file)
    x = {"x": data()["x"]}
    for target in ("native", "numpy", "interpreter"):
        loaded = bk.Model.load(file, target=target)
        assert loaded.runs_on("predict") == target
        np.testing.assert_allclose(loaded.predict(x), one.predict(x), atol=1e-9)
    with pytest.raises(bk.BlocksError, match=r"^there is no target 'gpu'"):
        bk.Model.load(file, target="gpu")


# --- the command line ----------------------------------------------------------------------------


def test_the_command_line_takes_a_target(tmp_path) -> None:
    text, file = tmp_path / "text.txt", str(tmp_path / "m.safetensors")
    text.write_text("to be or not to be, that is the question " * 60)
    small = ["--units", "4", "--epochs", "1", "--batch", "2", "-o", file]
    for target in ("numpy", "interpreter", *(["native"] if HERE else [])):
        done = CliRunner().invoke(cli.app, ["train", str(text), *small, "--target", target])
        assert done.exit_code == 0 and f"computed by {target}\n" in done.output, done.output
        done = CliRunner().invoke(cli.app, ["sample", file, "--length", "3", "--target", target])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(cli.app, ["train", str(text), *small, "--target", "gpu"])
    assert isinstance(done.exception, bk.BlocksError) and "no target 'gpu'" in str(done.exception)


@needs_compiler
def test_the_doctor_finds_the_compiler(own_cache) -> None:
    report = "\n".join(doctor.report())
    assert re.search(r"C compiler     \w+ \d", report) and str(own_cache / "cache" / "native") in report
    assert "programs" not in report.partition("advice:")[2]


def test_the_doctor_misses_the_compiler(no_compiler) -> None:
    report = "\n".join(doctor.report())
    assert "C compiler     none" in report and f"advice: programs in C are faster than NumPy, but {NONE}" in report


def test_the_doctor_tries_the_compiler(own_cache, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(own_cache, "exit 3"))
    (own_cache / "cache").write_text("no folder")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = "\n".join(doctor.report())
    assert "advice: programs are NumPy here: cc 1.0 failed: status 3" in report
    assert "made anew by each process" in report and "advice: no private folder can keep" in report
