"""What the benchmarks compare is the same: every form of every cell, by a small size; and who is measured beside whom."""

import numpy as np
import pytest

from benchmarks import peers, results, scale, speed, trials, turns
from benchmarks.cells import CELLS


@pytest.mark.parametrize("what", ["gradients", "forward"])
@pytest.mark.parametrize("cell", CELLS)
def test_forms_of_a_cell_agree(cell, what, monkeypatch) -> None:
    numpy_alone = {name: row for name, row in peers.PEERS.items() if row[0] == "numpy"}  # others: each run compares
    monkeypatch.setattr(speed, "PEERS", numpy_alone)
    task = speed.tasks(cell, (4, 3, 5, 6), "float64")[what]
    found, _ = speed.contestants(task, interpreted=True)
    results = {name: run() for name, run in found.items()}
    speed.agree(results, 1e-12)
    names = {name.removeprefix("grad/") for name in results["blocks"]}
    assert ("handwritten" in results) == (cell == "lstm")
    assert names == ({"y"} if what == "forward" else set(task.weights))
    for name, got in results.items():
        assert {n.removeprefix("grad/") for n in got} == names, name
    spoilt = {"blocks": {key: value + 1e-6 for key, value in results["blocks"].items()}}
    with pytest.raises(SystemExit, match="interpreted disagrees"):
        speed.agree({**results, **spoilt}, 1e-12)


def test_each_turn_begins_with_a_pause_and_calls_that_do_not_count(monkeypatch) -> None:
    log = []
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: log.append(seconds))
    times = turns.rounds({"a": lambda: log.append("a"), "b": lambda: log.append("b")}, 2)
    runs = [name for name, before in zip(log, [None, *log], strict=False) if name != before]
    assert runs == [turns.PAUSE, "a", turns.PAUSE, "b", turns.PAUSE, "b", turns.PAUSE, "a"]
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 2, "b": 2}
    assert log.count("a") == 2 * (turns.WARM + turns.MOST)


def test_a_turn_waits_for_threads_that_still_spin(monkeypatch) -> None:
    spinning, log = [0.0, 0.05, 0.05, 0.08, 0.08, 0.081], []
    monkeypatch.setattr(turns.time, "process_time", lambda: spinning.pop(0))
    monkeypatch.setattr(turns.time, "sleep", log.append)
    turns.rest()
    assert log == [turns.PAUSE] * 3 and not spinning


@pytest.mark.parametrize("option, given", [("--rounds", "0"), ("--processes", "-1"), ("--threads", "two")])
def test_what_is_no_number_of_something_is_refused(option, given, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["speed", f"{option}={given}"])
    with pytest.raises(SystemExit):
        speed.main()
    assert f"argument {option}: '{given}' is not a whole number from 1 on" in capsys.readouterr().err


def test_a_ratio_is_of_the_same_round() -> None:
    assert turns.ratio([1.0, 20.0, 3.0], [2.0, 40.0, 1.0]) == 0.5


def test_rounds_of_all_processes_count_alike() -> None:
    about = {"cell": "gru", "what": "forward", "dtype": "float32", "threads": 2, "point": [5, 1, 8, 8]}
    one = {"seconds": {"blocks": [2.0, 3.0], "numpy": [1.0, 4.0]}, "compile_s": 1.0, "peak_mib": 7.0, "others": None}
    two = {"seconds": {"blocks": [9.0], "numpy": [3.0]}, "compile_s": 4.0, "peak_mib": 5.0, "others": 0.5}
    other = {**about, "point": [5, 1, 8, 9], **two}
    row, alone = speed.merged([{**about, **one}, other, {**about, **two}])
    assert row["seconds"] == {"blocks": [2.0, 3.0, 9.0], "numpy": [1.0, 4.0, 3.0]}
    assert row["ratios"] == {"numpy": 2.0} and alone == {**other, "ratios": {"numpy": 3.0}}
    assert (row["compile_s"], row["peak_mib"], row["others"]) == (2.5, 7.0, 0.5)


def test_memory_is_that_of_the_arrays() -> None:
    small, large = (speed.peak_memory(speed.tasks("lstm", (100, batch, 16, 32))["gradients"]) for batch in (8, 32))
    assert np.isclose(large / small, 4.0, rtol=0.3)


def test_series_grow_and_are_plotted(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(turns, "PAUSE", 0.0)
    monkeypatch.setattr(turns, "TURN", 0.0)
    rows = []
    for name in ("steps", "batch", "bricks"):
        sizes, make = scale.SERIES[name]
        about = {"series": name, "target": "numpy", "threads": 1}
        rows += [{**about, "size": size, **scale.measure(make, size, "numpy", 1)} for size in sizes[:2]]
        assert rows[-2]["peak_mib"] < rows[-1]["peak_mib"]
    scale.plot(rows, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").stat().st_size > 10_000


def test_trials_are_measured_beside_one(capsys, monkeypatch) -> None:
    options = {"--cell": "srn", "--steps": "3", "--trials": "2", "--units": "2", "--rounds": "1"}
    monkeypatch.setattr("sys.argv", ["trials", *(text for pair in options.items() for text in pair)])
    monkeypatch.setattr(turns, "TURN", 0.0)
    trials.main()
    assert "srn      3       2" in capsys.readouterr().out
    one, several = trials.model("srn", 3), trials.model("srn", 3, 2)
    np.testing.assert_allclose(several.evaluate(trials.data(4, 1))[0], one.evaluate(trials.data(4, 1)), rtol=1e-5)


def test_the_tables_of_the_page_are_of_the_results_that_are_kept() -> None:
    rows, page = results.kept(), results.PAGE.read_text()
    assert {row["cell"] for row in rows} == set(CELLS)
    assert results.written(page, rows) == page


def test_a_table_has_each_ratio_in_its_place() -> None:
    about = {"what": "forward", "dtype": "float32", "threads": 1, "date": "2026-01-02", "processor": "Abacus"}
    ratios = {
        ("lstm", 1, 8): {"numpy": 0.5, "nn.LSTM": 0.004},
        ("lstm", 2, 9): {"numpy": 2.0, "nn.LSTM": 0.25, "jax scan": 3.0},
        ("gru", 1, 8): {"nn.LSTM": 0.14},
    }
    rows = [{**about, "cell": cell, "point": [5, *point], "ratios": r} for (cell, *point), r in ratios.items()]
    text = results.text(rows)
    assert "**Forward alone, float32, 1 thread** (Abacus, 2026-01-02)" in text
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    title = "steps, batch, inputs, units"
    assert lines[0] == [title, "numpy", "nn.LSTM", "jax scan"] and lines[5] == [title, "lstm", "gru"]
    assert lines[2:5] == [
        ["5, 1, 8", "0.50", "0.004", ""],
        ["5, 2, 9", "2.00", "0.25", "3.00"],
        ["geometric mean", "1.00", "0.03", "3.00"],
    ]
    assert lines[7:] == [["5, 1, 8", "0.004", "0.14"], ["5, 2, 9", "0.25", ""], ["geometric mean", "0.03", "0.14"]]
    page = results.written(f"before\n{results.BEGIN}old{results.END}after", rows)
    assert page.startswith("before\n") and page.endswith("after") and "old" not in page and text in page
