"""The composition root: each command puts its parts together here and nowhere else.

Data goes to stdout, diagnostics to stderr, errors are one line. torch and textual are imported inside the commands that
need them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from icltui import options
from icltui.cli import explore, jobs, leave, replay, settings, workshop
from icltui.cli.parts import leave_stdout
from icltui.errors import EXIT_INTERRUPTED, IcltuiError
from icltui.visible import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        args = options.parse(sys.argv[1:] if argv is None else argv)
        return COMMANDS[args.command](args)
    except IcltuiError as error:
        print(f"icltui: {visible(str(error))}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        leave_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 -- nobody foresaw it: one line for the user, the traceback for the log
        from icltui.tui.crash import write_crash_log

        print(write_crash_log(error), file=sys.stderr)  # noqa: T201
        return 1


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "explore": explore.explore,
    "engine": explore.engine,
    "config": settings.config,
    "measure": jobs.measure,
    "verify": jobs.verify,
    "zoo": jobs.zoo,
    "generate": jobs.generate,
    "replay": replay.replay,
    "export": leave.export,
    "demo": workshop.demo,
    "bench": workshop.bench,
}
