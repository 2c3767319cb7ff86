"""A verification: as an answer of its own, and in short as the control of others."""

from icltui.api.messages import Verify
from icltui.serve.mcp.answers.answer import (
    AgentAnswer,
    Asked,
    Brief,
    Compose,
    Cut,
    KeptTokens,
    LaneLogits,
    kept_tokens,
    name_of,
    rounded,
    words,
)
from icltui.values import LayerCheck, LogitError, Verification
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt

EVIDENCE = (
    "By construction: the identity (W+ΔW) z = W z_C holds for any vectors, trained or not, so that small errors prove "
    "the program's hooks and no theory. Evidence: how far no patch, ΔW or the shift alone, a random patch of equal "
    "norms and the shuffled context's patch miss, against the noise floor."
)


class ProofBrief(Brief, frozen=True):
    """Whether the patch is exact on this prompt, and what other patches do."""

    ok: bool
    noise_floor: float | None
    """L∞ in logits between runs of one thing through kernels of different lengths."""
    lanes: dict[str, LaneLogits]
    """No patch, ΔW alone, the shift alone, both; and the controls: random of equal norms, the shuffled context's."""
    caveat: str = ""


class ProofControl(Brief, frozen=True):
    """A proof, or why there is none."""

    proof: ProofBrief | None = None
    why_none: str = ""


class LayerErrors(Brief, frozen=True):
    """A layer's errors, relative to the run with the context."""

    layer: int
    identity_error: float | None
    block_error: float | None
    cosine: float | None
    rank: int | None


class VerifyBrief(Brief, frozen=True):
    """The verdict, and what it rests on."""

    model: str
    ok: bool
    caveat: str
    undone: bool
    """Whether the logits after removing the patch are bit for bit those before it."""
    patched: LaneLogits
    weights_alone: LaneLogits
    shift_alone: LaneLogits
    layers: tuple[LayerErrors, ...]
    """The largest errors of a block's output first."""


class VerifyControls(Brief, frozen=True):
    """What the patched logits are to be held against."""

    plain: LaneLogits
    """No patch."""
    random: LaneLogits
    """Random directions of equal norms."""
    shuffled: LaneLogits
    """The patch of the shuffled context."""
    noise_floor: float | None
    """L∞ in logits between runs of one thing through kernels of different lengths."""
    patched_share: float | None
    """L∞ of the patched logits, as a share of the largest logit."""
    allowed_share: float | None
    """The most that it may be."""
    kept: KeptTokens


async def verify(asked: Asked) -> Compose:
    """The proof, whose controls are its own."""
    proof = (await asked.ask(asked.request)).verification
    if proof is None:
        raise EngineError("the engine ended without a verification: ask again")

    def compose(cut: Cut) -> AgentAnswer[VerifyBrief, VerifyControls]:
        return AgentAnswer(
            summary=proof_words(proof),
            result=_brief(asked, proof, cut),
            controls=VerifyControls(
                plain=logits(proof.logits["plain"]),
                random=logits(proof.controls["random"]),
                shuffled=logits(proof.controls["shuffled"]),
                noise_floor=rounded(proof.noise_floor),
                patched_share=rounded(proof.patched_share),
                allowed_share=rounded(proof.allowed),
                kept=kept_tokens(asked.model, proof.kept_prefix, proof.ids),
            ),
            evidence=EVIDENCE,
            left_out=cut.left_out,
        )

    return compose


def _brief(asked: Asked, proof: Verification, cut: Cut) -> VerifyBrief:
    worst = sorted(proof.layers, key=lambda check: -(check.block_error or 0.0))
    return VerifyBrief(
        model=name_of(asked.model),
        ok=proof.ok,
        caveat=proof.caveat,
        undone=proof.undone,
        patched=logits(proof.logits["patched"]),
        weights_alone=logits(proof.logits["weights"]),
        shift_alone=logits(proof.logits["shift"]),
        layers=cut.rows("layers", map(_errors, worst)),
    )


def _errors(check: LayerCheck) -> LayerErrors:
    return LayerErrors(
        layer=check.layer,
        identity_error=rounded(check.identity_error),
        block_error=rounded(check.block_error),
        cosine=rounded(check.cosine),
        rank=check.rank,
    )


async def proof_control(asked: Asked, prompt: Prompt, layers: str = "all") -> ProofControl:
    """The proof of the patch on a prompt, to hold other numbers against."""
    collected, why = await asked.control(Verify(prompt=prompt, layers=layers))
    if collected is None or collected.verification is None:
        return ProofControl(why_none=why or "the engine ended without a verification")
    found = collected.verification
    lanes = {name: logits(error) for name, error in (found.logits | found.controls).items()}
    brief = ProofBrief(ok=found.ok, noise_floor=rounded(found.noise_floor), lanes=lanes, caveat=found.caveat)
    return ProofControl(proof=brief)


def logits(error: LogitError) -> LaneLogits:
    """One run's logits against the contextual ones, in short."""
    return LaneLogits(kl=rounded(error.kl), same_top_token=error.top1_equal)


def control_words(control: ProofControl) -> str:
    """What a proof says, in a sentence."""
    if control.proof is None:
        return f"The patch was not verified here: {control.why_none}."
    proof = control.proof
    return _kl_words({name: lane.kl for name, lane in proof.lanes.items()}, proof.ok, proof.caveat)


def proof_words(proof: Verification) -> str:
    """The verdict with its controls."""
    found = proof.logits | proof.controls
    return _kl_words({name: error.kl for name, error in found.items()}, proof.ok, proof.caveat)


def _kl_words(kl: dict[str, float | None], is_ok: bool, caveat: str) -> str:
    verdict = "is exact" if is_ok else "is NOT exact"
    return (
        f"The patch {verdict} at the layers that it patches: KL to the run with the context "
        f"{words(kl.get('patched'))} nats; no patch "
        f"{words(kl.get('plain'))}, a random patch of equal norms {words(kl.get('random'))}, the shuffled context's "
        f"{words(kl.get('shuffled'))}.{caveat and ' '}{caveat}"
    )
