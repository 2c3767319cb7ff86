"""Collateral on the embedded model: how many tokens it is a mean over, and its value against one written out."""

import pytest
import torch

from icltui.api import run_to_result
from icltui.api.messages import LoadModel
from icltui.engine.hooks.attach import attach
from icltui.engine.local import LocalEngine
from icltui.engine.metric.background import Background, read_background, rows
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.collateral import ROW_TOKENS, SMALL, read_unrelated
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.engine.prompts.tokenize import Ids
from icltui.values.recipe import Recipe


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    engine = LocalEngine()
    run_to_result.load(engine, LoadModel(device="cpu"))
    assert engine.loaded is not None
    return engine.loaded


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("n", [300, 1000])
@pytest.mark.parametrize("n_words", [20, 400], ids=["short documents", "long documents"])
def test_a_mean_is_over_as_many_tokens_whatever_the_documents_are(demo: LoadedModel, n, n_words):
    words = (
        "the river ran under the old bridge and the children went home before it was dark " * 400
    ).split()
    documents = [" ".join(words[k : k + n_words]) for k in range(0, 6400, n_words)]
    text = read_unrelated(demo, Background("a text", "\f".join(documents)), n_tokens=n)
    assert text.n_tokens == pytest.approx(n, rel=0.15)
    assert max(map(len, text.rows)) <= text.n_kept + ROW_TOKENS


def test_no_row_is_one_of_those_that_the_metric_is_made_from(demo: LoadedModel):
    background = read_background(demo, "")
    held_out = {row.ids for row in rows(demo, background, "held out")}
    metric = {row.ids[: row.n_kept + ROW_TOKENS] for row in rows(demo, background)}
    for row in read_unrelated(demo, background).rows:
        assert any(ids[: len(row)] == row for ids in held_out)
        assert row not in metric


def test_it_is_the_mean_divergence_a_token(demo: LoadedModel):
    text = read_unrelated(demo, read_background(demo, ""), n_tokens=200)
    site = demo.sites[2]
    bias = 30 * torch.randn(128, generator=torch.Generator().manual_seed(0))
    patch = HeldPatch([site], {site.layer: LayerPatch(bias=bias)})
    built = BuiltPatch(
        PatchSpec(demo, [site], Ids((), (5,), (6,), (0, 1)), "reset", Recipe()), patch=patch, alpha=0.5
    )

    def by_hand(strength: float) -> float:
        kls = []
        for row in text.rows:
            ids = torch.tensor([row])
            log_p = demo.model(ids).logits[0].double().log_softmax(-1)
            with attach([site], patch.at(strength)):
                log_q = demo.model(ids).logits[0].double().log_softmax(-1)
            kls.append((log_p.exp() * (log_p - log_q)).sum(-1)[text.n_kept :])
        return float(torch.cat(kls).mean())

    found = text.summarize(built)
    assert found.n_tokens == text.n_tokens
    assert found.kl == pytest.approx(by_hand(0.5), rel=1e-3)
    assert found.predicted == pytest.approx(by_hand(0.5 * SMALL) / SMALL**2, rel=1e-2)
    assert found.kl > 0.01
