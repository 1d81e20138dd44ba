"""The pages of the site: their code runs, they name everything, and their links lead somewhere. `.ci/more docs` builds
them."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType

import pytest

import blocks as bk
from blocks.graph import OPS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "pages").glob("*.md"))}
FENCE = re.compile(r"^```python +(exec=[^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DEAR = ("gallery", "teaching")  # drawn whole by other tests


@pytest.fixture
def own_operations():
    """An operation that a page defines is not the other tests'."""
    known = set(OPS)
    yield
    for own in OPS.keys() - known:
        del OPS[own]


@pytest.mark.filterwarnings("ignore:NumPy runs in place of C")  # on a machine without a compiler
@pytest.mark.parametrize("name", [n for n in PAGES if n not in DEAR and FENCE.search(PAGES[n])])
def test_the_code_of_a_page_runs(name, monkeypatch, own_operations) -> None:
    """As it is built: from the folder of the configuration, blocks of one session one after the other."""
    monkeypatch.chdir(DOCS)
    sessions: dict[str, dict] = {}
    for options, code in FENCE.findall(PAGES[name]):
        session = re.search(r'session="(\w+)"', options)
        names = sessions.setdefault(session[1], {}) if session else {}
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, f"{name}.md", "exec"), names)
        assert out.getvalue().strip() or "result" not in options


def test_the_menu_has_every_page() -> None:
    text = (DOCS / "mkdocs.yml").read_text(encoding="utf-8")
    assert sorted(re.findall(r": (\w+)\.md$", text, re.MULTILINE)) == sorted(PAGES)


def test_every_public_name_has_an_entry() -> None:
    """By the module that has it, where that would be taken for it: `blocks.scan.scan`."""
    names = set(bk.__all__)
    for path in re.findall(r"^::: ([\w.]+)$", PAGES["api"], re.MULTILINE):
        module, _, name = path.rpartition(".")
        thing = getattr(bk, name)
        assert getattr(importlib.import_module(module), name) is thing
        assert module != "blocks" or isinstance(thing, ModuleType) or importlib.util.find_spec(path) is None
        names.remove(name)
    assert not names


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL)):
        assert target.startswith("https://") or (DOCS / "pages" / target).is_file(), f"{name}.md: {target}"
