"""The slow reference: weights changed for real, one layer after the other, every ΔW a full matrix.

Independent of the engine: parts are reached by hand-written names, states by plain hooks.
"""

import copy
from typing import Any

import torch
from torch import Tensor

from tests.engine.small_models import Family, attribute


class DenseModel:
    """A copy of a model whose weights may be changed, with the block outputs' added vectors."""

    def __init__(self, model: Any, family: Family) -> None:
        self.model, self.family = copy.deepcopy(model), family
        self.blocks = attribute(self.model, family.blocks)

    def add_to_output(self, layer: int, vector: Tensor) -> None:
        """From now on the block's output is shifted by ``vector``."""

        def shifted(_: Any, __: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (output[0] + vector, *output[1:])
            return output + vector

        self.blocks[layer].register_forward_hook(shifted)

    def matrices(self, layer: int) -> list[Tensor]:
        """What reads z, each (…, inner, hidden); views, so that they can be changed in place."""
        mlp = attribute(self.blocks[layer], self.family.mlp)
        weights = [attribute(mlp, path) for path in self.family.matrices]
        return [w.T if self.family.transposed else w for w in weights]

    def run(self, ids: list[int], layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """(z, v, logits) of every token; z and v at ``layer``."""
        seen: dict[str, Tensor] = {}
        block = self.blocks[layer]
        handles = [
            attribute(block, self.family.mlp).register_forward_pre_hook(
                lambda _, args: seen.__setitem__("z", args[0][0])
            )
        ]
        if self.family.residual == "parallel":
            handles.append(
                block.register_forward_pre_hook(lambda _, args: seen.__setitem__("in", args[0][0]))
            )
            handles.append(
                block.attention.register_forward_hook(
                    lambda _, __, out: seen.__setitem__("v", seen["in"] + out[0][0])
                )
            )
        else:
            handles.append(
                attribute(block, self.family.residual).register_forward_pre_hook(
                    lambda _, args: seen.__setitem__("v", args[0][0])
                )
            )
        logits = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        for handle in handles:
            handle.remove()
        return seen["z"], seen["v"], logits

    def down_input(self, ids: list[int], layer: int) -> Tensor | None:
        """g of the last token; None where there is no single down projection."""
        if self.family.g is None:
            return None
        seen: list[Tensor] = []
        down = attribute(attribute(self.blocks[layer], self.family.mlp), self.family.g)
        handle = down.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        self.model(torch.tensor([ids]), use_cache=False)
        handle.remove()
        return seen[0].reshape(-1, seen[0].shape[-1])[-1]


def compile_densely(
    model: Any,
    family: Family,
    rows: list[tuple[list[int], list[int], int]],
    shift_by: str | None,
    ridge: float = 0.0,
) -> DenseModel:
    """The model with several tokens' context in its weights.

    ``rows``: each with the context, without it, and how many of its last tokens to fit.

    Layer after layer W += W D (ZᵀZ + ρI)⁻¹ Zᵀ, by the normal equations, and the down projection or a constant for the
    shift. maths.md, section 4.
    """
    contextual, dense = DenseModel(model, family), DenseModel(model, family)
    for layer in range(len(dense.blocks)):
        seen = [(contextual.run(full, layer), dense.run(plain, layer), n) for full, plain, n in rows]
        z, dz = _columns([(theirs[0][-n:], ours[0][-n:]) for theirs, ours, n in seen])
        _, dv = _columns([(theirs[1][-n:], ours[1][-n:]) for theirs, ours, n in seen])
        for weight in dense.matrices(layer):
            weight += weight @ dz @ _inverse(z, ridge)
        if shift_by == "bias":
            dense.add_to_output(layer, dv.mean(1))
        elif shift_by == "down":
            assert family.down is not None
            down = attribute(attribute(dense.blocks[layer], family.mlp), family.down)
            g = torch.cat([_inputs(dense, down, plain, layer)[-n:] for _, plain, n in rows]).T
            weight = down.weight.T if family.transposed else down.weight
            weight += dv @ _inverse(g, ridge)
    return dense


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Without the context, and what it adds; each (hidden, tokens)."""
    without = torch.cat([ours for _, ours in pairs]).T
    return without, torch.cat([theirs for theirs, _ in pairs]).T - without


def _inverse(z: Tensor, ridge: float) -> Tensor:
    """(ZᵀZ + ρI)⁻¹ Zᵀ."""
    gram = z.T @ z
    return torch.linalg.solve(
        gram + ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype), z.T
    )


def _inputs(dense: DenseModel, module: Any, ids: list[int], layer: int) -> Tensor:
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    dense.run(ids, layer)
    handle.remove()
    return seen[0].reshape(-1, seen[0].shape[-1])


def patch_densely(
    model: Any, family: Family, full: list[int], plain: list[int], shift_by: str | None
) -> DenseModel:
    """The model with the context of ``full`` put into its weights, for the last token of ``plain``.

    ``shift_by``: ``bias`` adds δ to the block's output, ``down`` gives it to the down projection's weights, None leaves
    it out. Theorem B.2 of arXiv 2507.16003, layer after layer.
    """
    contextual, dense = DenseModel(model, family), DenseModel(model, family)
    for layer in range(len(dense.blocks)):
        z_context, v_context, _ = (t[-1] for t in contextual.run(full, layer))
        z, v, _ = (t[-1] for t in dense.run(plain, layer))
        for weight in dense.matrices(layer):
            weight += ((weight @ (z_context - z))[..., None] * z) / (z @ z)
        delta = v_context - v
        if shift_by == "bias":
            dense.add_to_output(layer, delta)
        elif shift_by == "down":
            _shift_down(dense, layer, plain, delta)
    return dense


def _shift_down(dense: DenseModel, layer: int, ids: list[int], delta: Tensor) -> None:
    assert dense.family.down is not None
    down = attribute(attribute(dense.blocks[layer], dense.family.mlp), dense.family.down)
    g = _inputs(dense, down, ids, layer)[-1]
    weight = down.weight.T if dense.family.transposed else down.weight
    weight += delta[:, None] * g / (g @ g)
