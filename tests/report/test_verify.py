"""The proof for scripts and for people."""

import json

import msgspec
import pytest

from icltui.report import verify
from icltui.values import ErrorLimits, LayerCheck
from icltui.values.prompt import Prompt
from tests.report import cells_of
from tests.sessions import A_MODEL, A_VERIFICATION, REFUSING

A_PROMPT = Prompt(query="is")


def test_verify_json_has_the_keys_that_scripts_rely_on() -> None:
    document = json.loads(
        verify.verify_json(REFUSING, A_PROMPT, msgspec.structs.replace(A_VERIFICATION, seed=7))
    )
    assert set(document) == {
        *("layers", "logits", "controls", "noise_floor", "ok", "undone", "tolerance", "note"),
        *("model", "refused", "positions", "chat", "seed", "ids", "kept_prefix", "sink"),
        *("logit_scale", "patched_share", "noise_share", "allowed", "caveat"),
    }
    assert [layer["layer"] for layer in document["refused"]] == [2, 3, 5]
    assert (document["positions"], document["chat"], document["seed"]) == ("reset", False, 7)
    assert set(document["layers"][0]) >= {"layer", "identity_error", "block_error", "cosine", "nmse", "rank"}
    assert list(document["logits"]) == ["plain", "weights", "shift", "patched"]
    assert document["logits"]["plain"] == {"mse": 4.0, "kl": 2.5, "linf": 9.0, "top1_equal": False}
    assert set(document["controls"]) == {"random", "shuffled"}


def test_the_verify_table_ends_with_the_verdict() -> None:
    text = verify.verify_table(A_MODEL, A_VERIFICATION)
    assert text.endswith("\nok\n")
    layers = cells_of(text, "Each layer")
    assert layers[0] == "layer MLP error identity block cosine NMSE rank gradient alignment".split()
    assert layers[1] == ["0", "4e-07", "1e-07", "2e-07", "1", "1e-13", "1", "0.5"]
    assert "control: random" in text
    failed = msgspec.structs.replace(A_VERIFICATION, ok=False, undone=False)
    assert verify.verify_table(A_MODEL, failed).endswith("\nFAILED\n")
    assert "without a trace: no" in verify.verify_table(A_MODEL, failed)


def with_limits(check: LayerCheck, allowed: float) -> LayerCheck:
    limits = {
        name: ErrorLimits(floor=3e-7, allowed=allowed, effect=0.5) for name in ("mlp", "identity", "block")
    }
    return msgspec.structs.replace(check, limits=limits)


HELD = msgspec.structs.replace(
    A_VERIFICATION,
    layers=(with_limits(A_VERIFICATION.layers[0], 4e-6), with_limits(A_VERIFICATION.layers[1], 2e-6)),
    logit_scale=20.0,
    patched_share=4e-7,
    noise_share=0.0175,
    allowed=0.035,
    tolerance=0.05,
)


@pytest.mark.parametrize(
    ("ok", "caveat", "last"),
    [
        (True, "", "ok"),
        (True, "to within 0.2 only", "ok: to within 0.2 only"),
        (False, "nothing is proved", "FAILED: nothing is proved"),
    ],
)
def test_each_error_that_decides_is_beside_its_floor_in_a_unit_that_is_named(
    ok: bool, caveat: str, last: str
) -> None:
    text = verify.verify_table(A_MODEL, msgspec.structs.replace(HELD, ok=ok, caveat=caveat), 200)
    assert "at most the tolerance, 0.05 error" in " ".join(text.split())
    head, *lines = (line.split() for line in text[text.index("\nerror ") :].strip().splitlines()[:5])
    assert head == "error share of layer error noise floor allowed no patch".split()
    # Of the layers the one that takes up most of what is allowed; no number is the most of all.
    assert lines == [
        "MLP under ΔW alone the MLP's output 1 · 3e-07 2e-06 0.5".split(),
        "ΔW z W z 1 · 3e-07 2e-06 0.5".split(),
        "block under ΔW and shift the block's output 1 3e-07 3e-07 2e-06 0.5".split(),
        "logits the largest logit, 20 · 4e-07 0.0175 0.035 0.45".split(),
    ]
    assert "noise floor 1e-06 (logits, L∞)" in text
    assert text.splitlines()[-1] == last


def test_an_older_proof_names_the_unit_of_each() -> None:
    text = verify.verify_table(A_MODEL, A_VERIFICATION)
    assert "noise floor 1e-06 (logits)   tolerance 0.0001 (a share)" in text


def test_a_proof_that_somebody_edited_shows_what_is_left() -> None:
    layers = tuple(
        msgspec.structs.replace(check, limits={"block": check.limits["block"], "other": check.limits["mlp"]})
        for check in HELD.layers
    )
    held = verify.held_errors(msgspec.structs.replace(HELD, layers=layers))
    assert [error.short for error in held] == ["block", "logits"]
