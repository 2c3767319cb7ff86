"""Foreign model code: what it gives is read however it is given, what it raises is one sentence; no cache is needed."""

from typing import Any, NamedTuple

import pytest
import torch
from transformers import LlamaForCausalLM

from icltui.api import run_to_result
from icltui.api.messages import Generate, LoadModel, Measure, Verify
from icltui.engine import local
from icltui.engine.hooks.run_model import forward_output
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import wrap_model
from icltui.engine.patch.decoding import stop_tokens
from icltui.values.errors import EngineError, ForwardError, ModelError
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.generators import returning
from tests.engine.small_models import make_tiny, make_tokenizer
from tests.thinned import thinned

PROMPT = Prompt(context="the cat sat on ", query="the mat")
LONG = 20
"""Tokens that no trial at load has, and the prompt has."""


class Given(NamedTuple):
    """What a forward is called with."""

    ids: torch.Tensor
    past: Any
    use_cache: bool | None


class Bare(LlamaForCausalLM):
    """A bare tuple of logits and cache, whatever is asked for."""

    def forward(
        self, input_ids, position_ids=None, attention_mask=None, past_key_values=None, use_cache=None
    ):
        self.seen(Given(input_ids, past_key_values, use_cache))
        out = super().forward(
            input_ids,
            position_ids=position_ids,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
        )
        return self.given(out)

    def seen(self, given):
        """Nothing happens."""

    def given(self, out):
        return out.logits, out.past_key_values


class InAList(Bare):
    def given(self, out):
        return [out.logits, out.past_key_values]


class InADict(Bare):
    def given(self, out):
        return {"logits": out.logits, "past_key_values": out.past_key_values}


class IdsAlone(LlamaForCausalLM):
    """Takes nothing that could be left out."""

    def forward(self, input_ids):
        return super().forward(input_ids, use_cache=False)


class LogitsAlone(Bare):
    def given(self, out):
        return (out.logits,)


class OldCache(Bare):
    def seen(self, given):
        if given.past is not None:
            given.past.seen_tokens  # noqa: B018

    def given(self, out):
        return out


class OldLength(OldCache):
    def seen(self, given):
        if given.past is not None:
            given.past.get_usable_length(given.ids.shape[1], 0)


class PairsOfTensors(OldCache):
    """The cache before 2023: (key, value) of each layer, which today's code does not take."""

    def given(self, out):
        cache = out.past_key_values
        return out.logits, cache and tuple((layer.keys, layer.values) for layer in cache.layers)

    def seen(self, given):
        if isinstance(given.past, tuple):
            raise ValueError("one vector too many")


class NoneAtAll(OldCache):
    def seen(self, given):
        if given.use_cache:
            raise ImportError("this cache is gone")


class Unheard(LlamaForCausalLM):
    """Takes a cache and does not read it."""

    def forward(self, input_ids, position_ids=None, use_cache=None, **_past):
        return super().forward(input_ids, position_ids=position_ids, use_cache=use_cache)


GO_ON = (Bare, InAList, InADict)
WITHOUT = (LogitsAlone, OldCache, OldLength, PairsOfTensors, NoneAtAll, Unheard, IdsAlone)


def load(kind, monkeypatch, **config):
    """An engine that has loaded a tiny Llama whose code is ``kind``."""
    model = make_tiny("llama", torch.float32).model
    model.__class__ = kind
    for name, value in config.items():
        for module in model.modules():
            if hasattr(module, "config"):
                setattr(module.config, name, value)
    monkeypatch.setattr(local, "load", lambda *_: returning(wrap_model(model, make_tokenizer(), "tiny")))
    engine = LocalEngine()
    return engine, run_to_result.load(engine, LoadModel())


def answers(engine):
    """A little of everything that a cache serves."""
    recipes = (Recipe(), Recipe(mode="frozen"), Recipe(mode="compiled", n_fitted=2))
    generations = [
        run_to_result.generate(engine, Generate(prompt=PROMPT, recipe=recipe, n_tokens=4))
        for recipe in recipes
    ]
    measured = run_to_result.measure(engine, Measure(prompt=PROMPT))
    norms = torch.tensor([row.delta_norm or 0.0 for row in measured.rows])
    return norms, [{name: lane.token_ids for name, lane in g.lanes.items()} for g in generations]


@pytest.fixture(scope="module")
def reference():
    with pytest.MonkeyPatch.context() as patch:
        engine, info = load(LlamaForCausalLM, patch)
        assert (info.path, info.notes) == ("packed", ())
        return answers(engine)


@pytest.mark.parametrize("kind", thinned([*GO_ON, *WITHOUT], 2))
def test_the_answers_are_those_of_the_plain_model(kind, reference, monkeypatch):
    engine, info = load(kind, monkeypatch)
    assert bool(info.notes) == (kind in WITHOUT)
    norms, lanes = answers(engine)
    torch.testing.assert_close(norms, reference[0], rtol=1e-3, atol=1e-4)
    assert lanes == reference[1]
    proof = run_to_result.verify(engine, Verify(prompt=PROMPT))
    assert proof.ok
    assert proof.noise_floor > 0 or kind in GO_ON


