"""An executed notebook as a page, in Chromium: a cell, its gradient over some steps, a model and its training. Nothing is cut
off or wider than its place, every figure is part of the page, with tooltips, and lights up under the pointer.

    python -m tests.viewers.notebook [--pictures FOLDER]

With a folder it also takes a picture of the page, at both widths, in light and dark."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbconvert import HTMLExporter

from .chromium import CHROMIUM, SIZES, chromium, opened

CELLS = (
    "import numpy as np\nimport blocks as bk",
    "cell = bk.cells.lstm(8, 32)\ncell",
    "cell.draw(gradient=True, unroll=3)",
    'hs = bk.scan(cell, bk.sequence("x", 8))\ny = bk.ADD(1, name="out")(hs)\n'
    'loss = bk.losses.squared_error(y, bk.sequence("target", 1))\n'
    'model = bk.Model(loss=loss, outputs={"y": y}, seed=0)\nmodel',
    "rng = np.random.default_rng(0)\nx = rng.normal(size=(64, 10, 8))\n"
    'model.fit({"x": x, "target": x[..., :1]}, epochs=5, batch_size=16)',
    "model.history.plot()",
)
FIGURES = 3
# What is shown: where it is cut off or has to be scrolled; the figures and the pictures; the tables.
SEEN = """() => {
  const outputs = [...document.querySelectorAll(".jp-OutputArea-output, .output_area")];
  const said = (e) => `${e.tagName} ${(e.textContent || "").trim().slice(0, 40)}`;
  const inside = (e, box) => { const r = e.getBoundingClientRect(), b = box.getBoundingClientRect(); return r.left >= b.left - 1 && r.right <= b.right + 1; };
  return {
    wide: document.documentElement.scrollWidth - innerWidth,
    scrolled: outputs.filter((o) => o.scrollWidth > o.clientWidth + 1).map(said),
    cut: outputs.flatMap((o) => [...o.querySelectorAll("svg, img, table")].filter((e) => !inside(e, o)).map(said)),
    figures: [...document.querySelectorAll("svg[role=img]")].map((svg) => svg.querySelectorAll("title").length),
    embedded: document.querySelectorAll("img[src^='data:image/svg'], object, iframe").length,
    pictures: [...document.querySelectorAll("img")].map((image) => image.naturalWidth),
    tables: document.querySelectorAll(".jp-RenderedHTMLCommon table, .output_html table").length,
    errors: document.querySelectorAll("[data-mime-type='application/vnd.jupyter.stderr'], .output_stderr").length,
  };
}"""
# What the pointer finds on a wire of a figure: its tooltip, and how much of the others is to be seen.
POINTED = """([figure, number]) => {
  const svg = document.querySelectorAll("svg[role=img]")[figure], nets = [...svg.querySelectorAll(".nets .net")], net = nets[number];
  const path = net.querySelector("path.hit"), at = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
  return { at: [at.x, at.y], title: document.elementFromPoint(at.x, at.y)?.closest("svg[role=img] g")?.querySelector("title")?.textContent ?? "",
    seen: nets.map((n) => +getComputedStyle(n).opacity), number };
}"""


def page() -> str:
    """The notebook, executed, as HTML that fetches nothing."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    exporter = HTMLExporter(require_js_url="", mathjax_url="", jquery_url="", widget_renderer_url="", mermaid_js_url="")
    text, _ = exporter.from_notebook_node(notebook)
    return str(text)


def looked_at(tab: Any, size: str) -> str:
    """What there is to see; raises AssertionError for what is cut off or dead."""
    seen = tab.evaluate(SEEN)
    assert seen["wide"] <= 0, f"{size}: the page is {seen['wide']} pixels wider than the screen"
    assert not seen["scrolled"] and not seen["cut"], (size, seen["scrolled"], seen["cut"])
    assert len(seen["figures"]) == FIGURES and min(seen["figures"]) > 20, (size, seen["figures"])
    assert seen["tables"] == 1 and not seen["embedded"] and not seen["errors"], seen
    assert seen["pictures"] and min(seen["pictures"]) > 0, "a picture of the history that is not shown"
    for figure in range(FIGURES):
        tab.locator("svg[role=img]").nth(figure).scroll_into_view_if_needed()
        count = tab.locator("svg[role=img]").nth(figure).locator(".nets .net").count()
        for number in (0, count // 2):
            found = tab.evaluate(POINTED, [figure, number])
            assert found["title"], f"{size}: the wire {number} of figure {figure} has no tooltip under the pointer"
            tab.mouse.move(*found["at"])
            lit = tab.evaluate(POINTED, [figure, number])["seen"]
            assert lit[number] == 1 and max(lit[:number] + lit[number + 1 :]) < 0.5, (size, figure, number, lit)
            tab.mouse.move(0, 0)
    return f"{len(seen['figures'])} figures with {sum(seen['figures'])} tooltips"


def main(asked: list[str]) -> None:
    """Raises AssertionError for what does not hold."""
    if CHROMIUM is None:
        print("notebook: skipped, there is no chromium (apt install chromium)")
        return
    pictures = Path(asked[1]) if asked[:1] == ["--pictures"] else None
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = Path(folder) / "notebook.html"
        file.write_text(page(), encoding="utf-8")
        for size in SIZES:
            for scheme in ("light", "dark"):
                with opened(browser, file, scheme, size) as tab:
                    print(f"notebook: {size}, {scheme}: {looked_at(tab, size)}, nothing cut off")
                    if pictures:
                        pictures.mkdir(exist_ok=True)
                        tab.screenshot(path=pictures / f"{size}-{scheme}.png", full_page=True)


if __name__ == "__main__":
    main(sys.argv[1:])
