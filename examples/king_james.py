"""Five cells of about 60,000 weights read the King James Bible: bits per character of its last tenth."""

import bisect
import json
from pathlib import Path

import blocks as bk
from blocks.tasks import text
from blocks.tasks.king_james import king_james

CELLS = ("srn", "gru", "lstm", "min_gru", "mlstm")


def model_of(cell, letters, weights):
    """A character model with as many units as so many weights allow, and how many these are."""

    def of(units):
        return text.character_model(getattr(bk.cells, cell), len(letters), units, seed=0)

    units = bisect.bisect_right(range(1, 513), weights, key=lambda n: of(n).weights.all.size)
    return of(units), units


def read(bible, weights=60_000, epochs=1, cells=CELLS):
    train, held_out = text.split(bible)
    letters = text.Vocabulary.of(bible)
    ids, test = letters.encode(train), letters.encode(held_out)
    data = text.streams(ids, 32)
    found = {"pairs of characters": {"bits": text.bigram_bits(ids, test, len(letters))}}
    rate = bk.schedules.cosine(4e-3, epochs * -(-data["char"].shape[1] // 50), final=2e-4, warmup=20)
    for cell in cells:
        model, units = model_of(cell, letters, weights)
        model.fit(data, epochs=epochs, batch_size=32, tbptt=50, optimizer=bk.Adam(rate), clip=1.0)
        found[cell] = {"bits": text.bits_per_character(model, test), "units": units, "weights": model.weights.all.size}
    return found


if __name__ == "__main__":
    Path(__file__).with_suffix(".json").write_text(json.dumps(read(king_james()), indent=1) + "\n")
