"""The same figure as a Mermaid flow chart.

Mermaid has characters that end a label or start a command; names come from users and files, so all of them are
escaped, and identifiers are our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx


def mermaid(graph: networkx.MultiDiGraph) -> str:
    """A Mermaid flow chart; Mermaid lays it out by itself."""
    forms = {"circle": ("((", "))"), "pill": ("([", "])"), "text": ("[/", "/]"), "ring": ("((", "))")}
    numbers = {key: f"n{i}" for i, key in enumerate(graph.nodes)}
    lines = ["flowchart BT"]
    for key, data in graph.nodes(data=True):
        start, end = forms.get(str(data.get("form", "")), ("[", "]"))
        kind = "".join(c for c in str(data.get("kind", "")) if c.isalpha()) or "shape"
        lines.append(f'    {numbers[key]}{start}"{_entity(str(data.get("label") or " "))}"{end}:::{kind}')
    for source, target, data in graph.edges(data=True):
        arrow = {"conveyor": "==>", "bus": "==>"}.get(str(data.get("kind", "")), "-->")
        mark = f'|"{_entity(str(data["mark"]))}"|' if data.get("mark") else ""
        lines.append(f"    {numbers[source]} {arrow}{mark} {numbers[target]}")
    return "\n".join(lines) + "\n"


def _entity(text: str) -> str:
    """Everything but letters, digits and blanks as a numbered entity, which Mermaid shows as text."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in " ,." else f"#{ord(c)};" for c in text)
