"""Override on the embedded model against trials by themselves, and its summary on rows whose law is known."""

import math

import msgspec
import pytest

from icltui.engine.trial.prompt import trial_prompt
from icltui.engine.trial.trial import trial
from icltui.report.experiment_summary import summary_text
from icltui.studies.override import ALPHAS, COUNTS, HELD_COUNTS, SOURCE, OverrideRow
from icltui.studies.override_summary import groups, summarise_override
from icltui.studies.study import StudySettings, load_study
from icltui.tasks.contradictions import contradictions
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

N = 2


@pytest.fixture(scope="module")
def found(engine):
    study = load_study("override", StudySettings(n=N))
    items = study.items(engine, engine.info)
    return study, [row for rows in study.run(engine, engine.info, items) for row in rows]


def cells(rows, number):
    return {(row.grid, row.n, row.alpha): row for row in rows if row.number == number}


@pytest.mark.soak
def test_contexts_and_controls_are_trials_of_their_texts(engine, found):
    for number, fact in enumerate(contradictions(N)):
        ours = cells(found[1], number)
        for cell, context in {
            ("context", 1, 0.0): fact.statement,
            ("context", 8, 0.0): fact.statement * 8,
            ("mention", SOURCE, 0.0): fact.mention * SOURCE,
        }.items():
            made = [
                trial_prompt(engine.loaded, Prompt(context=context, query=fact.query), answer)
                for answer in (fact.own, fact.said)
            ]
            own, said = sorted(trial(engine.loaded, made), key=lambda one: one.index)
            wanted = (own.context.answer_log_p, said.context.answer_log_p)
            assert (ours[cell].log_p_own, ours[cell].log_p_said) == pytest.approx(wanted, abs=1e-4)
            assert ours[cell].says == said.context.answer_is_top
            margin = own.plain.answer_log_p - said.plain.answer_log_p
            assert ours[cell].margin == pytest.approx(margin, abs=1e-4)
            assert ours[cell].knows == own.plain.answer_is_top


def test_both_grids_meet_where_they_must(found):
    """A held patch at N = 0 is the trial's; at α = 0 it is the context; at α = 1 it is its context."""
    _, rows = found
    for number in range(N):
        ours = cells(rows, number)
        assert (
            len(ours)
            == sum(row.number == number for row in rows)
            == (1 + len(COUNTS) * (1 + len(ALPHAS)) + 3 + len(HELD_COUNTS) * (1 + len(ALPHAS)))
        )
        for name in ("log_p_own", "log_p_said"):
            for n in HELD_COUNTS:
                context = getattr(ours["context", n, 0.0], name)
                assert getattr(ours["held", n, 0.0], name) == pytest.approx(context, abs=1e-4)
            for alpha in ALPHAS[1:]:
                patch = getattr(ours["patch", SOURCE, alpha], name)
                assert getattr(ours["held", 0, alpha], name) == pytest.approx(patch, abs=1e-3)
            random = getattr(ours["held random", 0, 1.0], name)
            assert random != pytest.approx(getattr(ours["held", 0, 1.0], name), abs=0.1)
        assert ours["mention", SOURCE, 0.0].noise < 1e-3


def test_the_summary_reads_in_text(found):
    study, rows = found
    summary = study.summarise([msgspec.structs.asdict(row) for row in rows])
    assert (summary.n_failed, len(summary.answer), len(summary.tables)) == (0, 5, 5)
    assert "chessboard" in summary_text(summary, 100)


def by_hand(number, grid, n, alpha, margin, log_odds):
    row = OverrideRow(
        key=str(number),
        model="m",
        number=number,
        grid=grid,
        n=n,
        alpha=alpha,
        margin=margin,
        knows=number % 2 == 0,
        log_p_own=-2.0,
        log_p_said=log_odds - 2,
        says=log_odds > 0,
        noise=1e-6 if grid == "context" else None,
    )
    return msgspec.structs.asdict(row)


