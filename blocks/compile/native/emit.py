"""The plan as C: one function that reads as the NumPy of the same plan does.

    int program(void *const *at, const int64_t *n, int part, int parts, crew *all)

`at` has the arrays, `n` the sizes of dimensions, each in the order in which the text first needs them; several threads
call it, each with its part of all parts (see `team`). It gives 0, or another number where an operation refuses a value.
Names of a graph come into the text through `Names` and `comment` alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from math import prod

from ...graph import Graph, Node, Op, Shape, subgraphs
from ...ops.elementwise import broadcast_dims
from ...ops.linear import adds_up
from ...ops.loop import in_block
from ..comments import Line, above
from ..names import comment
from ..numpy.source import title
from ..passes.sweep import users_of
from ..plan.geometry import Geometry
from ..plan.places import Compute, Copy, ForEach, Instruction, Place, Plan, View, array_of
from ..plan.plan import make_plan
from ..plan.sizes import ONE, ZERO, Size
from ..plan.stages import label_of_stage
from .access import Access
from .expressions import Unsupported, expression
from .groups import Group, Groups, Part
from .nests import Assign, Nest, NestWriter
from .pointers import Pointers, Scratch, most_of
from .products import multiplied
from .reductions import PartSum, part_sum
from .run import Function
from .statement import Statement, size_of
from .statements import STATEMENTS
from .sums import RowSum, row_sum
from .team import ALONE, ANY, MARK, OWN, Team
from .text import Body, address, of_part

SHARED = 2**14  # numbers, of the shape of weights, from which threads share the work
PANEL = 64  # the most columns that a packed matrix is filled up to


def in_place(op: Op) -> bool:
    """Whether an operation may write over an operand: every one that goes number by number."""
    return op.kind == "elementwise"


class Writer:
    """The text of a function, instruction by instruction."""

    def __init__(self, graph: Graph):
        leaves = graph.fed("parameter", "input", "draw")
        self.places = Pointers({name: node.dtype for name, node in leaves.items()})
        self.team = Team(graph)
        self.users: dict[Node, list[Node]] = {}
        self.kept: set[Node] = set()
        graphs = [graph]
        while graphs:
            body = graphs.pop()
            self.users |= users_of(body)
            self.kept |= set(body.outputs.values())
            graphs += [inner for node in body.order() for inner in subgraphs(node).values()]

    def function(self, plan: Plan, name: str) -> str:
        """The whole function."""
        self.instructions(plan.instructions)
        places, (body,) = self.places, self.places.bodies
        if self.team.dim is not None:
            split = places.dim(self.team.dim)
            body.heads.append(f"const num low = share({split}, part, parts), high = share({split}, part + 1, parts);")
        meetings = {f"{MARK} {number}" for number in self.team.meetings()}
        lines = [line.replace(line.strip(), "meet(all);") if line.strip() in meetings else line for line in body.lines]
        lines = [line for line in lines if not line.strip().startswith(MARK)]
        sizes = [f"    const num {name} = n[{i}];" for i, name in enumerate(places.dims.values())]
        return "\n".join(
            [
                f"int {name}(void *const *at, const int64_t *n, int part, int parts, crew *all) {{",
                "    (void)n, (void)part, (void)parts, (void)all;",
                *sizes,
                *(f"    {line}" for line in (*places.declared, *body.heads)),
                "    int failed = 0;",
                *lines,
                "    return failed;",
                "}",
                "",
            ]
        )

    # -- instructions

    def instructions(self, todo: Iterable[Instruction]) -> None:
        """Write a list of instructions: what goes together, loops, and all else by itself."""
        groups = Groups(self.team.own)
        for step in todo:
            if isinstance(step, ForEach):
                self.close(groups.before(set(_touched([step]))))
                self.for_each(step)
            else:
                for part in self.parts(step):
                    groups.add(self.part(part))
        self.close(groups.groups)

    def close(self, groups: Iterable[Group]) -> None:
        """Write what was found to go together."""
        for group in groups:
            if isinstance(group.what, Nest):
                self.nest(group.what)
            elif isinstance(group.what, Compute):
                self.statement(group.what)
            else:
                for sums in group.what.passes():
                    if len(sums) > 1 and any(s.left for s in sums):
                        self.sums(sums)
                    else:
                        for one in sums:
                            self.statement(one.step)

    def part(self, step: Assign | RowSum | PartSum | Compute) -> Part:
        """What is done, with what it reads and writes."""
        if not isinstance(step, Compute):
            return Part(step, step.operands, step.out)
        node = step.node
        reads = [self.places.access(p, o.dtype) for p, o in zip(step.operands, node.operands, strict=True)]
        return Part(step, reads, self.places.access(step.out, node.dtype))

    def parts(self, step: Compute | Copy) -> list[Assign | RowSum | PartSum | Compute]:
        """An instruction as assignments, or as a sum, where that is what it is."""
        if isinstance(step, Copy):
            return [self.copy(step)]
        node = step.node
        if node.op.name == "outer" and not adds_up(node):
            return [self.outer(step)]
        if node.op.name in STATEMENTS:
            return [row_sum(self, step) or part_sum(self, step) or step]
        out = self.places.access(step.out, node.dtype)
        a = [self.places.access(p, o.dtype) for p, o in zip(step.operands, node.operands, strict=True)]
        stage = label_of_stage(step)
        if node.op.kind == "elementwise" or node.op.name == "mask":
            expression(node, ["x"] * len(a))  # raises where there is none
            return [Assign(node, out, a, lambda texts: expression(node, texts), stage)]
        if node.op.kind == "view":
            return [self.moved(node, a[0], out, stage)]
        if node.op.name == "size":
            size = ONE
            for d in node.attrs["dims"]:
                size = size * d
            return [Assign(node, out, [], lambda texts: f"R({self.places.write(size)})", stage)]
        if node.op.name == "pad":
            start, stop, axis = (node.attrs[key] for key in ("start", "stop", "axis"))
            part = out.seen(out.geometry.part(axis, start, stop))
            return [self.zeros(out), Assign(None, part, a, lambda texts: texts[0], stage)]
        raise Unsupported(f"operation {node.op.name!r} cannot be written in C")

    def copy(self, step: Copy) -> Assign:
        """A copy, as an assignment."""
        source: Place = step.source
        dtype = self.places.dtype(array_of(step.target))
        while isinstance(source, View) and source.node.op.name == "broadcast":  # copying repeats anyway
            source = source.base
        out = self.places.access(step.target, dtype)
        return Assign(None, out, [self.places.access(source, dtype)], lambda texts: texts[0])

    def zeros(self, out: Access) -> Assign:
        """An assignment of zeros."""
        return Assign(None, out, [], lambda texts: "0")

    def moved(self, node: Node, x: Access, out: Access, stage: str) -> Assign:
        """Numbers in another shape, one by one."""
        geometry = out.geometry.reshaped(x.shape)
        if geometry is None:
            raise Unsupported(f"a reshape from {x.shape} to {out.shape} whose result does not stand in a row")
        return Assign(node, out.seen(geometry), [x], lambda texts: texts[0], stage)

    def outer(self, step: Compute) -> Assign:
        """The products of all numbers of one vector with all of another, which are nowhere added up."""
        node = step.node
        x, g = (self.places.access(p, o.dtype) for p, o in zip(step.operands, node.operands, strict=True))
        lead, each = broadcast_dims([x.shape[:-1], g.shape[:-1]]), node.attrs.get("each", ())
        left, right = (v.repeated((*lead, v.shape[-1])).geometry for v in (x, g))
        (*a, down), (*b, along) = ([v.strides[i] for i in (*each, -1)] for v in (left, right))
        *rows, n, m = node.shape
        operands = [
            x.seen(Geometry((*rows, n, 1), (*a, down, ZERO), left.offset)),
            g.seen(Geometry((*rows, 1, m), (*b, ZERO, along), right.offset)),
        ]
        out = self.places.access(step.out, node.dtype)
        return Assign(node, out, operands, lambda texts: " * ".join(texts), label_of_stage(step))

    def fill(self, out: Access, value: str) -> None:
        """Write one number everywhere."""
        self.nest(Nest(Assign(None, out, [], lambda texts: value)))

    def nest(self, nest: Nest) -> None:
        """Write a nest, with a comment over the operations of each stage."""
        places, team = self.places, self.team
        split = team.dim if not nest.across and all(team.own(step.out) for step in nest.steps) else None
        shared = not (nest.across or split) and len(places.bodies) == 1 and self.is_shared(nest.shape, len(nest.steps))
        how = ANY if nest.across or shared else OWN if split else ALONE
        reads, writes = [a for step in nest.steps for a in step.operands], [step.out for step in nest.steps]
        places.body.say(team.note(how, reads, writes, size_of(nest.shape) * len(nest.steps)))
        writer = NestWriter(nest, places.names.fresh, places.write, self.is_stored, split, shared)
        with places.body.braces("if (part == 0)") if how == ALONE else nullcontext():
            writer.write(places.body, self.comments)

    def is_shared(self, shape: Shape, times: int = 1) -> bool:
        """Whether threads share what goes number by number, so many `times`, over a shape of weights: where it is
        worth a meeting."""
        numbers = prod(d if isinstance(d, int) else 0 for d in shape)
        return numbers > 1 and numbers * times >= SHARED

    def is_stored(self, nest: Nest, step: Assign) -> bool:
        """Whether a value is needed outside of the nest that it is made in."""
        node = step.node
        if node is None or node in self.kept or node.op.kind == "view":
            return True
        made = {s.node for s in nest.steps}
        return any(user not in made for user in self.users[node])

    def comments(self, nest: Nest, texts: dict[int, list[str]], results: dict[int, str]) -> dict[int, list[str]]:
        """What each stage of a nest computes, by its first operation."""
        out: dict[int, list[str]] = {}
        stages: list[list[int]] = []
        for i, step in enumerate(nest.steps):
            if step.node is None:
                continue
            if not stages or nest.steps[stages[-1][-1]].stage != step.stage or stages[-1][-1] != i - 1:
                stages.append([])
            stages[-1].append(i)
        for stage in stages:
            lines = []
            for i in stage:
                node = nest.steps[i].node
                assert node is not None
                lines.append(Line(node, texts[i], results[i], len(self.users[node]) != 1))
            out[stage[0]] = above(nest.steps[stage[0]].stage, lines)
        return out

    def sums(self, sums: list[RowSum]) -> None:
        """Write sums over the same rows, in one pass."""
        for one in sums:
            self.say_formula(one.step, one.operands, one.out)
        multiplied(self, sums)

    def say_formula(self, step: Compute, a: list[Access], out: Access) -> None:
        """Above an operation, what it computes."""
        line = Line(step.node, [x.pointer for x in a], out.pointer, True)
        for text in above(label_of_stage(step), [line]):
            self.places.body.say(f"/* {text} */")

    def statement(self, step: Compute) -> None:
        """Write an operation that is no single expression."""
        node, places = step.node, self.places
        out = places.access(step.out, node.dtype)
        a = [self.in_memory(places.access(p, o.dtype)) for p, o in zip(step.operands, node.operands, strict=True)]
        self.say_formula(step, a, out)
        statement = Statement(self, node, a, out)
        STATEMENTS[node.op.name](statement)
        assert statement.split is None or statement.is_split, node  # else every thread would write every row

    def in_memory(self, x: Access) -> Access:
        """A number that is written out, as one behind a pointer."""
        if not x.literal:
            return x
        place = Scratch("number", ONE, x.dtype)
        pointer = self.places.root(place)
        held = replace(x, pointer=pointer, array=place, literal=False)
        self.places.body.say(self.team.note(ALONE, [], [held]))
        self.places.body.say(f"if (part == 0) *{pointer} = {x.pointer};")
        return held

    def packed(self, w: Access) -> Access:
        """A matrix packed for products: before the outermost loop in which it is the same."""
        bodies = self.places.bodies
        level = len(bodies) - 1
        while level > w.level and not self.written_in(bodies[level].loop, w.array):
            level -= 1
        rows, columns = w.shape
        key = (w.key, w.shape)
        outermost = bodies[level + 1] if level + 1 < len(bodies) else None
        if outermost is not None and key in outermost.packed:
            return outermost.packed[key]
        size = (Size.of(columns) + PANEL) * rows
        place = Scratch(f"{w.pointer}_packed", size)
        packed = Access(self.places.root(place), place.geometry, "float", place)
        write, (down, along) = self.places.write, w.geometry.strides
        shared = level == 0 and self.is_shared(w.shape)
        part = of_part("panels", write(columns)) if shared else ("0", write(columns))
        numbers = ", ".join([*(write(size) for size in (down, along, rows)), *part])
        line = f"{'' if shared else 'if (part == 0) '}pack({address(w, write)}, {numbers}, {packed.pointer});"
        how = ANY if shared else ALONE
        if outermost is None:
            self.places.body.say(self.team.note(how, [w], [packed]))
            self.places.body.say(line)
        else:
            outermost.packed[key] = packed
            outermost.before += [self.team.note(how, [w], [packed], out=len(bodies) - 1 - level), line]
        return packed

    def written_in(self, loop: ForEach | None, array: Place) -> bool:
        """Whether a loop writes into an array."""
        return loop is not None and any(array is out for out in _written(loop.body))

    # -- loops

    def for_each(self, loop: ForEach) -> None:
        """A loop over the rows of some places, or over blocks of them."""
        a, places = loop.node.attrs, self.places
        outer = places.body
        body = Body(outer.depth + 1, loop, places.names.fresh("t" if a.get("every") is None else "block"))
        length = a["time"]
        if a.get("every") is not None:
            places.cut(a["time"], a["every"])
            time, block = places.dim(a["time"]), in_block(a["time"])
            most, length = places.dim(most_of(block)), f"{a['time']}_blocks"
            name = places.blocks.setdefault(block, places.names.fresh(block))
            body.heads.append(f"const num {name} = least({most}, {time} - {body.step} * {most});")
        count = places.dim(length)
        places.bodies.append(body)
        before = self.team.enter(length)
        self.instructions(loop.body)
        self.team.leave()
        places.bodies.pop()
        outer.say("")
        outer.say(f"/* {comment(title(loop))} */")
        for line in body.before:
            outer.say(line)
        outer.say(before)
        forwards = f"num {body.step} = 0; {body.step} < {count}; {body.step}++"
        backwards = f"num {body.step} = {count} - 1; {body.step} >= 0; {body.step}--"
        outer.say(f"for ({backwards if a['reverse'] else forwards}) {{")
        outer.lines += ["    " * (outer.depth + 1) + line for line in body.heads]
        outer.lines += body.lines
        outer.say("}")
        outer.say("")


def emit_native(graph: Graph, name: str = "program") -> Function:
    """A graph as a function of C. Raises Unsupported, with the reason, for what cannot be written."""
    writer, plan = Writer(graph), make_plan(graph, in_place)
    return Function(writer.function(plan, name), plan, writer.places, writer.team, graph, name)


def _written(instructions: Iterable[Instruction]) -> list[Place]:
    """The arrays that some instructions write into."""
    found: list[Place] = []
    for step in instructions:
        if isinstance(step, ForEach):
            found += _written(step.body)
        else:
            found.append(array_of(step.target if isinstance(step, Copy) else step.out))
    return found


def _touched(instructions: Iterable[Instruction]) -> list[Place]:
    """The arrays that they write into or read."""
    found = _written(instructions)
    for step in instructions:
        if isinstance(step, ForEach):
            found += _touched(step.body)
        else:
            found += map(array_of, [step.source] if isinstance(step, Copy) else step.operands)
    return found
