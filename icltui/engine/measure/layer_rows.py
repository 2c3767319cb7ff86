"""The numbers of each unit at one layer.

Enters: z, v and ‖g‖ of consecutive units. Leaves: a :class:`~icltui.values.Row` each, once the numbers of all layers
are read from their device together. The trajectory in weights is in :mod:`icltui.engine.measure.weight_steps`; this
module takes norms, ratios and cosines of its steps, several units at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from icltui.engine.hooks.site import Site
from icltui.engine.measure.predictions import finite_or_none, finite_rows
from icltui.engine.measure.rank_one import Experts, Images, exact_dtype, weight_norm, working_device
from icltui.engine.measure.weight_steps import Steps, Trajectory, start_trajectory
from icltui.values import Dynamics, Row

Line = list[float | None]
"""A unit's numbers at one layer; None where one is not finite."""


@dataclass(frozen=True)
class UnreadRows:
    """Rows of consecutive units at one layer, whose numbers are still on their device."""

    table: Float[Tensor, "units columns"]
    rows: Callable[[list[Line]], list[Row]]
    """The rows of the table's lines."""


def read_rows(unread: Sequence[UnreadRows]) -> list[Row]:
    """The rows in the given order; the host waits for each device once."""
    flat: dict[torch.device, list[Tensor]] = {}
    for part in unread:
        flat.setdefault(part.table.device, []).append(part.table.flatten())
    numbers = {device: iter(finite_rows(torch.cat(tables)[None])[0]) for device, tables in flat.items()}
    rows = []
    for part in unread:
        n_units, n_columns = part.table.shape
        of_device = numbers[part.table.device]
        rows += part.rows([[*islice(of_device, n_columns)] for _ in range(n_units)])
    return rows


