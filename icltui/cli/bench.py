"""``icltui bench``: the packed measure, decoding and the screen, timed."""

import argparse
from pathlib import Path
from typing import Any, TypeVar

from icltui.api.option_table import option_of
from icltui.cli.options import add_option
from icltui.cli.output import print_progress, terminal_width
from icltui.system.streams import print_text
from icltui.values import EXAM_PATCHES, ExamPatch
from icltui.values.errors import BadInput

S = TypeVar("S", bound=Any)

_OPTIONS = {"context_sizes": "-n", "query_sizes": "-q", "memory": "--no-memory"}
"""Options that are called otherwise than the field that they set."""

PARTS = ("race", "decode", "real", "gpu", "screen", "start", "components", "families")
"""What can be timed alone."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.argument_default = argparse.SUPPRESS  # what is not given is the default of the settings
    parser.add_argument(
        "--model",
        metavar="M",
        help="Hugging Face id or folder (default: random weights: 6 layers, width 384; for real, of each "
        "shape; for components, the embedded model)",
    )
    parser.add_argument(
        "--shape", metavar="NAME", help="for real, one shape alone: gpt-2, smollm2, qwen3 (default: each)"
    )
    parser.add_argument(
        "--dtype", metavar="T", help="float32, bfloat16; auto with a --model (default float32)"
    )
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:N, mps (default cpu)")
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="of torch on the CPU (default: torch's own)"
    )
    parser.add_argument(
        "-n",
        dest="context_sizes",
        type=_positives,
        metavar="N,…",
        help="context tokens (default 64,256,1024)",
    )
    parser.add_argument(
        "-q", dest="query_sizes", type=_positives, metavar="Q,…", help="query tokens (default 1,4,16)"
    )
    parser.add_argument("--repeat", type=_positive, metavar="K", help="runs of each method (default 3)")
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="SECONDS",
        help="leave out a method where one run would take longer (default 120); for gpu, begin nothing more after "
        "so many seconds (default 170)",
    )
    parser.add_argument(
        "--no-memory",
        dest="memory",
        action="store_false",
        help="times alone; else each method runs once more, alone",
    )
    parser.add_argument(
        "--decode",
        type=_positive,
        metavar="T",
        help="tokens that each lane decodes, with and without patches (default 64)",
    )
    parser.add_argument(
        "--only",
        default=None,
        choices=PARTS,
        metavar="PART",
        help=f"{', '.join(PARTS)}: the race, the decoding, the engine on shapes of real models, or of larger ones on "
        "a GPU, the screen on a pseudo-terminal, or the time from start to result, alone; or the parts of a patch, "
        "each alone, on 40 prompts; or every patch of a context on families of tasks",
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count the process's CPU time, not the clock, with --threads 1 on a machine that others use too",
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="for gpu, models of the same build that take no time, to try it on a CPU",
    )
    parts = parser.add_argument_group("components, families")
    add_option(parts, option_of("bos"), default=argparse.SUPPRESS)
    _add_family_arguments(parser.add_argument_group("families"))


def _add_family_arguments(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--family",
        type=_names,
        metavar="NAME;…",
        help="families of tasks (default: all that are made for the model)",
    )
    group.add_argument(
        "--rows",
        type=_rows,
        metavar="PATCH,…",
        help=f"the patches that are examined, of {', '.join(EXAM_PATCHES[:-1])} (default: all but distilled); none",
    )
    group.add_argument(
        "--patches",
        type=_positive,
        metavar="K",
        help="compile so many patches, to count those refused and those worse than none",
    )
    group.add_argument(
        "--budget",
        type=_seconds,
        metavar="SECONDS",
        help="for each choice by leave-one-out (default 15; 0: choose nothing)",
    )
    group.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="keep results there, a line of JSON each; what it has already is not done again",
    )


def bench(args: argparse.Namespace) -> int:
    """``icltui bench``."""
    reports = []
    if args.only == "gpu":
        return _bench_gpu(args)
    if args.only in (None, "race", "decode"):
        reports += _bench_engine(args)
    if args.only == "real":
        reports.append(_bench_real(args))
    if args.only in (None, "screen"):
        reports.append(_bench_screen(args))
    if args.only == "components":
        reports.append(_compare_components(args))
    if args.only == "families":
        reports.append(_examine_families(args))
    if args.only == "start":
        reports.append(_bench_start(args))
    print_text("\n".join(reports))
    return 0


def _bench_engine(args: argparse.Namespace) -> list[str]:
    from icltui.bench.decode import decode_table, time_decoding
    from icltui.bench.model_and_prompts import RaceSettings
    from icltui.bench.race import race
    from icltui.bench.race_table import race_table

    settings = _settings(RaceSettings, args)
    reports = []
    if args.only != "decode":
        reports.append(race_table(race(settings, print_progress), terminal_width()))
    if args.only != "race":
        reports.append(decode_table(time_decoding(settings, print_progress), terminal_width()))
    return reports


def _bench_real(args: argparse.Namespace) -> str:
    from icltui.bench import real
    from icltui.bench.model_and_prompts import RaceSettings
    from icltui.bench.real_table import real_table

    given = {"context_sizes": real.CONTEXT, "query_sizes": real.QUERY, "decode": real.DECODE, **vars(args)}
    shape = given.pop("shape", None)
    if shape is not None and "model" in given:
        raise BadInput("--shape and --model each name what is timed: leave one of them out")
    models = real.measure_real(_settings(RaceSettings, argparse.Namespace(**given)), shape, print_progress)
    return real_table(models, terminal_width())


def _bench_gpu(args: argparse.Namespace) -> int:
    """Each line as it comes, so that those before a time-out are there."""
    from icltui.bench.gpu import GpuSettings, gpu_lines

    for line in gpu_lines(_settings(GpuSettings, args)):
        print_text(line)
    return 0


def _bench_screen(args: argparse.Namespace) -> str:
    from icltui.bench.screen import ScreenSettings, measure_screen
    from icltui.bench.screen_table import screen_table

    settings = _settings(ScreenSettings, args) if args.only else ScreenSettings()
    return screen_table(measure_screen(settings, print_progress), terminal_width())


def _compare_components(args: argparse.Namespace) -> str:
    from icltui.bench.components import ComponentSettings, compare_components
    from icltui.bench.components_table import components_table

    settings = _settings(ComponentSettings, args)
    found = compare_components(settings, print_progress)
    return components_table(found, terminal_width())


def _examine_families(args: argparse.Namespace) -> str:
    from icltui.bench.families import FamilySettings, examine_families
    from icltui.bench.families_table import families_table

    return families_table(examine_families(_settings(FamilySettings, args), print_progress), terminal_width())


def _settings(kind: type[S], args: argparse.Namespace) -> S:
    """Settings of ``kind``, from the options that were given.

    Raises:
        BadInput: an option that ``kind`` has no field for, and so would do nothing.
    """
    from dataclasses import fields  # no command but this one needs it

    given = {name: value for name, value in vars(args).items() if name not in ("command", "only")}
    if idle := [name for name in given if name not in {field.name for field in fields(kind)}]:
        options = ", ".join(_OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in sorted(idle))
        raise BadInput(
            f"{options}: of no use {f'with --only {args.only}' if args.only else 'without --only'}"
        )
    settings: S = kind(**given)
    return settings


def _bench_start(args: argparse.Namespace) -> str:
    from icltui.bench.start import StartSettings, time_start
    from icltui.bench.start_table import start_table

    return start_table(time_start(_settings(StartSettings, args), print_progress), terminal_width())


def _positive(text: str) -> int:
    """A whole number from 1 up."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number: give 1 or more") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small: give 1 or more")
    return number


def _seconds(text: str) -> float:
    """A number of seconds from 0 up."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds: give 0 or more")
    return seconds


def _names(text: str) -> tuple[str, ...]:
    """Names with semicolons between them, as names of families have commas."""
    return tuple(name.strip() for name in text.split(";") if name.strip())


def _rows(text: str) -> tuple[ExamPatch, ...]:
    """Names of patches with commas between them; ``none``: no patch."""
    known: dict[str, ExamPatch] = {name: name for name in EXAM_PATCHES if name != "joined"}
    names = () if text == "none" else [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"no patch {wrong[0]!r}: choose from {', '.join(known)}, or none")
    return tuple(known[name] for name in names)


def _positives(text: str) -> tuple[int, ...]:
    """Sizes with commas between them, ascending, each once."""
    return tuple(sorted({_positive(part) for part in text.split(",")}))
