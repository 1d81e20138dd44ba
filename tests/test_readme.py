"""Every snippet of the README is executed."""

import re
import shlex
from pathlib import Path

from .command import blocks

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_python_snippets(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(text for language, text in SNIPPETS if language == "python")
    exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    assert (tmp_path / "forget-gate.svg").exists() and (tmp_path / "gradient.svg").exists()


def test_shell_snippets(tmp_path) -> None:
    lines = [line for language, text in SNIPPETS if language == "sh" for line in text.splitlines()]
    commands = [line for line in lines if line.startswith("blocks ")]
    assert len(commands) >= 5
    for line in commands:
        done = blocks(*shlex.split(line)[1:], cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr}"


def test_the_readmes_test_command_is_what_ci_runs() -> None:
    script = (README.parent / ".ci" / "run").read_text(encoding="utf-8")
    assert "python -m pytest -n 2" in script and any("python -m pytest -n 2" in text for _, text in SNIPPETS)


def test_no_other_language_hides_a_snippet() -> None:
    assert {language for language, _ in SNIPPETS} == {"python", "sh", "text"}


def test_the_source_shown_is_the_source_made(tmp_path, monkeypatch, capsys) -> None:
    """The lines in the README stand in the program that its snippets compile and print."""
    monkeypatch.chdir(tmp_path)
    code = "\n".join(text for language, text in SNIPPETS if language == "python")
    exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    (shown,) = (text.splitlines() for language, text in SNIPPETS if language == "text")
    start = printed.index(shown[0])
    assert printed[start : start + len(shown)] == shown
