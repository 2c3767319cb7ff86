"""A long context: the lanes speak first, sentences are measured, and one of them opens into its tokens."""

import msgspec

from icltui.api.messages import LoadModel, Measure, PromptTokenized, UnitsMeasured
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.staleness import any_note
from icltui.values import LANES, Session, Unit
from icltui.values.prompt import Prompt
from tests.tui import samples
from tests.tui.fake_client import FakeClient


class Ear:
    """An explorer with what it told, on a model that is loaded."""

    def __init__(self, prompt: Prompt) -> None:
        self.client = FakeClient()
        self.explorer = Explorer(self.client, LoadModel(), Session(created="", prompt=prompt), None)
        self.lines: list[str] = []
        self.explorer.listen(lambda _part: None, lambda text, _is_error: self.lines.append(text))

    async def load(self) -> None:
        await self.explorer.start()
        self.client.finish(samples.LOADED)

    def kinds(self) -> list[str]:
        return [type(request).__name__ for request in self.client.requests[1:]]


def measured(*units: Unit) -> tuple:
    """What a measure of the sample says, its context cut into ``units``."""
    tokens = msgspec.structs.replace(samples.TOKENS, units=units)
    rows = tuple(samples.row(unit, 0) for unit in range(len(units) + 1))
    return PromptTokenized(tokens=tokens), UnitsMeasured(rows=rows, predictions=()), samples.MEASURED


async def whole(unit: str = "auto") -> Ear:
    """A prompt of two sentences that was run."""
    ear = Ear(msgspec.structs.replace(samples.PROMPT, unit=unit))
    await ear.load()
    n = len(samples.TOKENS.context)
    ear.client.finish(
        *measured(Unit(index=1, text="One.", tokens=4), Unit(index=2, text="Two.", tokens=n - 4))
    )
    ear.client.finish(*samples.generate(LANES[:2]))
    return ear


async def test_the_lanes_speak_before_a_long_measure() -> None:
    ear = Ear(Prompt(context="It rains. " * 200, query=" And", unit="auto"))
    await ear.load()
    ear.client.finish(*samples.generate(LANES[:2]))
    assert ear.kinds() == ["Generate", "Measure"]


async def test_a_unit_opens_and_closes_and_only_the_numbers_are_asked_for() -> None:
    ear = await whole()
    n = len(ear.client.requests)
    ear.explorer.open_unit(1)
    request = ear.client.request
    assert isinstance(request, Measure)
    assert request.prompt.unit == "auto/1"
    left = len(samples.TOKENS.context) - 4
    first = [Unit(index=at, text="x", tokens=1, part_of=1) for at in range(1, 5)]
    ear.client.finish(*measured(*first, Unit(index=5, text="Two.", tokens=left)))
    assert any_note(ear.explorer.results, ear.explorer.settings) == "", (
        "no text depends on how a context is cut"
    )
    ear.explorer.open_unit(5)
    assert ear.client.request.prompt.unit == "auto/1,2"
    second = [Unit(index=5 + at, text="y", tokens=1, part_of=2) for at in range(left)]
    ear.client.finish(*measured(*first, *second))
    ear.explorer.open_unit(3)
    assert ear.client.request.prompt.unit == "auto/2"
    assert len(ear.client.requests) == n + 3


async def test_what_does_not_open_says_why() -> None:
    ear = await whole()
    n = len(ear.client.requests)
    for unit in (0, 9):
        ear.explorer.open_unit(unit)
    ear.explorer.edit("another text", samples.QUERY)
    ear.explorer.open_unit(1)
    assert ear.lines == ["the numbers are of another prompt: ctrl+r measures this one, then open a unit"]
    assert len(ear.client.requests) == n
    other = await whole(";")
    other.explorer.open_unit(1)
    assert other.lines == ["units of ';' do not open: press o, then unit sentence or line"]
