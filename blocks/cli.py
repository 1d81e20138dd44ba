"""The command line: ``blocks demo``, ``train``, ``draw``, ``cells`` and so on."""

from __future__ import annotations

import importlib.util
import io
import math
import os
import sys
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from .cell import Cell
from .errors import BlocksError, WiringError, nearest
from .graph import show_shape
from .tasks import text as task

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Recurrent networks of LEGO-like bricks, trained jointly, drawn from the graph that trains.",
)


def _version(asked: bool) -> None:
    if asked:
        from . import __version__

        typer.echo(f"blocks {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Recurrent networks of LEGO-like bricks, trained jointly, drawn from the graph that trains."""


CellName = Annotated[str, typer.Argument(metavar="CELL", help="A gallery cell (lstm, gru, ...) or FILE.py:FUNCTION.")]
Units = Annotated[int, typer.Option(min=1, help="Units of the cell.")]
TargetName = Annotated[
    str, typer.Option(help="What computes: auto (or what BLOCKS_TARGET names), native, numpy, interpreter.")
]


def load_cell(spec: str) -> Callable[[int, int], Cell]:
    """A cell function by its name in the gallery, or as FILE.py:FUNCTION, called with (inputs, units).

    Raises BlocksError naming what was not found.
    """
    if ":" not in spec:
        if spec not in task.CELLS:
            known = ", ".join(task.CELLS)
            raise BlocksError(
                f"no cell {spec!r} in the gallery{nearest(spec, task.CELLS)}; there are {known}, or FILE.py:FUNCTION"
            )
        return task.CELLS[spec]
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise BlocksError(f"there is no file {file!r}")
    found = importlib.util.spec_from_file_location("_user_cells", path)
    if found is None or found.loader is None:
        raise BlocksError(f"{file!r} is no Python file")
    module = importlib.util.module_from_spec(found)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise BlocksError(f"{file!r} does not run: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        functions = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise BlocksError(f"{file!r} has no function {name!r}{nearest(name, functions)}; it has {', '.join(functions)}")

    def build(inputs: int, units: int) -> Cell:
        cell = function(inputs, units)
        if not isinstance(cell, Cell):
            raise BlocksError(f"{spec} returned a {type(cell).__name__}, not a Cell")
        return cell

    return build


@app.command(epilog="Example: blocks demo -o demo")
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the page and what it shows.")] = Path(
        "blocks-demo"
    ),
    units: Units = 96,
    updates: Annotated[int, typer.Option(min=10, help="Updates of each network.")] = 800,
    target: TargetName = "auto",
) -> None:
    """Train an SRN and an LSTM on a task with a long lag and on real text; write a page, figures and a model."""
    from .tasks.demo import run_demo

    run_demo(output, units, updates, target=target)
    typer.echo(
        f"\nwritten to {output}/: {', '.join(sorted(p.name for p in output.iterdir() if not p.name.startswith('.')))}"
        f"\nlook at {output}/index.html"
    )


