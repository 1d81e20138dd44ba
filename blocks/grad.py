"""Reverse mode: the gradient of a graph is a graph of the same operations.

`backward` walks a graph from its outputs to its leaves and asks each operation for the cotangents of
its operands. Users before operands, that is all the order there is to it: a node's cotangent is the
*sum* of what its users hand back, so it may be passed on only when all of them have done so.

A loop is differentiated by `_backward_through_loop`: its gradient is a loop again, the other way
round in time, over the gradient of its body.

            h(0) ─▶ body ─▶ h(1) ─▶ body ─▶ h(2)          the loop, made to keep what its gradient needs
                     │ kept          │ kept
                     ▼               ▼
           dh(0) ◀─ dbody ◀─ dh(1) ◀─ dbody ◀─ dh(2)      a state's cotangent is a state
           dW    ◀─  ...   ◀─ dW + ... ◀─      0          a constant's cotangent is added up
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from .errors import BlocksError, nearest
from .graph import Graph, Node, Shape, apply, show_shape, stamped, substitute, topological
from .ops.elementwise import already_aligned
from .ops.leaves import constant, make_input
from .ops.loop import FINAL, NEXT, loop, pick
from .ops.shape import reshape, sum_, zeros


def grad(graph: Graph, of: str = "loss", wrt: Iterable[str] | None = None) -> Graph:
    """The outputs of `graph`, and ``grad/<name>``, the gradient of output `of`, for each name in `wrt`.

    `wrt` names parameters, inputs or any other node of the graph; all parameters by default. A gradient
    has the shape of what it belongs to. Raises BlocksError if `of` is not a single number, or a name is
    unknown.
    """
    if of not in graph.outputs:
        raise BlocksError(
            f"the graph has no output {of!r}{nearest(of, graph.outputs)}; it has {', '.join(graph.outputs)}"
        )
    target = graph.outputs[of]
    if target.shape != () or target.dtype != "float":
        raise BlocksError(f"{of!r} is {show_shape(target.shape)} {target.dtype}; a gradient is taken of one number")
    nodes = graph.nodes
    names = list(graph.params) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    for name in names:
        if name not in nodes:
            raise BlocksError(f"the graph has no node {name!r}{nearest(name, nodes)}")
        if nodes[name].dtype != "float":
            raise BlocksError(f"{name!r} is {nodes[name].dtype}; only floating-point numbers have a gradient")
    cotangents, replaced = backward({target: constant(value=1.0)}, [nodes[name] for name in names])
    gradients = {f"grad/{name}": cotangents.get(nodes[name]) for name in names}
    filled = {k: zeros(nodes[k[5:]].shape) if g is None else g for k, g in gradients.items()}
    return Graph(substitute({**graph.outputs, **filled}, replaced))


def backward(seeds: Mapping[Node, Node], wrt: Collection[Node]) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """The cotangents of `wrt`, given those of some nodes (`seeds`); and the loops that must be replaced,
    old → new, because they now keep what their gradients need."""
    order = topological(seeds)
    needed = dependents(order, wrt)
    cotangents: dict[Node, Node] = {}
    of_loops: dict[Node, dict[str, Node]] = {}  # a loop has several outputs, so several cotangents
    replaced: dict[Node, Node] = {}

    def hand_back(node: Node, g: Node | None) -> None:
        if g is not None and node in needed:
            g = unbroadcast(g, node.shape)
            cotangents[node] = cotangents[node] + g if node in cotangents else g

    for node, seed in seeds.items():
        hand_back(node, seed)
    for node in reversed(order):
        with stamped(brick=node.brick, role="gradient", step=node.step):
            if node.op.name == "loop" and node in of_loops:
                returned, replaced[node] = _backward_through_loop(node, of_loops[node], needed)
                for operand, g in zip(node.operands, returned, strict=True):
                    hand_back(operand, g)
            elif node not in cotangents or not node.operands:
                continue
            elif node.op.name == "pick":
                outputs, name = of_loops.setdefault(node.operands[0], {}), node.attrs["output"]
                outputs[name] = outputs[name] + cotangents[node] if name in outputs else cotangents[node]
            elif node.op.vjp is not None:
                with already_aligned():
                    returned = list(node.op.vjp(cotangents[node], node, *node.operands))
                for operand, g in zip(node.operands, returned, strict=True):
                    hand_back(operand, g)
    final: dict[Node, Node] = {}
    for old, new in reversed(replaced.items()):  # the earliest loop first: later ones may take its outputs
        final[old] = substitute({"": new}, final)[""]
    return {node: cotangents[node] for node in wrt if node in cotangents}, final


def unbroadcast(g: Node, shape: Shape) -> Node:
    """A cotangent summed to the shape of its operand: the one place where broadcasting is undone."""
    if g.shape == shape:
        return g
    extra = len(g.shape) - len(shape)
    repeated = [extra + i for i, d in enumerate(shape) if d == 1 and g.shape[extra + i] != 1]
    axes = (*range(extra), *repeated)
    summed = sum_(g, axis=axes) if axes else g
    return summed if summed.shape == shape else reshape(summed, shape=shape)


def dependents(order: Iterable[Node], sources: Collection[Node]) -> set[Node]:
    """The nodes that a gradient can flow through on its way to `sources`."""
    found: set[Node] = set(sources)
    for node in order:
        if _passes_gradient(node) and any(o in found for o in node.operands):
            found.add(node)
    return found


def _passes_gradient(node: Node) -> bool:
    return node.op.name in ("loop", "pick") or (node.op.vjp is not None and node.op.name != "stop_gradient")


def _backward_through_loop(
    node: Node, cotangents: dict[str, Node], needed: Collection[Node]
) -> tuple[list[Node | None], Node]:
    """Cotangents of a loop's operands from those of its outputs, and the loop that replaces it."""
    if node.attrs.get("every") is not None:
        raise BlocksError("a loop over blocks of steps has no gradient; take the gradient before compiling")
    body: Graph = node.attrs["body"]
    inputs = body.fed("input")
    wires = dict(zip(node.attrs["ports"], node.operands, strict=True))
    states, sequences = node.attrs["states"], node.attrs["sequences"]
    ports, live = _flowing(body, states, {p for p in wires if wires[p] in needed}, cotangents)

    # the gradient of the body, as nodes beside the body's own
    used = set(inputs) | set(body.outputs)
    d_states = {s: _fresh(f"d/{s}", used, body.outputs[NEXT + s].shape) for s in states if s in live and s in ports}
    d_stacked = {n: _fresh(f"d/{n}", used, body.outputs[n].shape) for n in node.attrs["stacked"] if n in cotangents}
    seeds: dict[Node, Node] = {}
    for name, seed in [*((NEXT + s, d) for s, d in d_states.items()), *d_stacked.items()]:
        output = body.outputs[name]
        seeds[output] = seeds[output] + seed if output in seeds else seed
    inner, replaced = backward(seeds, [inputs[p] for p in wires if p in ports and p in inputs])

    outputs: dict[str, Node] = {}
    sums: dict[str, Node] = {}
    for port in (p for p in wires if p in ports):
        g = inner.get(inputs[port]) if port in inputs else None
        if port in d_states:
            outputs[NEXT + d_states[port].name] = zeros(d_states[port].shape) if g is None else g
        elif g is not None and port in sequences:
            outputs[f"d/{port}"] = g
        elif g is not None and port not in states:
            with stamped(brick=wires[port].brick):
                sums[port] = _fresh(f"sum/{port}", used, inputs[port].shape)
                outputs[NEXT + sums[port].name] = sums[port] + g

    # what the gradient needs of the body's own values is kept by the forward loop, step by step
    both = substitute({**body.outputs, **{f"grad of {k}": v for k, v in outputs.items()}}, replaced)
    outputs = {k: both[f"grad of {k}"] for k in outputs}
    kept_body = {k: both[k] for k in body.outputs}
    own = set(topological(kept_body.values()))
    varying = {n for n in own if n.op.name == "input" and (n.name in states or n.name in sequences)}
    for n in topological(kept_body.values()):
        if any(o in varying for o in n.operands):
            varying.add(n)
    stacked_already = {kept_body[name]: name for name in node.attrs["stacked"]}
    mapping: dict[Node, Node] = {}
    keep: dict[str, str] = {}  # input of the gradient's body → output of the body

    def is_own(n: Node) -> bool:
        mine = n in own or (n.op.name == "pick" and n.operands[0] in own)
        constant_in_time = n in own and n not in varying
        return mine and (n.op.name == "input" or not constant_in_time)

    names = Graph(kept_body)
    for n in topological(outputs.values(), stop=is_own):
        if not is_own(n) or (n.op.name == "input" and n.name not in states):
            continue
        label = names.name_of(n) if n in own else n.op.name
        mapping[n] = _fresh(f"kept/{label}", used, n.shape, n.dtype)
        keep[mapping[n].name] = stacked_already.get(n, mapping[n].name)
        kept_body[keep[mapping[n].name]] = n
    stacked = tuple(dict.fromkeys((*node.attrs["stacked"], *keep.values())))
    replacement = apply(
        "loop", *node.operands, **{**node.attrs, "body": Graph(kept_body), "stacked": stacked}, role=node.role
    )
    if not outputs:
        return [None] * len(node.operands), replacement
    grad_body = Graph(substitute(outputs, mapping))
    asked = grad_body.fed("input")
    gradient = loop(
        grad_body,
        constants={p: w for p, w in wires.items() if p in asked and p not in sequences},
        initial={
            **{d.name: cotangents.get(FINAL + s, zeros(d.shape)) for s, d in d_states.items()},
            **{d.name: zeros(d.shape) for d in sums.values()},
        },
        sequences={
            **{p: w for p, w in wires.items() if p in asked and p in sequences},
            **{name: pick(replacement, output) for name, output in keep.items()},
            **{d.name: cotangents[n] for n, d in d_stacked.items()},
        },
        stacked=tuple(k for k in outputs if not k.startswith(NEXT)),
        time=node.attrs["time"],
        reverse=not node.attrs["reverse"],
    )
    returned: list[Node | None] = []
    for port in wires:
        if port in d_states:
            returned.append(pick(gradient, FINAL + d_states[port].name))
        elif port in sums:
            returned.append(pick(gradient, FINAL + sums[port].name))
        else:
            returned.append(pick(gradient, f"d/{port}") if f"d/{port}" in outputs else None)
    return returned, replacement


