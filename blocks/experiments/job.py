"""One row of an experiment being run: its trials, where it keeps what it has so far, and what it says meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..files import write_whole
from ..train.progress import bar

Snapshot = tuple[dict[str, Any], dict[str, np.ndarray]]
SECONDS = 20.0  # between two snapshots


@dataclass
class Job:
    """What a protocol needs to know of its run.

    Attributes: seed; trials, the numbers of those to run, which with the seed settle all that is random; label, of the
    progress bar; expected, the sequences that the paper needed; snapshot, the file to go on from, or None; key, what
    must be the same for it to fit; show, as for `fit(progress=)`; say, where lines go.
    """

    seed: int
    trials: list[int]
    label: str = ""
    expected: float | None = None
    snapshot: Path | None = None
    key: str = ""
    show: bool | None = None
    say: Callable[[str], None] = lambda line: None
    _started: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has run, in earlier runs too."""
        return time.monotonic() - self._started

    def seed_of(self, trial: int) -> int:
        """What a trial's first weights come from."""
        return 10_000 * self.seed + trial

    def restore(self) -> Snapshot | None:
        """What an interrupted run left, if it was the same one: JSON values and arrays."""
        if self.snapshot is None or not self.snapshot.is_file():
            return None
        try:
            with safe_open(self.snapshot, framework="numpy") as file:
                meta = json.loads((file.metadata() or {}).get("job", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        except (SafetensorError, OSError, ValueError):
            return None
        if meta.get("key") != self._key():
            return None
        self._started -= float(meta.get("seconds", 0.0))
        self.say(f"{self.label}: going on from {self.snapshot}")
        return meta["values"], arrays

    def save(self, make: Callable[[], Snapshot]) -> None:
        """Keep what there is so far, every so often."""
        if self.snapshot is None or time.monotonic() - self._saved < SECONDS:
            return
        values, arrays = make()
        meta = {"job": json.dumps({"key": self._key(), "seconds": self.seconds, "values": values})}
        write_whole(self.snapshot, save({k: np.ascontiguousarray(v) for k, v in arrays.items()}, metadata=meta))
        self._saved = time.monotonic()

    def done(self) -> None:
        """The row is in the results: its snapshot goes."""
        if self.snapshot is not None:
            self.snapshot.unlink(missing_ok=True)

    def _key(self) -> list[Any]:
        return [self.key, self.seed, self.trials]

    @contextmanager
    def progress(self, pieces: int, done: int = 0, piece: int = 1) -> Iterator[Callable[[float | None], None]]:
        """A function to call after each piece, of so many sequences, with its loss. After the first few it says how
        long all will take."""
        started, count = time.monotonic(), 0
        with bar(self.show, max(1, pieces - done), label=self.label) as advance:

            def report(loss: float | None) -> None:
                nonlocal count, started
                advance(loss)
                count += 1
                if count == 1:
                    started = time.monotonic()  # the first one waits for the compiler
                each = (time.monotonic() - started) / 5
                if count == 6 and (most := each * (pieces - done - count)) > 5.0:
                    usual = max(0.0, each * ((self.expected or 0) / piece - done - count))
                    told = f"about {duration(usual)} if as long as in the paper, at most " if usual else "at most "
                    self.say(f"{self.label}: {told}{duration(most)}")

            yield report


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
