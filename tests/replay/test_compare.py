"""Replay's comparison: a record is the same as itself; what changes by more than rounding is found, with its place."""

import json
import re
from collections.abc import Iterator
from dataclasses import astuple
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from icltui.replay.compare import compare
from icltui.replay.setup_changes import model_changes, prompt_change
from icltui.replay.tolerance import DTYPE_TOLERANCES, Tolerances, coarser_dtype
from icltui.report.replay import replay_json, replay_text
from icltui.values import (
    Candidate,
    ErrorLimits,
    Generation,
    LayerFit,
    LogitError,
    Measurement,
    PatchReport,
    PromptIds,
    Record,
    Replay,
    Row,
    Section,
    SectionReplay,
    Token,
    Verification,
)
from tests.compilations import COMPILATION
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_MODEL, A_VERIFICATION, HOSTILE, PARIS, ROME, of

THIRD = Token(id=11, text=" Cairo")
RECORDS: dict[Section, Record] = {
    "measurement": A_MEASUREMENT,
    "generation": A_GENERATION,
    "verification": A_VERIFICATION,
}
UNJUDGED = ("seconds", "note", "notes", "verdict", "caveat", "path", "tolerance", "allowed")

with_ = msgspec.structs.replace


def replayed(saved: Record, again: Record, dtype: str = "float32") -> SectionReplay:
    section: Section = {Measurement: "measurement", Generation: "generation"}.get(type(saved), "verification")
    return compare(section, saved, again, dtype)


def changes(replay: SectionReplay) -> list[tuple[str, str]]:
    return [(difference.kind, difference.at) for difference in replay.differences]


def beyond(replay: SectionReplay) -> list[str]:
    return [field.at for field in replay.fields if field.n_beyond]


