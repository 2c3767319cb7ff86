"""Rows side by side must have the numbers that verify, generate and measure give each prompt alone."""

import pytest
import torch

from icltui.engine.generate.generate import logit_error
from icltui.engine.measure.measure import Measurer
from icltui.engine.measure.predictions import Vocabulary
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.patch.alpha_search import line_search, mean_squared_error, patched_logits
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial import batching, row_patch
from icltui.engine.trial import trial as trial_module
from icltui.engine.trial.batch import Batch
from icltui.engine.trial.prompt import TrialPrompt, trial_prompt
from icltui.engine.trial.row_noise import LastStreams
from icltui.engine.trial.trial import trial
from icltui.engine.verify.verify import verify
from icltui.values.errors import BadInput, EngineError
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from icltui.values.trial import TrialPatch
from tests.engine.dense_reference import patch_densely
from tests.engine.small_models import FAMILIES, make_tiny, tiny

CONTEXTS = ((17, 203, 88, 140, 9), (61, 5, 211, 33, 190), (7, 8, 9, 250, 11))
QUERIES = ((70, 12, 199), (70, 45, 3), (101, 12, 60))
ANSWER = (44, 91, 120)


def prompts(positions="reset", answer=ANSWER, seeds=(0, 1, 2)):
    return [
        TrialPrompt(Ids((0,), context, query, (0, len(context))), answer, positions, seed)
        for context, query, seed in zip(CONTEXTS, QUERIES, seeds, strict=True)
    ]


def close(ours, theirs, share=1e-9):
    assert ours == pytest.approx(theirs, rel=share, abs=share)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_patched_is_the_context(family):
    loaded = tiny(family)
    patches = [TrialPatch(), TrialPatch(mode="frozen")]
    for result in trial(loaded, prompts(), patches):
        per_step, frozen = result.patches
        assert per_step.linf < 1e-9 * result.logit_scale
        assert frozen.linf < 1e-9 * result.logit_scale
        assert result.plain.linf > 1e-3 * result.logit_scale
        assert per_step.later_kl < 1e-12
        assert per_step.answer_log_p == pytest.approx(result.context.answer_log_p, abs=1e-9)


