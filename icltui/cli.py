"""The one composition root: each command puts its parts together here and nowhere else.

Data goes to stdout, diagnostics to stderr, errors are one line. torch and textual are imported inside the
commands that need them.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from icltui import headless, loading, options
from icltui.api import DEMO, Engine, Generate, LoadModel, Measure, Verify
from icltui.errors import EXIT_INTERRUPTED, BadInput, IcltuiError, SessionError
from icltui.prompt import Prompt
from icltui.record import ModelInfo
from icltui.session import Session, example_sessions, read_session, state_folder, write_session


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        args = options.parse(sys.argv[1:] if argv is None else argv)
        return COMMANDS[args.command](args)
    except IcltuiError as error:
        print(f"icltui: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- nobody foresaw it: one line for the user, the traceback for the log
        from icltui.tui.crash import write_crash_log

        print(write_crash_log(error), file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # whoever read our output has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def explore(args: argparse.Namespace) -> int:
    """The explorer on this terminal, its engine in a child process."""
    session, path = _opening(args)
    if not (sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()):
        raise BadInput(
            "the explorer needs a terminal on stdin and stderr: run it in one, or use measure, verify or generate"
        )
    if os.environ.get("SSH_CONNECTION"):  # read by textual when it is imported
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from icltui.tui.app import IcltuiApp
    from icltui.worker.remote import RemoteEngine

    client = RemoteEngine(_engine_command(args.engine), state_folder() / "engine.log")
    app = IcltuiApp(client, _load_request(args, session), session, path)
    app.run()
    return app.return_code or 0


def _engine_command(text: str | None) -> list[str]:
    """The words of ``--engine``; without it, this very program."""
    if text is None:
        return [sys.executable, "-m", "icltui", "engine"]
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadInput(f"--engine {text!r} is no command: {error}") from error


def _opening(args: argparse.Namespace) -> tuple[Session | None, Path | None]:
    """What the explorer opens on: a prompt from the command line, a session, or the first example."""
    path = Path(args.session) if args.session else None
    if args.context is not None or args.query is not None:
        if path is not None:
            raise BadInput(f"both a session, {args.session!r}, and a prompt: give one of them")
        layers = "all" if args.layers is None else args.layers
        prompt = _prompt(args)
        return Session(prompt=prompt, layers=layers, dynamics=args.dynamics, reference=args.reference), None
    if given := options.prompt_options(args):
        raise BadInput(f"{' '.join(given)}: options that go with a prompt: give -c and -q too")
    path = path or next(iter(example_sessions()), None)
    return (read_session(path) if path else None), path


def _load_request(args: argparse.Namespace, session: Session | None) -> LoadModel:
    """The model that was asked for; else the session's own, in the dtype it was measured in."""
    saved = session.model if session is not None and args.model is None else None
    name = saved.name if saved is not None else DEMO if args.model is None else args.model
    if not name:
        raise BadInput(
            "--model is empty: give a Hugging Face id or a folder, or leave it out for the embedded model"
        )
    return LoadModel(
        model=name,
        revision=args.revision or (None if saved is None else saved.revision),
        dtype=args.dtype if saved is None or args.dtype != "auto" else saved.dtype,
        device=args.device,
        device_map=args.device_map,
        quantize=args.quantize,
        allow_pickle=args.allow_pickle,
        trust_remote_code=args.trust_remote_code,
        sites=args.sites,
    )


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
        "table": lambda: measure_table(model, session.prompt, result, _width()),
    }
    return _finish(args, _with(session, measurement=result), formats[args.format]())


def verify(args: argparse.Namespace) -> int:
    """``icltui verify``."""
    from icltui import report

    engine, model, session = _start(args)
    request = Verify(prompt=session.prompt, layers=session.layers, seed=args.seed)
    result = headless.verify(engine, request)
    as_json = args.format == "json"
    text = report.verify_json(result) if as_json else report.verify_table(model, result, _width())
    _finish(args, _with(session, verification=result), text)
    return 0 if result.ok else 1


def zoo(args: argparse.Namespace) -> int:
    """``icltui verify --zoo``; exit 1 when a layer that is not refused is not exact, or a patch leaves a trace."""
    from icltui import report
    from icltui.engine.zoo import examine_members, holds, resolve_members

    _check_output(args)
    rows = []
    for row in examine_members(resolve_members(args.family)):
        print(f"{row.family}: {row.n_exact} of {row.n_layers} layers exact", file=sys.stderr)  # noqa: T201
        rows.append(row)
    text = report.zoo_json(rows) if args.format == "json" else report.zoo_table(rows, _width())
    _write(args, text)
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
    text = report.generate_json(result) if as_json else report.generate_text(model, result, _width())
    return _finish(args, _with(session, generation=result), text)


