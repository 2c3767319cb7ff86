"""``icltui mcp``: the operations for agents, as tools of the Model Context Protocol on stdin and stdout."""

import argparse

from icltui.cli.common import load_request
from icltui.cli.explore import engine_command
from icltui.cli.limit_options import add_limit_options, limits_of
from icltui.cli.options import add_options
from icltui.storage.paths import state_path
from icltui.system.child_environment import child_environment
from icltui.values.errors import BadInput

LEAST_CHARACTERS, MOST_CHARACTERS = 4000, 10**6
"""Of one answer: with fewer there is no room for an answer and its controls."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Offer the operations to agents, as tools of the Model Context Protocol (MCP) on stdin and stdout; "
        "the page agents of the manual says how to add it to a client."
    )
    parser.add_argument(
        "--engine",
        metavar="CMD",
        help="run the engine by this command, such as 'ssh gpubox icltui engine' (default: this program)",
    )
    parser.add_argument(
        "--answer-characters",
        metavar="N",
        type=_read_characters,
        default=24_000,
        help="the most of one answer (default 24000, some eight thousand tokens)",
    )
    add_options(parser.add_argument_group("model"), "model")
    add_limit_options(parser)


def _read_characters(text: str) -> int:
    if not (text.isascii() and text.isdigit() and LEAST_CHARACTERS <= int(text[:9]) <= MOST_CHARACTERS):
        raise argparse.ArgumentTypeError(f"{text!r}: give {LEAST_CHARACTERS} to {MOST_CHARACTERS}")
    return int(text)


def mcp(args: argparse.Namespace) -> int:
    """Serve one agent's client until its input ends."""
    import asyncio

    try:
        from icltui.serve.mcp.server import serve_agents
    except ModuleNotFoundError as error:
        if (error.name or "icltui").startswith("icltui"):
            raise
        raise BadInput("agents need mcp, which is not installed: pip install 'icltui[mcp]'") from None
    from icltui.worker.client import RemoteEngine
    from icltui.worker.redirect_output import claim_stdio

    load, command = load_request(args, None), engine_command(args.engine)
    client = RemoteEngine(command, state_path() / "engine.log", child_environment())
    stdin, stdout = claim_stdio()
    asyncio.run(serve_agents(client, load, limits_of(args), args.answer_characters, stdin, stdout))
    return 0