@pytest.mark.parametrize(
    ("family", "positions"), [*((name, "reset") for name in FAMILIES), ("gpt2", "keep"), ("qwen3", "keep")]
)
def test_every_patch_is_what_generate_makes_of_it(family, positions):
    loaded = tiny(family)
    recipes = [
        ("per-step", "both", 1.0, None, "random"),
        ("per-step", "weights", 0.6, (1,), "none"),
        ("per-step", "shift", 1.3, (0, 2), "shuffled"),
        ("frozen", "weights", 1.0, (1,), "none"),
        ("frozen", "both", 0.7, None, "none"),
        ("frozen", "shift", 1.0, (0, 1), "random"),
        ("frozen", "both", 1.0, (2,), "shuffled"),
    ]
    asked = [
        TrialPatch(mode=mode, components=which, alpha=alpha, layers=layers, control=control, seed=4)
        for mode, which, alpha, layers, control in recipes
    ]
    for result in trial(loaded, prompts(positions, answer=()), asked):
        prompt = prompts(positions)[result.index]
        for patch, score in zip(asked, result.patches, strict=True):
            recipe = Recipe(
                mode=patch.mode,
                components=patch.components,
                control=patch.control,
                seed=patch.seed + prompt.seed,
            )
            sites = [site for site in loaded.sites if patch.layers is None or site.layer in patch.layers]
            with torch.inference_mode():
                built = build_patch(PatchSpec(loaded, sites, prompt.ids, positions, recipe), n_later=0)
                wanted = logit_error(built.own.logits[0], patched_logits(built, built.own, patch.alpha)[0])
            for name in ("mse", "kl", "linf"):
                close(getattr(score, name), getattr(wanted, name), 1e-7)
            assert score.top1_equal == wanted.top1_equal


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "mixtral"])
def test_logits_are_verifys(family):
    loaded = tiny(family, torch.float32)
    asked = [
        TrialPatch(components="weights"),
        TrialPatch(components="shift"),
        TrialPatch(),
        TrialPatch(control="random", seed=9),
    ]
    for result in trial(loaded, prompts(seeds=(0, 0, 0)), asked, n_noise_runs=3):
        with torch.inference_mode():
            alone = verify(loaded, loaded.sites, prompts()[result.index].ids, seed=9)
        wanted = [alone.logits[name] for name in ("weights", "shift", "patched")] + [alone.controls["random"]]
        for score, error in zip(result.patches, wanted, strict=True):
            assert score.linf == pytest.approx(error.linf, rel=1e-3, abs=1e-4)
            assert score.kl == pytest.approx(error.kl, rel=1e-3, abs=1e-5)
        assert result.plain.linf == pytest.approx(alone.logits["plain"].linf, rel=1e-4)
        assert result.logit_scale == pytest.approx(alone.logit_scale, rel=1e-4)
        assert 0 < result.noise_floor < 30 * alone.noise_floor + 1e-5
        assert result.noise_floor < 1e-3 * result.plain.linf


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_measures_of_one_unit(family):
    loaded = tiny(family)
    for result in trial(loaded, prompts()):
        ids = prompts()[result.index].ids
        measurer = Measurer(
            loaded.sites, plan := Plan(ids, "grow", "free", "reset"), Vocabulary(loaded.tokenizer)
        )
        with torch.inference_mode():
            rows = [
                row
                for part, _ in measurer.measure(measure_prefixes(loaded, loaded.sites, plan, "loop"))
                for row in part
            ]
        first = {row.layer: row for row in rows if row.unit == 0}
        last = {row.layer: row for row in rows if row.unit == 1}
        assert [layer.layer for layer in result.layers] == [0, 1, 2] == [*last]
        for layer in result.layers:
            for name in ("delta_norm", "shift_norm", "patch_norm", "relative_patch_norm"):
                close(getattr(layer, name), getattr(last[layer.layer], name))
            close(layer.z_norm, first[layer.layer].z_norm)
            close(layer.learning_rate, first[layer.layer].learning_rate)
            close(layer.context_learning_rate, last[layer.layer].learning_rate)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
def test_a_frozen_patch_is_a_change_of_the_weights(family):
    """On the answer's tokens too, where it is no longer exact; the reference changes full matrices, layer by layer."""
    loaded = tiny(family)
    asked = [TrialPatch(mode="frozen"), TrialPatch(mode="frozen", components="weights")]
    with torch.inference_mode():
        batch = Batch(loaded, loaded.sites, prompts())
        made = [batch.patched(patch).logits for patch in asked]
        for row, prompt in enumerate(prompts()):
            for logits, shift_by in zip(made, ("down", None), strict=True):
                full, plain = prompt.ids.full, prompt.ids.plain
                dense = patch_densely(loaded.model, FAMILIES[family], full, plain, shift_by)
                wanted = dense.run([*plain, *prompt.forced], 0)[2][-3:]
                assert (logits[row] - wanted).abs().max() < 1e-9 * wanted.abs().max()
                assert (logits[row, 1:] - batch.contextual[0][row, 1:]).abs().max() > 1e-3


@pytest.mark.parametrize("mode", ["per-step", "frozen"])
def test_searched_strengths_are_those_of_each_prompt_alone(mode):
    loaded = tiny("llama")
    patch = TrialPatch(mode=mode, components="weights", layers=(1,), alpha="search")
    results = list(trial(loaded, prompts(), [patch]))
    for result in results:
        (score,) = result.patches
        ids = prompts()[result.index].ids
        recipe = Recipe(mode=mode, components="weights", alpha="search")
        with torch.inference_mode():
            built = build_patch(PatchSpec(loaded, loaded.sites[1:2], ids, "reset", recipe), n_later=0)
            assert score.alpha == line_search(lambda alpha, built=built: mean_squared_error(built, alpha))
            close(score.centred_mse, mean_squared_error(built, score.alpha))
            for alpha, mse, _ in score.curve:
                close(mse, mean_squared_error(built, alpha))
        assert len(score.curve) == 9
        close(score.curve[0][1:], (result.plain.centred_mse, result.plain.kl))
    assert len({result.patches[0].alpha for result in results}) == 3
    (alone,) = trial(loaded, prompts()[:1], [patch])
    assert [alpha for alpha, _, _ in alone.patches[0].curve] == [alpha for alpha, _, _ in score.curve]


