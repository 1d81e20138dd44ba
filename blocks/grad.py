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

from .arguments import checked
from .errors import BlocksError, fresh_name, nearest
from .graph import Graph, Node, Shape, apply, check_graph, show_shape, stamped, substitute, topological
from .ops.elementwise import already_aligned
from .ops.leaves import constant, input_op, make_input
from .ops.loop import FINAL, NEXT, loop, loop_op, pick, pick_op
from .ops.shape import reshape, sum_, zeros


@checked
def grad(graph: Graph, of: str = "loss", wrt: Iterable[str] | None = None) -> Graph:
    """The outputs of `graph`, and ``grad/<name>``, the gradient of output `of`, for each name in `wrt`.

    `wrt` names parameters, inputs, outputs or any other node of the graph, and where two have one name, the first of
    these; all parameters by default. A gradient
    has the shape of what it belongs to. Raises BlocksError if `of` is not a single number, or a name is
    unknown.
    """
    check_graph(graph, "grad")
    if of not in graph.outputs:
        raise BlocksError(
            f"the graph has no output {of!r}{nearest(of, graph.outputs)}; it has {', '.join(graph.outputs)}"
        )
    target = graph.outputs[of]
    if target.shape != () or target.dtype != "float":
        raise BlocksError(f"{of!r} is {show_shape(target.shape)} {target.dtype}; a gradient is taken of one number")
    nodes = {**graph.nodes, **graph.outputs, **graph.fed("input", "parameter")}
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


Handed = dict[Node, list[tuple[Node, Node]]]  # a node → its users, each with the part of its cotangent from there


def backward(
    seeds: Mapping[Node, Node], wrt: Collection[Node], handed: Handed | None = None
) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """The cotangents of `wrt`, given those of some nodes (`seeds`); and the loops that must be replaced,
    old → new, because they now keep what their gradients need. `handed` receives what each cotangent is the sum of,
    in the order in which it is added."""
    order = topological(seeds)
    needed = dependents(order, wrt)
    cotangents: dict[Node, Node] = {}
    of_loops: dict[Node, dict[str, Node]] = {}  # a loop has several outputs, so several cotangents
    replaced: dict[Node, Node] = {}

    def hand_back(node: Node, g: Node | None, user: Node | None = None) -> None:
        if g is not None and node in needed:
            g = unbroadcast(g, node.shape)
            cotangents[node] = cotangents[node] + g if node in cotangents else g
            if handed is not None and user is not None:
                handed.setdefault(node, []).append((user, g))

    for node, seed in seeds.items():
        hand_back(node, seed)
    for node in reversed(order):
        with stamped(brick=node.brick, role="gradient", step=node.step):
            if node.op is loop_op and node in of_loops:
                returned, replaced[node] = _backward_through_loop(node, of_loops[node], needed)
                for operand, g in zip(node.operands, returned, strict=True):
                    hand_back(operand, g, node)
            elif node not in cotangents or not node.operands:
                continue
            elif node.op is pick_op:
                outputs, name = of_loops.setdefault(node.operands[0], {}), node.attrs["output"]
                outputs[name] = outputs[name] + cotangents[node] if name in outputs else cotangents[node]
            elif node.op.vjp is not None:
                with already_aligned():
                    returned = list(node.op.vjp(cotangents[node], node, *node.operands))
                for operand, g in zip(node.operands, returned, strict=True):
                    hand_back(operand, g, node)
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
    return node.op.kind == "loop" or (node.dtype == "float" and node.op.vjp is not None)


def _backward_through_loop(
    node: Node, cotangents: dict[str, Node], needed: Collection[Node]
) -> tuple[list[Node | None], Node]:
    """Cotangents of a loop's operands from those of its outputs, and the loop that replaces it."""
    if node.attrs.get("every") is not None:
        raise BlocksError("a loop over blocks of steps has no gradient; take the gradient before compiling")
    return _LoopGradient(node, cotangents, needed).result()


