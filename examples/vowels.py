"""Which of nine speakers says a vowel: a bidirectional LSTM of two layers, normalised, with variational dropout."""

import blocks as bk
from blocks.tasks.vowels import japanese_vowels


def classifier(units=32, rate=0.3, **options):
    mask, speaker = bk.sequence("mask"), bk.input("speaker", dtype="int")
    wire = bk.sequence("x", 12)  # (time, batch, 12)
    for layer in ("layer1", "layer2"):
        n = wire.shape[-1]
        wire = bk.dropout(wire, rate, shape=("batch", n))  # one draw for all steps (Gal 2016)
        ahead, back = bk.cells.lstm_layernorm(n, units), bk.cells.lstm_layernorm(n, units)
        wire, last = bk.bidirectional(ahead, back, wire, mask=mask, final=True, name=layer)
    h = bk.concat(last["layer2/forward/h"], last["layer2/backward/h"])  # (batch, 64)
    scores = bk.ADD(9, name="scores")(bk.dropout(h, rate))
    loss = bk.losses.cross_entropy(scores, speaker, label_smoothing=0.1)
    return bk.Model(loss=loss, outputs={"scores": scores}, **options)


def right(model, data):
    """The share of utterances whose speaker is found."""
    return (model.predict({"x": data["x"]}).argmax(axis=-1) == data["speaker"]).mean(axis=-1)


if __name__ == "__main__":
    train, test = japanese_vowels()
    model = classifier(seed=0)
    model.fit(train, epochs=40, batch_size=30, optimizer=bk.Adam(bk.schedules.cosine(6e-3, 360)), clip=1.0)
    print(f"{right(model, test):.1%} of the speakers of {len(test['x'])} utterances are found")
