"""An import for good: no collection during it, its objects exempt from later ones, the collector as it was before."""

import subprocess
import sys

import pytest

from tests.waiting import PATIENCE

LISTEN = "import gc, sys; starts = []; gc.callbacks.append(lambda phase, _: starts.append(phase))\n"
IMPORT = "from icltui.system.permanent_imports import import_for_good; import_for_good('asyncio')\n"


def said_by(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return run.stdout.strip()


def test_an_import_is_not_collected_then_or_later():
    plain = LISTEN + "import asyncio; print(len(starts), gc.get_freeze_count(), gc.isenabled())"
    n_collections, n_frozen, _ = said_by(plain).split()
    assert (int(n_collections) > 0, n_frozen) == (True, "0"), "else the test shows nothing"
    tail = "print(len(starts), gc.get_freeze_count() > 9999, gc.isenabled(), 'asyncio' in sys.modules)"
    assert said_by("import icltui.system.permanent_imports\n" + LISTEN + IMPORT + tail) == "0 True True True"


@pytest.mark.parametrize(("switch", "is_enabled"), [("enable", "True"), ("disable", "False")])
def test_the_collector_is_left_as_it_was_also_where_the_import_fails(switch: str, is_enabled: str):
    failing = IMPORT.replace("'asyncio'", "'no_such_module'").replace("; import_for", "\ntry: import_for")
    code = f"import gc; gc.{switch}()\n{failing}except ImportError: print(gc.isenabled())"
    assert said_by(code) == is_enabled


def test_where_the_module_is_imported_already_nothing_is_exempted():
    assert said_by("import gc, asyncio\n" + IMPORT + "print(gc.get_freeze_count())") == "0"
