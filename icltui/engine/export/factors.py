"""What a held patch was made from, and its factors, as one safetensors file.

Enters: a crafted patch. Leaves: for each layer N, where there is such a thing, ``layers.N.``

    z, dz         (tokens, hidden)    the MLP's input of each fitted token, without the context; what the context adds
    delta         (tokens, hidden)    what the context adds to the residual stream v
    g             (tokens, inner)     the down projection's input
    weights.read  (rank, hidden)      ΔW = W · write · read for every matrix W that reads z
    weights.write (hidden, rank)
    output.read   (rank, inner)       the shift: write · read · g is added to the stream
    output.write  (hidden, rank)
    bias          (hidden)            the shift as a constant

as they were in the run that the patch was made in, at strength 1; the metadata say on which model, by which recipe, and
which strength acts.
"""

from dataclasses import replace
from pathlib import Path

import msgspec
from safetensors.torch import save_file
from torch import Tensor

from icltui import __version__
from icltui.engine.export.base_model import place_of
from icltui.engine.patch.build import Crafted, under_control
from icltui.engine.patch.fit import derivation

FORMAT = 1
"""Grows when names or meanings change."""


def factors_of(crafted: Crafted) -> dict[str, Tensor]:
    """All tensors, by name; the patch is made once more for them, with the same result."""
    case = crafted.case
    aimed = [replace(part, passage=under_control(case, part.passage)) for part in crafted.fitted]
    run = derivation(case.loaded, case.sites, aimed, case.recipe)
    named: dict[str, Tensor | None] = {}
    for layer, held in run.made.items():
        seen = run.seen[layer]
        kept: dict[str, Tensor | None] = {
            "z": seen.z,
            "dz": seen.dz,
            "delta": seen.delta,
            "g": seen.g,
            "bias": held.bias,
        }
        for name, map_ in (("weights", held.weights), ("output", held.output)):
            if map_ is not None:
                kept |= {f"{name}.read": map_.read, f"{name}.write": map_.write}
        named |= {f"layers.{layer}.{name}": tensor for name, tensor in kept.items()}
    return {name: tensor.cpu().contiguous() for name, tensor in named.items() if tensor is not None}


def write_factors(path: Path, crafted: Crafted, fingerprint: str) -> dict[str, Tensor]:
    """The file; what it holds."""
    tensors = factors_of(crafted)
    metadata = {
        "format": str(FORMAT),
        "icltui": __version__,
        "model": place_of(crafted.case.loaded.name),
        "fingerprint": fingerprint,
        "recipe": msgspec.json.encode(crafted.case.recipe).decode(),
        "alpha": repr(crafted.alpha),
        "layers": ",".join(str(site.layer) for site in crafted.case.sites),
    }
    save_file(tensors, path, metadata=metadata)
    return tensors
