"""A model: a graph with a loss, and its weights.

    model = Model(loss=loss, outputs={"y": y}, seed=0)
    model.fit({"x": X, "target": Y}, epochs=5, optimizer=Adam(1e-3), clip=1.0)
    model.predict({"x": X})

Arrays that go in and come out are (batch, time, features).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arguments import checked
from ..compile import AUTO, INTERPRETER, MODELS, Program, check_checkpoint, compile, wanted
from ..compile import trials as side_by_side
from ..errors import BlocksError, NonFiniteError, WiringError, nearest
from ..files import ModelFileError
from ..graph import Graph, Node, show_shape
from ..interpret import run
from .checkpoint import read_training
from .evaluate import evaluate as _evaluate
from .files import json_value, read_model, write_model
from .fit import fit as _fit
from .history import History
from .inputs import Arrays, Inputs, is_whole
from .outputs import first_not_finite
from .predict import predict as _predict
from .purposes import FINAL, LOSS, Purpose, graph_for, measured
from .running import Running
from .shares import Shares
from .state import Training
from .summary import Row, rows, table
from .terms import Terms
from .trials import Number, check_trials, differing, inside, leading, of_one
from .vector import Vector


class Model:
    """A loss to minimise, outputs to predict, and the weights of both.

    Args:
        loss: a wire with one number, from `losses` or made by hand; None for a model that only predicts.
        outputs: a wire, or a dict of them by name.
        seed: of the first weights, of the order of the data, and of what is drawn in training (`dropout`, say).
        dtype: "float32" or "float64".
        target: what its graphs become, as for `compile`; "interpreter" runs them node by node, the same numbers but
            for rounding.
        checkpoint: keep every k-th state, or "sqrt", to save memory in training; see `compile`.
        trials: so many independent networks side by side, trained at once: trial r has the first weights, the order of
            the data and the draws of a model of its own with the seed + r. Weights, losses and predictions lead with
            trials. None: one network, and no such dimension.

    Attributes: graph, that of one trial; weights, name → array, all of them views of one vector; history, a
    `History`; training, where its training stands, or None; info, a dict of JSON values that is saved along (a
    vocabulary, say).

    Raises WiringError for a loss that is no single number, a state outside of a cell, or names used twice.
    """

    @checked
    def __init__(
        self,
        loss: Node | None = None,
        outputs: Node | Mapping[str, Node] | None = None,
        seed: int = 0,
        dtype: str = "float32",
        target: str = AUTO,
        checkpoint: int | str | None = None,
        trials: int | None = None,
        **renamed: Any,
    ):
        _check_renamed(renamed)
        named = {"y": outputs} if isinstance(outputs, Node) else dict(outputs or {})
        for name in named:
            if name == LOSS or str(name).startswith(FINAL):
                taken = "the loss" if name == LOSS else "what the last state of a run is called"
                raise WiringError(f"an output cannot be called {name!r}; that is {taken}")
        if loss is not None:
            if not isinstance(loss, Node) or loss.shape != () or loss.dtype != "float":
                got = loss.describe() if isinstance(loss, Node) else type(loss).__name__
                raise WiringError(f"a loss is one number, not {got}; take the mean")
            named = {LOSS: loss, **named}
        self._setup(Graph(named).verify(), seed, dtype, target, checkpoint, trials)
        sides = self.graph if self.trials is None else side_by_side(self.graph)
        self._weights.take(sides.init(self.seed, self.dtype, self.trials or 1))

    def _setup(self, graph: Graph, seed: int, dtype: Any, target: Any, checkpoint: Any, trials: Any) -> None:
        for node in graph.order():
            if node.role == "state" and node.op.name == "input":
                raise WiringError(f"the state {node.describe()} made at {node.where} stands outside of any cell")
        if str(dtype) not in ("float32", "float64"):
            raise BlocksError(f"the dtype of a model is float32 or float64, not {dtype!r}")
        if not is_whole(seed) or seed < 0:
            raise BlocksError(f"a seed is a whole number from 0, not {seed!r}")
        self.graph, self.seed, self.dtype = graph, int(seed), np.dtype(dtype)
        self.outputs: tuple[str, ...] = tuple(n for n in graph.outputs if n != LOSS)
        self.history = History()
        self.training: Training | None = None
        self.info: dict[str, Any] = {}
        self.target, self.checkpoint = wanted(target, MODELS), check_checkpoint(checkpoint)
        self.trials = check_trials(trials, graph)
        self._weights = Vector(_sizes(graph), self.dtype, self.trials)
        self._graphs: dict[Purpose, Graph] = {}
        self._programs: dict[Any, Program] = {}
        self._running: dict[Purpose, Running] = {}
        self._shares: dict[Purpose, Shares] = {}

    @property
    def weights(self) -> Vector:
        """Name → array. All are views of one vector, and stay so: training writes into them, and so does what is
        assigned. ``dict(model.weights)`` changes along; a copy is ``{k: w.copy() for k, w in model.weights.items()}``.
        """
        return self._weights

    @weights.setter
    def weights(self, weights: Mapping[str, Any]) -> None:
        self._weights.take(weights)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": {}, "_shares": {}}

    # -- the graphs that are run ------------------------------------------------------------------

    def graph_for(self, purpose: Purpose | str) -> Graph:
        """The graph of one purpose; `purposes` names them."""
        purpose = _as_purpose(purpose)
        if purpose not in self._graphs:
            time = self.time() if purpose.name in ("windowed", "evaluate in chunks") else None
            made = graph_for(self.graph, purpose, time)
            self._forget(purpose.name)
            self._graphs[purpose] = made
        return self._graphs[purpose]

    def _forget(self, name: str) -> None:
        """Forget what was measured and watched along with a purpose before: a call of `fit` may bring wires of its own,
        and a thousand calls as many."""
        plain = Purpose(name)
        kept: dict[Purpose, Any]
        for kept in (self._graphs, self._running, self._shares):
            for key in [k for k in kept if k.name == name and k != plain]:
                del kept[key]
        for key in [k for k in self._programs if k[0].name == name and k[0] != plain]:
            del self._programs[key]

    def terms(self, time: str | None = None, purpose: Purpose | str = "loss") -> tuple[Terms, Terms]:
        """What the loss counts, and what the metrics of a purpose do; with `time`, for sequences that come in chunks of
        steps."""
        return measured(self.graph_for(purpose), time)

    def program_for(self, purpose: Purpose | str, vary: tuple[str, ...] = ()) -> Program:
        """The compiled graph of one purpose; its `source` is what runs. `vary`: the inputs that differ among trials."""
        key = _as_purpose(purpose), vary
        if key not in self._programs:
            graph, target = self.graph_for(purpose), AUTO if self.target == INTERPRETER else self.target
            sides = graph if self.trials is None else side_by_side(graph, vary)
            self._programs[key] = compile(sides, target=target, checkpoint=self.checkpoint)
        return self._programs[key]

    def shares_for(self, purpose: Purpose | str) -> Shares:
        """What computes a part of an update: some rows of a batch, or one of several batches."""
        purpose = _as_purpose(purpose)
        if purpose not in self._shares:
            self._shares[purpose] = Shares(self, purpose)
        return self._shares[purpose]

    def runs_on(self, purpose: Purpose | str) -> str:
        """What computes the graph of one purpose: "native", "numpy" or "interpreter"."""
        if self.target == INTERPRETER:
            return INTERPRETER
        made = [program for (of, _), program in self._programs.items() if of == _as_purpose(purpose)]
        return (made or [self.program_for(purpose)])[0].target

    def prepare(self, purpose: Purpose | str) -> None:
        """Compile now what would be at a first call. With trials it depends on what that call is fed."""
        if self.target != INTERPRETER and self.trials is None:
            self.program_for(purpose).prepare(self.dtype)

    def computed_by(self) -> str:
        """A line about what computes an update, and why it is not C, if it could have been."""
        self.prepare("train")
        target = self.runs_on("train")
        why = "" if target == INTERPRETER else self.program_for("train").why
        return f"computed by {target}" + (f": {why}" if why else "")

    def time(self) -> str:
        """The name of the time dimension. Raises BlocksError if there is none or more than one."""
        times = {d for shape in self.graph.inputs.values() for d in shape if isinstance(d, str) and d != "batch"}
        if len(times) != 1:
            raise BlocksError(f"chunks need one time dimension; this model has {', '.join(sorted(times)) or 'none'}")
        return times.pop()

    def execute(self, purpose: Purpose | str, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """Run one of the model's graphs on feeds with time first, or trials. With `step`, the number of an update,
        random numbers are drawn from the model's seed and that; without, they are their expectation. Each trial may
        have a number of its own.

        Raises NonFiniteError, naming the first node with NaN or infinity, if the loss or a gradient is not
        finite. Of several trials none is raised; see `not_finite`.
        """
        results = self.results(purpose, feeds, step)
        predicts = _as_purpose(purpose).name == "predict"  # under the user's names, and it may be anything
        if self.trials is None and not predicts and self.not_finite(results):
            raise NonFiniteError(self.why_not_finite(purpose, feeds, results, step))
        return results

    def results(self, purpose: Purpose | str, feeds: Mapping[str, Any], step: Number | None = None) -> Arrays:
        """As `execute`, but whatever comes out."""
        return self._runs(purpose)(self, feeds, step)

    def gradient_for(self, purpose: Purpose | str) -> Vector:
        """A vector that the gradients of a purpose are written into from here on, by `results` too: zeros, where there
        is none."""
        return self._runs(purpose).into(self._weights.like())

    def _runs(self, purpose: Purpose | str) -> Running:
        purpose = _as_purpose(purpose)
        if purpose not in self._running:
            self._running[purpose] = Running(self, purpose)
        return self._running[purpose]

    def not_finite(self, results: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether NaN or infinity is in a loss or a gradient that says something, ``()``; or in which trials."""
        lead = () if self.trials is None else (self.trials,)
        watched = [v for k, v in results.items() if k == LOSS or k.startswith(("grad/", "value/"))]
        if all(np.isfinite(v).all() for v in watched):
            return np.zeros(lead, bool)
        counts = [np.not_equal(v, 0) for k, v in results.items() if k.startswith("count/")]
        bad, counted = (
            np.any([np.reshape(v, (*lead, -1)).any(axis=-1) for v in found], axis=0)
            for found in ([~np.isfinite(v) for v in watched], counts or [np.ones(lead, bool)])
        )
        return np.asarray(bad & counted)  # where a mask leaves nothing, it says nothing

    def why_not_finite(
        self,
        purpose: Purpose | str,
        feeds: Mapping[str, Any],
        results: Arrays,
        step: Number | None = None,
        trial: int | None = None,
    ) -> str:
        """What is not finite in a run, and which node is the first to be so."""
        graph, seed = self.graph_for(purpose), self.seed
        fed: dict[str, Any] = {**self.weights, **feeds}
        if trial is not None:
            results = {k: v[trial] for k, v in results.items()}
            fed = of_one(fed, {**graph.params, **graph.inputs, **graph.draws}, trial)
            seed, step = seed + trial, step[trial] if isinstance(step, tuple) else step
        known = graph.fed("input", "parameter", "draw")
        draw = None if step is None else (seed, step)
        where = first_not_finite(graph, {k: v for k, v in fed.items() if k in known}, draw)
        at = "" if step is None else f" at update {step}"
        kind = "gradient" if LOSS in results and np.isfinite(results[LOSS]) else "loss"
        return f"the {kind} is not finite{at}: {where}"

    # -- use --------------------------------------------------------------------------------------

    fit = _fit
    evaluate = _evaluate
    predict = _predict

    def inputs_of(self, purpose: Purpose | str) -> Inputs:
        """What the graph of a purpose takes."""
        return Inputs(self.graph_for(purpose), self.dtype, tuple(self.graph.fed("input", "draw")), self.trials)

    def run_once(self, graph: Graph, feeds: Mapping[str, Any]) -> Arrays:
        """Some outputs in double precision; for what is run once a call."""
        known = graph.fed("input", "parameter", "draw")
        fed = {k: np.asarray(v) for k, v in {**self.weights, **feeds}.items() if k in known}
        wide = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in fed.items()}
        if self.trials is None:
            return run(graph, wide)
        vary = differing(graph, wide)
        sides = side_by_side(graph, vary)
        return leading(run(sides, inside(graph, wide, vary, self.trials)), sides)

    # -- files ------------------------------------------------------------------------------------

    @checked
    def save(self, path: str | os.PathLike[str], training: bool = True) -> None:
        """Write the model to one ``.safetensors`` file: weights, graph, `info`; and, with `training`, its history and
        where its training stands (the optimizer's slots are as large as the weights), so that `fit` goes on after
        `load`. The file is replaced only when its successor is whole."""
        own: dict[str, Any] = {"seed": self.seed, "dtype": str(self.dtype), "info": json_value(self.info, "info")}
        own |= {} if self.trials is None else {"trials": self.trials}
        arrays: Arrays = {}
        if training and self.training is not None:
            arrays = self.training.arrays(self._weights)
            own["training"] = {**self.training.meta(), "steps": self.history.steps, "epochs": self.history.epochs}
        write_model(path, self.graph, {**self.weights, **arrays}, own)

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str], target: str = AUTO, checkpoint: int | str | None = None) -> Model:
        """The model in a file that `save` or `fit(autosave=)` wrote, with its history; `fit` goes on where its training
        stands. Runs no code from the file. `target` and `checkpoint` say how to run it, as in `Model`; they are not in
        the file.

        Raises ModelFileError naming the file and what is wrong with it.
        """
        check_checkpoint(checkpoint)
        wanted(target, MODELS)
        graph, arrays, meta = read_model(path)
        model = cls.__new__(cls)
        try:
            trials = meta.get("trials")
            model._setup(graph, meta.get("seed", 0), meta.get("dtype", "float32"), target, checkpoint, trials)
        except BlocksError as error:
            raise ModelFileError(f"{os.fspath(path)}: {error}") from None
        info = meta.get("info", {})
        model.info = info if isinstance(info, dict) else {}
        model.weights.take({name: arrays[name] for name in graph.params})
        model.training, model.history = read_training(os.fspath(path), arrays, meta, model.weights)
        return model

    def averaged(self) -> Model:
        """A copy with the moving average for its weights, after ``fit(average=0.999)``, that is at the beginning of its
        own training. Raises BlocksError where there is none."""
        if self.training is None or not self.training.average.size:
            raise BlocksError("there is no average of these weights: fit(average=0.999) keeps one")
        again = copy.copy(self)
        again._weights, again.training, again.history = (
            self._weights.like(self.training.average.copy()),
            None,
            History(),
        )
        again._running, again._shares, again.info = {}, {}, dict(self.info)
        return again

    @checked
    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Replace some weights, by name. Raises FeedError for an unknown name or a wrong shape; then none
        is replaced."""
        self.weights.take({name: np.array(value, dtype=self.dtype) for name, value in weights.items()})

    def summary(self) -> str:
        """A table of the bricks: what each gives, and its weights, their shapes and how many numbers they have."""
        return table(self.rows())

    def rows(self) -> list[Row]:
        """The rows of `summary`."""
        shapes = (self.graph if self.trials is None else side_by_side(self.graph)).params
        return rows(self.graph, shapes, self.weights)

    def __repr__(self) -> str:
        count = sum(w.size for w in self.weights.values())
        fed = [n for n, node in self.graph.fed("input").items() if node.attrs["default"] is None]
        gives = [LOSS] * (LOSS in self.graph.outputs)
        gives += [f"{n} {show_shape(self.graph.outputs[n].shape)}" for n in self.outputs]
        trials = "" if self.trials is None else f"{self.trials} trials, "
        return f"<Model: {', '.join(fed)} → {', '.join(gives)}; {trials}{count:,} weights>"


def _sizes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Name → shape of all weights; of a graph that has trials itself, those of one."""
    return {name: tuple(d if isinstance(d, int) else 1 for d in shape) for name, shape in graph.params.items()}


def _check_renamed(unknown: Mapping[str, Any]) -> None:
    """Raises BlocksError for options that a model does not have, or has under another name now."""
    for name, value in unknown.items():
        if name == "compiled":
            raise BlocksError(f"Model(compiled={value!r}) is target={AUTO if value else INTERPRETER!r} now")
        options = ("loss", "outputs", "seed", "dtype", "target", "checkpoint", "trials")
        raise BlocksError(f"Model has no option {name!r}{nearest(name, options)}; it has {', '.join(options)}")


def _as_purpose(purpose: Purpose | str) -> Purpose:
    return Purpose(purpose) if isinstance(purpose, str) else purpose
