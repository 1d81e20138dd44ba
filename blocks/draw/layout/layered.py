"""The general drawing, for a graph of any shape: layers from below upwards, laid out by Graphviz.

Bricks are boxes, operations without weights are circles, loops are frames. With ``bricks=True`` the operations
of a brick are folded into one box, and those of its gradient into another, ``∂ brick``; opened, each is drawn.
Sizes are our own, from `text`, and places are read back, so a scene comes out as for a cell.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable
from dataclasses import replace

import graphviz

from ...errors import BlocksError, WiringError, nearest
from ...graph import Graph, Node, show_shape, subgraphs
from ...ops.loop import FINAL, NEXT
from ..diagram.elements import SYMBOLS
from ..layers.emphasis import Wanted
from ..scene import Frame, Point, Scene, Shape, Wire, fit
from ..text import Line, Run, clip, extent, line, value_at


def layered(graph: Graph, wanted: Wanted = None, bricks: bool = True, shapes: bool = False, title: str = "") -> Scene:
    """The scene of any graph.

    Args:
        wanted: names of bricks, inputs, states or outputs to emphasise, or a predicate on nodes.
        bricks: fold the operations of each brick into one box.
        shapes: write the shape on each wire.

    Raises BlocksError for a name that the graph does not have.
    """
    painter = _Painter(wanted, bricks, shapes)
    painter.paint(painter.dot, graph, {})
    unknown = [name for name in painter.wanted if name not in painter.names]
    if unknown:
        hint = nearest(unknown[0], painter.names)
        raise BlocksError(
            f"there is nothing called {unknown[0]!r} to highlight{hint}; there are {', '.join(sorted(painter.names))}"
        )
    return painter.scene(title or clip(f"graph with the outputs {', '.join(graph.outputs)}", 90))


def wrong_wires(error: WiringError) -> Scene:
    """The scene of a wiring error."""
    painter = _Painter(None, True, False)
    ends: dict[str, str] = {}
    if error.operands:
        graph = Graph({f"operand {i}": node for i, node in enumerate(error.operands, 1)})
        ends = painter.paint(painter.dot, graph, {}, leaves=True)
    message = clip(str(error).split(" [")[0], 160)
    lines = (line(clip(error.op or "wiring"), 13), *(line(row, 8) for row in textwrap.wrap(message, 48)))
    w, h = extent(lines)
    key = painter.fresh()
    painter.shapes[key] = Shape(key, "wrong", "box", error.op, 0, 0, w + 16, h + 10, lines, str(error))
    painter.dot.node(key, width=f"{(w + 16) / 72:.4f}", height=f"{(h + 10) / 72:.4f}")
    painter.with_shapes = True
    for number, node in enumerate(error.operands, 1):
        painter.edge(painter.dot, ends[f"operand {number}"], key, node)
    wrong = {pair: replace(wire, kind="wrong") for pair, wire in painter.wires.items() if pair[1] == key}
    painter.wires |= wrong
    return painter.scene("a wiring error", str(error))


class _Painter:
    def __init__(self, wanted: Wanted, bricks: bool, shapes: bool):
        self.test: Callable[[Node], bool] | None = wanted if callable(wanted) else None
        listed = [] if callable(wanted) or wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
        self.wanted: set[str] = set(listed)
        self.all = wanted is None or (not listed and not callable(wanted))
        self.bricks, self.with_shapes = bricks, shapes
        self.names: set[str] = set()
        self.count = 0
        self.shapes: dict[str, Shape] = {}
        self.frames: dict[str, str] = {}
        self.wires: dict[tuple[str, str], Wire] = {}
        self.dot = graphviz.Digraph("blocks")
        self.dot.attr(rankdir="BT", nodesep="0.3", ranksep="0.35", notranslate="true")
        self.dot.attr("node", fixedsize="true", shape="box", label="")
        self.dot.attr("edge", arrowsize="0.6")

    def fresh(self, kind: str = "n") -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def box_of(self, node: Node) -> str | None:
        """The box that a node is folded into: that of its brick, or of its brick's gradient."""
        if not self.bricks or not node.brick or node.op.name in ("loop", "pick"):
            return None
        step = "" if node.step is None else f"({node.step})"
        return f"∂ {node.brick}{step}" if node.role == "gradient" else f"{node.brick}{step}"

    def silent(self, node: Node) -> bool:
        """Whether a folded drawing leaves a node out, or passes its wire on."""
        return self.bricks and (
            node.op.name in ("broadcast", "reshape", "cast", "transpose", "moveaxis", "size", "mask")
            or (node.op.name == "constant" and (node.role == "gradient" or node.shape != ()))
            or (node.role == "parameter" and node.brick is not None)
        )

    def paint(self, dot: graphviz.Digraph, graph: Graph, bound: dict[str, str], leaves: bool = False) -> dict[str, str]:
        """Draw a graph; `bound` has the identifiers outside that its inputs are fed from. With `leaves`, its
        outputs get no shapes of their own. Returns the identifier behind each output, "" where nothing is
        drawn."""
        where: dict[Node, str] = {}  # node → the identifier that its value comes from
        boxes: dict[str, str] = {}
        loops: dict[Node, dict[str, str]] = {}
        folded: set[str] = set()  # outputs that are the next value of a state inside a box
        symbols = {box: n for n in graph.order() if (box := self.box_of(n)) and n.operands}
        for node in graph.order():
            name, box = graph.name_of(node), self.box_of(node)
            if node.op.name == "input":
                folded |= {NEXT + name} if box in symbols else set()
            if node.op.name == "loop":
                loops[node] = self.paint_loop(dot, node, name, where)
            elif node.op.name == "pick":
                where[node] = loops[node.operands[0]][node.attrs["output"]]
            elif box and box in symbols:
                if box not in boxes:
                    boxes[box] = self.brick(dot, box, symbols[box])
                where[node] = boxes[box]
                for o in node.operands:
                    self.edge(dot, where[o], boxes[box], o)
            elif self.silent(node):
                where[node] = where[node.operands[0]] if node.operands else ""
            else:
                where[node] = self.single(dot, node, name)
                for o in node.operands:
                    self.edge(dot, where[o], where[node], o)
            if node.op.name == "input":
                self.edge(dot, bound.get(name, ""), where[node], node)
        ends: dict[str, str] = {}
        for name, node in graph.outputs.items():
            if leaves or (bound and not name.startswith(NEXT)) or name in folded or not where[node]:
                ends[name] = where[node]
                continue
            label = f"{name.removeprefix(NEXT)}(t)" if name.startswith(NEXT) else name
            if name.startswith("grad/") and self.bricks:
                label = name.rsplit(".", 1)[0]  # one for all weights of a brick
            if label not in boxes:
                kind = "next" if name.startswith(NEXT) else "output"
                shown = value_at(clip(name.removeprefix(NEXT)), "t", 13) if kind == "next" else line(clip(label), 11)
                boxes[label] = self.node(dot, (shown,), kind, "text", label, node)
            ends[name] = boxes[label]
            self.names.add(name)
            self.edge(dot, where[node], ends[name], node)
        return ends

    def paint_loop(self, dot: graphviz.Digraph, node: Node, name: str, where: dict[Node, str]) -> dict[str, str]:
        """Draw the body of a loop in a frame."""
        body = subgraphs(node)["body"]
        ports = zip(node.attrs["ports"], node.operands, strict=True)
        bound = {p: "" if self.bricks and o.op.name == "parameter" else where.get(o, "") for p, o in ports}
        arrow = "backwards in time" if node.attrs["reverse"] else "forwards in time"
        arrow += ", block by block" if node.attrs.get("every") is not None else ""
        self.names.add(name)
        key = self.fresh("frame")
        self.frames[key] = f"{name}: {arrow}"
        with dot.subgraph(name=f"cluster_{key}") as frame:
            frame.attr(margin="12", label=" ", fontsize="12")
            ends = self.paint(frame, body, bound or {"": ""})
        return {**ends, **{FINAL + s: ends[NEXT + s] for s in node.attrs["states"]}}

    def brick(self, dot: graphviz.Digraph, box: str, last: Node) -> str:
        gradient = last.role == "gradient"
        symbol = "∂" if gradient else SYMBOLS.get(last.op.name, last.op.name)
        lines = (line(symbol, 13), line(clip(box.removeprefix("∂ ")), 9))
        return self.node(dot, lines, "gradient" if gradient else "brick", "box", box, last)

    def single(self, dot: graphviz.Digraph, node: Node, name: str) -> str:
        gradient = node.role == "gradient"
        if node.op.name == "constant" and node.shape == ():
            text = line(f"{float(node.attrs['value']):g}".replace("-", "−"), 10)
            return self.node(dot, (text,), "constant", "text", name, node)
        if node.op.name == "input":
            kind = node.role if node.role in ("state", "gradient") else "input"
            text = (
                value_at(clip(name), "t−1", 13)
                if kind == "state" and node.step is None and "(" not in name
                else line(clip(name), 12)
            )
            return self.node(dot, (text,), kind, "box" if gradient else "text", name, node)
        if node.op.name == "parameter":
            return self.node(dot, (line(clip(name), 10),), "parameter", "box", name, node)
        symbol = clip(SYMBOLS.get(node.op.name, node.op.name), 16)
        text = Line((Run(symbol),), 16 if len(symbol) == 1 else 11)
        form = "circle" if len(symbol) <= 2 else "pill"
        return self.node(dot, (text,), "gradient" if gradient else "operation", form, name, node)

    def node(self, dot: graphviz.Digraph, lines: tuple[Line, ...], kind: str, form: str, name: str, node: Node) -> str:
        key = self.fresh()
        self.names |= {name, *([node.brick] if node.brick else [])}
        w, h = extent(lines)
        width, height = {"circle": (24.0, 24.0), "text": (w + 8, h + 4), "pill": (w + 16, 22.0)}.get(
            form, (max(w + 16, 46.0), max(h + 8, 24.0))
        )
        lit = self.all or bool({name, node.brick or ""} & self.wanted) or bool(self.test and self.test(node))
        tip = f"{name}: {node.op.formula}, {show_shape(node.shape)}"
        self.shapes[key] = Shape(key, kind, form, name, 0, 0, width, height, lines, tip, (name,), lit=lit)
        dot.node(key, width=f"{width / 72:.4f}", height=f"{height / 72:.4f}")
        return key

    def edge(self, dot: graphviz.Digraph, tail: str, head: str, wire: Node) -> None:
        if not tail or not head or tail == head or (tail, head) in self.wires:
            return
        shape = show_shape(wire.shape)
        label = line(shape, 8) if self.with_shapes else None
        lit = self.all or (self.shapes[tail].lit and self.shapes[head].lit)
        kind = "gradient" if wire.role == "gradient" else "wire"
        key = f"{tail}-{head}"
        self.wires[tail, head] = Wire(
            key, kind, tail, head, tail, (), label=label, shape=shape, tooltip=f"{wire.describe()}", lit=lit
        )
        room = {"label": "x" * round((label.width + 8) / 4.5), "fontsize": "9"} if label else {}
        self.dot.edge(tail, head, key=key, **room)

    def scene(self, title: str, description: str = "") -> Scene:
        """Have Graphviz lay the graph out, and read the places back."""
        import pygraphviz

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Graphviz's remarks about fonts
            laid = pygraphviz.AGraph(string=self.dot.source)
            laid.layout(prog="dot")
        placed = []
        for key, shape in self.shapes.items():
            x, y = _point(laid.get_node(key).attr["pos"])
            placed.append(replace(shape, x=x, y=y))
        wires = []
        for (tail, head), wire in self.wires.items():
            attr = laid.get_edge(tail, head).attr
            end, curve = _spline(attr["pos"])
            at = _point(attr["lp"]) if wire.label and attr["lp"] else None
            wires.append(replace(wire, points=(curve[0], end), curve=(*curve[:-1], end), label_at=at))
        frames = []
        for key, label in self.frames.items():
            x0, y0, x1, y1 = map(float, _frame_box(laid, key))
            text = line(clip(label, 60), 9)
            frames.append(Frame(key, "group", x0, y0, max(x1 - x0, text.width + 20), y1 - y0, (text,), label))
        return fit(Scene(0, 0, tuple(placed), tuple(wires), tuple(frames), (), title, description or title))


def _frame_box(laid: object, key: str) -> list[str]:
    pending = list(laid.subgraphs())  # type: ignore[attr-defined]
    while pending:
        part = pending.pop()
        if part.name == f"cluster_{key}":
            return str(part.graph_attr["bb"]).split(",")
        pending += part.subgraphs()
    raise BlocksError(f"the frame {key} was not laid out")


def _point(text: str) -> Point:
    x, y = text.rstrip("!").split(",")[:2]
    return float(x), float(y)


def _spline(text: str) -> tuple[Point, list[Point]]:
    """The end of an edge and its curve, from ``e,x,y x0,y0 x1,y1 …``."""
    parts = text.replace("\\\n", "").split()
    ends = [p for p in parts if p.startswith("e,")]
    curve = [_point(p) for p in parts if p[0] not in "es"]
    return (_point(ends[0][2:]) if ends else curve[-1]), curve
