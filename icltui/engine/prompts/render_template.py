"""A chat template rendered within bounds, by :mod:`icltui.engine.prompts.template_process`.

Enters: a tokenizer and the contents of lone user turns. Leaves: the text that the template makes of each. The first
request starts the process, which answers within a millisecond until it exceeds a bound or this process ends.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock
from typing import Any

from icltui.system.child_environment import child_environment
from icltui.values.errors import BadInput

Content = str | list[dict[str, str]]

SECONDS = 3.0
"""Seconds of processor time that a template may take."""
_CHILD = Path(__file__).with_name("template_process.py")
_MOST_CHARACTERS = 2**20
"""Most characters of a template; the longest in use have some 30 KiB."""
_TIMEOUT = 120
"""Seconds until an answer, or the process's start, is given up: for a machine that hangs, not for templates."""
_ENVIRONMENT = {"TRANSFORMERS_VERBOSITY": "error", "OPENBLAS_NUM_THREADS": "1"}


class TemplateError(BadInput):
    """A template that does not render a turn; the message says why, in a few words."""


class TemplateAborted(TemplateError):
    """A template that exceeds a bound, as it would each time."""


class Renderer:
    """The process that renders, started by the first request."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any]) -> list[dict[str, str]]:
        """The answer for each turn.

        Raises:
            TemplateAborted: the request ended the process.
        """
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            process = self._started()
            try:
                answer = self._exchange(process, line)
            except BaseException:
                self.end()
                raise
        answers: list[dict[str, str]] = json.loads(answer)
        return answers

    def end(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=os.sep,
                env={**child_environment(), **_ENVIRONMENT},
            )
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except BrokenPipeError:
            raise TemplateAborted(_ended(process.wait())) from None
        answer = bytearray()
        until = time.monotonic() + _TIMEOUT
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise TemplateAborted(f"gives no answer in {_TIMEOUT} seconds")
            part = os.read(process.stdout.fileno(), 2**20)
            if not part:
                raise TemplateAborted(_ended(process.wait()))
            answer += part
        return bytes(answer)


def _ended(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"is not done after {SECONDS:g} seconds"
    return f"ended the process that renders it, code {code}"


_RENDERER = Renderer()
atexit.register(_RENDERER.end)


def render(tokenizer: Any, contents: list[Content]) -> list[str]:
    """The text of a user turn of each content, with what comes before the answer.

    Raises:
        TemplateError: the template refuses one of the contents, or exceeds its bounds.
    """
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:  # several templates, none of them for chats
        raise TemplateError(" ".join(str(error).split())[:200]) from error
    if not isinstance(template, str):
        raise TemplateError(f"it is no text, but of type {type(template).__name__}")
    if len(template) > _MOST_CHARACTERS:
        raise TemplateError(f"it has {len(template):,} characters itself")
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    answers = _RENDERER.ask({"template": template, "special": special, "turns": contents, "seconds": SECONDS})
    for answer in answers:
        if "refused" in answer:
            raise TemplateError(answer["refused"])
    return [answer["text"] for answer in answers]