@pytest.mark.parametrize("mode", ["per-step", "frozen"])
def test_a_random_patch_is_one_patch_at_every_strength(mode):
    """Also where an answer is read after the query, and the search reads none."""
    loaded = tiny("llama")
    common = {"mode": mode, "control": "random", "layers": (1,), "seed": 5}
    for result in trial(loaded, prompts(), [TrialPatch(alpha="search", **common)]):
        (score,) = result.patches
        alphas = [score.alpha, *(alpha for alpha, _, _ in score.curve)]
        again = [TrialPatch(alpha=alpha, **common) for alpha in alphas]
        (fixed,) = trial(loaded, [prompts()[result.index]], again)
        wanted = [score.centred_mse, *(mse for _, mse, _ in score.curve)]
        close([one.centred_mse for one in fixed.patches], wanted)


def test_scores_are_what_their_names_say():
    loaded = tiny("qwen3")
    for result in trial(loaded, prompts()):
        prompt = prompts()[result.index]
        rows = [[*ids, *prompt.forced] for ids in (prompt.ids.full, prompt.ids.plain)]
        with torch.inference_mode():
            logits = [loaded.model(torch.tensor([row])).logits[0, -3:].double() for row in rows]
        log_p = [one.log_softmax(-1) for one in logits]
        for score, ours in zip((result.context, result.plain), log_p, strict=True):
            close(score.answer_log_p, sum(float(ours[k, token]) for k, token in enumerate(prompt.answer)))
            assert score.top == int(ours[0].argmax())
            close(score.top_probability, float(ours[0].max().exp()))
            close(score.entropy, -float((ours[0].exp() * ours[0]).sum()))
            assert score.answer_is_top == (ours.argmax(-1).tolist() == list(prompt.answer))
        p, q = log_p
        kls = (p.exp() * (p - q)).sum(-1)
        close(result.plain.kl, float(kls[0]))
        close(result.plain.later_kl, float(kls[1:].mean()))
        spread = (logits[1] - logits[0]).var(-1, correction=0)
        close(result.plain.centred_mse, float(spread[0]))
        close(result.plain.later_centred_mse, float(spread[1:].mean()))


def test_an_answer_that_is_said_is_the_most_probable():
    loaded = tiny("llama")
    (first,) = trial(loaded, prompts(answer=())[:1])
    (result,) = trial(loaded, prompts(answer=(first.context.top,))[:1], [TrialPatch()])
    assert result.context.answer_is_top
    assert result.patches[0].answer_is_top
    assert result.context.answer_log_p == pytest.approx(
        torch.tensor(first.context.top_probability).log().item()
    )
    assert result.context.later_kl is None


def test_shapes_are_grouped_and_every_prompt_answers():
    loaded = tiny("llama")
    long = TrialPrompt(Ids((0,), (4, 5, 6, 7, 8, 9), (70, 12), (0, 6)), ANSWER)
    mixed = [prompts()[0], long, *prompts()[1:]]
    results = list(trial(loaded, mixed, [TrialPatch()]))
    assert [result.index for result in results] == [0, 2, 3, 1]
    alone = [next(trial(loaded, [prompt], [TrialPatch()])) for prompt in mixed]
    for result in results:
        close(result.plain.kl, alone[result.index].plain.kl)
        assert result.n_context == len(mixed[result.index].ids.context)


def test_the_model_is_left_as_it_was():
    loaded = make_tiny("llama", torch.float32)
    row = torch.tensor([prompts()[0].ids.full])
    with torch.inference_mode():
        before = loaded.model(row).logits
        list(
            trial(
                loaded, prompts(), [TrialPatch(mode="frozen", alpha="search"), TrialPatch()], n_noise_runs=1
            )
        )
        assert torch.equal(before, loaded.model(row).logits)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in loaded.model.modules())


