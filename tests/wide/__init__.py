"""Random networks as wide as the language: `case(17)` is the same one in every process; so is `memory(17)`, around a
matrix that is written into and read from.

Every part of a network is asked for with `Choices` (see dice.py), so that a script, Hypothesis and the search
for a smaller case make it in one way. Sizes are all different where they can be, weights and inputs normal, and
every wire knows a bound for its numbers, so that nothing overflows and nothing cancels to noise.
"""

from .dice import Choices, Dice, Drawn, Replayed, shrink
from .memories import memories, memory
from .networks import Case, case, network

__all__ = ["Case", "Choices", "Dice", "Drawn", "Replayed", "case", "memories", "memory", "network", "shrink"]
