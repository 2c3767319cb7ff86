"""The numbers that are followed over a training: losses by position, the strongest heads, and what a context does.

Enters: a loaded checkpoint, and a text or a prompt. Leaves: parts of a :class:`~icltui.values.training.TrainingRow`.
"""

from statistics import fmean

from icltui.engine.curves.token_losses import loss_by_position
from icltui.engine.heads.repeated_tokens import Scores, prefix_matching
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import tokenize
from icltui.engine.trial.prompt import trial_prompt
from icltui.engine.trial.trial import trial
from icltui.values.errors import BadInput, EngineError
from icltui.values.prompt import Prompt
from icltui.values.training import TrainingRow


def text_losses(loaded: LoadedModel, text: str, n_tokens: int) -> TrainingRow:
    """The loss at each of the text's first ``n_tokens`` positions, in nats, each given all before it.

    Raises:
        BadInput: a text that has fewer tokens, or a model that reads fewer.
    """
    ids, _ = tokenize(loaded, Prompt(query=text))
    if len(ids.query) < n_tokens:
        raise BadInput(f"the text has {len(ids.query)} tokens: {n_tokens} are needed, give a longer one")
    n_read = len(ids.prefix) + n_tokens
    if loaded.window is not None and n_read > loaded.window:
        raise BadInput(
            f"the model reads {loaded.window} tokens: {n_read} are needed, choose one that reads more"
        )
    losses = loss_by_position(loaded, [*ids.prefix, *ids.query[:n_tokens]])[len(ids.prefix) :]
    return TrainingRow(key="", what="text", loss=tuple(map(finite_or_none, losses.tolist())))


def strongest_heads(loaded: LoadedModel, seed: int, n_seeds: int = 4) -> TrainingRow:
    """The strongest induction head and the strongest previous-token head, on repeated random tokens.

    Raises:
        BadInput: a model that cannot read two tokens twice.
    """
    found = prefix_matching(loaded, n_seeds=n_seeds, seed=seed)
    induction, previous, null = (_strongest(one) for one in (found.induction, found.previous, found.null))
    return TrainingRow(
        key="",
        what="heads",
        induction=induction[0],
        induction_head=induction[1],
        induction_null=null[0],
        previous=previous[0],
        previous_head=previous[1],
    )


def _strongest(scores: Scores) -> tuple[float | None, str]:
    """The largest mean over seeds, and where it is."""
    means = {
        (layer, head): score
        for layer, of in scores.items()
        for head, score in enumerate(of.double().mean(0).tolist())
    }
    if not means:
        return None, ""
    layer, head = max(means, key=lambda at: means[at])
    return finite_or_none(means[layer, head]), f"L{layer}H{head}"


def context_effect(loaded: LoadedModel, prompt: Prompt, answer: str) -> TrainingRow:
    """What the context does to the answer's log-probability, and the size of ΔW at the query's last token.

    Raises:
        BadInput: a prompt that is too long for the model.
        EngineError: numbers that are not finite.
    """
    (found,) = trial(loaded, [trial_prompt(loaded, prompt, answer)])
    if found.error is not None or found.context is None or found.plain is None:
        raise EngineError(found.error or "the prompt has no numbers: try --dtype float32")
    sizes = [layer.relative_patch_norm for layer in found.layers if layer.relative_patch_norm is not None]
    return TrainingRow(
        key="",
        what="prompt",
        answer_context=found.context.answer_log_p,
        answer_plain=found.plain.answer_log_p,
        right=found.context.answer_is_top,
        patch_norm=fmean(sizes) if sizes else None,
    )
