"""The templated prompts of two studies, steering and exactness, as items with their keys."""

from dataclasses import dataclass

from icltui.experiment.item_key import item_key
from icltui.studies.study import StudyBase, prompts_for
from icltui.tasks.steering import SteeringPrompt, steering_prompts
from icltui.values import ModelInfo
from icltui.values.errors import BadInput


@dataclass(frozen=True)
class PromptItem:
    """One prompt, and its number among the study's."""

    number: int
    prompt: SteeringPrompt


def prompt_items(study: StudyBase, model: ModelInfo) -> list[tuple[str, PromptItem]]:
    """The study's prompts, in words that the model knows.

    Raises:
        BadInput: more than can be made.
    """
    seed = study.settings.seed
    try:
        prompts = steering_prompts(prompts_for(model), study.n, seed)
    except ValueError as error:
        raise BadInput(f"{error}: ask for fewer") from error
    return [
        (
            item_key(study.kind, model, (number, one.context, one.query, one.answer, seed)),
            PromptItem(number, one),
        )
        for number, one in enumerate(prompts)
    ]
