"""The lanes of text for an agent: with the context, without it, through the patch; and through other patches."""

from msgspec.structs import replace

from icltui.api.messages import Generate
from icltui.api.option_table import without_flags
from icltui.serve.mcp.answers.answer import (
    AgentAnswer,
    Asked,
    Brief,
    Compose,
    Cut,
    KeptTokens,
    kept_tokens,
    name_of,
    rounded,
    words,
)
from icltui.values import Generation, Lane, PatchTest
from icltui.values.errors import EngineError
from icltui.values.prompt import layers_text
from icltui.values.recipe import Control, Recipe, patch_words

PATCHES: tuple[Control, ...] = ("none", "random", "shuffled")
"""What may be in the patch's place; ``none``: the context's own patch is left there."""

_BEYOND = (
    "Evidence: what the patched lane says beyond the plain lane and both other patches. The plain lane often agrees "
    "with the context at many tokens already, and so does a patch that does nothing."
)
_BY_MODE = {
    "per-step": (
        "By construction: a patch per step is made from the context anew at every token, so that with all layers and "
        "α 1 its text equals the contextual one, and proves nothing about weights that are held."
    ),
    "frozen": ("By construction: the first token, at which the patch is made, where all layers are patched."),
    "compiled": (
        "By construction: the tokens that the patch is fitted on: the query's, and the first of the continuation. "
        "Evidence are the tests on later tokens, and on other queries (holdout)."
    ),
}


class LaneBrief(Brief, frozen=True):
    """One lane of text."""

    text: str
    n_tokens: int
    equal: int | None = None
    """Tokens as in the lane with the context, at the same index."""
    first_difference: int | None = None
    """The index of the first other token, from 0; null: none differs."""
    kl: float | None = None
    """KL(with context ‖ this) of the first token's distribution, in nats."""


class GenerateBrief(Brief, frozen=True):
    """The lanes."""

    model: str
    patch: str
    layers: str
    lanes: dict[str, LaneBrief]
    verdict: str = ""
    """Whether the patch serves on tokens that it was not made from."""
    tests: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class PatchControl(Brief, frozen=True):
    """The lane of another patch by the same recipe, or why there is none."""

    lane: LaneBrief | None = None
    why_none: str = ""


class GenerateControls(Brief, frozen=True):
    """What the patched lane is to be held against."""

    plain: LaneBrief | None
    """The query alone."""
    patches: dict[str, PatchControl]
    """Random directions of equal norms; the shuffled context's patch; ``none``: the context's own."""
    kept: KeptTokens


async def generate(asked: Asked) -> Compose:
    """The lanes, and the patched lane by the same recipe with other patches."""
    request = asked.request
    if not isinstance(request, Generate) or not (found := (await asked.ask(request)).generations):
        raise EngineError("the engine ended without a generation: ask again")
    generation = found[-1]
    controls: dict[str, PatchControl] = {
        patch: await _control(asked, request, patch) for patch in PATCHES if patch != request.recipe.control
    }

    def compose(cut: Cut) -> AgentAnswer[GenerateBrief, GenerateControls]:
        brief = _brief(asked, generation, cut)
        return AgentAnswer(
            summary=_words(brief, controls),
            result=brief,
            controls=GenerateControls(
                plain=brief.lanes.get("plain"),
                patches=controls,
                kept=kept_tokens(asked.model, generation.kept_prefix, generation.ids),
            ),
            evidence=f"{_by_construction(request.recipe)} {_BEYOND}",
            left_out=cut.left_out,
        )

    return compose


async def _control(asked: Asked, request: Generate, patch: Control) -> PatchControl:
    recipe = replace(request.recipe, control=patch)
    other = replace(request, recipe=recipe, lanes=("context", "patched"), holdout=(), curves=False)
    collected, why = await asked.control(other)
    if collected is None or not collected.generations:
        return PatchControl(why_none=why or "the engine ended without a generation")
    return PatchControl(lane=_lane(collected.generations[-1], "patched"))


def _by_construction(recipe: Recipe) -> str:
    if recipe.control != "none":
        return f"The patched lane is itself a control ({recipe.control}); the context's own patch is beside it (none)."
    return _BY_MODE[recipe.mode]


def _brief(asked: Asked, generation: Generation, cut: Cut) -> GenerateBrief:
    report = generation.patch
    return GenerateBrief(
        model=name_of(asked.model),
        patch=patch_words(generation.recipe),
        layers=layers_text(generation.layers, asked.model.n_layers),
        lanes={name: _lane(generation, name) for name in generation.lanes},
        verdict=report.verdict if report else "",
        tests=cut.rows("tests", map(_test, report.tests)) if report else (),
        notes=cut.rows("notes", map(without_flags, report.notes)) if report else (),
    )


def _lane(generation: Generation, name: Lane) -> LaneBrief:
    lane, agreement, fit = (
        generation.lanes[name],
        generation.agreement.get(name),
        generation.fit.get(name),
    )
    return LaneBrief(
        text=lane.text,
        n_tokens=len(lane.token_ids),
        equal=agreement.equal if agreement else None,
        first_difference=agreement.first_difference if agreement else None,
        kl=rounded(fit.kl) if fit else None,
    )


def _test(test: PatchTest) -> str:
    return (
        f"{test.n_tokens} {test.what}: KL {words(test.kl)} nats, {words(test.kl_plain)} without a patch; "
        f"{test.equal} top tokens as with the context, {test.equal_plain} without a patch"
    )


def _words(brief: GenerateBrief, controls: dict[str, PatchControl]) -> str:
    lanes: dict[str, LaneBrief] = {name: lane for name, lane in brief.lanes.items() if name != "context"}
    others = {f"control {name}": control.lane for name, control in controls.items() if control.lane}
    said = (f"{name} {_agreement(lane)}" for name, lane in (lanes | others).items())
    texts = {"context": "With the context", "plain": "without it", "patched": "through the patch"}
    begin = ", ".join(
        f"{where} {brief.lanes[name].text!r}" for name, where in texts.items() if name in brief.lanes
    )
    return f"{begin}. Tokens as with the context, and KL at the first: {'; '.join(said)}."


def _agreement(lane: LaneBrief) -> str:
    return f"{lane.equal} of {lane.n_tokens} (KL {words(lane.kl)})"
