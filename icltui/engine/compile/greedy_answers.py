"""The most probable continuation of queries without their context, with or without a patch: what a user sees.

Enters: passages, a built patch or none, and the logits after each query as a row of its own. Leaves: token ids. Rows
run side by side where padding leaves this model's logits alone, else one after the other.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.generate.batching_check import TOLERANCES, can_batch, in_batches
from icltui.engine.generate.generate import make_decoder
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.decoding import stop_tokens
from icltui.values import Lane


def greedy_answers(
    built: BuiltPatch,
    passages: Sequence[Passage],
    lane: Lane,
    n_tokens: int,
    alone: Sequence[Float[Tensor, " vocabulary"]],
    on_progress: ProgressCallback,
) -> list[str]:
    """The text after each passage's query in the ``plain`` or the ``patched`` lane, of at most ``n_tokens`` tokens.

    ``alone``: the lane's logits after each query, run as a row of its own.
    """
    specs = [replace(built.spec, ids=passage.ids) for passage in passages]

    def run(batch: Sequence[PatchSpec]) -> list[list[int]] | None:
        on_progress("answering the queries", len(done), len(specs))
        return _answer(batch, built, lane, n_tokens, alone[len(done) : len(done) + len(batch)])

    done: list[list[int]] = []
    if len(specs) > 1 and can_batch(built.spec, built):
        for answers in in_batches(specs, n_tokens, run):
            if answers is None:
                break
            done += answers
    while len(done) < len(specs):
        number = len(done)
        answer = run(specs[number : number + 1])
        assert answer is not None, "a row of its own has no padding"
        done += answer
    return [built.spec.loaded.tokenizer.decode(tokens) for tokens in done]


def _answer(
    specs: Sequence[PatchSpec],
    built: BuiltPatch,
    lane: Lane,
    n_tokens: int,
    alone: Sequence[Float[Tensor, " vocabulary"]],
) -> list[list[int]] | None:
    """The tokens of each row; None where the rows' logits differ from those of each row alone."""
    decoder = make_decoder(specs, built, lane)
    logits = decoder.prefill()
    if len(specs) > 1 and not _are_alike(logits, torch.stack(list(alone)).to(logits.device)):
        return None
    stops = stop_tokens(built.spec.loaded)
    answers, ended = [list[int]() for _ in specs], [False] * len(specs)
    for index in range(n_tokens):
        if index:
            logits = decoder.step([answer[-1] if answer else 0 for answer in answers])
        for row, token in enumerate(logits.argmax(-1).tolist()):
            ended[row] = ended[row] or token in stops
            if not ended[row]:
                answers[row].append(token)
        if all(ended):
            break
    return answers


def _are_alike(together: Float[Tensor, "rows vocabulary"], alone: Float[Tensor, "rows vocabulary"]) -> bool:
    tolerance = TOLERANCES.get(together.dtype, 5e-2) * float(alone.abs().max())
    return bool((together - alone).abs().max() <= tolerance)
