"""The gallery as a table: family and year of each cell; the rest is computed from the cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..cell import Cell
from .book import book_lstm, book_srn
from .dynamics import antisymmetric, antisymmetric_gated, cornn, lem, lmu
from .gru import (
    atr,
    brc,
    fast_grnn,
    gru,
    gru1,
    gru2,
    gru3,
    gru_reset_after,
    li_gru,
    mgu,
    mi_gru,
    mut1,
    mut2,
    mut3,
    nbrc,
    star,
)
from .highway import chaos_free, intersection_rnn, ran, recurrent_highway, ugrnn
from .lstm import (
    janet,
    lstm,
    lstm_1997,
    lstm_layernorm,
    lstm_peephole,
    lstm_projected,
    lstm_working_memory,
    mi_lstm,
    multiplicative_lstm,
    nas_cell,
    sub_lstm,
)
from .memory import delta_net, gated_linear_attention, linear_attention, mlstm, retention, rwkv, slstm
from .odyssey import cifg, lstm_fgr, lstm_nfg, lstm_niaf, lstm_nig, lstm_noaf, lstm_nog
from .parallel import min_gru, min_lstm, qrnn, rg_lru, selective_ssm, sru
from .simple import fast_rnn, indrnn, irnn, jordan, leaky_srn, mi_rnn, multiplicative_rnn, scrn, srn

FAMILIES: dict[str, dict[Callable[..., Cell], int]] = {
    "the book": {book_srn: 2018, book_lstm: 2018},
    "simple": {
        srn: 1990,
        jordan: 1986,
        leaky_srn: 2007,
        multiplicative_rnn: 2011,
        scrn: 2014,
        irnn: 2015,
        mi_rnn: 2016,
        indrnn: 2018,
        fast_rnn: 2018,
    },
    "highway": {
        ugrnn: 2017,
        intersection_rnn: 2017,
        chaos_free: 2017,
        ran: 2017,
        recurrent_highway: 2017,
    },
    "LSTM": {
        lstm: 2000,
        lstm_1997: 1997,
        lstm_peephole: 2002,
        lstm_projected: 2014,
        lstm_layernorm: 2016,
        mi_lstm: 2016,
        multiplicative_lstm: 2017,
        sub_lstm: 2017,
        nas_cell: 2017,
        janet: 2018,
        lstm_working_memory: 2021,
    },
    "odyssey": {
        lstm_nig: 2017,
        lstm_nfg: 2017,
        lstm_nog: 2017,
        lstm_niaf: 2017,
        lstm_noaf: 2017,
        cifg: 2017,
        lstm_fgr: 2017,
    },
    "GRU": {
        gru: 2014,
        gru_reset_after: 2014,
        mut1: 2015,
        mut2: 2015,
        mut3: 2015,
        mgu: 2016,
        mi_gru: 2016,
        gru1: 2017,
        gru2: 2017,
        gru3: 2017,
        li_gru: 2018,
        atr: 2018,
        fast_grnn: 2018,
        brc: 2021,
        nbrc: 2021,
        star: 2021,
    },
    "dynamics": {
        antisymmetric: 2019,
        antisymmetric_gated: 2019,
        lmu: 2019,
        cornn: 2021,
        lem: 2022,
    },
    "parallel": {
        qrnn: 2017,
        sru: 2018,
        selective_ssm: 2023,
        min_gru: 2024,
        min_lstm: 2024,
        rg_lru: 2024,
    },
    "memory": {
        linear_attention: 2020,
        delta_net: 2021,
        retention: 2023,
        rwkv: 2023,
        gated_linear_attention: 2024,
        slstm: 2024,
        mlstm: 2024,
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
