"""What is exported, in the frameworks that it is exported to: values and gradients against `run` of `bk.grad`.

    .ci/more exchange [NETWORKS]      python -m tests.exchange.exported [NETWORKS] [--language torch] [--case 'network 17']

Every cell of the gallery, with and without a mask, its gradient as a graph, its one step alone; the recorded examples;
and random networks (tests/wide), all in float64. A module is made once and called at several sizes, one step and one
sequence among them. Gradients are the framework's own, by all weights and inputs. At last the texts of the examples run
in a process in which there is no blocks.
"""

from __future__ import annotations

import argparse
import collections
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import blocks as bk
from blocks.cells.table import GALLERY
from blocks.graph import Graph
from tests.exchange.examples import EXAMPLES
from tests.helpers import limit
from tests.test_gallery import SQUARE, rng_of
from tests.wide import case

TOLERANCE = 1e-10  # of the largest number of each array
FLOOR = 1e-3  # of arrays of smaller numbers
SECONDS = 60
Arrays = dict[str, np.ndarray]


class Wrong(Exception):
    """Numbers that differ."""


def compare(want: Mapping[str, Any], got: Mapping[str, Any], what: str) -> None:
    """Raises Wrong naming the first array that differs."""
    if set(want) != set(got):
        raise Wrong(f"{what}: {sorted(got)}, not {sorted(want)}")
    for name, value in want.items():
        value, other = np.asarray(value), np.asarray(got[name])
        if value.shape != other.shape or value.dtype.kind != other.dtype.kind:
            raise Wrong(f"{what}: {name} is {other.shape} {other.dtype}, not {value.shape} {value.dtype}")
        scale = max(FLOOR, float(np.abs(value).max(initial=0.0)))
        gap = float(np.abs(other.astype(float) - value.astype(float)).max(initial=0.0))
        if not gap <= TOLERANCE * scale:
            raise Wrong(f"{what}: {name} is off by {gap:.2g}, of {scale:.2g}")


# --- the languages: (graph, weights) → (feeds, wrt, of) → (outputs, gradients by name) -----------

Called = Callable[[Arrays, list[str], str], tuple[Arrays, Arrays]]


def by_torch(graph: Graph, weights: Arrays, fused: bool = False) -> Called:
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    module = bk.to_torch(graph, weights=weights, fused=fused)
    if set(module.state_dict()) != set(graph.params):
        raise Wrong(f"the keys of the state dict are {sorted(module.state_dict())}")
    kinds = {"float": torch.float64, "int": torch.int64, "bool": torch.bool}
    leaves = {**graph.fed("input"), **graph.fed("draw")}

    def called(feeds: Arrays, wrt: list[str], of: str) -> tuple[Arrays, Arrays]:
        fed = {n: torch.tensor(np.array(v), dtype=kinds[leaves[n].dtype]) for n, v in feeds.items() if n in leaves}
        by = {**dict(module.named_parameters()), **fed}
        by = {n: by[n].requires_grad_() for n in wrt if n in by}
        outputs = module(**fed)
        gradients: list[Any] = [None] * len(by)
        if by and outputs[of].requires_grad:
            gradients = list(torch.autograd.grad(outputs[of], list(by.values()), allow_unused=True))
        zeros = {n: np.zeros(t.shape) for n, t in by.items()}
        found = {n: g.numpy() for n, g in zip(by, gradients, strict=True) if g is not None}
        return {k: v.detach().numpy() for k, v in outputs.items()}, {**zeros, **found}

    return called


def by_jax(graph: Graph, weights: Arrays) -> Called:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    function = bk.to_jax(graph, weights=weights)
    outputs_of = jax.jit(lambda params, feeds: function(params, **feeds))

    def called(feeds: Arrays, wrt: list[str], of: str) -> tuple[Arrays, Arrays]:
        fed = {n: v for n, v in feeds.items() if n not in weights}
        chosen = {n: feeds[n] for n in wrt if n in feeds}

        def loss(by: Arrays) -> Any:
            params = {n: by.get(n, w) for n, w in function.params.items()}
            outputs = function(params, **{n: by.get(n, v) for n, v in fed.items()})
            return outputs[of], outputs

        if not chosen:
            return {k: np.asarray(v) for k, v in outputs_of(function.params, fed).items()}, {}
        by = {n: np.asarray(v, np.float64) for n, v in chosen.items()}
        (_, outputs), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(by)
        return {k: np.asarray(v) for k, v in outputs.items()}, {k: np.asarray(v) for k, v in gradients.items()}

    return called


