"""``icltui study``: a question, prompts made for it, and what comes of them; without a name, the list of them."""

import argparse
from typing import Any

from icltui.api.messages import LoadModel
from icltui.cli.common import load_request
from icltui.cli.model_list import read_revisions
from icltui.cli.options import add_options, add_output
from icltui.cli.output import check_output, terminal_width, write_text
from icltui.cli.run_in_folder import add_run_options, exit_code_of, run_in_folder, run_watched, tracked
from icltui.studies.catalogue import CATALOGUE, study_entry
from icltui.text.pretty_json import pretty
from icltui.values.bounds import SEED
from icltui.values.errors import BadInput
from icltui.values.results import Summary

_MOST_PROMPTS = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a study that icltui brings ready-made, on prompts that it makes itself, and say what was found, with "
        "controls, intervals and what it does not show. Without NAME: the list."
    )
    names = ", ".join(entry.name for entry in CATALOGUE)
    parser.add_argument("name", metavar="NAME", nargs="?", help=names)
    add_run_options(parser, is_folder_required=False)
    parser.set_defaults(log=None)  # the rows of studies have no ‖δ‖ of each layer
    study = parser.add_argument_group("study")
    study.add_argument(
        "--n",
        metavar="N",
        type=_read_n,
        help="how many prompts, series or questions (default: the study's own)",
    )
    study.add_argument(
        "--seed",
        metavar="N",
        type=_read_seed,
        default=0,
        help="of prompts, controls and resamples (default 0)",
    )
    model = parser.add_argument_group("model")
    add_options(model, "model")
    model.add_argument(
        "--revisions",
        metavar="R,…",
        type=read_revisions,
        default=(),
        help="branches, tags or commits of the model, with commas between them",
    )
    add_output(parser, ("table", "json"))


def study(args: argparse.Namespace) -> int:
    """``icltui study``."""
    if args.name is None:
        check_output(args)
        return write_text(args, _list(args.format))
    _check(args)
    summary = _run(args)
    from icltui.report.experiment_summary import summary_json, summary_text

    as_json = args.format == "json"
    write_text(args, summary_json(summary) if as_json else summary_text(summary, terminal_width()))
    return exit_code_of(summary)


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot be run, before a model is loaded.

    Raises:
        BadInput: no such study, a share of no folder, both ways to name a revision, an output that cannot be written.
    """
    study_entry(args.name)
    if args.out is None and args.shard != (1, 1):
        raise BadInput("--shard needs a folder that all shares write into: give --out DIR")
    if args.out is None and args.on is not None:
        raise BadInput("--on ray needs a folder that all nodes share: give --out DIR")
    if args.out is None and args.retry:
        raise BadInput("--retry needs the folder of an earlier run: give --out DIR")
    if args.revisions and args.revision is not None:
        raise BadInput("--revision and --revisions are both given: give one of them")
    check_output(args)


def _run(args: argparse.Namespace) -> Summary:
    load: LoadModel = load_request(args, None)
    from icltui.studies.study import StudySettings, load_study

    experiment = load_study(args.name, StudySettings(load, args.revisions, args.n, args.seed))
    if args.out is not None:
        return run_in_folder(args, experiment)
    from msgspec.structs import asdict

    from icltui.experiment.run import RowsInMemory

    rows = RowsInMemory[Any]()
    with tracked(args, experiment) as tracker:
        run_watched(args, experiment, rows, tracker)
        summary: Summary = experiment.summarise([asdict(row) for row in rows])
        if tracker is not None:
            tracker.end(summary)
    return summary


def _list(form: str) -> str:
    if form == "json":
        return pretty([{"name": entry.name, "question": entry.question} for entry in CATALOGUE])
    from icltui.text.tables import phrases, render, table

    lines = ((entry.name, entry.question) for entry in CATALOGUE)
    return render([table([phrases("study"), phrases("question")], lines)], terminal_width())


def _read_n(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= _MOST_PROMPTS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of prompts: give 1 to {_MOST_PROMPTS:,}")
    return int(text)


def _read_seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 to {SEED}")
    return int(text)
