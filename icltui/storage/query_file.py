"""Queries from a file, one per line, to fit or test a patch on."""

from collections.abc import Iterable
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


def without_answers(queries: Iterable[str]) -> tuple[str, ...]:
    """The queries alone, of lines that may have the true answer after a tab; a tab at an end is part of the query.

    >>> without_answers(["The capital of Spain is\\t Madrid", "dog\\t"])
    ('The capital of Spain is', 'dog\\t')
    """
    parts = ((line, *line.partition("\t")) for line in queries)
    return tuple(query if query.strip() and answer.strip() else line for line, query, _, answer in parts)


def read_answered_queries(path: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """The queries, and the true answers by query: in a line with a tab the answer is what comes after the first one.

    Raises:
        BadInput: as :func:`read_queries`; a line whose query or answer is blank, or two answers to one query.
    """
    queries, answers = [], dict[str, str]()
    for line in read_queries(path):
        query, tab, answer = line.partition("\t")
        if tab and not (query.strip() and answer.strip()):
            raise BadInput(
                f"{str(path)!r}: the line {line[:40]!r} needs a query before its tab and an answer after it"
            )
        if tab and answers.setdefault(query, answer) != answer:
            raise BadInput(f"{str(path)!r} has two answers to {query[:40]!r}: leave one of them out")
        queries.append(query)
    return tuple(queries), answers
