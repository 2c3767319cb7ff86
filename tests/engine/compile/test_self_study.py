"""The queries that a model writes in a context: the same each time, kept, bounded, and dropped where unusable."""

from pathlib import Path

import msgspec
import pytest
from transformers import AutoTokenizer

from icltui.engine.compile import self_study
from icltui.engine.compile.calibration_queries import CalibrationQueries, calibration_queries
from icltui.engine.compile.study_file import Attempt
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.storage.paths import MODEL_DIR
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from tests.engine.small_models import tiny

pytestmark = pytest.mark.soak

LABELS = Prompt(
    context="plum: yellow\npine: red\nsalad: yellow\nhorse: orange\nwillow: red\ncheese: yellow\n"
)
STORY = Prompt(context="Mia is in the kitchen. Ben is in the garden. Lucy went to the attic.")
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}<assistant>"


class Stopped(Exception):
    """The user has had enough."""


class Patience:
    """Hears of so many tokens, and stops at the next."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, *_told) -> None:
        if not self.left:
            raise Stopped
        self.left -= 1


def study(loaded: LoadedModel, prompt: Prompt = LABELS, n: int = 5, **kwargs) -> CalibrationQueries:
    return calibration_queries(loaded, prompt, "self", n, **kwargs)


def kept(state: Path) -> list[Attempt]:
    (file,) = state.glob("*.json")
    return msgspec.json.decode(file.read_bytes(), type=list[Attempt])


def forget(state: Path) -> None:
    for file in state.glob("*.json"):
        file.unlink()


def test_the_model_goes_on_with_a_list_up_to_each_value(demo: LoadedModel) -> None:
    made = study(demo).queries
    assert len(made) == len(set(made)) == 5
    for query in made:
        assert query.endswith(":")
        assert query.count(":") == 1
        assert query == query.strip()


def test_a_seed_gives_the_same_queries_and_another_one_others(demo: LoadedModel, state: Path) -> None:
    first = study(demo, seed=3)
    forget(state)
    assert study(demo, seed=3) == first
    assert study(demo, seed=4).queries != first.queries


@pytest.mark.parametrize("prompt", [LABELS, STORY], ids=["list", "prose"])
def test_a_study_stopped_anywhere_goes_on_to_the_same_queries(
    demo: LoadedModel, state: Path, prompt: Prompt
) -> None:
    whole, tokens = study(demo, prompt), []
    written = kept(state)
    study(demo, prompt, on_progress=lambda *told: tokens.append(told))
    assert "the model writes queries" not in [stage for stage, *_ in tokens]  # nothing is written twice
    forget(state)
    for patience in (1, 4, 9):
        with pytest.raises(Stopped):
            study(demo, prompt, on_progress=Patience(patience))
    so_far = kept(state)
    assert 0 < len(so_far) < len(written)
    assert so_far == written[: len(so_far)]
    assert study(demo, prompt) == whole
    assert kept(state) == written


def test_one_who_reads_along_may_stop_and_keeps_what_was_read(demo: LoadedModel, state: Path) -> None:
    read: list[tuple[str, int, int]] = []

    def read_two(*told) -> None:
        read.append(told)
        if len(read) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        study(demo, on_query=read_two)
    queries = [attempt.query for attempt in kept(state) if attempt.query]
    assert [text for text, _, _ in read] == queries
    assert [(number, wanted) for _, number, wanted in read] == [(1, 5), (2, 5)]
    assert study(demo).queries[:2] == tuple(queries)


def test_more_queries_begin_with_those_of_fewer(demo: LoadedModel) -> None:
    few = study(demo, n=2).queries
    assert study(demo, n=4).queries[:2] == few


def test_unseen_queries_stay_unseen_and_others_come_instead(demo: LoadedModel) -> None:
    made = study(demo, n=4).queries
    unseen = (made[1], made[2].upper() + " ")
    again = study(demo, n=4, unseen=unseen).queries
    assert again[:2] == (made[0], made[3])
    assert len(set(again)) == 4
    assert not {*made[1:3]} & {*again}
    pieces = calibration_queries(demo, LABELS, "repeat", 4, unseen=("pine:",)).queries
    assert pieces == ("plum:", "salad:", "horse:", "willow:")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"query": 5}]',
        b'[{"query": "a:", "dropped": "\\u001b[31m"}]',
        b"[" * 100_000,
        b"\xff\xfe",
        b'[{"query": "x:"}' + b" " * 2**22 + b"]",
    ],
    ids=range(8),
)
def test_a_damaged_file_is_begun_anew_and_told(demo: LoadedModel, state: Path, damage: bytes) -> None:
    whole, written = study(demo, n=2), kept(state)
    (file,) = state.glob("*.json")
    file.write_bytes(damage)
    again = study(demo, n=2)
    assert again.queries == whole.queries
    assert again.notes[0] == "the file of this self-study was damaged, so it was begun anew"
    assert kept(state) == written


@pytest.mark.parametrize("text", ["\x1b[2Jred:", "", "a" * 500, LABELS.context + "x:"], ids=range(4))
def test_a_file_that_somebody_wrote_into_counts_up_to_there(
    demo: LoadedModel, state: Path, text: str
) -> None:
    whole = study(demo, n=3)
    (file,) = state.glob("*.json")
    attempts = kept(state)
    last = max(number for number, attempt in enumerate(attempts) if attempt.query)
    attempts[last] = Attempt(text)
    file.write_bytes(msgspec.json.encode(attempts))
    again = study(demo, n=3)
    assert again.queries == whole.queries
    assert "damaged" in again.notes[0]


def test_another_model_context_or_seed_has_a_file_of_its_own(demo: LoadedModel, state: Path) -> None:
    study(demo, n=1)
    study(demo, n=1, seed=1)
    study(demo, Prompt(context=LABELS.context + "moss: red\n"), n=1)
    with pytest.raises(BadInput):
        study(tiny("llama"), Prompt(context="a: b\nc: d\n"), n=1)
    assert len(list(state.glob("*.json"))) == 4


def test_where_nothing_can_be_kept_the_study_goes_on(
    demo: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = study(demo, n=2)
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert study(demo, n=2) == whole


def test_a_model_that_writes_nothing_usable_is_told_with_the_way_out(state: Path) -> None:
    with pytest.raises(BadInput, match="wrote no usable query in the context") as caught:
        study(tiny("llama"), Prompt(context="a: b\nc: d\n"), n=1)
    assert "give --queries, try another --seed, or use --calibrate repeat" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(kept(state)) == self_study.MOST_ATTEMPTS_PER_QUERY


def test_a_study_ends_in_time_with_what_it_has(demo: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 400))
    monkeypatch.setattr(self_study.time, "monotonic", lambda: float(next(clock)))
    made = study(demo, n=50)
    pieces = calibration_queries(demo, LABELS, "repeat", 50).queries
    n_written = len(made.queries) - len(pieces)
    assert 1 <= n_written <= 2
    assert made.queries[n_written:] == pieces
    assert (
        made.notes[-1]
        == f"the model wrote {n_written} of 50 queries, and {len(pieces)} are pieces of the context"
    )


@pytest.mark.parametrize("n", [0, -1, 257, 10**9])
def test_too_many_queries_are_refused(demo: LoadedModel, n: int) -> None:
    with pytest.raises(BadInput, match="ask for 1 to 256"):
        study(demo, n=n)


@pytest.mark.parametrize("context", ["", " \n"])
def test_without_a_context_there_is_nothing_to_study(demo: LoadedModel, context: str) -> None:
    with pytest.raises(BadInput, match="there is no context to make queries from"):
        study(demo, Prompt(context=context))


def test_a_context_that_fills_the_model_is_refused(demo: LoadedModel) -> None:
    with pytest.raises(BadInput, match="positions, the model has 1024"):
        study(demo, Prompt(context="word " * 1015))


def test_a_chat_is_asked_in_turns_and_another_prompt_in_text(
    demo: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded model has learnt no chat, so that few of its questions are any."""
    monkeypatch.setattr(self_study, "MOST_TOKENS", 12)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.chat_template = TEMPLATE
    chatty = wrap_model(demo.model, tokenizer, "chatty")
    chat = Prompt(context=STORY.context, chat=True)
    pieces = calibration_queries(chatty, chat, "repeat").queries
    turns = [text for text in study(chatty, chat, n=4).queries if text not in pieces]
    assert " What is this text about?" in turns
    assert all(text.endswith(("?", ".")) for text in turns)
    texts = study(chatty, STORY, n=4).queries
    assert any(text.startswith(" In short, ") for text in texts)
    assert all(text.endswith("?\nAnswer:") for text in texts if "Question: " in text)
    assert all("<user>" not in text and "<assistant>" not in text for text in (*turns, *texts))
