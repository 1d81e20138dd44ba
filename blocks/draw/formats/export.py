"""The same figure as a graph, for other tools: networkx, GraphML, JSON.

Names come from users and files; what XML cannot hold is replaced.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from ..scene import Scene
from ..text import printable

if TYPE_CHECKING:
    import networkx


def network(scene: Scene) -> networkx.MultiDiGraph:
    """A scene as a networkx graph: shapes with kind, name, label, tooltip and place, wires with kind and way; without
    what says what others mean."""
    import networkx

    out = networkx.MultiDiGraph(title=printable(scene.title), width=scene.width, height=scene.height)
    for s in (s for s in scene.shapes if not s.sample):
        label = " ".join(text.plain for text in s.lines)
        out.add_node(
            s.key, kind=s.kind, form=s.form, name=printable(s.name), label=printable(label),
            tooltip=printable(s.tooltip), nodes=printable(" ".join(s.nodes)), emphasised=s.lit, shared=s.shared,
            x=round(s.x, 3), y=round(s.y, 3), width=round(s.w, 3), height=round(s.h, 3),
        )  # fmt: skip
    for w in (w for w in scene.wires if not w.sample):
        way = " ".join(f"{round(x, 3):g},{round(y, 3):g}" for x, y in w.points)
        out.add_edge(
            w.source, w.target, key=w.key, kind=w.kind, shape=w.shape, tooltip=printable(w.tooltip), way=way,
            emphasised=w.lit, computed=not w.dashed, mark=w.mark.plain if w.mark else "",
        )  # fmt: skip
    return out


def graphml(graph: networkx.MultiDiGraph) -> str:
    """GraphML; `networkx.read_graphml` reads the same graph back."""
    import networkx

    out = io.BytesIO()
    networkx.write_graphml_xml(graph, out, named_key_ids=False)
    return out.getvalue().decode()


def json_text(graph: networkx.MultiDiGraph) -> str:
    """JSON in networkx's node-link form; `networkx.node_link_graph` reads the same graph back."""
    import networkx

    data: Any = networkx.node_link_data(graph, edges="edges")
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"
