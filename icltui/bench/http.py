"""What HTTP adds: the same measurement asked of an engine in this process, and of ``icltui serve`` in another.

``python -m icltui.bench.http`` prints a table. The two take turns, so that what else the machine does meets both.
"""

import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from statistics import median
from urllib.parse import urlsplit

from icltui.api.collect import Collected
from icltui.api.engine import Engine
from icltui.api.messages import LoadModel, Request
from icltui.api.operation import operation_of
from icltui.report.answer import answer_json
from icltui.serve.http.addresses import ANALYZE
from icltui.system.child_environment import child_environment, own_command
from icltui.system.streams import print_text
from icltui.values import ModelInfo

PROMPTS = {"6 units": "one two three four five six", "60 units": "one two three four " * 15}
QUERY = " The capital of France is"
CLIENTS = 8


def ask(connection: HTTPConnection, body: bytes) -> bytes:
    """The server's answer, by a connection of its own."""
    connection.request("POST", ANALYZE, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 200, text[:300]
    return text


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def answer_here(engine: Engine, model: ModelInfo, request: Request) -> str:
    """The answer of an engine in this process."""
    collected = Collected(request)
    for event in engine.run(request, lambda: False):
        collected.take(event)
    return answer_json(model, request, collected)


def race(engine: Engine, model: ModelInfo, address: str, context: str, repeat: int) -> list[str]:
    """One prompt's line: milliseconds here and over HTTP, their ratio, requests a second of one client and of many."""
    values = {"context": context, "query": QUERY}
    body, request = json.dumps(values).encode(), operation_of("measure").read(values)
    connection = HTTPConnection(address)
    pairs = [
        (seconds_of(lambda: answer_here(engine, model, request)), seconds_of(lambda: ask(connection, body)))
        for _ in range(repeat)
    ]
    here, there = (median(times) for times in zip(*pairs[1:], strict=True))
    alone = 1 / there
    with ThreadPoolExecutor(CLIENTS) as clients:
        many = (
            CLIENTS
            * repeat
            / seconds_of(lambda: list(clients.map(lambda _: several(address, body, repeat), range(CLIENTS))))
        )
    return [f"{here * 1e3:.1f}", f"{there * 1e3:.1f}", f"{there / here:.2f}", f"{alone:.0f}", f"{many:.0f}"]


def several(address: str, body: bytes, times: int) -> None:
    """One client that asks again and again."""
    connection = HTTPConnection(address)
    for _ in range(times):
        ask(connection, body)


def main(repeat: int = 12) -> str:
    """The table, in Markdown."""
    from icltui.engine.local import LocalEngine

    engine, loaded = LocalEngine(), Collected(LoadModel())
    for event in engine.run(LoadModel(), lambda: False):
        loaded.take(event)
    assert loaded.model is not None
    command = own_command("serve", "--port", "0", "--max-queue", str(2 * CLIENTS))
    server = subprocess.Popen(
        command, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        address = next(urlsplit(word).netloc for word in server.stdout.readline().split() if "://" in word)
        rows = [[name, *race(engine, loaded.model, address, text, repeat)] for name, text in PROMPTS.items()]
    finally:
        server.terminate()
        server.wait()
    head = ["prompt", "here, ms", "HTTP, ms", "ratio", "1 client, /s", f"{CLIENTS} clients, /s"]
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print_text(main())
