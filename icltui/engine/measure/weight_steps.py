"""Units of the context as steps in weight space: each is a rank-1 update ``u kᵀ/‖k‖²`` of W.

Enters: the MLP's input z at one layer, unit by unit. Leaves: the :class:`Steps` of the units. With ``A_i`` the input
after unit i and ``W_0`` the model's own weights ([1], proposition 3.1 and appendix):

    grow     W_i = W_{i−1} + W_0 (A_i − A_{i−1}) aᵀ/‖a‖²,            a = A_0
    shrink   W_i = W_{i−1} (I + (B_{i−1} − B_i) B_iᵀ/‖B_i‖²)          so W_i B_i = W_0 B_0 for every i
    drop     W_0 + W_0 (A_0 − A_i) A_iᵀ/‖A_i‖²                        each unit on its own, A_0 the full context

A step of *grow* or *shrink* is a normalised-LMS step; both end with the map of z(x) to W_0 z(C, x).
"""

from copy import copy
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.site import Site
from icltui.engine.measure.rank_one import Experts, Images, exact_dtype, project, project_back
from icltui.values import Dynamics


@dataclass(frozen=True)
class Steps:
    """Consecutive units at one layer."""

    delta: Float[Tensor, "units hidden"]
    """A_i − A_{i−1}; under *drop* A_i − A_0."""
    u: Float[Tensor, "units inner"]
    """The step's addition to W k, the matrices stacked."""
    widths: dict[str, int]
    """The width of each matrix within ``inner``."""
    key: Float[Tensor, "units hidden"]
    """k, the input at which the step acts in full."""
    net: Float[Tensor, " units"] | None
    """‖W_i − W_0‖."""
    loss: Float[Tensor, " units"] | None
    """L_i(W_i) = −dp_i·p_i, defined for a fixed reference."""

    def last(self) -> "Steps":
        """The last unit, in tensors that do not keep the others alive."""
        net = None if self.net is None else self.net[-1:].clone()
        loss = None if self.loss is None else self.loss[-1:].clone()
        return Steps(
            self.delta[-1:].clone(), self.u[-1:].clone(), self.widths, self.key[-1:].clone(), net, loss
        )

    def images(self) -> dict[str, Float[Tensor, "units _inner"]]:
        """u by the matrix's name."""
        parts = torch.split(self.u, list(self.widths.values()), dim=-1)
        return dict(zip(self.widths, parts, strict=True))


@runtime_checkable
class Trajectory(Protocol):
    """The steps of one layer, from unit 1 up."""

    def take(self, z: Float[Tensor, "units hidden"], known: Images) -> Steps:
        """The steps of the next units; ``known``: what of W z was seen already."""
        ...


def start_trajectory(
    dynamics: Dynamics, site: Site, z: Float[Tensor, "1 hidden"], known: Images, experts: Experts
) -> Trajectory:
    """The trajectory from unit 0's ``z``."""
    if dynamics == "shrink":
        return _Shrink(site, z[0], experts)
    p, _ = _stacked(project(site, z, experts, known))
    return _Grow(site, z[0], p[0], experts) if dynamics == "grow" else _Drop(site, z[0], p[0], experts)


def _stacked(images: Images) -> tuple[Float[Tensor, "rows inner"], dict[str, int]]:
    widths = {name: image.shape[-1] for name, image in images.items()}
    parts = list(images.values())
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1), widths


class _Grow:
    def __init__(
        self, site: Site, reference: Float[Tensor, " hidden"], p: Float[Tensor, " inner"], experts: Experts
    ) -> None:
        self.site, self.reference, self.experts = site, reference, experts
        self.first, self.z, self.p = p, reference, p

    def take(self, z: Float[Tensor, "units hidden"], known: Images) -> Steps:
        p, widths = _stacked(project(self.site, z, self.experts, known))
        before = torch.cat([self.p[None], p[:-1]])
        delta, u = z - torch.cat([self.z[None], z[:-1]]), p - before
        net = (p - self.first).norm(dim=-1) / self.reference.norm()
        self.z, self.p = z[-1].clone(), p[-1].clone()
        return Steps(delta, u, widths, self.reference.expand_as(z), net, -(u * before).sum(-1))


