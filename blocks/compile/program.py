"""A compiled graph: callable like `run`, with its source to read."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property
from types import FunctionType
from typing import Any

import numpy as np

from ..arguments import checked
from ..errors import BlocksError, FeedError, misfit, nearest, warn
from ..graph import Graph, check_graph, subgraphs
from ..interpret import Feeds, Run
from ..interpret import run as interpret
from ..ops.loop import Every
from ..ops.random import Draw
from .bound import Binding, Bound, check_out
from .choice import AUTO, choose
from .native.build import Unavailable
from .native.expressions import Unsupported
from .passes.checkpoint import checkpointing
from .targets import NATIVE, NUMPY, Arrays, Target

SIZES_KEPT = 8  # for so many sizes of batch and time the buffers are kept, whatever memory they take
SMALL_SIZES_KEPT = 256  # for so many, as long as all together take no more than so many bytes
BYTES_KEPT = 2**27

# NaN and infinity are found by name, not by warning; np.errstate would cost 0.2 µs for each call inside of it
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"blocks\.compile")


def least_sizes(graph: Graph) -> dict[str, int]:
    """Named dimensions of which parts are taken → the least size that has them all. A program takes parts as views,
    which nobody checks when it runs."""
    least: dict[str, int] = {}
    for node in graph.order():
        for body in subgraphs(node).values():
            for dim, size in least_sizes(body).items():
                least[dim] = max(size, least.get(dim, 0))
        if node.op.name == "slice" and isinstance(dim := node.operands[0].shape[node.attrs["axis"]], str):
            least[dim] = max(abs(node.attrs["start"]), abs(node.attrs["stop"] or 0), least.get(dim, 0))
    return least


class Program:
    """What `compile` returns: call it with feeds, as `run`; the outputs are a dict, name → array.

    Attributes: graph, as it was given; lowered, after all passes; source, its NumPy; native, the C that runs instead,
    if it does; passes, the graph after each pass, name → graph, if they were asked for; checkpoint, as it was given;
    target, the name of what runs, and why, the reason where that is not native and could have been.

    New sizes of batch and time cost an allocation, not a compilation. Several threads may call one
    program: each call has buffers to itself. Outputs belong to the caller and are never written again.
    """

    def __init__(
        self,
        graph: Graph,
        passes: bool = False,
        checkpoint: Every = None,
        target: Target = NUMPY,
        why: str = "",
    ):
        self.graph, self.checkpoint, self.why = graph, checkpoint, why
        self._asked, self._passes = target, passes
        self._least = least_sizes(graph)
        self._lock = threading.Lock()
        self._runs: OrderedDict[Any, list[Any]] = OrderedDict()  # sizes → runs, each with its buffers, that are idle
        self._memory: dict[Any, int] = {}  # sizes → bytes of those buffers
        self._free = Binding(graph)
        try:
            self._become(target)
        except Unsupported as error:
            self._fall_back(error)

    def _become(self, target: Target) -> None:
        """Lower the graph for a target, and write it down."""
        lowered, kept = self.graph, {"given": self.graph}
        before = [] if self.checkpoint is None else [("checkpoint", checkpointing(self.checkpoint))]
        for name, change in (*before, *target.passes):
            lowered = kept[name] = change(lowered)
        self.target, self.lowered, self.passes = target.name, lowered, kept if self._passes else {}
        self._emitted = target.emit(lowered)

    def _fall_back(self, error: BlocksError) -> None:
        """Become NumPy, because of an error."""
        self._become(NUMPY)
        self.why = str(error)

    @property
    def native(self) -> str:
        """The C that runs; nothing where it is not C that does."""
        return self._emitted.source if self.target == NATIVE.name else ""

    @property
    def source(self) -> str:
        """The NumPy that runs; where C does, what would run otherwise."""
        return self._in_numpy if self.native else self._emitted.source

    @cached_property
    def _in_numpy(self) -> str:
        return Program(self.graph, False, self.checkpoint, NUMPY).source

    def prepare(self, dtype: Any) -> str:
        """Have done now what the first call with a type of numbers does: the compilation of C. The target that it has
        then. Where it cannot be, it is NumPy from here on; where the compiler is at fault, with a warning."""
        emitted = self._emitted
        try:
            emitted.prepare(np.dtype(dtype))
        except (Unavailable, Unsupported) as error:
            with self._lock:
                if self._emitted is not emitted:  # another thread was here
                    return self.target
                self._fall_back(error)
                self._runs.clear()
                self._memory.clear()
            if isinstance(error, Unavailable):
                warn(f"NumPy runs in place of C: {error}")
        return self.target

    def _allocate(self, context: Run, out: Arrays) -> Callable[[Arrays], Arrays]:
        """What computes with the sizes of a run, and writes some outputs into arrays."""
        check_out(self.graph, out, context)
        self.prepare(context.dtype)
        more = (out,) if out else ()
        return self._emitted.allocate(context.dims, context.dtype, *more)

    @checked
    def __call__(self, feeds: Feeds, draw: Draw = None) -> Arrays:
        """The outputs for some feeds; `draw` as for `run`.

        Raises FeedError naming a feed that does not fit, or the operation that refuses a value (an id out of range, a
        mask that masks everything) and where it was made, as `run` does.
        """
        return self._run(*self._free.bind(feeds, draw), {})

    @checked
    def bound(self, feeds: Feeds, out: Mapping[str, np.ndarray] | None = None) -> Bound:
        """The program with some feeds that stay, weights say: called with the others, ``bound({"x": x})``, it returns
        what the program does with all. Their numbers are read at each call, so what is written into these arrays
        counts. They are looked at once, which makes small calls quicker.

        out: output → the array that it is written into at each call, as those of NumPy: gradients, for an optimizer
        that has them in one vector. Such a function is for one thread at a time.

        Raises BlocksError for an output that there is not, FeedError at a call for one whose shape or type is another,
        and what a call of the program does.
        """
        return Bound(self, feeds, out or {})

    def _run(self, key: Any, arrays: Arrays, context: Run, out: Arrays) -> Arrays:
        """The outputs for feeds that fit, of some sizes; those that `out` has are written there."""
        with self._lock:
            idle = self._runs.get(key)
            run = idle.pop() if idle else None
        if new := run is None:
            for dim, least in self._least.items():
                if context.dims.get(dim, least) < least:
                    raise self._named(arrays, misfit(f"a part of {dim} reaches beyond its end"))
            run = self._allocate(context, out)
        try:
            return run(arrays)
        except BlocksError as error:
            raise self._named(arrays, error) from None
        finally:
            with self._lock:
                self._runs.setdefault(key, []).append(run)
                self._runs.move_to_end(key)
                if new:
                    self._make_room(key, run)

    def _make_room(self, key: Any, run: Any) -> None:
        """Let the buffers go that were not used for longest, where there are too many with those of a new run."""
        self._memory[key] = self._memory.get(key, 0) + memory_of(run)
        while len(self._runs) > SIZES_KEPT and (
            len(self._runs) > SMALL_SIZES_KEPT or sum(self._memory.values()) > BYTES_KEPT
        ):
            oldest, _ = self._runs.popitem(last=False)
            self._memory.pop(oldest, None)

    def _named(self, arrays: Arrays, error: BlocksError) -> BlocksError:
        """An error of a run with the node and the user's line in it, which the interpreter knows."""
        try:
            interpret(self.graph, arrays)
        except BlocksError as named:
            return named
        return FeedError(str(error))

    def __reduce__(self) -> tuple[Any, ...]:
        from ..files import to_json

        why = self.why if self.target == self._asked.name else ""  # another process may not have to fall back
        return _again, (to_json(self.graph), self._passes, self.checkpoint, self._asked, why)

    def __repr__(self) -> str:
        return f"<Program of {len(self.source.splitlines())} lines: {', '.join(self.graph.outputs)}>"


