"""Block: elementwise operations over all steps, which hoisting makes, run in blocks of steps that stay in cache.

    before      a = multiply(s, s); b = subtract(1.0, a); k = multiply(o, b)        each (time, batch, 32)

    after       for blocks of s, o: { a = multiply(s, s); b = subtract(1.0, a); k = multiply(o, b) }

A stage is what can run together: elementwise operations of one depth over one time axis, and views of them. The
depth counts all operations outside of stages on the longest way to a node.

Taking a stage together makes no cycle: along a way through the graph the depth never falls, and a way that leaves a
stage comes to a greater one before it enters any. For it leaves through a view that does not keep the steps apart
(which adds one), through an operation outside of stages (what follows has one more), or straight into an elementwise
operation over another axis (one more again). So what lies between two operations of a stage is of that stage, and
stages that needed each other would have to be of one depth, and be left without a rise. How many steps a block has is
decided by the sizes of a run (`ops.loop.steps_in_block`): little arrays are left whole.
"""

from __future__ import annotations

from ...errors import fresh_name
from ...graph import Graph, Node, apply, rebuild, stamped
from ...ops.elementwise import already_aligned
from ...ops.loop import in_block, loop, pick
from ..passes.sweep import build_in_order, port, same, users_of

LEAST = 2  # operations in a stage that is worth a loop
Stage = tuple[int, str]  # depth, and the time axis


def block(graph: Graph) -> Graph:
    """One sweep over the graph outside of its loops."""
    stages: dict[Stage, list[Node]] = {}
    stage_of = _stages(graph)
    for node, stage in stage_of.items():
        stages.setdefault(stage, []).append(node)
    for nodes in stages.values():
        if sum(n.op.kind == "elementwise" for n in nodes) < LEAST:
            for node in nodes:
                del stage_of[node]
    new: dict[Node, Node] = {}
    users = users_of(graph)

    def needs(node: Node) -> list[Node]:
        if node not in stage_of:
            return list(node.operands)
        stage = stage_of[node]
        return [o for n in stages[stage] for o in n.operands if stage_of.get(o) != stage]

    def build(node: Node) -> Node:
        if node not in stage_of:
            return same(node, tuple(new[o] for o in node.operands))
        stage = stage_of[node]
        new.update(_in_blocks(graph, users, stages[stage], new, stage[1]))
        return new[node]

    build_in_order(graph.outputs.values(), needs, build, new)
    return Graph({name: new[node] for name, node in graph.outputs.items()})


def _stages(graph: Graph) -> dict[Node, Stage]:
    """The elementwise operations over all steps of some loop, and views of them, → the stage of each."""
    times = {n.attrs["time"] for n in graph.order() if n.op.name == "loop" and n.attrs.get("every") is None}
    stage_of: dict[Node, Stage] = {}
    depth: dict[Node, int] = {}
    for node in graph.order():
        depth[node] = max((depth[o] + (o not in stage_of and _computes(o)) for o in node.operands), default=0)
        timed = bool(node.shape) and node.shape[0] in times
        before = [o for o in node.operands if o in stage_of]
        if timed and node.op.kind == "elementwise":
            left = [o for o in before if o.shape[0] != node.shape[0] or len(o.shape) != len(node.shape)]
            depth[node] = max([depth[node], *(depth[o] + 1 for o in left)])
            stage_of[node] = depth[node], str(node.shape[0])
        elif node.op.kind == "view" and before:
            stage = depth[node], str(before[0].shape[0])
            if timed and _keeps_time(node):
                stage_of[node] = stage
            else:
                depth[node] += 1
    return stage_of


def _computes(node: Node) -> bool:
    return node.op.kind not in ("leaf", "view")


def _keeps_time(view: Node) -> bool:
    """Whether a view of some steps is a view of all, cut to those steps."""
    x, a = view.operands[0], view.attrs
    if view.op.name == "broadcast":  # it stays outside: elementwise operations repeat by themselves
        return False
    if view.op.name == "reshape":
        return x.shape[:1] == view.shape[:1]
    if view.op.name == "transpose":
        return len(view.shape) > 2
    return 0 not in (a.get("axis"), a.get("source"), a.get("destination"))


def _label(node: Node, graph: Graph) -> str:
    """What to call a wire inside: after what a loop calls it, or the brick that it is a part of."""
    if node.op.name == "pick":
        return str(node.attrs["output"]).rpartition("/")[2]
    return node.brick if node.op.kind == "view" and node.brick else graph.name_of(node)


def _in_blocks(
    graph: Graph, users: dict[Node, list[Node]], nodes: list[Node], new: dict[Node, Node], time: str
) -> dict[Node, Node]:
    """What stands in the place of the nodes of one stage: outputs of a loop over blocks, and views of them."""
    inside = set(nodes)
    kept = set(graph.outputs.values())
    outside = {n for n in nodes if n in kept or any(u not in inside for u in users[n])}
    for node in reversed(nodes):
        if node in outside and node.op.kind == "view":
            outside.add(node.operands[0])
    sequences: dict[str, Node] = {}
    constants: dict[str, Node] = {}
    ports: dict[tuple[Node, bool], Node] = {}
    body: dict[Node, Node] = {}

    def bring(operand: Node, user: Node) -> Node:
        if operand in inside:
            return body[operand]
        if operand.op.name == "constant" and operand.shape == ():
            return operand
        cut = operand.shape[:1] == (time,) and len(operand.shape) == len(user.shape)
        if (operand, cut) not in ports:
            name = fresh_name(_label(operand, graph), sequences, constants)
            (sequences if cut else constants)[name] = new[operand]
            shape = (in_block(time), *operand.shape[1:]) if cut else operand.shape
            ports[operand, cut] = port(name, shape, operand.dtype)
        return ports[operand, cut]

    with already_aligned():
        for node in nodes:
            attrs = dict(node.attrs)
            if "shape" in attrs:
                attrs["shape"] = (in_block(time), *node.shape[1:])
            with stamped(brick=node.brick, role=node.role):
                body[node] = apply(node.op, *(bring(o, node) for o in node.operands), **attrs)
        stacked = {graph.name_of(n): n for n in nodes if n in outside and n.op.kind != "view"}
        outputs = Graph({name: body[n] for name, n in stacked.items()})
        whole = loop(outputs, constants, {}, sequences, tuple(stacked), time, every="cache")
        made = {n: pick(whole, name) for name, n in stacked.items()}
        for node in nodes:
            if node in outside and node.op.kind == "view":
                made[node] = rebuild(node, (made[node.operands[0]],))
    return made | {n: body[n] for n in nodes if n not in made}  # those that no one outside asks for
