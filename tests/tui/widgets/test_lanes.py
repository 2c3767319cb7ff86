"""A lane reads as running text, says which parts of the patch act, and claims nothing that it cannot know."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as with_changes
from rich.style import Style

from icltui.api.messages import Generate, GenerationEnded, Measure
from icltui.tui.draw.colormap import Ramp
from icltui.tui.draw.lane_lines import LaneLines, LaneStyles, share_rows
from icltui.tui.state.patch_sentence import words_of_tests
from icltui.tui.widgets.lanes import LanePane
from icltui.values import LANES, Candidate, LaneStep, Token
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


def steps_of(*pieces: str) -> tuple[LaneStep, ...]:
    """A lane of these tokens."""
    return tuple(
        LaneStep(
            lane="plain",
            index=at,
            token=Token(id=at, text=piece),
            text="".join(pieces[: at + 1]),
            top=(),
            kl_to_context=None,
        )
        for at, piece in enumerate(pieces)
    )


def lines_of(
    steps: tuple[LaneStep, ...], first: tuple[LaneStep, ...] | None = None, **changes: Any
) -> LaneLines:
    """A lane on 40 cells and 11 lines."""
    plain = Style()
    looks = LaneStyles(plain, plain, plain, plain, Style(reverse=True), Style(bold=True))
    given = {
        "hint": "no text yet",
        "n_forced": 0,
        "at": 0,
        "chosen": 0,
        "has_focus": False,
        "shade": "KL",
        "width": 40,
        "rows": share_rows(11),
        "ramp": Ramp((plain,), (plain,), needs_glyphs=False),
    }
    return LaneLines(steps=steps, first=first, styles=looks, **given | changes)


def written(lines: LaneLines) -> str:
    """The text of a lane."""
    rows = [[segment.text for segment in lines.text_line(row)] for row in range(lines.n_lines)]
    return "\n".join("".join(row) for row in rows)


def test_spaces_within_a_lane_stay_spaces() -> None:
    steps = steps_of(" The", " capital", " of", " Thailand", " is", " Bangkok")
    assert written(lines_of(steps)) == "·The capital of Thailand is Bangkok"


@pytest.mark.parametrize(
    ("pieces", "others", "marked"),
    [
        ((" a", " b", " c", " d"), (" a", " x", " c", " y"), [" b", " d"]),
        ((" a", " b"), (" a",), [" b"]),
        (("\x9b", "x\n", "y"), ("\x9b", "z", "y"), ["x⏎"]),
        ((" a", " b"), (" a", " b"), []),
    ],
)
def test_every_difference_is_underlined_and_nothing_else(
    pieces: tuple[str, ...], others: tuple[str, ...], marked: list[str]
) -> None:
    lines = lines_of(steps_of(*pieces), tuple(map(numbered_by_text, steps_of(*others))))
    lines = replace(lines, steps=tuple(map(numbered_by_text, lines.steps)))
    segments = [segment for row in range(lines.n_lines) for segment in lines.text_line(row)]
    assert [text for text, style, _ in segments if style and style.underline] == marked


def numbered_by_text(step: LaneStep) -> LaneStep:
    """The step with an id of its token's text."""
    return with_changes(step, token=Token(id=sum(map(ord, step.token.text)), text=step.token.text))


def test_shades_follow_the_lanes_own_text_once_the_texts_have_parted() -> None:
    kls = [(0.0, 0.0), (2.0, 2.0), (None, 0.5), (None, 1e-3)]
    steps = tuple(
        with_changes(step, kl_to_context=early, kl_on_own_text=along, drawn_probability=p)
        for step, (early, along), p in zip(
            steps_of(" a", " b", " c", " d"), kls, (0.95, 0.45, 0.09, 1.0), strict=True
        )
    )
    by_kl = lines_of(steps, first=steps)
    assert [by_kl.fraction(at) and round(by_kl.fraction(at), 3) for at in range(4)] == [
        None,
        0.767,
        0.566,
        None,
    ]
    by_p = replace(by_kl, shade="p")
    assert [by_p.fraction(at) and round(by_p.fraction(at), 3) for at in range(4)] == [None, 0.5, 0.9, None]
    of_first = lines_of(steps)
    assert [of_first.fraction(at) for at in range(4)] == [None] * 4, (
        "the first lane is what it is compared with"
    )


def test_without_colours_characters_of_rising_ink_are_under_the_text() -> None:
    steps = tuple(
        with_changes(step, kl_on_own_text=kl)
        for step, kl in zip(steps_of(" a", " b", " c"), (0.0, 0.02, 9.0), strict=True)
    )
    assert written(
        lines_of(steps, steps, ramp=Ramp((Style(),), (Style(),), needs_glyphs=True))
    ).splitlines() == ["·a b c", "  ··@@"]


@pytest.mark.parametrize(
    ("pieces", "words"), [((" a", "<eos>"), "·a\nended: <eos>"), (("<eos>",), "ended at once: <eos>")]
)
def test_an_end_by_itself_is_said_and_an_empty_text_says_why(pieces: tuple[str, ...], words: str) -> None:
    *steps, last = steps_of(*pieces)
    last = with_changes(last, is_end=True, text="".join(pieces[:-1]))
    assert written(lines_of((*steps, last))) == words