def by_numpy(graph: Graph, weights: Arrays) -> Called:
    function = bk.to_numpy(graph, weights=weights)

    def called(feeds: Arrays, wrt: list[str], of: str) -> tuple[Arrays, Arrays]:
        return function(function.params, **{n: v for n, v in feeds.items() if n not in weights}), {}

    return called


LANGUAGES: dict[str, Callable[[Graph, Arrays], Called]] = {"torch": by_torch, "jax": by_jax, "numpy": by_numpy}
FUSED = "torch, fused"  # asked for by what has an operator
LANGUAGES_TOO = {FUSED: lambda graph, weights: by_torch(graph, weights, fused=True)}
NEEDS = {"torch": "pip install torch", "jax": "pip install jax"}


def check(language: str, graph: Graph, feeds: Arrays, wrt: list[str], of: str, others: list[Arrays] = ()) -> None:  # type: ignore[assignment]
    """Raises Wrong for values or gradients that differ, at the sizes of these feeds or of others."""
    weights = {n: np.array(feeds[n], np.float64) for n in graph.params}
    called = (LANGUAGES | LANGUAGES_TOO)[language](graph, weights)
    gradient = bk.grad(graph, of=of, wrt=wrt) if wrt else None
    for fed in [feeds, *others]:
        outputs, by = called(fed, wrt, of)
        compare(bk.run(graph, fed), outputs, "values")
        if gradient is not None:
            got = bk.run(gradient, fed)
            compare({n: got[f"grad/{n}"] for n in by}, by, "gradient")


# --- what is checked -----------------------------------------------------------------------------


def of_the_gallery(name: str) -> Iterator[tuple[str, Graph, Arrays, list[str], list[Arrays]]]:
    """A cell in several graphs, with feeds of several sizes."""
    rng, width = rng_of(name), 4 if name in SQUARE else 3
    cell = GALLERY[name].make(width, 4)
    xs, mask = bk.sequence("x", width), bk.sequence("mask")
    for masked in (False, True):
        ys, finals = bk.scan(cell, xs, mask=mask if masked else None, reverse=masked, final=True)
        random = rng.standard_normal([d if isinstance(d, int) else 1 for d in ys.shape])
        graph = bk.Graph(
            {"loss": bk.mean(ys * ys) + bk.mean(ys * random), "y": ys, **{f"last {k}": v for k, v in finals.items()}}
        )
        weights = {n: rng.normal(0.0, 0.6, s) for n, s in graph.params.items()}
        fed = []
        for steps, batch in ((5, 2), (1, 3), (4, 1), (1, 1)):
            fed.append({**weights, "x": rng.normal(size=(steps, batch, width))})
            if masked:
                fed[-1]["mask"] = (np.arange(steps)[:, None] < rng.integers(1, steps + 1, batch)).astype(float)
        wrt = [*graph.params, "x"]
        yield f"{name}{', masked and backwards' if masked else ''}", graph, fed[0], wrt, fed[1:]
        if not masked:
            step = {**weights, "x": rng.normal(size=(3, width))}
            yield f"{name}, one step", cell.graph, step, [], []
            yield f"{name}, its gradient as a graph", bk.grad(graph), fed[0], [], fed[1:]


def of_the_examples() -> Iterator[tuple[str, Graph, Arrays, list[str], list[Arrays]]]:
    """The recorded examples that are graphs."""
    for name, make in EXAMPLES.items():
        graph = make()
        if isinstance(graph, Graph):
            yield f"example {name}", graph, feeds_of(graph, 6, 4), [], [feeds_of(graph, 3, 2)]


def feeds_of(graph: Graph, steps: int, batch: int, seed: int = 5) -> Arrays:
    """Random feeds; masks admit the first steps of a sequence."""
    rng, sizes = np.random.default_rng(seed), {"time": steps, "batch": batch}
    feeds: Arrays = {}
    for name, node in {**graph.fed("parameter"), **graph.fed("input")}.items():
        shape = [sizes[d] if isinstance(d, str) else d for d in node.shape]
        if name == "mask":
            mask = np.arange(steps)[:, None] < rng.integers(1, steps + 1, batch)
            feeds[name] = mask if node.dtype == "bool" else mask.astype(float)
        elif node.op.name == "parameter" or node.attrs["default"] is None:
            feeds[name] = rng.integers(0, 5, shape) if node.dtype == "int" else rng.normal(0.0, 0.7, shape)
    return feeds


