"""What an adapter was made from, beside it as a file: enough to make its patch again, alone or with another."""

from icltui.values.base import PromptIds, Record
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

PATCH_FILE = "icltui_patch.json"
"""Its name in an adapter's folder; in a GGUF file it is the metadata of :data:`PATCH_KEY`."""
PATCH_KEY = "icltui.patch"


class PatchSource(Record, frozen=True):
    """A model, a prompt with the recipe's queries, and how a patch is made of them."""

    version: str
    """Version of icltui that made it."""
    model: str
    """Name of the model, as it was loaded."""
    revision: str | None
    """Branch, tag or commit on the hub."""
    fingerprint: str
    """The weights' fingerprint."""
    prompt: Prompt
    layers: str
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    recipe: Recipe
    """How it is made, with the texts of the calibration queries."""
    ids: PromptIds
    """The tokens of the prompt and of the calibration queries."""
    forced: bool = False
    """Whether it was made although it would harm."""
    refused: str | None = None
    """Why it would harm; None where it would not."""
