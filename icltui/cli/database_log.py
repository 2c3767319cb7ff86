"""``--log URL`` of several commands: what they measure goes to a database too."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from icltui.system.streams import print_error
from icltui.text.escape import visible

if TYPE_CHECKING:
    from icltui.storage.database.log_queue import LogQueue
    from icltui.storage.database.troubles import LogNews


def add_log(container: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Add the option."""
    container.add_argument(
        "--log",
        metavar="URL",
        help="write what is measured to this database too, such as sqlite:///log.sqlite or "
        "postgresql://USER@HOST/DATABASE; what it does not take waits for the next start",
    )


def say_of_log(line: str) -> None:
    """A line about the log on stderr."""
    print_error(f"icltui: {visible(line)}")  # a database's own words may be in it


@contextmanager
def opened_log(args: argparse.Namespace) -> "Iterator[LogQueue | None]":
    """What sends to the database of ``--log``, if there is one; at the end what is on its way is waited for.

    Raises:
        BadInput: the URL cannot be used.
    """
    if not args.log:
        yield None
        return
    from icltui.storage.database.address import check_url
    from icltui.storage.database.destination import spool_of
    from icltui.storage.database.log_queue import LogQueue

    spool = spool_of(args.log)
    check_url(args.log)  # before anything is measured in vain
    queue = LogQueue(args.log, spool, _hear)
    queue.start()
    try:
        yield queue
    finally:
        left = queue.close(is_patient=True, say=say_of_log)
        if queue.n_entries:
            say_of_log(f"log: {queue.n_rows:,} new row{'' if queue.n_rows == 1 else 's'} in {queue.where}")
        if left:
            say_of_log(left)


def _hear(line: str, news: "LogNews") -> None:
    if news != "written":
        say_of_log(line)
