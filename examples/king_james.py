"""Five cells of about 60,000 weights read the King James Bible: bits per character of its last tenth."""

import bisect
import time

import blocks as bk
from blocks.tasks import text
from blocks.tasks.king_james import king_james

CELLS = ("srn", "gru", "lstm", "min_gru", "mlstm")


def model_of(cell, letters, weights):
    """A character model with as many units as so many weights allow."""

    def of(units):
        return text.character_model(getattr(bk.cells, cell), len(letters), units, seed=0)

    return of(bisect.bisect_right(range(1, 513), weights, key=lambda n: sum(w.size for w in of(n).weights.values())))


def read(bible, weights=60_000, epochs=1, cells=CELLS):
    train, held_out = text.split(bible)
    letters = text.Vocabulary.of(bible)
    ids, test = letters.encode(train), letters.encode(held_out)
    data = text.streams(ids, 32)
    bits = {"bigrams": text.bigram_bits(ids, test, len(letters))}
    rate = bk.schedules.cosine(4e-3, epochs * -(-data["char"].shape[1] // 50), final=2e-4, warmup=20)
    for cell in cells:
        model, start = model_of(cell, letters, weights), time.perf_counter()
        model.fit(data, epochs=epochs, batch_size=32, tbptt=50, optimizer=bk.Adam(rate), clip=1.0)
        bits[cell] = text.bits_per_character(model, test)
        print(f"{cell}: {bits[cell]:.3f}; {model}, {time.perf_counter() - start:.0f} s", flush=True)
    return bits


if __name__ == "__main__":
    print(", ".join(f"{name} {bits:.3f}" for name, bits in read(king_james()).items()), "bits per character")
