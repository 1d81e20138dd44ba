"""Masked steps: held, and their gradient released."""

from __future__ import annotations

from collections.abc import Callable

from ..plan.sizes import Size
from .access import Access
from .axes import axes_of
from .expressions import Unsupported
from .pointers import Scratch
from .statement import Statement
from .team import ALONE
from .text import INDICES, factor


def hold(s: Statement) -> None:
    """Each masked step with an admitted one's value; or, backwards, masked steps added to those that they hold. Trials
    stand between steps and batch, each by itself."""
    x, mask = s.a
    if mask.dtype != "float":
        raise Unsupported("a mask that has not been made numbers")
    last = len(mask.shape) - 1
    steps, batch, trials = (
        s.size(mask.shape[0]),
        s.size(mask.shape[last]),
        [("0", s.size(d)) for d in mask.shape[1:last]],
    )
    count = Size.of(mask.shape[0]) * mask.shape[last]
    step, row = (s.writer.places.root(Scratch(label, count, "int")) for label in ("held_step", "held_row"))
    backwards = s.node.op.name == "release"
    own, other = f"(i / {batch}) * {{}} + (i % {batch}) * {{}}", f"(num){step}[i] * {{}} + (num){row}[i] * {{}}"
    axes = axes_of(x.shape[last + 1 :], [x.geometry.strides[last + 1 :], s.out.geometry.strides[last + 1 :]])

    def strides(v: Access, *numbers: int) -> list[str]:
        return [factor(s.size(v.geometry.strides[k])) for k in numbers]

    def each_step(source: str, target: str, before: str, how: str, trial: Callable[[Access], str]) -> None:
        """For each step of each sequence, all its numbers."""
        with s.body.loops([("0", f"{steps} * {batch}")]):
            at, start, end = (
                f"{way.format(*strides(v, 0, last))}{trial(v)}"
                for way, v in ((own, mask), (source, x), (target, s.out))
            )
            s.say(f"const int admitted = {s.one(mask, more=at)} != 0;")
            s.say(before)
            s.say(f"const num from = {start}, to = {end};")
            with s.over(axes, each=True, around=1) as j:
                a, c = (
                    s.one(v, j, [axis.strides[k] for axis in axes], way)
                    for k, (v, way) in enumerate(((x, "from"), (s.out, "to")))
                )
                s.say(f"{c} {how.format(a)};")

    s.shared_out(ALONE)
    with s.body.braces("if (part == 0)"), s.body.loops(trials, around=len(INDICES) - len(trials)) as r:

        def trial(v: Access) -> str:
            return "".join(f" + {n} * {stride}" for n, stride in zip(r, strides(v, *range(1, last)), strict=True))

        place = s.at(mask, more=trial(mask).removeprefix(" + "))
        s.say(f"const int some = held({place}, {', '.join(strides(mask, 0, last))}, {steps}, {batch}, {step}, {row});")
        if backwards:
            each_step(own, own, "const int stays = admitted || !some;", "= stays ? {} : 0", trial)
            each_step(own, other, "if (admitted || !some) continue;", "+= {}", trial)
        else:
            each_step(other, own, "(void)admitted, (void)some;", "= {}", trial)