@app.command(
    epilog="Example: blocks train book.txt --cell gru --units 128 -o gru.safetensors; "
    "by two processes: torchrun --nproc-per-node 2 -m blocks train book.txt"
)
def train(
    text: Annotated[Path | None, typer.Argument(help="A text file (UTF-8); by default Python's own help.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The model file; saved while it trains.")] = Path(
        "model.safetensors"
    ),
    cell: Annotated[str, typer.Option(help="A gallery cell or FILE.py:FUNCTION.")] = "lstm",
    units: Units = 128,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How often to go through the text.  [default: 5]", show_default=False)
    ] = None,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 3e-3,
    batch: Annotated[int, typer.Option(min=1, help="Streams of text side by side.")] = 32,
    steps: Annotated[int, typer.Option(min=1, help="Steps of truncated backpropagation.")] = 50,
    clip: Annotated[float, typer.Option(help="Largest norm of the gradient.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    target: TargetName = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the model file, if it exists: finish its run, or train on.")
    ] = False,
) -> None:
    """Train a character model on a text. Ctrl-C leaves a model that --resume goes on from. Under torchrun several
    processes, also on several machines, share the streams of each batch."""
    from .train.files import check_writable
    from .train.model import Model
    from .train.optimizers import Adam
    from .train.ranks import ranks

    team = ranks()
    say = typer.echo if team.rank == 0 else (lambda *_, **options: None)
    try:
        whole = task.python_topics() if text is None else text.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BlocksError(f"{text}: {error}") from None
    training, held_out = task.split(whole)
    check_writable(output)
    letters = task.Vocabulary.of(whole)
    model = task.character_model(load_cell(cell), len(letters), units, seed=seed, target=target)
    model.info = {"task": "text", "characters": letters.characters, "cell": cell}
    data = task.streams(letters.encode(training), batch)
    test = letters.encode(held_out)
    finish = False
    if resume and output.exists():
        saved = Model.load(output, target=target)
        if saved.graph.params != model.graph.params or saved.info != model.info:
            raise BlocksError(f"{output}: this is another model ({saved}); its text, cell and units must be the same")
        model, finish = saved, saved.training is not None and saved.training.interrupted
    say(f"{len(whole):,} characters, {len(letters)} different ones; {model}")
    before = output.stat().st_mtime_ns if output.exists() else None
    try:
        say(model.computed_by() + (f", by {team.count} processes" if team.count > 1 else ""))
        model.fit(
            data, epochs=epochs if finish else epochs or 5, batch_size=batch, tbptt=steps, optimizer=Adam(lr),
            clip=clip, validation=task.streams(test, min(8, batch)), autosave=output, resume=finish,
        )  # fmt: skip
    except KeyboardInterrupt:
        if output.exists() and output.stat().st_mtime_ns != before:
            say(f"\nstopped; {output} holds the model so far: go on with --resume", err=True)
        else:
            say("\nstopped before the first update: nothing is written", err=True)
        raise typer.Exit(130) from None
    for record in model.history.epochs:
        bits = record["validation"] / math.log(2)
        say(f"epoch {record['epoch'] + 1}: loss {record.get('loss', math.nan):.4f}, held out {bits:.3f} bits/character")
    say(f"written: {output}")


