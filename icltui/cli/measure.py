"""``icltui measure``: what each unit of a context does at each layer, as a table, JSON or CSV."""

import argparse

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import Measure
from icltui.cli.common import finish_job, request_from, start_job
from icltui.cli.options import add_job_options, add_options
from icltui.cli.output import stdout_to_stderr, terminal_width
from icltui.values.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    prompt = add_job_options(parser, "table", "json", "csv")
    add_options(prompt, "method")
    add_options(prompt, "pairs")


def measure(args: argparse.Namespace) -> int:
    """``icltui measure``."""
    from icltui.report.answer import result_json
    from icltui.report.measure_json_csv import measure_csv
    from icltui.report.measure_tables import measure_table

    if args.pairs and args.format == "csv":
        raise BadInput("--pairs does not go with csv: use --format json or table")
    engine, model, session = start_job(args)
    request = request_from(Measure, session, pairs=args.pairs)
    with stdout_to_stderr():
        result = run_to_result.measure(engine, request)
    formats = {
        "json": lambda: result_json(model, request, result),
        "csv": lambda: measure_csv(result),
        "table": lambda: measure_table(model, session.prompt, result, terminal_width()),
    }
    return finish_job(args, replace(session, measurement=result), formats[args.format]())
