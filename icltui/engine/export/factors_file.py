"""A held patch's factors, and the vectors that it was fitted on, as one safetensors file.

Enters: a built patch. Leaves: for each layer N that has the tensor, ``layers.N.``

    z, dz         (tokens, hidden)    the MLP's input of each fitted token, without the context; what the context adds
    delta         (tokens, hidden)    what the context adds to the residual stream v
    g             (tokens, inner)     the down projection's input
    weights.read  (rank, hidden)      ΔW = W · write · read for every matrix W that reads z
    weights.write (hidden, rank)
    output.read   (rank, inner)       the shift: write · read · g is added to the stream
    output.write  (hidden, rank)
    bias          (hidden)            the shift as a constant

as they were in the pass that fitted the patch, at strength 1; the metadata say on which model, by which recipe, and
which strength acts.
"""

from pathlib import Path

import msgspec
from safetensors.torch import save_file
from torch import Tensor

from icltui import __version__
from icltui.engine.export.adapter_base_model import place_of
from icltui.engine.patch.build import BuiltPatch, fit_built

FORMAT = 1
"""The format's version, which grows when names or meanings change."""


def factors_of(built: BuiltPatch) -> dict[str, Tensor]:
    """All tensors by name; the patch is fitted once more for them, with an equal result."""
    named: dict[str, Tensor | None] = {}
    for layer, made in fit_built(built).items():
        kept = {"z": made.z, "dz": made.dz, "delta": made.delta, "g": made.g, "bias": made.patch.bias}
        for name, map_ in (("weights", made.patch.weights), ("output", made.patch.output)):
            if map_ is not None:
                kept |= {f"{name}.read": map_.read, f"{name}.write": map_.write}
        named |= {f"layers.{layer}.{name}": tensor for name, tensor in kept.items()}
    return {name: tensor.cpu().contiguous() for name, tensor in named.items() if tensor is not None}


def write_factors(path: Path, built: BuiltPatch, fingerprint: str) -> dict[str, Tensor]:
    """Writes the file and returns its tensors."""
    tensors = factors_of(built)
    metadata = {
        "format": str(FORMAT),
        "icltui": __version__,
        "model": place_of(built.spec.loaded),
        "fingerprint": fingerprint,
        "recipe": msgspec.json.encode(built.spec.recipe).decode(),
        "alpha": repr(built.alpha),
        "layers": ",".join(str(site.layer) for site in built.spec.sites),
    }
    save_file(tensors, path, metadata=metadata)
    return tensors
