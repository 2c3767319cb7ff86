"""A talk with the real engine, recorded line by line as it went over the wire, and a client that plays it back.

Lines of both directions stand in one file; ``say`` tells them apart. ``pytest tests/tui/test_transcripts.py --rewrite``
records it anew.
"""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from icltui.api.engine import Listener
from icltui.api.messages import JOB_OVER, EngineStarted, Event, Generate, LoadModel, Measure, Request, Verify
from icltui.system.log_file import LogFile
from icltui.values import LANES
from icltui.values.prompt import Prompt
from icltui.worker.log import ProcessLog
from icltui.worker.process import EngineProcess
from icltui.worker.protocol import (
    Happened,
    Hello,
    Submit,
    decode_client_message,
    decode_server_message,
    encode,
)

RECORDED = Path(__file__).parent / "transcripts" / "demo.jsonl"
PROMPT = Prompt(context="The capital of France is Rome.\n", query="The capital of France is")
N_TOKENS = 6
LOAD = LoadModel(device="cpu")
REQUESTS: tuple[Request, ...] = (
    LOAD,
    Measure(prompt=PROMPT),
    Generate(prompt=PROMPT, n_tokens=N_TOKENS, lanes=LANES[:2]),
    Generate(prompt=PROMPT, n_tokens=N_TOKENS),
    Verify(prompt=PROMPT),
)
"""The main path: open, run, ΔW, verify."""


async def record(log: Path) -> list[bytes]:
    """Ask a real ``icltui engine`` for each of ``REQUESTS``; every line that was said."""
    child = await EngineProcess.spawn(
        [sys.executable, "-m", "icltui", "engine"], ProcessLog(LogFile(log)), None
    )
    try:
        lines = [(await child.read())[0]]
        for job, request in enumerate(REQUESTS, 1):
            lines.append(encode(Submit(job, request)))
            child.write(lines[-1])
            while line := (await child.read())[0]:
                lines.append(line)
                report = decode_server_message(line)
                if isinstance(report, Happened) and isinstance(report.event, JOB_OVER):
                    break
    finally:
        await child.end()
    return lines


class Transcript:
    """What was recorded: a greeting, and to each request its events."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.hello: Hello | None = None
        self.answers: list[tuple[Request, list[Event]]] = []
        jobs: dict[int, list[Event]] = {}
        for line in lines:
            if b'"say":"Submit"' in line[:20]:
                order = decode_client_message(line)
                assert isinstance(order, Submit)
                jobs[order.job] = []
                self.answers.append((order.request, jobs[order.job]))
                continue
            match decode_server_message(line):
                case Hello() as hello:
                    self.hello = hello
                case Happened(job, event):
                    jobs[job].append(event)

    @classmethod
    def recorded(cls) -> "Transcript":
        """The one beside this file."""
        return cls(RECORDED.read_bytes().splitlines(keepends=True))

    def answer(self, request: Request) -> list[Event]:
        """What the real engine said to the same request."""
        found = next((events for asked, events in self.answers if asked == request), None)
        assert found is not None, f"not in the transcript: {request}"
        return found


class ReplayClient:
    """Implements ``icltui.api.engine.Client`` by what the real engine said once, at once and in order."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._listener: Listener = lambda _job, _event: None
        self._n_jobs = 0

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        assert self._transcript.hello is not None
        listener(0, EngineStarted(version=self._transcript.hello.version))

    def submit(self, request: Request) -> int:
        self._n_jobs += 1
        events = self._transcript.answer(request)
        asyncio.get_running_loop().call_soon(self._play, self._n_jobs, events)
        return self._n_jobs

    def _play(self, job: int, events: list[Event]) -> None:
        for event in events:
            self._listener(job, event)

    def cancel(self, job: int) -> None:
        """Too late: everything is said in the loop's next turn."""

    async def kill(self) -> None:
        """Nothing to end."""

    async def close(self) -> None:
        """Nothing to end."""