def test_a_prompt_that_fails_is_a_result(monkeypatch):
    loaded = tiny("llama")
    real = Batch.run

    def failing(self, rows, *rest):
        if any(211 in row for row in rows):
            raise EngineError("token 211 is too\nmuch")
        return real(self, rows, *rest)

    monkeypatch.setattr(Batch, "run", failing)
    results = list(trial(loaded, prompts(), [TrialPatch()]))
    assert [(one.index, one.error) for one in results] == [(0, None), (1, "token 211 is too much"), (2, None)]


def test_fewer_prompts_run_where_memory_does_not_suffice(monkeypatch):
    loaded = tiny("llama")
    batching._IS_ALIKE[loaded.model] = True
    real, sizes = Batch.run, []

    def cramped(self, rows, *rest):
        sizes.append(len(rows))
        if len(rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, rows, *rest)

    monkeypatch.setattr(Batch, "run", cramped)
    assert [one.error for one in trial(loaded, prompts())] == [None] * 3
    assert max(sizes) == 3
    monkeypatch.setattr(
        Batch, "run", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory"))
    )
    assert all("out of memory" in one.error for one in trial(loaded, prompts()))


def test_a_model_that_mixes_its_rows_gets_one_at_a_time(monkeypatch):
    loaded = make_tiny("llama")
    sizes, real = [], trial_module._results
    monkeypatch.setattr(
        trial_module, "_results", lambda of, some, *rest: sizes.append(len(some)) or real(of, some, *rest)
    )
    list(trial(loaded, prompts()))
    assert sizes == [3]
    mixing = make_tiny("llama")
    mixing.model.model.norm.register_forward_hook(lambda _, __, out: out + 0.1 * out.mean(0, keepdim=True))
    list(trial(mixing, prompts()))
    assert sizes == [3, 1, 1, 1]


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r"layer 7 cannot be patched: choose among \[0, 1, 2\]"):
        next(trial(tiny("llama"), prompts(), [TrialPatch(layers=(1, 7))]))


def test_an_answer_continues_its_query():
    loaded = tiny("llama")
    prompt = trial_prompt(loaded, Prompt(context="ab", query=" cd"), " ef")
    assert loaded.tokenizer.decode(prompt.answer) == " ef"
    assert loaded.tokenizer.decode(prompt.ids.query) == " cd"
    assert prompt.forced == prompt.answer[:-1]
    with pytest.raises(BadInput, match="positions"):
        trial_prompt(loaded, Prompt(context="ab", query=" cd"), "e" * 70)


def test_a_row_without_a_vector_to_read_gets_a_constant_shift_or_nothing():
    read = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    write = torch.tensor([[1.0, 2.0], [5.0, 0.0]], dtype=torch.float64)
    x = torch.tensor([[[7.0, 1.0]], [[3.0, 4.0]]], dtype=torch.float64)
    strengths = torch.tensor([0.5, 2.0])
    assert row_patch.RowMap(read, write, True)(x, strengths).tolist() == [[[0.5, 1.0]], [[10.0, 0.0]]]
    assert row_patch.RowMap(read, write, False)(x, strengths).tolist() == [[[0.0, 0.0]], [[10.0, 0.0]]]


def test_blocks_are_handed_what_entered_them_first():
    first, later = torch.arange(8.0).view(4, 2), torch.arange(12.0).view(6, 2) + 100
    streams = LastStreams(torch.tensor([1, 3]), 4)
    assert streams.block_input(0, first) is None
    streams.at, streams.n_tokens = torch.tensor([1, 4]), 6
    given = streams.block_input(0, later)
    assert given[[1, 4]].tolist() == first[[1, 3]].tolist()
    assert given[[0, 2, 3, 5]].tolist() == later[[0, 2, 3, 5]].tolist()
    assert streams.block_input(0, first) is None  # another number of tokens: several streams


def test_another_denominator_is_noticed(monkeypatch):
    """The test of exactness itself: it fails once the map is wrong."""
    real = row_patch.RowMap.__call__
    monkeypatch.setattr(row_patch.RowMap, "__call__", lambda self, x, a: 1.01 * real(self, x, a))
    with pytest.raises(AssertionError):
        test_every_layer_patched_is_the_context("llama")
