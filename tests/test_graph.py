"""The graph itself: order, names, rewriting, and its views as text and as a networkx graph."""

import subprocess
import sys

import networkx
import numpy as np
import pytest

import blocks as bk
from blocks.graph import Node, substitute


def lstm_gradient():
    hs = bk.scan(bk.cells.lstm(3, 4), bk.sequence("x", 3))
    return bk.grad(bk.Graph({"loss": bk.mean(bk.tanh(hs)), "y": hs}))


def test_order_and_names() -> None:
    graph = lstm_gradient().verify()
    place = {n: k for k, n in enumerate(graph.order())}
    assert all(place[o] < place[n] for n in graph.order() for o in n.operands)
    assert len(set(graph.nodes)) == len(graph.order())
    assert list(graph.params)[:3] == ["forget.W_x", "forget.W_h", "forget.b"]  # as the user wrote them
    assert "0x" not in graph.dump()


def test_the_same_names_in_every_process() -> None:
    code = (
        "import blocks as bk; c = bk.cells.lstm(3, 4); print(c.graph.dump()); print(list(c.graph.to_networkx().nodes))"
    )
    runs = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        )
        runs.append(done.stdout)
    assert runs[0] == runs[1] and "forget.W_x" in runs[0]


def test_verify_notices_a_broken_node() -> None:
    x = bk.input("x", 3)
    y = bk.tanh(x)
    object.__setattr__(y, "shape", ("batch", 4))
    with pytest.raises(bk.WiringError, match=r"tanh says it is \(batch, 4\).*is \(batch, 3\)"):
        bk.Graph({"y": y}).verify()


def test_substitute() -> None:
    x, z = bk.input("x", 3), bk.input("z", 3)
    graph = bk.Graph({"y": bk.tanh(x) * 2.0, "same": z})
    swapped = graph.substitute({x: bk.sigm(z)})
    assert list(swapped.inputs) == ["z"] and swapped.outputs["same"] is z
    Z = np.ones((1, 3))
    np.testing.assert_allclose(bk.run(swapped, {"z": Z})["y"], 2 * np.tanh(1 / (1 + np.exp(-Z))))
    assert substitute(graph.outputs, {})["y"] is graph.outputs["y"]


def test_dump_shows_loops_inside() -> None:
    text = lstm_gradient().dump()
    assert "\n    forget.sigm" in text and "reverse=True" in text and "grad/forget.W_x = " in text


def test_networkx() -> None:
    table = lstm_gradient().to_networkx()
    assert networkx.is_directed_acyclic_graph(table)
    forget = [
        n for n, d in table.nodes(data=True) if d["brick"] == "forget" and d["op"] == "sigm" and d["parent"] == "loop"
    ]
    assert forget == ["loop/forget.sigm"]
    assert table.nodes["x"]["shape"] == "(time, batch, 3)"
    (edge,) = table.get_edge_data("x", "loop/x").values()
    assert edge["role"] == "bind"
    assert {d["role"] for _, d in table.nodes(data=True)} >= {"parameter", "sequence", "state", "gradient", "operation"}


def test_numpy_arrays_and_numbers_meet_wires() -> None:
    x = bk.input("x", 2)
    for wire in (np.array([1.0, 2.0]) * x, np.float64(2.0) + x, 1 - x, 2 / (x * x + 1), 2.0**x, x @ np.ones((2, 3))):
        assert isinstance(wire, Node)
    y = bk.Graph({"y": np.array([1.0, 2.0]) - x})
    np.testing.assert_array_equal(bk.run(y, {"x": np.array([[3.0, 4.0]])})["y"], [[-2.0, -2.0]])


def test_drawing_of_gradients_and_highlights(tmp_path) -> None:
    graph = lstm_gradient()
    for ending in ("svg", "png", "pdf", "dot"):
        path = graph.draw(shapes=True).save(tmp_path / f"g.{ending}")
        assert path.stat().st_size > 1000
    assert b"\xe2\x88\x82 forget" in graph.draw().render("svg")  # ∂ forget
    assert bk.cells.lstm(3, 4).draw(highlight="forget")._repr_svg_() != bk.cells.lstm(3, 4).draw()._repr_svg_()
    with pytest.raises(bk.BlocksError, match="nothing called 'forgot' to highlight.*did you mean 'forget'"):
        bk.cells.lstm(3, 4).draw(highlight="forgot")
    with pytest.raises(bk.BlocksError, match="a figure is saved as"):
        graph.draw().save(tmp_path / "g.gif")
    with pytest.raises(bk.BlocksError, match="no folder"):
        graph.draw().save(tmp_path / "none" / "g.svg")


@pytest.mark.parametrize(
    "name", ["</svg><script>alert(1)</script>", '"]; x [label="', "<b>bold</b>", "a\\N\\G", "{|}", "ü→∂"]
)
def test_hostile_names_are_inert_in_drawings(name) -> None:
    h = bk.state("h", 2)
    h1 = bk.TANH(2, name=name)(bk.input(f"in {name}", 2), h)
    svg = bk.Cell(states={h: h1}, outputs={f"out {name}": h1}).draw().render("svg").decode()
    from xml.etree import ElementTree

    root = ElementTree.fromstring(svg.split("?>", 1)[1].split(">", 1)[1] if "<!DOCTYPE" in svg else svg)
    tags = {e.tag.split("}")[-1] for e in root.iter()}
    assert "script" not in tags and "b" not in tags
    texts = "".join(e.text or "" for e in root.iter() if e.tag.endswith("text"))
    shown = name.rsplit("/", 1)[-1]  # a path is shown by its last part
    assert shown.replace(" ", "") in texts.replace("\xa0", "").replace(" ", "")
