"""Places as expressions: every buffer, view and row of a plan gets its variable, where it lives longest.

What depends on the sizes alone lasts: it is made once, in `allocate`. What depends on a call's own arrays is made
in `run`. In loops, a view of a row becomes a list of the views of all rows, which lasts too if the rows do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...graph import Graph, Node, Shape
from ...ops.loop import Every, blocks_of, in_block
from ..numpy.comments import Stages
from ..numpy.names import Names
from ..plan.places import Buffer, Constant, Feed, Last, Literal, Part, Place, Row, Rows, View
from ..plan.plan import VIEWS, label_of, only_part

NUMBERS = {0.0: "zero", 0.5: "half", 1.0: "one", 2.0: "two"}


@dataclass
class Blocks:
    """A loop over blocks of steps, being written."""

    dim: str  # the dimension of the steps in a block
    most: str  # how many there are, as a variable of allocate
    steps: str  # how many steps the block at hand has, as a variable of the loop
    lengths: str  # those of all blocks
    pairs: list[tuple[str, str, bool]]  # the variables of the loop
    own: set[str] = field(default_factory=set)  # those that are buffers


class Expressions:
    """How places are written, and the lines that make them."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.names = Names()
        self.allocated: list[str] = []  # lines of allocate
        self.lines: list[str] = []  # lines of run
        self.depth = 2
        self.expression: dict[Any, str] = {}  # a place → how run writes it
        self.persistent: set[str] = set()  # variables of allocate
        self.constants: list[np.ndarray] = []
        self.row_variable: dict[Rows, str] = {}
        self.row_source: dict[str, tuple[str, bool]] = {}  # a variable of a loop → the list that it runs over
        self.pairs: list[tuple[str, str, bool]] = []  # variables of the loop at hand, with their lists
        self.before_loop: list[str] = []
        self.loop_depth = 0
        self.blocks: list[Blocks] = []  # the loops over blocks around the line at hand
        self.stages = Stages()
        self.dims: dict[str, str] = {}
        self.sizes: dict[Any, tuple[str, str, str]] = {}  # loops over blocks → see block_sizes
        self.counts: dict[str, tuple[str, Every]] = {}  # the dimension of the blocks of a loop → its time, and k
        for node in graph.order():
            if node.op.name == "loop" and node.attrs.get("every") not in (None, "cache"):
                self.counts[blocks_of(node.attrs["time"])] = node.attrs["time"], node.attrs["every"]

    def say(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def dim(self, d: Any, running: bool = False) -> str:
        """A size; `running`, that of the block at hand, not the most that a block has."""
        if isinstance(d, int):
            return str(d)
        for blocks in self.blocks:
            if d == blocks.dim:
                return blocks.steps if running else blocks.most
        if d in self.counts:
            time, every = self.counts[d]
            return self.block_sizes(("blocks", time, every), time, every, [])[1]
        if d not in self.dims:
            self.dims[d] = self.names.fresh(d)
        return self.dims[d]

    def shape(self, shape: Shape, extra: int = 0, running: bool = False) -> str:
        parts = [self.dim(d, running) for d in shape]
        if extra:
            parts[0] += f" + {extra}"
        return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"

    def write(self, place: Place) -> str:
        """How a place is written in run."""
        if isinstance(place, Literal):
            return self.number(place.value)
        if isinstance(place, Feed):
            return self.expression[place.name]
        if isinstance(place, Row):
            return self.row_variable[place.rows]
        if place in self.expression:
            return self.expression[place]
        made, lasting = self.make(place)
        self.expression[place] = made
        if lasting:
            self.persistent.add(made)
        return made

    def number(self, value: float) -> str:
        """A number, as an array made once: a Python float costs NumPy a conversion at every call."""
        key = ("number", repr(value))
        if key not in self.expression:
            name = self.names.fresh(NUMBERS.get(value, "number"))
            self.expression[key] = self.define(name, f"np.array({value!r}, dtype)", True)
            self.persistent.add(name)
            self.stages.numbers[name] = f"{value:g}"
        return self.expression[key]

    def make(self, place: Place) -> tuple[str, bool]:
        """A new variable for a place, and whether it lasts."""
        if isinstance(place, Constant):
            self.constants.append(place.node.attrs["value"])
            name = self.names.fresh("constant")
            at = f"constants[{len(self.constants) - 1}]"
            value = f"{at}.astype(dtype)" if place.node.dtype == "float" else at
            return self.define(name, value, True), True
        if isinstance(place, Buffer):
            kind = {"float": "dtype", "int": "np.int64", "bool": "np.bool_"}[place.dtype]
            for blocks in self.blocks:
                if place.shape[:1] == (blocks.dim,):
                    return self.block_buffer(place, kind, blocks), False
            value = f"np.empty({self.shape(place.shape, place.extra)}, {kind})"
            return self.define(self.names.fresh(place.label), value, not place.fresh), not place.fresh
        if isinstance(place, View):
            made = self.view_of(place.base, self.view_label(place), lambda base: self.view(place.node, base))
            if place.node.op.name in ("reshape", "moveaxis") and only_part(place.node) is None:
                self.stages.turn(made[0], self.write(place.base))
            return made
        if isinstance(place, Part):
            cut = "[" + ":, " * place.axis + f"{place.start}:{place.stop}]"
            return self.view_of(place.base, place.label, lambda base: base + cut)
        if isinstance(place, Rows):  # as one array
            assert isinstance(place.source, Place)
            base = self.write(place.source)
            cut = (
                ""
                if not (isinstance(place.source, Buffer) and place.source.extra)
                else "[1:]"
                if place.offset
                else "[:-1]"
            )
            lasting = base in self.persistent
            return self.define(self.names.fresh(f"{base}_all"), base + cut, lasting), lasting
        assert isinstance(place, Last)
        rows, lasting = self.rows_list(place.rows)
        end = "0" if place.reverse else "-1"
        return self.define(self.names.fresh(f"{place.rows.label}_end"), f"{rows}[{end}]", lasting), lasting

    def block_buffer(self, place: Buffer, kind: str, blocks: Blocks) -> str:
        """A buffer for one block at a time, as long as each block."""
        name, made = self.names.fresh(place.label), self.names.fresh(f"{place.label}_blocks")
        options = f", extra={place.extra}" if place.extra else ""
        self.define(made, f"rt.scratch({blocks.lengths}, {self.shape(place.shape)}, {kind}{options})", True)
        blocks.pairs.append((name, made, True))
        blocks.own.add(name)
        self.row_source[name] = (made, True)
        return name

    def define(self, name: str, value: str, lasting: bool) -> str:
        if lasting:
            self.allocated.append(f"    {name} = {value}")
        else:
            self.say(f"{name} = {value}")
        return name

    def view_of(self, base: Place, label: str, view: Callable[[str], str]) -> tuple[str, bool]:
        """A view of a place; of the rows of a loop, for all steps at once, beside the rows themselves."""
        made = self.write(base)
        name = self.names.fresh(label)
        if made in self.row_source and made not in {variable for variable, _, _ in self.pairs}:  # of a loop around
            if self.depth == self.loop_depth:  # its rows are being made
                return self.define(name, view(made), False), False
            self.before_loop.append("    " * self.loop_depth + f"{name} = {view(made)}")
            return name, False
        if made in self.row_source:
            rows, lasting = self.row_source[made]
            all_rows = self.names.fresh(f"{label}_rows")
            target = self.allocated if lasting else self.before_loop
            indent = "    " * (1 if lasting else self.loop_depth)
            target.append(f"{indent}{all_rows} = [{view('v')} for v in {rows}]")
            self.row_source[name] = (all_rows, lasting)
            self.pairs.append((name, all_rows, lasting))
            return name, False
        lasting = made in self.persistent
        return self.define(name, view(made), lasting), lasting

    def view_label(self, place: View) -> str:
        node = place.node
        one = node.brick if node.brick and ", " not in node.brick else ""
        one += "_gradient" if one and node.role == "gradient" else ""
        if node.op.name == "slice" or only_part(node) is not None:
            return one or "part"
        kinds = {"transpose": "transposed", "reshape": "reshaped", "moveaxis": "turned", "broadcast": "repeated"}
        return f"{one or label_of(_source(node))}_{kinds[node.op.name]}"

    def view(self, node: Node, base: str) -> str:
        name = node.op.name
        if name == "slice":
            start, stop = node.attrs["start"], node.attrs["stop"]
            return base + "[" + ":, " * node.attrs["axis"] + f"{start}:{'' if stop is None else stop}]"
        if name == "transpose":
            return f"{base}.T" if len(node.shape) == 2 else f"np.swapaxes({base}, -1, -2)"
        if name == "moveaxis":
            source, destination = node.attrs["source"], node.attrs["destination"]
            if abs(source - destination) == 1:
                return f"{base}.swapaxes({min(source, destination)}, {max(source, destination)})"
            return f"np.moveaxis({base}, {source}, {destination})"
        if (axis := only_part(node)) is not None:
            return base + "[" + ":, " * axis + f"{node.operands[0].attrs['start']}]"
        if name == "reshape" and any(node.shape[:1] == (blocks.dim,) for blocks in self.blocks):
            return f"{base}.reshape({self.shape((-1, *node.shape[1:]))})"
        if name == "reshape":
            return f"{base}.reshape({self.shape(node.shape)})"
        return f"np.broadcast_to({base}, {self.shape(node.shape, running=True)})"

    def rows_list(self, rows: Rows) -> tuple[str, bool]:
        """The list of the places of all steps of a state, one more than steps; or of a sequence."""
        key = ("list", rows.source, rows.cut and self.blocks[-1].most)
        if key in self.expression:
            return self.expression[key], self.expression[key] in self.persistent
        if isinstance(rows.source, tuple):
            first, second = (self.write(p) for p in rows.source)
            length = self.dim(rows.time, running=True)
            lasting = first in self.persistent and length not in {blocks.steps for blocks in self.blocks}
            value = f"([{first}, {second}] * ({length} // 2 + 1))[: {length} + 1]"
        else:
            base = self.write(rows.source)
            lasting = base in self.persistent
            value = f"rt.blocks({base}, {self.blocks[-1].most})" if rows.cut else f"list({base})"
            if not rows.cut and isinstance(rows.source, Buffer) and len(rows.source.shape) == 1:  # rows to write into
                value = f"[{base}[t, ...] for t in range(len({base}))]"
        name = self.define(self.names.fresh(f"{rows.label}_{'blocks' if rows.cut else 'rows'}"), value, lasting)
        self.expression[key] = name
        if lasting:
            self.persistent.add(name)
        return name, lasting

    def each(self, rows: Rows) -> tuple[str, bool]:
        """The rows that a loop runs over, and whether they last."""
        name, lasting = self.rows_list(rows)
        more = isinstance(rows.source, tuple) or (isinstance(rows.source, Buffer) and rows.source.extra)
        return name + ("" if not more else "[1:]" if rows.offset else "[:-1]"), lasting

    def block_sizes(self, key: Any, time: str, every: Every, widths: list[str]) -> tuple[str, str, str]:
        """The variables with the most steps in a block, the number of blocks, and the steps of each."""
        if key not in self.sizes:
            widths = list(dict.fromkeys(widths))
            width = f"max({', '.join(widths)})" if len(widths) > 1 else (*widths, "1")[0]
            most = f"rt.steps_in_block({every!r}, {self.dim(time)}, {width if every == 'cache' else 1})"
            most = self.define(self.names.fresh(in_block(time)), most, True)
            count = self.define(self.names.fresh(blocks_of(time)), f"-(-{self.dim(time)} // {most})", True)
            lengths = f"rt.lengths({self.dim(time)}, {most})"
            self.sizes[key] = most, count, self.define(self.names.fresh("block_lengths"), lengths, True)
        return self.sizes[key]


def _source(node: Node) -> Node:
    """What a view is a view of."""
    while node.operands:
        node = node.operands[0]
        if node.op.name not in VIEWS:
            break
    return node
