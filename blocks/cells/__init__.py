"""The gallery: known cells, each a few bricks, in the order of its paper's equations.

Every one is called as ``cell(inputs, units, name=None)`` and returns a `Cell`. None has powers that a
user's cell lacks. In the equations ' means the step before, ⊙ the product of elements.
"""

from .book import book_lstm, book_srn
from .gru import gru, gru_reset_after
from .lstm import lstm, lstm_layernorm
from .srn import srn

__all__ = ["book_lstm", "book_srn", "gru", "gru_reset_after", "lstm", "lstm_layernorm", "srn"]
