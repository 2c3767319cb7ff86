"""The divergence along a lane's own text, against whole rows in float64; beginnings that are forced."""

import pytest
import torch

import icltui.engine.generate.lane_in_context as module
from icltui.api.messages import Generate, GenerationEnded, LaneAdvanced
from icltui.engine.generate.generate import generate
from icltui.engine.generate.lane_in_context import LanesInContext
from icltui.engine.hooks.attach import attach
from icltui.engine.local import LocalEngine
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling
from tests.engine.small_models import make_tiny, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9, 61), (70, 12, 199), tuple(range(7)))
N = 7


def log_p(model, row):
    """Of the next token, from the whole row, without any cache."""
    return model(torch.tensor([row]), use_cache=False).logits[0, -1].double().log_softmax(-1)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
@pytest.mark.parametrize("together", [32, 2])
@torch.inference_mode()
def test_it_is_that_of_whole_rows_in_float64(family, together, monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", together)
    loaded = make_tiny(family)
    loaded.model.double()
    spec = PatchSpec(loaded, loaded.sites, IDS, "reset", Recipe(mode="frozen"))
    built = build_patch(spec, 2)
    lanes = ("context", "plain", "patched")
    *_steps, whole = generate([spec], built, lanes=lanes, n_tokens=N, in_context=LanesInContext(spec))
    n_later = 0
    for lane in lanes[1:]:
        tokens = list(whole.lanes[lane].token_ids)
        for step in whole.lanes[lane].steps:
            before = tokens[: step.index]
            theirs = log_p(loaded.model, [*IDS.full, *before])
            if lane == "plain":
                ours = log_p(loaded.model, [*IDS.plain, *before])
            else:
                with attach(built.patch.sites, built.patch):
                    ours = log_p(loaded.model, [*IDS.plain, *before])
            kl = float((theirs.exp() * (theirs - ours)).sum())
            assert step.kl_on_own_text == pytest.approx(kl, rel=1e-6, abs=1e-9)
            assert step.kl_to_context in (None, step.kl_on_own_text)
            assert step.drawn_probability == pytest.approx(float(ours[step.token.id].exp()), rel=1e-6)
            assert step.rank == int((ours >= ours[step.token.id]).sum())
            n_later += step.kl_to_context is None
    assert n_later > N / 2, "the lanes part, so that the context has to read their own texts"
    assert all(step.kl_on_own_text is None for step in whole.lanes["context"].steps)


def ask(loaded, **options):
    engine = LocalEngine(loaded, loaded.describe("packed"))
    request = Generate(prompt=Prompt(context="abcd", query="ef"), n_tokens=4, **options)
    return list(engine.run(request, lambda: False))


def test_a_forced_beginning_is_said_and_what_follows_is_drawn():
    loaded = tiny("llama")
    free, forced = ({}, {"plain": (9, 11)})
    lanes = [ask(loaded, forced=each)[-1].generation.lanes for each in (free, forced)]
    assert lanes[1]["plain"].token_ids[:2] == (9, 11)
    row = [*loaded.tokenizer("ef")["input_ids"], 9, 11]
    with torch.inference_mode():
        assert lanes[1]["plain"].token_ids[2] == int(log_p(loaded.model, row).argmax())
    assert lanes[1]["context"] == lanes[0]["context"], "another lane's text stays as it is"
    drawn = lanes[1]["plain"].steps
    with torch.inference_mode():
        first = log_p(loaded.model, row[:-2])
    assert drawn[0].drawn_probability == pytest.approx(float(first[9].exp()), rel=1e-5)
    assert drawn[0].rank == 1 + int((first > first[9]).sum())
    assert [step.rank > 1 for step in drawn] == [True, True, False, False]


def test_the_generation_says_what_was_forced_and_a_token_that_is_none_is_refused():
    loaded = tiny("llama")
    events = ask(loaded, forced={"context": (9,)})
    made = next(event.generation for event in events if isinstance(event, GenerationEnded))
    assert made.forced == {"context": (9,)}
    with pytest.raises(BadInput, match="embeds ids 0 to"):
        ask(loaded, forced={"plain": (10**6,)})


def test_the_token_that_ends_a_text_is_marked():
    loaded = make_tiny("llama")
    first = ask(loaded)[0].step.token.id
    loaded.model.generation_config.eos_token_id = first
    steps = [event.step for event in ask(loaded) if isinstance(event, LaneAdvanced)]
    ended = [step for step in steps if step.lane == "context"]
    assert [(step.is_end, step.text) for step in ended] == [(True, "")]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, seed=5)])
@pytest.mark.parametrize("recipe", [Recipe(), Recipe(mode="frozen"), Recipe(control="shuffled", seed=1)])
def test_a_beginning_that_the_lane_would_draw_changes_nothing(recipe, sampling):
    """Nor does what is asked for of one lane change another."""
    loaded = tiny("llama")
    free = generation(ask(loaded, recipe=recipe, sampling=sampling))
    own = {lane: text.token_ids[:2] for lane, text in free.lanes.items()}
    again = generation(ask(loaded, recipe=recipe, sampling=sampling, forced=own))
    assert again.lanes == free.lanes
    other = generation(ask(loaded, recipe=recipe, sampling=sampling, forced={"patched": (9, 11)}))
    assert other.lanes["patched"].token_ids[:2] == (9, 11)
    assert all(other.lanes[lane] == free.lanes[lane] for lane in ("context", "plain"))


def generation(events):
    return next(event.generation for event in events if isinstance(event, GenerationEnded))


def test_equal_probabilities_share_the_rank_of_the_last():
    loaded = make_tiny("llama")
    torch.nn.init.zeros_(loaded.model.lm_head.weight)
    made = generation(ask(loaded))
    n = loaded.model.lm_head.weight.shape[0]
    assert {step.rank for step in made.lanes["plain"].steps} == {n}
    assert made.lanes["plain"].steps[0].drawn_probability == pytest.approx(1 / n)
