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

from icltui import headless, options
from icltui.api import DEMO, Engine, Generate, LoadModel, Measure, Verify
from icltui.errors import EXIT_INTERRUPTED, BadInput, IcltuiError, SessionError
from icltui.prompt import Prompt
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
        return Session(prompt=_prompt(args), layers=layers), None
    if (args.unit, args.bos, args.layers) != ("token", "auto", None):
        raise BadInput("--unit, --bos and --layers go with a prompt: give -c and -q too")
    path = path or next(iter(example_sessions()), None)
    return (read_session(path) if path else None), path


def _load_request(args: argparse.Namespace, session: Session | None) -> LoadModel:
    """The model that was asked for; else the session's own, in the dtype it was measured in."""
    if args.model is None and session is not None and session.model is not None:
        saved = session.model
        dtype = saved.dtype if args.dtype == "auto" else args.dtype
        revision = args.revision or saved.revision
        return LoadModel(model=saved.name, revision=revision, dtype=dtype, device=args.device)
    name = DEMO if args.model is None else args.model
    if not name:
        raise BadInput(
            "--model is empty: give a Hugging Face id or a folder, or leave it out for the embedded model"
        )
    return LoadModel(model=name, revision=args.revision, dtype=args.dtype, device=args.device)


def measure(args: argparse.Namespace) -> int:
    """``icltui measure``."""
    from icltui import report

    engine, session = _start(args)
    result = headless.measure(engine, Measure(prompt=session.prompt, layers=session.layers))
    assert session.model is not None
    formats = {
        "json": lambda: report.measure_json(session.model, result),
        "csv": lambda: report.measure_csv(result),
        "table": lambda: report.measure_table(result, _width()),
    }
    return _finish(args, _with(session, measurement=result), formats[args.format]())


def verify(args: argparse.Namespace) -> int:
    """``icltui verify``."""
    from icltui import report

    engine, session = _start(args)
    request = Verify(prompt=session.prompt, layers=session.layers, seed=args.seed)
    result = headless.verify(engine, request)
    text = report.verify_json(result) if args.format == "json" else report.verify_table(result, _width())
    _finish(args, _with(session, verification=result), text)
    return 0 if result.ok else 1


def generate(args: argparse.Namespace) -> int:
    """``icltui generate``."""
    from icltui import report

    engine, session = _start(args)
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
    text = report.generate_json(result) if args.format == "json" else report.generate_text(result, _width())
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


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "explore": explore,
    "measure": measure,
    "verify": verify,
    "generate": generate,
    "engine": engine,
    "demo": demo,
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
    )


def _start(args: argparse.Namespace) -> tuple[Engine, Session]:
    """An engine with the model loaded, and a session that holds what was asked."""
    prompt = _prompt(args)  # read first: a bad file must not cost a model's load
    if args.output is not None and (args.output.is_dir() or not args.output.parent.is_dir()):
        raise BadInput(f"cannot write {str(args.output)!r}: give a file in a folder that exists")
    if args.save is not None and args.save.exists():
        raise SessionError(f"{str(args.save)!r} exists already: give --save another name")
    local = _local_engine()
    info = headless.load(local, _load_request(args, None))
    return local, Session(
        title=args.save.stem if args.save else "",
        created=_now(),
        prompt=prompt,
        layers="all" if args.layers is None else args.layers,
        model=info,
    )


def _with(session: Session, **changes: object) -> Session:
    return msgspec.structs.replace(session, **changes)


def _finish(args: argparse.Namespace, session: Session, text: str) -> int:
    if args.save is not None:
        write_session(args.save, session)
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
