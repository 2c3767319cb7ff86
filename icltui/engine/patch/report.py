"""The report on a patch: its fitted tokens, its fit, and its effect on other tokens.

Enters: a built patch. Leaves: a :class:`~icltui.values.PatchReport`.
"""

import torch

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.evaluate import (
    TestTokens,
    evaluate_patch,
    fitted_queries,
    tokens_to_test,
    verdict,
)
from icltui.engine.patch.sweep import sweep_patch
from icltui.values import PatchReport


@torch.no_grad()  # not inference mode, which rules derivatives in α out
def report_patch(
    built: BuiltPatch,
    curves: bool = False,
    on_progress: ProgressCallback = ignore_progress,
    tokens: TestTokens | None = None,
) -> PatchReport:
    """The report on ``built``; with ``curves`` the patch is also varied.

    A patch per step is made for every token: the only test is of its strength, on other queries. The ``tokens`` of a
    report on the same patch at another strength spare reading them.
    """
    tokens = tokens or tokens_to_test(built, on_progress)
    tests = evaluate_patch(built, tokens, on_progress)
    return PatchReport(
        n_tokens=built.n_tokens,
        rank=built.rank,
        alpha=built.alpha,
        layers=built.fits,
        tests=tests,
        verdict=verdict(tests) if built.patch is not None else "",
        notes=_notes(built),
        curves=sweep_patch(built, tokens.parts, on_progress) if curves else None,
    )


def _notes(built: BuiltPatch) -> tuple[str, ...]:
    """Notes on how the patch was made."""
    notes = []
    wanted = built.spec.n_fitted
    short = [part for part in built.fitted if part.n_continuation < wanted]
    if short:
        fewest = min(part.n_continuation for part in short)
        notes.append(
            f"the text ends by itself before {wanted} tokens behind {len(short)} of {len(built.fitted)} queries: "
            f"as few as {fewest} were fitted there"
        )
    recipe, fitted = built.spec.recipe, fitted_queries(built)
    if dropped := sum(ids.query in fitted for ids in built.spec.holdout):
        notes.append(
            f"{dropped} of the held-out queries {'is' if dropped == 1 else 'are'} fitted: no test of anything"
        )
    if isinstance(recipe.alpha, str):
        queries = "these queries" if len(fitted) > 1 else "this query"
        notes.append(
            f"α {built.alpha:g} was fitted on the logits behind {queries}: "
            "what it is worth is seen on other tokens alone"
        )
    if built.patch is not None and recipe.carrier == "output" and recipe.components != "weights":
        constant = [layer for layer, held in built.patch.layers.items() if held.bias is not None]
        if constant:
            notes.append(
                f"at {len(constant)} of {len(built.patch.layers)} layers no single down projection can carry "
                "the shift: there it is a constant"
            )
    return tuple(notes)
