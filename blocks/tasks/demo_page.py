"""The page of the main job: what it found, what to look at, and what to try next; beside the figures that it shows."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path

from ..files import write_whole

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>An SRN and an LSTM, made of bricks</title>
<style>
:root {{ color-scheme: light; }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.2rem; }}
pre {{ background: #f4f4f1; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; }}
pre.text {{ white-space: pre-wrap; }}
img {{ max-width: 100%; height: auto; display: block; margin: 1rem auto; }}
.pair {{ display: grid; grid-template-columns: 1fr 2fr; align-items: center; gap: 1rem; }}
@media (max-width: 40rem) {{ .pair {{ grid-template-columns: 1fr; }} }}
</style>
</head>
<body>
<h1>An SRN and an LSTM, made of bricks</h1>
<p>Both are composed of the same bricks, have as many units, and make as many updates. Nothing in the framework knows
either: each is a graph, its gradient another one, and both are compiled.</p>

<h2>Where an LSTM is worth its cost: a long lag</h2>
<p>Of 60 numbers two are marked, one in each half, and the last step asks for their sum. Look at where the curves part:
the SRN answers the mean whatever it is shown, as the gradient of what came many steps before has faded away. The LSTM
carries it on in C.</p>
<img src="adding.png" width="1050" height="480" alt="The SRN's error stays at that of the mean, the LSTM's falls.">
<pre>{sums}</pre>

<h2>Where it is not: text</h2>
<p>Most of the next character is in the last few ones, so both learn to write about as well, and both are well below
pairs of characters.</p>
<img src="text.png" width="1050" height="480" alt="The curves of both lie close to each other.">
<pre>{text}</pre>
<p>{time}.</p>
<p>What the LSTM writes after “The ” (<a href="sample.txt">sample.txt</a>):</p>
<pre class="text">{sample}</pre>

<h2>What they are</h2>
<p>Yellow is a brick with weights of its own, pink an operation without any. Look at the thick line of the LSTM: C goes
from step to step through one product and one sum, and no squashing. The SRN's state goes through tanh at each step.</p>
<div class="pair"><img src="srn.svg" alt="The cell of the SRN."><img src="lstm.svg" alt="The cell of the LSTM."></div>
<p>The gradient of the LSTM is a graph as well, drawn in the same places. On its way back along C it meets one product,
with the forget gate; so it fades only as far as that gate closes.</p>
<img src="gradient.svg" alt="The gradient of the LSTM on its way back.">

<h2>Try next</h2>
<pre>blocks sample {folder}/lstm.safetensors --prime "The " --temperature 0.4  # it writes on, more carefully
blocks explain lstm -o lstm.html                           # step through it with numbers, learn, go back
blocks explain lstm --lesson vanishing -o fading.html      # watch the gradient fade
blocks draw gru -o gru.svg --unroll 3                      # another cell, over three steps
blocks train book.txt --cell gru -o gru.safetensors        # a text of your own
blocks cells                                               # all that there are; README.md: make yours</pre>
</body>
</html>
"""


def write_page(path: Path, facts: Mapping[str, str]) -> None:
    """Write the page of some facts: the tables "sums" and "text", what the "time" of an update comes to, a "sample",
    and the "folder"."""
    write_whole(path, PAGE.format(**{name: html.escape(said) for name, said in facts.items()}).encode())