def test_the_summary_finds_the_law_that_the_rows_have():
    """log-odds = −m₀ + 2 ln(1 + N) + 3 α beside a held patch; patches of N statements have 2 α ln(1 + N)."""
    rows = []
    for number in range(12):
        margin = number - 1.75
        rows.append(by_hand(number, "context", 0, 0.0, margin, -margin))
        for n in COUNTS:
            rows.append(by_hand(number, "context", n, 0.0, margin, 2 * math.log1p(n) - margin))
            rows += [
                by_hand(number, "patch", n, alpha, margin, 2 * alpha * math.log1p(n) - margin)
                for alpha in ALPHAS[1:]
            ]
        rows += [by_hand(number, name, 1, 0.0, margin, 0.5) for name in ("mention", "shuffled")]
        rows += [
            by_hand(number, "held", n, alpha, margin, 2 * math.log1p(n) + 3 * alpha - margin)
            for n in HELD_COUNTS
            for alpha in ALPHAS
        ]
    rows.append(msgspec.structs.asdict(OverrideRow(key="x", model="m", error="too long")))
    answer, (success, margins, law, coefficients, failures), figures = summarise_override(rows, 0)
    one = dict(zip(success.columns[:3], success.rows[1][:3], strict=True))
    assert one == {"run": "context", "N": 1, "facts": 12}
    # 2 ln 2 = 1.39 is above the margins −1.75 to 1.25: 4 of 12, of which numbers 0 and 2 are known.
    assert success.rows[1][3] == pytest.approx(4 / 12)
    assert success.rows[1][6] == pytest.approx(2 / 6)
    assert success.rows[1][9:] == pytest.approx((-1, -1, -1))
    by_run = {(row[0], row[1]): row for row in success.rows}
    assert by_run["mention", 1][3] == 1.0
    assert by_run["mention", 1][9] == pytest.approx(0)
    assert [row[2] for row in margins.rows] == [6, 6]
    assert [row[3] for row in margins.rows] == pytest.approx([4 / 6, 0])
    fits = {row[:3]: row[4:] for row in law.rows}
    assert fits["held", "ln(1 + N)", "no"] == pytest.approx((1, 1, 1, 1))
    assert max(fits["held", "N", "no"]) < 0.97
    assert max(fits["patch", "ln(1 + N)", "no"]) < 0.95
    assert fits["patch", "ln(1 + N)", "yes"] == pytest.approx((1, 1, 1, 1))
    held = next(row for row in coefficients.rows if row[:2] == ("held", "ln(1 + N)"))
    assert held[2:] == pytest.approx((2, 2, 2, 3, 3, 3, 0, 0, 0), abs=1e-9)
    patch = next(row for row in coefficients.rows if row[:2] == ("patch", "ln(1 + N)"))
    assert patch[8:] == pytest.approx((2, 2, 2), abs=1e-9)
    assert [row[0] for row in failures.rows] == [*HELD_COUNTS]
    assert "best f is ln(1 + N)" in answer[2]
    assert figures[2].ticks == tuple(str(n) for n in HELD_COUNTS)


def test_groups_of_margins_share_all_facts():
    for n in range(1, 60):
        cuts = groups(n)
        assert [k for cut in cuts for k in range(n)[cut]] == [*range(n)]
        assert len(cuts) == 1 or min(len(range(n)[cut]) for cut in cuts) >= 5


def test_more_facts_than_are_known_are_refused(engine):
    with pytest.raises(BadInput, match="5000 facts are asked for and 90 are known: ask for fewer"):
        load_study("override", StudySettings(n=5000)).items(engine, engine.info)


def test_one_group_of_facts_tells_nothing_of_margins(found):
    rows = [msgspec.structs.asdict(row) for row in found[1]]
    sentences = " ".join(summarise_override(rows, 0)[0])
    assert "are one group: nothing is said" in sentences
    assert "held least" not in sentences
