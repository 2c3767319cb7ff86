"""What each side must never load, as the interpreter itself sees it."""

import subprocess
import sys

import pytest

from tests.waiting import PATIENCE

LOADED = "import sys; print(' '.join(sorted(name for name in sys.modules if '.' not in name)))"


def modules_after(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LOADED}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(run.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("code", "forbidden", "needed"),
    [
        (
            "import icltui.tui.app, icltui.storage.sessions, icltui.report.verify, icltui.worker.client",
            {"torch", "transformers"},
            {"textual"},
        ),
        (
            "import icltui.worker.server, icltui.worker.client",
            {"torch", "transformers", "textual"},
            {"msgspec"},
        ),
        (
            "import icltui.engine.local, icltui.demo.train, icltui.demo.evaluate",
            {"textual", "plotext"},
            {"torch", "transformers"},
        ),
        ("import icltui.cli.main", {"torch", "transformers", "textual", "rich", "plotext"}, {"argparse"}),
        (
            "import icltui.cli.main\ntry: icltui.cli.main.main(['--help'])\nexcept SystemExit: pass",
            {"torch", "transformers", "textual", "rich", "plotext"},
            {"argparse"},
        ),
        (
            "import icltui.cli.main\nicltui.cli.main.main(['help', 'maths'])",
            {"torch", "transformers", "textual", "rich", "plotext"},
            {"argparse"},
        ),
    ],
)
def test_never_loaded(code: str, forbidden: set[str], needed: set[str]) -> None:
    """What is needed is seen, so that what is not seen was not there."""
    loaded = modules_after(code)
    assert not loaded & forbidden
    assert needed <= loaded
