"""What is exported to ONNX, as the reference evaluator and onnxruntime have it, against `run`.

    .ci/more exchange [NETWORKS]      python -m tests.exchange.in_onnx [NETWORKS] [--case 'network 17']

Every cell of the gallery, with and without a mask, its one step alone, its gradient; the recorded examples; and random
networks (tests/wide) with their gradients. A file is made once and run at several sizes, one step and one sequence
among them: in double precision by the reference evaluator, in single precision by onnxruntime. A network whose numbers
`run` itself does not have in single precision is not compared there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.graph import Graph
from blocks.ops.random import LAWS
from tests.exchange.exported import SECONDS, Arrays, Wrong, of_the_examples, of_the_gallery
from tests.exchange.ways import MISSES, WAYS
from tests.helpers import limit
from tests.wide import case

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}  # of the largest number of each array
FLOOR = {"float64": 1e-3, "float32": 1e-2}  # of arrays of smaller numbers
CONDITION = 2e-6  # how much `run` in single precision may be off
Session = Callable[[Arrays], Arrays]


def by_reference(made: Any) -> Session:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(made)

    def run(feeds: Arrays) -> Arrays:
        with np.errstate(all="ignore"):
            return dict(zip(evaluator.output_names, evaluator.run(None, feeds), strict=True))

    return run


def by_onnxruntime(made: Any) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


RUNTIMES = {"float64": by_reference, "float32": by_onnxruntime}


def worst(want: Arrays, got: Arrays, dtype: str) -> tuple[float, str]:
    """The largest difference, as a part of the array's largest number, and where."""
    found = [(0.0, "")]
    for name, value in want.items():
        value, other = np.asarray(value), np.asarray(got[name])
        if value.shape != other.shape or value.dtype.kind != other.dtype.kind:
            raise Wrong(f"{name} is {other.shape} {other.dtype}, not {value.shape} {value.dtype}")
        if value.dtype.kind != "f":
            found.append((float(not np.array_equal(value, other)), name))
            continue
        finite = np.isfinite(value)
        if not np.array_equal(finite, np.isfinite(other)):
            return np.inf, name
        gap = np.abs(np.where(finite, other, 0.0) - np.where(finite, value, 0.0)).max(initial=0.0)
        found.append((float(gap / max(FLOOR[dtype], np.abs(value[finite]).max(initial=0.0))), name))
    return max(found)


def fed(graph: Graph, feeds: Arrays, dtype: str) -> Arrays:
    """All inputs and draws of a graph; those that are not fed as what they are then."""
    types = {"float": np.dtype(dtype), "int": np.dtype(np.int64), "bool": np.dtype(bool)}
    leaves, dims = {**graph.fed("input"), **graph.fed("draw")}, dict[Any, int]()
    for name in set(leaves) & set(feeds):
        dims |= zip(leaves[name].shape, np.shape(feeds[name]), strict=True)
    found = {}
    for name, leaf in leaves.items():
        shape = [d if isinstance(d, int) else dims.get(d, 1) for d in leaf.shape]
        if leaf.op.name == "draw":
            default = LAWS[leaf.attrs["law"]].mean(*leaf.attrs["of"])
        else:
            default = 0 if isinstance(leaf.attrs["default"], str) else leaf.attrs["default"]
        value = feeds[name] if name in feeds else np.full(shape, default)
        found[name] = np.asarray(value).astype(types[leaf.dtype])
    return found


def difference(graph: Graph, feeds: Arrays, session: Session, names: list[str], dtype: str) -> tuple[float, str] | None:
    """The largest difference between `run` of a graph and a session of its file, and where; None, where `run` itself has
    other numbers in single precision. `names`: the inputs of the file."""
    want = bk.run(graph, feeds)
    if dtype == "float32":
        narrow = {n: v.astype(np.float32) if np.asarray(v).dtype.kind == "f" else v for n, v in feeds.items()}
        if worst(want, bk.run(graph, narrow), dtype)[0] > CONDITION:
            return None
    got = session({n: v for n, v in fed(graph, feeds, dtype).items() if n in names})
    return worst(want, {k: got[k if k in got else f"{k}_out"] for k in want}, dtype)


