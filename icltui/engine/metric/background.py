"""A text of what is ordinary, as rows of tokens.

Enters: the name of a file, or none. Leaves: a :class:`Background`, and rows of it, in two parts: one for the metric,
the other held out, so that a patch's effect on ordinary text is not measured on what it was made to leave alone.
A form feed ends a document, and no row goes on from one to the next.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.kept_token import kept_token
from icltui.engine.prompts.offsets import encode
from icltui.storage.paths import BACKGROUND, typed_path
from icltui.storage.text_file import read_text
from icltui.values.errors import BadInput

Part = Literal["metric", "held out"]
FILE = "background.txt"
"""A model's own background, in its folder."""
ROW = 256
"""Tokens of a row, those kept before it included."""
_PERIOD = 5
"""Of so many rows one is held out."""
MOST_TOKENS = 16_000
"""Of a part, or so; the rows of a longer text are evenly spread over it."""
FEWEST_TOKENS = 1024
"""Of a text: less of it says little about what is ordinary."""
_FEWEST_IN_ROW = 8


@dataclass(frozen=True)
class Background:
    """A text, and where it is from."""

    name: str
    """Where it is from, for messages."""
    text: str

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that tell the text from any other."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class BackgroundRow:
    """Tokens of the text, after those that are kept before every text."""

    ids: tuple[int, ...]
    n_kept: int
    """The number of kept tokens."""

    @property
    def n_text(self) -> int:
        """The number of tokens of the text."""
        return len(self.ids) - self.n_kept


def read_background(loaded: LoadedModel, file: str) -> Background:
    """The text of ``file``; where it is empty, the model's own, else the one that comes with the program.

    Raises:
        BadInput: a file that cannot be read, is too large, or is no UTF-8.
    """
    own = _own_file(loaded)
    path = typed_path(file) if file else own or BACKGROUND
    name = "the background text" if path == BACKGROUND else f"the background text {file or path}"
    text = read_text(path, "name another --background, or restore that file")
    if "\0" in text:
        raise BadInput(f"{name} is no text, as it contains a NUL: give --background another file")
    return Background(name, text)


def _own_file(loaded: LoadedModel) -> Path | None:
    """The background beside the model's weights, where its folder has one."""
    folder = str(getattr(loaded.model, "name_or_path", ""))
    file = Path(folder, FILE)
    return file if folder and file.is_file() else None


def rows(loaded: LoadedModel, background: Background, part: Part = "metric") -> list[BackgroundRow]:
    """The rows of one part of the text, at most :data:`MOST_TOKENS`, each with the kept tokens before it.

    Raises:
        BadInput: a text of fewer than :data:`FEWEST_TOKENS` tokens.
    """
    every = list(_rows(loaded, background.text))
    if (n_tokens := sum(row.n_text for row in every)) < FEWEST_TOKENS:
        raise BadInput(
            f"{background.name} has {n_tokens:,} tokens, too few to say what is ordinary: give --background a file of "
            f"{FEWEST_TOKENS:,} or more"
        )
    parts: dict[Part, list[BackgroundRow]] = {"metric": [], "held out": []}
    for number, row in enumerate(every):
        parts["held out" if number % _PERIOD == _PERIOD - 1 else "metric"].append(row)
    return _thinned(parts[part])


def _thinned(part: list[BackgroundRow]) -> list[BackgroundRow]:
    """Every row, or rows at even distances."""
    step = max(1.0, sum(row.n_text for row in part) / MOST_TOKENS)
    return [part[int(k * step)] for k in range(int(len(part) / step))]


def _rows(loaded: LoadedModel, text: str) -> Iterator[BackgroundRow]:
    length = min(ROW, loaded.window or ROW)
    for document in text.split("\f"):
        prefix, body = encode(loaded.tokenizer, document.strip("\n"), special=True)
        kept = tuple(prefix or _instead(loaded))
        ids = [token for token, _ in body]
        step = length - len(kept)
        for begin in range(0, len(ids), step):
            if len(piece := ids[begin : begin + step]) >= _FEWEST_IN_ROW:
                yield BackgroundRow((*kept, *piece), len(kept))


def _instead(loaded: LoadedModel) -> list[int]:
    """The token that takes the sink, where the tokenizer puts none, as in a prompt."""
    token = kept_token(loaded) if loaded.sink else None
    return [] if token is None else [token]