def engine(args: argparse.Namespace) -> int:  # noqa: ARG001
    """``icltui engine``: the server; torch is imported after it has said hello."""
    from icltui.worker import serve

    serve.main(_local_engine)
    return 0


def demo(args: argparse.Namespace) -> int:
    """``icltui demo train|examples|evaluate``."""
    if args.action == "train":
        return _train(args)
    if args.action == "examples":
        return _examples(args)
    from icltui import demo as package
    from icltui.demo import evaluate

    folder = args.folder or package.MODEL_DIR
    if not (folder / "model.safetensors").is_file():
        raise BadInput(f"no model in {str(folder)!r}: model.safetensors was expected there")
    if args.prompts < 1:
        raise BadInput(f"{args.prompts} prompts: ask for at least 1")
    evaluation = evaluate.evaluate(folder, args.seed, args.prompts)
    if args.save:
        evaluate.write(folder, evaluation)
    print(evaluate.table(evaluation))  # noqa: T201
    return 0


def _train(args: argparse.Namespace) -> int:
    from icltui.demo.train import train

    if args.steps < 1:
        raise BadInput(f"{args.steps} steps: ask for at least 1")
    _make_folder(args.output)

    def report(step: int, loss: float) -> None:
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} of {args.steps}  loss {loss:.3f} nats", file=sys.stderr)  # noqa: T201

    train(args.output, args.seed, args.steps, report=report)
    return 0


def _make_folder(folder: Path) -> None:
    """Before the work, so that an hour's training is not lost to a folder that cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {str(folder)!r}: {error.strerror}") from error


def _examples(args: argparse.Namespace) -> int:
    from icltui.demo.examples import write_examples

    write_examples(_local_engine(), args.output, _now(), lambda name: print(name, file=sys.stderr))  # noqa: T201
    return 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def bench(args: argparse.Namespace) -> int:
    """``icltui bench``."""
    from icltui.bench.race import race
    from icltui.bench.subject import Settings
    from icltui.bench.table import race_table

    settings = Settings(
        model=args.model,
        device=args.device,
        threads=args.threads,
        context_sizes=args.n,
        query_sizes=args.q,
        repeat=args.repeat,
        limit=args.limit,
        memory=args.memory,
    )
    result = race(settings, lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201
    print(race_table(result, _width()), end="")  # noqa: T201
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "explore": explore,
    "measure": measure,
    "verify": verify,
    "zoo": zoo,
    "generate": generate,
    "engine": engine,
    "demo": demo,
    "bench": bench,
}


def _local_engine() -> Engine:
    from icltui.engine.local import LocalEngine

    return LocalEngine()


def _prompt(args: argparse.Namespace) -> Prompt:
    return Prompt(
        context=options.read_text(args.context or ""),
        query=options.read_text(args.query or "", is_query=True),
        unit=args.unit,
        bos=args.bos,
        chat=args.chat,
        positions=args.positions,
    )


def _start(args: argparse.Namespace) -> tuple[Engine, ModelInfo, Session]:
    """An engine with the model loaded, that model, and a session that holds what was asked."""
    prompt = _prompt(args)  # read first: a bad file must not cost a model's load
    _check_output(args)
    if args.save is not None and args.save.exists():
        raise SessionError(f"{str(args.save)!r} exists already: give --save another name")
    local = _local_engine()
    request = _load_request(args, None)
    with loading.told_on(sys.stderr, request.model) as tell:
        info = headless.load(local, request, tell)
    return (
        local,
        info,
        Session(
            title=args.save.stem if args.save else "",
            created=_now(),
            prompt=prompt,
            layers="all" if args.layers is None else args.layers,
            model=info,
        ),
    )


def _check_output(args: argparse.Namespace) -> None:
    if args.output is not None and (args.output.is_dir() or not args.output.parent.is_dir()):
        raise BadInput(f"cannot write {str(args.output)!r}: give a file in a folder that exists")


def _with(session: Session, **changes: object) -> Session:
    return msgspec.structs.replace(session, **changes)


def _finish(args: argparse.Namespace, session: Session, text: str) -> int:
    if args.save is not None:
        write_session(args.save, session)
    return _write(args, text)


def _write(args: argparse.Namespace, text: str) -> int:
    if args.output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
        return 0
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {str(args.output)!r}: {error.strerror}") from error
    return 0


def _width() -> int:
    return shutil.get_terminal_size((110, 40)).columns
