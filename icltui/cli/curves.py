"""``icltui curves``: the loss at every position of a text, with its context and without, as a table, JSON or CSV."""

import argparse
import sys

from icltui.api import run_to_result
from icltui.api.messages import MeasureCurves
from icltui.api.option_table import option_of
from icltui.cli.common import request_from, start_job
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_option, add_options, add_prompt_options, values_of
from icltui.cli.output import stdout_to_stderr, terminal_width, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Loss by position in nats, what the context gives, the ICL score, and the derivative in ln position."
    )
    add_prompt_options(parser, "table", "json", "csv", has_layers=False)
    curves = parser.add_argument_group("curves")
    add_options(curves, "curves")
    add_option(curves, option_of("seed"), help="of the model's own texts and of the intervals (default 0)")


def curves(args: argparse.Namespace) -> int:
    """``icltui curves``."""
    from icltui.report.answer import result_json
    from icltui.report.curves import curves_csv, curves_table

    engine, model, session = start_job(args)
    request = request_from(MeasureCurves, session, **values_of(args, MeasureCurves))
    with show_load_progress(sys.stderr, model.name) as on_event, stdout_to_stderr():
        result = run_to_result.curves(engine, request, on_event)
    formats = {
        "json": lambda: result_json(model, request, result),
        "csv": lambda: curves_csv(result),
        "table": lambda: curves_table(model, result, terminal_width()),
    }
    return write_text(args, formats[args.format]())
