"""Deliberation on the embedded model against runs by themselves, and its summary on rows made by hand."""

import dataclasses

import msgspec
import pytest
import torch

from icltui.engine.measure.forward_pass import forward_states
from icltui.engine.prompts.tokenize import tokenize
from icltui.engine.trial.prompt import trial_prompt
from icltui.engine.trial.trial import trial
from icltui.report.experiment_summary import summary_text
from icltui.studies import deliberation
from icltui.studies.deliberation import CHAIN, PAIRS, DeliberationRow, sequences
from icltui.studies.deliberation_summary import middle, summarise_deliberation
from icltui.studies.study import StudySettings, load_study
from icltui.tasks.opinions import disputes
from icltui.values.prompt import Prompt

N = 3


def run(engine, n=N):
    study = load_study("deliberation", StudySettings(n=n))
    items = study.items(engine, engine.info)
    return study, [row for rows in study.run(engine, engine.info, items) for row in rows]


@pytest.fixture(scope="module")
def found(engine):
    return run(engine)


def test_answers_are_those_of_trials(engine, found):
    _, rows = found
    for number, one in enumerate(disputes("embedded", N)):
        ours = {row.sequence: row for row in rows if row.number == number and not row.pair}
        for name, parts in {
            "": "",
            "A1 B1": one.first_lines[0] + one.second_lines[0],
            "B1 A1 A2": one.second_lines[0] + "".join(one.first_lines[:2]),
            "A1 U": one.first_lines[0] + one.unrelated,
        }.items():
            made = [
                trial_prompt(engine.loaded, Prompt(context=parts, query=one.query), answer)
                for answer in (one.first, one.second)
            ]
            wanted = [result.context.answer_log_p for result in trial(engine.loaded, made)]
            assert (ours[name].log_p_first, ours[name].log_p_second) == pytest.approx(wanted, abs=1e-4)


def test_norms_are_of_runs_by_themselves(engine, found):
    one, loaded = disputes("embedded", 1)[0], engine.loaded

    def z(context):
        ids, _ = tokenize(loaded, Prompt(context=context, query=one.query))
        with torch.inference_mode():
            return forward_states(loaded.model, loaded.sites, ids.full, 1)[1].z[:, 0]

    a, b, u = one.first_lines[0], one.second_lines[0], one.unrelated
    for name, other in (("opposed", b), ("unrelated", u)):
        row = next(row for row in found[1] if row.number == 0 and row.pair == name)
        for norms, context in ((row.norm_first, a), (row.norm_second, other), (row.norm_both, a + other)):
            assert norms == pytest.approx((z(context) - z("")).norm(dim=-1).tolist(), rel=1e-3)
        wanted = (z(a + other) - z(other + a)).norm(dim=-1) / (z(a + other) - z("")).norm(dim=-1)
        assert row.order == pytest.approx(wanted.tolist(), rel=1e-3)


def test_every_dispute_has_its_contexts_and_pairs(found):
    _, rows = found
    assert len(rows) == N * (1 + len(sequences()) + len(PAIRS))
    assert len({(row.key, row.part) for row in rows}) == len(rows)
    assert {row.error for row in rows} == {None}
    for row in rows:
        assert (len(row.interaction) == len(row.noise) == 6) == bool(row.pair)
        assert bool(row.step) == (
            not row.pair and row.sequence in {" ".join(CHAIN[: k + 1]) for k in range(len(CHAIN))}
        )
        if row.pair:
            assert max(row.noise) < 0.01 < min(row.interaction)
            assert all(rest <= 1 + 1e-9 for rest in row.remainder)
    # Opposed statements are not alike in either order; of one statement said twice no order can be told.
    orders = {row.pair: middle(msgspec.structs.asdict(row), "order") for row in rows if row.pair}
    assert orders["agreeing"] == 0 < orders["opposed"] < 2


def test_a_shuffled_line_has_the_tokens_of_the_other_opinion(engine):
    (item,) = (item for _, item in load_study("deliberation", StudySettings(n=1)).items(engine, engine.info))
    _, parts = deliberation._parts(engine.loaded, item)
    assert sorted(parts["S"]) == sorted(parts["B1"])
    assert parts["S"] != parts["B1"]
    assert deliberation._parts(engine.loaded, item)[1] == parts


