"""Dynamics, reference, positions and chat template: chosen by a key, taken by the next run, shown, saved."""

from pathlib import Path

import msgspec
import pytest

from icltui.api.messages import CountTokens, JobFailed, MeasureEnded, PromptTokenized, UnitsMeasured
from icltui.storage.sessions import read_session, write_session
from icltui.tui.state.results import Results
from icltui.tui.state.run_settings import RunSettings, method_words
from icltui.tui.state.staleness import any_note, lane_note, numbers_note, proof_note
from icltui.values import Measurement, Pairs, Session
from icltui.values.recipe import COMPILED, Recipe
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk

KEYS = ("D", "R", "P", "T")


async def choose_all(desk: Desk) -> None:
    """shrink, local, keep, chat; the tokens are counted anew, as the prompt is another."""
    for key in KEYS:
        await desk.press(key)
        while isinstance(desk.client.request, CountTokens) and desk.explorer.jobs.request:
            desk.client.give_way() if desk.client.cancelled[-1:] == [
                desk.client.job
            ] else desk.client.finish()


async def test_each_key_goes_round_its_values(desk: Desk) -> None:
    def values() -> tuple[object, ...]:
        settings = desk.explorer.settings
        return settings.dynamics, settings.reference, settings.prompt.positions, settings.prompt.chat

    assert values() == ("grow", "free", "reset", False)
    await choose_all(desk)
    assert values() == ("shrink", "local", "keep", True)
    await choose_all(desk)
    assert values() == ("drop", "free", "reset", False)
    await desk.press("D")
    assert values()[0] == "grow"


async def test_a_choice_marks_the_numbers_and_a_run_takes_it(desk: Desk) -> None:
    await desk.press("D", "R")
    explorer = desk.explorer
    assert (
        numbers_note(explorer.results, explorer.settings)
        == "^r runs: each token taken away in turn, hidden from attention"
    )
    assert lane_note(explorer.results, explorer.settings, "plain") == "", "no lane depends on them"
    assert proof_note(explorer.results, explorer.settings) == ""
    assert desk.toasts() == [], "the border says it"
    assert explorer.is_unsaved
    await desk.drawn()
    assert "^r runs: each token taken away in turn, hidden from attention ─ layer 5" in desk.text()
    await desk.press("ctrl+r")
    assert desk.client.request == explorer.settings.measure()
    assert (desk.client.request.dynamics, desk.client.request.reference) == ("shrink", "local")
    desk.client.send(desk.client.job, samples.TOKENIZED, samples.chunk(0, 3))
    await desk.drawn()
    assert "layer 5 · each token taken away in turn, hidden from attention" in desk.text()
    assert "pass" not in desk.text(), "not known before the end"
    pairs = (Pairs(layer=5, cosine=((1.0,),), transfer=((0.0,),)),)
    desk.client.finish(msgspec.structs.replace(samples.MEASURED, path="loop", pairs=pairs))
    measured = explorer.session("a").measurement
    assert measured is not None
    assert (measured.dynamics, measured.reference, measured.path) == ("shrink", "local", "loop")
    assert measured.pairs == pairs
    desk.client.finish(*samples.generate(("context", "plain")))
    await desk.drawn()
    assert "layer 5 · each token taken away in turn, hidden from attention, a" in desk.text()
    assert any_note(explorer.results, explorer.settings) == ""


TOLD = "measure: each token taken away in turn, hidden from attention (shrink · local · reset)"


async def test_a_choice_before_there_are_numbers_is_told() -> None:
    async with open_desk() as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        await desk.press("R", "D")
        await desk.drawn()
        assert desk.toasts() == [TOLD], "the newest line replaces the one before"
        assert "layer 5 · each token taken away in turn, hidden from attention" in desk.text()


async def test_positions_and_chat_change_the_prompt_and_so_the_lanes(desk: Desk) -> None:
    await desk.press("P")
    assert desk.client.request == desk.explorer.settings.count(), "the new prompt's tokens are counted"
    assert lane_note(desk.explorer.results, desk.explorer.settings, "plain") == "edited, ^r runs"
    await desk.press("ctrl+r")
    desk.client.give_way()
    assert desk.client.request.prompt.positions == "keep"


async def test_an_edit_keeps_positions_and_chat(desk: Desk) -> None:
    await choose_all(desk)
    await desk.press("1", "i", "x")
    await desk.until(lambda: desk.explorer.settings.prompt.context.startswith("x"))
    prompt = desk.explorer.settings.prompt
    assert (prompt.positions, prompt.chat, prompt.unit, prompt.bos) == ("keep", True, "token", "auto")


async def test_letters_of_choices_are_text_in_an_editor(desk: Desk) -> None:
    before = desk.explorer.settings.measure()
    await desk.press("1", "i", *KEYS)
    await desk.until(lambda: desk.explorer.settings.prompt.context.startswith("DRPT"))
    assert method_words(desk.explorer.settings.measure()) == method_words(before)


