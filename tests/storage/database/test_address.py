"""URLs and databases that cannot be used: one plain line each, which says what to do and never a password."""

import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from icltui.storage.database.address import read_url, shown_url
from icltui.storage.database.destination import destination, spool_of
from icltui.storage.database.failure import one_line_errors
from icltui.storage.database.log import open_log
from icltui.values.errors import BadInput, DatabaseError
from tests.postgres import PASSWORD
from tests.storage.database.test_log import ENTRY, counts

sqlalchemy = pytest.importorskip("sqlalchemy")
SECRET = "hush-hush"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "cannot be read: write sqlite:///log.sqlite or postgresql://"),
        ("log.sqlite", "cannot be read"),
        (f"postgresql://a:x@{SECRET}@h/d", "with %40 for @ and %2F for / in a password"),
        (f"postgresql://a:x@y/{SECRET}@h/d", "with %40 for @"),
        (f"postgresql://h?password={SECRET}@h/d", "with %40 for @"),
        (f"postgresql://a:{SECRET}@h:port/d", "with %40 for @ and %2F for / in a password"),
        ("sqlite://", "in memory is gone at the end: name a file"),
        ("sqlite:///:memory:", "in memory is gone at the end"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory is gone at the end"),
        (f"nosuch://a:{SECRET}@h/d", "no database is called 'nosuch': write "),
        (f"mysql://a:{SECRET}@h/d", "the driver of mysql is missing: install what has the Python module MySQLdb"),
        (f"postgresql+asyncpg://a:{SECRET}@h/d", "the driver of postgresql+asyncpg is missing"),
        (f"postgresql://localhost:1/d?password={SECRET}&nosuch=1", 'option "nosuch": correct the URL'),
        ("postgresql://localhost:1/d", "refused"),
        ("postgresql://localhost:1/d?connect_timeout=soon", "correct the URL"),
        ("postgresql://localhost:1/d?keepalives_idle=soon", "correct the URL"),
        ("sqlite:///nosuch.sqlite?nosuch=1", "'nosuch' is no parameter of a SQLite file: leave it out"),
        ("sqlite:///~/log.sqlite", "~ is not a home folder in a URL: write the whole path"),
        ("sqlite:////dev/null", "cannot write /dev/null: it is not a file: choose another place"),
        ("sqlite:////proc/x/log.sqlite", "cannot write /proc/x/log.sqlite: no such file or directory"),
        ("sqlite:///a\0b", "cannot write 'a\\x00b': embedded null byte"),
    ],
)  # fmt: skip
def test_refused_in_one_line(url, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        open_log(url)
    message = str(caught.value)
    assert words in message
    assert len(message.splitlines()) == 1
    assert SECRET not in message


@pytest.mark.parametrize("module", ["sqlalchemy", "psycopg"])
def test_what_is_missing_is_one_pip_away(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadInput, match=r"pip install 'icltui\[sql\]'"):
        open_log("postgresql://localhost/x")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        (f"postgresql://a:x/{SECRET}@h/d", "postgresql://a@h/d"),
        (f"postgresql://a:?{SECRET}@h/d", "postgresql://a@h/d"),
        (f"postgresql://a:/{SECRET}:@h:1/d?x=a@b", "postgresql://a@h:1/d?x=a%40b"),
        (f"postgresql://:{SECRET}@h/d", "postgresql://h/d"),
        (f"postgresql://a@b:{SECRET}@h/d", "postgresql://a@b@h/d"),
        (f"mssql+pyodbc:///?odbc_connect=PWD%3D{SECRET}", "mssql:///"),
        (f"mysql://h/d?passwd={SECRET}&pwd={SECRET}", "mysql://h/d"),
        ("sqlite:////a@b:c@d", "sqlite:////a@b:c@d"),
    ],
)
def test_where_rows_wait_has_no_password_in_its_name(url, where):
    assert (destination(url), SECRET in shown_url(read_url(url))) == (where, False)
    assert SECRET not in str(spool_of(url).path)


