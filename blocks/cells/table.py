"""The gallery as a table: family and year of each cell; the rest is computed from the cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .. import cells
from ..cell import Cell

FAMILIES: dict[str, dict[Callable[..., Cell], int]] = {
    "the book": {cells.book_srn: 2018, cells.book_lstm: 2018},
    "simple": {
        cells.srn: 1990,
        cells.jordan: 1986,
        cells.leaky_srn: 2007,
        cells.multiplicative_rnn: 2011,
        cells.scrn: 2014,
        cells.irnn: 2015,
        cells.mi_rnn: 2016,
        cells.indrnn: 2018,
        cells.fast_rnn: 2018,
    },
    "highway": {
        cells.ugrnn: 2017,
        cells.intersection_rnn: 2017,
        cells.chaos_free: 2017,
        cells.ran: 2017,
        cells.recurrent_highway: 2017,
    },
    "LSTM": {
        cells.lstm: 2000,
        cells.lstm_1997: 1997,
        cells.lstm_peephole: 2002,
        cells.lstm_projected: 2014,
        cells.lstm_layernorm: 2016,
        cells.mi_lstm: 2016,
        cells.multiplicative_lstm: 2017,
        cells.sub_lstm: 2017,
        cells.nas_cell: 2017,
        cells.janet: 2018,
        cells.lstm_working_memory: 2021,
    },
    "odyssey": {
        cells.lstm_nig: 2017,
        cells.lstm_nfg: 2017,
        cells.lstm_nog: 2017,
        cells.lstm_niaf: 2017,
        cells.lstm_noaf: 2017,
        cells.cifg: 2017,
        cells.lstm_fgr: 2017,
    },
    "GRU": {
        cells.gru: 2014,
        cells.gru_reset_after: 2014,
        cells.mut1: 2015,
        cells.mut2: 2015,
        cells.mut3: 2015,
        cells.mgu: 2016,
        cells.mi_gru: 2016,
        cells.gru1: 2017,
        cells.gru2: 2017,
        cells.gru3: 2017,
        cells.li_gru: 2018,
        cells.atr: 2018,
        cells.fast_grnn: 2018,
        cells.brc: 2021,
        cells.nbrc: 2021,
        cells.star: 2021,
    },
    "dynamics": {
        cells.antisymmetric: 2019,
        cells.antisymmetric_gated: 2019,
        cells.lmu: 2019,
        cells.cornn: 2021,
        cells.lem: 2022,
    },
    "parallel": {
        cells.qrnn: 2017,
        cells.sru: 2018,
        cells.selective_ssm: 2023,
        cells.min_gru: 2024,
        cells.min_lstm: 2024,
        cells.rg_lru: 2024,
    },
    "memory": {
        cells.linear_attention: 2020,
        cells.delta_net: 2021,
        cells.retention: 2023,
        cells.rwkv: 2023,
        cells.gated_linear_attention: 2024,
        cells.slstm: 2024,
        cells.mlstm: 2024,
    },
}


@dataclass(frozen=True)
class Entry:
    """A row of the gallery: what makes the cell, its family and the year of its paper."""

    make: Callable[..., Cell]
    family: str
    year: int

    @property
    def name(self) -> str:
        """As in ``blocks.cells``."""
        return self.make.__name__

    @property
    def line(self) -> str:
        """The first line of its docstring, without the source."""
        return (self.make.__doc__ or "").strip().splitlines()[0].partition(" (")[0].rstrip(".")

    def weights(self, inputs: int, units: int) -> int:
        """How many numbers it learns. Raises WiringError where these sizes do not fit."""
        return sum(math.prod(int(d) for d in shape) for shape in self.make(inputs, units).params.values())

    def products(self, inputs: int, units: int) -> int:
        """How many products with matrices a step needs, as the paper writes it; the compiler packs them."""
        nodes = self.make(inputs, units).graph.order()
        return sum(n.op.kind == "product" and n.op.name != "transpose" for n in nodes)


GALLERY: dict[str, Entry] = {
    make.__name__: Entry(make, family, year) for family, makers in FAMILIES.items() for make, year in makers.items()
}
