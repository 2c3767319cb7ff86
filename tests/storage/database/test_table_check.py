"""Tables that are there already: used where they hold what the log writes, else refused, naming the column."""

import pytest

from icltui.storage.database.log import DatabaseLog, open_log
from icltui.values.errors import DatabaseError
from tests.storage.database.test_log import ENTRY, counts

sqlalchemy = pytest.importorskip("sqlalchemy")
from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: E402

from icltui.storage.database.address import make_engine, read_url  # noqa: E402
from icltui.storage.database.tables import LOG, METADATA, SESSION  # noqa: E402


def remade(url: str, *changes: tuple[str, str]) -> list[str]:
    """Make the tables with changes of the words they are made with; the names of the tables there."""
    engine = make_engine(read_url(url))
    ddl = [CreateTable(SESSION), CreateTable(LOG), *map(CreateIndex, sorted(LOG.indexes, key=str))]
    statements = [str(one.compile(dialect=engine.dialect)) for one in ddl]
    for old, new in changes:
        assert sum(old in statement for statement in statements) == 1, (old, statements)
        statements = [statement.replace(old, new) for statement in statements]
    with engine.begin() as connection:
        for statement in filter(None, statements):
            connection.exec_driver_sql(statement)
    return there(url)


def there(url: str) -> list[str]:
    return sorted(sqlalchemy.inspect(make_engine(read_url(url))).get_table_names())


def refusal(url: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        open_log(url)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "make" in message or "rename that table, or name another database" in message
    return message


def accepted(url: str) -> DatabaseLog:
    log = open_log(url)
    assert (log.write(ENTRY), log.write(ENTRY), counts(log)) == (6, 0, (1, 6))
    return log


def test_as_they_are_made(url):
    assert remade(url) == ["icl_dynamics_log", "icl_dynamics_session"]
    accepted(url)


def test_other_columns_that_need_nothing(url):
    remade(
        url,
        (
            "prompt_hash VARCHAR(32) NOT NULL",
            "prompt_hash TEXT NOT NULL, lab TEXT DEFAULT 'x' NOT NULL, y TEXT",
        ),
    )
    accepted(url)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "cumulative_update_norm",
            "cumulative_norm",
            "icl_dynamics_log has no column cumulative_update_norm",
        ),
        ("token_text TEXT", "token_text VARCHAR(100)", r"a column token_text of type VARCHAR(100), not TEXT"),
        ("layer_idx INTEGER", "layer_idx TEXT", "a column layer_idx of type TEXT, not INTEGER"),
        ("layer_idx INTEGER", "layer_idx SMALLINT", "a column layer_idx of type SMALLINT, not INTEGER"),
        (
            "session_id VARCHAR(32) NOT NULL, \n\tprompt",
            "session_id VARCHAR(31) NOT NULL, prompt",
            "VARCHAR(31)",
        ),
        (
            "recipe JSON",
            "recipe INTEGER",
            "icl_dynamics_session has a column recipe of type INTEGER, not JSON",
        ),
        ("token_text TEXT", "token_text TEXT NOT NULL", "token_text that must not be empty"),
        ("token_text TEXT", "token_text TEXT, lab TEXT NOT NULL", "a column 'lab' that must be given"),
        ("CREATE UNIQUE INDEX", "CREATE INDEX", "no unique index on session_id, layer_idx, token_idx"),
        ("n_query INTEGER", "n_queries INTEGER", "icl_dynamics_session has no column n_query"),
    ],
)
def test_refused(url, old, new, words):
    before = remade(url, (old, new))
    assert words in refusal(url)
    assert there(url) == before


@pytest.mark.parametrize("kind", ["REAL", "NUMERIC(10, 4)", "TEXT"])
def test_numbers_that_would_lose_digits(postgres, kind):
    url = postgres.new_url()
    remade(url, ("delta_norm DOUBLE PRECISION", f"delta_norm {kind}"))
    assert f"a column delta_norm of type {kind}, not DOUBLE" in refusal(url)


def test_an_id_that_does_not_count(postgres):
    url = postgres.new_url()
    remade(url, ("id BIGSERIAL NOT NULL", "id BIGINT NOT NULL"))
    assert "a column id that does not count by itself" in refusal(url)


def test_times_without_a_zone_are_those_of_utc(postgres):
    url = postgres.new_url()
    remade(url)
    for table in ("log", "session"):
        postgres.run(f"ALTER TABLE icl_dynamics_{table} ALTER created_at TYPE timestamp", url)
    postgres.run("ALTER ROLE postgres SET timezone = 'Asia/Tokyo'")
    try:
        accepted(url)
        age = "SELECT max(abs(extract(epoch FROM now() AT TIME ZONE 'UTC' - created_at))) < 600"
        assert postgres.run(f"{age} FROM icl_dynamics_log", url) == [(True,)]
    finally:
        postgres.run("ALTER ROLE postgres RESET timezone")


def test_a_view_and_a_table_of_something_else(url):
    with make_engine(read_url(url)).begin() as connection:
        connection.exec_driver_sql("CREATE VIEW icl_dynamics_log AS SELECT 1 AS one")
    assert "icl_dynamics_log has no column id" in refusal(url)
    assert there(url) == []


def test_the_other_table_is_not_made_where_one_is_refused(url):
    with make_engine(read_url(url)).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE icl_dynamics_session (x INTEGER)")
    assert "icl_dynamics_session has no column session_id" in refusal(url)
    assert there(url) == ["icl_dynamics_session"]


def test_one_table_that_is_missing_is_made(url):
    open_log(url)
    with make_engine(read_url(url)).begin() as connection:
        connection.exec_driver_sql("DROP TABLE icl_dynamics_log")
    accepted(url)
    assert set(there(url)) == set(METADATA.tables)
