"""An engine whose jobs do what the prompt's context says; run as a program it is a whole child process."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from icltui.api.messages import Event, LoadModel, Progress, Request
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


def step(n: int = 1) -> Progress:
    return Progress(stage="step", done=n, total=0)


class ScriptedEngine:
    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:
        assert not isinstance(request, LoadModel)
        act = getattr(self, request.prompt.context.replace(" ", "_"))
        return act(should_stop)  # type: ignore[no-any-return]

    def three_steps(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        yield from map(step, (1, 2, 3))

    def thousand_steps(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        yield from map(step, range(1000))

    def until_stopped(self, stop: Callable[[], bool]) -> Iterator[Event]:
        yield step()
        while not stop():
            time.sleep(0.002)
        yield step(2)

    def deaf(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        yield step()
        while True:
            time.sleep(0.05)

    def endless_steps(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        yield from map(step, itertools.count())

    def refuse(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        raise BadInput("query is empty: type one")
        yield

    def crash(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        yield step()
        raise ValueError("first line\nsecond line")

    def refuse_half_a_character(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        raise BadInput("the model says \ud800")
        yield

    def crash_over_half_a_character(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        raise ValueError("\udfff")
        yield

    def leave_python(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        raise SystemExit(9)
        yield

    def fill_memory(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        yield

    def lose_device(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        raise RuntimeError("CUDA error: device-side assert triggered")
        yield

    def half_character(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        yield Progress(stage="\udc80", done=1, total=0)

    def noise(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        print("printed by python")  # noqa: T201
        os.write(1, b"written by \x1b[31mnative\x1b[0m code\n")
        subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)
        yield Progress(stage=repr(sys.stdin.read()), done=1, total=0)

    def interrupt(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        os.kill(os.getpid(), signal.SIGINT)
        yield step()

    def segfault(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        yield step()
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(60)

    def exit_three(self, _stop: Callable[[], bool]) -> Iterator[Event]:
        for n in range(30):
            print(f"\x1b[1mline {n}\x1b[0m\a", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(3)
        yield

    def have_child(self, stop: Callable[[], bool]) -> Iterator[Event]:
        child = subprocess.Popen(["sleep", "1000"])
        yield step(child.pid)
        yield from self.deaf(stop)


def prompt(act: str) -> Prompt:
    return Prompt(context=act)


if __name__ == "__main__":
    from icltui.worker.server import main

    main(ScriptedEngine)
