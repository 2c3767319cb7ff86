"""Which token is kept where the tokenizer puts none: in which order, and when at all."""

from dataclasses import replace

import pytest
from tokenizers import AddedToken, processors

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.kept_token import kept_token
from icltui.engine.prompts.tokenize import tokenize
from icltui.values import Sink
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from tests.engine.small_models import make_tiny, make_tokenizer

SINK = Sink(position=0, ratio=98.0, layers=(1,))


@pytest.fixture
def bare() -> LoadedModel:
    """A model with a sink, whose tokenizer puts nothing before a text and gives no token a role"""
    loaded = make_tiny("qwen3")
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.bos_token = None
    for config in (loaded.model.config, loaded.model.generation_config):
        config.bos_token_id = None
    return replace(loaded, tokenizer=tokenizer, sink=SINK)


def special(loaded: LoadedModel, name: str, role: str = "") -> int:
    """The id of a new special token, with a role such as ``bos_token`` or without."""
    loaded.tokenizer.add_tokens([AddedToken(name, special=True)])
    if role:
        setattr(loaded.tokenizer, role, name)
    return int(loaded.tokenizer.convert_tokens_to_ids(name))


def kept(loaded: LoadedModel, **options: object) -> tuple[int, ...]:
    ids, record = tokenize(loaded, prompt_with(**options))
    assert tuple(token.id for token in record.prefix) == ids.prefix
    assert ids.full == [*ids.prefix, *loaded.tokenizer("abc", add_special_tokens=False)["input_ids"]]
    return ids.prefix


def prompt_with(**options: object) -> Prompt:
    return Prompt(context="ab", query="c", **options)


def test_each_source_gives_way_to_the_one_before(bare):
    """Added from the last of the order to the first, as Qwen3's and GPT-2's files have them."""
    pad = special(bare, "<pad>", "pad_token")
    assert kept(bare) == (pad,)
    eos = special(bare, "<|im_end|>", "eos_token")
    assert kept(bare) == (eos,)
    separator = special(bare, "<|endoftext|>")
    assert kept(bare) == (separator,)
    of_generation, of_config = special(bare, "<g>"), special(bare, "<c>")
    bare.model.generation_config.bos_token_id = of_generation
    assert kept(bare) == (of_generation,)
    bare.model.config.bos_token_id = of_config
    assert kept(bare) == (of_config,)
    bos = special(bare, "<b>", "bos_token")
    assert kept(bare) == (bos,)
    assert len({pad, eos, separator, of_generation, of_config, bos}) == 6


@pytest.mark.parametrize("number", [65, -1, 10**6, None])
def test_a_configs_number_that_is_no_special_token_here_is_left_aside(bare, number):
    """Such as the usual 1 of Llama's class, on a vocabulary where 1 is a letter."""
    bare.model.config.bos_token_id = number
    assert kept_token(bare) is None


def test_a_token_that_the_model_does_not_embed_is_left_aside(bare):
    tokenizer = bare.tokenizer
    tokenizer.add_tokens([f"w{k}" for k in range(100)])
    assert special(bare, "<far>", "bos_token") >= 300
    assert kept_token(bare) is None
    tokenizer.eos_token = "<s>"
    assert kept(bare) == (0,)


@pytest.mark.parametrize(
    ("bos", "sink", "wanted"),
    [
        ("auto", SINK, (0,)),
        ("auto", None, ()),
        ("always", None, (0,)),
        ("always", SINK, (0,)),
        ("never", SINK, ()),
    ],
)
def test_auto_keeps_one_only_where_there_is_a_sink(bare, bos, sink, wanted):
    bare.tokenizer.bos_token = "<s>"
    assert kept(replace(bare, sink=sink), bos=bos) == wanted


def test_the_tokenizers_own_special_tokens_come_first(bare):
    own = replace(bare, tokenizer=make_tokenizer())
    own.tokenizer.eos_token = "<e>"
    assert kept(own) == kept(replace(own, sink=None)) == (0,)


def test_nothing_usable_is_nothing_kept_and_said_unless_it_is_demanded(bare):
    said = "neither the tokenizer nor the model has a special token to keep before the text"
    assert kept(bare) == ()
    assert tokenize(bare, prompt_with())[1].notes == (said,)
    for other in (replace(bare, sink=None), replace(bare, tokenizer=make_tokenizer())):
        assert tokenize(other, prompt_with())[1].notes == ()
    with pytest.raises(
        BadInput, match=r"^bos 'always' asked, but .* no BOS token, nor another special one: use auto"
    ):
        kept(bare, bos="always")


@pytest.mark.parametrize(("header", "is_needed"), [("", True), ("<u>", False)])
def test_a_chat_header_is_enough(bare, header, is_needed):
    bare.tokenizer.bos_token = "<s>"
    bare.tokenizer.chat_template = f"{{% for m in messages %}}{header}{{{{ m['content'] }}}}{{% endfor %}}"
    ids, _ = tokenize(bare, prompt_with(chat=True))
    assert (ids.prefix == (0,)) == is_needed
    assert len(ids.prefix) == (1 if is_needed else len(header))
