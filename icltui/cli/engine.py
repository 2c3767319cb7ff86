"""``icltui engine``: the engine as a server on stdin and stdout, which the explorer starts as a child process."""

import argparse

from icltui.cli.common import local_engine


def engine(args: argparse.Namespace) -> int:  # noqa: ARG001
    """Serve until stdin ends; torch is imported after the greeting."""
    from icltui.worker import server

    server.main(local_engine)
    return 0
