"""What a notebook shows of a figure, a graph, a cell, a model and a history."""

from __future__ import annotations

import html
import io
import itertools
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import blocks as bk


def model() -> bk.Model:
    hs = bk.scan(bk.cells.gru(3, 4, name="<low>"), bk.sequence("x", 3))
    y = bk.ADD(2, name="out")(hs)
    return bk.Model(loss=bk.mean(y * y), outputs={"y": y}, seed=0)


@pytest.mark.parametrize(
    "make", [bk.cells.lstm, lambda i, u: bk.cells.lstm(i, u).graph, lambda i, u: bk.cells.lstm(i, u).draw()]
)
def test_a_figure_stands_in_the_page(make: Any) -> None:
    """As SVG of the page itself, which shrinks to its width, so that tooltips and the pointer work."""
    thing = make(3, 4)
    bundle = thing._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    root = ElementTree.fromstring(bundle["text/html"])
    assert root.tag.endswith("svg") and root.attrib["style"] == "max-width:100%;height:auto"
    assert root.attrib["viewBox"].split()[2:] == [root.attrib[k].removesuffix("pt") for k in ("width", "height")]
    assert bundle["text/plain"] == repr(thing) and bundle["image/svg+xml"] == bundle["text/html"]
    assert set(thing._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(thing._repr_mimebundle_(None, {"text/html"})) == {"image/svg+xml", "text/plain"}


def test_a_model_is_a_picture_and_a_table() -> None:
    made = model()
    page = made._repr_mimebundle_()["text/html"]
    root = ElementTree.fromstring(f"<body>{page}</body>")
    assert [e.tag.rpartition("}")[2] for e in root] == ["svg", "table"]
    rows = [["".join(c.itertext()) for c in row] for row in root[1].iter("tr")]
    assert rows[0] == ["brick", "gives", "weights", "shape", "number"]
    bricks = list(itertools.accumulate((row[0] for row in rows[1:-1]), lambda last, name: name or last))
    found = {f"{brick}.{row[2]}": row[4] for brick, row in zip(bricks, rows[1:-1], strict=True)}
    assert found == {n: f"{w.size:,}" for n, w in made.weights.items()}
    assert dict(zip(bricks, (row[1] for row in rows[1:-1]), strict=True)).keys() == {
        n.rpartition(".")[0] for n in made.weights
    }
    assert {row[0]: row[1] for row in rows if row[0]}["out"] == "(time, batch, 2)"
    assert {row[0]: row[1] for row in rows if row[0]}["<low>/update"] == "(batch, 4)"  # of a step
    assert rows[-1] == ["total", "", "", "", f"{sum(w.size for w in made.weights.values()):,}"]
    assert html.escape("<low>") in page and "<low>" not in page
    assert made.summary() in made._repr_mimebundle_(include=["text/plain"])["text/plain"]


def test_what_cannot_be_drawn_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise bk.BlocksError("no figure today")

    monkeypatch.setattr(bk.Graph, "draw", refuse)
    made = model()
    page = ElementTree.fromstring(f"<body>{made._repr_mimebundle_()['text/html']}</body>")
    assert [e.tag for e in page] == ["p", "table"] and "no figure today" in (page[0].text or "")
    bundle = made.graph._repr_mimebundle_()
    assert set(bundle) == {"text/plain"} and "no figure today" in bundle["text/plain"]


def test_a_history_shows_itself() -> None:
    made = model()
    made.fit({"x": np.ones((4, 5, 3))}, epochs=2, batch_size=2, progress=False)
    shown = made.history.plot()._repr_png_()
    image = np.asarray(Image.open(io.BytesIO(shown)).convert("RGB"))
    assert image.shape[1] == 960 and len(np.unique(image.reshape(-1, 3), axis=0)) > 10


def test_nothing_on_stderr() -> None:
    """No figure looks for the fonts of the machine, and says so where there are none."""
    script = "import blocks as bk; bk.Graph({'y': bk.scan(bk.cells.srn(2, 2), bk.sequence('x', 2))}).draw(shapes=True)"
    nowhere = {"FONTCONFIG_FILE": "/nonexistent", "FONTCONFIG_PATH": "/nonexistent", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=nowhere)
    assert (done.returncode, done.stderr) == (0, "")
