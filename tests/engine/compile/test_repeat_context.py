"""The context repeated in pieces."""

import pytest
import torch

from icltui.api.progress_callback import ignore_progress
from icltui.engine.compile.context_reader import ContextReader
from icltui.engine.compile.repeat_context import cut_where_context_decides, repeat_context
from icltui.engine.measure.forward_pass import forward
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.prompt import Prompt

LABELS = "plum: yellow\npine: red\nsalad: yellow\nhorse: orange\n"
STORY = "Mia is in the kitchen. Ben is in the garden. Lucy is in the attic. Mia went to the cellar."


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def pieces(loaded: LoadedModel, context: str, n: int = 16, chat: bool = False) -> list[str]:
    return list(repeat_context(ContextReader(loaded, Prompt(context=context, chat=chat)), n, ignore_progress))


@pytest.mark.parametrize(
    ("context", "wanted"),
    [
        (LABELS, ["plum:", "pine:", "salad:", "horse:"]),
        (LABELS.strip(), ["\nplum:", "\npine:", "\nsalad:", "\nhorse:"]),
        ("f(1) = 5; f(2) = 8; f(3) = 11;", [" f(1) = ", " f(2) = ", " f(3) = "]),
        ("August -> 2\nMay -> 7\nAugust -> 2\n", ["August -> ", "May -> "]),
    ],
)
def test_an_example_is_repeated_up_to_the_token_of_its_value(
    demo: LoadedModel, context: str, wanted: list[str]
) -> None:
    assert pieces(demo, context) == wanted


def test_the_model_answers_a_repeated_key_with_the_contexts_own_value(demo: LoadedModel) -> None:
    for query in pieces(demo, LABELS):
        ids = ContextReader(demo, Prompt(context=LABELS)).before(query)
        token = int(forward(demo.model, ids.full).argmax())
        assert f"{query}{demo.tokenizer.decode([token])}\n" in LABELS


def test_what_is_before_a_list_is_repeated_too(demo: LoadedModel) -> None:
    first, *keys = pieces(demo, "Name the colour.\nplum: red\npine: blue\n")
    assert keys == ["plum:", "pine:"]
    assert "Name the colour.".startswith(first)


def test_few_pieces_are_spread_over_the_whole_context(demo: LoadedModel) -> None:
    context = "".join(f"word{k}: red\n" for k in range(40))
    assert pieces(demo, context, n=4) == ["word0:", "word10:", "word20:", "word30:"]


def test_prose_is_cut_at_the_word_after_which_the_context_counts_most(demo: LoadedModel) -> None:
    piece = " Ben is in the garden."
    reader = ContextReader(demo, Prompt(context=STORY))
    effects = {}
    for n in range(2, len(piece)):  # every whole word by a pass of its own
        if piece[n] in " .":
            rows = [reader.before(piece[:n]).full, reader.before(piece[:n]).plain]
            p, q = (forward(demo.model, row).double().log_softmax(-1) for row in rows)
            effects[piece[:n]] = float((p.exp() * (p - q)).sum())
    assert cut_where_context_decides(reader, piece) == max(effects, key=lambda text: effects[text])


def test_no_two_pieces_of_prose_are_alike(demo: LoadedModel) -> None:
    made = pieces(demo, STORY)
    assert made == [" Mia", " Ben", " Lucy"]


@pytest.mark.parametrize("context", ["\x1b[31m\x00", "…", " \n\t", "a", "word " * 900, "é" * 300, "<|bos|>"])
def test_an_odd_context_gives_few_pieces_or_none_but_no_failure(demo: LoadedModel, context: str) -> None:
    for piece in pieces(demo, context):
        assert piece.strip()
        assert piece.strip() in context


def test_each_piece_is_announced_and_may_be_the_last(demo: LoadedModel) -> None:
    told: list[int] = []

    def stop_at_second(_stage: str, done: int = 0, _total: int = 0) -> None:
        told.append(done)
        if done == 1:
            raise InterruptedError

    made = repeat_context(ContextReader(demo, Prompt(context=LABELS)), 4, stop_at_second)
    assert next(made) == "plum:"
    with pytest.raises(InterruptedError):
        next(made)
    assert told == [0, 1]