def check(graph: Graph, feeds: Arrays, others: list[Arrays], skipped: list[str], gradient: bool = False) -> None:
    """Raises Wrong for values that differ, at the sizes of these feeds or of others."""
    weights = {n: np.array(feeds[n], np.float64) for n in graph.params}
    optional = any(leaf.attrs["default"] is not None and n in feeds for n, leaf in graph.fed("input").items())
    options: dict[str, Any] = {"weights": weights, "states": "inputs" if optional else "zeros", "gradient": gradient}
    for dtype, runtime in RUNTIMES.items():
        made = bk.to_onnx(graph, dtype=dtype, **options)
        if dtype == "float64" and any(a.strings == [b"Relu"] for n in made.graph.node for a in n.attribute):
            made = bk.to_onnx(graph, dtype=dtype, fused=False, **options)  # the evaluator's RNN knows Tanh alone
        session, names = runtime(made), [i.name for i in made.graph.input]
        for each in [feeds, *others]:
            what = bk.grad(graph) if gradient else graph
            drawn = {n: v for n, v in each.items() if gradient or n not in graph.draws}
            found = difference(what, drawn, session, names, dtype)
            if found is None:
                skipped.append(dtype)
            elif not found[0] <= TOLERANCE[dtype]:
                raise Wrong(f"{found[1]} is off by {found[0]:.2g} of its largest number in {dtype}")


def of_the_ways(name: str, make: Any) -> Iterator[tuple[str, Graph, Arrays, list[Arrays]]]:
    """A cell that becomes one operator, or nearly does: in both directions, from states that are fed."""
    rng, cell = np.random.default_rng(8), make(3, 5)
    for reverse in (False, True):
        ys, finals = bk.scan(cell, {cell.inputs[0]: bk.sequence("x", 3)}, reverse=reverse, final=True)
        outputs = ys if isinstance(ys, dict) else {"ys": ys}
        graph = bk.Graph({**outputs, **{f"last {k}": v for k, v in finals.items()}})
        weights = {n: rng.normal(0.0, 0.6, s) for n, s in graph.params.items()}
        fed = [{**weights, "x": rng.normal(size=(t, b, 3))} for t, b in ((6, 2), (1, 3), (4, 1), (1, 1))]
        if reverse:
            fed = [{**f, **{s: rng.normal(size=(f["x"].shape[1], 5)) for s in cell.states}} for f in fed]
        yield f"{name}{', backwards' if reverse else ''}", graph, fed[0], fed[1:]


def everything(networks: int) -> Iterator[tuple[str, Callable[[list[str]], None]]]:
    for name in GALLERY:
        for label, graph, feeds, _, others in of_the_gallery(name):
            yield label, lambda skipped, a=(graph, feeds, others): check(*a, skipped)
    for label, graph, feeds, _, others in of_the_examples():
        yield label, lambda skipped, a=(graph, feeds, others): check(*a, skipped)
    for name, make in {**{k: v for k, (_, v) in WAYS.items()}, **MISSES}.items():
        for label, graph, feeds, others in of_the_ways(name, make):
            yield label, lambda skipped, a=(graph, feeds, others): check(*a, skipped)
    for number in range(networks):
        yield f"network {number}", lambda skipped, number=number: network(number, skipped)


def network(number: int, skipped: list[str]) -> None:
    """A random network and its gradient: by the weights, with draws fed; or by inputs too, with their expectation."""
    made = case(number)
    if number % 2:
        check(made.graph, made.feeds, [], skipped, gradient=True)
    else:
        check(bk.grad(made.graph, wrt=made.wrt) if made.wrt else made.graph, made.feeds, [], skipped)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=int, nargs="?", default=200)
    parser.add_argument("--case", help="only what has this in its name: a cell, or 'network 17'")
    options = parser.parse_args()
    for package in ("onnx", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            print(f"in_onnx: skipped, {package} is not installed (pip install {package})")
            return 0
    count, failed, skipped, start = 0, 0, list[str](), time.time()
    for label, what in everything(options.networks):
        if options.case and options.case != label and options.case not in label.split(","):
            continue
        count += 1
        try:
            with limit(SECONDS):
                what(skipped)
        except Exception as error:
            failed += 1
            print(f"  onnx: {label}: {type(error).__name__}: {error!s:.600}", flush=True)
    took = time.time() - start
    print(f"in_onnx: {count} graphs, {failed} failed, {len(skipped)} runs not compared in float32 ({took:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
