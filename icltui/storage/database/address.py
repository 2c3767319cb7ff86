"""A database's URL: what it means, what of it may be shown, and the engine that connects to it."""

import os
import re
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icltui.storage.paths import make_folder, shown
from icltui.values.errors import BadInput, DatabaseError, reason_of

if TYPE_CHECKING:
    import sqlalchemy

EXAMPLES = "sqlite:///log.sqlite or postgresql://USER:PASSWORD@HOST/DATABASE"
_UNREADABLE = (
    f"the database's URL cannot be read: write {EXAMPLES}, with %40 for @ and %2F for / in a password"
)
_POSTGRESQL = ("postgres", "postgresql")
"""Names without a driver; the driver is psycopg 3 then."""
_PSYCOPG = "postgresql+psycopg"
SECRET = re.compile("pass|secret|token|key|pwd|credential|odbc_connect", re.IGNORECASE)
"""Parameters of a URL that are not shown."""
_URL = re.compile(
    r"(?P<kind>\w+)(?:\+\w+)?://(?:(?P<user>[^:/]*)(?::[^@]*)?@)?(?P<place>[^?]*)(?:\?(?P<query>.*))?",
    re.DOTALL,
)
"""Split where SQLAlchemy splits it: a password goes to the first @, whatever else is in it."""
_WAIT = 10
"""Seconds to wait for a connection, and for another program's lock on a SQLite file."""
_USUAL: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": _WAIT},
    "postgresql": {
        "connect_timeout": _WAIT,
        "tcp_user_timeout": _WAIT * 3000,
        # A server that is gone without a word, such as without power, while it is waited for.
        "keepalives_idle": _WAIT,
        "keepalives_interval": _WAIT,
        "keepalives_count": 3,
        # Else it is the database's own, in which not every text can be said.
        "client_encoding": "utf8",
    },
}
_AT_BEGIN = {
    # Else the driver begins it at the first row: tables would be made outside it, and two writers could not both wait.
    "sqlite": ("BEGIN IMMEDIATE",),
    "postgresql": (
        # A column without time zone takes the time as the connection's zone has it.
        "SET LOCAL timezone = 'UTC'",
        # So that none waits for ever, such as for a lock.
        "SET LOCAL statement_timeout = '60s'",
    ),
}
"""What begins each transaction."""


def url_parts(text: str) -> dict[str, str]:
    """The ``kind``, ``user``, ``place`` and ``query`` of a URL, without its password.

    Raises:
        BadInput: it is no URL, or a part of a password may be in its place. The URL is not in the message.
    """
    found = _URL.fullmatch(text)
    parts = {name: value or "" for name, value in found.groupdict().items()} if found else {}
    if not parts or "?" in parts["user"] or ("@" in parts["place"] and parts["kind"] != "sqlite"):
        raise BadInput(_UNREADABLE)
    return parts


def read_url(address: str | Path) -> "sqlalchemy.URL":
    """The database of a URL, or the SQLite file at a path.

    Raises:
        BadInput: SQLAlchemy is not installed, it is no URL, or it names a database that would be gone at the end. The
            URL itself is not in the message, since it may hold a password.
    """
    try:
        from sqlalchemy import URL, make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError as error:
        raise BadInput("a database needs SQLAlchemy: pip install 'icltui[sql]'") from error
    if isinstance(address, Path):
        # The driver has its own idea of such a name as ":memory:".
        name = f"./{address}" if str(address).startswith((":", "file:")) else os.fspath(address)
        return URL.create("sqlite", database=name)
    url_parts(address)
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise BadInput(_UNREADABLE) from None
    if url.drivername in _POSTGRESQL:
        url = url.set(drivername=_PSYCOPG)
    if url.get_backend_name() == "sqlite":
        _check_sqlite(url)
    return url


def shown_url(url: "sqlalchemy.URL") -> str:
    """The URL as a message or a file may hold it: on one line, without password."""
    if url.drivername == _PSYCOPG:
        url = url.set(drivername="postgresql")
    secret = dict.fromkeys(_secret_names(url), "hidden")
    text: str = url.update_query_dict(secret).render_as_string(hide_password=True).replace(":***@", "@", 1)
    return text if text.isprintable() else ascii(text)


def without_secrets(text: str, url: "sqlalchemy.URL") -> str:
    """The text without the URL's password, whoever wrote it there."""
    values = (
        str(url.password or ""),
        *(value for name in _secret_names(url) for value in url.normalized_query[name]),
    )
    for secret in filter(None, values):
        text = text.replace(secret, "***")
    return text


def _secret_names(url: "sqlalchemy.URL") -> list[str]:
    return [name for name in url.query if SECRET.search(name)]


def make_engine(url: "sqlalchemy.URL") -> "sqlalchemy.Engine":
    """What connects, for each transaction anew, so that no connection is held while nothing is written.

    Raises:
        BadInput: there is no driver for such a database.
        DatabaseError: a SQLite file cannot be made.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=_arguments(url))
    except NoSuchModuleError:
        raise BadInput(f"no database is called {url.drivername!a}: write {EXAMPLES}") from None
    except ImportError as error:
        raise BadInput(f"the driver of {url.drivername} is missing: {_installation(url, error)}") from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise BadInput(
            f"{shown_url(url)} cannot be used ({type(error).__name__}): check its parameters"
        ) from None
    if url.get_backend_name() == "sqlite":
        _prepare_file(url)
    for statement in _AT_BEGIN.get(engine.dialect.name, ()):
        event.listen(engine, "begin", partial(_execute, statement))
    return engine


def check_url(text: str) -> None:
    """Refuse what no attempt to connect would mend.

    Raises:
        BadInput: as :func:`read_url` and :func:`make_engine` do.
    """
    with suppress(DatabaseError):  # of a file that may be there later
        make_engine(read_url(text))


def _check_sqlite(url: "sqlalchemy.URL") -> None:
    if url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory":
        raise BadInput("a SQLite database in memory is gone at the end: name a file, as sqlite:///log.sqlite")
    if url.database.startswith("~"):
        raise BadInput("~ is not a home folder in a URL: write the whole path after sqlite:///")
    if "uri" not in url.query and (unknown := url.query.keys() - {"timeout"}):
        raise BadInput(f"{min(unknown)!a} is no parameter of a SQLite file: leave it out")


def _arguments(url: "sqlalchemy.URL") -> dict[str, Any]:
    """What the driver is told, unless the URL says it."""
    usual = {**_USUAL.get(url.get_backend_name(), {})}
    if url.drivername == _PSYCOPG:
        # Of another client, where a pool such as PgBouncer hands connections round: they have the same names there.
        usual["prepare_threshold"] = None
    return {name: value for name, value in usual.items() if name not in url.query}


def _installation(url: "sqlalchemy.URL", error: ImportError) -> str:
    if url.drivername == _PSYCOPG:
        return "pip install 'icltui[sql]'"
    return f"install what has the Python module {error.name}, or use {EXAMPLES}"


def _prepare_file(url: "sqlalchemy.URL") -> None:
    """Make the file, for its owner only, and the folders above it."""
    if str(url.database).startswith("file:"):
        return
    path = Path(str(url.database))
    try:
        make_folder(path.absolute().parent)
        os.fspath(path).encode()
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("it is not a file")
    except (OSError, ValueError) as error:
        raise DatabaseError(
            f"cannot write {shown(path)}: {reason_of(error)}: choose another place"
        ) from error


def _execute(statement: str, connection: "sqlalchemy.Connection") -> None:
    connection.exec_driver_sql(statement)
