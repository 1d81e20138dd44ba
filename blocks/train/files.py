"""A model as one ``.safetensors`` file, its graph in the metadata. Nothing in it is trusted, as in `blocks.files`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import BlocksError
from ..files import (
    FORMAT,
    VERSION,
    ModelFileError,
    check_version,
    graph_from,
    parse,
    partial_name,
    to_json,
    write_whole,
)
from ..graph import Graph

MODEL = "blocks-model"


def write_model(
    path: str | os.PathLike[str], graph: Graph, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]
) -> None:
    """One ``.safetensors`` file: the arrays, and the graph and `meta` (JSON values) in its metadata."""
    document = {"format": MODEL, "version": VERSION, "graph": json.loads(to_json(graph)), **json_value(meta, "meta")}
    tensors = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_whole(path, save(tensors, metadata={"blocks": json.dumps(document)}))


def json_value(value: Any, label: str) -> Any:
    """A value as JSON has it, NumPy's numbers and arrays as plain ones. Raises BlocksError naming what is neither
    a number, a text, a truth value, None, a list nor a dict by text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "fiub":
        return value.tolist()
    if isinstance(value, list | tuple):
        return [json_value(v, f"{label}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise BlocksError(f"{label} has the key {key!r}; keys that a file can hold are texts")
        return {k: json_value(v, f"{label}[{k!r}]") for k, v in value.items()}
    raise BlocksError(f"{label} is a {type(value).__name__}, which a file cannot hold; it holds what JSON does")


def check_writable(path: Any, label: str = "autosave") -> None:
    """Raises BlocksError for what cannot become a file: no path, a folder, in no folder, in one without the right
    to write."""
    if not isinstance(path, str | os.PathLike):
        raise BlocksError(f"{label} is the name of a file, not {path!r}")
    place = Path(path)
    try:
        if place.is_dir():
            raise BlocksError(f"{os.fspath(path)!r} is a folder; give the name of a file")
        if not place.parent.is_dir():
            raise BlocksError(f"there is no folder {os.fspath(place.parent)!r} for the file {place.name!r}")
        with open(partial := partial_name(place), "xb"):
            pass
        partial.unlink()
    except OSError as error:
        raise BlocksError(f"{os.fspath(path)!r} cannot be written: {error.strerror}") from None


def read_model(path: str | os.PathLike[str]) -> tuple[Graph, dict[str, np.ndarray], dict[str, Any]]:
    """The graph, arrays and metadata of a model file.

    Raises ModelFileError naming the file and what is wrong with it; runs nothing from the file.
    """
    try:
        return _read_model(path)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from None
    except FileNotFoundError:
        raise ModelFileError(f"{os.fspath(path)}: there is no such file") from None
    except IsADirectoryError:
        raise ModelFileError(f"{os.fspath(path)}: this is a folder") from None
    except SafetensorError as error:
        raise ModelFileError(f"{os.fspath(path)}: this is no whole .safetensors file ({error!s:.200})") from None
    except (OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelFileError(f"{os.fspath(path)}: this cannot be read ({error!s:.200})") from None


def _read_model(path: str | os.PathLike[str]) -> tuple[Graph, dict[str, np.ndarray], dict[str, Any]]:
    with open(path, "rb"):
        pass  # the plain error of the operating system, if there is one
    with safe_open(os.fspath(path), framework="np") as file:
        text = (file.metadata() or {}).get("blocks")
        if text is None:
            raise ModelFileError("this is a .safetensors file, but no model of blocks: it has no graph")
        document = parse(text)
        check_version(document, MODEL)
        graph = graph_from(document.pop("graph", None), FORMAT)
        names = set(file.keys())
        missing = [name for name in graph.params if name not in names]
        if missing:
            raise ModelFileError(f"the weights {missing[0]!r} of its graph are not in it")
        trials = document.get("trials")
        for name, alone in graph.params.items():
            found, shape = tuple(file.get_slice(name).get_shape()), alone if trials is None else (trials, *alone)
            if found != shape:
                raise ModelFileError(f"the weights {name!r} are {shape} in its graph, but {found} in the file")
        arrays = {name: file.get_tensor(name) for name in names}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise ModelFileError(f"{name!r:.100} is an array of {array.dtype}")
    return graph, arrays, document
