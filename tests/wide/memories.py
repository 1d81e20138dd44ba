"""Random matrix memories: how a matrix fades, what is written into it at each step, and what is read from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import blocks as bk
from blocks.graph import Node

from .dice import Choices, Dice
from .networks import Case

WIDTHS = (3, 5, 2, 4, 18, 17)


def memory(number: int) -> Case:
    """Memory `number`: the same in every process."""
    return memories(Dice(number))


def memories(dice: Choices) -> Case:
    """A network around a memory made of these choices."""
    made = Memory(dice, *(dice.pick(WIDTHS) for _ in range(2)))
    cell = made.cell()
    reverse, masked = dice.chance(30), dice.chance(30)
    mask = bk.sequence("mask") if masked else None
    out, last = bk.scan(cell, bk.sequence("x", made.inputs), reverse=reverse, mask=mask, final=True)
    values = [*(out.values() if isinstance(out, dict) else [out]), *(last.values() if dice.chance(40) else [])]
    loss: Node = bk.constant(value=0.0)
    for i, value in enumerate(values):
        weights = bk.parameter(f"of{i}", *[d for d in value.shape if isinstance(d, int)])
        loss = loss + bk.mean(bk.tanh(value * weights) * value)
    outputs = {"loss": loss} | {f"out{i}": v for i, v in enumerate(values) if dice.chance(30)}
    graph = bk.Graph(outputs)
    sizes = {"time": dice.integer(1, 5), "batch": dice.integer(1, 4)}
    rng = dice.rng()
    feeds = {
        name: rng.standard_normal([sizes.get(d, d) for d in shape]) * 0.6
        for name, shape in {**graph.inputs, **graph.params}.items()
    }
    if masked:
        feeds["mask"] = (feeds["mask"] > -0.4).astype(float)
        feeds["mask"][dice.integer(0, sizes["time"] - 1)] = 1.0
    return Case(graph, feeds, [n for n in feeds if n != "mask"], list(dice.said), "memories")


@dataclass
class Memory:
    """A memory of n rows and m columns, as a cell is made around it."""

    dice: Choices
    n: int
    m: int
    inputs: int = 3
    count: int = 0
    wires: list[Node] = field(default_factory=list)

    def cell(self) -> bk.Cell:
        """The cell; it may have a state of rows and one of columns beside the matrix."""
        dice = self.dice
        x, memory = bk.input("x", self.inputs), bk.state("M", self.n, self.m)
        self.wires = [x]
        states: dict[Node, Node] = {}
        if dice.chance(30):
            self.wires.append(bk.state("h", self.n))
        written = self.written(memory)
        after = self.faded(memory) + (self.gate() * written if dice.chance(60) else written * 0.5)
        states[memory] = bk.tanh(after) if dice.chance(30) else after
        reads = [self.read(dice.pick([states[memory], states[memory], memory])) for _ in range(dice.integer(1, 3))]
        if len(self.wires) > 1:
            states[self.wires[1]] = bk.tanh(bk.ADD(self.n, name="again")(*self.wires) + self.side(reads[0]))
        if dice.chance(30):  # what normalises the reading
            norm = bk.state("norm", self.m)
            states[norm] = norm * 0.7 + bk.sigm(self.vector(self.m))
            reads.append(reads[0] / (1.0 + bk.sum(bk.abs(states[norm]), axis=-1, keepdims=True)))
        return bk.Cell(states=states, outputs={f"y{i}": read for i, read in enumerate(reads)})

    def vector(self, size: int) -> Node:
        """A value of so many units, made of the input, and of the state if there is one."""
        self.count += 1
        brick = self.dice.pick([bk.ADD, bk.TANH, bk.SIGM])
        return brick(size, name=f"v{self.count}")(*self.wires)

    def column(self, v: Node | None = None) -> Node:
        """One number for each row."""
        return bk.reshape(self.vector(self.n) if v is None else v, shape=("batch", self.n, 1))

    def row(self, k: Node | None = None) -> Node:
        """One number for each column."""
        return bk.reshape(self.vector(self.m) if k is None else k, shape=("batch", 1, self.m))

    def gate(self) -> Node:
        """Of the whole, of rows, of columns, of each number by weights."""
        kind = self.dice.integer(0, 3)
        self.count += 1
        one = lambda: bk.reshape(bk.ADD(1, name=f"g{self.count}")(*self.wires), shape=("batch", 1, 1))
        return bk.sigm([one, self.column, self.row, lambda: bk.parameter(f"g{self.count}", self.n, self.m)][kind]())

    def faded(self, memory: Node) -> Node:
        kind = self.dice.integer(0, 2)
        return memory * 0.8 if kind == 0 else memory * self.gate() if kind == 1 else memory * self.gate() * self.gate()

    def written(self, memory: Node) -> Node:
        """A product of rows and columns, their sum, one with weights, what is not there yet."""
        kind = self.dice.integer(0, 5)
        if kind == 1:
            return bk.tanh(self.column() + self.row())
        if kind == 2:
            return self.column() * bk.parameter("w", self.n, self.m) - self.row()
        if kind == 3:
            return self.gate() * self.column() * self.row()
        if kind == 4:
            key = bk.tanh(self.vector(self.m)) * 0.5
            return self.column(self.vector(self.n) - bk.matvec(memory, key)) * self.row(key)
        if kind == 5 and self.n == self.m:
            same = self.vector(self.n)
            return self.column(same) * self.row(same)
        return self.column() * self.row()

    def read(self, memory: Node) -> Node:
        """Of each row, each column, or the whole; as ``(batch, …)``."""
        kind = self.dice.integer(0, 6)
        if kind == 1:
            return bk.matvec(bk.transpose(memory), bk.tanh(self.vector(self.n)))
        if kind == 2:
            return bk.sum(memory * self.dice.pick([self.row, self.column, self.gate])(), axis=self.dice.pick([-1, -2]))
        if kind == 3:
            return bk.mean(memory * memory, axis=(-2, -1))
        if kind == 4:
            return bk.max(memory, axis=self.dice.pick([-1, -2]))
        if kind == 5:
            centred = memory - bk.mean(memory, axis=-1, keepdims=True)
            return bk.sum(centred * self.row(), axis=-1) + bk.mean(centred * centred, axis=-1)
        if kind == 6:
            return memory * bk.sum(memory, axis=(-2, -1), keepdims=True)
        return bk.matvec(memory, self.vector(self.m))

    def side(self, read: Node) -> Node:
        """A reading as one number for each row."""
        if read.shape == ("batch", self.n):
            return read * 0.3
        axes = tuple(range(1, len(read.shape)))
        return bk.reshape(bk.mean(read, axis=axes) if axes else read, shape=("batch", 1)) * 0.3