@dataclass
class LayerRows:
    """One layer's rows in ascending order of units, and the last unit, with which the next is compared."""

    site: Site
    dynamics: Dynamics
    experts: Experts = None
    keeps: bool = False
    """Whether every step is kept for comparing units with each other."""
    rounding: float = 0.0
    """The error of z relative to ‖z‖, in half precision."""
    trajectory: Trajectory | None = None
    v: Tensor | None = None
    g_norm: Tensor | None = None
    """‖g‖ at unit 0."""
    last: Steps | None = None
    was_still: Bool[Tensor, " one"] | None = None
    """Whether the last unit left z as it was, on its device: to ask there would make the host wait."""
    cumulative: float | None = 0.0
    """The sum of the steps so far; None after a step that is not finite."""
    kept: list[Steps] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.weight_norm = weight_norm(self.site, self.experts)

    def __copy__(self) -> "LayerRows":
        """Another state of the same layer: what it takes leaves this one as it is."""
        twin = object.__new__(LayerRows)
        vars(twin).update(vars(self), trajectory=copy(self.trajectory), kept=[*self.kept])
        return twin

    def take(
        self,
        units: Sequence[int],
        z: Float[Tensor, "units hidden"],
        v: Float[Tensor, "units hidden"],
        g_norm: Float[Tensor, " units"],
        known: Images,
    ) -> Iterator[UnreadRows]:
        """The rows of the next units; ``known``: what of W z was seen already."""
        device = working_device(self.site, known, z.device)
        z, v, g_norm = z.to(device), v.to(device), g_norm.to(device)
        if self.trajectory is None:
            first = {name: p[:1].clone() for name, p in known.items()}
            self.trajectory = start_trajectory(self.dynamics, self.site, z[:1].clone(), first, self.experts)
            self.v, self.g_norm = v[0].clone(), g_norm[0].clone()
            z_norm = z[:1].to(exact_dtype(z)).norm(dim=-1, keepdim=True)
            yield UnreadRows(z_norm, partial(self._first, units[0]))
            units, z, v, g_norm = units[1:], z[1:], v[1:], g_norm[1:]
            known = {name: p[1:] for name, p in known.items()}
        if not units:
            return
        steps = self.trajectory.take(z, known)
        table, matrices = self._table(steps, z, v, g_norm), self._matrix_norms(steps)
        numbers = torch.stack([*table.values(), *matrices.values()], dim=-1)
        yield UnreadRows(numbers, partial(self._rows, units, [*table], [*matrices]))
        self.last = steps.last()
        if self.keeps:
            self.kept.append(steps)

    def _first(self, unit: int, lines: list[Line]) -> list[Row]:
        ((z_norm,),) = lines
        nothing = None if self.dynamics == "drop" else 0.0
        row = Row(
            unit=unit,
            layer=self.site.layer,
            z_norm=z_norm,
            learning_rate=finite_or_none(z_norm**-2) if z_norm else None,
            net_patch_norm=nothing,
            cumulative_patch_norm=nothing,
        )
        return [row]

    def _rows(
        self, units: Sequence[int], names: list[str], matrices: list[str], lines: list[Line]
    ) -> list[Row]:
        return [
            self._row(
                unit,
                dict(zip(names, line, strict=False)),
                dict(zip(matrices, line[len(names) :], strict=True)),
            )
            for unit, line in zip(units, lines, strict=True)
        ]

    def _table(
        self,
        steps: Steps,
        z: Float[Tensor, "units hidden"],
        v: Float[Tensor, "units hidden"],
        g_norm: Float[Tensor, " units"],
    ) -> dict[str, Float[Tensor, " units"]]:
        """The numbers of the units, by the names of :class:`~icltui.values.Row`'s fields."""
        assert self.v is not None
        assert self.g_norm is not None
        missing = torch.full_like(g_norm, torch.nan)
        accumulates = self.dynamics != "drop"
        shift = (v - (torch.cat([self.v[None], v[:-1]]) if accumulates else self.v)).norm(dim=-1)
        if accumulates:
            self.v = v[-1].clone()
        squares = steps.u.square().sum(-1)
        delta_square, key_square = steps.delta.square().sum(-1), steps.key.square().sum(-1)
        delta, noise = delta_square.sqrt(), self._is_noise(z, delta_square)
        cosine_update = self._cosine("u", steps, squares) * self._cosine("key", steps, key_square)
        return {
            "z_norm": z.norm(dim=-1),
            "delta_norm": delta,
            "shift_norm": shift,
            "patch_norm": (squares / key_square).sqrt(),
            "net_patch_norm": missing if steps.net is None else steps.net,
            "cosine_previous": self._cosine("delta", steps, delta_square).where(~noise, torch.nan),
            # g_C: the input of the down projection with the unit; under *shrink* W_i preserves it.
            "output_patch_norm": shift / (g_norm if self.dynamics == "grow" else self.g_norm),
            "implicit_loss": missing if steps.loss is None else steps.loss,
            "half_step_square": squares / 2,
            "update_cosine_previous": cosine_update.where(~noise, torch.nan),
            "transfer_previous": self._previous(steps, transfer_residual, "u", "key").where(
                ~noise, torch.nan
            ),
            "amplification": (squares.sqrt() / delta * (z.shape[-1] ** 0.5 / self.weight_norm)).where(
                ~noise, torch.nan
            ),
        }

    def _is_noise(
        self, z: Float[Tensor, "units hidden"], delta_square: Float[Tensor, " units"]
    ) -> Bool[Tensor, " units"]:
        """Whether each unit or the one before it moved z by no more than rounding, so that directions mean nothing."""
        noise = max(16 * torch.finfo(z.dtype).eps, 2**0.5 * self.rounding)
        still = delta_square.sqrt() <= noise * z.norm(dim=-1)
        before = torch.zeros_like(still[:1]) if self.was_still is None else self.was_still
        self.was_still = still[-1:].clone()
        either: Tensor = still | torch.cat([before, still[:-1]])
        return either

    def _matrix_norms(self, steps: Steps) -> dict[str, Float[Tensor, " units"]]:
        """‖ΔW‖ of each matrix, by its name, for each unit."""
        key = steps.key.norm(dim=-1)
        return {name: u.norm(dim=-1) / key for name, u in steps.images().items()}

    def _cosine(self, name: str, steps: Steps, squares: Float[Tensor, " units"]) -> Float[Tensor, " units"]:
        """cos of each unit's vector and the one before."""
        last = torch.full_like(squares[:1], torch.nan)
        if self.last is not None:
            last = getattr(self.last, name)[-1:].square().sum(-1)
        products = self._previous(steps, lambda a, b: (a * b).sum(-1), name)
        return products / (squares * torch.cat([last, squares[:-1]])).sqrt()

    def _previous(self, steps: Steps, compare: Callable[..., Tensor], *names: str) -> Float[Tensor, " units"]:
        """``compare`` of each unit's vectors with those of the unit before it; NaN where there is none."""
        now = [getattr(steps, name) for name in names]
        later = compare(*(x[1:] for x in now), *(x[:-1] for x in now))
        if self.last is None:
            return torch.cat([torch.full_like(now[0][:1, 0], torch.nan), later])
        before = (getattr(self.last, name)[-1:] for name in names)
        return torch.cat([compare(*(x[:1] for x in now), *before), later])

    def _row(self, unit: int, named: dict[str, float | None], matrices: dict[str, float | None]) -> Row:
        patch, z_norm, weight = named["patch_norm"], named["z_norm"], self.weight_norm
        accumulates = self.dynamics != "drop"
        self.cumulative = None if self.cumulative is None or patch is None else self.cumulative + patch
        return Row(
            unit=unit,
            layer=self.site.layer,
            **named,
            learning_rate=finite_or_none(z_norm**-2) if z_norm else None,
            delta_noise=finite_or_none(2**0.5 * self.rounding * z_norm) if self.rounding and z_norm else None,
            relative_patch_norm=None if patch is None or not weight else finite_or_none(patch / weight),
            cumulative_patch_norm=self.cumulative if accumulates else None,
            matrix_norms=matrices,
        )


def transfer_residual(
    u_s: Float[Tensor, "*units inner"],
    key_s: Float[Tensor, "*units hidden"],
    u_t: Float[Tensor, "*others inner"],
    key_t: Float[Tensor, "*others hidden"],
) -> Float[Tensor, "*others"]:
    """‖u_s − u_t (k_t·k_s)/‖k_t‖²‖ / ‖u_s‖: the share of update s that the patch of t leaves undone (derived)."""
    share = (key_t * key_s).sum(-1, keepdim=True) / key_t.square().sum(-1, keepdim=True)
    residual: Tensor = (u_s - share * u_t).norm(dim=-1) / u_s.norm(dim=-1)
    return residual
