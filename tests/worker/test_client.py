"""The parent's side, with real child processes."""

import asyncio
import gc
import os
import signal
import stat
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest

import icltui
from icltui.api import messages
from icltui.system import log_file
from icltui.system.log_file import LOG_LIMIT, LogFile
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.worker import process
from icltui.worker.client import RemoteEngine
from icltui.worker.log import ProcessLog
from icltui.worker.process import exit_words
from icltui.worker.protocol import PROTOCOL, Happened, encode
from tests.waiting import PATIENCE
from tests.worker.scripted import prompt, step

HERE = Path(__file__).parent
ENGINE = (sys.executable, str(HERE / "scripted.py"))
ENV = {**os.environ, "PYTHONPATH": str(Path(icltui.__file__).parents[1])}
HELLO = f"""print('{{"say":"Hello","protocol":{PROTOCOL},"version":"9"}}', flush=True)"""


def program(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


class Heard:
    """A listener that remembers, and waits for what it has not heard yet."""

    def __init__(self) -> None:
        self.all: list[tuple[int, messages.Event]] = []
        self._changed = asyncio.Event()

    def __call__(self, job: int, event: messages.Event) -> None:
        self.all.append((job, event))
        self._changed.set()

    def of(self, job: int) -> list[messages.Event]:
        return [event for of, event in self.all if of == job]

    async def until(self, predicate: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    async def over(self, job: int) -> messages.Event:
        await self.until(lambda: self.of(job) and isinstance(self.of(job)[-1], messages.JOB_OVER))
        return self.of(job)[-1]

    async def died(self) -> messages.EngineDied:
        await self.until(lambda: any(isinstance(event, messages.EngineDied) for event in self.of(0)))
        return next(event for event in self.of(0) if isinstance(event, messages.EngineDied))


Make = Callable[..., RemoteEngine]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[RemoteEngine] = []

    def make(*command: str) -> RemoteEngine:
        made.append(RemoteEngine(command or ENGINE, tmp_path / "state" / "engine.log", ENV))
        return made[-1]

    yield make
    for engine in made:
        await engine.close()


def ask(engine: RemoteEngine, act: str) -> int:
    return engine.submit(messages.Measure(prompt=prompt(act)))


async def gone(pid: int) -> None:
    """Wait until no such process is left, not even a zombie of ours."""
    async with asyncio.timeout(PATIENCE):
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            await asyncio.sleep(0.01)


async def test_jobs_stream_their_events_in_order_and_stop_when_asked(make: Make) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    assert [ask(engine, act) for act in ("three steps", "until stopped", "three steps")] == [1, 2, 3]
    await heard.until(lambda: heard.of(2))
    engine.cancel(2)
    await heard.over(3)
    assert heard.all[0] == (0, messages.EngineStarted(version=icltui.__version__))
    assert heard.of(1) == [step(1), step(2), step(3), messages.JobEnded()]
    assert heard.of(2) == [step(1), step(2), messages.JobCancelled()]
    assert heard.of(3)[-1] == messages.JobEnded()


async def test_only_the_wire_is_on_the_wire(make: Make, tmp_path: Path) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    assert await heard.over(ask(engine, "noise")) == messages.JobEnded()
    assert heard.of(1)[0] == messages.Progress(stage="''", done=1, total=0)  # stdin held nothing to steal
    await engine.close()
    log = tmp_path / "state" / "engine.log"
    for words in ("printed by python", "native", "printed by a child"):
        assert words in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700


async def test_an_interrupt_does_not_reach_the_job(make: Make) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    assert await heard.over(ask(engine, "interrupt")) == messages.JobEnded()


async def test_the_loop_breathes_while_events_pour_in(make: Make) -> None:
    lines = "".join(
        encode(Happened(1, event)).decode() for event in (*map(step, range(1000)), messages.JobEnded())
    )
    pour = f"import sys; {HELLO}; sys.stdin.readline(); sys.stdout.write({lines!r}); sys.stdout.flush()"
    engine, heard, seen = make(*program(f"{pour}; sys.stdin.read()")), Heard(), [0]
    await engine.start(heard)
    ask(engine, "anything")
    while seen[-1] < 1001:
        await asyncio.sleep(0)
        seen.append(len(heard.of(1)))
    assert max(after - before for before, after in pairwise(seen)) <= 2


@pytest.mark.parametrize(
    ("act", "words"),
    [("segfault", "was ended by signal 11 (SIGSEGV"), ("exit three", "ended with exit code 3")],
)
async def test_death_fails_every_job_then_tells_why(make: Make, act: str, words: str) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    jobs = [ask(engine, act), ask(engine, "three steps")]
    died = await heard.died()
    assert words in died.message
    for job in jobs:
        last = heard.of(job)[-1]
        assert isinstance(last, messages.JobFailed)
        assert words in last.message
    assert heard.all[-1] == (0, died)
    if act == "exit three":
        assert died.log_tail == tuple(f"line {n}" for n in range(10, 30))
    else:
        assert any("Segmentation fault" in line for line in died.log_tail)


async def test_a_dead_engine_refuses_jobs_and_lives_again(make: Make) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    ask(engine, "exit three")
    await heard.died()
    job = ask(engine, "three steps")
    assert heard.of(job) == []  # never before submit has returned the id
    assert await heard.over(job) == messages.JobFailed(
        kind="EngineError", message="the engine is not running: restart it"
    )
    again = Heard()
    await engine.start(again)
    assert await again.over(ask(engine, "three steps")) == messages.JobEnded()


async def test_a_job_before_the_start_fails(make: Make) -> None:
    engine, heard = make(), Heard()
    ask(engine, "three steps")
    await engine.start(heard)
    assert isinstance(await heard.over(1), messages.JobFailed)


async def test_kill_ends_a_deaf_engine_and_its_children(make: Make) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    job = ask(engine, "have child")
    await heard.until(lambda: heard.of(job))
    first = heard.of(job)[0]
    assert isinstance(first, messages.Progress)
    engine.cancel(job)
    await engine.kill()
    assert heard.all[-2:] == [
        (job, messages.JobFailed(kind="EngineError", message="the engine was stopped")),
        (0, messages.EngineDied(message="the engine was stopped")),
    ]
    await gone(first.done)
    await engine.kill()
    assert sum(isinstance(event, messages.EngineDied) for event in heard.of(0)) == 1


async def test_no_event_of_an_older_process_after_a_new_start(make: Make) -> None:
    engine, old, new = make(), Heard(), Heard()
    await engine.start(old)
    job, pid = ask(engine, "endless steps"), engine.pid
    await old.until(lambda: old.of(job))
    await engine.start(new)
    heard = len(old.all)
    assert not Path(f"/proc/{pid}").exists()
    assert await new.over(ask(engine, "three steps")) == messages.JobEnded()
    assert len(old.all) == heard
    failed = messages.JobFailed(kind="EngineError", message="the engine was restarted: ask again")
    assert new.of(job) == [failed]
    assert new.of(0) == [messages.EngineStarted(version=icltui.__version__)]


@pytest.mark.parametrize("act", ["three steps", "deaf", "endless steps"])
async def test_close_is_silent_and_leaves_nothing(make: Make, act: str) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    job = ask(engine, act)
    await heard.until(lambda: heard.of(job))
    heard.all.clear()
    pid = engine.pid
    assert pid is not None
    await engine.close()
    assert not Path(f"/proc/{pid}").exists()
    assert [event for _, event in heard.all if not isinstance(event, messages.Progress)] in (
        [],
        [messages.JobEnded()],
    )
    await engine.close()


async def test_nothing_leaks_over_many_lives(make: Make) -> None:
    descriptors, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
    engine = make(*program(f"import sys; {HELLO}; sys.stdin.read()"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for end in (engine.kill, engine.close) * 3:
            heard = Heard()
            await engine.start(heard)
            await heard.until(lambda: heard.of(0))  # noqa: B023
            await end()
            gc.collect()
    assert len(asyncio.all_tasks()) == tasks
    assert len(os.listdir("/proc/self/fd")) <= descriptors


async def test_what_a_dead_child_did_not_read_troubles_nobody(make: Make) -> None:
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: troubles.append(context))
    engine, heard = make(*program(f"import time; {HELLO}; time.sleep(1000)")), Heard()
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    engine.submit(messages.Measure(prompt=Prompt(context="x" * 2**22)))
    await engine.kill()
    await engine.close()
    gc.collect()
    await asyncio.sleep(0)
    assert troubles == []


async def test_a_child_that_closed_its_output_is_ended(make: Make) -> None:
    engine, heard = make(*program(f"import os, time; {HELLO}; os.close(1); time.sleep(1000)")), Heard()
    await engine.start(heard)
    assert "signal 9" in (await heard.died()).message


async def test_a_stranger_that_holds_the_pipe_does_not_hold_us(make: Make, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    keep = "import subprocess, sys; one = subprocess.Popen(['sleep', '1000'], start_new_session=True)"
    tell = f"open({str(stranger)!r}, 'w').write(str(one.pid))"
    engine, heard = make(*program(f"{keep}; {tell}; {HELLO}; sys.stdin.read()")), Heard()
    descriptors = len(os.listdir("/proc/self/fd"))
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    async with asyncio.timeout(PATIENCE):
        await engine.close()
    os.kill(int(stranger.read_text()), signal.SIGKILL)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


async def test_nobody_but_the_watcher_asks_for_the_exit_code(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[int] = []
    poll = subprocess.Popen.poll

    def taking(process: subprocess.Popen[bytes]) -> int | None:
        if process.returncode is None:
            taken.append(process.pid)
        return poll(process)

    monkeypatch.setattr(subprocess.Popen, "poll", taking)
    monkeypatch.setattr(process, "PATIENCE", 0.01)
    engine, heard = make(*program(f"import time; {HELLO}; time.sleep(1000)")), Heard()
    for _ in range(5):
        await engine.start(heard)
        await heard.until(lambda: heard.of(0))
        heard.all.clear()
    await engine.close()
    gc.collect()
    assert taken == []
    assert "Unknown child process" not in caplog.text


async def test_a_child_that_hangs_at_its_end_is_told_by_its_signal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = await process.EngineProcess.spawn(
        program("import time; print('up', flush=True); time.sleep(1000)"),
        ProcessLog(LogFile(tmp_path / "l")),
        ENV,
    )
    assert await one.read() == (b"up\n", True)
    monkeypatch.setattr(process, "PATIENCE", 1)
    one.write(b"x" * 2**22)
    assert await one.end() == -signal.SIGKILL


async def test_unread_events_do_not_hold_up_the_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CHUNK", 1000)  # so that asyncio stops reading at once
    monkeypatch.setattr(process, "PATIENCE", 60)
    engine, heard = make(), Heard()
    await engine.start(heard)
    job = ask(engine, "endless steps")
    await heard.until(lambda: len(heard.of(job)) > 100)
    async with asyncio.timeout(PATIENCE):
        await engine.close()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("no-such-program", "engine"), "command was not found: no-such-program engine"),
        (("/",), "could not be started: permission denied: /"),
        (
            program("print('Welcome to \x1b[1mgpubox!')"),
            "ended with exit code 0 before it answered: it said 'Welcome to gpubox!'; its command must be icltui",
        ),
        (program(""), "ended with exit code 0 before it answered: it said nothing; its command must be"),
        (program('print(\'{"say":"Happened","job":1,"event":{"type":"JobEnded"}}\')'), "before it answered"),
        (program("while True: print('y')"), "prints a lot, but it is not an icltui engine: 'y'"),
        (program(f"{HELLO}; {HELLO}"), "greeted twice"),
        (
            program(HELLO.replace(f":{PROTOCOL},", ":77,")),
            f"is icltui 9, newer than this {icltui.__version__} (protocol 77, not {PROTOCOL}): "
            "install the same version here",
        ),
        (program(HELLO.replace(f":{PROTOCOL},", ":1,")), "older than this"),
        (
            program("import sys; sys.exit('no such model')"),
            "ended with exit code 1 before it answered: no such model",
        ),
        (
            ("sh", "-c", "no-such-program engine"),
            "exit code 127 before it answered: ",
        ),
        (
            program("import sys; print('gone', file=sys.stderr); sys.exit(255)"),
            "ended with exit code 255 before it answered: gone",
        ),
        (
            program(f"import sys; {HELLO}; print('Broken pipe', file=sys.stderr); sys.exit(255)"),
            "the engine ended with exit code 255: Broken pipe",
        ),
        (
            program("import sys; sys.stdout.write('x' * (65 * 2**20))"),
            "prints a lot, but it is not an icltui",
        ),
        (program("import sys\nwhile True: sys.stdout.write('\\0' * 999)"), "nothing that can be read"),
        (program("import sys\nwhile True: sys.stdout.write('\\n' * 999)"), "nothing that can be read"),
    ],
)
async def test_a_command_that_is_no_engine_is_told_in_one_line(
    make: Make, command: tuple[str, ...], words: str
) -> None:
    engine, heard = make(*command), Heard()
    await engine.start(heard)
    died = await heard.died()
    assert words in died.message
    assert died.message.isprintable()
    assert isinstance(await heard.over(ask(engine, "three steps")), messages.JobFailed)


async def test_no_log_is_no_reason_to_have_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    engine, heard = RemoteEngine(program("import sys; sys.exit('why')"), tmp_path, ENV), Heard()
    assert engine.log_trouble.endswith("cannot be written: is a directory; there is no log")
    await engine.start(heard)
    assert (await heard.died()).log_tail == ("why",)


async def test_old_lines_are_out_of_the_tail(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "state" / "engine.log"
    log.parent.mkdir()
    for old in ("yesterday\n", "x" * LOG_LIMIT + "yesterday\n"):
        log.write_text(old)
        engine, heard = make(*program("import sys; sys.exit('today')")), Heard()
        await engine.start(heard)
        assert (await heard.died()).log_tail == ("today",)
        assert log.stat().st_size < 100


NOISE = {
    "lines": (2, "print('x' * 79, file=sys.stderr)"),
    "one line": (2, "os.write(2, b'x' * 2**16)"),
    "a process of its own": (2, "subprocess.run(['sh', '-c', 'head -c 99999 /dev/zero >&2'])"),
    "lines on the wire": (1, "print('x' * 79, flush=True)"),
    "many short lines on the wire": (1, "os.write(1, b'x\\n' * 2**15)"),
    "one line on the wire": (1, "os.write(1, b'x' * 2**16)"),
    "bytes on the wire": (1, "os.write(1, bytes(range(1, 256)) * 2**8)"),
}


def size_of(file: Path) -> int:
    """0 where it was turned over a moment ago."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize(("descriptor", "noise"), NOISE.values(), ids=NOISE)
async def test_noise_without_end_is_bounded_and_costs_nothing_else(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descriptor: int, noise: str
) -> None:
    """While it goes on, a job runs, the log turns over and over and the memory stays; the tail says the end."""
    monkeypatch.setattr(log_file, "LOG_LIMIT", 2**18)
    monkeypatch.chdir(tmp_path)
    event = encode(Happened(1, step(1))) + encode(Happened(1, messages.JobEnded()))
    source = (
        f"import os, subprocess, sys; {HELLO}; sys.stdin.readline(); n = 0\n"
        "while not os.path.exists('enough'):\n"
        f"    {noise}; n += 1\n"
        f"    if n == 50: os.write(1, b'\\n' + {event!r})\n"
        f"os.write({descriptor}, b'\\nthe end'); sys.exit(3)"
    )
    folder, sizes = tmp_path / "state", list[int]()
    engine, heard = make(*program(source)), Heard()
    await engine.start(heard)
    await heard.until(lambda: heard.of(0))
    tracemalloc.start()
    assert await heard.over(ask(engine, "anything")) == messages.JobEnded()
    async with asyncio.timeout(60):
        while len(sizes) < 20:
            await asyncio.sleep(0.005)
            if (folder / "engine.log.1").exists():
                sizes.append(sum(map(size_of, folder.iterdir())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (tmp_path / "enough").touch()
    assert (await heard.died()).log_tail[-1] == "the end"
    assert max(sizes) <= 2 * 2**18
    assert peak < 8 * 2**20


async def test_what_is_no_message_is_logged_and_skipped(make: Make, tmp_path: Path) -> None:
    foreign = (
        *(
            "Broadcast message from root@gpubox (pts/1):",
            "",
            "\x1b]0;title\x07",
            '{"level":"info"}',
            "\0\xff",
        ),
        *(
            'debug: {"say":"Happened","job":1',
            'echo {"say":"Submit","job":1}',
            'he said {"say":"Hello"}',
            "[1]",
        ),
    )
    message = encode(Happened(1, step(1))).decode()
    lines = "".join(f"{line}\n{message}" for line in foreign) + f"Loading … {message}"
    end = encode(Happened(1, messages.JobEnded())).decode()
    source = f"import os, sys; {HELLO}; sys.stdin.readline(); os.write(1, {(lines + end).encode()!r}); sys.stdin.read()"
    engine, heard = make(*program(source)), Heard()
    await engine.start(heard)
    assert await heard.over(ask(engine, "anything")) == messages.JobEnded()
    assert heard.of(1) == [*[step(1)] * 10, messages.JobEnded()]
    await engine.close()
    log = (tmp_path / "state" / "engine.log").read_text()
    assert all(line in log for line in (*foreign, "Loading … "))


@pytest.mark.parametrize(
    "line",
    [
        '{"say":"Happened","job":1,"event":{"type":"JobEnded"',
        '{"say":"Happened","job":1,"event":{"type":"JobEnded"}} and more',
        '{"say":"Happened","job":-1,"event":{"type":"JobEnded"}}',
        '{"say":"Other"}',
    ],
)
async def test_a_message_that_begins_as_ours_and_is_broken_is_told(make: Make, line: str) -> None:
    engine, heard = make(*program(f"{HELLO}; print({line!r})")), Heard()
    await engine.start(heard)
    assert "line not understood: " in (await heard.died()).message


async def test_half_a_character_fails_its_job_alone(make: Make) -> None:
    engine, heard = make(), Heard()
    await engine.start(heard)
    job = engine.submit(messages.CountTokens(prompt=Prompt(context="three steps", query="\udcff")))
    last = await heard.over(job)
    assert isinstance(last, messages.JobFailed)
    assert (last.kind, last.exit_code) == ("BadInput", 2)
    assert await heard.over(ask(engine, "three steps")) == messages.JobEnded()


def test_an_empty_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="command is empty"):
        RemoteEngine((), tmp_path / "log")


def test_exits_are_put_into_words() -> None:
    assert exit_words(0) == "ended with exit code 0"
    assert "out of memory" not in exit_words(-signal.SIGTERM)
    assert exit_words(-signal.SIGKILL).endswith("; often the system had run out of memory)")
    assert exit_words(-250) == "was ended by signal 250"


def test_neither_side_imports_torch_or_a_screen() -> None:
    source = (
        "import sys, icltui.worker.client, icltui.worker.server\n"
        "print(sorted({'torch', 'transformers', 'textual', 'rich'} & set(sys.modules)))"
    )
    ran = subprocess.run(program(source), env=ENV, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
