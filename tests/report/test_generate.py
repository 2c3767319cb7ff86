"""The lanes for scripts and for people."""

import json

import msgspec

from icltui.report import generate
from icltui.values import Agreement
from icltui.values.prompt import Prompt
from tests.sessions import A_GENERATION, A_MODEL, REFUSING


def test_generate_json_has_the_keys_that_scripts_rely_on() -> None:
    prompt = Prompt(query="is", chat=True, positions="keep")
    document = json.loads(generate.generate_json(REFUSING, prompt, A_GENERATION))
    assert [layer["layer"] for layer in document["refused"]] == [2, 3, 5]
    assert (document["positions"], document["chat"]) == ("keep", True)
    assert document["model"]["name"] == "demo"
    assert document["lanes"]["plain"] == {"text": " Paris.", "token_ids": [8, 1], "steps": []}
    assert document["agreement"]["plain"] == {"equal": 1, "total": 2, "first_difference": 0}
    assert (document["mode"], document["components"], document["layers"]) == ("per-step", "both", [0, 1])
    assert set(document["fit"]["patched"]) == {"mse", "kl", "linf", "top1_equal"}


def test_the_lanes_stand_in_their_order_with_their_agreement() -> None:
    text = generate.generate_text(A_MODEL, A_GENERATION)
    titles = [line for line in text.splitlines() if line.startswith(("With", "Query"))]
    assert titles == [
        "With context",
        "Query only · 1 of 2 tokens as with the context, first different: token 1",
        "Query + ΔW · 2 of 2 tokens as with the context",
    ]
    assert "   Rome. ␛[31mred\n  next line\n" in text
    one = {"plain": Agreement(equal=0, total=1, first_difference=0)}
    assert "0 of 1 token as with" in generate.generate_text(
        A_MODEL, msgspec.structs.replace(A_GENERATION, agreement=one)
    )
