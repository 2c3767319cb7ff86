"""``icltui``: the explorer on this terminal, its engine in a child process."""

import argparse
import contextlib
import gc
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from icltui.cli.common import load_request, read_prompt
from icltui.cli.database_log import add_log, say_of_log
from icltui.cli.options import add_options, changed_options, values_of
from icltui.storage.config import COLOUR_SYSTEMS, Config, config_path, read_config
from icltui.storage.paths import example_sessions, state_path, typed_path
from icltui.storage.rows_folder import is_rows_folder
from icltui.storage.sessions import read_session
from icltui.system.child_environment import child_environment, own_command
from icltui.system.streams import is_terminal, print_error
from icltui.values import Session
from icltui.values.errors import BadInput
from icltui.values.unit_choice import AUTO

if TYPE_CHECKING:
    from icltui.tui.state.explorer import Explorer
    from icltui.tui.system.measurement_log import MeasurementLog

SERVED_AT = "127.0.0.1:8000"
"""Where ``--serve`` listens unless it is told."""
ESCAPE_DELAY_OVER_SSH = "250"
"""Milliseconds until an Escape that nothing follows is the key: TCP sends no lost segment again before 200."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "session",
        nargs="?",
        metavar="SESSION.json|DIR",
        help="open a saved session, or browse the rows of a folder that a sweep or a study wrote",
    )
    parser.add_argument(
        "--engine",
        metavar="CMD",
        help="run the engine by this command, found through PATH and started without a shell, such as "
        "'ssh gpubox icltui engine' (default: this program, which imports nothing from the current folder)",
    )
    add_log(parser)
    parser.add_argument("--theme", default="", metavar="NAME", help="colours of the screen, such as nord")
    parser.add_argument(
        "--no-mouse",
        dest="mouse",
        action="store_false",
        help="leave the mouse to the terminal, to select text",
    )
    parser.add_argument(
        "--serve",
        nargs="?",
        const=SERVED_AT,
        metavar="HOST:PORT",
        help=f"show the explorer in a browser instead, to whoever reaches this address (default {SERVED_AT})",
    )
    parser.add_argument(
        "--no-launcher",
        dest="launcher",
        action="store_false",
        help="begin on the first example, without the list of sessions",
    )
    add_prompt(parser)
    add_options(parser.add_argument_group("model"), "model")


def add_prompt(parser: argparse.ArgumentParser) -> None:
    """The prompt, and the options that mean nothing without one."""
    group = parser.add_argument_group("prompt")
    add_options(group, "prompt", unit={"default": AUTO})
    add_options(group, "method")


def explore(args: argparse.Namespace) -> int:
    """The explorer on this terminal, its engine in a child process."""
    folder = rows_folder(args)
    session, path = (None, None) if folder else what_to_open(args)
    if args.serve is not None and not _is_in_browser():
        from icltui.cli.serve_browser import serve_browser

        return serve_browser(args.serve)
    if not _has_screen():
        raise BadInput(
            "the explorer needs a terminal on stdin and stderr: run it in one, or use measure, verify or generate"
        )
    config, faults = read_config(config_path())
    prepare_terminal(config)
    gc.disable()  # saves a tenth of the time to the first frame; the app turns it on again after that
    from icltui.tui.app import IcltuiApp
    from icltui.tui.state.tour import is_first_start
    from icltui.tui.system.apply_settings import check_theme
    from icltui.tui.terminal.terminal_modes import encoding_notice
    from icltui.worker.client import RemoteEngine

    check_theme(args.theme)
    log, log_fault = _log_maker(args.log, config)
    is_bare = args.session is None and args.context is None and args.query is None and args.model is None
    if args.model is None and (args.session is None or session is None or session.model is None):
        args.model = config.model or None  # the first example opens by itself, so its model does not count
    client = RemoteEngine(engine_command(args.engine), state_path() / "engine.log", child_environment())
    notice = "\n".join(filter(None, (*faults, log_fault, client.log_trouble, encoding_notice())))
    load, place = load_request(args, session), args.engine or ""
    has_launcher = is_bare and config.launcher and args.launcher
    has_tour = is_bare and args.model is None and is_first_start()
    app = IcltuiApp(
        client, load, session, path, notice, config, args.theme, place, has_tour, folder, log, has_launcher
    )
    app.explorer.looks_ahead = True
    app.run(mouse=config.mouse and args.mouse)
    if app.unsaved_work.farewell:
        print_error(app.unsaved_work.farewell)
    if app.measurement_log is not None and (line := app.measurement_log.close(say_of_log)):
        say_of_log(line)
    return 1 if app.return_code is None else app.return_code  # None: the app ended without an exit


def _has_screen() -> bool:
    """Whether there is a terminal, or a browser that shows what the program writes."""
    return _is_in_browser() or (is_terminal(sys.__stdin__) and is_terminal(sys.__stderr__))


def _is_in_browser() -> bool:
    """Whether textual-serve started this process."""
    return os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")


def _log_maker(
    given: str | None, config: Config
) -> "tuple[Callable[[Explorer], MeasurementLog] | None, str]":
    """What writes to the database that is asked for; and what is wrong with the settings' one, empty if nothing.

    Raises:
        BadInput: the one that was given cannot be used.
    """
    if not (url := config.log if given is None else given):
        return None, ""
    from icltui.storage.database.destination import spool_of
    from icltui.tui.system.measurement_log import MeasurementLog

    try:
        spool_of(url)
    except BadInput as error:
        if given is not None:
            raise
        return None, f"config.toml: log: {error}"
    return partial(MeasurementLog, url=url), ""


def prepare_terminal(config: Config) -> None:
    """Set the environment variables that Textual reads at import; those of the user stay, except for the size."""
    if is_sized(sys.__stderr__):
        for name in ("COLUMNS", "LINES"):  # of another time, or of another terminal
            os.environ.pop(name, None)
    if config.colours in COLOUR_SYSTEMS:
        os.environ.setdefault("TEXTUAL_COLOR_SYSTEM", COLOUR_SYSTEMS[config.colours])
    # In-band sizes and a mouse in pixels belong to the terminal at the start: another may be attached later.
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    if os.environ.get("SSH_CONNECTION"):
        os.environ.setdefault("ESCDELAY", ESCAPE_DELAY_OVER_SSH)
        if config.animation == "auto":
            os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")


def is_sized(stream: TextIO | None) -> bool:
    """Whether ``stream`` is a terminal of known size."""
    with contextlib.suppress(OSError, ValueError):
        return stream is not None and all(os.get_terminal_size(stream.fileno()))
    return False


def engine_command(text: str | None) -> list[str]:
    """The words of ``--engine``; without it, this very program."""
    if text is None:
        return own_command("engine")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadInput(f"--engine {text!r} is not a command: {error}") from error


def rows_folder(args: argparse.Namespace) -> Path | None:
    """The folder of rows to browse; None where a session or a prompt is to be opened.

    Raises:
        BadInput: it is a folder without rows, or there is a prompt beside it.
    """
    path = typed_path(args.session) if args.session else None
    if path is None or not path.is_dir():
        return None
    if given := changed_options(add_prompt, args):
        raise BadInput(f"both a folder of rows, {args.session!r}, and {' '.join(given)}: give one of them")
    if not is_rows_folder(path):
        raise BadInput(
            f"{args.session!r} is a folder without the rows of a sweep or a study: name the --out folder of one, "
            "or a session file"
        )
    return path


def what_to_open(args: argparse.Namespace) -> tuple[Session | None, Path | None]:
    """What the explorer opens: a prompt from the command line, a session with its path, or the first example."""
    path = typed_path(args.session) if args.session else None
    if args.context is not None or args.query is not None:
        if path is not None:
            raise BadInput(f"both a session, {args.session!r}, and a prompt: give one of them")
        return Session(prompt=read_prompt(args), **values_of(args, Session)), None
    if idle := changed_options(add_prompt, args):
        raise BadInput(f"{' '.join(idle)}: options that go with a prompt: give -c and -q too")
    path = path or next(iter(example_sessions()), None)
    return (read_session(path) if path else None), path
