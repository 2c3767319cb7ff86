"""An agent's whole session with the real program, and the page of the manual that shows it."""

import re
from pathlib import Path

import pytest

import icltui
from tests.serve.loaded_engine import LoadedEngine
from tests.serve.mcp.agent_session import (
    CALLS,
    GIVEN,
    Step,
    call,
    give_up,
    processes,
    program,
    session,
    transcript,
)
from tests.serve.mcp.agents import EngineClient, agent
from tests.waiting import until

PAGE = Path(icltui.__file__).parent / "docs" / "agents.md"
NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")


def plain(text: str) -> str:
    """The words: numbers differ by rounding from machine to machine."""
    return " ".join(NUMBER.sub("#", text).split())


def check(steps: list[Step]) -> None:
    """Every answer has its controls, in words too, and the page shows the session."""
    assert [step.is_error for step in steps] == [False] * 5 + [True]
    assert steps[-1].text.startswith("bad_input: the query is empty")
    for step in steps[:-1]:
        assert step.structured["controls"]
        assert step.structured["evidence"]
        for control in ("random", "shuffled"):
            assert step.name == "count_tokens" or control in step.told
    assert plain(transcript(steps)) in plain(PAGE.read_text(encoding="utf-8"))


async def test_an_agents_session_as_the_page_shows_it(engine: LoadedEngine) -> None:
    async with agent(EngineClient(engine), mode="legacy") as client:
        check(await session(client))


@pytest.mark.soak
async def test_an_agents_session_with_the_real_program_and_its_engine() -> None:
    heard: list[Exception] = []
    before = processes()
    async with program(heard) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert {name for name, _ in CALLS} < set(names)
        steps = await session(client)
        assert await give_up(client) < 1
        after = await call(client, "count_tokens", GIVEN)
        ours = [process for process in processes() if process not in before]
        assert len(ours) >= 2, "no engine of its own"
    check(steps)
    assert after.structured == steps[1].structured, "not the same after a call that was given up"
    assert not heard, "the program wrote what is no message"
    await until(lambda: not any(process.is_running() for process in ours))
