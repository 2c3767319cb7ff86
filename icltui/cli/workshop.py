"""``icltui demo|bench``: the embedded model made, scored and shown; measure, decoding and screen timed."""

import argparse
from pathlib import Path

from icltui.cli.common import local_engine, now, width
from icltui.system.streams import print_text, tell
from icltui.values.errors import BadInput


def demo(args: argparse.Namespace) -> int:
    """``icltui demo train|examples|patches|evaluate``."""
    if args.action == "train":
        return _train(args)
    if args.action == "examples":
        return _examples(args)
    if args.action == "patches":
        return _patches()
    from icltui.demo import evaluate
    from icltui.storage.paths import MODEL_DIR

    folder = args.folder or MODEL_DIR
    if not (folder / "model.safetensors").is_file():
        raise BadInput(f"no model in {str(folder)!r}: model.safetensors was expected there")
    if args.prompts < 1:
        raise BadInput(f"{args.prompts} prompts: ask for at least 1")
    evaluation = evaluate.evaluate(folder, args.seed, args.prompts)
    if args.save:
        evaluate.write(folder, evaluation)
    print_text(evaluate.table(evaluation))
    return 0


def _train(args: argparse.Namespace) -> int:
    if args.steps < 1:
        raise BadInput(f"{args.steps} steps: ask for at least 1")
    _make_folder(args.output)
    from icltui.demo.train import train

    def report(step: int, loss: float) -> None:
        if (step + 1) % 50 == 0:
            tell(f"step {step + 1} of {args.steps}  loss {loss:.3f} nats")

    train(args.output, args.seed, args.steps, report=report)
    return 0


def _patches() -> int:
    from icltui.demo.patch_table import try_patches
    from icltui.report.patch_comparison import patches_table

    print_text(patches_table(try_patches(local_engine()), width()))
    return 0


def _make_folder(folder: Path) -> None:
    """Before the work, so that an hour's training is not lost to a folder that cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {str(folder)!r}: {error.strerror}") from error


def _examples(args: argparse.Namespace) -> int:
    from icltui.demo.example_sessions import write_examples

    _make_folder(args.output)
    write_examples(local_engine(), args.output, now(), tell)
    return 0


def bench(args: argparse.Namespace) -> int:
    """``icltui bench``."""
    reports = []
    if args.only in (None, "race", "decode"):
        reports += _bench_engine(args)
    if args.only in (None, "screen"):
        reports.append(_bench_screen())
    print_text("\n".join(reports))
    return 0


def _bench_engine(args: argparse.Namespace) -> list[str]:
    from icltui.bench.decode import time_decoding
    from icltui.bench.decode_table import decode_table
    from icltui.bench.race import race
    from icltui.bench.race_table import race_table
    from icltui.bench.workload import Settings

    settings = Settings(
        model=args.model,
        device=args.device,
        threads=args.threads,
        context_sizes=args.n,
        query_sizes=args.q,
        repeat=args.repeat,
        limit=args.limit,
        memory=args.memory,
        decode=args.decode,
    )
    reports = []
    if args.only != "decode":
        reports.append(race_table(race(settings, tell), width()))
    if args.only != "race":
        reports.append(decode_table(time_decoding(settings, tell), width()))
    return reports


def _bench_screen() -> str:
    from icltui.bench.screen import Settings, measure_screen
    from icltui.bench.screen_table import screen_table

    return screen_table(measure_screen(Settings(), tell), width())