def memory_of(run: Any) -> int:
    """The bytes of the arrays that a run keeps. Of the arrays in a list, the first and the last say what is in it: the
    others are rows of the same."""
    found: dict[int, int] = {}
    pending = [run]
    while pending:
        thing = pending.pop()
        if isinstance(thing, np.ndarray):
            while isinstance(thing.base, np.ndarray):
                thing = thing.base
            found[id(thing)] = thing.nbytes
        elif isinstance(thing, list | tuple):
            pending += [*thing[:2], *thing[-2:]]
        elif isinstance(thing, FunctionType):
            pending += [cell.cell_contents for cell in thing.__closure__ or ()]
        elif hasattr(thing, "held"):
            pending.append(thing.held)
    return sum(found.values())


@checked
def compile(
    graph: Graph,
    *,
    target: str = AUTO,
    checkpoint: int | str | None = None,
    passes: bool = False,
    **renamed: Any,
) -> Program:
    """A `Program` that computes the outputs of a graph, fast.

    `target` is what it becomes: "numpy", or "native", one function in C, which the machine's compiler (cc, gcc, clang,
    or what the environment names in CC) makes at the first call, once: it is kept in the user's cache folder, or the
    one in BLOCKS_CACHE. "auto" is native for a graph with a loop, on a machine with a compiler, and else NumPy;
    BLOCKS_TARGET in the environment stands for "auto". What has no C becomes NumPy, and ``Program.why`` says why; where
    the compiler fails, or what it made does not compute what the interpreter does, that happens with a warning.

    With ``checkpoint=k`` a gradient keeps every k-th state alone, and computes the values between two of them
    again when it comes back to them; the numbers are the same up to rounding. In memory are then T/k states and
    the values of k steps, where all values of T steps were; "sqrt" takes k = √T. It costs a second run of the
    forward loop: half more time, somewhat more for small k, where each block makes its rows anew (measured at
    1000 steps, batch 32, 64 inputs, 128 units: 364 MiB without; 17 MiB with "sqrt", and 1.57 times the time).
    Sequences that are fed, handed out, or go from one layer to the next stay whole. A graph without a gradient
    keeps nothing, and has nothing to gain.

    With `passes` it keeps the graph after each pass, `Program.passes`, to print or to draw.

    Numbers below about 1e-38 in float32 (1e-308 in float64), *denormals*, are computed many times slower by most
    processors, here as elsewhere in NumPy. Gradients that vanish over hundreds of steps become such: a network whose
    loss is at the last step alone may then take several times as long as one with a loss at each.

    Raises BlocksError if the graph is none, k no positive number, or the target unknown.
    """
    if "trace" in renamed:
        raise BlocksError("compile(trace=True) is compile(passes=True) now, and Program.trace is Program.passes")
    if renamed:
        known = ("target", "checkpoint", "passes")
        name = next(iter(renamed))
        raise BlocksError(f"compile has no option {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    check_graph(graph, "compile")
    every = check_checkpoint(checkpoint)
    row, why = choose(graph, target)
    return Program(graph, passes, every, row, why)


def check_checkpoint(checkpoint: Any) -> Every:
    """A number of steps, "sqrt" or None, as it is. Raises BlocksError for anything else."""
    if checkpoint is None or (isinstance(checkpoint, str) and checkpoint == "sqrt"):
        return checkpoint
    if isinstance(checkpoint, int | np.integer) and not isinstance(checkpoint, bool) and checkpoint > 0:
        return int(checkpoint)
    raise BlocksError(f'checkpoint is a number of steps or "sqrt", not {checkpoint!r}')


def _again(text: str, passes: bool, checkpoint: Every, target: Target, why: str) -> Program:
    from ..files import from_json

    return Program(from_json(text), passes, checkpoint, target, why)
