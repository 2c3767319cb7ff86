"""The parts that several commands share: an engine, the prompt, the model to load, the session to save."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.engine import Engine
from icltui.api.messages import DEMO, LoadModel
from icltui.api.option_table import options_of
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import values_of
from icltui.cli.output import check_output, check_writable, stdout_to_stderr, write_text
from icltui.storage.paths import real_path
from icltui.storage.sessions import write_session
from icltui.system.permanent_imports import import_for_good
from icltui.values import ModelInfo, Session
from icltui.values.bounds import LAYERS
from icltui.values.errors import BadInput, SessionError
from icltui.values.prompt import Prompt, resolve_layers

R = TypeVar("R", bound=Struct)


def local_engine() -> Engine:
    """An engine in this process, which leaves a current folder that was deleted: oneMKL would end the process."""
    try:
        os.getcwd()
    except OSError:
        os.chdir(os.sep)
    import_for_good("icltui.engine.local")
    from icltui.engine.local import LocalEngine

    return LocalEngine()


def read_prompt(args: argparse.Namespace) -> Prompt:
    """The prompt that the options amount to, its texts read from the files that are named."""
    return Prompt(**values_of(args, Prompt))


def load_request(args: argparse.Namespace, session: Session | None) -> LoadModel:
    """The model that the options name, or the session's own as it was loaded for the session's results."""
    saved = session.model if session is not None and args.model is None else None
    name = saved.name if saved is not None else DEMO if args.model is None else args.model
    if not name:
        raise BadInput(
            "--model is empty: give a Hugging Face id, a folder or a GGUF file, or leave it out for the embedded model"
        )
    usual = LoadModel(model=name)
    if saved is not None:
        usual = replace(
            usual, revision=saved.revision, dtype=saved.dtype, quantize=saved.quantize, sites=saved.sites
        )
    defaults, given = LoadModel(), values_of(args, LoadModel)
    return replace(
        usual, **{name: value for name, value in given.items() if value != getattr(defaults, name)}
    )


def load_model(engine: Engine, request: LoadModel) -> ModelInfo:
    """The model that ``request`` names, loaded, with its progress on stderr."""
    with show_load_progress(sys.stderr, request.model) as on_event, stdout_to_stderr():
        return run_to_result.load(engine, request, on_event)


def start_job(args: argparse.Namespace) -> tuple[Engine, ModelInfo, Session]:
    """An engine with the model loaded, that model, and a session of the prompt."""
    title = args.save.stem if args.save else ""
    session = Session(title=title, prompt=_read_checked_prompt(args), **values_of(args, Session))
    check_paths(args)  # before a model is loaded, which takes long
    engine = local_engine()
    model = load_model(engine, load_request(args, None))
    return engine, model, replace(session, model=model)


def job_request(kind: type[R], args: argparse.Namespace, session: Session, **more: Any) -> R:
    """The request of a job: what the session does not hold is read from the options, each file once."""
    own = values_of(args, kind, without=[option.field for option in options_of(Session)])
    return request_from(kind, session, **own | more)


def request_from(kind: type[R], *sources: Struct, **more: Any) -> R:
    """A request of ``kind``: its fields from ``more``, else from the last of ``sources`` that has them."""
    names = kind.__struct_fields__
    values = {name: getattr(source, name) for source in sources for name in names if hasattr(source, name)}
    return kind(**values | more)


def _read_checked_prompt(args: argparse.Namespace) -> Prompt:
    prompt = read_prompt(args)
    if not prompt.query:
        raise BadInput("the query is empty: type the text whose continuation is to be explained")
    if args.layers != "last":
        resolve_layers(args.layers, LAYERS)
    return prompt


def check_paths(args: argparse.Namespace) -> None:
    """Refuse a file of ``-o`` or ``--save`` that cannot be written."""
    check_output(args)
    if args.save is None:
        return
    if args.save.exists():
        raise SessionError(f"{str(args.save)!r} exists already: give --save another name")
    folder = next(filter(os.path.lexists, Path(real_path(args.save)).parents))  # in which the others are made
    check_writable(args.save, folder)
    if args.output is not None and real_path(args.save) == real_path(args.output):
        raise BadInput(f"-o and --save both name {str(args.save)!r}: give each a file of its own")


def finish_job(args: argparse.Namespace, session: Session, text: str) -> int:
    write_text(args, text)  # first: if the session cannot be saved, the text is not lost
    if args.save is not None:
        write_session(args.save, session)
    return 0
