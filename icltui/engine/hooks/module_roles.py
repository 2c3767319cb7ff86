"""The modules of each layer by their role: as ``--site`` names them, else as ``interp_engine`` resolves them.

Enters: a model, and paths with ``{layer}`` in them. Leaves: :class:`LayerModules`. No model family is known
by name.
"""

from collections.abc import Mapping
from typing import Any

from interp_engine.arch import resolve_arch
from torch import nn

from icltui.api.option_table import SITES
from icltui.values.errors import BadInput

LOOKUP_ERRORS = (AttributeError, ValueError, LookupError, TypeError)
"""Errors of a resolver that does not know the model."""


class LayerModules:
    """Block, MLP, norm, down projection and attention of each layer."""

    def __init__(self, model: nn.Module, paths: Mapping[str, str]) -> None:
        """Resolve the model's layout.

        Raises:
            BadInput: a role that is not known, or a path that the model does not have.
            AttributeError, ValueError, LookupError, TypeError: from the resolver, where no path of a block is given.
        """
        self.model, self.paths = model, paths
        for role in paths:
            if role not in SITES:
                raise BadInput(f"site {role!r} not known: use {', '.join(SITES)}")
        try:
            self.arch: Any = resolve_arch(model, model.config)
            self.n_layers: int = self.arch.n_layers
        except LOOKUP_ERRORS:
            if "block" not in paths:
                raise
            self.arch, self.n_layers = None, self._count_blocks()
        for role in paths:
            if self.given(role, 0) is None:
                raise BadInput(f"site {role}={paths[role]!r}: this model has no such module at layer 0")

    def _count_blocks(self) -> int:
        layer = 0
        while self.given("block", layer) is not None:
            layer += 1
        return layer

    def given(self, role: str, layer: int) -> nn.Module | None:
        """The module at the path given for ``role``; None where no path is given, or no module has it."""
        try:
            return self.model.get_submodule(self.paths[role].format(layer=layer))
        except (KeyError, AttributeError, IndexError, ValueError):
            return None

    def block(self, layer: int) -> nn.Module:
        block: nn.Module = self.given("block", layer) or self.arch.block(layer)
        return block

    def mlp(self, layer: int) -> nn.Module:
        """The module whose input is z.

        Raises:
            LookupError: the layer has none.
        """
        given = self.given("mlp", layer)
        if given is not None:
            return given
        if self.arch is None:
            raise LookupError(f"layer {layer} has no MLP that was named")
        module, side = self.arch.mlp_boundary(layer, "in")
        if side != "input":
            raise LookupError(f"layer {layer} has no module whose input is the MLP's")
        found: nn.Module = module
        return found

    def down_proj(self, layer: int) -> nn.Module | None:
        """The down projection; None for a mixture of experts, which has one for each expert."""
        given = self.given("down", layer)
        if given is not None or self.arch is None:
            return given
        down = self._resolved("mlp_projection", layer, "down")
        return down if isinstance(down, nn.Module) else None

    def attention_output(self, layer: int) -> nn.Module | None:
        """The module whose output is what attention adds to the residual stream."""
        found = self._resolved("attn_boundary", layer, "out")
        return None if found is None else found[0]

    def attention(self, layer: int) -> nn.Module | None:
        """The attention's modules, which may share the MLP's input without being part of the MLP."""
        found: nn.Module | None = self._resolved("attn_module", layer)
        return found

    def _resolved(self, method: str, *args: Any) -> Any:
        """The resolver's answer; None where it has none."""
        try:
            return getattr(self.arch, method)(*args)
        except LOOKUP_ERRORS:
            return None

    @property
    def is_parallel(self) -> bool:
        """Whether attention and MLP read one residual stream."""
        return self.arch is not None and bool(self.arch.quirks.parallel_attn_mlp)