@pytest.mark.parametrize(
    ("dynamics", "first", "titles"),
    [
        ("grow", "∅", ["token", "net"]),
        ("shrink", "nothing", ["removed", "net"]),
        ("drop", "nothing", ["without", "amplify"]),
    ],
)
async def test_titles_and_unit_0_are_those_of_the_dynamics(
    dynamics: str, first: str, titles: list[str]
) -> None:
    async with open_desk(session_under(dynamics)) as desk:
        await desk.settle()
        await desk.press("g")
        await desk.drawn()
        lines = desk.text().splitlines()
        head = next(line for line in lines if "‖δ‖" in line and "#" in line)
        row = next(line for line in lines if "❯  0" in line)
        assert all(title in head.split() for title in titles)
        assert ("net" in head.split()) is (dynamics != "drop")
        assert f"0 {first} " in row
        await desk.press("6")
        await desk.drawn()
        assert f"unit 0 {first}" in desk.text()


async def test_the_border_says_the_formula_of_the_numbers_that_are_shown() -> None:
    async with open_desk(session_under("drop"), size=(140, 40)) as desk:
        await desk.settle()
        await desk.press("6")
        await desk.drawn()
        assert "‖A − A_without‖ · each token left out alone, in one pass" in desk.text()
        await desk.press("D")
        await desk.drawn()
        assert "‖A − A_without‖" in desk.text(), "the numbers are still those of drop"
        await desk.press("D", "D", "m", "m", "m")
        await desk.drawn()
        assert "undefined" in desk.text()


async def test_the_selected_cell_names_its_matrices(desk: Desk) -> None:
    await desk.press("6")
    await desk.drawn()
    assert "‖ΔW‖ of gate 0." in desk.text()
    assert "up 0." in desk.text()


def session_under(dynamics: str) -> Session:
    """The example, asked for under another dynamics and not measured yet."""
    return msgspec.structs.replace(samples.session(is_measured=False), dynamics=dynamics)


def chosen_session() -> Session:
    """The example, measured with every choice unlike its default."""
    prompt = msgspec.structs.replace(samples.PROMPT, positions="keep", chat=True)
    measurement = msgspec.structs.replace(samples.MEASUREMENT, dynamics="drop", reference="local")
    session = msgspec.structs.replace(samples.session(), prompt=prompt, measurement=measurement)
    return msgspec.structs.replace(session, dynamics="drop", reference="local")


