"""JAX: a graph, a cell or a model as a pure function, a loop as `lax.scan`, with a readable text that stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..arguments import checked
from ..cell import Cell
from ..graph import Graph, Node
from ..optional import needed
from ..train.model import Model
from .arrays import ArrayFunction, ArrayModule, rows_of
from .function import Repeated, Value, assigned, indented, plural, short
from .given import Given, given
from .rows import Dialect, Row, name, text
from .run import executed

ROWS: dict[str, Row] = {
    **rows_of("jnp", "lax.stop_gradient({0:n} // {1:n})", "jax.nn."),
    "sigm": "jax.nn.sigmoid({0})",
    "relu": "jax.nn.relu({0})",
    "softplus": "jax.nn.softplus({0})",
    "silu": "jax.nn.silu({0})",
    "gelu": "jax.nn.gelu({0}, approximate=True)",
    "stop_gradient": "lax.stop_gradient({0})",
    "cumsum": "lax.cumsum({0}, {axis}, {reverse})",
    "one_hot": "jax.nn.one_hot({0}, {classes}, dtype={dtype})",
}
JAX = Dialect("jax", "JAX", ROWS)


class JaxFunction(ArrayFunction):
    """A function whose loops are `lax.scan`."""

    xp = "jnp"

    def repeat(self, node: Node, loop: Repeated) -> dict[str, Value]:
        """The step as a function of what is carried and of a row, and the scan."""
        states, rows = loop.variables(self)
        given = [text(a) for a in loop.called_with(self, {**states, **rows})]
        targets, again = loop.targets(self, states)
        taken = dict(zip(loop.results, targets, strict=True))
        step = self.names.fresh("step")
        carried, row = list(states.values()), list(rows.values())
        gives = [taken[loop.body.outputs[k]] for k in loop.stacked]
        arrays = {k: self.names.fresh(plural(short(k))) for k in loop.stacked}
        heads = [_alone(carried, "carry"), _alone(row, "now")]
        opened = [f"{', '.join(some)} = {word}" for some, word in ((carried, "carry"), (row, "now")) if len(some) > 1]
        call = assigned(targets, loop.inner.called, ["params", *given])
        self.lines += ["", f"def {step}({heads[0]}, {heads[1]}):"]
        self.lines += [*indented([*opened, *call, *again, f"return {_packed(carried)}, {_packed(gives)}"]), ""]
        sequences = [text(s) for s in loop.sequences.values()]
        ways = [] if sequences else [f"length={text(self.size(loop.time))}"]
        ways += ["reverse=True"] if loop.reverse else []
        left = [_packed(carried, "_"), _packed(list(arrays.values()), "_")]
        self.lines += assigned(left, "lax.scan", [step, _packed(carried), _packed(sequences), *ways])
        return {k: Value(name(i)) for k, i in arrays.items()} | loop.finals(states)


def _alone(names: list[str], word: str) -> str:
    """One name as it is; several under one word; none as what is not used."""
    return names[0] if len(names) == 1 else word if names else "_"


def _packed(parts: list[str], nothing: str = "None") -> str:
    """One as it is, several as a tuple."""
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})" if parts else nothing


class JaxModule(ArrayModule):
    """The text for JAX."""

    dialect, kind, xp = JAX, JaxFunction, "jnp"
    types: ClassVar = {"int": "int", "bool": "bool"}
    words = ("jax", "jnp", "lax", "np", "base64", "zlib", "carry", "now", "int", "bool")
    imports: ClassVar = {
        "base64": "import base64",
        "zlib": "import zlib\n",
        "jax": "import jax",
        "jnp": "import jax.numpy as jnp",
        "np": "import numpy as np",
        "lax": "from jax import lax",
    }


@checked
def to_jax(source: Graph | Cell | Model, *, weights: Mapping[str, Any] | None = None) -> Any:
    """A pure function ``f(params, **inputs)`` of JAX that computes what a graph, a cell or a model does.

    ``params`` is a dict by name, ``forget.W_x``; ``f.params`` are those of the model, or `weights`, name → array, or
    the first weights of seed 0. Of a graph it takes and gives what `run` does, arrays by name, time first; a cell is
    its one-step graph. Of a model it takes and gives what `predict` does: batch first, the output alone where there is
    one, and with ``final=True`` the last states too. Random numbers (`dropout`) are their expectation, unless they are
    fed under their names.

    It works under ``jit``, ``grad``, ``vmap``, ``shard_map`` and ``jax.export`` with symbolic sizes. ``f.source`` is
    its text, which stands alone. JAX computes in float32 unless ``jax.config.update("jax_enable_x64", True)`` says
    more. Ids out of range, and a mean over a mask that admits nothing, raise in `run`; here nothing is raised.

    Raises BlocksError naming an operation without a row (``rows={"jax": "jnp.sinh({0})"}``), and where JAX is not
    installed.
    """
    what = given(source, weights)
    written = jax_source(what)
    jnp = needed("jax.numpy", "to_jax")
    function = executed(written, "jax")["network"]
    function.source, function.params = written, {n: jnp.asarray(w) for n, w in what.weights.items()}
    return function


def jax_source(what: Given) -> str:
    """The text of the functions of a graph; JAX need not be installed."""
    return JaxModule(what).write()
