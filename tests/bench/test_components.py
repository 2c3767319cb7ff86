"""The parts of a patch on many prompts: the numbers are those of the model's own logits, the medians those by hand."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import Generate, LoadModel
from icltui.bench import components
from icltui.bench.component_prompts import PROMPTS
from icltui.bench.components import (
    PARTS,
    Comparison,
    ComponentSettings,
    PromptScores,
    compare_components,
    quartiles,
)
from icltui.bench.components_table import components_table
from icltui.cli import parser
from icltui.cli.main import main
from icltui.engine.local import LocalEngine
from icltui.engine.prompts.tokenize import tokenize
from icltui.values import LogitError
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe


@pytest.fixture(scope="module")
def engine():
    made = LocalEngine()
    run_to_result.load(made, LoadModel(device="cpu"))
    return made


def test_forty_prompts_of_different_kinds_each_with_a_context_and_a_query_of_its_own(engine):
    kinds = Counter(kind for kind, _ in PROMPTS)
    assert (len(PROMPTS), len(kinds), min(kinds.values())) == (40, 11, 3)
    assert len({(prompt.context, prompt.query) for _, prompt in PROMPTS}) == 40
    for _, prompt in PROMPTS:
        ids, tokens = tokenize(engine.loaded, prompt)
        assert min(len(ids.context), len(ids.query)) > 1, prompt
        assert "".join(token.text for token in tokens.context) == prompt.context
        assert "".join(token.text for token in tokens.query) == prompt.query


@pytest.mark.parametrize(
    ("values", "by_hand"),
    [
        ([3.0, 1.0, 2.0], (1.5, 2.0, 2.5)),
        ([4.0, 1.0, 3.0, 2.0], (1.75, 2.5, 3.25)),
        ([9.0, 0.0, 5.0, 1.0, 100.0], (1.0, 5.0, 9.0)),
    ],
)
def test_quartiles_are_those_by_hand(values, by_hand):
    assert quartiles(values) == by_hand


def test_quartiles_are_those_of_numpy():
    values = np.random.default_rng(0).exponential(size=40)
    assert quartiles(values.tolist()) == pytest.approx(np.percentile(values, [25, 50, 75]).tolist())


def scores(kind, kls, equal=False):
    errors = {
        part: LogitError(mse=0.0, kl=kl, linf=0.0, top1_equal=equal)
        for part, kl in zip(PARTS, kls, strict=True)
    }
    return PromptScores(kind, errors, n_kept=1, patched_share=1e-7, noise_share=2e-7, ok=True)


HAND_MADE = Comparison(
    "m\x1b[2J",
    "float32",
    "always",
    (
        scores("a", (1.0, 2.0, 0.5, 0.4, 0.3, 0.0, 9.0, 1.0)),
        scores("a", (3.0, 1.0, 0.5, 0.4, 0.3, 0.0, 9.0, 1.0), equal=True),
        scores("b", (5.0, 7.0, 6.0, 0.4, 0.3, 0.0, None, 1.0)),
    ),
)


def test_what_is_counted():
    assert HAND_MADE.kls("plain") == [1.0, 3.0, 5.0]
    assert HAND_MADE.kls("shift", "a") == [0.5, 0.5]
    assert HAND_MADE.kls("random") == [9.0, 9.0, math.inf]
    assert [HAND_MADE.better(part) for part in ("weights", "shift", "shuffled")] == [1, 2, 2]
    assert HAND_MADE.equals("weights") == 1


def test_the_table_shows_medians_with_quartiles_and_of_each_kind():
    lines = [" ".join(line.split()) for line in components_table(HAND_MADE, 110).splitlines()]
    assert lines[0].startswith("m␛[2J, float32, --bos always (1 kept); 3 prompts.")
    assert "no patch 3 2 to 4 1 of 3 ·" in lines
    assert "ΔW alone 2 1.5 to 4.5 1 of 3 1 of 3" in lines
    assert "a 2 2 1.5 0.5" in lines
    assert "b 1 5 7 6" in lines
    words = " ".join(lines)
    assert words.endswith("ΔW and Δb 1e-07, noise floor 2e-07. Proof on all layers: 3 of 3 prompts ok.")


def test_each_number_is_of_the_models_own_logits(engine, monkeypatch):
    monkeypatch.setattr(components, "PROMPTS", PROMPTS[:1])
    found = compare_components(ComponentSettings(bos="never"), lambda _stage: None)
    (one,), prompt = found.prompts, replace(PROMPTS[0][1], bos="never")
    model, tokenizer = engine.loaded.model, engine.loaded.tokenizer
    with torch.no_grad():
        context, plain = (
            model(torch.tensor([tokenizer(text, add_special_tokens=False).input_ids]))
            .logits[0, -1]
            .log_softmax(-1)
            for text in (prompt.context + prompt.query, prompt.query)
        )
    kl = float((context.exp() * (context - plain)).sum())
    assert one.parts["plain"].kl == pytest.approx(kl, rel=1e-4)
    assert one.parts["plain"].top1_equal == bool(context.argmax() == plain.argmax())
    assert one.parts["patched"].kl < 1e-6 < min(one.parts[part].kl for part in PARTS if part != "patched")
    assert (one.n_kept, one.ok, one.noise_share > 0) == (0, True, True)
    for carrier in ("output", "bias"):
        recipe = Recipe(mode="frozen", components="shift", carrier=carrier)
        request = Generate(prompt=prompt, recipe=recipe, n_tokens=1, lanes=("patched",))
        lane = run_to_result.generate(engine, request).fit["patched"]
        assert one.parts[carrier].kl == pytest.approx(lane.kl, rel=1e-3)
    assert one.parts["output"].kl != pytest.approx(one.parts["bias"].kl, rel=0.01)


def test_the_command_prints_the_table(monkeypatch, capsys):
    monkeypatch.setattr(components, "PROMPTS", PROMPTS[:2])
    assert main(["bench", "--only", "components", "--bos", "always"]) == 0
    out, err = capsys.readouterr()
    assert "float32, --bos always (1 kept); 2 prompts." in " ".join(out.split())
    assert "prompt 2 of 2: contradicted facts" in err


def test_a_value_that_is_none_is_refused():
    with pytest.raises(BadInput, match="invalid choice: 'sometimes'"):
        parser.parse(["bench", "--only", "components", "--bos", "sometimes"])
