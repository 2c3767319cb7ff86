"""Every query of the manual's page on the database, on the example sessions in each kind of database."""

import pytest

from icltui.storage.database.entries import session_entries
from icltui.storage.database.log import open_log
from icltui.storage.manual import DOCS
from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session
from tests.docs.blocks import blocks

sqlalchemy = pytest.importorskip("sqlalchemy")
QUERIES = [block.text for block in blocks(DOCS / "database.md") if block.language == "sql"]


def test_every_query_gives_rows_of_numbers(url):
    log = open_log(url)
    log.write(
        *(entry for path in example_sessions() for entry in session_entries(read_session(path), path.stem))
    )
    assert len(QUERIES) >= 5
    with log._engine.begin() as connection:
        found = [connection.execute(sqlalchemy.text(query)).mappings().all() for query in QUERIES]
    for query, rows in zip(QUERIES, found, strict=True):
        assert len(rows) > 1, query
        assert all(value is not None for row in rows for name, value in row.items() if name != "revision"), (
            query
        )
    assert [row["title"] for row in found[0]] == sorted(path.stem for path in example_sessions())