def leaves(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Every number, text and truth of a record as plain values, with its place."""
    items: Any = ()
    if isinstance(value, dict):
        items = ((f"{at}.{key}", item) for key, item in value.items() if key not in UNJUDGED)
    elif isinstance(value, list | tuple):
        items = ((f"{at}[{index}]", item) for index, item in enumerate(value))
    elif value is not None:
        yield at, value
    for place, item in items:
        yield from leaves(item, place)


def put(value: Any, at: str, wanted: str, new: Any) -> Any:
    """The plain value with ``new`` at the place ``wanted``."""
    if at == wanted:
        return new
    if not wanted.startswith(at):
        return value
    if isinstance(value, dict):
        return {key: put(item, f"{at}.{key}", wanted, new) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [put(item, f"{at}[{index}]", wanted, new) for index, item in enumerate(value)]
    return value


def changed(section: Section, at: str, new: Any) -> Any:
    record = RECORDS[section]
    return msgspec.convert(put(msgspec.to_builtins(record), section, at, new), type(record))


PLACES = [
    (section, at, value)
    for section, record in RECORDS.items()
    for at, value in leaves(msgspec.to_builtins(record), section)
]
NUMBERS = [place for place in PLACES if isinstance(place[2], float)]
OTHERS = [place for place in PLACES if not isinstance(place[2], float) and place[2] != ""]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(of(Measurement) | of(Generation) | of(Verification), st.sampled_from([*DTYPE_TOLERANCES]))
def test_any_record_is_the_same_as_itself(record: Record, dtype: str) -> None:
    found = replayed(record, record, dtype)
    assert found.same
    assert found.differences == ()
    assert all((field.largest, field.at) == (0, "") for field in found.fields)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(NUMBERS), st.floats(0.05, 1e6), st.booleans())
def test_a_number_that_changes_is_found_where_it_is(place: tuple, amount: float, is_less: bool) -> None:
    section, at, value = place
    step = amount * (1 + abs(value) + 8)  # 8: the largest scale of all fields
    found = replayed(RECORDS[section], changed(section, at, value - step if is_less else value + step))
    assert not found.same
    assert beyond(found) == [at]
    (field,) = (field for field in found.fields if field.n_beyond)
    assert field.n_beyond == 1
    assert field.largest == pytest.approx(step)
    assert field.saved == value
    assert found.differences == ()


def test_rounding_passes_and_is_told() -> None:
    for section, at, value in NUMBERS:
        found = replayed(RECORDS[section], changed(section, at, value * (1 + 1e-5)))
        assert found.same, at
        assert [field.at for field in found.fields if field.largest] == ([at] if value else []), at


TOKEN_PART = re.compile(r"(?<=\.token)\.(id|text)$|(?<=(prefix|ontext|.query)\[\d\])\.(id|text)$")
"""A token differs as one thing."""


def another(value: Any) -> Any:
    return (not value) if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}?"


def test_whatever_is_no_number_and_changes_is_found() -> None:
    n_changed = 0
    for section, at, value in OTHERS:
        try:
            again = changed(section, at, another(value))
        except msgspec.ValidationError:  # one of few words
            continue
        found = replayed(RECORDS[section], again)
        token = TOKEN_PART.sub("", at)
        is_last = at.startswith("measurement.predictions") and ".top[1]" in at
        assert changes(found) == [("tie" if is_last else "changed", token)], at
        assert found.same == is_last
        n_changed += 1
    assert n_changed > 60


def test_every_number_and_every_other_thing_is_counted() -> None:
    for section, record in RECORDS.items():
        found = replayed(record, record)
        assert found.n_numbers == sum(at.startswith(section) for _, at, _ in NUMBERS)
        assert found.n_others > 0


def test_the_numerical_rank_of_a_fit_is_told_and_that_of_a_proof_must_be_the_same() -> None:
    fit = LayerFit(
        layer=0, error=0.1, condition=9.0, rank=94, shift_error=None, shift_condition=None, shift_rank=None
    )
    report = PatchReport(n_tokens=99, rank=99, alpha=1.0, layers=(fit,))
    other = with_(report, layers=(with_(fit, rank=105),))
    found = replayed(with_(A_GENERATION, patch=report), with_(A_GENERATION, patch=other))
    assert changes(found) == [("words", "generation.patch.layers[0].rank")]
    proof = with_(
        A_VERIFICATION, layers=(with_(A_VERIFICATION.layers[0], rank=2), *A_VERIFICATION.layers[1:])
    )
    assert changes(replayed(A_VERIFICATION, proof)) == [("changed", "verification.layers[0].rank")]


def test_seconds_are_left_out_and_words_are_told() -> None:
    again = with_(A_MEASUREMENT, seconds=9.0, path="loop")
    found = replayed(A_MEASUREMENT, again)
    assert found.same
    assert changes(found) == [("words", "measurement.path")]
    found = replayed(A_VERIFICATION, with_(A_VERIFICATION, note="other words", tolerance=0.05))
    assert found.same
    assert changes(found) == [("words", "verification.tolerance"), ("words", "verification.note")]


def test_what_a_proof_was_held_to_is_words_and_its_shares_are_numbers() -> None:
    held = with_(A_VERIFICATION, logit_scale=20.0, patched_share=4e-7, noise_share=1e-6, allowed=1e-4)
    again = with_(held, allowed=5e-2, caveat="to within 5e-02 only", patched_share=9e-5)
    found = replayed(held, again)
    assert found.same
    assert changes(found) == [("words", "verification.allowed"), ("words", "verification.caveat")]
    assert beyond(replayed(held, with_(held, patched_share=0.1))) == ["verification.patched_share"]
    assert replayed(A_VERIFICATION, held).same, "an older record has none of it"


def test_a_layer_s_floor_may_differ_by_rounding_and_its_allowance_is_words() -> None:
    def with_floor(floor: float, allowed: float, effect: float = 0.5) -> Verification:
        limits = {"block": ErrorLimits(floor=floor, allowed=allowed, effect=effect)}
        return with_(A_VERIFICATION, layers=tuple(with_(c, limits=limits) for c in A_VERIFICATION.layers))

    held = with_floor(0.0, 2e-6)
    found = replayed(held, with_floor(3e-6, 6e-6, 0.5001))
    assert found.same
    assert {kind for kind, _ in changes(found)} == {"words"}
    assert beyond(replayed(held, with_floor(1e-2, 2e-6))) == ["verification.layers[0].limits.block.floor"]
    assert beyond(replayed(held, with_floor(0.0, 2e-6, 0.6))) == [
        "verification.layers[0].limits.block.effect"
    ]
    assert replayed(A_VERIFICATION, held).same, "an older record has none of it"


# What is there in one of both only.


def predicting(top: tuple[tuple[Token, float], ...], kl: float | None = 2.5) -> Measurement:
    candidates = tuple(Candidate(token=token, probability=p) for token, p in top)
    prediction = with_(A_MEASUREMENT.predictions[0], top=candidates, kl_to_full=kl)
    return with_(A_MEASUREMENT, predictions=(prediction, *A_MEASUREMENT.predictions[1:]))


def test_a_number_that_comes_or_goes_has_changed() -> None:
    there, gone = predicting(((ROME, 0.9),)), predicting(((ROME, 0.9),), None)
    for saved, again in ((there, gone), (gone, there)):
        found = replayed(saved, again)
        assert changes(found) == [("changed", "measurement.predictions[0].kl_to_full")]
        assert not found.same
    assert replayed(there, gone).differences[0].saved == "2.5"
    assert replayed(there, gone).differences[0].recomputed == "none"


def without(rows: tuple[Row, ...], name: str, units: tuple[int, ...]) -> tuple[Row, ...]:
    empty: Any = {} if name == "matrix_norms" else None
    return tuple(with_(row, **{name: empty}) if row.unit in units else row for row in rows)


@pytest.mark.parametrize("name", ["amplification", "matrix_norms"])
def test_what_a_record_lacks_everywhere_is_new_and_what_it_lacks_somewhere_has_changed(name: str) -> None:
    older, torn = (
        with_(A_MEASUREMENT, rows=without(A_MEASUREMENT.rows, name, units)) for units in ((0, 1, 2), (1,))
    )
    new = replayed(older, A_MEASUREMENT)
    assert new.same
    assert changes(new) == [("new", f"measurement.rows[{k}].{name}") for k in range(2, 6)]
    assert not replayed(torn, A_MEASUREMENT).same
    assert not replayed(A_MEASUREMENT, torn).same
    assert not replayed(A_MEASUREMENT, older).same


def test_a_report_that_was_not_made_then_is_new() -> None:
    report = PatchReport(n_tokens=1, rank=1, alpha=1.0)
    found = replayed(A_GENERATION, with_(A_GENERATION, patch=report))
    assert found.same
    assert changes(found) == [("new", "generation.patch")]
    assert not replayed(with_(A_GENERATION, patch=report), A_GENERATION).same


def test_a_name_that_a_table_lacks_is_new_and_one_that_is_gone_has_changed() -> None:
    older = with_(A_VERIFICATION, controls={})
    assert [at for _, at in changes(replayed(older, A_VERIFICATION))] == [
        f"verification.controls.{name}" for name in ("random", "shuffled")
    ]
    fewer = with_(A_VERIFICATION, logits={"plain": A_VERIFICATION.logits["plain"]})
    found = replayed(fewer, A_VERIFICATION)
    assert {kind for kind, _ in changes(found)} == {"new"}
    assert found.same
    gone = replayed(A_VERIFICATION, fewer)
    assert not gone.same
    assert gone.differences[0].recomputed == "absent"


def test_rows_that_are_gone_are_counted() -> None:
    found = replayed(A_MEASUREMENT, with_(A_MEASUREMENT, rows=A_MEASUREMENT.rows[:-1]))
    assert changes(found) == [("changed", "measurement.rows.length")]
    assert (found.differences[0].saved, found.differences[0].recomputed) == ("6", "5")


# Candidates.

NEAR = ((ROME, 0.6), (PARIS, 0.10001), (THIRD, 0.1))


@pytest.mark.parametrize(
    ("saved", "again", "kinds"),
    [
        (NEAR, ((ROME, 0.6), (THIRD, 0.10001), (PARIS, 0.1)), ["tie", "tie"]),
        (NEAR[:2], ((ROME, 0.6), (THIRD, 0.1)), ["tie"]),
        (((ROME, 0.6), (PARIS, 0.2), (THIRD, 0.1)), ((ROME, 0.6), (THIRD, 0.2), (PARIS, 0.1)), ["changed"] * 2),
        (
            ((ROME, 0.6), (PARIS, 2e-5), (THIRD, 1e-5)),
            ((ROME, 0.6), (THIRD, 2e-5), (PARIS, 1e-5)),
            ["changed"] * 2,
        ),
        (((ROME, 0.4), (PARIS, 0.4)), ((PARIS, 0.4), (ROME, 0.4)), ["changed", "tie"]),
        (((ROME, 0.6), (PARIS, 0.2), (THIRD, 0.1)), ((ROME, 0.6), (Token(id=99, text="x"), 0.2), (THIRD, 0.1)),
         ["changed"]),
    ],
    ids=["near swap", "the last gives way", "far swap", "far swap of small ones", "most probable", "stranger"],
)  # fmt: skip
def test_candidates_may_swap_only_where_they_are_as_probable(
    saved: Any, again: Any, kinds: list[str]
) -> None:
    found = replayed(predicting(saved), predicting(again))
    assert [difference.kind for difference in found.differences] == kinds
    assert beyond(found) == []
    assert found.same == (set(kinds) == {"tie"})


# Noise.


def test_what_is_rounding_noise_is_not_asked_for_its_digits_and_must_stay_noise() -> None:
    for name, noise, real in (("linf", 9e-5, 9e-3), ("kl", 1e-7, 1e-3), ("mse", 1e-9, 1e-3)):
        exact = with_(A_VERIFICATION.logits["patched"], kl=1e-12)
        saved = with_(A_VERIFICATION, logits={**A_VERIFICATION.logits, "patched": exact})

        def again(value: float, name: str = name, saved: Verification = saved) -> Verification:
            error = with_(saved.logits["patched"], **{name: value})
            return with_(saved, logits={**saved.logits, "patched": error})

        assert replayed(saved, again(noise)).same
        assert beyond(replayed(saved, again(real))) == [f"verification.logits.patched.{name}"]
        assert replayed(saved, again(real), "bfloat16").same
    layer = with_(A_VERIFICATION.layers[0], block_error=9e-5)
    assert replayed(A_VERIFICATION, with_(A_VERIFICATION, layers=(layer, A_VERIFICATION.layers[1]))).same


@pytest.mark.parametrize(("delta", "is_noise"), [(0.25, False), (1e-3, False), (1e-6, True), (0.0, True)])
def test_the_direction_of_what_hardly_moves_is_noise(delta: float, is_noise: bool) -> None:
    rows = [with_(row, cosine_previous=0.5) for row in A_MEASUREMENT.rows]
    rows[4] = with_(rows[4], delta_norm=delta)  # unit 2 at layer 0; ‖z‖ is 8
    saved = with_(A_MEASUREMENT, rows=tuple(rows))
    for other in (-0.5, None):
        again = with_(saved, rows=(*rows[:4], with_(rows[4], cosine_previous=other), rows[5]))
        assert replayed(saved, again).same == is_noise
    pairs = with_(saved.pairs[0], layer=0, cosine=((1.0, 0.1), (0.875, 1.0)))
    now = with_(saved, pairs=(with_(pairs, cosine=((1.0, 0.9), (0.875, 1.0))),))
    assert replayed(with_(saved, pairs=(pairs,)), now).same == is_noise


def fitted(condition: float | None, kl: float = 1.0) -> Generation:
    fit = LayerFit(
        layer=0,
        error=1e-7,
        condition=condition,
        rank=9,
        shift_error=None,
        shift_condition=None,
        shift_rank=None,
    )
    report = PatchReport(n_tokens=9, rank=9, alpha=1.0, layers=(fit,))
    return with_(
        A_GENERATION,
        patch=report,
        fit={**A_GENERATION.fit, "patched": LogitError(mse=1.0, kl=kl, linf=1.0, top1_equal=True)},
    )


def test_a_fit_enlarges_noise_by_its_condition() -> None:
    assert not replayed(fitted(4.0), fitted(4.0, kl=1.005)).same
    assert replayed(fitted(1e6), fitted(1e6, kl=1.005)).same
    assert not replayed(fitted(None), fitted(1e20, kl=1.5)).same
    assert replayed(fitted(None), fitted(1e20)).same
    assert replayed(fitted(1e20), fitted(None)).same
    assert not replayed(fitted(4.0), fitted(None)).same


def test_a_coarser_dtype_asks_for_less() -> None:
    again = changed("measurement", "measurement.rows[0].z_norm", 8.2)
    assert not replayed(A_MEASUREMENT, again).same
    assert replayed(A_MEASUREMENT, again, "bfloat16").same
    half, squeezed = with_(A_MODEL, dtype="bfloat16"), with_(A_MODEL, quantize="4bit")
    assert coarser_dtype(A_MODEL, A_MODEL) == "float32"
    assert (
        coarser_dtype(A_MODEL, half)
        == coarser_dtype(half, A_MODEL)
        == coarser_dtype(A_MODEL, squeezed)
        == "bfloat16"
    )
    assert coarser_dtype(A_MODEL, with_(A_MODEL, dtype="float8")) == "bfloat16"


# What is said.


def test_what_is_not_as_it_was_is_said() -> None:
    now = with_(
        A_MODEL, dtype="bfloat16", device="cuda:0", quantize="8bit", versions={"icltui": "0.2", "torch": "3"}
    )
    assert model_changes(A_MODEL, A_MODEL) == ()
    assert model_changes(A_MODEL, now) == (
        "recorded in float32, recomputed in bfloat16",
        "recorded with quantize none, recomputed with 8bit",
        "recorded on cpu, recomputed on cuda:0",
        "icltui 0.1.0 when it was saved, 0.2 now",
        "torch unknown when it was saved, 3 now",
    )
    assert model_changes(A_MODEL, with_(A_MODEL, name="./other")) == (
        "the model: demo when it was saved, ./other now",
    )


def test_long_texts_are_shown_from_where_they_part() -> None:
    lane = A_GENERATION.lanes["plain"]
    saved, again = (
        with_(
            A_GENERATION, lanes={**A_GENERATION.lanes, "plain": with_(lane, text="la " * 99 + end + "." * 99)}
        )
        for end in ("Rome", "Paris")
    )
    (found,) = replayed(saved, again).differences
    assert "la Rome" in found.saved
    assert "la Paris" in found.recomputed
    assert max(len(found.saved), len(found.recomputed)) < 60


def whole(*sections: SectionReplay, notes: tuple[str, ...] = ()) -> Replay:
    return Replay(
        same=all(section.same for section in sections), held_to="float32", notes=notes, sections=sections
    )


def test_the_report_ends_in_its_verdict_and_nothing_in_it_acts_on_a_terminal() -> None:
    same = replay_text(whole(*(compare(name, record, record, "float32") for name, record in RECORDS.items())))
    assert same.splitlines()[-1] == "same"
    assert len(same.splitlines()) == 8
    lane = with_(A_GENERATION.lanes["plain"], text=HOSTILE)
    hostile = with_(A_GENERATION, lanes={**A_GENERATION.lanes, "plain": lane})
    moved = changed("measurement", "measurement.rows[3].z_norm", 9.0)
    noted = with_(moved.tokens, notes=(HOSTILE,))
    named = with_(moved.rows[2], matrix_norms={HOSTILE: 1.0})
    moved = with_(moved, tokens=noted, rows=(*moved.rows[:2], named, *moved.rows[3:]))
    replay = whole(
        replayed(A_MEASUREMENT, moved), replayed(A_GENERATION, hostile), notes=(f"torch {HOSTILE}",)
    )
    text = replay_text(replay, 110)
    assert text.splitlines()[-1] == "DIFFERS"
    assert all(line.isprintable() for line in text.splitlines())
    assert "measurement.rows[3].z_norm" in text
    assert "generation.lanes.plain.text" in text
    document = json.loads(replay_json(A_MODEL, replay))
    assert document["same"] is False
    assert document["model"]["name"] == "demo"
    assert document["sections"][0]["section"] == "measurement"
    assert msgspec.convert(document["sections"][1], SectionReplay) == replay.sections[1]


def test_what_a_patch_says_may_move_by_its_fit_and_nothing_else_may() -> None:
    """An ill-conditioned fit moves the patched lane, not the lanes beside it."""
    fit = LayerFit(
        layer=0, error=0.0, condition=1e8, rank=2, shift_error=None, shift_condition=None, shift_rank=None
    )
    saved = with_(A_GENERATION, patch=PatchReport(layers=(fit,), n_tokens=2, rank=2, alpha=1.0))
    limits = Tolerances(saved, "float32")
    assert 0 < limits.fit <= 0.1
    beside = limits.allowed_share("generation.lanes.plain")
    assert (
        limits.allowed_share("generation.lanes.patched.steps[].top")
        > beside
        == DTYPE_TOLERANCES["float32"].logit
    )


def test_the_condition_of_the_shift_has_a_noise_of_its_own() -> None:
    fit = LayerFit(
        layer=0, error=0.0, shift_error=0.0, condition=4.0, rank=2, shift_condition=None, shift_rank=1
    )
    limits = Tolerances(
        with_(A_GENERATION, patch=PatchReport(layers=(fit,), n_tokens=2, rank=2, alpha=1.0)), "float32"
    )
    assert limits.is_noise(
        "generation.patch.layers[0].shift_condition", "generation.patch.layers[].shift_condition"
    )
    assert not limits.is_noise("generation.patch.layers[0].condition", "generation.patch.layers[].condition")


@pytest.mark.parametrize(
    "name", ["cosine_previous", "update_cosine_previous", "transfer_previous", "amplification"]
)
def test_rounding_hides_a_direction_of_a_step_no_larger_than_itself(name: str) -> None:
    rows = tuple(with_(row, delta_norm=1e-9, z_norm=10.0) for row in A_MEASUREMENT.rows)
    limits = Tolerances(with_(A_MEASUREMENT, rows=rows), "float32")
    assert limits.is_noise("measurement.rows[0]", f"measurement.rows[].{name}")
    assert not limits.is_noise("measurement.rows[0]", "measurement.rows[].patch_norm")


def test_the_finer_the_numbers_the_less_they_may_differ() -> None:
    """Each floor is of the order of the dtype's own rounding: 2^-8, 2^-11, and float32's sums."""
    order = ("float32", "float16", "bfloat16")
    for finer, coarse in pairwise(order):
        for a, b in zip(astuple(DTYPE_TOLERANCES[finer]), astuple(DTYPE_TOLERANCES[coarse]), strict=True):
            assert a < b < 10_000 * a


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (PromptIds(prefix=(), context=(1,), query=(2,), background="b"), "that text was edited"),
        (PromptIds(prefix=(), context=(9,), query=(2,), background="b"), "the chat template writes the time"),
        (PromptIds(prefix=(), context=(9,), query=(2,), background="a"), "the chat template writes the time"),
    ],
)
def test_a_note_names_what_was_edited(now: PromptIds, why: str) -> None:
    was = PromptIds(prefix=(), context=(1,), query=(2,), background="a")
    note = prompt_change(replace(COMPILATION, ids=was), replace(COMPILATION, ids=now))
    assert why in note
    assert note.count("edited") == 1
    assert not prompt_change(replace(COMPILATION, ids=was), replace(COMPILATION, ids=was))
