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
    ("code", "forbidden"),
    [
        (
            "import icltui.tui.app, icltui.session, icltui.report, icltui.worker.remote",
            {"torch", "transformers"},
        ),
        ("import icltui.worker.serve, icltui.worker.remote", {"torch", "transformers", "textual"}),
        ("import icltui.engine.local, icltui.demo.train, icltui.demo.evaluate", {"textual", "plotext"}),
        ("import icltui.cli", {"torch", "transformers", "textual", "rich", "plotext"}),
        (
            "import icltui.cli\ntry: icltui.cli.main(['--help'])\nexcept SystemExit: pass",
            {"torch", "transformers", "textual", "rich", "plotext"},
        ),
    ],
)
def test_never_loaded(code, forbidden):
    assert not modules_after(code) & forbidden


def test_the_engine_does_load_torch():
    """The check above can fail."""
    assert "torch" in modules_after("import icltui.engine.local")
