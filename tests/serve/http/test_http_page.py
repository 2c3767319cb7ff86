"""The manual's page on HTTP: its examples are run, and its table of errors is the code's."""

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from icltui.api.limits import Limits
from icltui.api.messages import LoadModel
from icltui.api.operation import OPERATIONS
from icltui.serve.http.addresses import address_of
from icltui.serve.http.application import application
from icltui.serve.http.openapi import description
from icltui.serve.job_desk import JobDesk
from tests.docs.blocks import DOCS, blocks
from tests.serve.desk_client import DeskClient
from tests.serve.http.served import served
from tests.serve.loaded_engine import LoadedEngine

PAGE = DOCS / "http.md"
USUAL = "127.0.0.1:8642"
COMMANDS = [line for block in blocks(PAGE) for line in block.lines if line.startswith("curl ")]


@asynccontextmanager
async def embedded(engine: LoadedEngine) -> AsyncIterator[str]:
    """Where the embedded model is served."""
    client = DeskClient()
    client.engine = engine  # type: ignore[assignment]
    desk = JobDesk(client, LoadModel())
    await desk.open()
    async with served(application(desk)) as port:
        yield f"127.0.0.1:{port}"
    await desk.close()


async def answer_to(words: list[str]) -> str:
    """What a command of curl prints, by curl or, where it is not installed, by httpx."""
    if shutil.which("curl"):
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()
    address = next(word for word in words if word.startswith("http:"))
    async with httpx.AsyncClient() as client:
        if "-d" not in words:
            return (await client.get(address)).text
        body = words[words.index("-d") + 1].encode()
        return (await client.post(address, content=body, headers={"content-type": "application/json"})).text


async def test_every_command_of_the_page_is_answered(engine: LoadedEngine) -> None:
    assert len(COMMANDS) == 6
    async with embedded(engine) as address:
        for command in COMMANDS:
            text = await answer_to(shlex.split(command.replace(USUAL, address)))
            if "stream=true" in command:
                names = re.findall(r"^event: (\w+)$", text, re.MULTILINE)
                assert names[0] == "PromptTokenized"
                assert names[-1] == "answer"
                assert "UnitsMeasured" in names
            else:
                assert "error" not in json.loads(text), command


async def test_the_client_in_python_gets_an_answer(engine: LoadedEngine) -> None:
    (text,) = (block.text for block in blocks(PAGE) if block.text.startswith("import "))
    found: dict[str, object] = {}
    async with embedded(engine) as address:
        await asyncio.to_thread(exec, text.replace(USUAL, address), found)
    assert isinstance(found["answer"], dict)
    assert len(found["answer"]["units"]) == 2


def test_every_address_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    assert all(address_of(operation) in text for operation in OPERATIONS)


def test_every_error_is_on_the_page_with_its_status() -> None:
    rows = re.findall(r"^\| (\d[\d, ]*) \| ([`\w, ]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    told: dict[int, set[str]] = {}
    for statuses, codes in rows:
        for status in statuses.split(","):
            told.setdefault(int(status), set()).update(re.findall(r"\w+", codes))
    components = description(Limits(), has_token=True)["components"]
    for name in components["responses"]:
        codes = set(
            components["schemas"][name]["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]
        )
        unasked = {"session", "database"}  # no request leads there
        assert codes - unasked <= told[int(name.removeprefix("Error"))], name
