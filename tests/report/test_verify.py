"""The proof for scripts and for people."""

import json

import msgspec
import pytest

from icltui.report import verify
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
        *("model", "refused", "positions", "chat", "seed", "ids"),
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


HELD = msgspec.structs.replace(
    A_VERIFICATION, logit_scale=20.0, patched_share=4e-7, noise_share=0.0175, allowed=0.05, tolerance=0.05
)


@pytest.mark.parametrize(
    ("ok", "caveat", "last"),
    [
        (True, "", "ok"),
        (True, "to within 0.2 only", "ok: to within 0.2 only"),
        (False, "nothing is proved", "FAILED: nothing is proved"),
    ],
)
def test_the_proof_says_in_one_unit_what_it_was_held_to(ok: bool, caveat: str, last: str) -> None:
    text = verify.verify_table(A_MODEL, msgspec.structs.replace(HELD, ok=ok, caveat=caveat), 200)
    assert (
        "of the largest contextual logit, 20: patched 4e-07, noise floor 0.0175, allowed 0.05 (the tolerance, 0.05, or "
        "twice the noise floor)"
    ) in text
    assert text.splitlines()[-1] == last


def test_an_older_proof_names_the_unit_of_each() -> None:
    text = verify.verify_table(A_MODEL, A_VERIFICATION)
    assert "noise floor 1e-06 (logits)   tolerance 0.0001 (a share)" in text
