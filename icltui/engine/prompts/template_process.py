"""The process that renders chat templates, with bounds on its time and memory.

A template is a program out of the model's folder. Transformers' sandbox keeps it from files and code, but not from
endless loops, from ``'a' * 10 ** 10`` or from nesting that overflows Python's own stack; no deadline inside an
interpreter stops its own single multiplication. So the kernel keeps the deadline.

Requests enter by standard input and answers leave by standard output, one JSON object a line: ``template``, ``special``
(the tokenizer's special tokens by name), ``turns`` (contents of lone user turns) and ``seconds`` of processor time,
after which the kernel ends the process; for each turn its ``text``, up to a turn with the reason why it is
``refused``. The process ends with its input. It is run as a file, and imports nothing of this package and no torch.
"""

import json
import resource
import signal
import sys
from typing import Any

MOST_MEMORY = 2**30
"""Bytes of address space, of which the interpreter needs 150 MB."""
MOST_TEXT = 2**20
"""Characters that a template writes around the text of a turn."""


def serve() -> None:
    """Answer until the input ends."""
    sys.modules["torch"] = None  # type: ignore[assignment]  # without it transformers starts in a fifth of the time
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    from transformers.utils.chat_template_utils import render_jinja_template

    for line in sys.stdin.buffer:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        answers: list[dict[str, str]] = []
        for turn in request["turns"]:
            answers.append(_answer(render_jinja_template, request, turn))
            if "refused" in answers[-1]:
                break
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(answers), flush=True)  # noqa: T201


def _answer(render: Any, request: dict[str, Any], content: Any) -> dict[str, str]:
    turn = [{"role": "user", "content": content}]
    try:
        (text,), _ = render(
            conversations=[turn],
            chat_template=request["template"],
            add_generation_prompt=True,
            **request["special"],
        )
    except MemoryError:
        return {"refused": "it needs more memory than it may have"}
    except Exception as error:  # noqa: BLE001 -- the template is a program: it may raise anything
        words = " ".join(str(error)[:1000].split())[:200]
        return {"refused": "".join(c if c.isprintable() else "?" for c in words) or type(error).__name__}
    if any("\ud800" <= c <= "\udfff" for c in text):
        return {"refused": "it writes half a character, which no tokenizer takes"}
    if len(text) > len(str(content)) + MOST_TEXT:
        return {"refused": f"it writes {len(text):,} characters around the text"}
    return {"text": text}


if __name__ == "__main__":
    serve()