@pytest.mark.parametrize("setting", ["return_dict", "use_cache"])
def test_settings_of_old_training_do_not_matter(setting, reference, monkeypatch):
    engine, info = load(LlamaForCausalLM, monkeypatch, **{setting: False})
    assert (info.path, info.notes) == ("packed", ())
    assert answers(engine)[1] == reference[1]


class Own(Exception):
    """Of a model's own."""


class Panic(BaseException):
    """As PyO3 makes it."""


FAULTS = [
    Own,
    ZeroDivisionError,
    KeyError,
    AssertionError,
    NotImplementedError,
    StopIteration,
    OSError,
    SystemExit,
    Panic,
    TypeError,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_its_forward_raises_is_one_sentence(fault, monkeypatch):
    class Faulty(OldCache):
        def seen(self, _given):
            raise fault("of two\nlines")

    with pytest.raises(ModelError) as caught:
        load(Faulty, monkeypatch)
    words = f"the forward pass of Faulty fails: {fault.__name__}: "
    assert str(caught.value).startswith(words)
    assert "test_run_model.py, line " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("request_", [Measure, Generate, Verify])
def test_so_it_is_where_it_fails_later_on(request_, monkeypatch):
    class Later(OldCache):
        def seen(self, given):
            if given.ids.shape[1] > LONG:
                raise Own("too long")

    engine, _ = load(Later, monkeypatch)
    with pytest.raises(ForwardError, match=r"of Later fails: Own: too long \(test_run_model\.py, line \d+\)"):
        list(engine.run(request_(prompt=PROMPT), lambda: False))


class Speechless(Exception):
    def __str__(self):
        raise ValueError("of it nothing can be said")


class Unreadable:
    @property
    def logits(self):
        raise Own("not here")


class Ungettable(dict):
    def get(self, *_):
        raise Own("not here")


class Wordless(OldCache):
    def seen(self, _given):
        raise Speechless


class HoldingUnreadable(Bare):
    def given(self, _out):
        return Unreadable()


class HoldingUngettable(Bare):
    def given(self, out):
        return Ungettable(logits=out.logits)


@pytest.mark.parametrize("kind", [Wordless, HoldingUnreadable, HoldingUngettable])
def test_so_it_is_where_neither_error_nor_output_can_be_read(kind, monkeypatch):
    with pytest.raises(
        ForwardError, match=rf"of {kind.__name__} fails: (Speechless|Own).*test_run_model\.py, line"
    ):
        load(kind, monkeypatch)


def test_memory_that_runs_out_is_no_fault_of_its_code(monkeypatch):
    class Hungry(OldCache):
        def seen(self, given):
            if given.ids.shape[1] > LONG:
                torch.empty(2**58)

    engine, _ = load(Hungry, monkeypatch)
    with pytest.raises(EngineError, match=r"^out of memory: 1.15e\+06 TB more .*: shorten the context"):
        list(engine.run(Measure(prompt=PROMPT), lambda: False))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda _: None, "gives nothing as logits"),
        (lambda _: (), "gives nothing as logits"),
        (lambda _: "logits", "gives nothing as logits"),
        (lambda _: {"loss": 0.0}, "gives nothing as logits"),
        (lambda out: (out.logits[..., :24],), r"shape \(1, 5, 24\)|shape \(1, \d+, 24\)"),
        (lambda out: (out.logits[0],), r"shape \(\d+, 300\)"),
        (lambda out: (out.logits.expand(2, -1, -1),), r"shape \(2, \d+, 300\)"),
        (lambda out: (out.logits.long(),), "int64 numbers of shape"),
        (lambda out: (out.logits[:, :0],), r"shape \(1, 0, 300\)"),
        (lambda out: ([out.logits],), "gives a list as logits"),
        (lambda out: {"logits": out.logits.to("meta")}, "without values"),
        (lambda out: {"logits": out.logits.to_sparse()}, "sparse_coo float32 numbers"),
    ],
)
def test_what_holds_no_logits_is_said(given, words, monkeypatch):
    class Strange(Bare):
        pass

    Strange.given = lambda _self, out: given(out)
    with pytest.raises(ForwardError, match=words) as caught:
        load(Strange, monkeypatch)
    assert "the forward pass of Strange gives" in str(caught.value)


def test_who_interrupts_a_pass_is_heard():
    model = make_tiny("llama", torch.float32).model

    class Interrupted(OldCache):
        def seen(self, _given):
            raise KeyboardInterrupt

    model.__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt):
        forward_output(model, torch.tensor([[1, 2]]))


@pytest.mark.parametrize(
    ("eos", "ends"), [(3, {3}), ([3, 4], {3, 4}), (None, set()), ("x", set()), ([3, [4]], {3})]
)
def test_whatever_stands_for_the_end_of_a_text(eos, ends):
    loaded = make_tiny("llama", torch.float32)
    loaded.model.generation_config.eos_token_id = eos
    assert stop_tokens(loaded) == ends
