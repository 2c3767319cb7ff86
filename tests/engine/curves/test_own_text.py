"""What the model writes itself is as long as the text beside it, and measured as that is."""

import pytest
import torch

from icltui.engine.curves.own_text import compare_with_own, write_texts
from icltui.engine.curves.token_losses import loss_by_position, losses_with
from icltui.engine.prompts.tokenize import Ids
from tests.engine.small_models import make_tiny, tiny

IDS = Ids((0,), tuple(range(20, 50)), (70, 12, 199), tuple(range(31)))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def test_texts_are_drawn_side_by_side_as_one_by_one():
    loaded = make_tiny("llama")
    together = write_texts(loaded, [0, 5], 3, 7, seed=4)
    assert together == [write_texts(loaded, [0, 5], 1, 7, seed=4 + number)[0] for number in range(3)]
    loaded.model.config.use_cache = False
    assert write_texts(loaded, [0, 5], 3, 7, seed=4) == together


def test_no_special_token_is_drawn():
    loaded = make_tiny("llama")
    special = loaded.tokenizer.all_special_ids
    assert special
    head = loaded.model.lm_head
    head.weight.data.zero_()
    bias = torch.zeros(300, dtype=torch.float64)
    bias[special] = 50.0  # all but certain to be drawn
    head.bias = torch.nn.Parameter(bias, requires_grad=False)
    (text,) = write_texts(loaded, [0], 1, 50)
    assert not {*text} & {*special}
    assert max(text) < len(loaded.tokenizer)


@pytest.mark.parametrize("ids", [IDS, Ids((), IDS.context, IDS.query, IDS.ends)])
def test_both_are_of_equal_length_and_measured_alike(ids):
    loaded = tiny("llama")
    losses = losses_with(loaded, ids)
    found = compare_with_own(loaded, ids, losses, n_texts=2, n_tokens=20, seed=3)
    assert found.n_tokens == 20
    before = list(ids.prefix) or list(ids.context[:1])
    for number, written in enumerate(found.texts):
        assert written.seed == 3 + number
        (tokens,) = write_texts(loaded, before, 1, 20 - (not ids.prefix), seed=3 + number)
        own = loss_by_position(loaded, [*before, *tokens])[len(ids.prefix) :]
        assert len(written.loss) == len(own) == 20
        assert [x for x in written.loss if x is not None] == pytest.approx(own[own.isfinite()].tolist())
    known = losses[:20][losses[:20].isfinite()]
    assert found.given.level.value == pytest.approx(float(known.mean()))
    means = [torch.tensor([x for x in text.loss if x is not None]).mean() for text in found.texts]
    assert found.own.level.value == pytest.approx(float(sum(means) / 2), abs=1e-6)
    assert found.difference.level.value == pytest.approx(
        found.given.level.value - found.own.level.value, abs=1e-9
    )


def test_a_text_shorter_than_asked_is_compared_whole():
    loaded = tiny("llama")
    found = compare_with_own(loaded, IDS, losses_with(loaded, IDS), n_texts=1, n_tokens=10_000)
    assert found.n_tokens == 33
