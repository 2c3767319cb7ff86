"""All that is to be said of a patch: what it was made from, how it fits, and what it does where it was not made.

Enters: a crafted patch. Leaves: a :class:`~icltui.values.PatchReport`.
"""

from icltui.api.progress import ProgressCallback, ignore_progress
from icltui.engine.patch.build import Crafted
from icltui.engine.patch.evaluate import fitted_queries, other_passages, parts_of, try_patch, verdict
from icltui.engine.patch.sweep import draw_curves
from icltui.values import PatchReport


def report_on(
    crafted: Crafted, curves: bool = False, on_progress: ProgressCallback = ignore_progress
) -> PatchReport:
    """The report; with ``curves`` the patch is varied too.

    Per step a patch is made for every token, so that there is nothing to test but its strength, on other queries.
    """
    parts = parts_of(crafted, other_passages(crafted, on_progress))
    tests = try_patch(crafted, parts, on_progress)
    return PatchReport(
        n_tokens=crafted.n_tokens,
        rank=crafted.rank,
        alpha=crafted.alpha,
        layers=crafted.fits,
        tests=tests,
        verdict=verdict(tests) if crafted.patch is not None else "",
        notes=_notes(crafted),
        curves=draw_curves(crafted, parts, on_progress) if curves else None,
    )


def _notes(crafted: Crafted) -> tuple[str, ...]:
    """What the user should know of how the patch was made."""
    notes = []
    wanted = crafted.case.n_fitted
    short = [part for part in crafted.fitted if part.n_continuation < wanted]
    if short:
        fewest = min(part.n_continuation for part in short)
        notes.append(
            f"the text ends by itself before {wanted} tokens behind {len(short)} of {len(crafted.fitted)} queries: "
            f"as few as {fewest} were fitted there"
        )
    recipe, fitted = crafted.case.recipe, fitted_queries(crafted)
    if dropped := sum(ids.query in fitted for ids in crafted.case.holdout):
        notes.append(
            f"{dropped} of the held-out queries {'is' if dropped == 1 else 'are'} fitted: no test of anything"
        )
    if isinstance(recipe.alpha, str):
        queries = "these queries" if len(fitted) > 1 else "this query"
        notes.append(
            f"α {crafted.alpha:g} was fitted on the logits behind {queries}: "
            "what it is worth is seen on other tokens alone"
        )
    if crafted.patch is not None and recipe.carrier == "output" and recipe.components != "weights":
        constant = [layer for layer, held in crafted.patch.layers.items() if held.bias is not None]
        if constant:
            notes.append(
                f"at {len(constant)} of {len(crafted.patch.layers)} layers no single down projection can carry "
                "the shift: there it is a constant"
            )
    return tuple(notes)
