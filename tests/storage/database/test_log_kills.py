"""Programs that share a spool are killed, and the server restarts: what was safe is in the database, and once."""

import random
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from icltui.storage.database.destination import spool_of
from icltui.storage.database.log_queue import LogQueue
from tests.postgres import PostgresServer
from tests.storage.database.test_log_queue import entry, until
from tests.waiting import PATIENCE

pytest.importorskip("sqlalchemy")
ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from icltui.storage.database.destination import spool_of
from icltui.storage.database.log_queue import LogQueue
from tests.storage.database.test_log_queue import entry
url, first = sys.argv[1], int(sys.argv[2])
queue = LogQueue(url, spool_of(url), lambda *_: None)
queue.start()
for n in range(first, first + 10_000):
    queue.put(lambda: [entry(n)]).result()
    print(n, flush=True)
"""


def start(url: str, first: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM, url, str(first)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_what_was_safe_when_a_program_was_killed_is_in_the_database(
    postgres: PostgresServer, tmp_path, monkeypatch, count
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url, draw, safe = postgres.new_url(), random.Random(0), set[int]()
    for turn in range(4):
        programs = [start(url, 10_000 * (2 * turn + n)) for n in (1, 2)]
        for program in programs:
            assert program.stdout is not None
            safe.add(int(program.stdout.readline()))
        if turn % 2:
            postgres.stop()
        sleep(1 + draw.random())  # at any moment
        for program in programs:
            program.kill()
            whole, _, _ = program.communicate()[0].rpartition("\n")
            safe |= set(map(int, whole.split()))
        if turn % 2:
            postgres.start()
    queue = LogQueue(url, spool_of(url), lambda *_: None)
    queue.start()
    assert queue.close(PATIENCE, is_patient=True) == ""
    until(lambda: len(spool_of(url)) == 0)
    schema = url.rpartition("%3D")[2]
    per_session = f"SELECT session_id, count(*) FROM {schema}.icl_dynamics_log GROUP BY session_id"
    found = {int(name): n for name, n in postgres.run(per_session)}
    assert safe <= found.keys()
    assert set(found.values()) == {len(entry().rows)}, "whole measurements, each once"
    count(f"8 kills, 2 restarts of the server: {len(safe)} safe of {len(found)} measurements in the database")
