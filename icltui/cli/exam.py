"""``icltui exam``: every patch of a session's context, put to one test."""

import argparse
import sys

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import DEMO, Examine, OtherContext
from icltui.api.option_table import option_of
from icltui.cli.common import check_paths, load_model, load_request, local_engine, request_from
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_option, add_options, add_output
from icltui.cli.output import stdout_to_stderr, terminal_width, write_text
from icltui.storage.paths import shown, typed_path
from icltui.storage.query_file import read_answered_queries
from icltui.storage.sessions import read_session, write_session
from icltui.values import EXAM_PATCHES, ExamPatch, Session
from icltui.values.bounds import SEED
from icltui.values.errors import BadInput
from icltui.values.exam import unseen_queries
from icltui.values.prompt import Prompt

_BUDGET = "seconds that choosing the ordinary patch may take, where the session holds none (default 30)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make every patch of a session's context from its calibration queries, and put each to the same test on its "
        "held-out ones and on unrelated text. The session's model, layers and recipe are used."
    )
    parser.add_argument(
        "session", metavar="SESSION.json", type=typed_path, help="the session with the context"
    )
    queries = parser.add_argument_group("queries", "as in the session, unless given here")
    queries.add_argument(
        "--queries",
        metavar="FILE",
        type=typed_path,
        help="calibration queries, one per line: patches are made from them",
    )
    queries.add_argument(
        "--holdout",
        metavar="FILE",
        type=typed_path,
        help="unseen queries, one per line, each with its true answer after a tab where there is one",
    )
    exam = parser.add_argument_group("exam")
    add_option(exam, option_of("rows"))
    exam.add_argument(
        "--distilled", action="store_true", help="a LoRA trained by gradient too, which takes minutes"
    )
    add_option(exam, option_of("budget"), default=Examine(prompt=Prompt()).budget, help=_BUDGET)
    exam.add_argument(
        "--other", metavar="SESSION.json", type=typed_path, help="another context, and a patch of both"
    )
    exam.add_argument(
        "--bootstrap-seed",
        metavar="N",
        type=_read_seed,
        default=0,
        help="of the intervals' resamples (default 0)",
    )
    add_options(parser.add_argument_group("model"), "model")
    add_output(parser, ("table", "json", "csv")).add_argument(
        "--save", metavar="SESSION.json", type=typed_path, help="save the session with the exam"
    )


def exam(args: argparse.Namespace) -> int:
    """``icltui exam``."""
    from icltui.report.answer import result_json
    from icltui.report.exam import exam_csv, exam_text

    session = read_session(args.session)
    request = _request(args, session)
    check_paths(args)
    engine = local_engine()
    model = load_model(engine, load_request(args, session))
    with show_load_progress(sys.stderr, DEMO) as on_event, stdout_to_stderr():
        result = run_to_result.exam(engine, request, on_event)
    if args.format == "table":
        text = exam_text(model, result, terminal_width())
    else:
        text = exam_csv(result) if args.format == "csv" else result_json(model, request, result)
    write_text(args, text)  # first: if the session cannot be saved, the text is not lost
    if args.save is not None:
        recipe = replace(session.recipe, queries=result.calibration)
        holdout = tuple(query.query for query in result.queries)
        kept = replace(
            session, title=args.save.stem, recipe=recipe, holdout=holdout, model=model, exam=result
        )
        write_session(args.save, kept)
    return 0


def _request(args: argparse.Namespace, session: Session) -> Examine:
    """The request that the session and the options amount to.

    Raises:
        BadInput: queries that no exam can be held with, before a model is loaded.
    """
    known = {query.query: query.answer for query in session.exam.queries} if session.exam else {}
    answers = {query: answer for query, answer in known.items() if answer is not None}
    recipe, holdout = session.recipe, session.holdout
    if args.queries is not None:
        recipe = replace(recipe, queries=read_answered_queries(args.queries)[0])
    if args.holdout is not None:
        holdout, answers = read_answered_queries(args.holdout)
    unseen_queries(recipe.queries, holdout)
    return request_from(
        Examine,
        session,
        recipe=recipe,
        holdout=holdout,
        answers=answers,
        rows=_rows(args),
        other=None if args.other is None else _other(args, session),
        seed=args.bootstrap_seed,
        budget=args.budget,
    )


def _rows(args: argparse.Namespace) -> tuple[ExamPatch, ...]:
    wanted = {*args.rows, *(["distilled"] if args.distilled else []), *(["joined"] if args.other else [])}
    if "joined" in wanted and args.other is None:
        raise BadInput("--rows joined needs another context: give --other SESSION.json")
    return tuple(name for name in EXAM_PATCHES if name in wanted)


def _other(args: argparse.Namespace, session: Session) -> OtherContext:
    other = read_session(args.other)
    if not other.recipe.queries or not other.holdout:
        raise BadInput(
            f"{shown(args.other)} lacks calibration or held-out queries: name a session that has both"
        )
    if other.prompt.context == session.prompt.context:
        raise BadInput(f"{shown(args.other)} holds the same context: name a session of another one")
    return OtherContext(prompt=other.prompt, queries=other.recipe.queries, holdout=other.holdout)


def _read_seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 to {SEED}")
    return int(text)
