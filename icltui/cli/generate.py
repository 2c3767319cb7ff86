"""``icltui generate``: text with the context, without it, and without it through a patch."""

import argparse
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.consistency import check_recipe, check_sampling
from icltui.api.messages import Export, Generate, GenerateEach
from icltui.api.operation import operation_of
from icltui.cli.common import finish_job, job_request, request_from, start_job
from icltui.cli.options import add_model_and_output, add_operation, values_of
from icltui.cli.output import stdout_to_stderr, terminal_width, write_text
from icltui.storage.paths import typed_path
from icltui.storage.query_file import read_queries
from icltui.values.errors import BadInput, SessionError
from icltui.values.recipe import Recipe, Sampling


def add_arguments(parser: argparse.ArgumentParser) -> None:
    groups = add_operation(parser, operation_of("generate"), query={"required": False})
    groups["prompt"].add_argument(
        "--each", metavar="FILE", type=typed_path, help="one run for each line of the file, in place of -q"
    )
    groups["tests of the patch"].add_argument(
        "--with-factors",
        action="store_true",
        help="with --save: z, δ and the patch's factors as safetensors beside the session",
    )
    add_model_and_output(parser, "text", "json", has_session=True)


def generate(args: argparse.Namespace) -> int:
    """``icltui generate``."""
    from icltui.report import generate
    from icltui.report.answer import result_json

    recipe, sampling = Recipe(**values_of(args, Recipe)), Sampling(**values_of(args, Sampling))
    check_recipe(recipe)
    check_sampling(sampling)
    patch_and_text = {"recipe": recipe, "sampling": sampling}
    if args.with_factors:
        _check_factors(args)
    if args.each is not None:
        return _generate_each(args, patch_and_text)
    engine, model, session = start_job(args)
    session = replace(session, **patch_and_text)
    request = job_request(Generate, args, session)
    with stdout_to_stderr():
        result = run_to_result.generate(engine, request)
    as_json = args.format == "json"
    text = (
        result_json(model, request, result)
        if as_json
        else generate.generate_text(model, result, terminal_width())
    )
    code = finish_job(args, replace(session, generation=result), text)
    if args.with_factors:
        path = str(_factors_path(args.save))
        export = request_from(Export, session, format="factors", path=path, ids=result.ids)
        with stdout_to_stderr():
            run_to_result.export(engine, export)
    return code


def _generate_each(args: argparse.Namespace, patch_and_text: dict[str, Any]) -> int:
    """The lanes of every query in a file."""
    from icltui.report import generate
    from icltui.report.answer import result_json

    for option, value in (("-q", args.query), ("--save", args.save), ("--curves", args.curves or None)):
        if value is not None:
            raise BadInput(
                f"{option} does not go with --each, which runs every query of a file: leave it out"
            )
    queries = read_queries(args.each)
    args.query = queries[0]
    engine, model, session = start_job(args)
    request = job_request(GenerateEach, args, session, queries=queries, **patch_and_text)
    with stdout_to_stderr():
        results = run_to_result.generate_each(engine, request)
    as_json = args.format == "json"
    text = (
        result_json(model, request, results)
        if as_json
        else generate.generate_each_text(model, queries, results, terminal_width())
    )
    return write_text(args, text)


def _factors_path(session: Path) -> Path:
    """Where the factors of a session's patch lie: beside it."""
    return session.with_suffix(".safetensors")


def _check_factors(args: argparse.Namespace) -> None:
    if args.save is None:
        raise BadInput("--with-factors writes a file beside the session: give --save SESSION.json too")
    if args.mode == "per-step":
        raise BadInput("--with-factors needs a patch that is held: give --mode frozen or compiled")
    if _factors_path(args.save) == args.save:
        raise BadInput(
            f"--save {str(args.save)!r} is where the factors go: give it another ending, such as .json"
        )
    if _factors_path(args.save).exists():
        raise SessionError(f"{str(_factors_path(args.save))!r} exists already: give --save another name")
