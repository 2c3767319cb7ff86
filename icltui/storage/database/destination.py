"""Where a log goes, read from its URL without a database library: its name, and the file where rows wait for it."""

import hashlib
import importlib.util
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from icltui.storage.database.address import SECRET, url_parts
from icltui.storage.database.spool import Spool
from icltui.storage.paths import file_slug, real_path, shown, state_path
from icltui.values.errors import BadInput

_FILE = "sqlite"
_HOW = re.compile("timeout|keepalive|ssl|application_name", re.IGNORECASE)
"""Parameters of a URL that say how a database is reached, and not which one it is."""


def spool_folder() -> Path:
    """Where rows wait, a file for each destination."""
    return state_path() / "log"


def destination(url: str) -> str:
    """The database as it may be shown, without password: equal for equal databases, as far as a text tells.

    >>> destination("postgresql+psycopg://me:secret@host:5432/lab?connect_timeout=3")
    'postgresql://me@host:5432/lab'
    >>> destination("sqlite:////srv/log.sqlite")
    'sqlite:////srv/log.sqlite'

    Raises:
        BadInput: see :func:`.url_parts`.
    """
    parts = url_parts(url)
    kind, place = {"postgres": "postgresql"}.get(parts["kind"], parts["kind"]), parts["place"]
    if kind != _FILE:
        place = f"{parts['user']}@{place}" if parts["user"] else place
    else:
        start = "/file:" if place.startswith("/file:") else "/"
        place = f"{start}{_absolute(place.removeprefix(start))}"
    pairs = [
        (name, value)
        for name, value in parse_qsl(parts["query"])
        if not SECRET.search(name) and not _HOW.search(name)
    ]
    text = f"{kind}://{place}{'?' if pairs else ''}{urlencode(pairs)}"
    return text if text.isprintable() else ascii(text)


def _absolute(name: str) -> str:
    try:
        return os.path.abspath(name)
    except OSError:
        raise BadInput("the current folder is gone: give the database's path from / on") from None


def spool_of(url: str) -> Spool:
    """The file where rows wait for the database of the URL; of another URL, another file.

    Raises:
        BadInput: it is no URL, the library is missing, or it names a file where rows wait.
    """
    where = destination(url)
    if importlib.util.find_spec("sqlalchemy") is None:
        raise BadInput("a database needs SQLAlchemy: pip install 'icltui[sql]'")
    kind, _, name = where.partition(":///")
    folder = spool_folder()
    if kind == _FILE and Path(real_path(Path(name))).parent == Path(real_path(folder)):
        raise BadInput(f"{shown(folder)} is where rows wait for their database: name a file elsewhere")
    digest = hashlib.blake2b(where.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return Spool(folder / f"{file_slug(where)}-{digest}.sqlite")
