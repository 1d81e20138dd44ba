"""The tables of speed in the pages, of what was measured and kept as JSON.

    python -m benchmarks.speed -o benchmarks/results/speed_gradients.json
    python -m benchmarks.results                                       # write the tables anew

A table has the median over all rounds of blocks' time over another's, and below it the geometric mean over all sizes.
"""

import json
import re
import statistics
from pathlib import Path

from benchmarks.apart import threads_of

KEPT = Path(__file__).with_name("results")
PAGE = Path(__file__).parents[1] / "docs" / "pages" / "speed.md"
BEGIN, END = "<!-- python -m benchmarks.results writes from here -->\n", "<!-- to here -->\n"
WHAT = {"gradients": "forward and all gradients of the weights", "forward": "forward alone"}


def kept(folder=KEPT):
    """The rows of all results, with the day and machine of each file."""
    return [
        {**row, "date": found["date"], "processor": found["processor"]}
        for path in sorted(folder.glob("speed*.json"))
        for found in [json.loads(path.read_text())]
        for row in found["results"]
    ]


def table(rows, columns):
    """A Markdown table: a row for each size, a column for each of some functions of the rows of that size."""
    points = list(dict.fromkeys(tuple(row["point"]) for row in rows))
    found = {name: [value(rows, point) for point in points] for name, value in columns.items()}
    found = {name: values for name, values in found.items() if any(v is not None for v in values)}
    lines = [["steps, batch, inputs, units", *found], ["---"] * (len(found) + 1)]
    for i, point in enumerate(points):
        lines.append([", ".join(map(str, point)), *(shown(values[i]) for values in found.values())])
    means = [[v for v in values if v is not None] for values in found.values()]
    lines.append(["geometric mean", *(shown(statistics.geometric_mean(v)) for v in means)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value):
    return "" if value is None else f"{value:.3f}" if value < 0.01 else f"{value:.2f}"


def over(other, cell):
    """The ratio of a cell to another contestant, as a column."""

    def value(rows, point):
        found = [r["ratios"].get(other) for r in rows if r["cell"] == cell and tuple(r["point"]) == point]
        return found[0] if found else None

    return value


def text(rows):
    """All tables, of an LSTM beside everything and of each cell beside nn.LSTM."""
    parts = []
    for key in dict.fromkeys((r["what"], r["dtype"], r["threads"]) for r in rows):
        what, dtype, threads = key
        mine = [r for r in rows if (r["what"], r["dtype"], r["threads"]) == key]
        cells, others = (list(dict.fromkeys(n for r in mine for n in names(r))) for names in (cell_of, ratios_of))
        title = f"{WHAT[what]}, {dtype}, {threads_of(threads)}"
        parts.append(f"**{title[0].upper()}{title[1:]}** ({mine[0]['processor']}, {mine[0]['date']})")
        if "lstm" in cells:
            lstm = [r for r in mine if r["cell"] == "lstm"]
            parts.append("The LSTM's time over that of others:")
            parts.append(table(lstm, {other: over(other, "lstm") for other in others}))
        if len(cells) > 1:
            parts.append("The time of each cell over that of PyTorch's fused `nn.LSTM`:")
            parts.append(table(mine, {cell: over("nn.LSTM", cell) for cell in cells}))
    return "\n\n".join(parts) + "\n"


def cell_of(row):
    return [row["cell"]]


def ratios_of(row):
    return row["ratios"]


def written(page, rows):
    """A page with the tables between the two lines that mark their place."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: f"{BEGIN}\n{text(rows)}\n{END}", page, count=1, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), kept()))