def test_the_read_out_and_the_alternatives_keep_their_lines() -> None:
    top = tuple(
        Candidate(token=Token(id=at, text=text), probability=p)
        for at, (text, p) in enumerate([("", 0.5), (" Paris", 0.25), (" Rome", 3.2e-5), (" Oslo", 0.0)])
    )
    step = with_changes(steps_of("")[0], top=top, rank=1, kl_on_own_text=0.25, drawn_probability=0.5)
    first = numbered_by_text(steps_of(" Rome")[0])
    lines = lines_of((step,), (first,), has_focus=True, chosen=1)
    rows = ["".join(segment.text for segment in lines.fixed_line(row)) for row in range(7)]
    assert rows == [
        "1/1 ␣ ≠ ·Rome",
        "p .500 KL 0.250 rank 1",
        "• ␣                .500 ████████",
        "❯ ·Paris           .250 ████",
        "  ·Rome           3e-05 ",
        "  ·Oslo               0 ",
        "",
    ]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_title_names_the_parts_that_act(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("9", "d")
        for title in ("ΔW+Δb · per-step", "ΔW alone · per-step", "Δb alone · per-step"):
            await desk.drawn()
            assert f"─ {title} ─" in desk.text()
            await desk.press("c")


def test_the_tests_of_a_patch_are_words() -> None:
    assert words_of_tests(samples.PATCH.tests) == (
        "its own tokens 9/9 as with the context (6 without the patch), KL 1.7e-10 (1.5) "
        "· later text 7/8 (8), KL 0.74 (0.29)"
    )


async def speak(desk: Desk) -> None:
    """Three lanes, the focus on the second."""
    await desk.settle()
    await desk.press("d")
    desk.client.finish(*samples.generate(LANES))
    await desk.drawn()
    await desk.press("9", "tab")


async def test_the_cursor_is_one_for_all_lanes_and_branches_the_lane_that_has_the_focus() -> None:
    async with open_desk(samples.session()) as desk:
        await speak(desk)
        await desk.press("l", "l", "j")
        assert (desk.screen.lanes.token, desk.screen.lanes.choice) == (2, 1)
        await desk.press("enter")
        plain = samples.lane_steps("plain")
        asked = desk.client.requests[-1]
        assert isinstance(asked, Generate)
        assert asked.forced == {"plain": (*(s.token.id for s in plain[:2]), plain[2].top[1].token.id)}
        n_runs = len(desk.explorer.history.runs)
        made = with_changes(samples.generation(LANES), forced=asked.forced)
        desk.client.finish(GenerationEnded(generation=made))
        await desk.drawn()
        assert len(desk.explorer.history.runs) == n_runs + 1, "a branch is a run of its own"
        assert "Query only ↳3" in desk.text()
        prompt = desk.explorer.settings.prompt
        desk.explorer.edit(f"{prompt.context}x", prompt.query)
        assert desk.explorer.settings.generate().forced == {}
        desk.explorer.edit(prompt.context, prompt.query)
        assert desk.explorer.settings.generate().forced == made.forced, "an edit undone costs no branch"
        await desk.press("ctrl+r")
        await desk.until(lambda: isinstance(desk.explorer.jobs.request, Measure))
        assert desk.explorer.settings.generate().forced == {}, "a run begins freely"


async def test_a_token_that_the_lane_says_anyway_makes_no_branch() -> None:
    async with open_desk(samples.session()) as desk:
        await speak(desk)
        n = len(desk.client.requests)
        desk.explorer.branch("plain", tuple(s.token.id for s in samples.lane_steps("plain")[:3]))
        await desk.drawn()
        assert len(desk.client.requests) == n
        assert "goes on with that token already" in desk.toasts()[-1]


async def test_more_tokens_are_asked_for_and_what_is_said_stays_meanwhile() -> None:
    async with open_desk(samples.session()) as desk:
        await speak(desk)
        n, said = desk.explorer.settings.n_tokens, desk.explorer.results.texts.steps["plain"]
        await desk.press("+")
        asked = desk.client.requests[-1]
        assert isinstance(asked, Generate)
        assert asked.n_tokens == 2 * n
        desk.client.send(desk.client.job, *samples.generate(LANES)[:3])
        assert desk.explorer.results.texts.steps["plain"] == said


async def test_one_key_moves_the_shade_from_kl_to_p() -> None:
    async with open_desk(samples.session()) as desk:
        await speak(desk)
        assert "shade KL" in desk.text()
        await desk.press("s")
        await desk.drawn()
        assert "shade p" in desk.text()


async def test_an_empty_lane_and_table_do_not_ask_for_a_run_that_is_on() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.requests)
        desk.client.finish(samples.LOADED)
        await desk.press("ctrl+r")
        await desk.drawn()
        assert "no text yet" in desk.text()
        assert "no numbers yet: a run fills them" in desk.text()
        assert "^r runs" not in "".join(pane._hint for pane in desk.screen.query(LanePane))


async def test_the_proof_that_is_not_there_wraps_by_itself(desk: Desk) -> None:
    desk.screen.view.action_show_pane("verify")
    await desk.drawn()
    rows = [row[40:].strip("┃│ ") for row in desk.text().splitlines()]
    first = next(at for at, row in enumerate(rows) if row.startswith("It runs the patched model"))
    assert all(len(row) > 55 for row in rows[first : first + 2])
