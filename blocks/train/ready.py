"""Callbacks that are ready: the best model to a file, a sample of what a model writes, a log for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, nearest
from ..optional import needed
from .callbacks import Callback, Record
from .files import check_writable
from .generate import generate
from .history import History
from .inputs import is_whole
from .model import Model


class SaveBest(Callback):
    """Saves the model after each epoch that is the best so far, over all calls of `fit`.

    Args:
        path: the ``.safetensors`` file; with where training stands, so that `fit` goes on after `Model.load`.
        of: what is compared, a name in the epochs of `History`: "validation", "loss", "validation_accuracy".
        mode: "min", less is better, or "max".

    Raises BlocksError for a path that cannot be written and a mode that is none; before the first update for a model
    with trials, of which the best ones differ; and after the first epoch that has no such name.
    """

    @checked
    def __init__(self, path: str | os.PathLike[str], of: str = "validation", mode: str = "min"):
        if mode not in ("min", "max"):
            raise BlocksError(f"SaveBest: the mode is min or max, not {mode!r}{nearest(str(mode), ('min', 'max'))}")
        check_writable(path, "SaveBest")
        self.path, self.of, self.mode = path, of, mode

    def on_begin(self, model: Model, history: History) -> None:
        """See the class."""
        if model.trials is not None:
            raise BlocksError("SaveBest: the best epochs of trials differ; save them in a callback of your own")

    def on_epoch(self, model: Model, record: Record) -> None:
        """See the class."""
        if self.of not in record:
            raise BlocksError(
                f"SaveBest: the epoch has no {self.of!r}{nearest(self.of, record)}; it has {', '.join(record)}"
            )
        before = [e[self.of] for e in model.history.epochs[:-1] if self.of in e]
        sign = 1.0 if self.mode == "min" else -1.0
        if all(sign * record[self.of] < sign * value for value in before):
            model.save(self.path)


class SampleText(Callback):
    """Shows after every few epochs what a model of class numbers writes.

    Args:
        decode: class numbers ``(steps,)`` → what to show, `Vocabulary.decode` say.
        prime: the beginning, class numbers ``(time,)``.
        steps: how many are written.
        every: epochs between two samples.
        say: what shows a text.
        temperature, top_k, top_p, without, output, seed: those of `generate`.

    What cannot be written is an error before the first update.
    """

    @checked
    def __init__(
        self,
        decode: Callable[[np.ndarray], str],
        prime: Any,
        steps: int = 200,
        every: int = 1,
        say: Callable[[str], Any] = print,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        without: Sequence[int] = (),
        output: str | None = None,
        seed: int = 0,
    ):
        if not is_whole(every) or every < 1:
            raise BlocksError(f"SampleText: every is a number of epochs from 1, not {every!r}")
        self.decode, self.prime, self.steps, self.every, self.say = decode, prime, steps, every, say
        self.settings: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        self.settings |= {"without": without, "output": output, "seed": seed}

    def on_begin(self, model: Model, history: History) -> None:
        """See the class."""
        if model.trials is not None:
            raise BlocksError("SampleText: a model with trials writes as many texts; generate gives them")
        generate(model, self.prime, 1, **self.settings)

    def on_epoch(self, model: Model, record: Record) -> None:
        """See the class."""
        if (record["epoch"] + 1) % self.every == 0:
            ids = generate(model, self.prime, self.steps, **self.settings)[0]
            self.say(f"after epoch {record['epoch'] + 1}: {self.decode(ids)}")


class TensorBoard(Callback):
    """Writes a log that TensorBoard shows: ``tensorboard --logdir runs``; by ``pip install tensorboardX``.

    Args:
        folder: where to; each run has one of its own, ``runs/lstm-64``.
        every: updates between two records of the loss, the norm of the gradient and the learning rate; epochs are all
            there.
        weights: whether to write a histogram of each weight after each epoch.

    Of trials each number is one for each, ``loss/trial_3``. A call of `fit` that goes on adds to the log. Raises
    BlocksError where the writer is not installed.
    """

    @checked
    def __init__(self, folder: str | os.PathLike[str], every: int = 1, weights: bool = False):
        if not is_whole(every) or every < 1:
            raise BlocksError(f"TensorBoard: every is a number of updates from 1, not {every!r}")
        if not isinstance(folder, str | os.PathLike):
            raise BlocksError(f"TensorBoard: folder is the name of one, not {folder!r:.40}")
        needed("tensorboardX", "TensorBoard")
        self.folder, self.every, self.weights = os.fspath(folder), every, weights
        self.writer: Any = None

    def on_begin(self, model: Model, history: History) -> None:
        """See the class."""
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(self.folder)

    def on_update(self, model: Model, record: Record) -> None:
        """See the class."""
        if record["step"] % self.every == 0:
            numbers = {k: v for k, v in record.items() if k not in ("step", "epoch", "outputs")}
            self._write("update", numbers, record["step"])

    def on_epoch(self, model: Model, record: Record) -> None:
        """See the class."""
        steps = len(model.history.steps)
        self._write("epoch", {k: v for k, v in record.items() if k != "epoch"}, steps)
        for name, w in model.weights.items() if self.weights else ():
            self.writer.add_histogram(name, w, steps)
        self.writer.flush()

    def on_end(self, model: Model, history: History) -> None:
        """See the class."""
        self.writer.close()

    def _write(self, kind: str, numbers: dict[str, Any], step: int) -> None:
        for name, value in numbers.items():
            if np.ndim(value) == 0:
                self.writer.add_scalar(f"{kind}/{name}", float(value), step)
                continue
            for r, of_trial in enumerate(np.asarray(value).tolist()):
                if np.isfinite(of_trial):
                    self.writer.add_scalar(f"{kind}/{name}/trial_{r}", of_trial, step)
