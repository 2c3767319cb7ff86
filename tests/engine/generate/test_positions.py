"""Lanes whose tokens keep their positions, against a model that runs each row anew and is told where its tokens are."""

import pytest
import torch

from icltui.api.messages import CountTokens, Generate, GenerationEnded
from icltui.engine.local import LocalEngine
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import tiny

N = 4


def greedy_at(model, ids: list[int], positions: list[int]) -> tuple[int, ...]:
    """``N`` greedy tokens after ``ids``, which are at ``positions``; no cache.

    The mask is given, since transformers takes a gap between positions without one for the end of a sequence.
    """
    said = []
    for _ in range(N):
        with torch.no_grad():
            row, at = torch.tensor([ids]), torch.tensor([positions])
            logits = model(row, attention_mask=torch.ones_like(row), position_ids=at, use_cache=False).logits
        said.append(int(logits[0, -1].argmax()))
        ids, positions = [*ids, said[-1]], [*positions, positions[-1] + 1]
    return tuple(said)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("mode", ["per-step", "frozen"])
def test_the_query_alone_is_where_the_prompt_says(family: str, mode: str) -> None:
    loaded = tiny(family, torch.float64)
    engine = LocalEngine(loaded, loaded.describe("packed"))
    said = {}
    for positions in ("reset", "keep"):
        prompt = Prompt(context="abc def ghi", query=" stu", positions=positions)
        (count,) = engine.run(CountTokens(prompt=prompt), lambda: False)
        tokens = count.tokens
        kept, query = [t.id for t in tokens.prefix], [t.id for t in tokens.query]
        n_missing = len(tokens.context) if positions == "keep" else 0
        at = [*range(len(kept)), *range(len(kept) + n_missing, len(kept) + n_missing + len(query))]
        events = engine.run(Generate(prompt=prompt, n_tokens=N, recipe=Recipe(mode=mode)), lambda: False)
        (lanes,) = (event.generation.lanes for event in events if isinstance(event, GenerationEnded))
        assert lanes["plain"].token_ids == greedy_at(loaded.model, kept + query, at), positions
        n_exact = N if mode == "per-step" else 1
        assert lanes["patched"].token_ids[:n_exact] == lanes["context"].token_ids[:n_exact]
        said[positions] = lanes["plain"].steps[0].top[0].probability
    if family == "gpt2":  # positions are learned: another position is another answer
        assert said["keep"] != said["reset"]
