"""The frame says what is kept before the text, and marks what an attention sink rules where nothing is."""

import pytest
from msgspec.structs import replace

from icltui.api.messages import Measure, ModelLoaded
from icltui.values import Generation, Session, Sink, Token
from icltui.values.recipe import Recipe
from tests.tui import samples
from tests.tui.conftest import open_desk

SINK = Sink(position=0, ratio=166.0, layers=(3, 4))
SINKING = replace(samples.MODEL, sink=SINK)
START = Token(id=1, text="<|im_start|>")
LAST = samples.TOKENS.query[-1:]


def session(*prefix: Token, model=SINKING, query=samples.TOKENS.query, **changes: object) -> Session:
    """The sample, measured on ``model`` with these kept tokens and this query."""
    tokens = replace(samples.TOKENS, prefix=prefix, query=query)
    measurement = replace(samples.MEASUREMENT, tokens=tokens, **changes)
    return replace(samples.session(), model=model, measurement=measurement)


@pytest.mark.parametrize(
    ("prefix", "model", "words"),
    [
        ((START,), samples.MODEL, "─ <|im_start|> + 19 tok ─"),
        ((START,), SINKING, "─ <|im_start|> + 19 tok ─"),
        ((START, LAST[0]), SINKING, "─ 2 tokens from <|im_… + 19 tok ─"),
        ((), SINKING, "─ ! nothing kept before 19 tok ─"),
        ((), samples.MODEL, "─ 19 tok ─"),
    ],
)
async def test_the_contexts_border_says_what_is_kept(prefix, model, words):
    async with open_desk(session(*prefix, model=model)) as desk:
        assert words in desk.text()


async def test_a_token_that_looks_like_markup_is_shown_as_it_is():
    async with open_desk(session(Token(id=1, text="[/b]"))) as desk:
        assert "─ [/b] + 19 tok ─" in desk.text()


async def test_another_models_tokens_are_forgotten():
    async with open_desk(session(START)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(ModelLoaded(model=replace(SINKING, fingerprint="other")))
        await desk.until(lambda: desk.client.job > 1)
        assert isinstance(desk.client.request, Measure)
        await desk.drawn()
        assert "im_start" not in desk.text()
        desk.client.finish(*samples.MEASURE)
        await desk.drawn()
        assert "! nothing kept before 19 tok" in desk.text()


async def test_only_the_step_from_the_sink_is_marked():
    async with open_desk(session(query=LAST)) as desk:
        measured = desk.explorer.results.measured
        assert measured.ruled_unit == 1
        assert [measured.mark("delta_norm", unit, 0) for unit in range(4)] == ["", "!", "", ""]
        assert measured.mark("z_norm", 1, 0) == ""
        assert "! about the sink" in desk.text()
        await desk.until(lambda: desk.screen.unit == 19)  # the table opens on its last row
        await desk.press("g", "down")
        await desk.until(lambda: desk.screen.unit == 1)
        (line,) = (line for line in desk.text().splitlines() if "❯" in line and " The " in line)
        assert " !" in line
        await desk.press("6")
        await desk.drawn()
        assert ", about the sink  layer" in desk.text()


async def test_a_narrow_border_still_says_what_the_mark_means():
    """What it cuts is the end: the words come before whatever else the border says of the numbers."""
    async with open_desk(session(query=LAST), size=(80, 24)) as desk:
        await desk.press("4")
        await desk.drawn()
        assert f"layer {desk.screen.numbers.shown_layer} · ! about the sink" in desk.text()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize(
    ("other", "is_said"),
    [
        (session(), True),
        (session(START), False),
        (session(model=samples.MODEL), False),
        (session(reference="local"), False),
    ],
)
async def test_the_tables_border_says_that_nothing_is_kept(other, is_said, size):
    """At the small size the context, whose border says so too, is on another page."""
    async with open_desk(other, size=size) as desk:
        await desk.press("4")
        await desk.drawn()
        assert (f"layer {desk.screen.numbers.shown_layer} · ! nothing kept · " in desk.text()) == is_said


@pytest.mark.parametrize(
    "other",
    [
        session(START, query=LAST),
        session(),
        session(query=LAST, model=samples.MODEL),
        session(query=LAST, reference="local"),
    ],
)
async def test_nothing_else_is_marked(other):
    async with open_desk(other) as desk:
        assert desk.explorer.results.measured.ruled_unit is None
        assert "about the sink" not in desk.text()


@pytest.mark.parametrize(
    ("prefix", "recipe", "is_marked"),
    [
        ((), Recipe(mode="compiled"), True),
        ((), Recipe(mode="frozen"), False),
        ((), Recipe(), False),
        ((1,), Recipe(mode="compiled"), False),
    ],
)
async def test_the_lane_of_a_patch_that_is_fitted_on_the_sink_says_so(prefix, recipe, is_marked):
    ids = replace(samples.TOKENS.ids, prefix=prefix)
    made: Generation = replace(samples.generation(), recipe=recipe, ids=ids)
    async with open_desk(replace(session(), generation=made, recipe=recipe)) as desk:
        await desk.drawn()
        assert ("! of the sink: KL" in desk.text()) == is_marked
