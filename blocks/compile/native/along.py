"""What goes along an axis: softmax, running sums, the place of the largest number, cross-entropy."""

from __future__ import annotations

from .axes import axes_of
from .statement import Statement
from .team import ALONE, OWN


def softmax(s: Statement) -> None:
    """Softmax or its logarithm, along one axis."""
    (x,) = s.a
    axis = s.node.attrs["axis"]
    others = [i for i in range(len(x.shape)) if i != axis]
    g, y = x.geometry, s.out.geometry
    s.shared_out(ALONE if x.shape[axis] == s.writer.team.dim else OWN)
    strides = [[v.strides[i] for i in others] for v in (g, y)]
    axes = axes_of(tuple(x.shape[i] for i in others), strides, s.split)
    with s.by_one(), s.over(axes) as i:
        a, b = (s.at(v, i, [one.strides[k] for one in axes]) for k, v in enumerate((x, s.out)))
        along, to, n = s.size(g.strides[axis]), s.size(y.strides[axis]), s.size(x.shape[axis])
        s.say(f"{s.node.op.name}({a}, {along}, {b}, {to}, {n});")


def along(s: Statement) -> None:
    """Running sums along one axis, or where the largest number is."""
    (x,) = s.a
    axis, running = s.node.attrs["axis"], s.node.op.name == "cumsum"
    others = [i for i in range(len(x.shape)) if i != axis]
    one = running or s.node.attrs["keepdims"]  # the axis is there in the result
    g, to = x.geometry, [s.out.geometry.strides[i if one or i < axis else i - 1] for i in others]
    s.shared_out(ALONE if x.shape[axis] == s.writer.team.dim else OWN)
    axes = axes_of(tuple(x.shape[i] for i in others), [[g.strides[i] for i in others], to], s.split)
    n, step = s.size(x.shape[axis]), g.strides[axis]
    with s.by_one(), s.body.braces(""), s.over(axes) as i:
        strides, targets = ([each.strides[k] for each in axes] for k in (0, 1))
        if running:
            s.say(f"{'int64_t' if s.node.dtype == 'int' else 'double'} total = 0;")
            with s.body.loops([("0", n)], around=len(i)) as (index,):
                place = f"({n} - 1 - {index})" if s.node.attrs["reverse"] else index
                s.say(f"total += {s.one(x, [*i, place], [*strides, step])};")
                y = s.one(s.out, [*i, place], [*targets, s.out.geometry.strides[axis]])
                s.say(f"{y} = {'total' if s.node.dtype == 'int' else 'R(total)'};")
        else:
            s.say("num top = 0;")
            with s.body.loops([("1", n)], around=len(i)) as (index,):  # NaN is larger than all, as in NumPy
                k, best = (s.one(x, [*i, at], [*strides, step]) for at in (index, "top"))
                s.say(f"if ({k} > {best} || ({k} != {k} && {best} == {best})) top = {index};")
            s.say(f"{s.one(s.out, i, targets)} = top;")


def cross_entropy(s: Statement) -> None:
    """Cross-entropy of each row, against the number of a class or against shares."""
    x, target = s.a
    n, step = s.size(x.shape[-1]), s.size(x.geometry.strides[-1])
    by_class = s.node.operands[1].dtype == "int"
    lead = x.shape[:-1]
    aim = target.geometry.strides if by_class else target.geometry.strides[:-1]
    s.shared_out(OWN)
    axes = axes_of(lead, [x.geometry.strides[:-1], aim, s.out.geometry.strides], s.split)
    with s.by_one(), s.body.braces(""), s.over(axes) as i:
        a = s.at(x, i, [axis.strides[0] for axis in axes])
        to = s.one(s.out, i, [axis.strides[2] for axis in axes])
        strides = [axis.strides[1] for axis in axes]
        if by_class:
            s.say(f"const int64_t class = {s.one(target, i, strides)};")
            s.say(f"const int known = class >= 0 && class < {n};")
            s.say("failed |= !known;")
            s.say(f"{to} = cross_entropy_of_class({a}, {step}, {n}, known ? class : 0);")
        else:
            shares = f"{s.at(target, i, strides)}, {s.size(target.geometry.strides[-1])}"
            s.say(f"{to} = cross_entropy_of_shares({a}, {step}, {n}, {shares});")
