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
    shown = README.parent / "examples" / "readme" / "gradient.svg"
    assert (tmp_path / "gradient.svg").read_bytes() == shown.read_bytes()  # the picture shown is the picture made


def test_pictures_and_links_lead_somewhere() -> None:
    targets = re.findall(
        r"\]\(([^)#]+)\)", re.sub(r"```.*?```", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    )
    assert len(targets) > 15
    assert not [t for t in targets if not (README.parent / t).exists()]


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
    assert {language for language, _ in SNIPPETS} == {"python", "sh"}
