"""Entries of a Hugging Face data set, by name or from a folder: read one by one, never more than are asked for."""

import importlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from icltui.storage.paths import typed_path
from icltui.values.errors import BadInput

_USUAL_SPLITS = ("test", "validation", "train")


def read_data_set(name: str, most: int) -> Iterator[Mapping[str, object]]:
    """The entries of ``NAME`` or ``NAME:SPLIT``; without a split the first of test, validation and train.

    Raises:
        BadInput: the library is missing, or there is no such data set.
    """
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as error:
        raise BadInput(
            f"no file {name!r}; for a data set of that name: pip install 'icltui[datasets]'"
        ) from error
    path, colon, split = name.rpartition(":")
    path, split = (path, split) if colon and not typed_path(name).is_dir() else (name, "")
    try:
        splits = datasets.load_dataset(path, streaming=True)
        chosen = split or next((usual for usual in _USUAL_SPLITS if usual in splits), next(iter(splits), ""))
        if chosen not in splits:
            raise BadInput(f"data set {path!r} has no split {chosen!r}: choose from {', '.join(splits)}")
        yield from itertools.islice(splits[chosen], most)
    except BadInput:
        raise
    except Exception as error:  # the library raises its own, httpx's and fsspec's
        why = " ".join(str(error).split())[:160]
        raise BadInput(
            f"no file {name!r}, and no data set of that name could be read ({type(error).__name__}: {why}): "
            "give a file of prompts, or the name of a data set that can be reached"
        ) from error
