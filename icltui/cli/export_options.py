"""The command line's arguments of *export*: what of which session, in which form, to where."""

import argparse

from icltui.cli.options import add_model
from icltui.report.session_formats import SESSION_FORMATS
from icltui.storage.paths import typed_path
from icltui.values import ExportFormat
from icltui.values.recipe import COMPONENTS, MODES

FORMATS: tuple[ExportFormat, ...] = ("peft", "gguf-control-vector")
"""What a session's patch can be written as; its factors are written while it is generated."""


def add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION.json", type=typed_path, help="the session to write from")
    parser.add_argument(
        "--to",
        choices=(*SESSION_FORMATS, *FORMATS),
        required=True,
        help="what it records, which needs no model: every measure as a table (csv), a Markdown report (md), a figure "
        "(svg, png); or its patch: a LoRA adapter for PEFT and what reads its files, or the mean shift for llama.cpp",
    )
    parser.add_argument(
        "-o",
        "--output",
        dest="target",
        metavar="PATH",
        type=typed_path,
        required=True,
        help="a folder (peft) or a file (all others), not there yet",
    )
    group = parser.add_argument_group(
        "patch", "as the session has it, unless given here; not of what it records"
    )
    group.add_argument(
        "--mode",
        choices=[mode for mode in MODES if mode != "per-step"],
        default=None,
        help="a patch per step cannot leave: the query's last token's, held (then the default), or one for many tokens",
    )
    group.add_argument("--components", choices=COMPONENTS, default=None, help="ΔW and Δb, or one alone")
    add_model(parser)
    report = parser.add_argument_group("report")
    parser.set_defaults(output=None)  # where the report goes: to stdout
    report.add_argument("--format", choices=("text", "json"), default="text", help="default text")
