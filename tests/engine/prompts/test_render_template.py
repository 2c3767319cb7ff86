"""Chat templates: what Transformers would write, within bounds, and nothing of a template that goes beyond them."""

from threading import Thread
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from icltui.engine.prompts import render_template
from icltui.engine.prompts.chat_template import render_turn
from icltui.engine.prompts.render_template import TemplateError, render
from icltui.storage.paths import MODEL_DIR
from icltui.values.errors import BadInput
from tests.engine.prompts.test_tokenize import TEMPLATES
from tests.thinned import thinned


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL_DIR)


def talking(written):
    return SimpleNamespace(chat_template=written, get_chat_template=lambda: written, special_tokens_map={})


SAME = [
    *(written for written, *_ in TEMPLATES.values()),
    "{{ bos_token }}{{ messages | tojson }}{{ strftime_now('%Y') }}{{ eos_token }}",
    "{% for m in messages %}\n    {% if loop.first %}{{ m.content }}{% break %}{% endif %}\n{% endfor %}\n",
    "{% generation %}{{ messages[0].content }}{% endgeneration %}{{ dict(a=1) }}{{ tools }}",
    "{% set n = namespace(x=1) %}{% set n.x = n.x + 1 %}{{ n.x }}{{ messages[0].content is string }}",
    "{% if add_generation_prompt and not documents %}{{ messages[0]['content'] | trim | upper }}{% endif %}",
]


@pytest.mark.parametrize("written", SAME)
@pytest.mark.parametrize("content", ["a b", " <x>\n日本 'q' ", [{"type": "text", "text": "a"}]])
def test_it_is_what_transformers_writes(tokenizer, written, content):
    tokenizer.chat_template = written
    try:
        wanted = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
    except Exception:  # noqa: BLE001 -- whatever it is
        with pytest.raises(TemplateError):
            render(tokenizer, [content])
    else:
        assert render(tokenizer, [content, content]) == [wanted, wanted]


_NESTED = "{% for i in range(99999) %}{% for j in range(99999) %}"
_ENDS = "{% endfor %}{% endfor %}"
ENDLESS = {
    "a loop in a loop": _NESTED + _ENDS,
    "a number of a billion digits": "{{ (10 ** (10 ** 9)) % 7 }}",
}
TOO_LARGE = {
    "a product": "{{ 'a' * 10 ** 10 }}",
    "a product that fits in the memory": "{{ 'a' * 2 * 10 ** 6 }}",
    "two million items": "{% for i in range(99999) %}{% for j in range(20) %}x" + _ENDS,
    "a list": "{{ [0] * 10 ** 10 }}",
    "doubling": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "joining": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "a width": "{{ '%10000000000d' % 1 }}",
    "a filter's width": "{{ 'a' | center(10 ** 10) }}",
    "a method's width": "{{ 'a'.ljust(10 ** 10) }}",
    "a range": "{% for i in range(10 ** 9) %}{% endfor %}",
    "a macro in itself": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "brackets": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "lists in lists": "{{ " + "[" * 50_000 + "]" * 50_000 + " }}",
    "itself": "{{ 1 }}" * 500_000,
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_template_without_bounds_is_refused(monkeypatch, name):
    monkeypatch.setattr(render_template, "SECONDS", 30.0)
    with pytest.raises(BadInput, match="leave --chat out") as caught:
        render_turn(talking(TOO_LARGE[name] + "{{ messages[0].content }}"), "a")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", thinned(ENDLESS, 2))
@pytest.mark.soak
def test_a_template_without_end_is_refused_in_a_thread_too(monkeypatch, name):
    """Where no signal could be waited for; and the next one is rendered."""
    monkeypatch.setattr(render_template, "SECONDS", 0.2)
    heard = []

    def ask() -> None:
        try:
            render_turn(talking(ENDLESS[name]), "a")
        except BadInput as error:
            heard.append(str(error))

    thread = Thread(target=ask)
    thread.start()
    thread.join(100)
    (message,) = heard
    assert message.startswith("the chat template is not done after 0.2 seconds: leave --chat out")
    monkeypatch.setattr(render_template, "SECONDS", 30.0)
    assert render_turn(talking("<{{ messages[0].content }}>"), "a").footer == ">"


@pytest.mark.parametrize(
    "written", [5, ["a"], "{{ '\\ud800' }}{{ messages[0].content }}", "\udfff{{ messages[0].content }}"]
)
def test_what_is_no_text_or_writes_none_is_refused(written):
    with pytest.raises(BadInput, match=r"(is no text|half a character).*leave --chat out"):
        render_turn(talking(written), "a")


def test_a_process_that_was_ended_is_started_again():
    render(talking("a"), ["b"])
    render_template._RENDERER._process.kill()
    render_template._RENDERER._process.wait()
    assert render(talking("a"), ["b"]) == ["a"]


# A filter that rewrites the text: what it would do is said, and the text is used as typed; never a list in its place.
FILTERS = [
    "m.content | capitalize",
    "m.content | upper",
    "m.content | lower",
    "m.content | title",
    "m.content | trim",
    "m.content | replace('a', 'b')",
    "m.content | e",
    "m.content | striptags",
    "m.content | string",
    "m.content | safe",
    "m.content | default('')",
    "m.content | truncate(200)",
    "m.content | wordwrap(3)",
    "m.content | join",
    "m.content | list | join",
    "m['content'].strip().split('</think>')[-1]",
    "m.content[:12]",
    "m.content[:1]",
    "m.content[1:]",
    "m.content[::-1]",
    "m.content | reverse",
    "m.content | first",
    "m.content | last",
    "m.content | length",
    "m.content | tojson",
    "m.content | list | tojson",
    "m.content[:2] | tojson",
    "m.content[:1] | join",
    "m.content | pprint",
    "m.content | urlencode",
    "m.content | indent",
    "m.content | batch(2) | list",
    "m.content | map('string') | list",
    "m | tojson",
    "m",
    "m.items() | list",
    "m.content | map(attribute='text') | join",
    "m.content[0].text",
    "m.content[0]['text'] | upper",
    "m.content[0]",
    "m.content | selectattr('type', 'equalto', 'text') | list",
    "m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join",
]


@pytest.mark.parametrize("body", FILTERS)
@pytest.mark.parametrize("text", ["the cat sat ", "It's <b>"])
def test_no_list_stands_where_the_text_should(body, text):
    try:
        turn = render_turn(talking("{% for m in messages %}<u>{{ " + body + " }}{% endfor %}A:"), text)
    except BadInput as refused:
        reason = str(refused)
        assert "writes the user's text" in reason or "refuses" in reason
        return
    for trace in ("type", "unused", "[{", "\ue8c4", "\ue8c5"):
        assert trace not in turn.header + turn.footer
    assert (turn.header.startswith("<u>"), turn.footer.endswith("A:")) == (True, True)


@pytest.mark.parametrize("body", ["m.content | capitalize", "m.content | upper", "m.content | trim"])
def test_a_text_that_is_as_the_template_wants_it_is_not_called_changed(body):
    written = "{% for m in messages %}<u>{{ " + body + " }}{% endfor %}A:"
    as_wanted = {"capitalize": "The cat", "upper": "THE CAT", "trim": "the cat"}[body.split()[-1]]
    assert render_turn(talking(written), as_wanted).is_as_typed
    assert not render_turn(talking(written), "the Cat ").is_as_typed
