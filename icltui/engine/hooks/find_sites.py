"""Find the sites of a model from the modules of its layers and one traced forward pass.

Enters: a loaded Hugging Face model, and paths of modules as ``--site`` names them. Leaves: a
:class:`~icltui.engine.hooks.site.Site` per layer, and the layers that have none, with the reason. z is the input of the
MLP's first matrices, the norm is the module whose output is z, and every other reader of z is patched too.
"""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from icltui.engine.hooks.input_projections import find_input_projections
from icltui.engine.hooks.module_roles import LOOKUP_ERRORS, LayerModules
from icltui.engine.hooks.site import InputProjection, Residual, Site
from icltui.engine.hooks.trace import Trace, is_same, trace_blocks
from icltui.values import RefusedLayer
from icltui.values.errors import ModelError


def find_sites(
    model: nn.Module, site_paths: Mapping[str, str] | None = None
) -> tuple[tuple[Site, ...], tuple[RefusedLayer, ...]]:
    """The sites of every layer that has one, ascending, and the layers that have none.

    ``site_paths`` are modules by role, see :data:`icltui.api.option_table.SITES`, with ``{layer}`` in them.

    Raises:
        BadInput: a path that the model does not have.
        ModelError: no layer has an MLP that reads one vector per token.
    """
    try:
        modules = LayerModules(model, site_paths or {})
        traces = trace_blocks(model, [modules.block(layer) for layer in range(modules.n_layers)])
    except LOOKUP_ERRORS as error:
        raise _unknown(model, _first_line(error)) from error
    sites: list[Site] = []
    refused: list[RefusedLayer] = []
    for layer, trace in enumerate(traces):
        try:
            sites.append(_find_site(modules, layer, trace))
        except LOOKUP_ERRORS as error:
            refused.append(RefusedLayer(layer=layer, reason=_first_line(error)))
    if not sites:
        raise _unknown(model, refused[0].reason if refused else "it has no layers")
    return tuple(sites), tuple(refused)


def _unknown(model: nn.Module, reason: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} cannot be explored: {reason} (icltui needs a decoder whose blocks have an MLP; "
        "name its modules with --site, such as --site mlp=model.layers.{layer}.mlp)"
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _find_site(modules: LayerModules, layer: int, trace: Trace) -> Site:
    block, mlp = modules.block(layer), modules.mlp(layer)
    z = trace.input_of(mlp)
    attention, given_norm = modules.attention_output(layer), modules.given("norm", layer)
    norm = given_norm or _find_norm(trace, block, mlp, z)
    residual, *others = _residuals(modules.is_parallel, norm, attention)
    if given_norm is not None:
        residual, others = "norm", []
    siblings = _find_siblings(modules, layer, trace, z)
    paths = {id(module): path for path, module in block.named_modules()}
    projections = tuple(
        projection
        for module in (mlp, *siblings)
        for projection in find_input_projections(module, trace, z, paths.get(id(module), ""))
    )
    if not projections:
        raise LookupError("no matrix found that reads the MLP's input")
    down_proj = modules.down_proj(layer)
    if down_proj is not None:
        _check_down_proj(down_proj, trace, mlp, projections, z)
    if norm is not None:
        _check_stream(trace.input_of(norm), trace, mlp)
    return Site(layer, block, mlp, siblings, residual, norm, attention, down_proj, projections, tuple(others))


def _check_down_proj(
    down_proj: nn.Module, trace: Trace, mlp: nn.Module, projections: Sequence[InputProjection], z: Tensor
) -> None:
    """Refuse a down projection that does not follow the first matrices, or whose output is not ``hidden`` wide.

    Raises:
        LookupError: it is not the MLP's last matrix.
    """
    order = [module for module, _ in trace.inputs]
    outputs = [tensor for module, tensor in trace.outputs if module is down_proj]
    if (
        not outputs
        or outputs[-1].shape[-1] != z.shape[-1]
        or order.index(down_proj) < order.index(mlp)
        or any(projection.module in set(down_proj.modules()) for projection in projections)
    ):
        raise LookupError(
            f"its {type(down_proj).__name__} taken for the down projection is not the MLP's last matrix"
        )


def _check_stream(v: Tensor, trace: Trace, mlp: nn.Module) -> None:
    """Refuse a block where something else reads the residual stream once the MLP has begun.

    The shift changes that stream: a module that reads it would see the context without a ΔW of its own.

    Raises:
        LookupError: naming the modules that read it.
    """
    order = [module for module, _ in trace.inputs]
    inside = set(mlp.modules())
    for module, tensor in trace.inputs[order.index(mlp) :]:
        if module not in inside and is_same(tensor, v):
            raise LookupError(f"its {type(module).__name__} reads the residual stream beside the MLP")


def _find_siblings(modules: LayerModules, layer: int, trace: Trace, z: Tensor) -> tuple[nn.Module, ...]:
    """Modules outside the MLP that multiply z too; attention does not count where both share a norm."""
    mlp, attention = modules.mlp(layer), modules.attention(layer)
    known = {id(module) for root in (mlp, attention) if root is not None for module in root.modules()}
    readers = (module for module, tensor in trace.inputs if id(module) not in known and is_same(tensor, z))
    return tuple(
        module
        for module in _outermost(readers)
        if mlp not in module.modules() and find_input_projections(module, trace, z)
    )


def _residuals(is_parallel: bool, norm: nn.Module | None, attention: nn.Module | None) -> list[Residual]:
    """Candidates for v, the likeliest first."""
    kinds: list[Residual] = ["mlp"] if norm is None else ["norm", "mlp"]
    if attention is not None:
        kinds.insert(0 if is_parallel else len(kinds), "parallel")
    return kinds


def _find_norm(trace: Trace, block: nn.Module, mlp: nn.Module, z: Tensor) -> nn.Module | None:
    """The module with z as its output and not as its input."""
    for module, tensor in reversed(trace.outputs):
        if module is not block and mlp not in module.modules() and is_same(tensor, z):
            try:
                before = trace.input_of(module)
            except LookupError:
                continue
            if not is_same(before, z) and before.shape[-1] == z.shape[-1]:
                return module
    return None


def _outermost(modules: Iterable[nn.Module]) -> tuple[nn.Module, ...]:
    """The modules that no other of them contains, each once."""
    found = list({id(module): module for module in modules}.values())
    return tuple(m for m in found if not any(m is not other and m in other.modules() for other in found))
