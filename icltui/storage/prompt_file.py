"""Prompts of a sweep from a file or a data set, each with context, query, answer and tags.

Enters: JSON lines, CSV or TSV with a header, the function-vector form ``[{"input", "output"}]``, or the name of a data
set. Leaves: prompts that are whole, and a line about each that is not. Nothing is read beyond its bound.
"""

import csv
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from icltui.storage.data_set import read_data_set
from icltui.storage.paths import shown, typed_path
from icltui.storage.text_file import TooLarge, decode_utf8, read_bytes, utf8_problem
from icltui.values.errors import BadInput, reason_of
from icltui.values.prompt import MOST_BYTES
from icltui.values.sweep import SweepPrompt

MOST_PROMPTS = 1_000_000
MOST_FILE_BYTES = 2**32
_MOST_JSON_BYTES = 2**28
"""Of a function-vector file, which is read whole."""
MOST_TOLD = 20
"""Broken lines that are told one by one."""
_MOST_TAGS = 64
_ENDINGS = (".jsonl", ".ndjson", ".csv", ".tsv", ".json")
FIELDS = ("context", "query", "answer", "tags")
SHOTS = 5
Found = tuple[int, Mapping[str, object] | str]
"""A line's number, and its fields or what is wrong with it."""


class PromptSource(NamedTuple):
    """Where prompts are, and how they are read."""

    name: str
    """A file, a folder of a data set, or a data set's name with ``:SPLIT``."""
    limit: int = MOST_PROMPTS
    """How many of its prompts are read, from the first on."""
    columns: Mapping[str, str] = MappingProxyType({})
    """What its fields are called there, by our names, where that is another one."""
    shots: int = SHOTS
    """Function-vector form: examples before each query."""
    seed: int = 0
    """Function-vector form: seed of the examples."""


class PromptList(NamedTuple):
    """What was read."""

    prompts: tuple[SweepPrompt, ...]
    broken: tuple[str, ...]
    """What is wrong with the first lines or entries that are left out, with their numbers."""
    n_broken: int
    """Lines or entries that are left out."""
    n_duplicates: int
    """Prompts that are left out because an earlier one is equal, tags aside."""


def read_prompts(source: PromptSource) -> PromptList:
    """The prompts of the source.

    Raises:
        BadInput: it cannot be read, holds more than its bounds allow, or not one whole prompt.
    """
    prompts: dict[tuple[str, str, str], SweepPrompt] = {}
    broken, n_broken, n_duplicates = list[str](), 0, 0
    for number, found in itertools.islice(_found(source), source.limit):
        try:
            prompt = _prompt(number, found, source.columns)
        except ValueError as error:
            n_broken += 1
            broken += [f"{number}: {error}"] if n_broken <= MOST_TOLD else []
            continue
        key = (prompt.context, prompt.query, prompt.answer)
        n_duplicates += key in prompts
        prompts.setdefault(key, prompt)
    if not prompts:
        why = f" ({broken[0]})" if broken else ""
        raise BadInput(
            f"{source.name!r} holds no prompt{why}: give lines such as "
            '{"context": "…", "query": "…", "answer": "…"}, or name its fields with --field'
        )
    return PromptList(tuple(prompts.values()), tuple(broken), n_broken, n_duplicates)


def _found(source: PromptSource) -> Iterator[Found]:
    """The lines or entries, numbered from 1, more by one than may be read."""
    path = typed_path(source.name)
    if path.is_dir() or not (path.exists() or path.suffix.lower() in _ENDINGS):
        yield from enumerate(read_data_set(source.name, source.limit), 1)
        return
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise TooLarge(f"it has more than {MOST_FILE_BYTES:,} bytes")
        match path.suffix.lower():
            case ".jsonl" | ".ndjson":
                yield from _json_lines(path)
            case ".csv" | ".tsv":
                yield from _csv(path)
            case ".json":
                yield from _input_and_output(path, source)
            case _:
                raise BadInput(
                    f"{shown(path)}: prompts come as .jsonl, .csv, .tsv or .json, or from a data set: rename or "
                    "convert it"
                )
    except (OSError, TooLarge, UnicodeDecodeError) as error:
        reason = utf8_problem(error) if isinstance(error, UnicodeDecodeError) else reason_of(error)
        raise BadInput(f"cannot read {shown(path)}: {reason}: name a file of prompts") from error


def _json_lines(path: Path) -> Iterator[Found]:
    """A line's object; blank lines are nothing."""
    with path.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(2 * MOST_BYTES)
            if not line:
                return
            if len(line) == 2 * MOST_BYTES and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = file.readline(2 * MOST_BYTES)
                yield number, f"more than {2 * MOST_BYTES:,} bytes"
            elif text := line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").strip():
                yield number, _object(text)


def _object(text: bytes) -> Mapping[str, object] | str:
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except UnicodeDecodeError as error:
        return utf8_problem(error)
    except (msgspec.DecodeError, RecursionError) as error:
        return "no JSON object: " + ("too deep" if isinstance(error, RecursionError) else str(error)[:120])


