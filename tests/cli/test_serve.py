"""``icltui serve`` as a process: what it refuses, what it answers on the real engine, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from icltui.cli.main import main
from icltui.cli.serve import TOKEN
from icltui.serve.http.addresses import ANALYZE
from tests.waiting import PATIENCE

CONTEXT, QUERY = (
    "The capital of France is Rome.\nThe capital of Spain is Cairo.\n",
    "The capital of France is",
)
PROMPT = {"context": CONTEXT, "query": QUERY}
ARGUMENTS = ["-c", CONTEXT, "-q", QUERY, "--format", "json"]
SLOW = f"{sys.executable} -m icltui.bench.fake_engine --layers 2 --rate 50"


class ServerProcess:
    """The command, running, and a client of it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.client = httpx.Client(base_url=url, timeout=PATIENCE)

    def wait_for_job(self) -> None:
        """Wait until a job runs."""
        end = time.monotonic() + PATIENCE
        while not self.client.get("/health").json()["busy"]:
            assert time.monotonic() < end

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; the exit code, and what stands on stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


@contextmanager
def serving(home: Path, *argv: str, token: str | None = None) -> Iterator[ServerProcess]:
    """``icltui serve`` on a free port."""
    environment = {**os.environ, "XDG_STATE_HOME": str(home)} | ({TOKEN: token} if token else {})
    process = subprocess.Popen(
        [sys.executable, "-m", "icltui", "serve", "--port", "0", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("serving "), process.communicate(timeout=PATIENCE)
        yield ServerProcess(process, line.split()[3])
    finally:
        process.kill()
        process.communicate()


def _refused(capsys: pytest.CaptureFixture[str], argv: Sequence[str]) -> str:
    assert main(["serve", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("icltui: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["--host", "0.0.0.0"], "give a token"),
        (["--host", "nowhere.invalid", "--token", "correct-horse"], "no known address"),
        (["--host", "192.0.2.1", "--token", "correct-horse"], "no address of this machine"),
        (["--token", "short"], "5 characters"),
        (["--port", "65536"], "no port"),
        (["--port", "-1"], "no port"),
        (["--port", "0", "--timeout", "0"], "0 is no limit"),
        (["--port", "0", "--engine", "'"], "not a command"),
        (["--port", "0", "--model", ""], "--model is empty"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    capsys: pytest.CaptureFixture[str], argv: Sequence[str], fault: str
) -> None:
    assert fault in _refused(capsys, argv)


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is in use" in _refused(capsys, ["--port", port])


def test_a_token_in_the_environment_is_checked_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "")
    assert "0 characters" in _refused(capsys, [])


def test_a_missing_library_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'icltui[serve]'" in _refused(capsys, [])


def test_an_engine_that_does_not_start_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--engine", "no-such-program"]) == 1
    assert capsys.readouterr().err == "icltui: the engine's command was not found: no-such-program\n"


@pytest.mark.soak
def test_answers_are_those_of_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the real engine, byte for byte but for how long it took."""
    with serving(tmp_path) as server:
        for address, more, argv in (
            (ANALYZE, {"layers": "0-1", "pairs": True}, ["measure", "--layers", "0-1", "--pairs"]),
            ("/v1/verify", {}, ["verify"]),
            ("/v1/generate", {"n_tokens": 2}, ["generate", "--tokens", "2"]),
            ("/v1/curves", {}, ["curves"]),
            ("/v1/heads", {"n_seeds": 1}, ["heads", "--sequences", "1"]),
        ):
            text = server.client.post(address, json={**PROMPT, **more}).text
            assert main([*argv, *ARGUMENTS]) == 0
            assert _but_seconds(text) == _but_seconds(capsys.readouterr().out), address
        code, err = server.end(signal.SIGTERM)
    assert code == 130
    assert [line.rpartition(" ")[0].rpartition(" ")[0] for line in err.splitlines()] == [
        f"127.0.0.1 POST {address} 200"
        for address in (ANALYZE, "/v1/verify", "/v1/generate", "/v1/curves", "/v1/heads")
    ]


def _but_seconds(text: str) -> list[str]:
    assert json.loads(text)
    return [line for line in text.splitlines() if '"seconds":' not in line]


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.soak), signal.SIGTERM])
def test_a_signal_ends_the_running_job_and_the_engine(tmp_path: Path, number: int) -> None:
    with (
        serving(tmp_path, "--engine", SLOW) as server,
        httpx.Client(base_url=server.client.base_url, timeout=PATIENCE) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        waiting = thread.submit(other.post, ANALYZE, json={**PROMPT, "context": "word " * 3000})
        server.wait_for_job()
        (engine,) = psutil.Process(server.process.pid).children()
        code, err = server.end(number)
        answer = waiting.result()
        assert code == 130
        assert answer.status_code == 503
        assert "the server is ending" in answer.json()["error"]["message"]
        assert not engine.is_running()
        assert "Traceback" not in err


def test_the_engine_may_die_and_the_server_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, "--engine", SLOW, token="correct-horse") as server:
        assert server.client.get("/health").json() == {"status": "ready"}
        server.client.headers["authorization"] = "Bearer correct-horse"
        (engine,) = psutil.Process(server.process.pid).children()
        assert TOKEN not in engine.environ()
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(server.client.post, ANALYZE, json={**PROMPT, "context": "word " * 3000})
            server.wait_for_job()
            engine.kill()
            answer = waiting.result()
        assert answer.status_code == 500
        assert "SIGKILL" in answer.json()["error"]["message"]
        assert server.client.post(ANALYZE, json={**PROMPT, "context": "a"}).status_code == 200
        code, err = server.end(signal.SIGINT)
        assert code == 130
        assert "correct-horse" not in err
