"""Packages that only some things need: imported when these are asked for, and named where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import BlocksError


def needed(module: str, what: str) -> Any:
    """A module, imported now, for something that is called `what`. Raises BlocksError saying what to install."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError:
        missing = f"{what} needs the package {package}, which is not installed: pip install {package}"
        raise BlocksError(missing) from None
