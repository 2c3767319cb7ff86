"""``icltui export``: the records of a session as a file, or its patch in a format of another program."""

import argparse
from pathlib import Path

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import Export
from icltui.api.option_table import option_of
from icltui.cli.common import load_model, load_request, local_engine, request_from
from icltui.cli.options import add_option, add_options, changed_options
from icltui.cli.output import check_new_target, stdout_to_stderr, terminal_width, write_text
from icltui.report.session_formats import FORMAT_TITLES, SESSION_FORMATS, render_session
from icltui.storage.atomic import write_file
from icltui.storage.paths import shown, typed_path
from icltui.storage.sessions import read_session
from icltui.system.streams import print_error
from icltui.values import ExportFormat, Session
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe

FORMATS: tuple[ExportFormat, ...] = ("peft", "gguf-lora", "gguf-control-vector")
"""What a session's patch can be written as; its factors are written while it is generated."""
SQL = "sql"
"""Rows of a database, which may hold others."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "session",
        metavar="SESSION.json",
        type=typed_path,
        help="the session to write from; with sql also the folder of a sweep",
    )
    parser.add_argument(
        "--to",
        choices=(*SESSION_FORMATS, SQL, *FORMATS),
        metavar="FORMAT",  # all of them are wider than a terminal
        required=True,
        help="what it records, which needs no model: every measure as a table (csv), a report with its figure (md, "
        "html), a figure (svg, png), rows of a database (sql); or its patch: a LoRA adapter for PEFT and what reads "
        "its files (peft) or for llama.cpp (gguf-lora), or the mean shift for llama.cpp (gguf-control-vector)",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "-o",
        "--output",
        dest="target",
        metavar="PATH",
        type=typed_path,
        help="a folder (peft) or a file (all others) that does not exist yet; or a SQLite file (sql), new or with "
        "other rows",
    )
    where.add_argument(
        "--url",
        metavar="URL",
        help="sql: a database in place of -o, such as postgresql://USER@HOST/DATABASE",
    )
    group = parser.add_argument_group(
        "patch", "as in the session, unless given here; no effect on a table, report or figure"
    )
    add_option(
        group,
        option_of("mode"),
        choices=[mode for mode in option_of("mode").choices if mode != "per-step"],
        default=None,
        help="a per-step patch cannot be exported: the query's last token's, held (then the default), or one for many "
        "tokens",
    )
    add_option(group, option_of("components"), default=None)
    add_options(parser.add_argument_group("model"), "model")
    report = parser.add_argument_group("report")
    parser.set_defaults(output=None)  # where the report goes: to stdout
    report.add_argument("--format", choices=("text", "json"), default="text", help="default text")


def export(args: argparse.Namespace) -> int:
    """``icltui export``."""
    if args.to in FORMATS:
        return _export_patch(args)
    _refuse_idle(args)
    if args.to != SQL:
        return _export_record(args)
    from icltui.cli.export_sql import export_sql

    return export_sql(args)


def _refuse_idle(args: argparse.Namespace) -> None:
    """Refuse options that mean nothing to a record."""
    places = ("--output", "--url") if args.to == SQL else ("--output",)
    if idle := [name for name in changed_options(add_arguments, args) if name not in places]:
        title = FORMAT_TITLES.get(args.to, "database")
        raise BadInput(
            f"{idle[0]} means nothing to a {title}, which shows the session as it is: leave it out"
        )


def _export_record(args: argparse.Namespace) -> int:
    """Write what the session holds, without an engine."""
    session = read_session(args.session)
    check_new_target(args.target, makes_folders=True)
    data = render_session(session, args.to)
    write_file(args.target, data)
    return write_text(args, f"{FORMAT_TITLES[args.to]}: {shown(args.target)}, {len(data):,} bytes")


def _export_patch(args: argparse.Namespace) -> int:
    from icltui.report.export import export_json, export_text

    if args.url is not None:
        raise BadInput(f"--url is for --to sql: give -o, where the patch as {args.to} is to be")
    session = read_session(args.session)
    _check(args.session, session, args.target)
    recipe = _recipe(args, session)
    engine = local_engine()
    load_model(engine, load_request(args, session))
    fingerprint = None if session.model is None else session.model.fingerprint
    where = {"format": args.to, "path": str(args.target)}
    request = request_from(Export, session, recipe=recipe, fingerprint=fingerprint, **where)
    with stdout_to_stderr():
        report = run_to_result.export(engine, request)
    text = (
        export_json(recipe, report)
        if args.format == "json"
        else export_text(recipe, report, terminal_width())
    )
    return write_text(args, text)


def _check(path: Path, session: Session, target: Path) -> None:
    """Refuse, before a model is loaded, a session without a patch and a target that exists."""
    if not session.prompt.query:
        raise BadInput(f"{shown(path)} holds no query, so it has no patch: name a session that was run")
    check_new_target(target)


def _recipe(args: argparse.Namespace, session: Session) -> Recipe:
    """The session's recipe with the options' changes; a mode of per-step becomes frozen, with a line on stderr."""
    recipe = session.recipe
    mode = args.mode or ("frozen" if recipe.mode == "per-step" else recipe.mode)
    if args.mode is None and recipe.mode == "per-step":
        print_error(
            "icltui: the session's patch is made anew for every token, so the frozen one, of the query's "
            "last token, is exported (--mode compiled fits more tokens)"
        )
    return replace(recipe, mode=mode, components=args.components or recipe.components)
