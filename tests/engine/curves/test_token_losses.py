"""Losses in chunks against the model itself, run anew on every token's own past."""

import pytest
import torch

from icltui.engine.curves import token_losses
from icltui.engine.curves.token_losses import loss_by_position, losses_with, losses_without
from icltui.engine.prompts.tokenize import Ids
from tests.engine.small_models import FAMILIES, make_tiny, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9, 61, 5, 33), (70, 12, 199), (0, 1, 4, 8))
"""Units of one, three and four tokens."""


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def slow_loss(loaded, row, at=None) -> float:
    """The loss of the row's last token, of a pass over those before it alone."""
    kwargs = {} if at is None else {"position_ids": torch.tensor([at[:-1]])}
    if at is not None and at[:-1] != list(range(len(row) - 1)):
        kwargs["attention_mask"] = torch.ones(1, len(row) - 1, dtype=torch.long)
    logits = loaded.model(torch.tensor([row[:-1]]), use_cache=False, **kwargs).logits[0, -1]
    return float(-logits.log_softmax(-1)[row[-1]])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_logits", [1, 3 * 300])
def test_chunks_of_any_size_give_the_loss_of_each_token_after_its_own_past(family, n_logits, monkeypatch):
    loaded = tiny(family)
    monkeypatch.setattr(token_losses, "MOST_LOGITS", n_logits)
    found = loss_by_position(loaded, IDS.full)
    assert found[0].isnan()
    slow = [slow_loss(loaded, IDS.full[: n + 1]) for n in range(1, len(IDS.full))]
    torch.testing.assert_close(found[1:], torch.tensor(slow, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(losses_with(loaded, IDS), found[1:], rtol=0, atol=0)


def test_a_model_that_cannot_go_on_from_a_cache_reads_the_row_once(monkeypatch):
    loaded = make_tiny("llama")
    whole = loss_by_position(loaded, IDS.full)
    loaded.model.config.use_cache = False
    monkeypatch.setattr(token_losses, "MOST_LOGITS", 1)
    n_passes = []
    loaded.model.register_forward_pre_hook(lambda *_: n_passes.append(1))
    torch.testing.assert_close(loss_by_position(loaded, IDS.full)[1:], whole[1:], rtol=0, atol=1e-12)
    assert len(n_passes) == 1


@pytest.mark.parametrize("positions", ["reset", "keep"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_without_its_context_a_token_follows_the_kept_prefix_and_its_own_unit(family, positions):
    loaded = tiny(family)
    found = losses_without(loaded, IDS, positions)
    text, edges = [*IDS.context, *IDS.query], [*IDS.ends, len(IDS.full) - 1]
    slow = []
    for number in range(len(text)):
        begin = max(edge for edge in edges if edge <= number)
        shift = begin if positions == "keep" else 0
        row = [*IDS.prefix, *text[begin : number + 1]]
        slow.append(slow_loss(loaded, row, [0, *range(1 + shift, 1 + shift + number + 1 - begin)]))
    torch.testing.assert_close(found, torch.tensor(slow, dtype=torch.float64), rtol=0, atol=1e-9)


def test_where_nothing_comes_before_a_token_it_has_no_loss():
    loaded = tiny("llama")
    bare = Ids((), IDS.context, IDS.query, IDS.ends)
    assert losses_with(loaded, bare).isfinite().tolist() == [False, *[True] * 10]
    without = losses_without(loaded, bare).isfinite().tolist()
    assert without == [False, False, True, True, False, True, True, True, False, True, True]


def test_no_more_logits_are_in_memory_than_one_chunk_has(monkeypatch):
    loaded, seen = tiny("llama"), []
    monkeypatch.setattr(token_losses, "MOST_LOGITS", 2 * 300)
    real = token_losses.forward
    monkeypatch.setattr(
        token_losses,
        "forward",
        lambda *args, **kwargs: seen.append(real(*args, **kwargs)) or seen[-1],
    )
    loss_by_position(loaded, IDS.full)
    assert {logits.numel() for logits in seen} <= {2 * 300, 1 * 300}
    assert len(seen) == 6


def test_progress_may_stop_it():
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        losses_without(tiny("llama"), IDS, on_progress=stop)