async def test_a_session_brings_its_choices_and_takes_them_back(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_session(path, chosen_session())
    async with open_desk(read_session(path), path) as desk:
        await desk.until(lambda: desk.client.requests)
        await desk.drawn()
        settings = desk.explorer.settings
        assert (settings.dynamics, settings.reference) == ("drop", "local")
        assert (settings.prompt.positions, settings.prompt.chat) == ("keep", True)
        assert "left out alone, hidden from attention" in desk.text()
        assert desk.explorer.session("capital-conflict") == chosen_session()
        await choose_all(desk)
        changed = desk.explorer.session("a")
        assert (changed.dynamics, changed.reference) == ("grow", "free")
        assert (changed.prompt.positions, changed.prompt.chat) == ("reset", False)
        assert changed.measurement is None, "these numbers answer another question"


async def test_numbers_saved_beside_other_choices_are_older() -> None:
    saved = msgspec.structs.replace(chosen_session(), dynamics="grow")
    async with open_desk(saved) as desk:
        await desk.until(lambda: desk.client.requests)
        note = numbers_note(desk.explorer.results, desk.explorer.settings)
        assert (
            note
            == "^r runs: each token added in turn, hidden from attention, positions kept, in the chat template"
        )


def test_a_prediction_that_comes_twice_is_kept_once() -> None:
    results, request = Results(samples.MODEL), RunSettings(prompt=samples.PROMPT).measure()
    chunk = samples.chunk(0, samples.N_UNITS)
    early = [msgspec.structs.replace(prediction, kl_to_full=None) for prediction in chunk.predictions]
    events: list[PromptTokenized | UnitsMeasured | MeasureEnded] = [samples.TOKENIZED]
    events += [UnitsMeasured(rows=chunk.rows, predictions=tuple(early[:9]))]
    events += [UnitsMeasured(rows=(), predictions=tuple(early[9:]))]
    events += [UnitsMeasured(rows=(), predictions=chunk.predictions[:-1]), samples.MEASURED]
    for event in events:
        results.take(request, event)
    assert isinstance(results.measurement, Measurement)
    assert results.measurement.predictions == (*chunk.predictions[:-1], early[-1])
    assert results.measurement.rows == samples.MEASUREMENT.rows


async def test_a_divergence_that_is_not_known_yet_is_a_dot_and_then_a_number() -> None:
    async with open_desk(samples.session(is_measured=False), size=(200, 40)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        chunk = samples.chunk(0, 8)
        early = tuple(msgspec.structs.replace(one, kl_to_full=None) for one in chunk.predictions)
        desk.client.send(2, samples.TOKENIZED, UnitsMeasured(rows=chunk.rows, predictions=early))
        await desk.drawn()

        def divergence() -> str:
            return (
                next(line for line in desk.text().splitlines() if "❯  8" in line).split("│")[-2].split()[-2]
            )

        assert divergence() == "·"
        desk.client.send(2, UnitsMeasured(rows=(), predictions=chunk.predictions))
        await desk.drawn()
        assert divergence() == "1.70"
        assert desk.explorer.results.measured.n_measured == 9


@pytest.mark.parametrize(
    ("dynamics", "words"), [("shrink", "taken away in turn"), ("drop", "left out alone")]
)
async def test_a_measure_without_next_tokens_says_so(dynamics: str, words: str) -> None:
    async with open_desk(session_under(dynamics)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        mute = UnitsMeasured(rows=samples.chunk(0, samples.N_UNITS).rows, predictions=())
        desk.client.send(2, samples.TOKENIZED, mute)
        await desk.drawn()
        assert "no next tokens" not in desk.text(), "they may still come"
        desk.client.finish(samples.MEASURED)
        await desk.drawn()
        assert f"layer 5 · each token {words}, in one pass · no next tokens" in desk.text()
        row = next(line for line in desk.text().splitlines() if "❯" in line)
        assert row.split("│")[-2].split()[-2:] == ["·", "·"]


async def test_a_choice_beside_a_stopped_run_is_told() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        desk.client.send(2, samples.TOKENIZED, samples.chunk(0, 8))
        await desk.press("escape")
        desk.client.give_way()
        await desk.drawn()
        assert "stopped at 8/19, ^r runs ─ layer 5 · each token added" in desk.text()
        await desk.press("D")
        await desk.drawn()
        assert "stopped at 8/19, ^r runs: each token taken away in turn ─ layer 5 ·" in desk.text()


async def test_numbers_of_another_model_say_what_a_run_would_measure() -> None:
    saved = samples.session()
    assert saved.model is not None
    other = msgspec.structs.replace(saved.model, name="gpt2", fingerprint="1" * 16)
    async with open_desk(msgspec.structs.replace(saved, model=other)) as desk:
        await desk.until(lambda: desk.client.job == 1)
        desk.client.finish(samples.LOADED)
        await desk.drawn()
        results, explorer = desk.explorer.results, desk.explorer
        assert numbers_note(results, explorer.settings) == "measured on gpt2, ^r measures on demo"
        await desk.press("D")
        told = "measured on gpt2, ^r measures on demo: each token taken away in turn"
        assert numbers_note(results, explorer.settings) == told


async def test_a_prompt_that_cannot_be_counted_says_why(desk: Desk) -> None:
    await desk.press("T")
    assert isinstance(desk.client.request, CountTokens)
    desk.client.finish(JobFailed(kind="BadInput", message="no chat template [/b]"))
    await desk.drawn()
    assert "─ no chat template [/b] ─" in desk.text()
    assert "not counted" in desk.text()
    assert "… tok" not in desk.text(), "nothing is on its way"
    await desk.press("T")
    await desk.drawn()
    assert "19 tok" in desk.text()
    assert "no chat template" not in desk.text()


async def test_the_border_says_what_rounding_makes_of_delta_at_the_shown_layer(desk: Desk) -> None:
    assert "rounds by" not in desk.text()
    last = desk.explorer.results.measured.last_unit
    rows = [msgspec.structs.replace(samples.row(last, n), delta_noise=0.01 * (n + 1)) for n in (4, 5)]
    desk.explorer.results.measured.add(rows, ())
    desk.screen.shown_layer = 4
    await desk.until(lambda: "layer 4 · ‖δ‖ rounds by 0.05 · each token added in turn" in desk.text())
    desk.screen.shown_layer = 5
    await desk.until(lambda: "layer 5 · ‖δ‖ rounds by 0.06 · each token added in turn" in desk.text())


@pytest.mark.parametrize(
    ("recipe", "begins"),
    [
        (Recipe(), COMPILED),
        (Recipe(mode="frozen", components="shift", alpha=0.5), COMPILED),
        (
            Recipe(mode="compiled", queries=("a", "b")),
            msgspec.structs.replace(COMPILED, queries=("a", "b")),
        ),
    ],
)
def test_a_compilation_begins_where_that_of_the_command_line_does(recipe: Recipe, begins: Recipe) -> None:
    request = RunSettings(recipe=recipe).compile()
    assert request.recipe == begins
    assert request.pinned == ()


def test_a_rank_that_is_given_is_kept_and_not_chosen() -> None:
    request = RunSettings(recipe=Recipe(mode="compiled", rank=3)).compile()
    assert (request.recipe.rank, request.pinned) == (3, ("rank",))
