"""The same examples in the context and trained on: what each does to W z at the query.

Enters: a prompt whose context is examples, and the same examples by themselves. Leaves: a
:class:`~icltui.values.finetune.FineTuneRow` for each layer. Training is plain gradient descent on the mean loss of
the answers' tokens, all examples in one batch, each without a context; only the matrices that read z move, in the
selected layers. The null levels are trainings on each other's answers and on another task's examples.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.finetune.trainable import TrainedMatrix, training_copies
from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site, is_offloaded
from icltui.engine.measure.forward_pass import forward_rows, forward_states
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.measure.rank_one import project
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.trial.prompt import TrialPrompt
from icltui.values.errors import BadInput
from icltui.values.finetune import FineTuneRow

RATES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Learning rates that are tried."""
_N_TRIED = 4
"""Steps that each is tried for."""


@dataclass(frozen=True)
class FineTuneCase:
    """One comparison in the model's terms."""

    prompt: TrialPrompt
    """Examples as the context, the query, and its answer."""
    examples: tuple[TrialPrompt, ...]
    """The same examples, each a query without a context, with its answer."""
    shuffled: tuple[TrialPrompt, ...]
    """The same inputs with each other's answers."""
    others: tuple[TrialPrompt, ...]
    """Examples of another task."""


@dataclass(frozen=True)
class _TrainingRun:
    """What one training does, step by step."""

    images: list[list[Tensor]]
    """ΔW z at each recorded step, by layer."""
    training_loss: list[float]
    query_loss: list[float]


def compare(
    loaded: LoadedModel,
    sites: Sequence[Site],
    case: FineTuneCase,
    steps: Sequence[int] = (1, 2, 4, 8, 16),
    rates: Sequence[float] = RATES,
    on_progress: ProgressCallback = ignore_progress,
) -> list[FineTuneRow]:
    """The comparison at each of the sites, after each of ``steps``, ascending; no weight of the model changes.

    Raises:
        BadInput: matrices that cannot be trained, or weights that are offloaded.
    """
    if is_offloaded(loaded.model):
        raise BadInput("weights that are offloaded cannot be trained: choose a smaller model")
    ids = case.prompt.ids
    with torch.no_grad():
        context, plain = (forward_states(loaded.model, sites, row, 1)[1] for row in (ids.full, ids.plain))
        z = plain.z[:, 0]
        moved = [
            torch.cat([*project(site, delta[None]).values()], -1)[0]
            for site, delta in zip(sites, context.z[:, 0] - z, strict=True)
        ]
        before = [_answer_loss(loaded, case.prompt, row) for row in (ids.full, ids.plain)]
    tried = {
        rate: _train(loaded, sites, case.examples, case, z, rate, (_N_TRIED,), on_progress) for rate in rates
    }
    rate = min(rates, key=lambda rate: _or_inf(tried[rate].training_loss[-1]))
    right, shuffled, other = (
        _train(loaded, sites, examples, case, z, rate, steps, on_progress)
        for examples in (case.examples, case.shuffled, case.others)
    )
    return [
        FineTuneRow(
            key="",
            part=at,
            layer=site.layer,
            n_rows=len(u),
            steps=tuple(steps),
            rate=rate,
            cosine=_cosines(u, right, at),
            cosine_shuffled=_cosines(u, shuffled, at),
            cosine_other=_cosines(u, other, at),
            size_ratio=tuple(finite_or_none(float(image[at].norm() / u.norm())) for image in right.images),
            training_loss=_finite(right.training_loss),
            loss=_finite(right.query_loss),
            loss_shuffled=_finite(shuffled.query_loss),
            loss_other=_finite(other.query_loss),
            loss_context=finite_or_none(before[0]),
            loss_plain=finite_or_none(before[1]),
        )
        for at, (site, u) in enumerate(zip(sites, moved, strict=True))
    ]


def _train(
    loaded: LoadedModel,
    sites: Sequence[Site],
    examples: Sequence[TrialPrompt],
    case: FineTuneCase,
    z: Float[Tensor, "layers hidden"],
    rate: float,
    steps: Sequence[int],
    on_progress: ProgressCallback,
) -> _TrainingRun:
    """Gradient descent on copies of the matrices, looked at after each of ``steps``."""
    done = _TrainingRun([], [], [])
    with torch.inference_mode(False), torch.enable_grad(), training_copies(sites) as copies:
        matrices = [matrix for layer in copies.values() for matrix in layer]
        for step in range(1, max(steps) + 1):
            on_progress(f"training at {rate:g}", step, max(steps))
            _descend(matrices, examples_loss(loaded, examples), rate)
            if step in steps:
                with torch.no_grad():
                    pairs = zip(sites, z, strict=True)
                    done.images.append(
                        [torch.cat([m.change(own) for m in copies[site.layer]]) for site, own in pairs]
                    )
                    done.training_loss.append(float(examples_loss(loaded, examples)))
                    done.query_loss.append(_answer_loss(loaded, case.prompt, case.prompt.ids.plain))
    return done


def _descend(matrices: Sequence[TrainedMatrix], loss: Float[Tensor, ""], rate: float) -> None:
    """One step of plain gradient descent."""
    gradients = torch.autograd.grad(loss, [matrix.copy for matrix in matrices])
    with torch.no_grad():
        for matrix, gradient in zip(matrices, gradients, strict=True):
            matrix.copy.sub_(rate * gradient)


def examples_loss(loaded: LoadedModel, examples: Sequence[TrialPrompt]) -> Float[Tensor, ""]:
    """Mean loss over all tokens of the examples' answers, in nats, each example without a context."""
    return torch.cat([*_losses(loaded, [(part.ids.plain, part.answer) for part in examples])]).mean()


@torch.no_grad()
def _answer_loss(loaded: LoadedModel, prompt: TrialPrompt, row: Sequence[int]) -> float:
    """Loss of all the answer's tokens after ``row``."""
    (losses,) = _losses(loaded, [(row, prompt.answer)])
    return float(losses.sum())


def _losses(
    loaded: LoadedModel, parts: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> Iterator[Float[Tensor, " _tokens"]]:
    """−log p of each answer's tokens, which are read after their rows, all rows in one pass."""
    rows = [[*row, *answer[:-1]] for row, answer in parts]
    longest = max(map(len, rows))
    n_last = longest - min(len(row) for row, _ in parts) + 1
    logits = widen(forward_rows(loaded.model, rows, [range(len(row)) for row in rows], n_last))
    for number, (row, answer) in enumerate(parts):
        first = len(row) - 1 - (longest - n_last)
        log_p = logits[number, first : first + len(answer)].log_softmax(-1)
        yield -log_p[torch.arange(len(answer)), torch.tensor(answer, device=log_p.device)]


def _cosines(u: Float[Tensor, " inner"], training: _TrainingRun, at: int) -> tuple[float | None, ...]:
    """The cosine at each recorded step."""
    return tuple(
        finite_or_none(float(u @ image[at] / (u.norm() * image[at].norm()))) for image in training.images
    )


def _finite(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(finite_or_none(value) for value in values)


def _or_inf(value: float) -> float:
    return value if math.isfinite(value) else math.inf
