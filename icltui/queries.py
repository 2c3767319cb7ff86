"""Queries from a file, one on each line: those that a patch is fitted on, or tested on."""

from pathlib import Path

from icltui.errors import BadInput


def read_queries(path: Path) -> tuple[str, ...]:
    """One query for each line of the file that is not empty; spaces in front are part of it.

    Raises:
        BadInput: a file that cannot be read, or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise BadInput(f"cannot read {str(path)!r}: {reason.lower()}: name a file of queries") from error
    queries = tuple(line.removesuffix("\r") for line in lines if line.strip())
    if not queries:
        raise BadInput(f"{str(path)!r} holds no query: write one on each line")
    return queries
