"""``icltui heads``: induction heads, and δ by head and unit of the context, as a table, JSON or CSV."""

import argparse
import sys

from icltui.api import run_to_result
from icltui.api.messages import MeasureHeads
from icltui.api.operation import operation_of
from icltui.cli.common import job_request, start_job
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_model_and_output, add_operation
from icltui.cli.output import stdout_to_stderr, terminal_width, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Scores of every attention head on repeated random tokens, and δ of the prompt by head and by unit of the "
        "context."
    )
    add_operation(parser, operation_of("heads"), {"seed": "heads"})
    add_model_and_output(parser, "table", "json", "csv")


def heads(args: argparse.Namespace) -> int:
    """``icltui heads``."""
    from icltui.report.answer import result_json
    from icltui.report.heads import heads_csv, heads_table

    engine, model, session = start_job(args)
    request = job_request(MeasureHeads, args, session)
    with show_load_progress(sys.stderr, model.name) as on_event, stdout_to_stderr():
        result = run_to_result.heads(engine, request, on_event)
    formats = {
        "json": lambda: result_json(model, request, result),
        "csv": lambda: heads_csv(result),
        "table": lambda: heads_table(model, result, terminal_width()),
    }
    return write_text(args, formats[args.format]())
