"""Random networks that move numbers: reshapes, transposes, slices, repeats, concatenations, inside of cells and out.

And a judge of programs: each is called several times, with other feeds and sizes, in buffers that start as NaN, and
must give what the interpreter gives, in arrays that are the caller's alone.
"""

import itertools
import math

import numpy as np

import blocks as bk
from blocks.ops.elementwise import split_named

from .helpers import poisoned
from .strategies import random_feeds


class Moving:
    """Wires grown at random from given ones; `lead` are the named dimensions in front of each."""

    def __init__(self, rng, names):
        self.rng, self.names = rng, names

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def features(self, wire):
        return split_named(wire.shape)[1]

    def grow(self, wires, count):
        """More wires: the new ones are likelier to be used again."""
        wires = list(wires)
        for _ in range(count):
            x = self.pick(wires[-3:] if self.rng.random() < 0.6 else wires)
            kind = self.pick([self.reshape, self.reshape, self.transpose, self.slice, self.repeat, self.pointwise])
            kind = kind if self.rng.random() < 0.75 else self.pick([self.concat, self.reduce, self.brick, self.product])
            made = kind(x, wires)
            if math.prod(self.features(made)) <= 60:
                wires.append(made)
        return wires

    def reshape(self, x, wires):
        lead, features = split_named(x.shape)
        n = math.prod(features)
        shapes = [(n,), (n, 1), (1, n), features[::-1], (*features, 1)]
        shapes += [(k, n // k) for k in range(2, n) if n % k == 0]
        shapes += [(k, n // k, 1) for k in range(2, n) if n % k == 0]
        return bk.reshape(x, shape=(*lead, *self.pick(shapes)))

    def transpose(self, x, wires):
        features = self.features(x)
        if len(features) < 2:
            return self.reshape(x, wires)
        if self.rng.random() < 0.5:
            return bk.transpose(x)
        first = len(x.shape) - len(features)
        source, destination = (first + int(a) for a in self.rng.integers(len(features), size=2))
        return bk.moveaxis(x, source=source, destination=destination)

    def slice(self, x, wires):
        features = self.features(x)
        if not features:
            return bk.tanh(x)
        axis = int(self.rng.integers(len(features)))
        n = features[axis]
        start = int(self.rng.integers(n))
        stop = int(self.rng.integers(start, n)) + 1
        return bk.slice(x, start=start, stop=stop, axis=len(x.shape) - len(features) + axis)

    def repeat(self, x, wires):
        lead, features = split_named(x.shape)
        if 1 not in features:
            return bk.reshape(x, shape=(*lead, *self.pick([(1, *features), (*features, 1)])))
        return bk.broadcast(x, shape=(*lead, *(int(self.rng.integers(1, 4)) if d == 1 else d for d in features)))

    def pointwise(self, x, wires):
        how = self.pick(["tanh", "sigm", "relu", "add", "multiply", "where", "where"])
        others = [w for w in wires if w.shape == x.shape]
        y = self.pick(others)
        if how in ("tanh", "sigm", "relu"):
            return getattr(bk, how)(x)
        return bk.where(bk.greater(x, y), bk.tanh(x), y) if how == "where" else bk.tanh(getattr(bk, how)(x, y))

    def concat(self, x, wires):
        lead, features = split_named(x.shape)
        if not features:
            return bk.tanh(x)
        axis = len(lead) + int(self.rng.integers(len(features)))
        rest = [w for w in wires if len(w.shape) == len(x.shape)]
        rest = [w for w in rest if w.shape[:axis] + w.shape[axis + 1 :] == x.shape[:axis] + x.shape[axis + 1 :]]
        parts = [self.pick([x, self.pick(rest), bk.tanh(self.pick(rest))]) for _ in range(int(self.rng.integers(2, 4)))]
        return bk.concat(*parts, axis=axis)

    def reduce(self, x, wires):
        lead, features = split_named(x.shape)
        if not features:
            return bk.tanh(x)
        axis = len(lead) + int(self.rng.integers(len(features)))
        if self.rng.random() < 0.3:
            return bk.softmax(x, axis=axis)
        how = self.pick([bk.sum, bk.mean, bk.max])
        return bk.tanh(how(x, axis=axis, keepdims=bool(self.rng.random() < 0.5)))

    def brick(self, x, wires):
        if not self.features(x):
            return bk.tanh(x)
        n = int(self.rng.integers(1, 5))
        return self.pick([bk.ADD, bk.TANH, bk.SIGM])(n, name=next(self.names))(x)

    def product(self, x, wires):
        if len(self.features(x)) < 2:
            return self.brick(x, wires)
        return bk.tanh(bk.matmul(bk.transpose(x), x))

    def into(self, x, n):
        """Some wire as n features."""
        lead, features = split_named(x.shape)
        if math.prod(features) == n:
            return bk.reshape(x, shape=(*lead, n))
        return self.pick([bk.TANH, bk.ADD])(n, name=next(self.names))(bk.reshape(x, shape=(*lead, math.prod(features))))


def network(rng):
    """A random graph: one or two scans over moved sequences, moved outputs, and some of it handed out."""
    names = (f"brick{k}" for k in itertools.count())
    moving = Moving(rng, names)
    wires = moving.grow([bk.sequence("x", int(rng.integers(2, 7)))], int(rng.integers(0, 3)))
    others, finals, masks = [], {}, bk.sequence("mask")
    for layer in range(int(rng.integers(0, 3))):
        source = wires[-1]
        cell, constant = scanned(moving, layer, source)
        fed = {"x": source} | ({"c": bk.input(f"c{layer}", 3)} if constant else {})
        mask = masks if rng.random() < 0.25 else None
        out, last = bk.scan(cell, fed, reverse=bool(rng.random() < 0.4), mask=mask, final=True)
        finals |= {f"final {name}": wire for name, wire in last.items()}
        others += list(last.values())
        wires = [*wires[-1:], *(out.values() if isinstance(out, dict) else [out])]
        wires = moving.grow(wires, int(rng.integers(1, 6)))
    loss = bk.mean(bk.tanh(wires[-1]) * wires[-1])
    if others:
        loss = loss + bk.mean(bk.tanh(moving.pick(moving.grow(others, 3))))
    outputs = {"loss": loss}
    for k in range(int(rng.integers(0, 4))):
        outputs[f"y{k}"] = moving.pick(wires)
    for name, wire in finals.items():
        if rng.random() < 0.4:
            outputs[name] = wire
    return bk.Graph(outputs)


def scanned(moving, layer, source):
    """A random cell that takes the rows of a sequence; and whether it takes something that is the same at each step."""
    rng, n = moving.rng, int(moving.rng.integers(1, 7))
    x = bk.input("x", shape=source.shape[1:])
    states = [
        bk.state(f"{'hkl'[i]}{layer}", n if i == 0 else int(rng.integers(1, 5))) for i in range(int(rng.integers(1, 4)))
    ]
    constant = bool(rng.random() < 0.4)
    wires = [x, *states] + ([bk.tanh(bk.input("c", 3))] if constant else [])
    wires = moving.grow(wires, int(rng.integers(2, 8)))
    nexts = {}
    for state in states:
        how = moving.pick(["moved", "moved", "sum", "same", "swapped"])
        value = moving.into(moving.pick(wires[-4:]), state.shape[-1])
        others = [s for s in states if s.shape == state.shape]
        nexts[state] = {
            "moved": value,
            "sum": state + bk.tanh(value) * 0.5,
            "same": state,
            "swapped": moving.pick(others),
        }[how]
    outputs = {f"o{k}": moving.pick(wires) for k in range(int(rng.integers(1, 3)))}
    if rng.random() < 0.5 or "x" not in bk.Graph({**outputs, **{s.name: n for s, n in nexts.items()}}).inputs:
        nexts[states[0]] = bk.tanh(nexts[states[0]] + moving.into(x, n))
    cell = bk.Cell(states=nexts, outputs=outputs)
    return cell, constant and "c" in cell.inputs


def judge(graph, program, rng, sizes=((3, 2), (1, 1), (4, 3), (3, 2)), tolerance=1e-9):
    """Raises AssertionError where a program and the interpreter differ, or outputs are not the caller's alone."""
    held = []
    for time, batch in sizes:
        feeds = random_feeds(graph, rng, {"time": time, "batch": batch})
        before = {name: value.copy() for name, value in feeds.items()}
        want = bk.run(graph, feeds)
        with poisoned():
            got = program(feeds)
        assert list(got) == list(want)
        for name, value in want.items():
            assert got[name].shape == value.shape and got[name].dtype == value.dtype, (name, got[name].dtype)
            scale = max(1.0, float(np.abs(value).max()))
            np.testing.assert_allclose(got[name], value, rtol=tolerance, atol=tolerance * scale, err_msg=name)
        for (a, first), (b, second) in itertools.combinations([*got.items(), *feeds.items()], 2):
            assert a not in got or not np.shares_memory(first, second), f"{a} and {b} share memory"
        held.append((got, {name: value.copy() for name, value in got.items()}))
        for name, value in feeds.items():
            np.testing.assert_array_equal(value, before[name], err_msg=f"the feed {name} was written")
    for got, copies in held:
        for name, value in got.items():
            np.testing.assert_array_equal(value, copies[name], err_msg=f"{name} was written again")
            value[...] = np.nan  # it is the caller's
