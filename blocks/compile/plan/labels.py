"""What to call the values of a plan: after their bricks and operations, as a person would."""

from __future__ import annotations

from ...graph import Node
from ...ops.loop import FINAL, NEXT
from .geometry import only_part

NOUNS = {
    "add": "total", "subtract": "difference", "multiply": "product", "divide": "ratio", "matmul": "net",
    "concat": "packed", "outer": "outer_product", "sum": "sums",
}  # fmt: skip
VIEWED = {"transpose": "transposed", "moveaxis": "turned", "broadcast": "repeated"}


def label_of(node: Node) -> str:
    """What to call the value of a node: after its brick and operation; packed, if of several bricks."""
    if node.name:
        return node.name
    if node.op.name == "pick":
        return str(node.attrs["output"]).removeprefix(FINAL).removeprefix(NEXT)
    kind = NOUNS.get(node.op.name, node.op.name)
    if not node.brick:
        return {"tanh": "squashed"}.get(kind, kind)
    if ", " not in node.brick:
        return f"{node.brick}_{kind}"
    return "packed" if kind == "packed" else f"packed_{kind}"


def view_label(node: Node) -> str:
    """What to call a view: after its brick; after what it is a view of, where it has none."""
    one = node.brick if node.brick and ", " not in node.brick else ""
    one += "_gradient" if one and node.role == "gradient" else ""
    if node.op.name == "slice" or only_part(node) is not None:
        return one or "part"
    viewed = node
    while viewed.op.kind == "view":
        viewed = viewed.operands[0]
    return f"{one or label_of(viewed)}_{VIEWED.get(node.op.name, 'reshaped')}"
