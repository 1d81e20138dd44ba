"""Nodes and graphs as pickles: for other processes, and for copies of models. (Files are `files`: a pickle runs code.)

A node is packed with all that it needs, as a flat table: pickle alone would follow operands, and recurse. The table
says in which process a node was made, so that wires which share a node still share it when they come back, and a
node that comes back to where it lives is itself.
"""

from __future__ import annotations

import copyreg
import os
import pickle
import uuid
from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

from .graph import Graph, Node, Stamp
from .ops.leaves import GIVEN

_alive: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()  # where it was made, and its serial → node
_HOME = uuid.uuid4().hex
Packed = tuple[tuple[Any, ...], list[tuple[Any, ...]]]


def _packed(roots: Iterable[Node]) -> Packed:
    """Where some nodes were made, and they and all that they need, as rows in the order in which they were made."""
    found: set[Node] = set()
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending.extend(node.operands)
            pending.extend(n for n in (node.origin, node.first, node.next) if n is not None)
    home = (_HOME, os.getpid())
    rows: list[tuple[Any, ...]] = []
    for node in sorted(found, key=lambda n: n.serial):
        _alive[(*home, node.serial)] = node
        others = [None if n is None else n.serial for n in (node.origin, node.first, node.next)]
        operands = [o.serial for o in node.operands]
        rows.append((node.serial, node.op, operands, _attrs(node), tuple(node.stamp.__dict__.values()), *others))
    return home, rows


def _attrs(node: Node) -> dict[str, Any]:
    """The attributes; of a function that pickle cannot find again, as a lambda, that it was given (see `leaves`)."""
    attrs = dict(node.attrs)
    for key, value in attrs.items():
        if callable(value):
            try:
                pickle.dumps(value)
            except (pickle.PicklingError, AttributeError, TypeError):
                attrs[key] = GIVEN
    return attrs


def _unpacked(packed: Packed) -> dict[int, Node]:
    """Serial, where they were made → node; those that are alive here are themselves."""
    home, rows = packed
    nodes: dict[int, Node] = {}
    for serial, op, operands, attrs, stamp, origin, first, _ in rows:
        node = _alive.get((*home, serial))
        if node is None:
            wires = tuple(nodes[o] for o in operands)
            node = Node(op, wires, attrs, Stamp(*stamp), nodes.get(origin), first=nodes.get(first))
            _alive[(*home, serial)] = node
        nodes[serial] = node
    for serial, *_, after in rows:  # made after the node itself
        if after is not None and nodes[serial].next is None:
            object.__setattr__(nodes[serial], "next", nodes[after])
    return nodes


def _unpacked_node(packed: Packed, serial: int) -> Node:
    return _unpacked(packed)[serial]


def _unpacked_graph(packed: Packed, outputs: dict[str, int]) -> Graph:
    nodes = _unpacked(packed)
    return Graph({name: nodes[serial] for name, serial in outputs.items()})


def _reduced_node(node: Node) -> tuple[Any, ...]:
    return _unpacked_node, (_packed([node]), node.serial)


def _reduced_graph(graph: Graph) -> tuple[Any, ...]:
    outputs = {name: node.serial for name, node in graph.outputs.items()}
    return _unpacked_graph, (_packed(graph.outputs.values()), outputs)


copyreg.pickle(Node, _reduced_node)
copyreg.pickle(Graph, _reduced_graph)
