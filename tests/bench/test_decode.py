"""Decoding, timed: every method decodes what greedy decoding without a cache gives."""

import math
import re
from dataclasses import replace

import pytest
import torch

from icltui.api.progress_callback import ignore_progress
from icltui.bench import decode, model_and_prompts, model_shapes
from icltui.cli.main import main
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.decoding import acting
from icltui.values.errors import BadInput
from tests.bench.conftest import SIZE


def uncached(model, row: list[int], n: int, patch=None) -> tuple[int, ...]:
    """Greedy, the whole row each time."""
    row = list(row)
    for _ in range(n):
        with acting(patch):
            row.append(int(model(torch.tensor([row]), use_cache=False).logits[0, -1].argmax()))
    return tuple(row[-n:])


def test_what_is_decoded_is_what_greedy_decoding_without_a_cache_says(monkeypatch):
    monkeypatch.setattr(decode, "SIZE", (6, 16))
    settings = replace(SIZE, decode=3)
    decoding = decode.time_decoding(settings, ignore_progress)
    said = {line.method: line.tokens for line in decoding.lines}
    loaded = model_and_prompts.load_bench_model(settings).engine.loaded
    ids, context = decoding.ids, decode.CONTEXT
    with torch.inference_mode():
        assert said[context] == said["per step, two runs"] == uncached(loaded.model, ids.full, 4)
        assert said[decode.LOOP] == said[decode.PLAIN] == uncached(loaded.model, ids.plain, 4)
        for method, recipe in decode.RECIPES.items():
            patch = build_patch(PatchSpec(loaded, loaded.sites, ids, "reset", recipe), n_later=0).patch
            assert patch is None or said[method] == uncached(loaded.model, ids.plain, 4, patch)
    assert all(0 < line.milliseconds < math.inf and 0 < line.ratio < math.inf for line in decoding.lines)


def test_decoding_alone_prints_every_way(monkeypatch, capsys):
    monkeypatch.setattr(decode, "SIZE", (6, 16))
    assert main(["bench", "--only", "decode", "--decode", "2", "--repeat", "1"]) == 0
    out, _ = capsys.readouterr()
    assert "Times as long as packed" not in out
    for method in (decode.LOOP, decode.PLAIN, decode.CONTEXT, *decode.RECIPES):
        assert re.search(rf"^{re.escape(method)} +[\d.e-]+ +[\d.]+$", out, re.MULTILINE)
    assert f"{decode.PLAIN} " in out
    assert "1.000" in out


def test_more_tokens_than_positions_are_refused(monkeypatch):
    monkeypatch.setitem(model_shapes.RANDOM_LLAMA, "max_position_embeddings", 280)
    with pytest.raises(BadInput, match="give less --decode"):
        decode.time_decoding(replace(SIZE, decode=64), ignore_progress)
