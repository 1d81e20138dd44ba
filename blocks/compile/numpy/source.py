"""The plan as NumPy source: two functions that read as if a careful person had written them.

`allocate(dims, dtype, constants)` makes every buffer, and every view of one, for one set of sizes, and returns
`run(feeds)`, the computation in straight lines, which uses them. Names from graphs are made into identifiers
in `names` and nowhere else; as strings they appear only through `repr`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...graph import Graph, Node, show_shape, subgraphs
from ...ops.loop import in_block
from ..comments import Line, above
from ..names import comment
from ..passes.sweep import users_of
from ..plan.geometry import only_part
from ..plan.places import Compute, Copy, ForEach, Instruction, Place, Plan, View
from ..plan.stages import Stage, stages
from .bodies import Block, Body, Variable
from .expressions import Expressions
from .statements import statement
from .views import view


@dataclass(frozen=True)
class Written:
    """A plan as source, and the arrays that `allocate` takes as its constants."""

    source: str
    constants: list[Any]


def write(plan: Plan, graph: Graph) -> Written:
    """A plan of a graph as the text of both functions."""
    writer = Writer(graph)
    return Written(writer.source(plan), writer.places.constants)


class Writer:
    """Source, instruction by instruction; `places` knows how each place is written, and where."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.places = Expressions(graph)
        self.users: dict[Node, list[Node]] = {}  # of the nodes of all bodies
        graphs = [graph]
        while graphs:
            body = graphs.pop()
            self.users |= users_of(body)
            graphs += [inner for node in body.order() for inner in subgraphs(node).values()]

    def source(self, plan: Plan) -> str:
        """The text of both functions."""
        places, run = self.places, self.places.run
        leaves = self.graph.fed("parameter", "input", "draw")
        for name, node in leaves.items():
            run.know(name, Variable(places.names.fresh(f"{name}_0" if node.role == "initial" else name), run))
        feeds = [f"{run.known[n].name} = feeds[{n!r}]  # {show_shape(node.shape)}" for n, node in leaves.items()]
        self.instructions(plan.instructions)
        results = [f"{name!r}: {self.result(place)}," for name, place in plan.outputs.items()]
        used = sorted(places.functions)
        lines = [
            "def allocate(dims, dtype, constants):",
            '    """All buffers for these sizes, and what computes with them."""',
            *([f"    {', '.join(used)} = {', '.join('np.' + name for name in used)}"] if used else []),
            "    sizes = rt.Run(dims, dtype)",
            *(f"    {variable} = dims[{name!r}]" for name, variable in places.dims.items()),
            *places.allocate.lines,
            "",
            "    def run(feeds):",
            *("        " + line for line in feeds),
            *run.lines,
            "        return {",
            *("            " + line for line in results),
            "        }",
            "",
            "    return run",
        ]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def result(self, place: Place) -> str:
        """An output: a view is written where it is returned."""
        views: list[Node] = []
        while isinstance(place, View) and self.places.body.find(place) is None:
            views.append(place.node)
            place = place.base
        text = self.places.write(place)
        for node in reversed(views):
            text = view(node, text, self.places.shape)
        return text

    def instructions(self, todo: Iterable[Instruction]) -> None:
        """Write a list of instructions."""
        for item in stages(todo):
            if isinstance(item, Stage):
                self.stage(item)
            elif isinstance(item, Copy):
                source = item.source
                while isinstance(source, View) and source.node.op.name == "broadcast":  # copying repeats anyway
                    source = source.base
                target = self.places.write(item.target)
                self.places.body.say(f"np.copyto({target}, {self.places.write(source)})")
            else:
                self.for_each(item)

    # -- stages

    def stage(self, stage: Stage) -> None:
        """Some operations, and above them what they compute."""
        body, lines, start = self.places.body, list[Line](), 0
        for step in stage.steps:
            out, a = self.places.write(step.out), [self.places.write(p) for p in step.operands]
            start = start if lines else len(body.lines)
            lines.append(Line(step.node, a, out, self.is_named(step.node)))
            sizes = self.places.sizes(step.node)
            body.say(statement(step, a, out, self.places.word, self.places.value, sizes))
        comments = above(stage.label, lines, self.places.other_name)
        body.lines[start:start] = ["    " * body.depth + f"# {text}" for text in comments]

    def is_named(self, node: Node) -> bool:
        """Whether more than one operation needs a value, or a part of it."""
        users = self.users.get(node, [])
        while len(users) == 1 and users[0].op.name in ("reshape", "moveaxis") and only_part(users[0]) is None:
            users = self.users.get(users[0], [])
        return len(users) != 1 or users[0].op.kind == "view"

    # -- loops

    def for_each(self, loop: ForEach) -> None:
        """A loop: a tuple of rows for each step, or of blocks, and the instructions of its body."""
        a, places = loop.node.attrs, self.places
        for place in loop.uses:
            places.write(place)
        outer = places.body
        body = places.body = Body(outer, outer.depth + 1)
        if a.get("every") is not None:
            self.enter_blocks(loop, body)
        for rows in loop.rows:
            each = places.each(rows)
            body.run_over(rows, places.names.fresh(rows.label), each)
        limits = self.limits(loop)
        body.depth += bool(limits)
        self.instructions(loop.body)
        places.body = outer
        heading = ["", f"# {title(loop)}", *([limits] if limits else [])]
        outer.end_loop(body, [*heading, "    " * bool(limits) + self.head(loop, body)])

    def enter_blocks(self, loop: ForEach, body: Body) -> None:
        """Give a body the sizes of the blocks that it sees."""
        a, places = loop.node.attrs, self.places
        time, every = a["time"], a["every"]
        key = ("blocks", time, every) if every != "cache" else ("blocks", loop.node)
        sequences = [o for p, o in zip(a["ports"], loop.node.operands, strict=True) if p in a["sequences"]]
        widths = [" * ".join(places.dim(d) for d in o.shape[1:]) or "1" for o in sequences if o.shape[:1] == (time,)]
        most, _, lengths = places.block_sizes(key, time, every, widths)
        steps = body.run_over("steps", places.names.fresh("steps"), lengths)
        body.block = Block(in_block(time), most.name, steps, lengths)

    def limits(self, loop: ForEach) -> str:
        """The line that gives the products of a loop as many threads as they are worth."""
        if loop.node.attrs.get("every") is not None:
            return ""
        steps = [i.node for i in loop.body if isinstance(i, Compute) and i.node.op.name == "matmul"]
        products = [self.multiplications(node) for node in steps]
        if not products:
            return ""
        largest = products[0] if len(set(products)) == 1 else f"max({', '.join(dict.fromkeys(products))})"
        return f"with rt.blas_for({largest}):"

    def multiplications(self, node: Node) -> str:
        """How many multiplications a product takes, as an expression of the sizes."""
        return " * ".join(self.places.dim(d) for d in (*node.operands[0].shape, node.shape[-1]))

    def head(self, loop: ForEach, body: Body) -> str:
        """The line that begins a loop: its variables, and what it runs over. What lasts is put together once; rows of
        one call's own arrays go beside it."""
        a, places = loop.node.attrs, self.places
        variables = [v for v in body.loop if v in body.used]
        if not variables:
            return f"for _ in range({places.dim(a['time'], running=True)}):"
        reverse, unit = a["reverse"], "step" if a.get("every") is None else "block"
        pairs = [(v.name, v.rows.name, v.rows.body is places.allocate) for v in variables if v.rows]
        own = [(variable, rows) for variable, rows, lasting in pairs if not lasting]
        targets = [variable for variable, _ in own]
        sources = [f"reversed({rows})" if reverse else rows for _, rows in own]
        if lasting := [(variable, rows) for variable, rows, lasts in pairs if lasts]:
            name = places.names.fresh(f"{'backward' if reverse else 'forward'}_{unit}s")
            together = f"list(zip({', '.join(rows for _, rows in lasting)}))" + ("[::-1]" if reverse else "")
            places.allocate.define(name, name, together)
            steps = _tuple(variable for variable, _ in lasting)
            if not own:
                return f"for {steps} in {name}:"
            targets.append(f"({steps})")
            sources.append(name)
        return f"for {_tuple(targets)} in zip({', '.join(sources)}):"


def title(loop: ForEach) -> str:
    """What a loop does, in words."""
    a = loop.node.attrs
    states = comment(", ".join(a["states"]))
    if not states:
        return f"in blocks of {a['time']}" if a.get("every") else f"for each of {a['time']}"
    way = f"{'backwards' if a['reverse'] else 'forwards'} in {a['time']}"
    return f"{way}{', block by block' if a.get('every') else ''}: {states}"


def _tuple(names: Iterable[str]) -> str:
    """Names as the target of an assignment from a tuple."""
    names = list(names)
    return ", ".join(names) + ("," if len(names) == 1 else "")
