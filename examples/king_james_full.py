"""A character model on the King James Bible with all that fit has: dropout, a moving average of the weights, a rate
that falls at a plateau, a log for TensorBoard; interrupted, and resumed to the same bits, from the folder given."""

import json
import sys
from pathlib import Path

import blocks as bk
from blocks.tasks import king_james, text


def model_of(letters, units, rate):
    """An embedding, an LSTM and a read-out; `rate` of what the read-out reads is dropped."""
    ids, following = bk.sequence("char", dtype="int"), bk.sequence("next", dtype="int")
    hs = bk.scan(bk.cells.lstm(48, units), bk.EMBED(len(letters), 48, name="letters")(ids))
    logits = bk.ADD(len(letters), name="read_out")(bk.dropout(hs, rate))
    return bk.Model(loss=bk.losses.cross_entropy(logits, following), outputs={"logits": logits}, seed=0)


def read(bible, folder=None, units=96, epochs=6, stop=None, threshold=0.02):
    """Train, plainly, or with all of it where there is a folder; until the update `stop`, or on from there."""
    (rest, held), letters = text.split(bible), text.Vocabulary.of(bible)
    train, valid = (text.streams(letters.encode(part), 32) for part in text.split(rest, 0.05))
    model = model_of(letters, units, 0.1 if folder else 0.0)
    options = {"epochs": epochs, "batch_size": 32, "tbptt": 50, "clip": 1.0}
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        rate = bk.schedules.plateau(5e-3, factor=0.5, patience=0, threshold=threshold)  # a share
        calls = [bk.TensorBoard(folder / "log", every=20), lambda model, record: record["step"] == stop and sys.exit()]
        options |= {"validation": valid, "average": 0.995, "autosave": folder / "run.safetensors", "callbacks": calls}
    model.fit(train, optimizer=bk.Adam(rate if folder else 5e-3), resume=bool(folder), **options)
    return model, text.bits_per_character(model.averaged() if folder else model, letters.encode(held))


if __name__ == "__main__":
    bible, folder = king_james.king_james()[:1_000_000], Path((sys.argv[1:] or ["king-james"])[0])
    found = {name: read(bible, where) for name, where in (("plain", None), ("full", folder))}
    rows = {name: {"bits": bits, "rate": model.history.steps[-1]["lr"]} for name, (model, bits) in found.items()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