class _LoopGradient:
    """The gradient of one loop: of its body first, then as a loop over that.

    Attributes: d_states, state → the port of its cotangent, which the gradient's loop carries; d_stacked, output of
    all steps → the port that brings its cotangent in; sums, constant → the state in which its cotangent adds up.
    """

    def __init__(self, node: Node, cotangents: dict[str, Node], needed: Collection[Node]):
        self.node, self.cotangents = node, cotangents
        self.body: Graph = node.attrs["body"]
        self.inputs = self.body.fed("input")
        self.wires = dict(zip(node.attrs["ports"], node.operands, strict=True))
        self.states, self.sequences = node.attrs["states"], node.attrs["sequences"]
        asking = {p for p, wire in self.wires.items() if wire in needed}
        self.ports, live = _flowing(self.body, self.states, asking, cotangents)
        outputs = self.body.outputs
        self.used = set(self.inputs) | set(outputs)
        flowing = [s for s in self.states if s in live and s in self.ports]
        self.d_states = {s: self.fresh(f"d/{s}", outputs[NEXT + s]) for s in flowing}
        self.d_stacked = {n: self.fresh(f"d/{n}", outputs[n]) for n in node.attrs["stacked"] if n in cotangents}
        self.sums: dict[str, Node] = {}

    def fresh(self, name: str, like: Node) -> Node:
        """An input of a loop's body, of the shape of `like`, under a name that is not taken yet."""
        name = fresh_name(name, self.used)
        self.used.add(name)
        return make_input(name, like.shape, like.dtype, role="gradient")

    def result(self) -> tuple[list[Node | None], Node]:
        """The cotangents of the loop's operands, and the loop that keeps what they need."""
        gradient_outputs, outputs = self.of_body()
        mapping, keep, outputs = self.kept(gradient_outputs, outputs)
        replacement = self.keeping(keep, outputs)
        if not gradient_outputs:
            return [None] * len(self.node.operands), replacement
        gradient = self.loop(Graph(substitute(gradient_outputs, mapping)), replacement, keep)
        return [self.handed_back(port, gradient, gradient_outputs) for port in self.wires], replacement

    def of_body(self) -> tuple[dict[str, Node], dict[str, Node]]:
        """What the gradient's body gives, as nodes beside the body's own; and the body's outputs, which keep what
        the gradients of loops inside it need."""
        seeds: dict[Node, Node] = {}
        for name, seed in [*((NEXT + s, d) for s, d in self.d_states.items()), *self.d_stacked.items()]:
            output = self.body.outputs[name]
            seeds[output] = seeds[output] + seed if output in seeds else seed
        inner, replaced = backward(seeds, [self.inputs[p] for p in self.wires if p in self.ports and p in self.inputs])
        outputs: dict[str, Node] = {}
        for port in (p for p in self.wires if p in self.ports):
            g = inner.get(self.inputs[port]) if port in self.inputs else None
            if port in self.d_states:  # the state before has the cotangent that this step hands back
                d = self.d_states[port]
                outputs[NEXT + str(d.name)] = zeros(d.shape) if g is None else g
            elif g is not None and port in self.sequences:
                outputs[f"d/{port}"] = g
            elif g is not None and port not in self.states:
                with stamped(brick=self.wires[port].brick):
                    self.sums[port] = self.fresh(f"sum/{port}", self.inputs[port])
                    outputs[NEXT + str(self.sums[port].name)] = self.sums[port] + g
        both = substitute({**self.body.outputs, **{f"grad of {k}": v for k, v in outputs.items()}}, replaced)
        return {k: both[f"grad of {k}"] for k in outputs}, {k: both[k] for k in self.body.outputs}

    def kept(
        self, gradient_outputs: dict[str, Node], outputs: dict[str, Node]
    ) -> tuple[dict[Node, Node], dict[str, str], dict[str, Node]]:
        """What the gradient needs of the body's own values, which the forward loop keeps step by step: value → the
        port that brings it in; port → the output of the body that keeps it; and the body's outputs with those."""
        own = set(topological(outputs.values()))
        varying = self.varying(outputs)
        already = {outputs[name]: name for name in self.node.attrs["stacked"]}
        mapping: dict[Node, Node] = {}
        keep: dict[str, str] = {}

        def is_own(n: Node) -> bool:
            mine = n in own or (n.op is pick_op and n.operands[0] in own)
            constant_in_time = n in own and n not in varying
            return mine and (n.op is input_op or not constant_in_time)

        names = Graph(outputs)
        outputs = dict(outputs)
        for n in topological(gradient_outputs.values(), stop=is_own):
            if not is_own(n) or (n.op is input_op and n.name not in self.states):
                continue
            port = self.fresh(f"kept/{names.name_of(n) if n in own else n.op.name}", n)
            mapping[n] = port
            keep[str(port.name)] = already.get(n, str(port.name))
            outputs[keep[str(port.name)]] = n
        return mapping, keep, outputs

    def varying(self, outputs: Mapping[str, Node]) -> set[Node]:
        """The body's values that are not the same at every step."""
        varying: set[Node] = set()
        for n in topological(outputs.values()):
            leaf = n.op is input_op and (n.name in self.states or n.name in self.sequences)
            if leaf or any(o in varying for o in n.operands):
                varying.add(n)
        return varying

    def keeping(self, keep: Mapping[str, str], outputs: Mapping[str, Node]) -> Node:
        """The loop itself, which keeps more of its values."""
        stacked = tuple(dict.fromkeys((*self.node.attrs["stacked"], *keep.values())))
        attrs = {**self.node.attrs, "body": Graph(outputs), "stacked": stacked}
        return apply(self.node.op, *self.node.operands, **attrs, role=self.node.role)

    def loop(self, body: Graph, replacement: Node, keep: Mapping[str, str]) -> Node:
        """The loop over the gradient of the body, the other way round in time."""
        asked = body.fed("input")
        brought = {p: w for p, w in self.wires.items() if p in asked}
        return loop(
            body,
            constants={p: w for p, w in brought.items() if p not in self.sequences},
            initial={
                **{str(d.name): self.cotangents.get(FINAL + s, zeros(d.shape)) for s, d in self.d_states.items()},
                **{str(d.name): zeros(d.shape) for d in self.sums.values()},
            },
            sequences={
                **{p: w for p, w in brought.items() if p in self.sequences},
                **{port: pick(replacement, output) for port, output in keep.items()},
                **{str(d.name): self.cotangents[n] for n, d in self.d_stacked.items()},
            },
            stacked=tuple(k for k in body.outputs if not k.startswith(NEXT)),
            time=self.node.attrs["time"],
            reverse=not self.node.attrs["reverse"],
        )

    def handed_back(self, port: str, gradient: Node, outputs: Mapping[str, Node]) -> Node | None:
        """The cotangent of the wire at a port, from the gradient's loop."""
        carried = self.d_states.get(port, self.sums.get(port))
        if carried is not None:
            return pick(gradient, FINAL + str(carried.name))
        return pick(gradient, f"d/{port}") if f"d/{port}" in outputs else None


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
