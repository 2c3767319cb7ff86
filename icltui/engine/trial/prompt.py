"""One prompt of a trial: its ids, and those of the answer that is scored after it.

Enters: a prompt and an answer, as text. Leaves: a :class:`TrialPrompt`, checked against the model.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.offsets import encode
from icltui.engine.prompts.prompt_check import check_known, check_length
from icltui.engine.prompts.tokenize import Ids, tokenize
from icltui.values.errors import BadInput
from icltui.values.prompt import Positions, Prompt


@dataclass(frozen=True)
class TrialPrompt:
    """A prompt in the model's terms."""

    ids: Ids
    answer: tuple[int, ...] = ()
    """The tokens that are scored after the query."""
    positions: Positions = "reset"
    seed: int = 0
    """Added to the seeds of its controls, so that those of different prompts are independent."""

    @property
    def forced(self) -> tuple[int, ...]:
        """The answer's tokens that the model reads: all but the last, after which nothing is asked."""
        return self.answer[:-1]

    @property
    def shape(self) -> tuple[int, int, int, int, Positions]:
        """What the prompts of one batch have in common."""
        ids = self.ids
        return len(ids.prefix), len(ids.context), len(ids.query), len(self.answer), self.positions


def trial_prompt(loaded: LoadedModel, prompt: Prompt, answer: str = "", seed: int = 0) -> TrialPrompt:
    """The prompt's ids, and those of the answer as the tokenizer continues the query with it.

    Where the query's last token would change with the answer after it, the answer is tokenised by itself.

    Raises:
        BadInput: a prompt that cannot be tokenised or is too long, or an answer without a token.
    """
    ids, _ = tokenize(loaded, prompt)
    tokens = _answer_ids(loaded, prompt, ids, answer) if answer else ()
    whole = Ids(ids.prefix, ids.context, (*ids.query, *tokens), ids.ends)
    check_known(loaded, whole)
    check_length(loaded, whole)
    return TrialPrompt(ids, tokens, prompt.positions, seed)


def _answer_ids(loaded: LoadedModel, prompt: Prompt, ids: Ids, answer: str) -> tuple[int, ...]:
    n = len(ids.query)
    if not prompt.chat:
        longer, _ = tokenize(loaded, replace(prompt, query=prompt.query + answer))
        if (longer.prefix, longer.context, longer.query[:n]) == (ids.prefix, ids.context, ids.query):
            return longer.query[n:]
    _, body = encode(loaded.tokenizer, answer, special=False)
    if not body:
        raise BadInput(f"the answer {answer!r} has no token: give it at least one")
    return tuple(token for token, _ in body)
