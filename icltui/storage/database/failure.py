"""What a database library raises, as one plain line that says what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from icltui.storage.database.address import without_secrets
from icltui.values.errors import DatabaseError

if TYPE_CHECKING:
    import sqlalchemy

_MOST = 240
AGAIN = "do the same again, which adds only what is missing"
"""What to do where somebody has to; a queue does it by itself."""
_ADVICE = (
    ("is locked|statement timeout|deadlock", "another program holds it: try again when that is done"),
    ("too many|slots are reserved", "others have all its connections: try again when they are done"),
    ("no schema", "make that schema first, or name another one"),
    ("readonly|read-only", "allow writing there, or choose another database"),
    ("no equivalent in encoding|invalid byte sequence|codec can't", "name a database whose encoding is UTF8"),
    ("is full|no space|disk i/o", f"make room, then {AGAIN}"),
    ("not a database|malformed|unable to open", "name another file"),
    ("authentication|password|role .* does not exist", "check user and password"),
    ("database .* does not exist", "make that database first, or name another one"),
    (
        "invalid (connection|sslmode|value|port|integer)|bad value|keyword argument|support SSL|supported between",
        "correct the URL",
    ),
    ("greenlet|coroutine", "name a driver that is not asynchronous"),
    ("permission denied|must be owner", "ask for the right to make tables and to write there"),
    ("refused|translate|resolve|timeout|no such file|unreachable", "check host and port, and that it runs"),
)
"""Words of a reason, and what to do then; the first that are found count."""
_HINT = re.compile(r"^\s*Is the server running .*\?$", re.MULTILINE)
"""What libpq adds to a reason, which the advice says too."""


@contextmanager
def one_line_errors(url: "sqlalchemy.URL", where: str) -> Iterator[None]:
    """Turn whatever the database's library raises inside into a :class:`DatabaseError`.

    Args:
        url: the database, whose password is taken out of the message.
        where: the database as it may be shown.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, OSError, ValueError, TypeError, ImportError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        diagnosis = getattr(cause, "diag", None)  # of PostgreSQL, without the statement
        words = getattr(diagnosis, "message_primary", None) or str(cause)
        reason = without_secrets(" ".join(_HINT.sub("", words).split()), url)
        advice = next(
            (advice for pattern, advice in _ADVICE if re.search(pattern, reason, re.IGNORECASE)), AGAIN
        )
        raise DatabaseError(f"{where}: {reason[:_MOST]}: {advice}") from None
