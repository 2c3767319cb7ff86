"""``icltui curves``: the loss at every position of a text, with its context and without, as a table, JSON or CSV."""

import argparse
import sys

from icltui.api import run_to_result
from icltui.api.messages import MeasureCurves
from icltui.api.operation import operation_of
from icltui.cli.common import job_request, start_job
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_model_and_output, add_operation
from icltui.cli.output import stdout_to_stderr, terminal_width, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Loss by position in nats, what the context gives, the ICL score, and the derivative in ln position."
    )
    add_operation(parser, operation_of("curves"), {"seed": "curves"})
    add_model_and_output(parser, "table", "json", "csv")
    parser.set_defaults(layers="all")


def curves(args: argparse.Namespace) -> int:
    """``icltui curves``."""
    from icltui.report.answer import result_json
    from icltui.report.curves import curves_csv, curves_table

    engine, model, session = start_job(args)
    request = job_request(MeasureCurves, args, session)
    with show_load_progress(sys.stderr, model.name) as on_event, stdout_to_stderr():
        result = run_to_result.curves(engine, request, on_event)
    formats = {
        "json": lambda: result_json(model, request, result),
        "csv": lambda: curves_csv(result),
        "table": lambda: curves_table(model, result, terminal_width()),
    }
    return write_text(args, formats[args.format]())