def everything(networks: int) -> Iterator[tuple[str, Callable[[str], None]]]:
    """Name → what checks it in a language."""
    for name in GALLERY:
        for label, graph, feeds, wrt, others in of_the_gallery(name):
            yield label, lambda language, a=(graph, feeds, wrt, "loss", others): check(language, *a)
    for label, graph, feeds, wrt, others in of_the_examples():
        yield label, lambda language, a=(graph, feeds, wrt, "loss", others): check(language, *a)
    for number in range(networks):
        yield f"network {number}", lambda language, number=number: network(language, number)
    yield "the texts alone", all_alone
    yield "transformations", transformed
    yield "training", trained
    for name in ("lstm", "gru_reset_after", "srn", "irnn"):
        yield f"{name}, fused", lambda language, name=name: with_operator(language, name)


def transformed(language: str) -> None:
    """JAX: jit, vmap, a program exported with open sizes, two devices; PyTorch: a compiled step. Against predict."""
    model = EXAMPLES["lstm"]()
    weights = {n: np.asarray(w, np.float64) for n, w in model.weights.items()}
    X = np.random.default_rng(2).normal(size=(4, 6, 8))
    graph = model.graph_for("predict")
    want = {"y": np.moveaxis(bk.run(graph, {**weights, "x": np.moveaxis(X, 1, 0)})["y"], 1, 0)}
    if language == "torch":
        import torch

        module = bk.to_torch(model, weights=weights)
        module.cell = torch.compile(module.cell)
        compare(want, {"y": module(torch.tensor(X)).detach().numpy()}, "torch.compile")
        return
    if language != "jax":
        return
    import jax
    from jax.sharding import PartitionSpec as P

    jax.config.update("jax_enable_x64", True)
    f = bk.to_jax(model, weights=weights)
    compare(want, {"y": jax.jit(f)(f.params, X)}, "jit")
    both = jax.vmap(lambda x: f(f.params, x))(np.stack([X, X]))
    compare(want, {"y": both[1]}, "vmap")
    batch, time = jax.export.symbolic_shape("batch, time")
    kinds = {n: jax.ShapeDtypeStruct(w.shape, w.dtype) for n, w in f.params.items()}
    exported = jax.export.export(jax.jit(f))(kinds, jax.ShapeDtypeStruct((batch, time, 8), np.float64))
    compare(want, {"y": exported.call(f.params, X)}, "jax.export")
    short = {"y": want["y"][:1, :2]}
    compare(short, {"y": exported.call(f.params, X[:1, :2])}, "jax.export at other sizes")
    devices = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
    each = jax.shard_map(f, mesh=devices, in_specs=(P(), P("data")), out_specs=P("data"), check_vma=False)
    compare(want, {"y": jax.jit(each)(f.params, X)}, f"shard_map on {len(jax.devices())} devices")


def trained(language: str) -> None:
    """Ten updates in PyTorch, and blocks predicts the same: the memory of the weights is one. And back."""
    if language != "torch":
        return
    import torch

    target = bk.sequence("target", 3)
    y = bk.ADD(3, name="out")(bk.scan(bk.cells.gru(2, 4), bk.sequence("x", 2)))
    model = bk.Model(loss=bk.losses.squared_error(y, target), outputs=y, dtype="float64")
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 7, 2)), rng.normal(size=(5, 7, 3))
    module, first = bk.to_torch(model), model.evaluate({"x": X, "target": Y})
    optimizer = torch.optim.Adam(module.parameters(), 0.03)
    for _ in range(10):
        optimizer.zero_grad()
        (module(torch.tensor(X)) - torch.tensor(Y)).square().mean().backward()
        optimizer.step()
    compare({"y": model.predict({"x": X})}, {"y": module(torch.tensor(X)).detach().numpy()}, "after ten updates there")
    if not model.evaluate({"x": X, "target": Y}) < first:
        raise Wrong("ten updates have not changed the weights of the model")
    model.fit({"x": X, "target": Y}, epochs=3, optimizer=bk.Adam(0.03), progress=False)
    compare({"y": model.predict({"x": X})}, {"y": module(torch.tensor(X)).detach().numpy()}, "after updates here")


def with_operator(language: str, name: str) -> None:
    """A cell for which PyTorch has an operator, in both directions."""
    if language == "torch":
        cells = [GALLERY[name].make(3, 4, name=way) for way in ("ahead", "back")]
        ys, finals = bk.bidirectional(*cells, bk.sequence("x", 3), final=True)
        loss = bk.mean(ys * ys) + sum(bk.mean(v) for v in finals.values())
        graph = bk.Graph({"loss": loss, "y": ys, **finals})
        feeds = [feeds_of(graph, *sizes) for sizes in ((5, 2), (1, 3), (4, 1))]
        weights = {n: feeds[0][n] for n in graph.params}
        check(FUSED, graph, feeds[0], [*graph.params, "x"], "loss", [{**fed, **weights} for fed in feeds[1:]])


