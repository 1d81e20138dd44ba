"""Write blocks/ops/signatures.pyi: how each public operation is called, for type checkers and completion.

    python .ci/signatures.py

An operation is a row, and knows its signature when it runs; a type checker reads this instead. A test says when it is
stale.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import blocks as bk
from blocks.graph import Op

FILE = Path(__file__).resolve().parent.parent / "blocks" / "ops" / "signatures.pyi"
HEAD = '''"""How operations are called. Written by .ci/signatures.py; do not edit."""

from typing import Any

from ..graph import Node, Shape, Wire

Axes = int | str | tuple[int | str, ...] | None
'''


def text() -> str:
    """The file."""
    parts = [HEAD]
    for name in sorted(name for name in bk.__all__ if isinstance(getattr(bk, name), Op)):
        op = getattr(bk, name)
        parameters = []
        for p in inspect.signature(op).parameters.values():
            kind = "Wire" if p.kind is p.POSITIONAL_ONLY else str(p.annotation).replace("np.ndarray", "Any")
            parameters.append(p.replace(annotation=kind))
        called = str(inspect.Signature(parameters)).replace("'", "").replace(": Wire", ": Wire")
        doc = textwrap.indent(f'"""{str(op.__doc__).strip()}\n"""', "    ")
        parts.append(f"def {name}{called} -> Node:\n{doc}\n")
    return "\n".join(parts)


def formatted(source: str) -> str:
    """As `ruff format` writes it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    FILE.write_text(formatted(text()), encoding="utf-8")
