"""``icltui measure|verify|generate``: one job of an engine in this process, and its report."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from icltui.api import collect
from icltui.api.messages import Engine, Export, Generate, GenerateEach, Measure, Verify
from icltui.cli import load_progress, parser
from icltui.cli.common import (
    check_output,
    check_place,
    load_request,
    local_engine,
    now,
    quiet,
    read_prompt,
    width,
    write_text,
)
from icltui.cli.patch_options import read_recipe, read_sampling
from icltui.storage.paths import real_path
from icltui.storage.query_file import read_queries
from icltui.storage.sessions import Session, write_session
from icltui.system.streams import tell
from icltui.values import ModelInfo
from icltui.values.errors import BadInput, SessionError
from icltui.values.prompt import Prompt, resolve_layers

MOST_LAYERS = 1_000_000
"""More than any model has: what layers are checked against before one is loaded."""


def measure(args: argparse.Namespace) -> int:
    """``icltui measure``."""
    from icltui.report.measure_data import measure_csv, measure_json
    from icltui.report.measure_tables import measure_table

    if args.pairs and args.format == "csv":
        raise BadInput("--pairs has no place in csv: use --format json or table")
    engine, model, session = _start(args)
    session = _with(session, dynamics=args.dynamics, reference=args.reference, precision=args.precision)
    request = Measure(
        prompt=session.prompt,
        layers=session.layers,
        dynamics=session.dynamics,
        reference=session.reference,
        precision=session.precision,
        pairs=args.pairs,
    )
    with quiet():
        result = collect.measure(engine, request)
    formats = {
        "json": lambda: measure_json(model, session.prompt, result),
        "csv": lambda: measure_csv(result),
        "table": lambda: measure_table(model, session.prompt, result, width()),
    }
    return _finish(args, _with(session, measurement=result), formats[args.format]())


def verify(args: argparse.Namespace) -> int:
    """``icltui verify``."""
    from icltui.report.verify import verify_json, verify_table

    engine, model, session = _start(args)
    request = Verify(prompt=session.prompt, layers=session.layers, seed=args.seed)
    with quiet():
        result = collect.verify(engine, request)
    as_json = args.format == "json"
    text = verify_json(model, session.prompt, result) if as_json else verify_table(model, result, width())
    _finish(args, _with(session, verification=result), text)
    return 0 if result.ok else 1


def zoo(args: argparse.Namespace) -> int:
    """``icltui verify --zoo``; exit 1 when a layer that is not refused is not exact, or a patch leaves a trace."""
    from icltui.report.zoo import zoo_json, zoo_table
    from icltui.zoo.examine import examine_members, holds, resolve_members

    check_output(args)
    rows = []
    for row in examine_members(resolve_members(args.family)):
        tell(f"{row.family}: {row.n_exact} of {row.n_layers} layers exact")
        rows.append(row)
    text = zoo_json(rows) if args.format == "json" else zoo_table(rows, width())
    write_text(args, text)
    return 0 if all(map(holds, rows)) else 1


def generate(args: argparse.Namespace) -> int:
    """``icltui generate``."""
    from icltui.report import generate

    choices = {
        "recipe": read_recipe(args, parser.read_text(args.other_context or "")),
        "sampling": read_sampling(args),
        "holdout": () if args.holdout is None else read_queries(args.holdout),
        "n_tokens": args.tokens,
    }
    if args.with_factors:
        _check_factors(args)
    if args.each is not None:
        return _generate_each(args, choices)
    engine, model, session = _start(args)
    session = _with(session, **choices)
    request = Generate(prompt=session.prompt, layers=session.layers, curves=args.curves, **choices)
    with quiet():
        result = collect.generate(engine, request)
    as_json = args.format == "json"
    text = (
        generate.generate_json(model, session.prompt, result)
        if as_json
        else generate.generate_text(model, result, width())
    )
    code = _finish(args, _with(session, generation=result), text)
    if args.with_factors:
        export = Export(
            prompt=session.prompt,
            layers=session.layers,
            recipe=session.recipe,
            format="factors",
            path=str(_factors_path(args.save)),
            ids=result.ids,
        )
        with quiet():
            collect.export(engine, export)
    return code


def _generate_each(args: argparse.Namespace, choices: dict[str, Any]) -> int:
    """The lanes of every query in a file."""
    from icltui.report import generate

    for option, is_given in (
        ("-q", args.query is not None),
        ("--save", args.save),
        ("--curves", args.curves),
    ):
        if is_given:
            raise BadInput(
                f"{option} does not go with --each, which runs every query of a file: leave it out"
            )
    queries = read_queries(args.each)
    args.query = queries[0]
    engine, model, session = _start(args)
    request = GenerateEach(prompt=session.prompt, queries=queries, layers=session.layers, **choices)
    with quiet():
        results = collect.generate_each(engine, request)
    as_json = args.format == "json"
    text = (
        generate.each_json(model, session.prompt, queries, results)
        if as_json
        else generate.each_text(model, queries, results, width())
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


def _start(args: argparse.Namespace) -> tuple[Engine, ModelInfo, Session]:
    """An engine with the model loaded, that model, and a session that holds what was asked."""
    prompt = _checked(args)  # first: bad input must not cost a model's load
    local = local_engine()
    request = load_request(args, None)
    with load_progress.told_on(sys.stderr, request.model) as tell, quiet():
        info = collect.load(local, request, tell)
    return (
        local,
        info,
        Session(
            title=args.save.stem if args.save else "",
            created=now(),
            prompt=prompt,
            layers="all" if args.layers is None else args.layers,
            model=info,
        ),
    )


def _checked(args: argparse.Namespace) -> Prompt:
    """The prompt, when all is well that can be known without a model."""
    prompt = read_prompt(args)
    if not prompt.query:
        raise BadInput("the query is empty: type the text whose continuation is to be explained")
    if not prompt.unit:
        raise BadInput("the unit is empty: use token, line, sentence, or a separator such as ';'")
    if getattr(args, "tokens", 1) < 1:
        raise BadInput(f"{args.tokens} tokens to generate: ask for at least 1")
    if args.layers not in (None, "last"):
        resolve_layers(args.layers, MOST_LAYERS)
    check_output(args)
    if args.save is not None and args.save.exists():
        raise SessionError(f"{str(args.save)!r} exists already: give --save another name")
    if args.save is not None:  # its folder is made, in one that is there
        parents = Path(real_path(args.save)).parents
        check_place(args.save, next(filter(os.path.lexists, parents)))
    if args.save is not None and args.output is not None and real_path(args.save) == real_path(args.output):
        raise BadInput(f"-o and --save both name {str(args.save)!r}: give each a file of its own")
    return prompt


def _with(session: Session, **changes: object) -> Session:
    return msgspec.structs.replace(session, **changes)


def _finish(args: argparse.Namespace, session: Session, text: str) -> int:
    write_text(args, text)  # first: if the session cannot be saved, the text is not lost
    if args.save is not None:
        write_session(args.save, session)
    return 0
