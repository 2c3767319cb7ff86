"""A context distilled into a LoRA by gradient steps, until they win nothing more: a compiled patch's rival.

Enters: the tokens that a patch would be fitted on, a rank, a seed. Leaves: a :class:`DistilledPatch`. The loss is
KL(with context ‖ LoRA without it) after the query's last token and each fitted token of the contextual continuation,
teacher-forced, mean over all of them (context distillation, arXiv 2112.00861 and 2209.15189). All queries are one
batch; AdamW; a run for each learning rate, of which the one with the lowest loss at its end stays.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.distill.lora import Lora, make_lora
from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site, is_offloaded
from icltui.engine.measure.forward_pass import forward_rows
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.fit import FittedTokens
from icltui.values.errors import BadInput, EngineError

WINDOW, LEAST_GAIN = 10, 0.002
"""The plateau: from so many steps to as many more the mean loss fell by less than this share of the first loss, which
is what the context brings: less than 0.002 of R was won."""
_WARM_UP = 5
"""Steps over which the learning rate rises to its value."""


@dataclass(frozen=True)
class TrainingLimits:
    """What a training may take, and the learning rates that are tried."""

    learning_rates: tuple[float, ...] = (1e-3, 3e-3)
    max_steps: int = 300
    max_seconds: float = 600.0
    """For each learning rate."""


@dataclass(frozen=True)
class Training:
    """One run."""

    learning_rate: float
    losses: tuple[float, ...]
    """The loss before each step, in nats per token."""
    seconds: float
    end: Literal["plateau", "steps", "seconds"]
    """What ended it; only at a plateau has it won what it could."""

    @property
    def final_loss(self) -> float:
        """The mean of the last :data:`WINDOW` losses."""
        return fmean(self.losses[-WINDOW:])


@dataclass(frozen=True)
class DistilledPatch:
    """A trained LoRA; ``with distilled.lora.acting():`` it acts on the model."""

    lora: Lora
    training: Training
    """The run that it comes from."""
    trainings: tuple[Training, ...]
    """The runs of all learning rates."""

    @property
    def seconds(self) -> float:
        """What it took, runs that were not kept included."""
        return sum(training.seconds for training in self.trainings)

    @property
    def n_steps(self) -> int:
        """The gradient steps of all runs."""
        return sum(len(training.losses) for training in self.trainings)


def distill(
    loaded: LoadedModel,
    sites: Sequence[Site],
    fitted: Sequence[FittedTokens],
    rank: int = 16,
    seed: int = 0,
    limits: TrainingLimits = TrainingLimits(),
    on_progress: ProgressCallback = ignore_progress,
) -> DistilledPatch:
    """The LoRA of the learning rate with the lowest loss; ``on_progress`` is called before each step.

    Raises:
        BadInput: layers without matrices that a LoRA could be trained on, or weights that are offloaded.
        EngineError: the loss is not a number.
    """
    if is_offloaded(loaded.model):
        raise BadInput("weights that are offloaded cannot be trained through: leave *distilled* out")
    with torch.inference_mode(False), torch.enable_grad():
        batch = _Batch(loaded, fitted)
        dtype = torch.float64 if loaded.dtype == torch.float64 else torch.float32
        runs = []
        for rate in limits.learning_rates:
            lora = make_lora(sites, rank, seed, dtype)
            runs.append((lora, _train(lora, batch, rate, limits, on_progress)))
    lora, best = min(runs, key=lambda run: run[1].final_loss)
    for parameter in lora.parameters:
        parameter.requires_grad_(False)
    return DistilledPatch(lora, best, tuple(training for _, training in runs))


def is_plateau(losses: Sequence[float]) -> bool:
    """Whether the last steps won nothing worth them, see :data:`WINDOW`.

    >>> is_plateau([2.0] * 2 * WINDOW), is_plateau([2.0 - 0.001 * step for step in range(99)])
    (True, False)
    """
    if len(losses) < 2 * WINDOW:
        return False
    before, now = fmean(losses[-2 * WINDOW : -WINDOW]), fmean(losses[-WINDOW:])
    return before - now < LEAST_GAIN * losses[0]


class _Batch:
    """All queries in one pass, and the contextual distributions at their scored tokens."""

    def __init__(self, loaded: LoadedModel, fitted: Sequence[FittedTokens]) -> None:
        self.model, self.rows = loaded.model, [part.row for part in fitted]
        self.positions = [part.passage.position_ids[: len(part.row)] for part in fitted]
        longest = max(map(len, self.rows))
        scored = [
            (number, column)
            for number, part in enumerate(fitted)
            for column in range(len(part.row) - 1 - part.n_continuation, len(part.row))
        ]
        self.n_last = longest - min(column for _, column in scored)
        """Columns of the padded rows, from the first scored one on."""
        self.at = torch.tensor([(number, column - longest) for number, column in scored])
        logits = [part.passage.logits[: part.n_continuation + 1] for part in fitted]
        self.log_p = torch.cat(logits).clone().log_softmax(-1)

    def loss(self) -> Float[Tensor, ""]:
        """Mean KL(with context ‖ model as it is) over the scored tokens."""
        logits = widen(forward_rows(self.model, self.rows, self.positions, self.n_last))
        log_p, (row, column) = self.log_p.to(logits.device), self.at.T.to(logits.device)
        return _kl(log_p, logits[row, column].log_softmax(-1)).mean()


def _kl(
    log_p: Float[Tensor, "tokens vocabulary"], log_q: Float[Tensor, "tokens vocabulary"]
) -> Float[Tensor, " tokens"]:
    """KL(p ‖ q) at each token; differentiable, also where p is 0."""
    return torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0).sum(-1)


def _train(
    lora: Lora, batch: _Batch, rate: float, limits: TrainingLimits, on_progress: ProgressCallback
) -> Training:
    begin, losses = time.perf_counter(), list[float]()
    for parameter in lora.parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(lora.parameters, lr=rate)
    with lora.acting():
        while True:
            seen = f", loss {losses[-1]:.2g}" if losses else ""
            on_progress(f"distilling at {rate:g}{seen}", len(losses), limits.max_steps)
            optimizer.param_groups[0]["lr"] = rate * min(1.0, (len(losses) + 1) / _WARM_UP)
            losses.append(_step(batch, optimizer))
            seconds = time.perf_counter() - begin
            if is_plateau(losses):
                return Training(rate, tuple(losses), seconds, "plateau")
            if len(losses) >= limits.max_steps:
                return Training(rate, tuple(losses), seconds, "steps")
            if seconds >= limits.max_seconds:
                return Training(rate, tuple(losses), seconds, "seconds")


def _step(batch: _Batch, optimizer: torch.optim.Optimizer) -> float:
    """One step down the loss; the loss before it."""
    loss = batch.loss()
    if not bool(loss.isfinite()):
        raise EngineError("the loss is not a number: try --dtype float32")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    return float(loss.detach())
