"""A lane reads as running text, says which parts of the patch act, and claims nothing that it cannot know."""

import pytest

from icltui.tui.widgets.lanes import LanePane, candidate_lines, lane_text, patch_test_lines
from icltui.values import Candidate, LaneStep, Token
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


def test_spaces_within_a_lane_stay_spaces() -> None:
    steps = steps_of(" The", " capital", " of", " Thailand", " is", " Bangkok")
    for first_difference in (None, 0, 3, 5):
        assert lane_text(steps, first_difference).plain == "·The capital of Thailand is Bangkok"


@pytest.mark.parametrize(
    ("pieces", "first", "marked"),
    [
        ((" a", " b", " c"), 1, " b"),
        ((" a", " b", " c"), 0, "·a"),
        (("\x9b", "x\n", "y"), 1, "x⏎"),
        (("\u0301", "x"), 1, "x"),
    ],
)
def test_the_first_difference_is_underlined_and_nothing_else(
    pieces: tuple[str, ...], first: int, marked: str
) -> None:
    text = lane_text(steps_of(*pieces), first)
    assert [text.plain[span.start : span.end] for span in text.spans] == [marked]


def test_a_token_without_text_is_seen() -> None:
    lines = candidate_lines((Candidate(token=Token(id=3, text=""), probability=0.5),), 24).plain
    assert lines.splitlines()[1].startswith("␣")


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_title_names_the_parts_that_act(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press("9", "d")
        for title in ("ΔW+Δb · per-step", "ΔW alone · per-step", "Δb alone · per-step"):
            await desk.drawn()
            assert f"─ {title} ─" in desk.text()
            await desk.press("c")


def test_a_test_of_the_patch_is_read_without_its_colour() -> None:
    assert patch_test_lines(samples.PATCH.tests, 24).plain.splitlines() == [
        "patch on   KL (without)",
        "fitted  2e-10 (1.50)",
        "later   0.740 (0.290)",
    ]
    assert patch_test_lines(samples.PATCH.tests, 40).plain.splitlines()[1:] == [
        "fitted 9/9     2e-10 (1.50)",
        "later  7/8     0.740 (0.290)",
    ]


async def test_an_empty_lane_and_table_do_not_ask_for_a_run_that_is_on() -> None:
    async with open_desk(samples.session(is_measured=False)) as desk:
        await desk.until(lambda: desk.client.requests)
        desk.client.finish(samples.LOADED)
        await desk.press("ctrl+r")
        await desk.drawn()
        assert "no text yet" in desk.text()
        assert "no numbers yet: a run fills them" in desk.text()
        assert "^r runs" not in "".join(str(pane._text(30)) for pane in desk.screen.query(LanePane))


async def test_the_proof_that_is_not_there_wraps_by_itself(desk: Desk) -> None:
    desk.screen.view.action_show_pane("verify")
    await desk.drawn()
    rows = [row[40:].strip("┃│ ") for row in desk.text().splitlines()]
    first = next(at for at, row in enumerate(rows) if row.startswith("It runs the patched model"))
    assert all(len(row) > 55 for row in rows[first : first + 2])