class _Drop:
    def __init__(
        self, site: Site, full: Float[Tensor, " hidden"], p: Float[Tensor, " inner"], experts: Experts
    ) -> None:
        self.site, self.full, self.p, self.experts = site, full, p, experts

    def take(self, z: Float[Tensor, "units hidden"], known: Images) -> Steps:
        p, widths = _stacked(project(self.site, z, self.experts, known))
        return Steps(z - self.full, self.p - p, widths, z, None, None)


class _Shrink:
    """W_i = W_0 M_i with M_i = I + Σ_{j≤i} y_j B_jᵀ/‖B_j‖², y_j = B_0 − M_{j−1} B_j: M_i maps B_i to B_0 (derived).

    ‖W_i − W_0‖² = Σ_{j,k≤i} (W_0 y_j · W_0 y_k)(B_j·B_k)/(‖B_j‖²‖B_k‖²), from vectors of width ``hidden`` alone; in
    float64 where the device has it, as its terms cancel.
    """

    def __init__(self, site: Site, first: Float[Tensor, " hidden"], experts: Experts) -> None:
        self.site, self.experts, self.z = site, experts, first
        self.exact = exact_dtype(first)
        self.first = first.to(self.exact)
        self.y, self.key, self.back = _Rows(self.first), _Rows(self.first), _Rows(self.first)
        """y_j, B_j/‖B_j‖², W_0ᵀ W_0 y_j of all units so far."""
        self.net_square: Tensor | float = 0.0

    def __copy__(self) -> "_Shrink":
        twin = object.__new__(_Shrink)
        rows = {name: copy(getattr(self, name)) for name in ("y", "key", "back")}
        vars(twin).update(vars(self), **rows)
        return twin

    def take(self, z: Float[Tensor, "units hidden"], known: Images) -> Steps:  # noqa: ARG002 -- W y is what counts here, not W z
        delta = z - torch.cat([self.z[None], z[:-1]])
        begin = self.y.n
        for x in z.to(self.exact):
            y = self.first - x - (self.key.all @ x) @ self.y.all
            self.y.append(y[None])
            self.key.append((x / (x @ x))[None])
        images = project(self.site, self.y.all[begin:].to(z.dtype), self.experts)
        self.back.append(project_back(self.site, images, self.experts))
        self.z = z[-1].clone()
        return Steps(delta, *_stacked(images), z, self._net(begin).to(z.dtype), None)

    def _net(self, begin: int) -> Float[Tensor, " units"]:
        key = self.key.all
        terms = (self.y.all[begin:] @ self.back.all.T) * (key[begin:] @ key.T)
        index = torch.arange(len(key), device=terms.device)
        own = index[begin:, None]
        added = (terms * (2.0 * (index[None] < own) + (index[None] == own))).sum(-1)
        squares = self.net_square + added.cumsum(0)
        self.net_square = squares[-1].clone()
        return squares.clamp_min(0.0).sqrt()


class _Rows:
    """A growing list of vectors; its memory doubles when it is full, so that adding one costs one."""

    def __init__(self, like: Float[Tensor, " hidden"]) -> None:
        self.memory, self.n = like.new_empty(64, len(like)), 0

    @property
    def all(self) -> Float[Tensor, "rows hidden"]:
        return self.memory[: self.n]

    def append(self, rows: Float[Tensor, "rows hidden"]) -> None:
        while self.n + len(rows) > len(self.memory):
            self.memory = torch.cat([self.memory, torch.empty_like(self.memory)])
        self.memory[self.n : self.n + len(rows)] = rows
        self.n += len(rows)
