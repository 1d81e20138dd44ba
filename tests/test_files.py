"""Files: graphs as JSON, models as safetensors, and everything that is wrong with a hostile one."""

import json
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save

import blocks as bk
from blocks.train import files

LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"


def model():
    hs = bk.scan(bk.cells.gru(3, 4, name="layer1"), bk.sequence("x", 3))
    y = bk.ADD(2, name="read_out")(hs)
    return bk.Model(loss=bk.losses.squared_error(y, bk.sequence("t", 2)), outputs={"y": y}, seed=3)


def test_a_model_comes_back(tmp_path) -> None:
    m = model()
    m.info = {"words": ["ä", "</svg>"]}
    m.save(tmp_path / "m.safetensors")
    again = bk.Model.load(tmp_path / "m.safetensors")
    X = np.random.default_rng(0).standard_normal((2, 5, 3))
    np.testing.assert_array_equal(again.predict({"x": X}), m.predict({"x": X}))
    assert again.info == m.info and again.graph.dump() == m.graph.dump() and again.seed == 3
    d = {"x": X, "t": X[..., :2]}
    m.fit(d, epochs=2), again.fit(d, epochs=2)
    for name in m.weights:
        np.testing.assert_array_equal(m.weights[name], again.weights[name])


def test_json_keeps_constants_recipes_and_labels() -> None:
    x = bk.input("x", 3)
    first = np.arange(6.0).reshape(3, 2) / 7
    y = bk.TANH(2, name="t", init=first)(x) * np.array([0.1, np.inf]) + np.array([1, 2])
    graph = bk.Graph({"y": y})
    again = bk.from_json(bk.to_json(graph))
    np.testing.assert_array_equal(again.init(0, "float64")["t.W_x"], first)
    assert [n.brick for n in again.order()] == [n.brick for n in graph.order()]
    feeds = {**graph.init(0, "float64"), "x": np.ones((1, 3))}
    np.testing.assert_array_equal(bk.run(again, feeds)["y"], bk.run(graph, feeds)["y"])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "m.safetensors"
    m = model()
    m.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(files.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        m.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


# --- hostile files: name → bytes, and what the error says ----------------------------------------


def whole(tmp_path) -> bytes:
    model().save(tmp_path / "good.safetensors")
    return (tmp_path / "good.safetensors").read_bytes()


def changed(tmp_path, change, weights=None) -> bytes:
    """A model file with its document changed by a function, or some weights replaced."""
    m = model()
    document = {"format": "blocks-model", "version": 1, "graph": json.loads(bk.to_json(m.graph))}
    document |= {"seed": 0, "dtype": "float32", "info": {}}
    change(document)
    return save({**m.weights, **(weights or {})}, metadata={"blocks": json.dumps(document)})


def node(document, op):
    return next(n for n in document["graph"]["nodes"] if n["op"] == op)


def nested(depth):
    graph = {"nodes": [{"op": "input", "name": "x", "attrs": {"shape": [1], "dtype": "float", "default": None}}]}
    graph["outputs"] = {"y": 0}
    for _ in range(depth):
        graph = {"nodes": [{"op": "loop", "attrs": {"body": {"graph": graph}}}], "outputs": {"y": 0}}
    return graph


def chain(op, shape, count):
    nodes = [{"op": "constant", "attrs": {"value": {"array": {"dtype": "float64", "shape": [], "data": [1.0]}}}}]
    nodes += [{"op": op, "operands": [0], "attrs": {"shape": shape}} for _ in range(count)]
    return {"format": "blocks-graph", "version": 1, "nodes": nodes, "outputs": {"loss": 0}}


HOSTILE = {
    "truncated in the middle": (lambda t: whole(t)[: len(whole(t)) // 2], "no whole .safetensors file"),
    "truncated by a byte": (lambda t: whole(t)[:-1], "no whole .safetensors file"),
    "empty": (lambda t: b"", "no whole .safetensors file"),
    "a text": (lambda t: b"not a model at all, just text\n" * 9, "no whole .safetensors file"),
    "a pickle": (lambda t: b"\x80\x04cos\nsystem\n(S'touch hacked'\ntR.", "no whole .safetensors file"),
    "a header of terabytes": (lambda t: struct.pack("<Q", 2**42) + b"{}", "no whole .safetensors file"),
    "weights of terabytes": (
        lambda t: (lambda h: struct.pack("<Q", len(h)) + h)(
            b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
        ),
        "no whole .safetensors file",
    ),
    "no graph": (lambda t: save({"a": np.zeros(2)}), "no model of blocks"),
    "other metadata": (lambda t: save({"a": np.zeros(2)}, metadata={"blocks": "{}"}), "no blocks-model"),
    "metadata that is no JSON": (lambda t: save({"a": np.zeros(2)}, metadata={"blocks": "{,"}), "no JSON"),
    "JSON as deep as a well": (
        lambda t: save({"a": np.zeros(2)}, metadata={"blocks": "[" * 100_000}), "no JSON|cannot be read"),
    "newer version": (lambda t: changed(t, lambda d: d.update(version=99)), "version 99; this blocks reads up to 1"),
    "newer graph": (lambda t: changed(t, lambda d: d["graph"].update(version=2)), "version 2"),
    "version of nonsense": (lambda t: changed(t, lambda d: d.update(version="1; import os")), "no version"),
    "unknown operation": (lambda t: changed(t, lambda d: node(d, "subtract").update(op="quantum")), "node .* no such operation"),
    "operation by path": (lambda t: changed(t, lambda d: node(d, "subtract").update(op="os.system")), "no such operation"),
    "weights of another shape": (
        lambda t: changed(t, lambda d: None, {"read_out.b": np.zeros(5, np.float32)}), r"'read_out.b' are \(2,\).*\(5,\)"),
    "weights missing": (lambda t: save({}, metadata={"blocks": json.dumps(
        {"format": "blocks-model", "version": 1, "graph": json.loads(bk.to_json(model().graph))})}), "are not in it"),
    "weights of strings of bits": (
        lambda t: changed(t, lambda d: None, {"extra": np.zeros(3, np.complex64)}), "array of complex64|cannot be read"),
    "operand from the future": (lambda t: changed(t, lambda d: node(d, "mean").update(operands=[10**6])), "does not stand before"),
    "negative operand": (lambda t: changed(t, lambda d: node(d, "mean").update(operands=[-1])), "does not stand before"),
    "shapes that do not fit": (lambda t: changed(t, lambda d: node(d, "matmul").update(operands=[0, 0])), "node .*matmul"),
    "attributes of nonsense": (lambda t: changed(t, lambda d: node(d, "mean").update(attrs={"axis": {"__import__": 1}})), "node"),
    "unknown attribute": (lambda t: changed(t, lambda d: node(d, "subtract").update(attrs={"eval": "1"})), "node .*subtract"),
    "a name of nonsense": (lambda t: changed(t, lambda d: node(d, "parameter").update(name="a\n\x00b")), "printable"),
    "no name": (lambda t: changed(t, lambda d: node(d, "parameter").pop("name")), "no name"),
    "a graph of sizes beyond memory": (
        lambda t: changed(t, lambda d: d.update(graph=chain("broadcast", [2**40], 1))), "more than a model needs"),
    "many sizes just below memory": (
        lambda t: changed(t, lambda d: d.update(graph=chain("broadcast", [2**29], 40))), "more than a model needs"),
    "loops in loops in loops": (lambda t: changed(t, lambda d: d["graph"].update(nested(40))), "nested more than"),
    "an array that lies": (
        lambda t: changed(t, lambda d: d["graph"]["nodes"].insert(0, {"op": "constant", "attrs": {"value": {"array": {
            "dtype": "float64", "shape": [2**40], "data": [1.0]}}}})), "does not have 1 numbers"),
    "an array of objects": (
        lambda t: changed(t, lambda d: d["graph"]["nodes"].insert(0, {"op": "constant", "attrs": {"value": {"array": {
            "dtype": "O", "shape": [1], "data": [1.0]}}}})), "not known"),
    "outputs of nonsense": (lambda t: changed(t, lambda d: d["graph"].update(outputs={"y": "x"})), "refers to node"),
    "no outputs": (lambda t: changed(t, lambda d: d["graph"].update(outputs={})), "at least one output"),
    "a seed of nonsense": (lambda t: changed(t, lambda d: d.update(seed="__import__('os')")), "a seed is"),
    "a dtype of nonsense": (lambda t: changed(t, lambda d: d.update(dtype="object")), "float32 or float64"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_hostile_files(kind, tmp_path) -> None:
    make, message = HOSTILE[kind]
    path = tmp_path / "evil.safetensors"
    path.write_bytes(make(tmp_path))
    with pytest.raises(bk.ModelFileError, match=message) as caught:
        bk.Model.load(path)
    assert "evil.safetensors" in str(caught.value) and len(str(caught.value)) < 1000
    assert caught.value.__cause__ is None


def test_hostile_files_in_bounded_memory(tmp_path) -> None:
    """All of them again, in a process that may not have more than 2 GiB, and that notices code run."""
    for i, (make, _) in enumerate(HOSTILE.values()):
        (tmp_path / f"{i}.safetensors").write_bytes(make(tmp_path))
    code = LIMIT + (
        "import sys, os, blocks as bk\n"
        "def noticed(event, args):\n"
        "    if event in ('os.system', 'subprocess.Popen', 'exec') and not str(args).count('frozen'):\n"
        "        if event != 'exec': os._exit(77)\n"
        "sys.addaudithook(noticed)\n"
        f"for i in range({len(HOSTILE)}):\n"
        "    try: bk.Model.load(f'{sys.argv[1]}/{i}.safetensors')\n"
        "    except bk.ModelFileError: pass\n"
        "    else: sys.exit(f'{i} was accepted')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 2**31


def test_random_damage_never_escapes_as_another_error(tmp_path) -> None:
    """Bytes changed at random: a clear error, or a model that still verifies."""
    good, rng, path = whole(tmp_path), np.random.default_rng(4), tmp_path / "damaged.safetensors"
    refused = 0
    for _ in range(300):
        data = bytearray(good)
        for place in rng.integers(0, len(data) - 200, 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(bytes(data))
        try:
            bk.Model.load(path).graph.verify()
        except bk.ModelFileError:
            refused += 1
    assert refused > 200


def test_missing_files_and_folders(tmp_path) -> None:
    with pytest.raises(bk.ModelFileError, match="no such file"):
        bk.Model.load(tmp_path / "none.safetensors")
    with pytest.raises(bk.ModelFileError, match="this is a folder"):
        bk.Model.load(tmp_path)
    with pytest.raises(bk.ModelFileError, match="no JSON"):
        bk.from_json("hello")
    with pytest.raises(bk.ModelFileError, match="no blocks-graph"):
        bk.from_json("{}")
