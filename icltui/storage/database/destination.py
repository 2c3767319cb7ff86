"""Where a log goes, read from its URL without a database library: its name, and the file where rows wait for it."""

import hashlib
import importlib.util
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from icltui.storage.database.address import EXAMPLES, SECRET
from icltui.storage.database.spool import Spool
from icltui.storage.paths import file_slug, real_path, shown, state_path
from icltui.values.errors import BadInput

_URL = re.compile(r"(?P<kind>\w+)(?:\+\w+)?://(?P<place>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)
_FILE = "sqlite"


def spool_folder() -> Path:
    """Where rows wait, a file for each destination."""
    return state_path() / "log"


def destination(url: str) -> str:
    """The database as it may be shown, without password: equal for equal databases, as far as a text tells.

    >>> destination("postgresql+psycopg://me:secret@host:5432/lab?connect_timeout=3")
    'postgresql://me@host:5432/lab?connect_timeout=3'
    >>> destination("sqlite:////tmp/log.sqlite")
    'sqlite:////tmp/log.sqlite'

    Raises:
        BadInput: it is no URL. It is not in the message, since it may hold a password.
    """
    if (found := _URL.fullmatch(url)) is None:
        raise BadInput(f"the database's URL cannot be read: write {EXAMPLES}")
    kind, place = {"postgres": "postgresql"}.get(found["kind"], found["kind"]), found["place"]
    if kind == _FILE:
        place = place if place.startswith("/file:") else f"/{_absolute(place[1:])}"
    else:
        server, slash, name = place.partition("/")
        login, at, host = server.rpartition("@")
        place = f"{login.partition(':')[0]}{at}{host}{slash}{name}"
    pairs = [(name, value) for name, value in parse_qsl(found["query"] or "") if not SECRET.search(name)]
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
