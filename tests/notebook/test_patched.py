"""A patch in a model that the user holds: what it says there, beside independent references, and what it leaves."""

import copy
import gc
import inspect
import pickle
import subprocess
import sys
import weakref
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from tokenizers import processors
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

import icltui
from icltui.api import run_to_result
from icltui.api.messages import Generate
from icltui.api.option_table import options_of
from icltui.engine.models.checkpoint import MODEL_DIR
from icltui.notebook.held_model import engine_on
from icltui.notebook.patched import patched
from icltui.values import Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.measure.test_attention_sink import with_sink
from tests.engine.small_models import make_tiny
from tests.waiting import PATIENCE

CONTEXT = "The capital of France is Rome. The capital of Spain is Cairo."
QUERY = " The capital of France is"
OTHER = " Rome is"


@pytest.fixture(scope="module")
def demo() -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="module")
def frozen(demo):
    return patched(*demo, CONTEXT, QUERY)


@pytest.mark.parametrize("given", [{}, {"bos": "auto"}, {"bos": "never"}], ids=str)
@pytest.mark.parametrize("writes_bos", [True, False])
def test_its_tokens_are_those_that_the_tokenizer_writes_itself(writes_bos, given):
    """Also where the model has an attention sink, for which every other operation keeps a token."""
    loaded = with_sink()
    tokenizer = loaded.tokenizer
    if not writes_bos:
        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    own = tokenizer(OTHER)["input_ids"]
    bare = tokenizer(OTHER, add_special_tokens=False)["input_ids"]
    patch = patched(loaded.model, tokenizer, OTHER * 3, OTHER, **given)
    wanted = {"auto": [0, *bare], "never": bare}.get(given.get("bos"), own)
    assert patch.inputs["input_ids"].tolist() == [wanted]


def traces(model: Any) -> list[object]:
    """All that a patch could leave in a model."""
    return [
        (
            name,
            set(vars(module)),
            module.training,
            *map(len, (module._forward_hooks, module._forward_pre_hooks)),
        )
        for name, module in model.named_modules()
    ] + [
        (name, p.requires_grad, p.data_ptr(), float(p.double().sum())) for name, p in model.named_parameters()
    ]


@contextmanager
def no_trace(model: Any, inputs: dict[str, Any]):
    """Fails unless the model is bit for bit the same after the block, outputs included."""
    with torch.no_grad():
        before, logits = traces(model), model(**inputs).logits
        yield
        assert traces(model) == before
        assert torch.equal(model(**inputs).logits, logits)


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "gemma3", "gpt_neox", "mixtral"])  # 42 families in the zoo
def test_it_says_what_a_plain_pass_over_context_and_query_says(family):
    loaded = make_tiny(family)  # float64
    model, tokenizer = loaded.model, loaded.tokenizer
    context, query = "the sky is green. ", "the sky is"
    # One token a byte: the tokens of both texts together are those of each.
    whole = tokenizer(context + query, return_tensors="pt").input_ids
    wanted = model(whole).logits[0, -1]
    patch = patched(model, tokenizer, context, query)
    random = patched(model, tokenizer, context, query, control="random")
    assert torch.equal(patch.inputs["input_ids"], tokenizer(query, return_tensors="pt").input_ids)
    assert torch.equal(patch.inputs_with_context["input_ids"], whole)
    with no_trace(model, patch.inputs):
        with patch:
            error = (model(**patch.inputs).logits[0, -1] - wanted).abs().max()
        with random:
            control = (model(**patch.inputs).logits[0, -1] - wanted).abs().max()
    # The norms compute in float32.
    assert error <= 1e-6 < 0.5 < control


@torch.no_grad()
@pytest.mark.parametrize("mode", ["frozen", pytest.param("compiled", marks=pytest.mark.zoo)])
def test_the_models_own_generate_says_what_the_patched_lane_says(demo, mode):
    model, tokenizer = demo
    with engine_on(model, tokenizer) as engine:
        request = Generate(prompt=Prompt(context=CONTEXT, query=QUERY), recipe=Recipe(mode=mode), n_tokens=10)
        lanes = run_to_result.generate(engine, request).lanes
    assert lanes["patched"].token_ids != lanes["plain"].token_ids
    patch = patched(model, tokenizer, CONTEXT, QUERY, mode=mode)
    how = {"max_new_tokens": 10, "do_sample": False}
    n = patch.inputs["input_ids"].shape[1]
    with no_trace(model, patch.inputs):
        with patch:
            alone = model.generate(**patch.inputs, **how)[0]
            uncached = model.generate(**patch.inputs, **how, use_cache=False)[0]
            other = tokenizer(OTHER, return_tensors="pt").input_ids[0]
            pad = torch.zeros(n - len(other), dtype=torch.long)
            rows = torch.stack([patch.inputs["input_ids"][0], torch.cat([pad, other])])
            mask = torch.stack([torch.ones(n), torch.cat([pad, torch.ones(len(other))])]).long()
            batch = model.generate(input_ids=rows, attention_mask=mask, **how)
            short = model.generate(input_ids=other[None], attention_mask=torch.ones_like(other)[None], **how)[
                0
            ]
        said = tuple(alone[n:].tolist())
        assert said == lanes["patched"].token_ids[: len(said)]
        assert len(said) == len(lanes["patched"].token_ids)
        assert torch.equal(uncached, alone)
        assert torch.equal(batch[0, : len(alone)], alone)
        assert torch.equal(batch[1, n:][: len(short) - len(other)], short[len(other) :])
        plain = model.generate(**patch.inputs, **how)[0]
    assert tuple(plain[n:].tolist()) == lanes["plain"].token_ids


