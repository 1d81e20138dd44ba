"""Random networks: layers of random cells with anything before, between and after them, losses, and the feeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import blocks as bk
from blocks.graph import Node, Shape
from blocks.ops.random import draw_array

from .cells import STATE, Made, cell, gallery
from .dice import Choices, Dice
from .learners import learnt
from .operations import by_whole_numbers, features, move
from .wires import FED, Pool, World


@dataclass(repr=False)
class Case:
    """A network with one number "loss", feeds that fit, and what its gradient is taken by. Its repr makes it again."""

    graph: bk.Graph
    feeds: dict[str, np.ndarray]
    wrt: list[str]
    choices: list[int]
    maker: str = "network"

    def __repr__(self) -> str:
        return f"{self.maker}(Replayed({self.choices}))"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # for Hypothesis: on one line, to be copied

    def gradient(self) -> bk.Graph:
        return bk.grad(self.graph, wrt=self.wrt)

    def second(self, seed: int = 0) -> bk.Graph | None:
        """The gradient of a number made of all gradients, each weighed at random; None, where all are constant."""
        rng = np.random.default_rng(seed)
        first = self.gradient()
        total: Any = bk.constant(value=0.0)
        for name in self.wrt:
            g = first.outputs[f"grad/{name}"]
            weights = [d if isinstance(d, int) else 1 for d in g.shape]
            total = bk.sum(g * rng.standard_normal(weights)) + total
        graph = bk.Graph({"loss": total})
        fits = all(known(node.shape, graph) for node in graph.order())
        return bk.grad(graph, wrt=[n for n in self.wrt if n in graph.nodes]) if fits else None


def case(number: int, kinks: bool = True) -> Case:
    """Network `number`: the same in every process."""
    return network(Dice(number), kinks)


def network(dice: Choices, kinks: bool = True) -> Case:
    """A network made of these choices."""
    world = World(dice, kinks)
    pool = Pool(world)
    time = ("time", "batch")
    widths = dice.some((3, 5, 2, 4, 1, 6), 1, 2)
    xs = [bk.sequence(world.fresh("seq"), n) for n in widths]
    pool.bounds |= dict.fromkeys(xs, FED)
    if dice.chance(40):
        pool.ids(time)
        if dice.chance(80):
            move(pool, by_whole_numbers)
    if dice.chance(30):
        pool.feed(("batch", dice.integer(1, 5)))
    if dice.chance(20):
        pool.whole.append(bk.sequence(world.fresh("flag"), dtype="bool"))
    for _ in range(dice.integer(0, 3)):
        move(pool)
    layers = dice.pick([1, 2, 1, 3, 0, 1])
    finals: list[Node] = []
    seen: list[Made] = []
    for _ in range(layers):
        finals += layer(pool, seen, finals)
        for _ in range(dice.integer(0, 2)):
            move(pool)
        if dice.chance(25):
            finals += last_step(pool)
    for _ in range(dice.integer(0, 8)):
        move(pool)
    loss = losses(pool, finals)
    outputs: dict[str, Node] = {"loss": loss}
    for k, node in enumerate(dice.some([*pool.bounds][-4:] + pool.whole[-1:], 0, 2)):
        outputs[f"out{k}"] = node
    graph = bk.Graph(outputs)
    if not all(known(node.shape, graph) for node in graph.order()):  # repeated over steps that nothing has
        graph = bk.Graph({**outputs, "loss": loss + bk.mean(xs[0])})
    leaves = graph.fed("input") | graph.fed("parameter") | graph.fed("draw")
    wrt = [n for n, leaf in leaves.items() if leaf.dtype == "float" and n not in world.masks]
    fed = feeds(world, graph)
    alone = bk.Graph({"loss": graph.outputs["loss"]})
    if alone.params and all(known(node.shape, alone) for node in alone.order()) and dice.chance(15):
        graph, fed, new = learnt(alone.outputs["loss"], fed, dice)
        wrt = [n for n in fed if n in wrt or n in new]
    return Case(graph, fed, wrt, list(dice.said))


# --- layers --------------------------------------------------------------------------------------


def layer(pool: Pool, seen: list[Made], finals: list[Node]) -> list[Node]:
    """A cell scanned over a sequence; or two, one in each direction, side by side. Gives the last states."""
    world, dice = pool.world, pool.dice
    time = "time" if not dice.chance(15) else "later"
    x = pool.any(lambda n: n.shape[:-1] == (time, "batch") and features(n))
    if x is None or dice.chance(10):
        x = bk.sequence(world.fresh("seq"), dice.integer(1, 4), time=time)
        pool.bounds[x] = FED
    n = int(x.shape[-1])
    mask = a_mask(world, time) if dice.chance(35) else None
    if dice.chance(20):
        units = dice.integer(1, 4)
        both = [gallery(world, n, units) for _ in range(2)]
        if dice.chance(50):
            first, second = both[0].cell, both[dice.integer(0, 1)].cell
            name = world.fresh("both") if dice.chance(50) else None
            y, last = bk.bidirectional(first, second, x, mask=mask, final=True, name=name)
            pool.add(y, STATE)
            return list(last.values())
        ys = [
            scanned(pool, m, x, mask, finals, reverse=back, time=time)
            for back, m in zip((False, True), both, strict=True)
        ]
        pool.add(bk.concat(*(y[0] for y in ys)), STATE)
        return [s for y in ys for s in y[1]]
    usable = [m for m in seen if m.cell.inputs and m.cell.graph.inputs[m.cell.inputs[0]] == ("batch", n)]
    usable = [m for m in usable if time == "time" or not names_a_draw(m)]
    if usable and dice.chance(15):
        made = dice.pick(usable)  # the same weights again
    else:
        made = gallery(world, n, dice.integer(1, 5)) if dice.chance(20) else cell(world, n)
        if time == "time" or not names_a_draw(made):
            seen.append(made)
    return scanned(pool, made, x, mask, finals, reverse=dice.chance(35), time=time)[1]


def names_a_draw(made: Made) -> bool:
    """What is drawn under a name is one value, so such a cell meets one time alone."""
    return any(draw.attrs["named"] for draw in made.cell.graph.fed("draw").values())


def scanned(
    pool: Pool, made: Made, x: Node, mask: Node | None, finals: list[Node], reverse: bool, time: str
) -> tuple[Node, list[Node]]:
    """The first output and the last states of a cell over a sequence; all of them go into the pool."""
    dice = pool.dice
    fed = made.cell.graph.fed("input")
    wires: dict[str, Node] = {}
    for name in made.cell.inputs:
        port = fed[name]
        if port.shape == ("batch", x.shape[-1]) and port.dtype == "float" and not wires:
            wires[name] = x
            continue
        shape = port.shape if name in made.contexts else (time, *port.shape)
        if port.dtype == "float":
            wires[name] = pool.fitted(shape)
            continue
        there = [w for w in pool.whole if w.shape == shape and w.dtype == port.dtype]
        there = (
            [w for w in there if pool.classes.get(w, 9) <= made.classes.get(name, 9)] if port.dtype == "int" else there
        )
        if there and dice.chance(50):
            wires[name] = dice.pick(there)
        elif port.dtype == "int":
            wires[name] = pool.ids(shape)
            pool.world.ids[str(wires[name].name)] = pool.classes[wires[name]] = made.classes.get(name, 2)
        else:
            wires[name] = bk.input(pool.world.fresh("flag"), shape=shape, dtype="bool")
    if not any(w.shape[:1] == (time,) for w in wires.values()):
        made = gallery(pool.world, int(x.shape[-1]), dice.integer(1, 4))
        wires = {made.cell.inputs[0]: x}
    initial = {}
    for name in made.cell.states:
        shape, dtype = (like := made.cell.wires[name]).shape, like.dtype
        there = [s for s in [*finals, *pool.bounds] if s.shape == shape and s.dtype == dtype]
        if there and dice.chance(30):
            initial[name] = dice.pick(there[-3:])
        elif dtype == "float" and dice.chance(10):
            initial[name] = (
                bk.broadcast(bk.parameter(pool.world.fresh("start"), *shape[1:]), shape=shape)
                if shape[1:]
                else bk.zeros(shape)
            )
    out, last = bk.scan(made.cell, wires, initial or None, reverse=reverse, mask=mask, final=True)
    ys = list(out.values()) if isinstance(out, dict) else [out]
    for y in ys:
        pool.add(y, STATE)
    kept = [s for s in last.values() if dice.chance(40)]
    for s in kept:
        pool.add(s, STATE)
    return ys[0], list(last.values())


def last_step(pool: Pool) -> list[Node]:
    """The last step of a sequence, of each that a mask admits or of all."""
    y = pool.any(lambda n: n.shape[:2] in (("time", "batch"), ("later", "batch")))
    if y is None:
        return []
    mask = a_mask(pool.world, str(y.shape[0])) if pool.dice.chance(70) else None
    made = pool.add(bk.last(y, mask), pool.bound(y))
    return [] if made is None else [made]


def a_mask(world: World, time: str = "time") -> Node:
    """Numbers, integers or booleans: 1 where a sequence has a step."""
    name = world.fresh("mask")
    world.masks.add(name)
    return bk.sequence(name, dtype=world.dice.pick(["float", "bool", "float", "int"]), time=time)


# --- losses --------------------------------------------------------------------------------------


def losses(pool: Pool, finals: list[Node]) -> Node:
    """One number: a loss against targets, of any kind, masked or not; with others added to it."""
    dice = pool.dice
    loss: Node | None = None
    for k in range(dice.integer(0, 3)):
        y = pool.any() if k or not finals or dice.chance(60) else dice.pick(finals)
        term = against_target(pool, y) if y.dtype == "float" and dice.chance(50) else plain(pool, y)
        loss = term if loss is None else loss + term * dice.pick([1.0, 0.3])
    last = list(pool.bounds)[-1]
    return plain(pool, last) if loss is None else loss + 0.5 * plain(pool, last)


def plain(pool: Pool, y: Node) -> Node:
    """The mean of a function of everything in a wire."""
    if y.dtype != "float":
        return bk.mean(y * 0.5)
    how = pool.dice.pick(["squares", "tanh", "weights", "sum"])
    if how == "squares":
        return bk.mean(y * y)
    if how == "weights":
        sizes = [d if isinstance(d, int) else 1 for d in y.shape]
        return bk.mean(y * pool.world.normal(*sizes))
    return bk.mean(bk.tanh(y)) if how == "tanh" else bk.sum(bk.tanh(y)) * 0.2


def against_target(pool: Pool, y: Node) -> Node:
    """A loss between a wire and its target, which is fed or another wire."""
    world, dice = pool.world, pool.dice
    name = world.fresh("target")
    steps = y.shape[:2] in (("time", "batch"), ("later", "batch"))
    named = tuple(d for d in y.shape if isinstance(d, str))
    mask = None
    kind = dice.pick(["squared", "classes", "rows", "binary", "absolute", "huber"])
    kind = kind if world.kinks or kind not in ("absolute", "huber") else "squared"
    if steps and named == y.shape[:2] and len(y.shape) == 3 and dice.chance(50):
        mask = a_mask(world, str(y.shape[0]))
    reduction = dice.pick(["mean", "mean", "sum", "none"])

    def number(loss: Node) -> Node:
        return {"mean": loss, "sum": loss * 0.05}.get(reduction, bk.mean(loss) if reduction == "none" else loss)

    if kind in ("classes", "rows") and features(y):
        classes = int(y.shape[-1])
        options = {"reduction": reduction, "label_smoothing": 0.2 if dice.chance(30) else 0.0}
        if dice.chance(30):
            weights = world.rng.uniform(0.2, 2.0, classes)
            fed = bk.input(world.fresh("share"), shape=(classes,))
            options["class_weights"] = dice.pick([weights, {0: 2.0}, bk.sigm(fed)])
        target = bk.input(name, shape=y.shape)
        if kind == "classes":
            world.ids[name] = classes
            target = bk.input(name, shape=y.shape[:-1], dtype="int")
        else:
            world.positive.add(name)
        return number(bk.losses.cross_entropy(y, target, mask, **options))
    target = bk.input(name, shape=y.shape)
    if kind == "binary":
        world.positive.add(name)
        smoothing = 0.1 if dice.chance(30) else 0.0
        return number(bk.losses.binary_cross_entropy(y, target, mask, label_smoothing=smoothing, reduction=reduction))
    other = pool.any(lambda n: n.shape == y.shape and n is not y)
    target = target if other is None or dice.chance(60) else other
    if kind == "huber":
        return number(bk.losses.huber(y, target, mask, delta=dice.pick([1.0, 0.37]), reduction=reduction))
    how = bk.losses.absolute_error if kind == "absolute" else bk.losses.squared_error
    return number(how(y, target, mask, reduction=reduction))


# --- feeds ---------------------------------------------------------------------------------------


def feeds(world: World, graph: bk.Graph) -> dict[str, np.ndarray]:
    """Values for all inputs, weights and draws; states, initial states and draws are left out half of the time."""
    out: dict[str, Any] = {}
    rng = world.rng
    for name, node in graph.fed("draw").items():
        if rng.random() < 0.5 or not known(node.shape, graph):
            out[name] = draw_array(node, (3, 1), world.dims)
    for name, node in {**graph.fed("input"), **graph.fed("parameter")}.items():
        size = tuple(sizes(world, node.shape))
        if (
            node.op.name == "input"
            and node.attrs["default"] is not None
            and rng.random() < 0.5
            and known(node.shape, graph)
        ):
            continue
        if name in world.masks:
            value = rng.random(size) < 0.7
            value[0] = True
            if node.dtype == "float" and rng.random() < 0.3 and only_weighs(graph, node):
                out[name] = value * (0.2 + rng.random(size))
            else:
                out[name] = value.astype({"float": "float64", "int": "int64", "bool": "bool"}[node.dtype])
        elif node.dtype == "int":
            out[name] = rng.integers(0, world.ids.get(name, 2), size)
        elif node.dtype == "bool":
            out[name] = rng.random(size) < 0.5
        elif name in world.positive:
            p = rng.random(size) + 0.05
            out[name] = p / p.sum(axis=-1, keepdims=True) if size and rng.random() < 0.7 else p / 1.05
        else:
            out[name] = np.clip(rng.standard_normal(size) * 0.8, -FED, FED)
    return out


def sizes(world: World, shape: Shape) -> list[int]:
    return [world.dims[d] if isinstance(d, str) else d for d in shape]


def known(shape: Shape, graph: bk.Graph) -> bool:
    """Whether the sizes of a shape are known from what must be fed."""
    always = [n for n in graph.fed("input").values() if n.attrs["default"] is None]
    return all(any(d in n.shape for n in always) for d in shape if isinstance(d, str))


def only_weighs(graph: bk.Graph, mask: Node) -> bool:
    """Whether a mask goes into losses alone, where numbers between 0 and 1 are weights."""
    masks = [n for n in graph.order() if mask in n.operands]
    return all("loop" not in [u.op.name for u in graph.order() if m in u.operands] for m in masks)
