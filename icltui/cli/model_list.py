"""The models of an experiment: several names, several revisions of each, one way to load them all."""

import argparse

from msgspec.structs import replace

from icltui.api.messages import DEMO, LoadModel
from icltui.api.option_table import OPTIONS
from icltui.cli.options import add_option, values_of
from icltui.values.errors import BadInput


def add_models(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of the models."""
    group = parser.add_argument_group("models")
    for option in OPTIONS:
        if option.group == "model" and option.field not in ("model", "revision"):
            add_option(group, option)
    group.add_argument(
        "--model",
        dest="models",
        metavar="M",
        action="append",
        help=f"Hugging Face id, folder, GGUF file or ollama:NAME; may be repeated (default: {DEMO})",
    )
    group.add_argument(
        "--revisions",
        metavar="R,…",
        type=read_revisions,
        default=(),
        help="branches, tags or commits of each model, with commas between them",
    )
    return group


def models_of(args: argparse.Namespace) -> tuple[LoadModel, ...]:
    """A request for each model and revision.

    Raises:
        BadInput: a model without a name.
    """
    names = dict.fromkeys(args.models or [DEMO])
    if not all(names):
        raise BadInput("--model is empty: give a Hugging Face id, a folder or a GGUF file")
    usual = LoadModel(**values_of(args, LoadModel))
    return tuple(
        replace(usual, model=name, revision=revision)
        for name in names
        for revision in args.revisions or (None,)
    )


def read_revisions(text: str) -> tuple[str, ...]:
    """The names between the commas.

    >>> read_revisions("step1000, step2000")
    ('step1000', 'step2000')
    """
    names = tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no revision: write such as step1000,step2000")
    return names
