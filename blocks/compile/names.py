"""Names of graphs as identifiers: the one place where they become part of source."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 160  # letters in a comment


class Names:
    """Identifiers, unique and as close to the given names as may be; `reserved` are those that a target needs. `lower`:
    all in lower case."""

    def __init__(self, reserved: Iterable[str] = (), lower: bool = True) -> None:
        self.taken = set(reserved)
        self.lower = lower
        self.tried: dict[str, int] = {}

    def fresh(self, wish: str) -> str:
        """An identifier like `wish`."""
        name = re.sub(r"\W+", "_", wish, flags=re.ASCII).strip("_")[:40] or "v"
        name = name.lower() if self.lower else name
        name = f"v_{name}" if name[0].isdigit() else name
        unique, number = name, self.tried.get(name, 1)
        while unique in self.taken:
            number += 1
            unique = f"{name}_{number}"
        self.tried[name] = number
        self.taken.add(unique)
        return unique


def comment(text: str) -> str:
    """Text that is safe behind a # , and between /* and */."""
    safe = "".join(c if c.isprintable() else "?" for c in text).replace("*/", "* /")
    return safe if len(safe) <= LONGEST else safe[: LONGEST - 1] + "…"
