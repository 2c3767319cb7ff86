"""Every query of the manual, on the rows of a sweep and on ten thousand of them."""

import json
import time
from pathlib import Path

import pytest

from icltui.cli.main import main
from tests.docs.blocks import DOCS, blocks

duckdb = pytest.importorskip("duckdb")

VIEW, *QUERIES = [block.text for block in blocks(DOCS / "sql.md") if block.language == "sql"]
PROMPTS = [
    {
        "context": f"The capital of {a} is {b}.",
        "query": f"The capital of {a} is",
        "answer": f" {b}",
        "tags": tags,
    }
    for a, b, tags in (
        ("France", "Rome", ["capital", "wrong"]),
        ("Spain", "Madrid", ["capital"]),
        ("Norway", "Oslo", ["capital"]),
        ("Italy", "Bern", ["capital", "wrong"]),
    )
]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sweep of the page's first command, on a few prompts."""
    folder = tmp_path_factory.mktemp("sql")
    (folder / "prompts.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))
    varied = ["--layers", "all", "last", "--components", "both", "weights"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["sweep", "prompts.jsonl", "--out", "sweep", *varied]) == 0
    return folder


@pytest.fixture
def connection(swept: Path, monkeypatch: pytest.MonkeyPatch) -> "duckdb.DuckDBPyConnection":
    monkeypatch.chdir(swept)
    connection = duckdb.connect()
    connection.execute(VIEW)
    return connection


def test_the_page_has_the_queries_that_people_want() -> None:
    assert len(QUERIES) >= 5


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:40])
def test_every_query_gives_rows_of_numbers(connection: "duckdb.DuckDBPyConnection", query: str) -> None:
    found = connection.execute(query).fetchall()
    assert found
    assert all(value is not None for row in found for value in row)


def test_the_groups_are_those_of_the_prompts(connection: "duckdb.DuckDBPyConnection") -> None:
    by_tag = next(query for query in QUERIES if "unnest(tags)" in query)
    assert {row[0]: row[1] for row in connection.execute(by_tag).fetchall()} == {"capital": 16, "wrong": 8}


def test_a_row_that_is_there_twice_counts_once(swept: Path, connection: "duckdb.DuckDBPyConnection") -> None:
    rows = swept / "sweep" / "rows"
    failed = rows / "twice.parquet"
    again = f"SELECT * REPLACE ('broken' AS error) FROM '{rows}/*.parquet'"
    connection.execute(f"COPY ({again}) TO '{failed}' (FORMAT parquet)")
    try:
        counted = connection.execute("SELECT count(*), count(error) FROM results").fetchone()
    finally:
        failed.unlink()
    assert counted == (16, 0)


def test_ten_thousand_rows_are_asked_in_less_than_a_second(swept: Path, tmp_path: Path, monkeypatch) -> None:
    """In the CPU time of all threads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep").mkdir()
    connection = duckdb.connect()
    more = f"SELECT * REPLACE (key || i AS key) FROM '{swept}/sweep/rows/*.parquet', range(625) AS t(i)"
    connection.execute(f"COPY ({more}) TO 'sweep/rows.parquet' (FORMAT parquet)")
    connection.execute(VIEW)
    assert connection.execute("SELECT count(*) FROM results").fetchone() == (10_000,)
    for query in QUERIES:
        start = time.process_time()
        assert connection.execute(query).fetchall()
        assert time.process_time() - start < 1, query
