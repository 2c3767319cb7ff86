"""What several commands are put together from: the engine, the prompt, the model asked for, the way out."""

import argparse
import contextlib
import io
import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TextIO

from icltui import options
from icltui.api import DEMO, Engine, LoadModel
from icltui.errors import BadInput
from icltui.prompt import Prompt
from icltui.session import Session


def local_engine() -> Engine:
    from icltui.engine.local import LocalEngine

    return LocalEngine()


def read_prompt(args: argparse.Namespace) -> Prompt:
    return Prompt(
        context=options.read_text(args.context or ""),
        query=options.read_text(args.query or "", is_query=True),
        unit=args.unit,
        bos=args.bos,
        chat=args.chat,
        positions=args.positions,
    )


def load_request(args: argparse.Namespace, session: Session | None) -> LoadModel:
    """The model that was asked for; else the session's own, as it was loaded for the session's numbers."""
    saved = session.model if session is not None and args.model is None else None
    name = saved.name if saved is not None else DEMO if args.model is None else args.model
    if not name:
        raise BadInput(
            "--model is empty: give a Hugging Face id or a folder, or leave it out for the embedded model"
        )
    return LoadModel(
        model=name,
        revision=args.revision or (None if saved is None else saved.revision),
        dtype=args.dtype if saved is None or args.dtype != "auto" else saved.dtype,
        device=args.device,
        device_map=args.device_map,
        quantize=args.quantize if saved is None or args.quantize != "none" else saved.quantize,
        allow_pickle=args.allow_pickle,
        trust_remote_code=args.trust_remote_code,
        sites=args.sites or (saved.sites if saved is not None else {}),
    )


def check_output(args: argparse.Namespace) -> None:
    """Refuse a file that could not be written, before the work rather than after it."""
    if args.output is None:
        return
    if args.output.is_dir() or not args.output.parent.is_dir():
        raise BadInput(f"cannot write {str(args.output)!r}: give a file in a folder that exists")
    if not os.access(args.output if args.output.exists() else args.output.parent, os.W_OK):
        raise BadInput(f"cannot write {str(args.output)!r}: permission denied: choose another place")


def write_text(args: argparse.Namespace, text: str) -> int:
    """The text into the file that was asked for, else to stdout; in UTF-8 wherever it goes."""
    try:
        if args.output is None:
            _print(text if text.endswith("\n") else text + "\n")
        else:
            args.output.write_text(text, encoding="utf-8")
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "to stdout" if args.output is None else repr(str(args.output))
        raise BadInput(f"cannot write {where}: {(error.strerror or str(error)).lower()}") from error
    return 0


def _print(text: str) -> None:
    if sys.stdout is None:
        raise OSError("it is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        leave_stdout()
        raise


def leave_stdout() -> None:
    """Send to nowhere what is still on its way, else the interpreter would try once more as it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def quiet() -> contextlib.redirect_stdout[TextIO]:
    """Whatever a model's own code prints goes to stderr, so that stdout holds nothing but data."""
    return contextlib.redirect_stdout(sys.stderr)


def width() -> int:
    return shutil.get_terminal_size((110, 40)).columns


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