def network(language: str, number: int) -> None:
    """A random network."""
    made = case(number)
    check(language, made.graph, made.feeds, made.wrt, "loss")


ALONE = """
import importlib.abc, sys
import numpy as np

class NoBlocks(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "blocks":
            raise ImportError("there is no blocks here")

sys.meta_path.insert(0, NoBlocks())
space = {"__name__": "exported"}
exec(open(sys.argv[1], encoding="utf-8").read(), space)
given = dict(np.load(sys.argv[2]))
weights = {k[2:]: v for k, v in given.items() if k.startswith("w/")}
feeds = {k[2:]: v for k, v in given.items() if k.startswith("f/")}
"""
OF_ARRAYS = """
outputs = space["network"](weights, **feeds)
outputs = outputs if isinstance(outputs, dict) else {"y": outputs}
np.savez(sys.argv[3], **{k.replace("/", "|"): np.asarray(v) for k, v in outputs.items()})
"""
CALLS = {
    "jax": "import jax\njax.config.update('jax_enable_x64', True)" + OF_ARRAYS,
    "numpy": OF_ARRAYS,
    "torch": """
import torch
module = space["Network"](weights).eval()
outputs = module(**{k: torch.as_tensor(v) for k, v in feeds.items()})
outputs = outputs if isinstance(outputs, dict) else {"y": outputs}
np.savez(sys.argv[3], **{k.replace("/", "|"): v.detach().numpy() for k, v in outputs.items()})
""",
}


def all_alone(language: str) -> None:
    """Every recorded text."""
    for name in EXAMPLES:
        alone(language, name)


def alone(language: str, name: str) -> None:
    """A recorded text, run where there is no blocks. Raises Wrong for other numbers than `run` has."""
    folder = Path(__file__).parent.parent / "data" / "exported"
    source = EXAMPLES[name]()
    model = isinstance(source, bk.Model)
    graph = source.graph_for("predict") if isinstance(source, bk.Model) else source
    feeds = feeds_of(graph, 4, 3)
    want = {k: v for k, v in bk.run(graph, feeds).items() if not (model and k.startswith("final/"))}
    if model:
        want = {k: np.moveaxis(v, 1, 0) for k, v in want.items()}
    with tempfile.TemporaryDirectory() as place:
        given, got = os.path.join(place, "given.npz"), os.path.join(place, "got.npz")
        arrays = {f"{'w' if k in graph.params else 'f'}/{k}": v for k, v in feeds.items()}
        if model:
            arrays |= {k: np.moveaxis(v, 1, 0) for k, v in arrays.items() if k == "f/x"}
        np.savez(given, **arrays)
        code = ALONE + CALLS[language]
        text = str(folder / f"{name}.{language}.txt")
        done = subprocess.run([sys.executable, "-c", code, text, given, got], capture_output=True, text=True, cwd=place)
        if done.returncode:
            raise Wrong(f"{name} alone: {done.stderr[-600:]}")
        found = {k.replace("|", "/"): v for k, v in np.load(got).items()}
    compare(want, found, f"{name} alone")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=int, nargs="?", default=200)
    parser.add_argument("--language", choices=list(LANGUAGES), action="append")
    parser.add_argument("--case", help="only what has this in its name: a cell, or 'network 17'")
    parser.add_argument("--networks-only", action="store_true", help="random networks alone")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no other graph after so long")
    options = parser.parse_args()
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    failed: collections.Counter[str] = collections.Counter()
    for language in options.language or LANGUAGES:
        try:
            __import__(language)
        except ImportError:
            print(f"exported: {language} skipped, it is not installed ({NEEDS[language]})")
            continue
        start, count = time.time(), 0
        for label, what in everything(options.networks):
            if options.case and options.case != label and options.case not in label.split(","):
                continue
            if options.networks_only and not label.startswith("network "):
                continue
            if time.time() - start > 60 * options.minutes:
                print(f"exported: {language}: stopped before {label}")
                break
            count += 1
            try:
                with limit(SECONDS):
                    what(language)
            except Exception as error:
                failed[language] += 1
                print(f"  {language}: {label}: {type(error).__name__}: {error!s:.400}", flush=True)
        took = time.time() - start
        print(f"exported: {language}: {count} graphs, {failed[language]} failed ({took:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
