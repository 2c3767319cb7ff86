"""A slow line in between, that can be lost: ``slow_pipe.py SECONDS COMMAND…`` runs the command and delays both ways.

SIGUSR1 cuts it, as ssh ends when its connection is lost. SIGSTOP freezes it: a line that is half open.
"""

import os
import queue
import signal
import subprocess
import sys
import time
from threading import Thread

LOST = "client_loop: send disconnect: Broken pipe"


def carry(source: int, sink: int, delay: float) -> Thread:
    """Bytes from here to there, each ``delay`` seconds late; the end of them too."""
    late: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def take() -> None:
        piece = b"?"
        while piece:
            piece = os.read(source, 2**16)
            late.put((time.monotonic() + delay, piece))

    def give() -> None:
        piece = b"?"
        while piece:
            due, piece = late.get()
            time.sleep(max(due - time.monotonic(), 0))
            rest = piece
            try:
                while rest:
                    rest = rest[os.write(sink, rest) :]
            except BrokenPipeError:
                break
        os.close(sink)

    Thread(target=take, daemon=True).start()
    giving = Thread(target=give, daemon=True)
    giving.start()
    return giving


def main(delay: float, command: list[str]) -> int:
    engine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert engine.stdin is not None
    assert engine.stdout is not None

    def cut(_number: int, _frame: object) -> None:
        engine.kill()
        print(LOST, file=sys.stderr, flush=True)  # noqa: T201
        os._exit(255)

    signal.signal(signal.SIGUSR1, cut)
    carry(0, os.dup(engine.stdin.fileno()), delay)
    engine.stdin.close()
    giving = carry(engine.stdout.fileno(), os.dup(1), delay)
    while giving.is_alive():  # a join would not let the signal in
        giving.join(0.05)
    return engine.wait()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