@torch.no_grad()
def test_a_pipeline_goes_through_it(demo, frozen):
    model, tokenizer = demo
    speak = pipeline("text-generation", model=model, tokenizer=tokenizer)
    how = {"max_new_tokens": 1, "do_sample": False, "return_full_text": False}
    with frozen:
        assert speak(QUERY, **how)[0]["generated_text"] == " Rome"
    assert speak(QUERY, **how)[0]["generated_text"] == " Paris"


@torch.no_grad()
def test_in_bfloat16_it_is_within_what_rounding_makes():
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    whole = tokenizer(CONTEXT + QUERY, return_tensors="pt").input_ids
    wanted = model(whole).logits[0, -1].float()
    patch = patched(model, tokenizer, CONTEXT, QUERY)
    with no_trace(model, patch.inputs):
        plain = (model(**patch.inputs).logits[0, -1].float() - wanted).abs().max()
        with patch:
            error = (model(**patch.inputs).logits[0, -1].float() - wanted).abs().max()
    assert error <= max(2 * patch.noise, 2 * torch.finfo(torch.bfloat16).eps * float(wanted.abs().max()))
    assert plain > 20 * error


def test_nothing_is_left_of_it_whatever_ends_the_block(demo, frozen):
    model, _ = demo
    model.train()
    model.lm_head.weight.requires_grad_(False)

    def texts():
        with frozen:
            yield model(**frozen.inputs).logits
            yield None

    with no_trace(model, frozen.inputs):
        broken = model.model.layers[3].mlp.register_forward_hook(lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError), frozen:
            model(**frozen.inputs)
        broken.remove()
        left_open = texts()
        first = next(left_open)
        assert frozen.is_acting
        left_open.close()
        assert not frozen.is_acting
        dropped = texts()
        assert torch.equal(next(dropped), first)
        del dropped
        gc.collect()
        with frozen:  # it may be entered again
            assert torch.equal(model(**frozen.inputs).logits, first)
    model.eval()
    model.lm_head.weight.requires_grad_(True)


def test_a_model_that_it_acts_in_is_not_copied_and_not_kept():
    loaded = make_tiny("qwen3")
    model = loaded.model
    patch = patched(model, loaded.tokenizer, "the sky is green. ", "the sky is")
    with patch:
        for copied in (copy.deepcopy, pickle.dumps):
            with pytest.raises(
                BadInput, match="a patch acts in this model, and a copy would keep it for good"
            ):
                copied(model)
            with pytest.raises(
                BadInput, match=r"a patch belongs to its model in memory.*save\(path\) writes it"
            ):
                copied(patch)
    assert torch.equal(copy.deepcopy(model)(**patch.inputs).logits, model(**patch.inputs).logits)
    patch.__enter__()  # in a cell of its own, and forgotten
    there = weakref.ref(model)
    del patch, model, loaded
    gc.collect()
    assert there() is None


@torch.no_grad()
def test_its_strength_is_set_while_it_acts(demo, frozen):
    model, _ = demo
    plain = model(**frozen.inputs).logits
    with frozen:
        whole = model(**frozen.inputs).logits
        frozen.alpha = 0
        assert torch.equal(model(**frozen.inputs).logits, plain)
        frozen.alpha = 0.5
        assert not torch.equal(model(**frozen.inputs).logits, whole)
        frozen.alpha = 1.0
        assert torch.equal(model(**frozen.inputs).logits, whole)
        for wrong in (3, -1, float("nan"), "search", True):
            with pytest.raises(BadInput, match=r"alpha"):
                frozen.alpha = wrong
    assert frozen.alpha == 1.0


