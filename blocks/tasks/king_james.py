"""The King James Bible: 4.1 million characters of English, to learn to write by.

train, held_out = text.split(king_james())
model = text.character_model(cells.lstm, len(letters), 128)

Where the text is from, and its licence, stands in data/README.md.
"""

from __future__ import annotations

import gzip
from importlib.resources import files


def king_james() -> str:
    """The text, a verse a line, from Genesis to Revelation; ASCII."""
    return gzip.decompress((files(__package__) / "data" / "kjv.txt.gz").read_bytes()).decode("ascii")
