"""A text that was written, executed here; its lines stand in tracebacks."""

from __future__ import annotations

import linecache
from typing import Any


def executed(source: str, language: str) -> dict[str, Any]:
    """What the text defines, by name."""
    space: dict[str, Any] = {"__name__": "blocks.exported"}
    file = f"<blocks for {language} {id(source):x}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), space)
    return space
