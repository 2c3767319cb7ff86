"""What does not fit in a session's curves, heads and patch effects, whose views expect numbers in equal lengths."""

from icltui.values import AttentionHeads, LossCurves, PatchEffects

_BY_POSITION = (
    *("loss", "loss_without", "smooth", "smooth_without"),
    *("derivative", "derivative_low", "derivative_high"),
)


def problem_of_curves(curves: LossCurves) -> str | None:
    """What does not fit in loss curves; None where all does."""
    n = len(curves.tokens.context) + len(curves.tokens.query)
    for name in _BY_POSITION:
        if (found := len(getattr(curves, name))) != n:
            return f"the curves have {found} numbers of {name} for {n} tokens"
    if curves.own is not None and curves.own.n_tokens > n:
        return f"the curves compare {curves.own.n_tokens} of {n} tokens"
    return None


def problem_of_heads(heads: AttentionHeads, n_layers: int) -> str | None:
    """What does not fit in attention heads of a model of ``n_layers``; None where all does."""
    scored = {(score.layer, score.head) for score in heads.heads}
    if len(scored) < len(heads.heads) or any(layer >= n_layers for layer, _ in scored):
        return f"heads are scored, each once and in {n_layers} layers"
    named = {(one.layer, one.head) for one in (*heads.induction_heads, *heads.previous_heads)}
    if not named <= scored:
        return "a head is named that was not scored"
    layers = [one.layer for one in heads.contributions]
    if len({*layers}) < len(layers) or any(layer >= n_layers for layer in layers):
        return f"δ is split at layers {layers}, each once and of {n_layers}"
    n_units = len(heads.tokens.units)
    for one in heads.contributions:
        tables = (one.share, one.norm, one.attention)
        if any(len(table) != len(one.head_share) for table in tables):
            return f"δ at layer {one.layer} is split over different numbers of heads"
        if any(len(row) != n_units for table in tables for row in table):
            return f"δ at layer {one.layer} is not split over the {n_units} units of the context"
    return None


def problem_of_effects(effects: PatchEffects, n_layers: int) -> str | None:
    """What does not fit in patch effects of a model of ``n_layers``; None where all does."""
    layers, n_units = effects.layers, len(effects.tokens.units)
    if list(layers) != sorted({*layers}) or any(layer >= n_layers for layer in layers):
        return f"effects are at layers {list(layers)}, ascending and of {n_layers}"
    units = [of.unit for of in effects.units]
    if units != sorted({*units}) or any(not 0 < unit <= n_units for unit in units):
        return f"effects are of {len(units)} units, each once and from 1 to {n_units}"
    if any(len(of.kl) != len(layers) for of in effects.units):
        return f"effects of a unit are not at all of the {len(layers)} layers"
    if len(effects.random) not in (0, len(layers)):
        return f"{len(effects.random)} random patches are named for {len(layers)} layers"
    return None