def test_a_dispute_that_fails_is_a_row_with_its_error(engine, monkeypatch):
    one, other = disputes("embedded", 2)
    spoilt = dataclasses.replace(one, first_lines=(one.first_lines[0] * 400,) * 3)
    monkeypatch.setattr(deliberation, "disputes", lambda *_: [spoilt, other])
    study, rows = run(engine, 2)
    assert "positions" in rows[0].error
    assert rows[1].error is None
    summary = study.summarise([msgspec.structs.asdict(row) for row in rows])
    assert (summary.n_failed, summary.n_rows) == (1, len(rows))


def test_the_summary_reads_in_text(found):
    study, rows = found
    summary = study.summarise([msgspec.structs.asdict(row) for row in rows])
    assert [table.rows[0][1] for table in summary.tables[::2]] == [N, N]
    assert len(summary.answer) == 5
    assert {figure.name for figure in summary.figures} == {"interaction-1", "order-1"}
    assert summary_text(summary, 100).count("opposed") > 1


def by_hand(number, sequence, log_odds, **more):
    return msgspec.structs.asdict(
        DeliberationRow(
            key=str(number),
            model="m",
            number=number,
            sequence=sequence,
            log_p_first=log_odds - 2,
            log_p_second=-2.0,
            **more,
        )
    )


def pair(number, name, interaction, order):
    """Of two layers, of which the first has no numbers."""
    ratios = {"interaction": (None, interaction), "order": (None, order)}
    nulls = {"null_interaction": (None, 1.7), "null_order": (None, 1.4)}
    weights = {"weight_first": (0.0, 0.5), "weight_second": (0.0, 0.25), "remainder": (None, 0.1)}
    row = DeliberationRow(
        key=str(number),
        model="m",
        layers=(1, 3),
        number=number,
        pair=name,
        **ratios,
        **nulls,
        **weights,
        noise=(None, 1e-6),
    )
    return msgspec.structs.asdict(row)


def test_the_summary_counts_what_the_rows_say():
    """Four disputes: the last option wins three of four times in AB, always in BA; two voices win half the time."""
    rows = []
    for number in range(4):
        odds = {"": 0.5, "A1": 3.5, "B1": -2.5, "A1 B1": 1.0 if number == 0 else -1.0 - number, "B1 A1": 1.0}
        odds |= {"A1 A2 B1": 1.0 if number < 2 else -1.0, "A1 B1 A2": 2.0, "B1 A1 A2": 2.0}
        odds |= {" ".join(CHAIN[:k]): 0.0 for k in (4, 5, 6)}
        steps = {" ".join(CHAIN[:k]): (None, 2.0 / k) for k in range(1, 7)}
        rows += [by_hand(number, name, value, step=steps.get(name, ())) for name, value in odds.items()]
        rows += [pair(number, name, 0.9 + 0.01 * number, 0.1 + 0.1 * number) for name in PAIRS]
    answer, (pairs, steps, winners, related), figures = summarise_deliberation(rows, 0)
    opposed = dict(zip(pairs.columns, pairs.rows[0], strict=True))
    assert (opposed["interaction"], opposed["remainder"], opposed["noise"]) == pytest.approx(
        (0.915, 0.1, 1e-6)
    )
    assert pairs.rows[0][6] == pytest.approx(0.25)
    assert [row[2] for row in steps.rows] == pytest.approx([1 / k for k in range(1, 7)])
    assert steps.rows[0][5] == pytest.approx(3.0)
    shares = {row[0]: row[2] for row in winners.rows}
    assert (shares["A1 A2 B1"], shares["A1 B1"], shares["none"]) == (0.5, 0.25, 1.0)
    assert "the last one wins in a share of 0.875" in answer[2]
    # Swapping moves the answer by 0, 3, 4, 5 nats where the order ratio is 0.1, 0.2, 0.3, 0.4.
    assert related.rows[0][3] == pytest.approx(1.0)
    assert figures[0].series[0].x == (1.0, 3.0)
    assert figures[0].series[0].y == (None, pytest.approx(0.915))
