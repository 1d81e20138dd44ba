"""pdflatex and lualatex on every figure: a page of its size, and no bitmap fonts; and the snippets in a paper of two
columns and on slides.

    python -m tests.viewers.tex
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from .pictures import pictures

ENGINES = ("pdflatex", "lualatex")
PAPER = r"""\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}\usepackage{lmodern}\usepackage{tikz}\usetikzlibrary{arrows.meta}
\tikzset{blocks/brick/.style={fill=blue!20, draw=blue, text=black}}
\begin{document}
FIGURES
\end{document}
"""
SLIDES = r"""\documentclass{beamer}
\usepackage[T1]{fontenc}\usepackage{lmodern}\usepackage{tikz}\usetikzlibrary{arrows.meta}
\begin{document}
FIGURES
\end{document}
"""
IN_PAPER = (
    r"\begin{figure}\centering\resizebox{\linewidth}{!}{\input{NAME.tikz}}\caption{A figure}\end{figure}\clearpage"
)
ON_SLIDE = r"\begin{frame}{A figure}\resizebox{!}{.7\textheight}{\input{NAME.tikz}}\end{frame}"


def main() -> None:
    """Raises AssertionError for what TeX does not make as it should."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = dict(pictures())
        for picture, figure in drawn.items():
            figure.save(folder / f"{picture}.tikz")
        for engine in ENGINES:
            for picture, figure in drawn.items():
                figure.save(folder / f"{picture}.tex")
                made = compiled(folder, picture, engine)
                assert len(made) == 1, (picture, engine, made)
                (width, height), scene = made[0], figure.scene
                assert abs(width - scene.width) < 0.1 and abs(height - scene.height) < 0.1, (picture, engine, made)
            for kind, text, each in (("paper", PAPER, IN_PAPER), ("slides", SLIDES, ON_SLIDE)):
                body = "\n".join(each.replace("NAME", picture) for picture in drawn)
                (folder / f"{kind}.tex").write_text(text.replace("FIGURES", body), encoding="utf-8")
                assert len(compiled(folder, kind, engine)) >= len(drawn), (kind, engine)
            print(f"{engine}: {len(drawn)} figures, in a paper and on slides: right")


def compiled(folder: Path, name: str, engine: str) -> list[tuple[float, float]]:
    """The sizes of the pages that an engine makes of a file, in points; its fonts are no bitmaps."""
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{engine} {name}: {done.stdout[-1500:]}"
    assert "Missing character" not in (folder / f"{name}.log").read_text(errors="replace"), (engine, name)
    fonts = subprocess.run(["pdffonts", f"{name}.pdf"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert fonts.count("\n") > 2 and "Type 3" not in fonts, f"{engine} {name}: {fonts}"
    pages = ["pdfinfo", "-f", "1", "-l", "1000", f"{name}.pdf"]
    said = subprocess.run(pages, cwd=folder, capture_output=True, text=True, check=True).stdout
    return [(float(w), float(h)) for w, h in re.findall(r"^Page +\d+ size: +([\d.]+) x ([\d.]+) pts", said, re.M)]


if __name__ == "__main__":
    main()
