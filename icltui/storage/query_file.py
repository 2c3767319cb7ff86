"""Queries from a file, one per line, to fit or test a patch on."""

from pathlib import Path

from icltui.storage.text_file import lines, read_text
from icltui.values.errors import BadInput

MOST_QUERIES = 10_000


def read_queries(path: Path) -> tuple[str, ...]:
    """One query for each line of the file that is not blank; spaces at its ends are part of it.

    Raises:
        BadInput: a file that cannot be read, holds none, or more than :data:`MOST_QUERIES`.
    """
    queries = tuple(line for line in lines(read_text(path, "name a file of queries")) if line.strip())
    if not queries:
        raise BadInput(f"{str(path)!r} holds no query: write one on each line")
    if len(queries) > MOST_QUERIES:
        raise BadInput(f"{str(path)!r} holds {len(queries):,} queries: at most {MOST_QUERIES:,} can be run")
    return queries
