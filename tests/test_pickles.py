"""Copies and pickles: wires, graphs, cells; in this process and in another one."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

import blocks as bk
from blocks.graph import OPS


def cell_with_all() -> bk.Cell:
    """A cell inside a cell, a shared brick, a learnt first value, a mask, constants."""
    x, h = bk.input("x", 3), bk.state("h", 4)
    inner = bk.cells.gru(4, 5, name="inner")
    brick = bk.TANH(4, name="twice")
    up = inner(brick(x, h))
    return bk.Cell(states={h: bk.ADD(4, name="down")(up) + np.arange(4.0)}, outputs={"y": up, "z": brick(x, h)})


def graph_of(cell: bk.Cell) -> bk.Graph:
    xs, mask = bk.sequence("x", 3), bk.sequence("mask")
    out = bk.scan(cell, xs, initial={"h": bk.parameter("h0", 4)}, mask=mask)
    return bk.grad(bk.Graph({"loss": bk.mean(out["y"]) + bk.mean(out["z"] ** 2.0)}))


def feeds_of(graph: bk.Graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    mask = np.array([[1, 1], [1, 0], [1, 1.0]])
    return {**graph.init(2, "float64"), "x": rng.standard_normal((3, 2, 3)), "mask": mask}


def answer(packed: bytes) -> tuple[str, dict[str, np.ndarray], bool]:
    """What another process makes of a pickle."""
    things = pickle.loads(packed)
    graph, cell, wire = things["graph"], things["cell"], things["wire"]
    again = graph_of(cell)  # a cell that came by pickle is wired as ever
    same = wire is graph.outputs["loss"] and again.dump() == graph_of(cell).dump()
    return graph.dump(), bk.run(graph, feeds_of(graph)), same


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_graphs_and_cells_in_another_process(start) -> None:
    cell = cell_with_all()
    graph = graph_of(cell)
    packed = pickle.dumps({"graph": graph, "cell": cell, "wire": graph.outputs["loss"]})
    with multiprocessing.get_context(start).Pool(1) as pool:
        dump, values, same = pool.apply(answer, (packed,))
    assert dump == graph.dump() and same
    for name, value in bk.run(graph, feeds_of(graph)).items():
        np.testing.assert_array_equal(values[name], value)


def made_in_child(_: int) -> bytes:
    return pickle.dumps(bk.tanh(bk.input("x", 2)))


def test_wires_made_after_a_fork_are_not_taken_for_others() -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        packed = pool.apply(made_in_child, (0,))
    mine = [bk.sigm(bk.input("y", 3)) for _ in range(5)]  # they have the serial numbers that the child gave
    wire = pickle.loads(packed)
    assert wire not in mine and wire.op.name == "tanh" and wire.shape == ("batch", 2)


def test_a_wire_is_itself_where_it_lives() -> None:
    wire = bk.tanh(bk.input("x", 2))
    graph = bk.Graph({"y": wire})
    assert pickle.loads(pickle.dumps(wire)) is wire
    assert copy.copy(wire) is wire and copy.deepcopy([wire, graph]) == [wire, graph]
    assert pickle.loads(pickle.dumps(graph)).outputs["y"] is wire
    for op in OPS.values():
        assert pickle.loads(pickle.dumps(op)) is op and copy.deepcopy(op) is op


def test_a_copy_of_a_cell_is_a_cell() -> None:
    cell = cell_with_all()
    assert graph_of(copy.deepcopy(cell)).dump() == graph_of(cell).dump()


def test_deep_graphs_do_not_recurse() -> None:
    wire = bk.input("x", 2)
    for _ in range(5000):
        wire = bk.tanh(wire)
    assert pickle.loads(pickle.dumps(bk.Graph({"y": wire}))).outputs["y"] is wire


def test_an_operation_that_is_not_defined_there_is_named() -> None:
    with pytest.raises(bk.BlocksError, match="no operation 'tanhh' here.*did you mean 'tanh'"):
        pickle.loads(pickle.dumps(bk.tanh).replace(b"tanh", b"tanhh").replace(b"\x04tanh", b"\x05tanh"))
