"""A graph as text, a line a node, and as a networkx graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import FED, Graph, Node, show_shape, subgraphs

if TYPE_CHECKING:
    import networkx


def dump(graph: Graph) -> str:
    """The graph as text, a line a node; the body of a loop is indented below it."""
    lines: list[str] = []
    pending: list[tuple[Graph, int] | str] = [(graph, 0)]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            lines.append(item)
            continue
        here, depth = item
        later: list[tuple[Graph, int] | str] = []
        for node in here.order():
            later.append("    " * depth + _line(here, node))
            later.extend((body, depth + 1) for body in subgraphs(node).values())
        outputs = ", ".join(f"{name} = {here.name_of(node)}" for name, node in here.outputs.items())
        later.append("    " * depth + f"-> {outputs}")
        pending.extend(reversed(later))
    return "\n".join(lines)


def _line(graph: Graph, node: Node) -> str:
    name = graph.name_of(node)
    if node.op.name in FED:
        return f"{name:<24} {node.role:<10} {show_shape(node.shape)} {node.dtype}"
    operands = [graph.name_of(o) for o in node.operands]
    attrs = [f"{k}={v}" for k, v in node.attrs.items() if not isinstance(v, Graph)]
    kind = show_shape(node.shape) + ("" if node.dtype == "float" else f" {node.dtype}")
    return f"{name:<24} = {node.op.name}({', '.join(operands + attrs)})  {kind}"


def to_networkx(graph: Graph) -> networkx.MultiDiGraph:
    """A networkx graph: node attributes op, shape, dtype, brick, role, step; edges go from operand
    to user with attributes position and shape. The nodes of a loop's body are called
    ``loop/name`` and have the attribute parent; edges into them have the role "bind"."""
    import networkx

    out = networkx.MultiDiGraph()
    pending: list[tuple[Graph, str, Node | None]] = [(graph, "", None)]
    while pending:
        here, prefix, _ = pending.pop()
        for name, node in here.nodes.items():
            labels = {"op": node.op.name, "shape": show_shape(node.shape), "dtype": node.dtype}
            labels |= {"brick": node.brick or "", "role": node.role, "label": name, "parent": prefix.rstrip("/")}
            if node.step is not None:
                labels["step"] = str(node.step)
            out.add_node(prefix + name, **labels)
            for position, operand in enumerate(node.operands):
                edge = {"position": position, "shape": show_shape(operand.shape), "role": "wire"}
                out.add_edge(prefix + here.name_of(operand), prefix + name, **edge)
            for body in subgraphs(node).values():
                inside = f"{prefix}{name}/"
                pending.append((body, inside, node))
                bound = body.fed("input")
                for position, (port, operand) in enumerate(zip(node.attrs["ports"], node.operands, strict=True)):
                    if port in bound:
                        edge = {"position": position, "shape": show_shape(operand.shape), "role": "bind"}
                        out.add_edge(prefix + here.name_of(operand), inside + port, **edge)
        for name, node in here.outputs.items():
            out.nodes[prefix + here.name_of(node)].setdefault("output", name)
    return out
