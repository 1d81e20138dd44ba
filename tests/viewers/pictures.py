"""The figures that other programs are shown: the gallery, and one of each other kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import blocks as bk
from blocks.draw.figure import Figure
from blocks.draw.figures import figures


def pictures() -> Iterator[tuple[str, Figure]]:
    yield from figures()
    cell, rng = bk.cells.lstm(8, 8), np.random.default_rng(0)
    feeds = {**cell.graph.init(0, "float64"), **{n: rng.normal(size=(2, 8)) for n in cell.graph.inputs}}
    yield "values", cell.draw(values=feeds)
    yield "shapes", bk.cells.gru(8, 8).draw(shapes=True, counts=True)
    yield "gradient", cell.draw(gradient="beside")
    yield "steps", cell.draw(unroll=9, title="LSTM")
    yield "equations", cell.draw(equations="numbered", legend=True, labels={"forget": "f_t"})
    yield "dark", cell.draw(theme="dark", highlight="C")
    yield "monochrome", cell.draw(theme="monochrome")
    yield "opened", cell.draw(open="forget")
    yield "names", names().draw()
    hs = bk.scan(cell, bk.sequence("x", 8))
    yield "layers", bk.Graph({"y": bk.ADD(4, name="out")(hs)}).draw()
    yield "blocks", bk.Graph({"y": bk.ADD(4, name="out")(hs)}).draw(shapes="blocks")
    yield "written-out", bk.Graph({"y": bk.ADD(4, name="out")(hs)}).draw(unroll=3)
    yield "stacked", bk.layers(cell, bk.cells.gru(8, 8)).draw()
    yield "translation", translation().draw()


def translation() -> bk.Graph:
    """An encoder, and a decoder that begins where it ends."""
    read = bk.EMBED(9, 8, name="read")(bk.sequence("source", dtype="int"))
    _, last = bk.scan(bk.cells.lstm(8, 8, name="encoder"), read, final=True)
    said = bk.EMBED(9, 8, name="said")(bk.sequence("before", dtype="int", time="later"))
    first = {"h": last["encoder/h"], "C": last["encoder/C"]}
    y = bk.ADD(9, name="out")(bk.scan(bk.cells.lstm(8, 8, name="decoder"), said, initial=first))
    target = bk.sequence("target", dtype="int", time="later")
    return bk.Graph({"loss": bk.losses.cross_entropy(y, target), "y": y})


def names() -> bk.Cell:
    """A cell whose names are symbols, accents and letters of mathematics."""
    x, h, c = bk.input("ω", 3), bk.state("ĥ", 3), bk.state(r"\tilde{C}", 3)
    gate = bk.SIGM(3, name=r"\Gamma_o")(x, c)
    return bk.Cell({h: bk.TANH(3, name="f_h")(x, h), c: gate * bk.TANH(3, name="50 % & more")(x)}, h)
