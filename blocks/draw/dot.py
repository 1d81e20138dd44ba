"""A graph as DOT: bricks are boxes, operations without weights are circles, loops are frames.

The general drawing, laid out by Graphviz, for a graph of any shape. With ``bricks=True`` the operations of
a brick are folded into one box; opened, each is drawn. Names come from users and files, so every label is
escaped, and identifiers are numbers of our own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import graphviz

from ..graph import BlocksError, Graph, Node, show_shape, subgraphs
from ..ops.leaves import nearest
from ..ops.loop import FINAL, NEXT
from .figure import Figure

SYMBOLS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "negative": "−", "sigm": "σ", "matmul": "·",
    "power": "xʸ", "sum": "Σ", "transpose": "ᵀ", "outer": "⊗", "sqrt": "√", "abs": "|x|",
}  # fmt: skip
COLOURS = {
    "brick": ("#ffe9a8", "#7a5c00"),
    "operation": ("#f9d0dc", "#8a2846"),
    "input": ("#d5e8f7", "#1f4e79"),
    "state": ("#d9f0d3", "#1b5e20"),
    "parameter": ("#eeeeee", "#555555"),
    "gradient": ("#e4dcf4", "#4527a0"),
    "output": ("#ffffff", "#000000"),
}
FADED = ("#f7f7f7", "#b5b5b5")


def draw(
    graph: Graph, highlight: str | Iterable[str] | None = None, bricks: bool = True, shapes: bool = False
) -> Figure:
    """A `Figure` of a graph.

    Args:
        highlight: names of bricks, inputs, states or outputs to emphasise; the rest is faded.
        bricks: fold the operations of each brick into one box.
        shapes: write the shape on each wire.

    Raises BlocksError for a name that the graph does not have.
    """
    wanted = [highlight] if isinstance(highlight, str) else list(highlight or [])
    painter = _Painter(wanted, bricks, shapes)
    painter.paint(painter.dot, graph, {})
    unknown = [name for name in wanted if name not in painter.names]
    if unknown:
        hint = nearest(unknown[0], painter.names)
        raise BlocksError(
            f"there is nothing called {unknown[0]!r} to highlight{hint}; there are {', '.join(sorted(painter.names))}"
        )
    return Figure(painter.dot)


class _Painter:
    def __init__(self, wanted: list[str], bricks: bool, shapes: bool):
        self.wanted, self.bricks, self.shapes = set(wanted), bricks, shapes
        self.names: set[str] = set()
        self.count = 0
        self.edges: set[tuple[str, str]] = set()
        self.dot = graphviz.Digraph("blocks")
        self.dot.attr(rankdir="BT", bgcolor="white", nodesep="0.3", ranksep="0.35", fontname="Helvetica")
        self.dot.attr("node", fontname="Helvetica", fontsize="12", penwidth="1.2")
        self.dot.attr("edge", fontname="Helvetica", fontsize="9", arrowsize="0.7", color="#444444")

    def fresh(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def box_of(self, node: Node) -> str | None:
        """The box that a node is folded into: that of its brick, or of its brick's gradient."""
        if not self.bricks or not node.brick or node.op.name in ("loop", "pick"):
            return None
        return f"∂ {node.brick}" if node.role == "gradient" else str(node.brick)

    def silent(self, node: Node) -> bool:
        """Whether a folded drawing leaves a node out, or passes its wire on."""
        return self.bricks and (
            node.op.name in ("broadcast", "reshape", "cast", "transpose", "size", "mask")
            or (node.op.name == "constant" and (node.role == "gradient" or node.shape != ()))
            or (node.role == "parameter" and node.brick is not None)
        )

    def paint(self, dot: Any, graph: Graph, bound: dict[str, str]) -> dict[str, str]:
        """Draw a graph; `bound` has the identifiers outside that its inputs are fed from. Returns the
        identifier behind each output, "" where nothing is drawn."""
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
                    boxes[box] = self.fresh()
                    self.brick(dot, boxes[box], box, symbols[box])
                where[node] = boxes[box]
                for o in node.operands:
                    self.edge(where[o], boxes[box], o, {box})
            elif self.silent(node):
                where[node] = where[node.operands[0]] if node.operands else ""
            else:
                where[node] = self.fresh()
                self.single(dot, where[node], node, name)
                for o in node.operands:
                    self.edge(where[o], where[node], o, {name})
            if node.op.name == "input":
                self.edge(bound.get(name, ""), where[node], node, {name})
        ends: dict[str, str] = {}
        for name, node in graph.outputs.items():
            if (bound and not name.startswith(NEXT)) or name in folded or not where[node]:
                ends[name] = where[node]
                continue
            label = f"{name.removeprefix(NEXT)}(t)" if name.startswith(NEXT) else name
            if name.startswith("grad/") and self.bricks:
                label = name.rsplit(".", 1)[0]  # one for all weights of a brick
            kind = "state" if name.startswith(NEXT) else "output"
            if label not in boxes:
                boxes[label] = self.fresh()
                self.node(dot, boxes[label], label, kind, label, node, shape="ellipse" if kind == "state" else "box")
            ends[name] = boxes[label]
            self.edge(where[node], ends[name], node, {name, label})
        return ends

    def paint_loop(self, dot: Any, node: Node, name: str, where: dict[Node, str]) -> dict[str, str]:
        """Draw the body of a loop in a frame."""
        body = subgraphs(node)["body"]
        ports = zip(node.attrs["ports"], node.operands, strict=True)
        bound = {p: "" if self.bricks and o.op.name == "parameter" else where.get(o, "") for p, o in ports}
        arrow = "backwards in time" if node.attrs["reverse"] else "forwards in time"
        self.names.add(name)
        with dot.subgraph(name=f"cluster_{self.fresh()}") as frame:
            frame.attr(label=graphviz.escape(f"{name}: {arrow}"), color="#888888", style="rounded", labeljust="l")
            ends = self.paint(frame, body, bound or {"": ""})
        return {**ends, **{FINAL + s: ends[NEXT + s] for s in node.attrs["states"]}}

    def brick(self, dot: Any, key: str, box: str, last: Node) -> None:
        gradient = last.role == "gradient"
        label = box if gradient else f"{box}\n{SYMBOLS.get(last.op.name, last.op.name)}"
        self.names.add(box)
        self.node(dot, key, label, "gradient" if gradient else "brick", box, last, shape="box", style="filled,rounded")

    def single(self, dot: Any, key: str, node: Node, name: str) -> None:
        if node.op.name == "constant" and node.shape == ():
            value = f"{float(node.attrs['value']):g}"
            self.node(dot, key, value, "parameter", name, node, shape="plaintext", style="")
        elif node.op.name == "input":
            kind = node.role if node.role in ("state", "gradient") else "input"
            label = f"{name}(t−1)" if node.role == "state" else name
            self.node(dot, key, label, kind, name, node, shape="ellipse")
        elif node.op.name == "parameter":
            self.node(dot, key, name, "parameter", name, node, shape="box")
        else:
            symbol = SYMBOLS.get(node.op.name, node.op.name)
            kind = "gradient" if node.role == "gradient" else "operation"
            look = {"shape": "circle"} if len(symbol) <= 2 else {"shape": "box", "style": "filled,rounded"}
            self.node(dot, key, symbol, kind, name, node, **look)

    def node(self, dot: Any, key: str, label: str, kind: str, name: str, node: Node, **attributes: str) -> None:
        self.names.add(name)
        lit = not self.wanted or name in self.wanted or (node.brick or "") in self.wanted
        fill, line = COLOURS[kind] if lit else FADED
        attributes = {"style": "filled", "margin": "0.09,0.05", "height": "0.3", "width": "0.3", **attributes}
        if attributes["shape"] == "circle":
            attributes["fixedsize"] = "true"
        escaped = "\\n".join(graphviz.escape(part) for part in label.split("\n"))
        tooltip = graphviz.escape(f"{name}: {node.op.formula}, {show_shape(node.shape)}")
        attributes |= {"fillcolor": fill, "color": line, "fontcolor": line, "tooltip": tooltip, "class": kind}
        dot.node(key, escaped, **attributes)

    def edge(self, tail: str, head: str, wire: Node, names: set[str]) -> None:
        if not tail or not head or tail == head or (tail, head) in self.edges:
            return
        self.edges.add((tail, head))
        lit = not self.wanted or bool(names & self.wanted) or (wire.brick or wire.name or "") in self.wanted
        label = {"label": graphviz.escape(show_shape(wire.shape))} if self.shapes else {}
        self.dot.edge(tail, head, color="#444444" if lit else "#d0d0d0", **label)
