"""Places as expressions: every buffer, view and row of a plan gets its variable, where it lives longest.

What depends on the sizes alone lasts: it is made once, in `allocate`. What depends on a call's own arrays is made
in `run`. In loops, a view of a row becomes a list of the views of all rows, which lasts too if the rows do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...graph import Graph, Node, Shape
from ...ops.loop import Every, blocks_of, in_block
from ..names import Names
from ..plan.geometry import only_part
from ..plan.labels import view_label
from ..plan.places import Buffer, Constant, Feed, Last, Literal, Part, Place, Row, Rows, View
from .bodies import Body, Variable, innermost
from .statements import NUMBERS, reserved
from .views import cut, view

WORDS = {value: word for word, value in NUMBERS.items()}


class Expressions:
    """How places are written, and the lines that make them."""

    def __init__(self, graph: Graph):
        self.names = Names(reserved())
        self.allocate = Body(None, 1)
        self.run = Body(self.allocate, 2)
        self.body = self.run  # the one being written
        self.dims: dict[str, str] = {}
        self.constants: list[Any] = []
        self.functions: set[str] = set()  # of NumPy, that run calls by name
        self.numbers: dict[str, str] = {}  # a variable → the number that it is
        self.turned: dict[str, Variable] = {}  # a variable that is another one in another shape → that one
        self.viewed: dict[Node, Node] = {}  # a view → what it is a view of, through others
        self.counts: dict[str, tuple[str, Every]] = {}  # the dimension of the blocks of a loop → its time, and k
        for node in graph.order():
            if node.op.name == "loop" and node.attrs.get("every") not in (None, "cache"):
                self.counts[blocks_of(node.attrs["time"])] = node.attrs["time"], node.attrs["every"]

    # -- sizes and words

    def dim(self, d: Any, running: bool = False) -> str:
        """A size; `running`, that of the block at hand, not the most that a block has."""
        if isinstance(d, int):
            return str(d)
        for body in self.body.around():
            if body.block and d == body.block.dim:
                return self.use(body.block.steps) if running else body.block.most
        if d in self.counts:
            time, every = self.counts[d]
            return self.block_sizes(("blocks", time, every), time, every, [])[1].name
        if d not in self.dims:
            self.dims[d] = self.names.fresh(d)
        return self.dims[d]

    def shape(self, shape: Shape, extra: int = 0) -> str:
        """A shape, in which a block has the most steps."""
        parts = [self.dim(d) for d in shape]
        if extra:
            parts[0] += f" + {extra}"
        return _tuple(parts)

    def running_shape(self, shape: Shape) -> str:
        """A shape, in which a block has its own steps."""
        return _tuple([self.dim(d, running=True) for d in shape])

    def word(self, name: str) -> str:
        """A number by its name, or a function of NumPy."""
        if name in NUMBERS:
            return self.number(NUMBERS[name]).name
        self.functions.add(name)
        return name

    def number(self, value: float | int | bool) -> Variable:
        """A number, as an array made once: a Python number costs NumPy a conversion at every call."""
        key = ("number", repr(value))
        known = self.allocate.find(key)
        if known is None:
            name, kind = self.names.fresh(WORDS.get(value, "number")), ", dtype" if isinstance(value, float) else ""
            known = self.allocate.define(key, name, f"np.array({_number(value)}{kind})")
            self.numbers[name] = f"{value:g}"
        return known

    def constant(self, value: Any) -> str:
        """A value that allocate is given, and that has no text."""
        self.constants.append(value)
        return f"constants[{len(self.constants) - 1}]"

    def value(self, option: Any) -> str:
        """The value of an option: as text, where that is what it is."""
        plain = (bool, int, str, type(None))
        if isinstance(option, plain) or (isinstance(option, tuple) and all(isinstance(o, plain) for o in option)):
            return repr(option)
        return self.constant(option)

    def sizes(self, node: Node) -> str:
        """What an operation may ask for sizes: those of the run, and where its options name one of blocks, that too."""
        asked = {d for option in node.attrs.values() if isinstance(option, tuple) for d in option}
        inside = [body.block.dim for body in self.body.around() if body.block] + list(self.counts)
        more = [f"{d!r}: {self.dim(d, running=True)}" for d in inside if d in asked]
        return f"rt.Run({{**dims, {', '.join(more)}}}, dtype)" if more and node.op.dynamic else "sizes"

    # -- places

    def write(self, place: Place) -> str:
        """How a place is written in the lines at hand."""
        return self.use(self.variable(place))

    def other_name(self, name: str) -> str:
        """How a formula writes a variable: as the number that it is, or by the name of what it shows turned."""
        return self.numbers.get(name) or (self.turned[name].name if name in self.turned else name)

    def use(self, variable: Variable) -> str:
        """The name of a variable, which will stand in a line."""
        variable.body.used.add(variable)
        return variable.name

    def variable(self, place: Place) -> Variable:
        """The variable of a place; a new one, where it has none yet."""
        chain = [place]  # of views, of which the one below is made first
        while (known := self.body.find(_key(chain[-1]))) is None and isinstance(chain[-1], View | Part):
            chain.append(chain[-1].base)
        if known is not None:
            chain.pop()
        for one in reversed(chain):
            known = self.make(one)
        assert known is not None
        return known

    def make(self, place: Place) -> Variable:
        """A new variable for a place; that of a number is made once."""
        if isinstance(place, Literal):
            return self.number(place.value)
        if isinstance(place, Constant):
            number = place.node.attrs["value"]
            if number.ndim == 0:
                return self.number(number.item())
            at = self.constant(number)
            value = f"{at}.astype(dtype)" if place.node.dtype == "float" else at
            return self.allocate.define(place, self.names.fresh("constant"), value)
        if isinstance(place, Buffer):
            return self.buffer(place)
        if isinstance(place, View):
            return self.view(place)
        if isinstance(place, Part):
            base = self.variable(place.base)
            return self.seen(place, place.label, base, lambda v: v + cut(place.axis, place.start, place.stop))
        if isinstance(place, Rows):  # as one array
            assert isinstance(place.source, Place)
            base = self.variable(place.source)
            more = isinstance(place.source, Buffer) and place.source.extra
            value = self.use(base) + ("" if not more else "[1:]" if place.offset else "[:-1]")
            return base.body.define(place, self.names.fresh(f"{base.name}_all"), value)
        assert isinstance(place, Last)
        rows = self.rows_list(place.rows)
        end = "0" if place.reverse else "-1"
        return rows.body.define(place, self.names.fresh(f"{place.rows.label}_end"), f"{self.use(rows)}[{end}]")

    def buffer(self, place: Buffer) -> Variable:
        """An array of our own: for all calls, for one, or for one block at a time, as long as each block."""
        kind = {"float": "dtype", "int": "np.int64", "bool": "np.bool_"}[place.dtype]
        for body in self.body.around():
            if body.block and body.block.dim in place.shape:
                name, made = self.names.fresh(place.label), self.names.fresh(f"{place.label}_blocks")
                axis = place.shape.index(body.block.dim)
                options = f", extra={place.extra}" if place.extra else f", axis={axis}" if axis else ""
                value = f"rt.scratch({body.block.lengths.name}, {self.shape(place.shape)}, {kind}{options})"
                return body.run_over(place, name, self.allocate.define(made, made, value))
        value = f"np.empty({self.shape(place.shape, place.extra)}, {kind})"
        return (self.run if place.fresh else self.allocate).define(place, self.names.fresh(place.label), value)

    def view(self, place: View) -> Variable:
        """A view of a place."""
        node, base = place.node, self.variable(place.base)
        blocks = {body.block.dim: body for body in self.body.around() if body.block}
        sized = [blocks[d] for d in node.shape if d in blocks] if node.op.name == "broadcast" else []

        def shape(s: Shape) -> str:
            if node.op.name == "broadcast":
                return self.running_shape(s)
            return self.shape(tuple(-1 if d in blocks else d for d in s))  # blocks are not all as long

        made = self.seen(place, view_label(node, self.viewed_by(node)), base, lambda v: view(node, v, shape), sized)
        if node.op.name in ("reshape", "moveaxis") and only_part(node) is None:
            known = self.turned.get(base.name, base)
            self.turned[made.name] = known
            self.use(known)  # in formulas
        return made

    def viewed_by(self, node: Node) -> Node:
        """What a view is a view of, through others."""
        operand = node.operands[0]
        while operand.op.kind == "view" and operand not in self.viewed:
            operand = operand.operands[0]
        self.viewed[node] = self.viewed.get(operand, operand)
        return self.viewed[node]

    def seen(
        self, key: Place, label: str, base: Variable, look: Callable[[str], str], sized: Sequence[Body] = ()
    ) -> Variable:
        """What `look` makes of a variable, in the innermost body of that variable and of those whose blocks it asks for
        the size of; of a row of the loop at hand, for all steps at once, beside the rows themselves."""
        name = self.names.fresh(label)
        body = innermost([base.body, *sized])
        if base.rows is None or body is not self.body or body is not base.body:
            return body.define(key, name, look(self.use(base)))
        around = innermost([base.rows.body, *sized])
        if around is body:  # the size of each of its own blocks
            return body.define(key, name, look(self.use(base)))
        all_rows = self.names.fresh(f"{label}_rows")
        rows = around.define(all_rows, all_rows, f"[{look('v')} for v in {base.rows.name}]")
        return self.body.run_over(key, name, rows)

    # -- rows

    def rows_list(self, rows: Rows) -> Variable:
        """The list of the places of all steps of a state, one more than steps; or of a sequence."""
        block = None if rows.block is None else self.body.block
        key = ("list", rows.source, block and block.most)
        known = self.body.find(key)
        if known is not None:
            return known
        name = f"{rows.label}_{'blocks' if block else 'rows'}"
        if isinstance(rows.source, tuple):
            first, second = (self.variable(p) for p in rows.source)
            length = self.dim(rows.time, running=True)
            value = f"([{self.use(first)}, {self.use(second)}] * ({length} // 2 + 1))[: {length} + 1]"
            blocks = [b for b in self.body.around() if b.block and b.block.dim == rows.time]
            return innermost([first.body, *blocks]).define(key, self.names.fresh(name), value)
        base = self.variable(rows.source)
        array = self.use(base)
        value = f"rt.blocks({array}, {block.most})" if block else f"list({array})"
        if not block and len(rows.source.geometry.shape) == 1:  # one number of an array would be a copy, no row of it
            value = f"[{array}[t, ...] for t in range(len({array}))]"
        return base.body.define(key, self.names.fresh(name), value)

    def each(self, rows: Rows) -> Variable:
        """The rows that a loop runs over."""
        made = self.rows_list(rows)
        self.use(made)
        more = isinstance(rows.source, tuple) or (isinstance(rows.source, Buffer) and rows.source.extra)
        return Variable(made.name + ("" if not more else "[1:]" if rows.offset else "[:-1]"), made.body)

    def block_sizes(self, key: Any, time: str, every: Every, widths: list[str]) -> tuple[Variable, Variable, Variable]:
        """The variables with the most steps in a block, the number of blocks, and the steps of each."""
        keys = [(key, part) for part in ("most", "count", "lengths")]
        if self.allocate.find(keys[0]) is None:
            widths = list(dict.fromkeys(widths))
            width = f"max({', '.join(widths)})" if len(widths) > 1 else (*widths, "1")[0]
            value = f"rt.steps_in_block({every!r}, {self.dim(time)}, {width if every == 'cache' else 1})"
            most = self.allocate.define(keys[0], self.names.fresh(in_block(time)), value).name
            self.allocate.define(keys[1], self.names.fresh(blocks_of(time)), f"-(-{self.dim(time)} // {most})")
            value = f"rt.lengths({self.dim(time)}, {most})"
            self.allocate.define(keys[2], self.names.fresh("block_lengths"), value)
        most_, count, lengths = (self.allocate.known[k] for k in keys)
        return most_, count, lengths


def _key(place: Place) -> Any:
    """Under what the variable of a place is known."""
    return place.name if isinstance(place, Feed) else place.rows if isinstance(place, Row) else place


def _number(value: float) -> str:
    """A number as Python writes it, infinity and NaN too."""
    return repr(value) if math.isfinite(value) else f"float('{value}')"


def _tuple(parts: list[str]) -> str:
    return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"