def test_a_relative_file_is_another_one_in_another_folder(tmp_path, monkeypatch):
    for url in ("sqlite:///log.sqlite", "sqlite:///file:log.sqlite?uri=true"):
        first = spool_of(url).path
        with monkeypatch.context() as there:
            there.chdir(tmp_path)
            assert spool_of(url).path != first


def test_what_is_shown_has_no_password():
    url = read_url(f"postgres://a:{SECRET}@h/d?sslmode=prefer&sslpassword={SECRET}")
    assert shown_url(url) == "postgresql://a@h/d?sslmode=prefer&sslpassword=hidden"
    assert shown_url(read_url(Path("a\nb\x1b"))).isprintable()


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("could not extend file: No space left on device", "make room, then do the same again"),
        ("server does not support SSL, but SSL was required", "correct the URL"),
        ("deadlock detected", "another program holds it: try again when that is done"),
        ("canceling statement due to statement timeout", "another program holds it"),
        ('text has no equivalent in encoding "LATIN1"', "name a database whose encoding is UTF8"),
        ("FATAL: sorry, too many clients already", "others have all its connections"),
        ("cannot execute CREATE TABLE in a read-only transaction", "allow writing there"),
        ("no schema has been selected to create in", "make that schema first"),
        ("terminating connection due to administrator command", "do the same again, which adds only what is missing"),
    ],
)  # fmt: skip
def test_what_to_do_follows_from_the_reason(reason, advice):
    with pytest.raises(DatabaseError) as caught, one_line_errors(read_url("postgresql://h/d"), "here"):
        raise OSError(reason)
    assert str(caught.value).startswith(f"here: {reason}: {advice}")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (TypeError("'>=' not supported between instances of 'int' and 'str'"), "correct the URL"),
        (ImportError("the asyncio module needs greenlet"), "name a driver that is not asynchronous"),
    ],
)
def test_what_a_driver_raises_of_its_parameters_is_one_line_too(error, advice):
    with pytest.raises(DatabaseError, match=advice), one_line_errors(read_url("postgresql://h/d"), "here"):
        raise error


def test_what_a_library_advises_is_not_said_twice():
    with pytest.raises(DatabaseError) as caught, one_line_errors(read_url("postgresql://h/d"), "here"):
        raise OSError("Connection refused\n\tIs the server running on that host and accepting connections?\n")
    assert str(caught.value) == "here: Connection refused: check host and port, and that it runs"


def test_a_library_that_repeats_the_password_is_not_believed():
    url = read_url(f"postgresql://a:{SECRET}@h/d?sslpassword=other-{SECRET}x")
    with pytest.raises(DatabaseError) as caught, one_line_errors(url, "here"):
        raise ValueError(f"bad: {SECRET} and\nother-{SECRET}x")
    assert (
        str(caught.value)
        == "here: bad: *** and other-***x: do the same again, which adds only what is missing"
    )


def test_a_path_is_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x"):
        open_log(Path(name)).write(ENTRY)
        assert counts(open_log(tmp_path / name)) == (1, 6)
    for name in ("log?mode=memory", "%20#x", ":memory:", "ü"):
        open_log(tmp_path / "below" / name).write(ENTRY)
        assert (tmp_path / "below" / name).stat().st_mode & 0o777 == 0o600
        assert counts(open_log(tmp_path / "below" / name)) == (1, 6)
    with pytest.raises(DatabaseError, match="surrogates not allowed: choose another place"):
        open_log(tmp_path / "\udc80")


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(DatabaseError, match="file is not a database: name another file"):
        open_log(path)
    assert path.read_text() == "mine"


def test_a_database_that_may_only_be_read(tmp_path):
    open_log(tmp_path / "log.sqlite")
    url = f"sqlite:///file:{tmp_path}/log.sqlite?mode=ro&uri=true"
    with pytest.raises(DatabaseError, match="attempt to write a readonly database: allow writing there"):
        open_log(url).write(ENTRY)


def test_a_locked_database(tmp_path):
    open_log(tmp_path / "log.sqlite")
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite?timeout=0.01")
    words = "database is locked: another program holds it: try again"
    with (
        open_log(tmp_path / "log.sqlite")._engine.begin(),
        pytest.raises(DatabaseError, match=words),
    ):
        log.write(ENTRY)
    assert log.write(ENTRY) == 6


