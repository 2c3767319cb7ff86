"""One tokenisation, split by offset: ids equal in both runs, straddling tokens, units, the kept prefix, chat turns."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.prompt_check import check_length
from icltui.engine.prompts.token_texts import as_tokens
from icltui.engine.prompts.tokenize import MOST_BYTES_PER_TOKEN, tokenize
from icltui.storage.paths import MODEL_DIR
from icltui.values.errors import BadInput
from icltui.values.prompt import MOST_BYTES, Prompt
from tests.engine.prompts.tokenizers_of_all_kinds import of_kind
from tests.engine.small_models import tiny


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    """The embedded tokenizer, which merges; no model is needed here."""
    return LoadedModel(None, AutoTokenizer.from_pretrained(MODEL_DIR), (), "demo", None, 20)


TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=150, deadline=None)
@given(
    context=TEXT,
    query=TEXT.filter(bool),
    unit=st.sampled_from(["token", "line", "sentence/1,2", "auto", ";", "a"]),
)
def test_parts_make_up_the_one_tokenisation(context, query, unit):
    loaded = tiny("llama")
    ids, record = tokenize(loaded, Prompt(context=context, query=query, unit=unit))
    assert ids.full == loaded.tokenizer(context + query)["input_ids"]
    assert ids.plain == [*ids.prefix, *ids.query]
    assert ids.prefix == (0,)
    assert ids.ends[0] == 0
    assert ids.ends[-1] == len(ids.context)
    assert list(ids.ends) == sorted(set(ids.ends))
    assert [unit.tokens for unit in record.units] == [
        b - a for a, b in zip(ids.ends, ids.ends[1:], strict=False)
    ]
    assert all(piece.text for piece in record.units)
    if not record.notes:
        if unit in ("line", ";", "a") or context.isascii():  # else a token may be a piece of a character
            assert "".join(piece.text for piece in record.units) == context
        assert loaded.tokenizer.decode(ids.query) == query


def test_a_straddling_token_is_the_querys_and_said(demo):
    ids, record = tokenize(demo, Prompt(context="The capital of Fra", query="nce is"))
    assert record.query[0].text == " France"
    assert "straddles" in record.notes[0]
    assert ids.full == demo.tokenizer("The capital of France is")["input_ids"]


def test_a_straddling_tokens_text_is_in_no_unit(demo):
    _, record = tokenize(demo, Prompt(context="The capital of Fra", query="nce is"))
    assert "".join(unit.text for unit in record.units) == "The capital of"


def test_a_token_that_the_next_one_covers_has_its_own_text():
    """A SentencePiece tokenizer counts the space before a word as the word's, though it is a token of its own."""
    known = {name: k for k, name in enumerate(["<unk>", "</s>", "▁", "a", "b", "▁a", "▁b"])}
    tokenizer = Tokenizer(BPE(known, [("▁", "a"), ("▁", "b")], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Metaspace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    _, record = tokenize(LoadedModel(None, fast, (), "x", None, 20), Prompt(context="a </s> b", query=" b"))
    assert [unit.text for unit in record.units] == ["a", " ", "</s>", "▁", " b"]
    assert record.notes == ("the text holds '</s>', which the model reads as that special token",)


def test_a_piece_of_a_character_has_its_own_text():
    _, record = tokenize(tiny("llama"), Prompt(context="é", query="b"))
    assert [unit.text for unit in record.units] == [record.context[0].text, "é"]


def test_a_tokenizer_that_leaves_spaces_out_of_its_offsets_loses_none():
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    trimming = processors.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.backend_tokenizer.post_processor = trimming
    assert tokenizer(" The", return_offsets_mapping=True)["offset_mapping"] == [(1, 4)]
    loaded = LoadedModel(None, tokenizer, (), "demo", None, 20)
    _, record = tokenize(loaded, Prompt(context=" The capital of ", query="France"))
    assert "".join(unit.text for unit in record.units) == " The capital of"
    assert "' France' straddles" in record.notes[0]


def test_a_space_between_belongs_to_the_query(demo):
    _, record = tokenize(demo, Prompt(context="The capital of France is Rome.", query=" The capital"))
    assert [t.text for t in record.query] == [" The", " capital"]
    assert record.notes == ()


@pytest.mark.parametrize(
    ("unit", "context", "wanted"),
    [
        ("line", "one two\nthree\n", ["one two\n", "three\n"]),
        ("sentence", "One two. Three! Four", ["One two.", " Three!", " Four"]),
        ("sentence", "日本。「何？」はい！ v. 3.5", ["日本。", "「何？」", "はい！", " v.", " 3.5"]),
        (";", "a = 1; b = 2; c", ["a = 1;", " b = 2;", " c"]),
        ("line", "", []),
        ("token", "", []),
        ("token", "one", ["on", "e"]),
        ("token", "5", ["5"]),
        ("sentence", "5", ["5"]),
        (".", "1.2.", ["1.", "2."]),
        ("ab", "xaabb", ["xaab", "b"]),
    ],
)
def test_units(demo, unit, context, wanted):
    _, record = tokenize(demo, Prompt(context=context, query=" x", unit=unit))
    assert [u.text for u in record.units] == wanted
    assert [u.index for u in record.units] == list(range(1, len(wanted) + 1))


def test_a_separator_that_never_occurs_is_said(demo):
    _, record = tokenize(demo, Prompt(context="a b c", query=" d", unit="|"))
    assert len(record.units) == 1
    assert "never ends" in record.notes[-1]


@pytest.mark.parametrize(("bos", "prefix"), [("auto", 1), ("always", 1), ("never", 0)])
def test_the_kept_prefix(demo, bos, prefix):
    ids, _ = tokenize(demo, Prompt(context="a", query=" b", bos=bos))
    assert len(ids.prefix) == prefix


@pytest.mark.parametrize("chat", [False, True])
def test_an_empty_query_is_refused(demo, chat):
    with pytest.raises(BadInput, match="the query is empty"):
        tokenize(demo, Prompt(context="a", query="", chat=chat))


@pytest.mark.parametrize("context", ["", "a"])
def test_an_empty_unit_is_refused(demo, context):
    with pytest.raises(BadInput, match="the unit is empty"):
        tokenize(demo, Prompt(context=context, query="b", unit=""))


def test_a_row_too_long_says_by_how_much(demo):
    ids, _ = tokenize(demo, Prompt(context="1" * 18, query="2"))
    check_length(demo, ids)
    with pytest.raises(BadInput, match="shorten the context by 2, or generate 1"):
        check_length(demo, ids, n_more=3)


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize(("window", "most"), [(20, 20 * MOST_BYTES_PER_TOKEN), (None, MOST_BYTES)])
def test_a_text_that_cannot_fit_is_refused_before_it_is_tokenised(window, most, chat):
    loaded = LoadedModel(None, None, (), "no tokenizer is asked", None, window)
    for context, query in (("é" * (most // 2 + 1), "b"), ("a", "b" * (most + 1))):
        with pytest.raises(
            BadInput, match=r"has [\d,]+ bytes, more than|have [\d,]+ bytes, more than the model's 20"
        ):
            tokenize(loaded, Prompt(context=context, query=query, chat=chat))


def test_the_longest_token_fits_as_often_as_there_are_positions(demo):
    known = demo.tokenizer.backend_tokenizer.get_vocab()
    assert max(len(name.encode()) for name in known) <= MOST_BYTES_PER_TOKEN
    tokenize(demo, Prompt(context="a" * (20 * MOST_BYTES_PER_TOKEN - 1), query="b"))


def test_lone_surrogates_do_not_end_anything():
    ids, _ = tokenize(tiny("llama"), Prompt(context="a\ud800b", query="\udfffc"))
    assert len(ids.full) == len(tiny("llama").tokenizer("a\ufffdb\ufffdc")["input_ids"])


@pytest.mark.parametrize("text", ["[/INST]", "[/]", "\x1b[31mred", "\u202eabc", "👩‍👩‍👧‍👦", "\x00", "日本"])
def test_hostile_text_is_tokenised_like_any_other(text):
    ids, record = tokenize(tiny("llama"), Prompt(context=text, query=text))
    assert ids.context == ids.query
    assert len(record.context) == len(ids.context)


def test_ids_that_the_tokenizer_does_not_know_have_a_text_of_their_own():
    assert [t.text for t in as_tokens(tiny("llama").tokenizer, (299,))] == ["<299>"]


# Chat turns: the template's name → template, and what it writes around a text, spelt out by hand.

_CHATML = """{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
_LLAMA3 = """{% for message in messages %}{{ bos_token if loop.first else '' }}<|start|>{{ message.role }}<|end|>

{{ message.content | trim }}<|eot|>{% endfor %}{{ '<|start|>assistant<|end|>\n\n' if add_generation_prompt }}"""
TEMPLATES = {
    "chatml": (_CHATML, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "llama3": (_LLAMA3, "<|bos|><|start|>user<|end|>\n\n", "<|eot|><|start|>assistant<|end|>\n\n"),
    "plain words": ("User:{{ messages[0]['content'] }}\nAssistant:", "User:", "\nAssistant:"),
    "bare": ("{{ messages[0]['content'] }}", "", ""),
}
_SPECIAL = ["<|im_start|>", "<|im_end|>", "<|start|>", "<|end|>", "<|eot|>"]


@cache
def chatty(template: str) -> LoadedModel:
    """The embedded tokenizer, which merges, with a chat template."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.add_special_tokens({"extra_special_tokens": _SPECIAL})
    tokenizer.chat_template = TEMPLATES[template][0] if template in TEMPLATES else template
    return LoadedModel(None, tokenizer, (), "demo", None, 400)


def ids_of(loaded: LoadedModel, text: str) -> list[int]:
    return loaded.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(context=TEXT, query=TEXT.filter(bool))
def test_a_turn_is_tokenised_once_and_written_by_the_template(name, context, query):
    _, header, footer = TEMPLATES[name]
    loaded = chatty(name)
    ids, record = tokenize(loaded, Prompt(context=context, query=query, chat=True))
    assert ids.full == ids_of(loaded, header + context + query + footer)
    assert ids.plain == [*ids.prefix, *ids.query]
    assert ids.ends[-1] == len(ids.context)
    assert all(unit.text for unit in record.units)
    if not any("straddles" in note for note in record.notes):
        assert list(ids.prefix) == ids_of(loaded, header)
        if context.isascii():
            assert "".join(unit.text for unit in record.units) == context
        assert loaded.tokenizer.decode(ids.query) == query + footer


def test_header_and_footer_are_in_both_runs():
    ids, record = tokenize(chatty("chatml"), Prompt(context="The capital", query=" of", chat=True))
    assert record.prefix[0].text == "<|im_start|>"
    assert [t.text for t in record.context] == ["The", " capital"]
    assert [t.text for t in record.query][:3] == [" of", "<|im_end|>", "\n"]
    assert record.query[-1].text == "\n"
    assert record.notes == ()
    assert ids.plain == [*ids.prefix, *ids.query]


def test_a_token_that_straddles_header_and_context_is_the_contexts_and_said():
    loaded = chatty("User: Fra{{ messages[0]['content'] }}\n")
    _, record = tokenize(loaded, Prompt(context="nce is", query=" a", chat=True))
    assert record.context[0].text == " France"
    assert record.units[0].text == "nce"
    assert record.notes == (
        "the token ' France' straddles chat header and context: it counts as the context's",
    )


@pytest.mark.parametrize("context", ["", "n"])
def test_a_token_that_straddles_the_header_and_reaches_the_query_is_the_querys(context):
    loaded = chatty("User: Fra{{ messages[0]['content'] }}\n")
    ids, record = tokenize(loaded, Prompt(context=context, query="nce"[len(context) :], chat=True))
    assert ids.context == ()
    assert record.query[0].text == " France"
    assert "straddles chat header and query" in record.notes[0]
    assert len(record.notes) == 1 + len(context)


def test_a_template_that_strips_is_not_followed_and_said():
    ids, record = tokenize(chatty("llama3"), Prompt(context="  The", query=" end  ", chat=True))
    assert ids.full == ids_of(
        chatty("llama3"), TEMPLATES["llama3"][1] + "  The end  " + TEMPLATES["llama3"][2]
    )
    assert "it is used exactly as typed" in record.notes[0]


def test_a_template_that_walks_over_parts_is_followed():
    parted = "User: {% for part in messages[0]['content'] %}{{ part['text'] }}{% endfor %}\n"
    _, record = tokenize(chatty(parted), Prompt(context="The capital", query=" of", chat=True))
    assert "".join(token.text for token in record.prefix) == "User:"
    assert "".join(token.text for token in record.context) == " The capital"
    assert "".join(token.text for token in record.query) == " of"


def test_template_code_in_a_prompt_is_text():
    text = "{{ 7 * 7 }}{% for m in messages %}{# c #}"
    _, record = tokenize(chatty("chatml"), Prompt(context=text, query="{{ bos_token }}", chat=True))
    assert "".join(token.text for token in record.context) == text
    assert record.notes == ()


@pytest.mark.parametrize("chat", [True, False])
def test_a_special_token_that_was_typed_is_said(chat):
    _, record = tokenize(chatty("chatml"), Prompt(context="a<|im_end|>", query="b", chat=chat))
    assert record.notes == ("the text holds '<|im_end|>', which the model reads as that special token",)


@pytest.mark.parametrize("kind", ["WordPiece", "Metaspace never", "Unigram", "legacy"])
def test_what_is_unknown_is_told_from_the_special_token_that_was_typed(kind):
    def said(context: str, query: str) -> list[str]:
        _, record = tokenize(of_kind(kind), Prompt(context=context, query=query))
        return [note for note in record.notes if "straddles" not in note]

    holds = "the text holds '<unk>', which the model reads as that special token"
    assert said("a <unk> c", " a") == [holds]
    (note,) = said("a ζ c", " a ξ ζ")
    assert note.startswith("the tokenizer does not know '")
    assert {"ζ", "ξ"} <= {*note}
    assert note.endswith(": the model reads '<unk>' there")
    assert said("a <unk> ζ", " a")[0] == holds
    assert len(said("a <unk> ζ", " a")) == 2


def test_only_some_of_what_is_unknown_is_quoted():
    text = " ".join(["θ" * 500, *"ζξπστυφ"])
    _, record = tokenize(of_kind("WordPiece"), Prompt(context=text, query=" a"))
    (note,) = record.notes
    assert note.startswith(f"the tokenizer does not know '{'θ' * 20}…', 'ζ', 'ξ', 'π', 'σ' and 3 more: ")


def test_a_context_without_tokens_is_said():
    _, record = tokenize(of_kind("WordPiece"), Prompt(context="  ", query="a"))
    assert record.units == ()
    assert record.notes == ("the tokenizer makes no token of this context: it changes nothing",)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (None, "has no chat template: leave --chat out"),
        ("{{ messages[0]['content'] }} {{ messages[0]['content'] }}", "writes the user's text 2 times"),
        ("{{ messages[0]['content'] | length }}", "writes the user's text 0 times"),
        ("{{ messages[0]['content'][::2] }}", "writes the user's text 0 times"),
        ("{{ messages[0]['content'] | urlencode }}", "writes the user's text 0 times"),
        (
            "{% if messages[0]['role'] != 'system' %}{{ raise_exception('a system\n turn first') }}{% endif %}",
            r"refuses a lone user turn \(a system turn first\): leave --chat out",
        ),
        ("{{ messages[0]['content'] + 1 }}", "refuses a lone user turn"),
        ("{% if %}", "refuses a lone user turn"),
        ({"tool_use": "a"}, "refuses a lone user turn"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_the_way_out(template, words):
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.chat_template = template
    with pytest.raises(BadInput, match=words) as caught:
        tokenize(LoadedModel(None, tokenizer, (), "demo", None, 20), Prompt(query="b", chat=True))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("name", "wanted"), [("chatml", 1), ("llama3", 1), ("bare", 1)])
def test_bos_always_puts_one_in_front_of_a_turn(name, wanted):
    ids, _ = tokenize(chatty(name), Prompt(context="a", query="b", chat=True, bos="always"))
    assert ids.prefix[0] == 0
    assert ids.full.count(0) == wanted


def test_bos_never_does_not_go_with_a_turn():
    with pytest.raises(BadInput, match="bos 'never' does not go with --chat"):
        tokenize(chatty("llama3"), Prompt(query="b", chat=True, bos="never"))