@app.command(epilog='Example: blocks sample model.safetensors --prime "The " --temperature 0.6 --top-p 0.95')
def sample(
    model: Annotated[Path, typer.Argument(help="A model file of blocks train or blocks demo.")],
    length: Annotated[int, typer.Option(min=1)] = 400,
    prime: Annotated[str, typer.Option(help="Text to begin with.")] = "\n",
    temperature: Annotated[
        float, typer.Option(min=0.0, help="1: as learnt; less: more careful; 0: the most likely.")
    ] = 0.7,
    top_k: Annotated[int | None, typer.Option(min=1, help="Draw only from the so many most likely characters.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw only from the likely ones that have this share.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    target: TargetName = "auto",
) -> None:
    """Let a character model write."""
    from .train.generate import generate
    from .train.model import Model

    loaded = Model.load(model, target=target)
    characters = loaded.info.get("characters")
    if loaded.info.get("task") != "text" or not isinstance(characters, str):
        raise BlocksError(f"{model}: this model was not trained on text by blocks train")
    if not prime:
        raise BlocksError("the prime must hold at least one character")
    letters = task.Vocabulary(characters)
    ids = generate(
        loaded, letters.encode(prime), length, temperature=temperature, top_k=top_k, top_p=top_p,
        without=[len(characters)], seed=seed,
    )  # fmt: skip
    sys.stdout.write(prime.lstrip("\n") + letters.decode(ids[0]) + "\n")


@app.command(epilog="Example: blocks draw lstm -o lstm.svg --highlight forget --unroll 3")
def draw(
    cell: CellName,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The file: .svg, .png, .pdf, .dot, .tex, .tikz, .mmd, .graphml or .json."),
    ],
    highlight: Annotated[
        list[str] | None, typer.Option(help="A brick, wire or state to emphasise; repeatable.")
    ] = None,
    unroll: Annotated[int | None, typer.Option(min=1, help="Draw so many steps side by side.")] = None,
    zoom: Annotated[str | None, typer.Option(help="The step to show open: a number, middle, all or none.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Leave out no step, however many there are.")] = False,
    open_: Annotated[list[str] | None, typer.Option("--open", help="A brick to show opened; repeatable.")] = None,
    operations: Annotated[bool, typer.Option("--operations", help="Draw each operation instead of bricks.")] = False,
    gradient: Annotated[bool, typer.Option("--gradient", help="The way of the gradient beside the cell.")] = False,
    shapes: Annotated[bool, typer.Option("--shapes", help="Write the shape on each wire.")] = False,
    as_blocks: Annotated[
        bool, typer.Option("--blocks", help="Draw values and weights with sides as long as their sizes.")
    ] = False,
    counts: Annotated[bool, typer.Option("--counts", help="Write the number of weights into each brick.")] = False,
    fold: Annotated[list[str] | None, typer.Option(help="A cell inside the cell to fold; repeatable.")] = None,
    theme: Annotated[str, typer.Option(help="classic, monochrome or dark.")] = "classic",
    inputs: Annotated[int, typer.Option(min=1, help="Features of the input.")] = 8,
    units: Units = 8,
) -> None:
    """Draw a cell."""
    figure = load_cell(cell)(inputs, units).draw(
        highlight=highlight or None, bricks=not operations, shapes="blocks" if as_blocks else shapes, counts=counts,
        unroll=unroll, zoom=zoom, full=full, open=open_ or None, gradient="beside" if gradient else None, theme=theme,
        fold=fold or False, title=cell.rpartition(":")[2],
    )  # fmt: skip
    typer.echo(f"written: {figure.save(output)}")


@app.command(
    epilog="Examples: blocks explain lstm -o lstm.html; blocks explain srn --steps 8 --task echo; "
    "blocks explain --lesson vanishing"
)
def explain(
    cell: Annotated[
        str, typer.Argument(metavar="[CELL]", help="A gallery cell, FILE.py:FUNCTION, or a MODEL.safetensors.")
    ] = "lstm",
    output: Annotated[Path, typer.Option("-o", "--output", help="The page, an .html file.")] = Path("page.html"),
    steps: Annotated[int, typer.Option(min=1, help="Steps to walk through.")] = 4,
    units: Units = 3,
    task: Annotated[str, typer.Option(help="What the inputs and the target are: recall, echo or adding.")] = "recall",
    seed: Annotated[int, typer.Option(min=0, help="Of weights and inputs.")] = 0,
    lesson: Annotated[
        str | None,
        typer.Option(help="A lesson: vanishing, gates, shared-weights, forks or learning-rate; it brings its cell."),
    ] = None,
) -> None:
    """Write a page that steps through a cell with real numbers: forwards, loss, backwards, update. It computes and
    learns by itself, in any browser, and fetches nothing."""
    from rich.console import Console

    from .explain import explain as page_of
    from .train.model import Model

    subject = Model.load(Path(cell), target="interpreter") if cell.endswith(".safetensors") else load_cell(cell)
    with Console(stderr=True).status("tracing and drawing"):  # where there is a terminal
        page = page_of(subject, steps=steps, units=units, task=task, seed=seed, lesson=lesson)
    typer.echo(f"written: {page.save(output)}, {page.trace.steps} steps; open it in a browser")


@app.command(epilog="Example: blocks export model.safetensors --to torch -o network.py")
def export(
    source: Annotated[
        str, typer.Argument(metavar="CELL|MODEL", help="A gallery cell, FILE.py:FUNCTION, or a model file.")
    ],
    to: Annotated[str, typer.Option(help="The language: numpy, python, torch, jax, onnx.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    inputs: Annotated[int, typer.Option(min=1, help="Features of the input of a cell.")] = 8,
    units: Units = 8,
) -> None:
    """Write a cell or a model in another language, as a text that runs without blocks; for onnxruntime, as a file.

    A cell is written as one step, a model as what its predict does; the text says how to read the weights from the
    model file. With --to python it is the Python that makes the cell, or those of the model, with blocks. With --to
    onnx the weights stand in the file.
    """
    from .exchange.export import LANGUAGES
    from .files import write_whole
    from .train.model import Model

    if to not in LANGUAGES:
        raise BlocksError(f"no language {to!r}{nearest(to, LANGUAGES)}; there are {', '.join(LANGUAGES)}")
    is_model = source not in task.CELLS and ":" not in source and Path(source).is_file()
    if is_model:
        written = LANGUAGES[to](Model.load(source), None)
    else:
        written = LANGUAGES[to](load_cell(source)(inputs, units), source.rpartition(":")[2])
    write_whole(output, written)
    typer.echo(f"written: {output}")


@app.command(epilog="Example: blocks figures -o figures")
def figures(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write into.")] = Path("blocks-figures"),
    format: Annotated[list[str] | None, typer.Option(help="svg, png, pdf, ...; repeatable.")] = None,
    theme: Annotated[str, typer.Option(help="classic, monochrome or dark.")] = "classic",
    page: Annotated[bool, typer.Option("--page", help="Write a README.md that shows them, too.")] = False,
) -> None:
    """Write the book's figures 7.3 and 7.4 a to d, and one of each gallery cell."""
    from .draw.figures import write_figures

    written = write_figures(output, tuple(format or ("svg", "png")), theme, page)
    typer.echo(f"written to {output}/: {', '.join(path.name for path in written)}")


@app.command(epilog="Example: blocks cells --family GRU --inputs 8 --units 32")
def cells(
    inputs: Annotated[int, typer.Option(min=1, help="Features of the input.")] = 8,
    units: Units = 8,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
) -> None:
    """List the cells of the gallery: family, year, weights, products with matrices in a step, and what each is."""
    from .cells.table import FAMILIES, GALLERY

    known = {name.lower(): name for name in FAMILIES}
    if family is not None and family.lower() not in known:
        raise BlocksError(f"no family {family!r}{nearest(family, FAMILIES)}; there are {', '.join(FAMILIES)}")
    shown = [e for e in GALLERY.values() if family is None or e.family == known[family.lower()]]
    width = max(len(e.name) for e in shown)
    typer.echo(f"weights and products for {inputs} inputs, {units} units")
    typer.echo(f"{'cell':<{width}}  {'family':<9} year  weights  products")
    for e in shown:
        try:
            counts = f"{e.weights(inputs, units):>7,}  {e.products(inputs, units):>8}"
        except WiringError:  # what adds x and h wants inputs = units
            counts = f"{'-':>7}  {'-':>8}"
        typer.echo(f"{e.name:<{width}}  {e.family:<9} {e.year}  {counts}  {e.line}")


@app.command(epilog="Example: blocks describe lstm --inputs 8 --units 32")
def describe(
    cell: CellName,
    inputs: Annotated[int, typer.Option(min=1, help="Features of the input.")] = 8,
    units: Units = 8,
) -> None:
    """Print the equations and the weights of a cell."""
    from .equations import equations

    built = load_cell(cell)(inputs, units)
    typer.echo("equations (h' is h one step before)")
    for line in equations(built.graph):
        typer.echo("  " + line)
    typer.echo("\nweights")
    total = 0
    for name, shape in built.params.items():
        count = math.prod(int(d) for d in shape)
        total += count
        typer.echo(f"  {name:<24} {show_shape(shape):<12} {count:>10,}")
    typer.echo(f"  {'total':<24} {'':<12} {total:>10,}")


@app.command(epilog="Example: blocks reproduce hs-adding --trials 5 -o results")
def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="An experiment, as --list names them, or all.")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder for results, plots and a page of both.")
    ] = Path("blocks-experiments"),
    list_: Annotated[
        bool, typer.Option("--list", help="List the experiments, their rows and the papers' numbers; so does no NAME.")
    ] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of each row; as many as the paper ran.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small version, in about a minute.")] = False,
    row: Annotated[list[str] | None, typer.Option(help="Only rows with this in their name; repeatable.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Run nothing; write plots and page of what is there.")] = False,
) -> None:
    """Run a published experiment again, ours beside the paper's. Run once more, it goes on where it was stopped. Under
    torchrun several processes share the trials."""
    from .experiments.page import write_page
    from .experiments.reproduce import listing, table
    from .experiments.reproduce import reproduce as run
    from .train.ranks import ranks

    if page:
        typer.echo(f"written: {write_page(output)}")
        return
    if list_ or name is None:
        typer.echo("\n".join(listing()))
        return

    def say(line: str) -> None:
        typer.echo(line, err=json)

    try:
        found = run(name, output, trials, seed, quick, tuple(row or ()), say=say)
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; what there is so far stands in {output}: the same command goes on", err=True)
        raise typer.Exit(130) from None
    if ranks().rank:
        return  # the first process shows
    if json:
        typer.echo(dumps(found if name == "all" else found[0], ensure_ascii=False))
        return
    for results in found:
        typer.echo("")
        for line in table(results):
            typer.echo(line)
    typer.echo(f"\nwritten to {output}/")


@app.command(epilog="Example: blocks doctor")
def doctor() -> None:
    """Say what this machine has, and what would help."""
    from .doctor import report

    for line in report():
        typer.echo(line)


def main() -> None:
    """The entry point; what goes wrong is one line, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character shows its escape
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except BlocksError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError as error:
        fail(f"there is not enough memory{f': {error}' if str(error) else ''}")


def fail(message: str) -> None:
    """One line, and the exit status of a mistake."""
    typer.echo(f"blocks: {message}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
