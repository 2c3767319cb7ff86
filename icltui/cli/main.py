"""The composition root: each command puts its parts together here and nowhere else.

Data goes to stdout, diagnostics to stderr, errors are one line. torch and textual are imported inside the commands that
need them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from icltui.cli import (
    bench,
    compile,
    config,
    curves,
    demo,
    engine,
    exam,
    explore,
    export,
    generate,
    heads,
    help,
    mcp,
    measure,
    parser,
    patch,
    replay,
    serve,
    study,
    sweep,
    verify,
)
from icltui.system.interruption import end_background, sigterm_interrupts
from icltui.system.streams import discard_stdout, open_closed_streams, print_error
from icltui.text.escape import visible
from icltui.values.errors import EXIT_INTERRUPTED, BadInput, IcltuiError, reason_of, rust_panic_error


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    open_closed_streams()
    try:
        args = parser.parse(sys.argv[1:] if argv is None else argv)
        with nullcontext() if args.command in _WITH_OWN_SIGNALS else sigterm_interrupts():
            return COMMANDS[args.command](args)
    except IcltuiError as error:
        print_error(f"icltui: {visible(str(error))}")
        return error.exit_code
    except KeyboardInterrupt:
        pass  # without its traceback, which keeps what runs in other threads, it ends below
    except BrokenPipeError:  # the reader of our output closed the pipe
        discard_stdout()
        return 0
    except OSError as error:
        if error.filename is None:
            return _crash(error)
        print_error(
            f"icltui: cannot use {visible(str(error.filename))!r}: {reason_of(error)}: give another path"
        )
        return BadInput.exit_code
    except Exception as error:  # noqa: BLE001 -- unforeseen: one line for the user, the traceback for the log
        return _crash(error)
    except BaseException as error:
        if (plain := rust_panic_error(error)) is None:
            raise
        print_error(f"icltui: {visible(str(plain))}")
        return plain.exit_code
    end_background(EXIT_INTERRUPTED)
    return EXIT_INTERRUPTED


def _crash(error: Exception) -> int:
    from icltui.tui.system.crash_log import write_crash_log

    print_error(write_crash_log(error))
    return IcltuiError.exit_code


_WITH_OWN_SIGNALS = ("explore", "engine")
COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "explore": explore.explore,
    "engine": engine.engine,
    "serve": serve.serve,
    "mcp": mcp.mcp,
    "config": config.config,
    "measure": measure.measure,
    "verify": verify.verify,
    "zoo": verify.zoo,
    "generate": generate.generate,
    "compile": compile.compile,
    "curves": curves.curves,
    "heads": heads.heads,
    "replay": replay.replay,
    "export": export.export,
    "exam": exam.exam,
    "patch": patch.patch,
    "sweep": sweep.sweep,
    "study": study.study,
    "demo": demo.demo,
    "bench": bench.bench,
    "help": help.help,
}
