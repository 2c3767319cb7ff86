"""What several commands are put together from: the engine, the prompt, the model asked for, the way out."""

import argparse
import contextlib
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from icltui.api.messages import DEMO, Engine, LoadModel
from icltui.cli import parser
from icltui.storage.paths import real_path
from icltui.storage.sessions import Session
from icltui.system.streams import print_text
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt


def local_engine() -> Engine:
    """An engine in this process. Where its current folder is gone it moves to one that stays: oneMKL ends without."""
    try:
        os.getcwd()
    except OSError:
        os.chdir(os.sep)
    from icltui.engine.local import LocalEngine

    return LocalEngine()


def read_prompt(args: argparse.Namespace) -> Prompt:
    return Prompt(
        context=parser.read_text(args.context or ""),
        query=parser.read_text(args.query or "", is_query=True),
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
    """Refuse the file of ``-o`` if it could not be written, before the work rather than after it."""
    if args.output is not None:
        check_place(args.output, Path(real_path(args.output)).parent)


def check_place(path: Path, folder: Path) -> None:
    """Refuse a file that could not be written, once ``folder`` holds it.

    Raises:
        BadInput: something else is there, or no folder, or neither may be written.
    """
    real = Path(real_path(path))  # where a link leads; one that leads round and round stays one
    if real.is_dir() or real.is_symlink() or not folder.is_dir():
        raise BadInput(f"cannot write {str(path)!r}: give a file in a folder that exists")
    if not os.access(real if real.exists() else folder, os.W_OK):
        raise BadInput(f"cannot write {str(path)!r}: permission denied: choose another place")


def write_text(args: argparse.Namespace, text: str) -> int:
    """The text into the file that was asked for, else to stdout; in UTF-8 wherever it goes."""
    if args.output is None:
        print_text(text)
        return 0
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"cannot write {str(args.output)!r}: {(error.strerror or str(error)).lower()}"
        ) from error
    return 0


def quiet() -> contextlib.redirect_stdout[TextIO]:
    """Whatever a model's own code prints goes to stderr, so that stdout holds nothing but data."""
    return contextlib.redirect_stdout(sys.stderr)


def width() -> int:
    return shutil.get_terminal_size((110, 40)).columns


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
