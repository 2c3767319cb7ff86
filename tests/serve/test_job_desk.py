"""The desk: one job at a time, in order; few wait, none for ever, and none for a caller who has left."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from icltui.api.limits import Limits
from icltui.api.messages import (
    CountTokens,
    EngineAwaited,
    EngineDied,
    LoadModel,
    Measure,
    MeasureEnded,
    Progress,
    PromptTokenized,
    Request,
    UnitsMeasured,
    Verify,
)
from icltui.serve.job_desk import JobDesk
from icltui.values.errors import BadInput, Busy, EngineError, RequestTooLarge, TimedOut
from icltui.values.prompt import Prompt
from tests.serve.desk_client import DeskClient
from tests.waiting import idle, until

FIRST, SECOND = (Measure(prompt=Prompt(context=text, query=" so")) for text in ("one two", "three"))


@asynccontextmanager
async def opened(
    client: DeskClient, limits: Limits | None = None, patience: float = 60
) -> AsyncIterator[JobDesk]:
    """A desk on ``client``, its model loaded."""
    desk = JobDesk(client, LoadModel(), limits, patience)
    try:
        await desk.open()
        yield desk
    finally:
        await desk.close()
        assert client.is_closed


def of_kind(client: DeskClient, kind: type[Request]) -> list[Request]:
    """What ``client`` was asked of one kind."""
    return [request for request in client.requests if isinstance(request, kind)]


async def held(client: DeskClient, desk: JobDesk, request: Request) -> asyncio.Task[object]:
    """A job that runs until the test ends it."""
    client.is_held = True
    task = asyncio.create_task(desk.answer(request))
    await until(lambda: client.requests[-1] == request)
    return task


async def test_an_answer_is_what_the_events_add_up_to() -> None:
    async with opened(DeskClient()) as desk:
        heard: list[object] = []
        answer = await desk.answer(FIRST, heard.append)
        assert answer.measurement is not None
        assert len(answer.measurement.rows) == 3 * 2  # units from 0 on, and layers
        assert [type(event) for event in heard] == [PromptTokenized, UnitsMeasured, MeasureEnded]
        assert [type(event) async for event in desk.events(FIRST)] == [type(event) for event in heard]
        assert desk.n_jobs == 0


async def test_tokens_are_counted_before_anything_is_computed() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        await desk.answer(FIRST)
        assert [type(request) for request in client.requests] == [LoadModel, CountTokens, Measure]


async def test_too_many_tokens_are_refused_once_they_are_counted_and_too_many_layers_at_once() -> None:
    client = DeskClient()
    async with opened(client, Limits(prompt_tokens=1)) as desk:
        with pytest.raises(RequestTooLarge, match="tokens, where this server takes 1: shorten"):
            await desk.answer(FIRST)
        assert [type(request) for request in client.requests] == [LoadModel, CountTokens]
        assert desk.n_jobs == 0
    client = DeskClient()
    async with opened(client, Limits(layers=1)) as desk:
        with pytest.raises(RequestTooLarge, match="2 layers, where this server takes 1: "):
            await desk.answer(FIRST)
        assert [type(request) for request in client.requests] == [LoadModel]


async def test_jobs_run_one_at_a_time_in_order() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        first = await held(client, desk, FIRST)
        client.is_held = False
        second = asyncio.create_task(desk.answer(SECOND))
        await until(lambda: desk.n_jobs == 2)
        assert SECOND not in client.requests
        client.work(client.job)
        await asyncio.gather(first, second)
        assert of_kind(client, Measure) == [FIRST, SECOND]


async def test_one_more_than_may_wait_is_refused_at_once() -> None:
    client = DeskClient()
    async with opened(client, Limits(queue=2)) as desk:
        tasks = [await held(client, desk, FIRST), asyncio.create_task(desk.answer(SECOND))]
        await until(lambda: desk.n_jobs == 2)
        with pytest.raises(Busy, match="2 jobs"):
            await desk.answer(SECOND)
        tasks[1].cancel()  # who leaves makes room
        await until(lambda: desk.n_jobs == 1)
        third = asyncio.create_task(desk.answer(SECOND))
        client.is_held = False
        client.work(client.job)
        assert (await third).measurement is not None
        assert of_kind(client, Measure) == [FIRST, SECOND]


async def test_a_caller_who_leaves_stops_the_job() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        task = await held(client, desk, FIRST)
        job = client.job
        task.cancel()
        await until(lambda: client.cancelled == [job])
        assert desk.n_jobs == 0
        client.is_held = False
        assert (await desk.answer(SECOND)).measurement is not None
        assert client.n_starts == 1


async def test_who_stops_to_listen_stops_the_job() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        client.is_held = True
        async with desk.job(FIRST) as job:
            await until(lambda: client.requests[-1] == FIRST)
            client.send(client.job, Progress(stage="half", done=1, total=2))
            assert (await anext(job)) == Progress(stage="half", done=1, total=2)
        await until(lambda: client.cancelled == [client.job])


async def test_a_job_that_does_not_listen_is_killed_and_the_model_loaded_again() -> None:
    client = DeskClient()
    client.is_deaf = True
    async with opened(client, patience=0.01) as desk:
        task = await held(client, desk, FIRST)
        task.cancel()
        client.is_held = False
        assert (await desk.answer(SECOND)).measurement is not None
        assert (client.n_kills, client.n_starts) == (1, 2)
        assert len(of_kind(client, LoadModel)) == 2


async def test_a_job_may_end_by_itself_for_as_long_as_the_model_would_take_to_load_again() -> None:
    client = DeskClient()
    client.is_deaf = client.is_silent = True
    desk = JobDesk(client, LoadModel(), patience=0)
    began = time.monotonic()
    opening = asyncio.create_task(desk.open())
    await until(lambda: time.monotonic() > began + 0.3)
    client.greet()
    await opening
    task = await held(client, desk, FIRST)
    task.cancel()
    await until(lambda: client.cancelled == [client.job])
    await idle()
    client.give_way(client.job)
    client.is_held = False
    assert (await desk.answer(SECOND)).measurement is not None
    assert (client.n_kills, client.n_starts) == (0, 1)
    await desk.close()


async def test_an_engine_that_does_not_answer_is_told() -> None:
    client = DeskClient()
    client.is_silent = True
    desk, heard = JobDesk(client, LoadModel()), []
    opening = asyncio.create_task(desk.open(heard.append))
    await until(lambda: client.n_starts == 1)
    silence = EngineAwaited(seconds=10, log_tail=("Permission denied",))
    client.send(0, silence)
    assert heard == [silence]
    client.greet()
    await opening
    await desk.close()


async def test_a_job_has_so_much_time() -> None:
    client = DeskClient()
    async with opened(client, Limits(seconds=0.05)) as desk:
        first = await held(client, desk, FIRST)
        with pytest.raises(TimedOut, match=r"within 0\.05 s, the wait included: shorten"):
            await first
        assert client.cancelled == [client.job]
        client.is_held = False
        assert (await desk.answer(SECOND)).measurement is not None


async def test_its_wait_counts() -> None:
    client = DeskClient()
    async with opened(client, Limits(seconds=0.05)) as desk:
        client.die("gone")
        client.is_silent = True
        with pytest.raises(TimedOut, match="as the engine is being started again: ask again later"):
            await desk.answer(FIRST)
        client.greet()
        assert (await desk.answer(SECOND)).measurement is not None
        assert of_kind(client, Measure) == [SECOND]


async def test_the_engines_death_fails_the_job_that_ran_and_no_other() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        first = await held(client, desk, FIRST)
        second = asyncio.create_task(desk.answer(SECOND))
        await until(lambda: desk.n_jobs == 2)
        client.is_held = False
        client.die("the engine was ended by signal 9", "earlier", "Killed process")
        with pytest.raises(EngineError, match="signal 9: Killed process"):
            await first
        assert (await second).measurement is not None
        assert client.n_starts == 2


async def test_an_engine_that_died_idle_is_started_again_and_not_for_ever() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        await desk.answer(FIRST)
        client.die("gone")
        assert not desk.is_ready
        await until(lambda: desk.is_ready)
        client.die("gone before it was of any use")
        await idle()
        assert (desk.is_ready, client.n_starts) == (False, 2)
        assert (await desk.answer(FIRST)).measurement is not None
        assert client.n_starts == 3


async def test_an_engine_that_does_not_come_back_is_tried_for_each_job() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        client.is_startable = False
        client.die("gone")
        for _ in range(2):
            with pytest.raises(EngineError, match="not found: engine"):
                await desk.answer(FIRST)
        client.is_startable = True
        assert (await desk.answer(FIRST)).measurement is not None


async def test_a_caller_who_leaves_during_a_start_leaves_it_to_the_others() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        client.die("gone")
        client.is_silent = True
        first, second = (asyncio.create_task(desk.answer(request)) for request in (FIRST, SECOND))
        await until(lambda: desk.n_jobs == 2)
        first.cancel()
        await asyncio.wait({first})
        client.greet()
        assert (await second).measurement is not None
        assert client.n_starts == 2


async def test_an_error_of_the_engine_is_an_error_of_its_kind() -> None:
    async with opened(DeskClient()) as desk:
        with pytest.raises(BadInput, match="only makes up measures"):
            await desk.answer(Verify(prompt=FIRST.prompt))
        assert (await desk.answer(FIRST)).measurement is not None


async def test_an_engine_that_does_not_start_is_one_error() -> None:
    with pytest.raises(EngineError, match="not found: engine"):
        async with opened(DeskClient(is_startable=False)):
            pass


async def test_whoever_waits_when_the_desk_closes_is_told() -> None:
    client = DeskClient()
    async with opened(client) as desk:
        tasks = [await held(client, desk, FIRST), asyncio.create_task(desk.answer(SECOND))]
        await until(lambda: desk.n_jobs == 2)
        await desk.close()
        for task in tasks:
            with pytest.raises(Busy, match="the server is ending"):
                await task
        with pytest.raises(Busy, match="the server is ending"):
            await desk.answer(FIRST)


async def test_a_death_told_after_its_jobs_failures_is_the_reason() -> None:
    """As a real client tells it: the job's failure first, then the death with the log's tail."""
    client = DeskClient()
    async with opened(client) as desk:
        task = await held(client, desk, FIRST)
        client.fail("the engine ended with exit code 1")
        client.send(
            0, EngineDied(message="the engine ended with exit code 1", log_tail=("RuntimeError: boom",))
        )
        with pytest.raises(EngineError, match="exit code 1: RuntimeError: boom"):
            await task


async def test_what_nobody_foresaw_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    client = DeskClient()
    async with opened(client) as desk:
        with monkeypatch.context() as patch:
            patch.setattr(client, "submit", lambda _request: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await desk.answer(FIRST)
        assert (await desk.answer(FIRST)).measurement is not None
