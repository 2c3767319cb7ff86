"""``icltui patch add``: the adapters of several contexts solved together, as one adapter."""

import argparse
import os
import sys
from pathlib import Path

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import DEMO, JoinAdapters
from icltui.api.option_table import option_of
from icltui.cli.common import load_model, load_request, local_engine
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_option, add_options
from icltui.cli.output import check_new_target, stdout_to_stderr, terminal_width, write_text
from icltui.storage.patch_source import read_source
from icltui.storage.paths import shown, typed_path
from icltui.values.errors import BadInput
from icltui.values.patch_source import PatchSource, check_joinable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="join adapters made from different contexts into one")
    add.description = (
        "Solve the patches of several contexts together and write them as one adapter, which holds all of them: the "
        "context of each adapter is read anew on its model. The report shows what each context loses to the others."
    )
    add.add_argument(
        "adapters",
        metavar="ADAPTER",
        nargs="+",
        type=typed_path,
        help="folders that icltui compile or icltui patch add wrote, two or more",
    )
    add.add_argument(
        "-o",
        "--output",
        dest="target",
        metavar="PATH",
        type=typed_path,
        required=True,
        help="a folder (peft) or a file (gguf-lora) that does not exist yet",
    )
    add.add_argument(
        "--to", choices=("peft", "gguf-lora"), default="peft", help="what is written (default peft)"
    )
    add_option(
        add,
        option_of("ridge"),
        default=None,
        help="penalty of the joint solve; default: the largest of the adapters'",
    )
    add_options(add.add_argument_group("model", "as the adapters name it, unless given here"), "model")
    parser.set_defaults(output=None)  # where the report goes: to stdout
    add.add_argument("--format", choices=("text", "json"), default="text", help="default text")


def patch(args: argparse.Namespace) -> int:
    """``icltui patch add``."""
    from icltui.report.joined_patch import joined_json, joined_text

    contexts = [context for folder in _folders(args) for context in _contexts(folder)]
    check_joinable(contexts)
    check_new_target(args.target)
    engine, first = local_engine(), contexts[0]
    if args.model is None:
        args.model, args.revision, args.dtype = first.model, first.revision, first.dtype
    load_model(engine, load_request(args, None))
    request = JoinAdapters(contexts=tuple(contexts), format=args.to, path=str(args.target), ridge=args.ridge)
    with show_load_progress(sys.stderr, DEMO) as on_event, stdout_to_stderr():
        joined = run_to_result.join(engine, request, on_event)
    return write_text(
        args, joined_json(joined) if args.format == "json" else joined_text(joined, terminal_width())
    )


def _folders(args: argparse.Namespace) -> list[Path]:
    """The named folders.

    Raises:
        BadInput: fewer than two, or one twice.
    """
    folders: list[Path] = args.adapters
    if len(folders) < 2:
        raise BadInput(f"only {shown(folders[0])} is named: name two adapters or more")
    for number, folder in enumerate(folders):
        if os.path.realpath(folder) in map(os.path.realpath, folders[:number]):
            raise BadInput(f"{shown(folder)} is named twice: name each adapter once")
    return folders


def _contexts(folder: Path) -> tuple[PatchSource, ...]:
    """The contexts of the adapter in ``folder``, each with a name."""
    if folder.is_file():
        raise BadInput(f"{shown(folder)} is a file: name the folder of an adapter that icltui compile made")
    return tuple(
        context if context.name else replace(context, name=folder.name)
        for context in read_source(folder).contexts
    )