def _csv(path: Path) -> Iterator[Found]:
    """A row's cells by the header's names; numbers are those of the lines that rows begin at."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.reader(
            _without_mark(file), delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True
        )
        names: list[str] | None = None
        while True:
            number = reader.line_num + 1
            try:
                cells = _next_row(reader)
            except csv.Error as error:
                yield number, f"no CSV: {error}"
                continue
            if cells is None:
                return
            if names is None:
                names = cells
                if twice := [name for name in FIELDS if cells.count(name) > 1]:
                    raise BadInput(f"{shown(path)}: two columns are called {twice[0]!r}: rename one")
            elif cells and len(cells) != len(names):
                yield number, f"{len(cells)} cells, and the header has {len(names)}"
            elif cells:
                yield number, dict(zip(names, cells, strict=True))


def _next_row(reader: Iterator[list[str]]) -> list[str] | None:
    """The next row, whose cells may be as long as a text may be; None at the end."""
    limit = csv.field_size_limit(MOST_BYTES)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def _input_and_output(path: Path, source: PromptSource) -> Iterator[Found]:
    """A prompt of each entry, after examples drawn from the others: ``Q: …\\nA: …`` as in the function vectors' work.

    Source: Todd et al. 2024, *Function Vectors in Large Language Models* (arXiv 2310.15213), appendix.
    """
    text = decode_utf8(read_bytes(path, _MOST_JSON_BYTES))
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"cannot read {shown(path)}: no JSON ({str(error)[:120]}): give a list of "
            '{"input": "…", "output": "…"}, or one prompt a line as .jsonl'
        ) from error
    if not isinstance(entries, list):
        raise BadInput(f'{shown(path)} is no list of {{"input": "…", "output": "…"}}: give one, or .jsonl')
    pairs: dict[int, tuple[str, str]] = {}
    for k, entry in enumerate(entries):
        try:
            pairs[k] = _pair(entry, source.columns)
        except ValueError as error:
            yield k + 1, str(error)
    others = list(pairs.values())
    for k, (asked, said) in pairs.items():
        shots = _examples(others, k, asked, source)
        if len(shots) < source.shots:
            yield k + 1, f"{len(shots)} other entries, and {source.shots} examples are wanted"
            continue
        context = "".join(f"Q: {before}\nA: {after}\n\n" for before, after in shots)
        drawn = {"context": context, "query": f"Q: {asked}\nA:", "answer": f" {said}", "tags": path.stem}
        yield k + 1, {source.columns.get(name, name): value for name, value in drawn.items()}


def _pair(entry: object, columns: Mapping[str, str]) -> tuple[str, str]:
    """Input and output of an entry.

    Raises:
        ValueError: what is wrong with them.
    """
    if not isinstance(entry, dict):
        raise ValueError("no object")
    names = (columns.get("query", "input"), columns.get("answer", "output"))
    asked, said = (_text(entry.get(name), name) or "" for name in names)
    if not (asked.strip() and said.strip()):
        raise ValueError(f"{names[0]} or {names[1]} is empty")
    return asked, said


def _examples(
    pairs: Sequence[tuple[str, str]], k: int, asked: str, source: PromptSource
) -> list[tuple[str, str]]:
    """Pairs with another input than ``asked``, drawn by the seed and the number of the entry."""
    chance = random.Random(f"{source.seed}:{k}")
    drawn = chance.sample(pairs, min(len(pairs), 4 * source.shots + 16))
    return [pair for pair in drawn if pair[0] != asked][: source.shots]


def _prompt(number: int, found: Mapping[str, object] | str, columns: Mapping[str, str]) -> SweepPrompt:
    """The prompt of a line.

    Raises:
        ValueError: what is wrong with it.
    """
    if isinstance(found, str):
        raise ValueError(found)
    texts = {}
    for name in FIELDS[:3]:
        column = columns.get(name, name)
        if column not in found and (name == "query" or name in columns):
            raise ValueError(f"no field {column!r:.40}")
        texts[name] = _text(found.get(column), column) or ""
    if not texts["query"]:
        raise ValueError("the query is empty")
    return SweepPrompt(number=number, **texts, tags=_tags(found.get(columns.get("tags", "tags"))))


def _text(value: object, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name} is not UTF-8, or holds half a character") from None
    if size > MOST_BYTES:
        raise ValueError(f"{name} has {size:,} bytes, more than {MOST_BYTES:,}")
    return value


def _tags(value: object) -> tuple[str, ...]:
    """A list of texts, or one text with commas between them."""
    parts = value.split(",") if isinstance(value, str) else [] if value is None else value
    if not isinstance(parts, list | tuple):
        raise ValueError("tags are no list of texts")
    words = tuple(dict.fromkeys(word for part in parts if (word := (_text(part, "a tag") or "").strip())))
    if len(words) > _MOST_TAGS:
        raise ValueError(f"{len(words)} tags, more than {_MOST_TAGS}")
    return words
