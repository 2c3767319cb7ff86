"""What each side must never load, as the interpreter itself sees it."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import icltui
from icltui.storage.paths import user_folder
from tests.waiting import PATIENCE

LOADED = "import sys; print(' '.join(sorted(name for name in sys.modules if '.' not in name)))"

DOORS = ("sqlalchemy", "psycopg", "duckdb", "starlette", "uvicorn", "mcp", "pandas", "polars")
"""Libraries of a database, a server, agents and notebooks, which load where these are asked for."""


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
            {"torch", "transformers", "markdown_it", "sqlite3", *DOORS},
            {"textual"},
        ),
        (
            "from icltui.storage.database.destination import spool_of\nimport icltui.tui.system.measurement_log\n"
            "spool_of('postgresql://me@host/lab')",
            {"torch", "sqlalchemy", "psycopg", "textual"},
            {"sqlite3"},
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
        (
            "import gc, icltui.cli.main\nicltui.cli.main.main(['measure', '-c', 'a b', '-q', ' c'])\n"
            "assert gc.isenabled() and gc.get_freeze_count() > 10**5",
            {
                "textual",
                "plotext",
                "beartype",
                "bitsandbytes",
                "gguf",
                "matplotlib",
                "peft",
                "scipy",
                "torchvision",
                *DOORS,
            },
            {"torch", "transformers", "rich"},
        ),
        (
            "import icltui.serve.http.application, icltui.serve.http.run_server, icltui.worker.client",
            {"torch", "transformers", "textual", "plotext", "matplotlib", "mcp"},
            {"starlette", "uvicorn"},
        ),
        (
            "import icltui.serve.mcp.server",
            {"torch", "transformers", "textual", "plotext", "matplotlib"},
            {"mcp", "mcp_types"},
        ),
        (
            "import icltui.cli.main",
            {"torch", "transformers", "textual", "rich", "plotext", "dataclasses", "asyncio", *DOORS},
            {"argparse"},
        ),
        (
            "import icltui.cli.main\ntry: icltui.cli.main.main(['--help'])\nexcept SystemExit: pass",
            {"torch", "transformers", "textual", "rich", "plotext", *DOORS},
            {"argparse"},
        ),
        (
            "import icltui.storage.database.log, icltui.storage.database.entries\nimport icltui.cli.main\n"
            "icltui.cli.main.main(['export', 'none.json', '--to', 'sql', '-o', 'x'])",
            {"torch", "transformers", "textual", "rich", "plotext", "pyarrow", *DOORS},
            {"argparse", "icltui"},
        ),
        (
            "import icltui.cli.main\nicltui.cli.main.main(['help', 'maths'])",
            {"torch", "transformers", "textual", "rich", "plotext", *DOORS},
            {"argparse"},
        ),
    ],
)
def test_never_loaded(code: str, forbidden: set[str], needed: set[str]) -> None:
    """What is needed is seen, so that what is not seen was not there."""
    loaded = modules_after(code)
    assert not loaded & forbidden
    assert needed <= loaded


def test_no_two_modules_define_a_class_of_one_name() -> None:
    """A name in an error, a log or a search leads to one place."""
    root = Path(icltui.__file__).parent
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path.relative_to(root)))
    assert len(homes) > 100
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_what_tests_cache_and_keep_is_not_the_users() -> None:
    """Neither in this process nor in those that it starts."""
    code = "from icltui.storage.paths import user_folder as f; print(*map(f, ('cache', 'state')), sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    theirs = run.stdout.splitlines()
    assert theirs == [str(user_folder("cache")), str(user_folder("state"))]
    assert all("icltui-tests-" in folder for folder in theirs)
