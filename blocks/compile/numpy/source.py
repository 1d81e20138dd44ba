"""The plan as NumPy source: two functions that read as if a careful person had written them.

`allocate(dims, dtype, constants)` makes every buffer, and every view of one, for one set of sizes, and returns
`run(feeds)`, the computation in straight lines, which uses them. Names from graphs are made into identifiers
in `names` and nowhere else; as strings they appear only through `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...graph import Graph, Node, show_shape, subgraphs
from ...ops.loop import in_block
from ..numpy.expressions import Blocks, Expressions
from ..numpy.names import comment
from ..numpy.statements import UFUNCS, statement
from ..passes.sweep import users_of
from ..plan.places import Buffer, Compute, Copy, ForEach, Instruction, Part, Place, Plan, Row, View
from ..plan.plan import VIEWS, only_part


class Writer(Expressions):
    """Source, made from a plan."""

    def __init__(self, plan: Plan, graph: Graph):
        super().__init__(graph)
        self.plan = plan
        self.users: dict[Node, list[Node]] = {}  # of the nodes of all bodies
        graphs = [graph]
        while graphs:
            body = graphs.pop()
            self.users |= users_of(body)
            graphs += [inner for node in body.order() for inner in subgraphs(node).values()]

    def source(self) -> str:
        """The text of both functions."""
        leaves = self.graph.fed("parameter") | self.graph.fed("input")
        for name in leaves:
            self.expression[name] = self.names.fresh(f"{name}_0" if leaves[name].role == "initial" else name)
        self.instructions(self.plan.instructions)
        self.end_stage()
        results = [f"{name!r}: {self.result(place)}," for name, place in self.plan.outputs.items()]
        feeds = [
            f"{self.expression[name]} = feeds[{name!r}]  # {show_shape(node.shape)}" for name, node in leaves.items()
        ]
        used = sorted(name for name in UFUNCS if re.search(rf"(?m)^ *{name}\(", "\n".join(self.lines)))
        lines = [
            "def allocate(dims, dtype, constants):",
            '    """All buffers for these sizes, and what computes with them."""',
            *([f"    {', '.join(used)} = {', '.join('np.' + name for name in used)}"] if used else []),
            "    sizes = rt.Run(dims, dtype)",
            *(f"    {variable} = dims[{name!r}]" for name, variable in self.dims.items()),
            *self.allocated,
            "",
            "    def run(feeds):",
            *("        " + line for line in feeds),
            *self.lines,
            "        return {",
            *("            " + line for line in results),
            "        }",
            "",
            "    return run",
        ]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def result(self, place: Place) -> str:
        """An output: a view is written where it is returned."""
        if isinstance(place, View) and place not in self.expression:
            return self.view(place.node, self.result(place.base))
        return self.write(place)

    def for_each(self, loop: ForEach) -> None:
        """A loop: a tuple of rows for each step, or of blocks, and the instructions of its body."""
        a = loop.node.attrs
        self.end_stage()
        for place in loop.uses:
            self.write(place)
        outside = (self.lines, self.pairs, self.before_loop)
        self.lines, self.pairs, self.before_loop = [], [], []
        outer_depth, self.loop_depth = self.loop_depth, self.depth
        blocks = self.enter_blocks(loop) if a.get("every") is not None else None
        for rows in loop.rows:
            expression, lasting = self.each(rows)
            variable = self.row_variable[rows] = self.names.fresh(rows.label)
            self.row_source[variable] = (expression, lasting)
            self.pairs.append((variable, expression, lasting))
        before, known = self.lines, dict(self.expression)  # what making the rows took
        products = [
            self.multiplications(i.node) for i in loop.body if isinstance(i, Compute) and i.node.op.name == "matmul"
        ]
        limits = "" if blocks or not products else self.limits(products)
        self.lines, self.depth = [], self.depth + 1 + bool(limits)
        self.instructions(loop.body)
        self.end_stage()
        self.loop_depth = outer_depth
        body, self.depth = self.lines, self.depth - 1 - bool(limits)
        used = set(re.findall(r"\w+", "\n".join(body)))
        pairs = [p for p in self.pairs if p[0] in used]
        before += self.before_loop
        self.lines, self.pairs, self.before_loop = outside
        if blocks:
            self.blocks.pop()
        alive = self.persistent.union(*(around.own for around in self.blocks))
        for key, made in list(self.expression.items()):  # what was made inside of the loop is not known outside
            if key not in known and made not in alive:
                del self.expression[key]
        self.lines += before
        self.say("")
        self.say(f"# {self.title(loop)}")
        targets, source = self.head(pairs, a["reverse"], "block" if blocks else "step")
        if not pairs:
            targets, source = "_", f"range({self.dim(a['time'], running=True)})"
        if limits:
            self.say(limits)
        self.depth += bool(limits)
        self.say(f"for {targets} in {source}:")
        self.lines += body or ["    " * (self.depth + 1) + "pass"]
        self.depth -= bool(limits)
        self.say("")

    def title(self, loop: ForEach) -> str:
        """What a loop does, in words."""
        a = loop.node.attrs
        states = comment(", ".join(a["states"]))
        if not states:
            return f"in blocks of {a['time']}" if a.get("every") else f"for each of {a['time']}"
        way = f"{'backwards' if a['reverse'] else 'forwards'} in {a['time']}"
        return f"{way}{', block by block' if a.get('every') else ''}: {states}"

    def limits(self, products: list[str]) -> str:
        """The line that gives the products of a loop as many threads as they are worth."""
        largest = products[0] if len(set(products)) == 1 else f"max({', '.join(dict.fromkeys(products))})"
        return f"with rt.blas_for({largest}):"

    def enter_blocks(self, loop: ForEach) -> Blocks:
        """The sizes of the blocks of a loop, and what is known inside."""
        a = loop.node.attrs
        time, every = a["time"], a["every"]
        key = ("blocks", time, every) if every != "cache" else ("blocks", loop.node)
        sequences = [o for p, o in zip(a["ports"], loop.node.operands, strict=True) if p in a["sequences"]]
        widths = [" * ".join(self.dim(d) for d in o.shape[1:]) or "1" for o in sequences if o.shape[:1] == (time,)]
        most, _, lengths = self.block_sizes(key, time, every, widths)
        blocks = Blocks(in_block(time), most, self.names.fresh("steps"), lengths, self.pairs)
        self.pairs.append((blocks.steps, lengths, True))
        self.blocks.append(blocks)
        return blocks

    def head(self, pairs: list[tuple[str, str, bool]], reverse: bool, unit: str) -> tuple[str, str]:
        """The variables of a loop and what it runs over. What lasts is put together once; rows of one call's own
        arrays go beside it."""
        own = [p for p in pairs if not p[2]]
        targets = [variable for variable, _, _ in own]
        sources = [f"reversed({rows})" if reverse else rows for _, rows, _ in own]
        if lasting := [p for p in pairs if p[2]]:
            together = f"list(zip({', '.join(rows for _, rows, _ in lasting)}))" + ("[::-1]" if reverse else "")
            name = self.names.fresh(f"{'backward' if reverse else 'forward'}_{unit}s")
            sources.append(self.define(name, together, True))
            steps = _tuple(variable for variable, _, _ in lasting)
            if not own:
                return steps, name
            targets.append(f"({steps})")
        return _tuple(targets), f"zip({', '.join(sources)})"

    def multiplications(self, node: Node) -> str:
        """How many multiplications a product takes, as an expression of the sizes."""
        return " * ".join(self.dim(d) for d in (*node.operands[0].shape, node.shape[-1]))

    def instructions(self, todo: list[Instruction]) -> None:
        """Write a list of instructions."""
        for instruction in todo:
            if isinstance(instruction, ForEach):
                self.for_each(instruction)
            elif isinstance(instruction, Copy):
                self.end_stage()
                source = instruction.source
                while isinstance(source, View) and source.node.op.name == "broadcast":  # copying repeats anyway
                    source = source.base
                self.say(f"np.copyto({self.write(instruction.target)}, {self.write(source)})")
            else:
                self.compute(instruction)

    def compute(self, step: Compute) -> None:
        """One operation."""
        out, a = self.write(step.out), [self.write(p) for p in step.operands]
        self.stages.add(step.node, a, out, self.is_named(step.node), self.lines)
        self.say(statement(step.node, a, out, is_whole(step.out), self.number))
        if isinstance(step.out, Row) and not step.passing:  # a state, or a value that is kept
            self.end_stage()

    def is_named(self, node: Node) -> bool:
        """Whether more than one operation needs a value, or a part of it."""
        users = self.users.get(node, [])
        if len(users) == 1 and users[0].op.name in ("reshape", "moveaxis") and only_part(users[0]) is None:
            return self.is_named(users[0])
        return len(users) != 1 or users[0].op.name in VIEWS

    def end_stage(self) -> None:
        self.stages.end(self.lines)


def _tuple(names: Iterable[str]) -> str:
    """Names as the target of an assignment from a tuple."""
    names = list(names)
    return ", ".join(names) + ("," if len(names) == 1 else "")


def is_whole(place: Place) -> bool:
    """Whether a place is a contiguous array."""
    if isinstance(place, Part):
        return place.axis == 0 and is_whole(place.base)
    return isinstance(place, Buffer) or (isinstance(place, Row) and isinstance(place.rows.source, Buffer | tuple))