def test_a_full_disk(tmp_path):
    """The limit that SQLite itself has for its file's pages; a full disk gives the same error."""
    log = open_log(tmp_path / "log.sqlite")
    n_pages = "PRAGMA max_page_count = 1"
    full = lambda connection, _: connection.execute(n_pages)  # noqa: E731
    sqlalchemy.event.listen(log._engine, "connect", full)
    with pytest.raises(DatabaseError, match="database or disk is full: make room, then do the same again"):
        log.write(*(_another(number) for number in range(200)))
    assert counts(log) == (0, 0)
    sqlalchemy.event.remove(log._engine, "connect", full)
    assert log.write(ENTRY) == 6


def _another(number: int) -> object:
    import msgspec

    session_id = f"{number:032}"
    session = msgspec.structs.replace(ENTRY.session, session_id=session_id)
    rows = tuple(msgspec.structs.replace(row, session_id=session_id) for row in ENTRY.rows)
    return msgspec.structs.replace(ENTRY, session=session, rows=rows)


def test_who_may_not_make_tables_may_write_to_those_there(postgres):
    url = postgres.new_url()
    schema = url.rpartition("%3D")[2]
    open_log(url)
    postgres.run(f"GRANT USAGE ON SCHEMA {schema} TO reader")
    postgres.run(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO reader")
    theirs = url.replace("postgres@", f"reader:{quote(PASSWORD, safe='')}@")
    with pytest.raises(DatabaseError, match="permission denied for sequence icl_dynamics_log_id_seq"):
        open_log(theirs).write(ENTRY)
    postgres.run(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO reader")
    assert [open_log(theirs).write(ENTRY), open_log(url).write(ENTRY)] == [6, 0]


def test_a_connection_leaves_nothing_to_the_next_user_of_a_pool_and_notices_a_dead_server(postgres):
    log = open_log(postgres.new_url())
    with log._engine.begin() as connection:
        for _ in range(10):
            connection.execute(sqlalchemy.text("SELECT :x"), [{"x": n} for n in range(10)])
        there = connection.execute(sqlalchemy.text("SELECT count(*) FROM pg_prepared_statements")).scalar()
        driver = connection.connection.driver_connection
        assert driver is not None
        settings = driver.info.get_parameters()
    assert there == 0
    assert {name: settings[name] for name in settings if "keepalives" in name} == {
        "keepalives_idle": "10",
        "keepalives_interval": "10",
        "keepalives_count": "3",
    }


def test_a_database_of_another_encoding(postgres):
    for encoding in ("SQL_ASCII", "LATIN1"):
        postgres.run(f"CREATE DATABASE {encoding} ENCODING '{encoding}' TEMPLATE template0")
    assert open_log(postgres.url("sql_ascii")).write(ENTRY) == 6
    with pytest.raises(
        DatabaseError, match='no equivalent in encoding "LATIN1": name a database whose encoding is UTF8'
    ):
        open_log(postgres.url("latin1")).write(ENTRY)


def test_what_a_server_refuses(postgres):
    reader = postgres.url("postgres", "reader")
    wrong = reader.replace("reader@", f"reader:{SECRET}@")
    right = reader.replace("reader@", f"reader:{quote(PASSWORD, safe='')}@")
    for url, words in (
        (postgres.url("nosuch"), 'database "nosuch" does not exist: make that database first'),
        (wrong, 'password authentication failed for user "reader": check user and password'),
        (reader, "no password supplied: check user and password"),
        (postgres.url("postgres", "nosuch"), 'role "nosuch" does not exist: check user and password'),
        (right, "permission denied for schema public: ask for the right to make tables"),
    ):
        with pytest.raises(DatabaseError) as caught:
            open_log(url)
        message = str(caught.value)
        assert words in " ".join(message.split())
        assert len(message.splitlines()) == 1
        assert not any(secret in message for secret in (SECRET, PASSWORD, quote(PASSWORD, safe="")))