def test_training_goes_through_it(demo, frozen):
    """What is trained below the patch learns of the patched model: its loss falls there."""
    model, tokenizer = demo
    soft = model.get_input_embeddings()(frozen.inputs["input_ids"]).detach().requires_grad_(True)
    paris = tokenizer(" Paris", add_special_tokens=False).input_ids[0]
    trained = torch.optim.SGD([soft], lr=0.05)
    losses = []
    with frozen:
        for _ in range(4):
            trained.zero_grad()
            loss = -model(inputs_embeds=soft).logits[0, -1].log_softmax(-1)[paris]
            loss.backward()
            trained.step()
            losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    model.zero_grad()


def test_gradients_are_the_same_where_activations_are_computed_again(demo, frozen):
    model, _ = demo

    def gradients():
        model.zero_grad()
        with frozen:
            model(**frozen.inputs, use_cache=False).logits[0, -1].logsumexp(0).backward()
        return [parameter.grad for parameter in model.parameters()]

    model.train()
    once = gradients()
    model.gradient_checkpointing_enable()
    again = gradients()
    model.gradient_checkpointing_disable()
    model.eval().zero_grad()
    assert any(gradient.abs().max() > 1e-3 for gradient in once)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@torch.no_grad()
def test_a_model_with_an_adapter_of_peft_goes_through_it():
    from peft import LoraConfig, get_peft_model

    loaded = make_tiny("llama")
    config = LoraConfig(r=2, target_modules=["q_proj", "up_proj", "down_proj"], init_lora_weights=False)
    model = get_peft_model(loaded.model, config).eval()
    patch = patched(model, loaded.tokenizer, "the sky is green. ", "the sky is")
    wanted, plain = model(**patch.inputs_with_context).logits[0, -1], model(**patch.inputs).logits[0, -1]
    with patch:
        error = (model(**patch.inputs).logits[0, -1] - wanted).abs().max()
    assert error <= 1e-5 < 0.5 < (plain - wanted).abs().max()
    assert torch.equal(model(**patch.inputs).logits[0, -1], plain)


@torch.no_grad()
def test_a_patch_of_one_adapter_is_none_of_another():
    """All weights are in memory under either: which adapter acts is no weight."""
    from peft import LoraConfig, get_peft_model

    loaded = make_tiny("llama")
    config = LoraConfig(r=2, target_modules=["up_proj"], init_lora_weights=False)
    model = get_peft_model(loaded.model, config).eval()
    model.add_adapter("second", config)
    prompt = model, loaded.tokenizer, "the sky is green. ", "the sky is"
    patch, first = patched(*prompt), icltui.describe(*prompt[:2])
    model.set_adapter("second")
    assert icltui.describe(*prompt[:2]).fingerprint != first.fingerprint
    with pytest.raises(BadInput, match="other adapters act in the model"):
        patch.__enter__()
    with model.disable_adapter(), pytest.raises(BadInput, match="other adapters act in the model"):
        patch.__enter__()
    model.set_adapter("default")
    assert icltui.describe(*prompt[:2]).fingerprint == first.fingerprint
    with patch:
        said = model(**patch.inputs).logits[0, -1]
    assert (said - model(**patch.inputs_with_context).logits[0, -1]).abs().max() < 1e-5


def test_it_says_what_it_is_beside_controls(frozen):
    assert (
        repr(frozen) == "<patch of Qwen3ForCausalLM: frozen, ΔW and Δb; 6 of 6 layers, rank 1; does not act>"
    )
    assert frozen.recipe.mode == "frozen"
    assert frozen.layers == tuple(range(6))
    assert len(frozen.fit) == 6
    with frozen:
        report = frozen.report()  # of the patch, not of the patch upon the patch
    assert report == frozen.report()
    assert report.noise_floor == frozen.noise
    assert report.logits["patched"].linf < 10 * report.noise_floor
    worst = min(report.controls["random"].kl, report.controls["shuffled"].kl, report.logits["plain"].kl)
    assert report.logits["patched"].kl < 1e-6 < 1 < worst
    assert "control: random" in str(report)
    frozen.alpha = 0
    assert frozen.report().logits["patched"] == report.logits["plain"]
    frozen.alpha = 1


@torch.no_grad()
def test_it_is_saved_as_an_adapter_that_is_the_patch(demo, frozen, tmp_path):
    from peft import PeftModel

    model, tokenizer = demo
    with no_trace(model, frozen.inputs):
        with frozen:
            wanted = model(**frozen.inputs).logits
            report = frozen.save(tmp_path / "adapter")
        again = patched(model, tokenizer, adapter=tmp_path / "adapter")
        with again:
            assert torch.equal(model(**frozen.inputs).logits, wanted)
        assert report.largest_difference < 1e-4
        with pytest.raises(BadInput, match="exists already"):
            frozen.save(tmp_path / "adapter")
    fresh = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32)
    lora = PeftModel.from_pretrained(fresh, tmp_path / "adapter")
    difference = (lora(**frozen.inputs).logits - wanted).abs()
    assert difference[0, -1].max() < 1e-4


