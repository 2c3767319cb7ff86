"""``icltui measure``: what each unit of a context does at each layer, as a table, JSON or CSV."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import Measure
from icltui.api.operation import operation_of
from icltui.cli.common import finish_job, job_request, start_job
from icltui.cli.database_log import add_log, opened_log
from icltui.cli.options import add_model_and_output, add_operation
from icltui.cli.output import stdout_to_stderr, terminal_width
from icltui.values import Measurement, Session
from icltui.values.errors import BadInput

if TYPE_CHECKING:
    from icltui.storage.database.entries import LogEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_operation(parser, operation_of("measure"))
    add_model_and_output(parser, "table", "json", "csv", has_session=True)
    add_log(parser)


def measure(args: argparse.Namespace) -> int:
    """``icltui measure``."""
    from icltui.report.answer import result_json
    from icltui.report.measure_json_csv import measure_csv
    from icltui.report.measure_tables import measure_table

    if args.pairs and args.format == "csv":
        raise BadInput("--pairs does not go with csv: use --format json or table")
    with opened_log(args) as log:
        engine, model, session = start_job(args)
        request = job_request(Measure, args, session)
        with stdout_to_stderr():
            result = run_to_result.measure(engine, request)
        if log is not None:
            log.put(partial(_entries, session, result))
        formats = {
            "json": lambda: result_json(model, request, result),
            "csv": lambda: measure_csv(result),
            "table": lambda: measure_table(model, session.prompt, result, terminal_width()),
        }
        return finish_job(args, replace(session, measurement=result), formats[args.format]())


def _entries(session: Session, result: Measurement) -> "list[LogEntry]":
    from icltui.storage.database.entries import measurement_entry

    title = session.title
    return [measurement_entry(session.model, session.prompt, result, source="measure", title=title)]
