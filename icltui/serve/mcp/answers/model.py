"""What an agent needs to begin: the model's facts, and how many tokens a prompt has."""

from msgspec import field

from icltui.api.messages import CountTokens
from icltui.serve.mcp.answers.answer import (
    AgentAnswer,
    Asked,
    Brief,
    Compose,
    Cut,
    KeptTokens,
    kept_tokens,
    name_of,
)
from icltui.serve.mcp.answers.proof import ProofControl, control_words, proof_control
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt

PROOF = Prompt(context="The capital of France is Rome.\n", query="The capital of France is")
"""The prompt on which the model's patch is verified."""


class ModelFacts(Brief, frozen=True):
    """The loaded model."""

    name: str
    architecture: str
    n_layers: int
    hidden_size: int
    n_parameters: int
    window: int | None
    """The most tokens that it reads; null: no bound is known."""
    dtype: str
    device: str
    fingerprint: str
    prompt_tokens: int
    """The most tokens of context and query in one call."""
    new_tokens: int
    """The most tokens to generate in one call."""
    refused_layers: dict[str, str] = field(default_factory=dict)
    """The layers that no patch is made for, with the reason."""
    notes: tuple[str, ...] = ()


class ModelControls(Brief, frozen=True):
    """The proof on a prompt of its own: what rounding does in this model, and whether its patch is exact."""

    context: str
    query: str
    verification: ProofControl


class TokenCounts(Brief, frozen=True):
    """The tokens of a prompt."""

    model: str
    kept: int
    context: int
    query: int
    units: int
    fits: bool
    """Whether the model reads so many, and one call takes so many."""
    texts: tuple[str, ...]
    """The tokens of context and query, one by one."""


class TokenControls(Brief, frozen=True):
    """What the counts are held against."""

    window: int | None
    """The most tokens that the model reads; null: no bound is known."""
    prompt_tokens: int
    """The most tokens of context and query in one call."""
    kept: KeptTokens
    notes: tuple[str, ...] = ()
    """Such as a token that straddles context and query."""


async def model(asked: Asked) -> Compose:
    """The model's facts, and a verification of a short prompt."""
    found, limits = asked.model, asked.limits
    control = await proof_control(asked, PROOF)

    def compose(cut: Cut) -> AgentAnswer[ModelFacts, ModelControls]:
        refused = cut.rows("refused_layers", found.refused)
        facts = ModelFacts(
            name=found.name,
            architecture=found.architecture,
            n_layers=found.n_layers,
            hidden_size=found.hidden_size,
            n_parameters=found.n_parameters,
            window=found.window,
            dtype=found.dtype,
            device=found.device,
            fingerprint=found.fingerprint,
            prompt_tokens=limits.prompt_tokens,
            new_tokens=limits.new_tokens,
            refused_layers={str(layer.layer): layer.reason for layer in refused},
            notes=cut.rows("notes", filter(None, (found.dtype_reason, found.path_reason, *found.notes))),
        )
        return AgentAnswer(
            summary=f"{name_of(found)}: {found.architecture}, {found.n_layers} layers. {control_words(control)}",
            result=facts,
            controls=ModelControls(context=PROOF.context, query=PROOF.query, verification=control),
            evidence="The facts are the checkpoint's. The verification is of one prompt: verify yours too.",
            left_out=cut.left_out,
        )

    return compose


async def count_tokens(asked: Asked) -> Compose:
    """The tokens of a prompt, held against what the model reads and one call takes."""
    tokens, limits, window = (await asked.ask(asked.request)).tokens, asked.limits, asked.model.window
    if tokens is None or not isinstance(asked.request, CountTokens):
        raise EngineError("the engine ended without tokens: ask again")
    n_text, n_kept = len(tokens.context) + len(tokens.query), len(tokens.prefix)
    fits = n_text <= limits.prompt_tokens and (window is None or n_kept + n_text <= window)

    def compose(cut: Cut) -> AgentAnswer[TokenCounts, TokenControls]:
        texts = cut.rows("texts", (token.text for token in (*tokens.context, *tokens.query)))
        return AgentAnswer(
            summary=(
                f"{len(tokens.context)} tokens of context, {len(tokens.query)} of query, {n_kept} kept before them: "
                f"{'they fit' if fits else 'too many'}."
            ),
            result=TokenCounts(
                model=name_of(asked.model),
                kept=n_kept,
                context=len(tokens.context),
                query=len(tokens.query),
                units=len(tokens.units),
                fits=fits,
                texts=texts,
            ),
            controls=TokenControls(
                window=window,
                prompt_tokens=limits.prompt_tokens,
                kept=kept_tokens(asked.model, tokens.prefix, tokens.ids),
                notes=tokens.notes,
            ),
            evidence="The tokens are exactly those that go into the model: there is no second tokenisation.",
            left_out=cut.left_out,
        )

    return compose