@torch.no_grad()
def test_a_session_gives_prompt_and_recipe(demo, frozen):
    model, tokenizer = demo
    session = Session(prompt=Prompt(context=CONTEXT, query=QUERY), recipe=Recipe(mode="frozen", alpha=0.5))
    whole = patched(model, tokenizer, session=session, alpha=1.0)
    assert (whole.alpha, patched(model, tokenizer, session=session).alpha) == (1.0, 0.5)
    with frozen:
        wanted = model(**frozen.inputs).logits
    with whole:
        assert torch.equal(model(**frozen.inputs).logits, wanted)


def test_every_option_of_a_recipe_is_one_of_its_own():
    signature, words = inspect.signature(patched), inspect.getdoc(patched)
    for option in options_of(Recipe):
        assert option.field in signature.parameters
        assert f"\n    {option.field} (" in words


REFUSED = {
    "per step": ({"mode": "per-step"}, "made anew for every token.*use icltui.generate"),
    "no query": ({"query": ""}, "the query is empty"),
    "unknown": ({"temperature": 1.0}, "'temperature' is no option of patched: use mode, "),
    "positions": ({"positions": "keep"}, "'positions' is no option of patched"),
    "type": ({"alpha": [1]}, "alpha"),
    "range": ({"alpha": 3.0}, "alpha 3"),
    "idle": ({"rank": 2}, "rank does nothing in mode 'frozen'"),
    "layers": ({"layers": "99"}, "layers '99' out of range"),
    "both": ({"session": 1, "adapter": "x"}, "give one"),
    "path": ({"session": "x.json"}, "str is no session: open one with"),
    "no session": ({"session": 1}, "int is no session"),
    "no adapter": ({"context": "", "query": "", "adapter": "nowhere"}, "cannot read nowhere"),
    "adapter and text": ({"adapter": "nowhere"}, "the adapter has its own context"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_patch_can_be_made_by_is_refused_in_one_line(demo, case):
    options, message = REFUSED[case]
    with pytest.raises(BadInput, match=message) as refused:
        patched(*demo, **{"context": CONTEXT, "query": QUERY, **options})
    assert "\n" not in str(refused.value)


def test_a_model_that_it_would_not_be_right_in_is_refused(demo, frozen):
    model, tokenizer = demo
    with frozen:
        for enter in (frozen, patched):
            with pytest.raises(BadInput, match="a patch acts in this model"):
                enter.__enter__() if enter is frozen else patched(model, tokenizer, CONTEXT, QUERY)
        assert frozen.is_acting
    with pytest.raises(BadInput, match="compiled"):
        patched(torch.compile(model, backend="eager"), tokenizer, CONTEXT, QUERY)
    session = Session(
        prompt=Prompt(context=CONTEXT, query=QUERY),
        recipe=Recipe(mode="frozen"),
        model=frozen.model_info.__class__(**{**as_dict(frozen.model_info), "fingerprint": "0" * 16}),
    )
    with pytest.raises(BadInput, match=r"belongs to other weights \(fingerprint 0000"):
        patched(model, tokenizer, session=session)
    with torch.no_grad():
        weight = model.get_output_embeddings().weight
        weight[0, 0] += 1
        with pytest.raises(BadInput, match="weights changed since the patch was made"):
            frozen.__enter__()
        weight[0, 0] -= 1


def as_dict(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


COMPILED = """
import sys, torch
from icltui.engine.models.checkpoint import MODEL_DIR
from icltui.notebook.patched import patched
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(MODEL_DIR)
patch = patched(model, AutoTokenizer.from_pretrained(MODEL_DIR), sys.argv[1], sys.argv[2])
compiled = torch.compile(model, backend="eager")
with torch.no_grad():
    plain = compiled(**patch.inputs).logits
    with patch:
        said = []
        for alpha in (1, 0, 0.5):
            patch.alpha = alpha
            said.append(compiled(**patch.inputs).logits)
        for alpha, logits in zip((1, 0, 0.5), said):
            patch.alpha = alpha
            print(torch.equal(logits, model(**patch.inputs).logits))
    print(torch.equal(plain, said[1]), torch.equal(plain, compiled(**patch.inputs).logits))
"""


@pytest.mark.zoo
def test_what_is_compiled_beside_it_follows_its_strength():
    """Code that is compiled of the model goes through it; in a process whose types nothing checks meanwhile."""
    command = [sys.executable, "-c", COMPILED, CONTEXT, QUERY]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert run.stdout.split() == ["True"] * 5
