"""``icltui serve``: the operations over HTTP, from an engine in a child process."""

import argparse
import os
import socket
import sys

from icltui.api.messages import EngineAwaited, Event
from icltui.cli.common import load_request
from icltui.cli.explore import engine_command
from icltui.cli.limit_options import add_limit_options, limits_of
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_options
from icltui.storage.paths import state_path
from icltui.system.child_environment import child_environment
from icltui.system.streams import print_error, print_text
from icltui.text.escape import visible
from icltui.values.errors import BadInput

TOKEN = "ICLTUI_TOKEN"
"""The environment variable that holds the token."""
PORT = 8642


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve the operations over HTTP; the page http of the manual describes them."
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on; any but a loopback address needs a token (default 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=_read_port, default=PORT, metavar="N", help=f"0 takes a free one (default {PORT})"
    )
    parser.add_argument(
        "--token",
        metavar="T",
        help=f"what requests must carry; other users see it in ps, so that ${TOKEN} is the better place",
    )
    parser.add_argument(
        "--engine",
        metavar="CMD",
        help="run the engine by this command, such as 'ssh gpubox icltui engine' (default: this program)",
    )
    add_limit_options(parser)
    add_options(parser.add_argument_group("model"), "model")


def _read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535")
    return int(text)


def serve(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    import asyncio

    try:
        import starlette
        import uvicorn
    except ModuleNotFoundError as error:
        raise BadInput(
            "HTTP is served by starlette and uvicorn, which are not installed: pip install 'icltui[serve]'"
        ) from error
    del starlette, uvicorn
    from icltui.serve.http.access import check_token
    from icltui.serve.http.listen import open_socket

    kept = os.environ.pop(TOKEN, None)  # of no use to the engine
    token = kept if args.token is None else args.token
    check_token(token, args.host)
    with open_socket(args.host, args.port) as listening:
        asyncio.run(_serve(args, token, listening))
    return 0


async def _serve(args: argparse.Namespace, token: str | None, listening: socket.socket) -> None:
    from icltui.serve.http.application import application
    from icltui.serve.http.listen import url_of
    from icltui.serve.http.run_server import run_server
    from icltui.serve.job_desk import JobDesk
    from icltui.tui.system.crash_log import write_crash_log
    from icltui.worker.client import RemoteEngine

    load = load_request(args, None)
    engine = RemoteEngine(engine_command(args.engine), state_path() / "engine.log", child_environment())
    desk = JobDesk(engine, load, limits_of(args))
    try:
        with show_load_progress(sys.stderr, load.model) as show:

            def on_event(event: Event) -> None:
                _tell_silence(event)
                show(event)

            await desk.open(on_event)
        app = application(
            desk, token, print_error, lambda error: print_error(write_crash_log(error, "a request failed"))
        )
        ready = (
            f"serving {visible(load.model)} at {url_of(listening)} {'with' if token else 'without'} a token"
        )
        await run_server(desk, app, listening, lambda: print_text(ready))
    finally:
        await desk.close()


def _tell_silence(event: Event) -> None:
    if isinstance(event, EngineAwaited):
        last = f": {visible(event.log_tail[-1])}" if event.log_tail else ""
        print_error(f"the engine has not answered for {event.seconds} s{last}")
