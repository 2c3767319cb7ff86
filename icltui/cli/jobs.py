"""``icltui measure|verify|generate``: one job of an engine in this process, and its report."""

import argparse
import sys

import msgspec

from icltui import headless, loading
from icltui.api import Engine, Generate, Measure, Verify
from icltui.cli.parts import check_output, load_request, local_engine, now, read_prompt, width, write_text
from icltui.errors import BadInput, SessionError
from icltui.record import ModelInfo
from icltui.session import Session, write_session


def measure(args: argparse.Namespace) -> int:
    """``icltui measure``."""
    from icltui import report
    from icltui.table_measure import measure_table

    if args.pairs and args.format == "csv":
        raise BadInput("--pairs has no place in csv: use --format json or table")
    engine, model, session = _start(args)
    session = _with(session, dynamics=args.dynamics, reference=args.reference)
    request = Measure(
        prompt=session.prompt,
        layers=session.layers,
        dynamics=session.dynamics,
        reference=session.reference,
        pairs=args.pairs,
    )
    result = headless.measure(engine, request)
    formats = {
        "json": lambda: report.measure_json(model, session.prompt, result),
        "csv": lambda: report.measure_csv(result),
        "table": lambda: measure_table(model, session.prompt, result, width()),
    }
    return _finish(args, _with(session, measurement=result), formats[args.format]())


def verify(args: argparse.Namespace) -> int:
    """``icltui verify``."""
    from icltui import report

    engine, model, session = _start(args)
    request = Verify(prompt=session.prompt, layers=session.layers, seed=args.seed)
    result = headless.verify(engine, request)
    as_json = args.format == "json"
    text = report.verify_json(result) if as_json else report.verify_table(model, result, width())
    _finish(args, _with(session, verification=result), text)
    return 0 if result.ok else 1


def zoo(args: argparse.Namespace) -> int:
    """``icltui verify --zoo``; exit 1 when a layer that is not refused is not exact, or a patch leaves a trace."""
    from icltui import report
    from icltui.engine.zoo import examine_members, holds, resolve_members

    check_output(args)
    rows = []
    for row in examine_members(resolve_members(args.family)):
        print(f"{row.family}: {row.n_exact} of {row.n_layers} layers exact", file=sys.stderr)  # noqa: T201
        rows.append(row)
    text = report.zoo_json(rows) if args.format == "json" else report.zoo_table(rows, width())
    write_text(args, text)
    return 0 if all(map(holds, rows)) else 1


def generate(args: argparse.Namespace) -> int:
    """``icltui generate``."""
    from icltui import report

    engine, model, session = _start(args)
    session = _with(session, mode=args.mode, components=args.components, n_tokens=args.tokens)
    result = headless.generate(
        engine,
        Generate(
            prompt=session.prompt,
            layers=session.layers,
            mode=session.mode,
            components=session.components,
            n_tokens=session.n_tokens,
        ),
    )
    as_json = args.format == "json"
    text = report.generate_json(result) if as_json else report.generate_text(model, result, width())
    return _finish(args, _with(session, generation=result), text)


def _start(args: argparse.Namespace) -> tuple[Engine, ModelInfo, Session]:
    """An engine with the model loaded, that model, and a session that holds what was asked."""
    prompt = read_prompt(args)  # read first: a bad file must not cost a model's load
    check_output(args)
    if args.save is not None and args.save.exists():
        raise SessionError(f"{str(args.save)!r} exists already: give --save another name")
    local = local_engine()
    request = load_request(args, None)
    with loading.told_on(sys.stderr, request.model) as tell:
        info = headless.load(local, request, tell)
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


def _with(session: Session, **changes: object) -> Session:
    return msgspec.structs.replace(session, **changes)


def _finish(args: argparse.Namespace, session: Session, text: str) -> int:
    if args.save is not None:
        write_session(args.save, session)
    return write_text(args, text)
