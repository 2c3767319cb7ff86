"""``icltui bench``: the packed measure, decoding and the screen, timed."""

import argparse

from icltui.cli.output import print_progress, terminal_width
from icltui.system.streams import print_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="M",
        default=None,
        help="Hugging Face id or folder, built as Llama is (default: 6 layers, width 384, random)",
    )
    parser.add_argument(
        "--device", default="cpu", metavar="D", help="auto, cpu, cuda, cuda:N, mps (default cpu)"
    )
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="of torch on the CPU (default: torch's own)"
    )
    parser.add_argument(
        "-n",
        type=_positives,
        default=(64, 256, 1024),
        metavar="N,…",
        help="context tokens (default 64,256,1024)",
    )
    parser.add_argument(
        "-q", type=_positives, default=(1, 4, 16), metavar="Q,…", help="query tokens (default 1,4,16)"
    )
    parser.add_argument(
        "--repeat", type=_positive, default=3, metavar="K", help="runs of each way (default 3)"
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        default=120,
        metavar="SECONDS",
        help="leave out a way where one run would take longer (default 120)",
    )
    parser.add_argument(
        "--no-memory",
        dest="memory",
        action="store_false",
        help="times alone; else each way runs once more, alone",
    )
    parser.add_argument(
        "--decode",
        type=_positive,
        default=64,
        metavar="T",
        help="tokens that each lane decodes, with and without patches (default 64)",
    )
    parser.add_argument(
        "--only",
        choices=("race", "decode", "screen"),
        help="the race, the decoding, or the screen on a pseudo-terminal, alone",
    )


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
    from icltui.bench.decode import decode_table, time_decoding
    from icltui.bench.model_and_prompts import RaceSettings
    from icltui.bench.race import race
    from icltui.bench.race_table import race_table

    settings = RaceSettings(
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
        reports.append(race_table(race(settings, print_progress), terminal_width()))
    if args.only != "race":
        reports.append(decode_table(time_decoding(settings, print_progress), terminal_width()))
    return reports


def _bench_screen() -> str:
    from icltui.bench.screen import ScreenSettings, measure_screen
    from icltui.bench.screen_table import screen_table

    return screen_table(measure_screen(ScreenSettings(), print_progress), terminal_width())


def _positive(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small: at least 1 is needed")
    return number


def _positives(text: str) -> tuple[int, ...]:
    """Sizes with commas between them, ascending, each once."""
    return tuple(sorted({_positive(part) for part in text.split(",")}))
