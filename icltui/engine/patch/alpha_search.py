"""The strength α of a patch, by line search or in closed form to first order.

Enters: a built patch. Leaves: α in [0, 2]. Both minimise the mean squared error of the centred logits after the
query against the contextual ones (several fitted queries: their mean). An α fitted on a prompt proves nothing on that
prompt: other tokens show its worth, see :mod:`icltui.engine.patch.evaluate`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.attach import attach
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.calibration import Passage, logits_without_context
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.evaluate import TokenSpan, centred, score, sum_scores
from icltui.engine.patch.patch import Alpha
from icltui.values.errors import BadInput
from icltui.values.recipe import LARGEST_ALPHA

ROUNDING = 1e-5
"""Share of the largest logit below which a difference counts as rounding."""
COARSE, ROUNDS, FINER = 0.25, 3, 4
"""First step of the search, the number of its refinements, and the factor of each."""


def with_alpha(built: BuiltPatch, on_progress: ProgressCallback = ignore_progress) -> BuiltPatch:
    """The patch at the strength that its recipe asks for."""
    alpha = built.spec.recipe.alpha
    if alpha == "search":
        alpha = line_search(lambda alpha: mean_squared_error(built, alpha), on_progress)
    elif alpha == "jvp":
        on_progress("the derivative of the logits", 0, 1)
        alpha = first_order_alpha(built)
    return replace(built, alpha=float(alpha))


def fitted_spans(built: BuiltPatch) -> Sequence[TokenSpan]:
    """The tokens that α is fitted on: the last of each fitted query."""
    passages = [part.passage for part in built.fitted] or [built.own]
    return [TokenSpan(passage, 0, 1) for passage in passages]


def patched_logits(
    built: BuiltPatch, passage: Passage, alpha: Alpha | None = None
) -> Float[Tensor, "tokens vocabulary"]:
    """Logits of a passage through the patch, at the patch's own strength unless another is given."""
    with acting(built.acting_on(passage, alpha)):
        return logits_without_context(built.spec.loaded, passage)


def mean_squared_error(built: BuiltPatch, alpha: float) -> float:
    """The mean squared error of the centred logits after the fitted queries."""
    whole = sum_scores(
        [score(part, patched_logits(built, part.passage, alpha)) for part in fitted_spans(built)]
    )
    return whole.mse / whole.n


def line_search(loss: Callable[[float], float], on_progress: ProgressCallback = ignore_progress) -> float:
    """The α in [0, 2] with the least loss, searched from coarse to fine.

    >>> line_search(lambda alpha: (alpha - 0.7) ** 2)
    0.69921875
    """
    n_coarse = round(LARGEST_ALPHA / COARSE)
    grid = [k * COARSE for k in range(n_coarse + 1)]
    known: dict[float, float] = {}
    step, n_steps = COARSE, len(grid) + ROUNDS * 2 * (FINER - 1)
    for _ in range(ROUNDS + 1):
        for alpha in grid:
            if alpha not in known:
                on_progress("searching α", len(known), n_steps)
                known[alpha] = loss(alpha)
        best = min(known, key=lambda alpha: (known[alpha], alpha))
        step /= FINER
        grid = [best + k * step for k in range(1 - FINER, FINER) if 0 <= best + k * step <= LARGEST_ALPHA]
    return min(known, key=lambda alpha: (known[alpha], alpha))


def first_order_alpha(built: BuiltPatch) -> float:
    """α* = ⟨J, Δ⟩ / ‖J‖², J = ∂ logits/∂α at 0 by one Jacobian-vector product, Δ what the context adds to the logits.

    Raises:
        BadInput: the model has an operation without a forward derivative, or the patch does nothing.
    """
    along, square, gap, scale = 0.0, 0.0, 0.0, 0.0
    for part in fitted_spans(built):
        logits, slope = _derivative(built, part.passage)
        missing = centred(part.passage.logits[:1].to(logits.device)) - centred(logits[:1])
        slope = centred(slope[:1])
        along += float((slope * missing).sum())
        square += float(slope.square().sum())
        gap, scale = max(gap, float(missing.abs().max())), max(scale, float(logits.abs().max()))
    if gap <= ROUNDING * scale:
        raise BadInput("alpha 'jvp': the context changes no logit beyond rounding: use --alpha 1")
    if square == 0:
        raise BadInput("alpha 'jvp': the patch changes no logit, so no strength fits: use --alpha 1")
    return min(max(along / square, 0.0), LARGEST_ALPHA)


def _derivative(
    built: BuiltPatch, passage: Passage
) -> tuple[Float[Tensor, "tokens vocabulary"], Float[Tensor, "tokens vocabulary"]]:
    """Logits without the patch, and their derivative in α."""
    device = built.spec.loaded.device
    try:
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            forward_ad.dual_level(),
            sdpa_kernel(SDPBackend.MATH),
        ):
            one = torch.ones((), device=device)
            alpha = forward_ad.make_dual(torch.zeros_like(one), one)  # type: ignore[no-untyped-call]
            patch = built.acting_on(passage, alpha)
            with attach(patch.sites, patch):
                dual = logits_without_context(built.spec.loaded, passage)
                logits, slope = forward_ad.unpack_dual(dual)  # type: ignore[no-untyped-call]
    except (RuntimeError, NotImplementedError) as error:
        raise BadInput(
            "alpha 'jvp': the derivative cannot be taken on this model "
            f"({str(error).splitlines()[0][:120]}): use --alpha search, or --dtype float32"
        ) from error
    if slope is None:
        raise BadInput("alpha 'jvp': the patch changes no logit, so no strength fits: use --alpha 1")
    return logits, slope
