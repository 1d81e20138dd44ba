"""The sunspots of each next year, 1921 to 1955, learnt from 1700 to 1920: ten LSTMs beside an autoregression."""

import json
from pathlib import Path

import numpy as np

import blocks as bk
from blocks.tasks.sunspots import VARIANCE, autoregression, sunspots

years, activity = sunspots()
CHECKED, KNOWN, END = (int(np.searchsorted(years, year)) for year in (1881, 1921, 1956))


def pairs(first, last):
    """Years, each with the one after it, in hundreds of spots."""
    x = activity[None, first:last, None] / 100.0
    return {"x": x[:, :-1], "target": x[:, 1:]}


def error(forecast):
    """Of 1921 to 1955, relative to the variance of the record."""
    return ((forecast - activity[KNOWN:END]) ** 2).mean(axis=-1) / VARIANCE


def learn(epochs=1500, patience=200, trials=10, units=8):
    x, target = bk.sequence("x", 1), bk.sequence("target", 1)  # (time, batch, 1)
    y = x + bk.ADD(1, name="change")(bk.scan(bk.cells.lstm(1, units), bk.noise(x, 0.03)))  # this year and a change
    model = bk.Model(loss=bk.losses.squared_error(y, target), outputs={"y": y}, trials=trials, seed=0)
    settings = {"optimizer": bk.AdamW(3e-3, decay=1e-3), "clip": 1.0, "epochs": epochs, "patience": patience}
    model.fit(pairs(0, CHECKED), validation=pairs(CHECKED, KNOWN), **settings)
    return 100.0 * model.predict(pairs(0, END))[:, 0, KNOWN - 1 :, 0]  # (trials, 35)


if __name__ == "__main__":
    before, linear, ours = activity[KNOWN - 1 : END - 1], autoregression(activity[:END], KNOWN, 12), learn()
    found = {"before": error(before), "linear": error(linear), "together": error(ours.mean(axis=0))}
    found |= {"mean": error(ours).mean(), "least": error(ours).min(), "most": error(ours).max()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
