"""Texts that the model writes itself, and how a given text's loss differs from the loss on them.

Enters: a text. Leaves: the levels and the slopes of both, at equal positions. A model's own text, sampled at
temperature 1, has on average the loss that the model expects, the entropy of its distributions; what a given text has
beyond it, and how that changes with the position, is what the model does not know of it.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.curves.intervals import curve_difference, curve_shape
from icltui.engine.curves.text_tokens import is_text_token
from icltui.engine.curves.token_losses import loss_by_position
from icltui.engine.measure.forward_pass import can_use_cache, forward_arguments
from icltui.engine.measure.predictions import finite_rows
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.decoding import Rows
from icltui.engine.prompts.tokenize import Ids
from icltui.values import OwnTextComparison, WrittenCurve


def compare_with_own(
    loaded: LoadedModel,
    ids: Ids,
    losses: Float[Tensor, " tokens"],
    n_texts: int,
    n_tokens: int,
    seed: int = 0,
    on_progress: ProgressCallback = ignore_progress,
) -> OwnTextComparison:
    """The first ``n_tokens`` of context and query, with their ``losses``, against ``n_texts`` that the model writes.

    Where nothing is kept before the text, all begin with its first token.
    """
    text = [*ids.context, *ids.query][:n_tokens]
    n_given = len(ids.prefix) or 1
    before = [*ids.prefix, *text][:n_given]
    n_new = len(ids.prefix) + len(text) - n_given
    written = write_texts(loaded, before, n_texts, n_new, seed, on_progress)
    given, rows = losses[: len(text)][None], torch.full((n_texts, len(text)), torch.nan)
    for number, tokens in enumerate(written):
        on_progress("reading what it wrote", number, n_texts)
        rows[number] = loss_by_position(loaded, [*before, *tokens])[len(ids.prefix) :]
    return OwnTextComparison(
        n_tokens=len(text),
        given=curve_shape(given, seed),
        own=curve_shape(rows, seed),
        difference=curve_difference(given, rows, seed),
        texts=tuple(_records(loaded, written, rows, seed)),
    )


def write_texts(
    loaded: LoadedModel,
    before: Sequence[int],
    n_texts: int,
    n_tokens: int,
    seed: int = 0,
    on_progress: ProgressCallback = ignore_progress,
) -> list[list[int]]:
    """``n_tokens`` after ``before``, drawn ``n_texts`` times at temperature 1, one by one from its own seed.

    Special tokens, which would end a text, are never drawn.
    """
    if n_texts > 1 and not _takes_batches(loaded):
        return [
            write_texts(loaded, before, 1, n_tokens, seed + number, on_progress)[0]
            for number in range(n_texts)
        ]
    rows = Rows(loaded.model, [before] * n_texts, [range(len(before))] * n_texts)
    chances = [torch.Generator().manual_seed(seed + number) for number in range(n_texts)]
    written: list[list[int]] = [[] for _ in range(n_texts)]
    is_text = None
    for index in range(n_tokens):
        on_progress("writing texts of its own", index, n_tokens)
        logits = rows.prefill() if index == 0 else rows.step([tokens[-1] for tokens in written])
        is_text = is_text_token(loaded, logits.shape[-1]) if is_text is None else is_text
        p = logits.cpu().double().masked_fill(~is_text, -torch.inf).softmax(-1)
        for tokens, row, chance in zip(written, p, chances, strict=True):
            tokens.append(int(torch.multinomial(row, 1, generator=chance)))
    return written


def _takes_batches(loaded: LoadedModel) -> bool:
    return can_use_cache(loaded.model) and "position_ids" in forward_arguments(loaded.model)


def _records(
    loaded: LoadedModel, written: Sequence[Sequence[int]], rows: Float[Tensor, "texts tokens"], seed: int
) -> Iterator[WrittenCurve]:
    for number, (tokens, loss) in enumerate(zip(written, finite_rows(rows), strict=True)):
        text = loaded.tokenizer.decode(tokens)
        yield WrittenCurve(seed=seed + number, text=text, loss=tuple(loss))