def _flowing(
    body: Graph, states: tuple[str, ...], ports: set[str], cotangents: Mapping[str, Node]
) -> tuple[set[str], set[str]]:
    """The ports that need a gradient, grown by the states that hand one on to them; and the states whose
    next value has a cotangent: by itself, or because a later step uses it."""
    inputs = body.fed("input")
    ports = {p for p in ports if p not in inputs or inputs[p].dtype == "float"}
    while True:
        needed = dependents(body.order(), [inputs[p] for p in ports if p in inputs])
        more = {s for s in states if s not in ports and body.outputs[NEXT + s] in needed}
        if not more:
            break
        ports |= more
    live = {s for s in states if FINAL + s in cotangents}
    while True:
        names = [NEXT + s for s in live] + [n for n in cotangents if not n.startswith(FINAL)]
        reached = {body.outputs[n] for n in names}
        for node in reversed(body.order()):
            if node in reached and _passes_gradient(node):
                reached.update(node.operands)
        more = {s for s in states if s not in live and s in inputs and inputs[s] in reached}
        if not more:
            break
        live |= more
    return ports, live


def _fresh(name: str, used: set[str], shape: Shape, dtype: str = "float") -> Node:
    """An input of a loop's body under a name that is not taken yet."""
    while name in used:
        name += "'"
    used.add(name)
    return make_input(name, shape, dtype, role="gradient")
