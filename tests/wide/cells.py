"""Random cells: states of any shape, inputs of any type, contexts, cells and scans inside."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import blocks as bk
from blocks.graph import Node, Shape

from .operations import LIMIT, by_whole_numbers, features, move
from .wires import FED, Pool, World

STATE = 4.0  # the bound of a state


@dataclass
class Made:
    """A cell, and what its inputs are."""

    cell: bk.Cell
    classes: dict[str, int]  # integer inputs → how many ids there are
    contexts: set[str]  # inputs that are the same at every step


def zero_states_inside() -> bool:
    """Whether a scan inside a cell may leave its initial states unwired."""
    h = bk.state("h", 3)
    _, last = bk.scan(bk.cells.srn(2, 3, name="inner"), bk.input("k", shape=("steps", "batch", 2)), final=True)
    try:
        cell = bk.Cell(states={h: bk.tanh(h + last["inner/h"])}, outputs=h)
        bk.scan(cell, {"k": bk.input("m", shape=("time", "steps", "batch", 2))})
    except bk.WiringError:
        return False
    return True


UNWIRED = zero_states_inside()


def gallery(world: World, inputs: int, units: int) -> Made:
    """A known cell, under a name."""
    name = world.dice.pick(["srn", "lstm", "gru", "gru_reset_after", "book_srn", "lstm_layernorm"])
    return Made(getattr(bk.cells, name)(inputs, units, name=world.fresh("layer")), {}, set())


def cell(world: World, inputs: int, depth: int = 0) -> Made:
    """A random cell; its first input is ``(batch, inputs)``."""
    dice, pool = world.dice, Pool(world, inside=True)
    x = bk.input(world.fresh("x"), inputs)
    pool.bounds[x] = FED
    classes: dict[str, int] = {}
    contexts: set[str] = set()
    for _ in range(dice.integer(0, 2) if depth == 0 else 0):
        another_input(pool, classes, contexts)
    states = [new_state(pool) for _ in range(dice.pick([1, 2, 1, 3, 1, 0]))]
    for s in states:
        if s.dtype == "float":
            pool.bounds[s] = STATE
        else:
            pool.whole.append(s)
    if dice.chance(70):
        first = bk.TANH(dice.integer(1, 5), name=world.fresh("first"))
        own = [s for s in states if s.dtype == "float" and s.shape[:-1] == ("batch",)]
        pool.add(first(x, *own[:1]), 1.0)
    for _ in range(dice.integer(1, 10 if depth == 0 else 4)):
        kind = dice.integer(0, 11)
        if kind == 11 and depth == 0:
            move(pool, cell_inside)
        elif kind == 10 and depth == 0:
            move(pool, scan_inside)
        else:
            move(pool)
    if depth == 0 and any("memory" in str(name) for name in contexts) and dice.chance(90):
        move(pool, scan_inside)
    nexts = {s: next_value(pool, s, states) for s in states}
    outputs = some_outputs(pool, nexts)
    name = world.fresh("cell") if dice.chance(40) else None
    made = bk.Cell(states=nexts, outputs=outputs, name=name)
    mixed = [s for s in made.states if made.graph.outputs[f"next/{s}"].dtype == "float"]
    if mixed and dice.chance(20):
        made = bk.zoneout(made, {s: dice.pick([0.3, 0.8, 0.0]) for s in mixed})
    if dice.chance(25):
        made = wrapped(world, made)
    return Made(made, classes, contexts)


def wrapped(world: World, cell: bk.Cell) -> bk.Cell:
    """A cell in layers, with known cells or itself on top, with or without a residual; or with one around it."""
    dice, y = world.dice, cell.graph.outputs["y"]
    if y.shape[:-1] != ("batch",) or not features(y):
        return cell
    n = int(y.shape[-1])
    kind = dice.pick(["on top", "residual on top", "again", "residual"])
    with contextlib.suppress(bk.WiringError):  # more inputs than one, other features
        if kind == "residual":
            return bk.residual(cell)
        if kind == "again":
            return bk.layers(cell, cell, name=world.fresh("both"))
    top = gallery(world, n, n if kind == "residual on top" else dice.integer(1, 4)).cell
    more = [gallery(world, int(top.graph.outputs["y"].shape[-1]), 2).cell] if dice.chance(30) else []
    top = bk.residual(top) if kind == "residual on top" else top
    return bk.layers(cell, top, *more, name=world.fresh("stack") if dice.chance(50) else None)


def another_input(pool: Pool, classes: dict[str, int], contexts: set[str]) -> None:
    """A second input: other features, ids, a condition, a matrix, a context without time, a memory with steps."""
    world, dice = pool.world, pool.dice
    kind = dice.pick(["features", "ids", "flag", "matrix", "memory", "number", "static", "memory", "memory"])
    n = dice.integer(1, 5)
    name = world.fresh(kind)
    shapes: dict[str, Shape] = {
        "features": ("batch", n), "ids": ("batch",), "flag": ("batch",), "matrix": ("batch", n, dice.integer(1, 4)),
        "number": ("batch",), "static": (n,), "memory": ("steps", "batch", n),
    }  # fmt: skip
    dtype = {"ids": "int", "flag": "bool"}.get(kind, "float")
    node = bk.input(name, shape=shapes[kind], dtype=dtype)
    if kind in ("static", "memory") or dice.chance(25):
        contexts.add(name)
    if dtype == "float":
        pool.bounds[node] = FED
        return
    pool.whole.append(node)
    if dtype == "int":
        classes[name] = pool.classes[node] = dice.integer(2, 5)
    if dice.chance(70):
        move(pool, by_whole_numbers)


def new_state(pool: Pool) -> Node:
    dice, n = pool.dice, pool.dice.integer(1, 5)
    name = pool.world.fresh("s")
    kind = dice.pick(["vector", "vector", "matrix", "vector", "number", "int", "bool"])
    if kind == "matrix":
        return bk.state(name, n, dice.integer(1, 4))
    if kind == "number":
        return bk.state(name)
    if kind in ("int", "bool"):
        return bk.state(name, dtype=kind, init=dice.chance(30) if kind == "bool" else dice.pick([0, 0, 1]))
    begin = dice.integer(0, 5)
    if begin == 0:
        return bk.state(name, n, init=bk.parameter(pool.world.fresh("begin"), n))
    return bk.state(name, n, init=[i / 4 - 0.5 for i in range(n)] if begin == 1 else 0.0)


def next_value(pool: Pool, s: Node, states: list[Node]) -> Node:
    """Of a state: updated, added to, decayed, replaced, swapped with another, handed through, normalised."""
    dice = pool.dice
    others = [o for o in states if o.shape == s.shape and o.dtype == s.dtype]
    if s.dtype != "float":
        there = [n for n in pool.whole if n.dtype == s.dtype and n.shape == s.shape and n is not s]
        flags = [n for n in pool.whole if n.dtype == "bool" and n.shape == s.shape]
        if there and flags and dice.chance(50):
            return bk.where(dice.pick(flags), dice.pick(there), s)
        if s.dtype == "int" and dice.chance(60):  # it counts
            more = bk.minimum(s + dice.pick([1, *flags, *there]), LIMIT)
            return bk.where(dice.pick(flags), more, 0) if flags and dice.chance(30) else more
        return dice.pick([*there, *others])
    how = dice.pick(["tanh", "sum", "decay", "swap", "blend", "same", "normal", "in place", "wire", "sum", "swap"])
    if how == "swap" or (how == "same" and dice.chance(30)):
        return dice.pick(others)
    if len(s.shape) == 3 and dice.chance(70):  # a matrix memory
        row, column = pool.fitted(("batch", 1, s.shape[2])), pool.fitted(("batch", s.shape[1]))
        new = bk.tanh(row) * bk.tanh(bk.reshape(column, shape=(*column.shape, 1)))
        return new + s * 0.5 if how != "sum" else s + new * 0.4
    w = pool.fitted(s.shape)
    while w is s or (pool.inside and w.name is not None and w.name.startswith("fed")):
        w = bk.tanh(s * 0.8)
    if how == "sum":
        return s + bk.tanh(w) * 0.5
    if how == "in place":
        return dice.pick([s * bk.sigm(w), bk.tanh(w) - s * 0.3, s / (1.0 + s * s) + bk.tanh(w), bk.tanh(w) + s])
    if how == "decay":
        return bk.sigm(pool.fitted(s.shape)) * s + bk.tanh(w) * 0.5
    if how == "blend":
        z = bk.sigm(w)
        return z * s + (1.0 - z) * bk.tanh(pool.fitted(s.shape))
    if how == "normal" and features(s):
        y = s * 0.5 + w
        y = y - bk.mean(y, axis=-1, keepdims=True)
        return y / bk.sqrt(bk.mean(y * y, axis=-1, keepdims=True) + 0.2)
    return w if how == "wire" and pool.bound(w) <= STATE else bk.tanh(w)


def some_outputs(pool: Pool, nexts: dict[Node, Node]) -> dict[str, Node]:
    """One to three: a next value itself, the youngest wires, a state before the step, what is whole."""
    dice = pool.dice
    choices = [pool.any(lambda n: "batch" in n.shape)]
    choices += [n for n in nexts.values() if n.dtype == "float" and dice.chance(50)]
    choices += [pool.any() for _ in range(dice.integer(0, 2))]
    if pool.whole and dice.chance(20):
        choices.append(dice.pick(pool.whole))
    found = list(dict.fromkeys(c for c in choices if c is not None))[:4]
    return dict(zip(("y", "out", "third", "fourth"), found, strict=False))


def wired(pool: Pool, made: Made, first: Node) -> dict[str, Node]:
    """A wire for each input of a cell inside: `first` for the first that takes its features."""
    wires: dict[str, Node] = {}
    for name, port in ((n, made.cell.graph.fed("input")[n]) for n in made.cell.inputs):
        fits = port.shape == ("batch", first.shape[-1]) and first not in wires.values()
        wires[name] = first if fits else pool.fitted(port.shape)
    return wires


def cell_inside(pool: Pool) -> None:
    """A finished cell as a brick."""
    world = pool.world
    x = pool.any(lambda n: n.shape[:-1] == ("batch",) and features(n))
    if x is None:
        return
    n = int(x.shape[-1])
    made = gallery(world, n, world.dice.integer(1, 4)) if world.dice.chance(40) else cell(world, n, depth=1)
    out = made.cell(**wired(pool, made, x))
    for node in out.values() if isinstance(out, dict) else [out]:
        pool.add(node, STATE)


def scan_inside(pool: Pool) -> None:
    """A loop inside the step: a cell over a memory with steps of its own."""
    world, dice = pool.world, pool.dice
    memory = pool.any(lambda n: n.shape[:2] == ("steps", "batch") and len(n.shape) == 3 and features(n))
    if memory is None:
        return
    n = int(memory.shape[-1])
    made = gallery(world, n, dice.integer(1, 4)) if dice.chance(40) else cell(world, n, depth=1)
    shapes = made.cell.graph.inputs
    if not any(shapes[name] == ("batch", n) for name in made.cell.inputs):
        return
    initial = {}
    for name in made.cell.states:
        shape, dtype = (like := made.cell.wires[name]).shape, like.dtype
        if dtype == "float" and (not UNWIRED or dice.chance(50)):
            there = pool.any(lambda w, shape=shape: w.shape == shape)
            initial[name] = bk.zeros(shape) if there is None or dice.chance(30) else there
        elif not UNWIRED:
            return
    out, last = bk.scan(made.cell, wired(pool, made, memory), initial, reverse=dice.chance(40), final=True)
    for node in [*(out.values() if isinstance(out, dict) else [out]), *last.values()]:
        pool.add(node, STATE)
