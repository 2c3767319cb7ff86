"""What the log holds: a session, a measurement or a sweep's row becomes rows of the two tables.

Needs no database library. The fields of :class:`LoggedSession` and :class:`LoggedRow` are the columns of the tables.
Symbols as in :class:`icltui.values.Row`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from icltui.storage.database.stored_value import stored_json, stored_number, stored_or_none, stored_text
from icltui.values import Measurement, ModelInfo, Row, Session
from icltui.values.base import Record
from icltui.values.prompt import Positions, Prompt, layers_text
from icltui.values.recipe import Recipe
from icltui.values.sweep import SweepRow
from icltui.values.unit_choice import AUTO

Source = Literal["session", "sweep", "explorer", "measure"]
"""Where a measurement comes from: a session's file, a sweep's folder, the running explorer, the command."""
WHOLE_CONTEXT = "context"
"""The unit of a sweep's row: its only unit is the whole context."""
_BYTES = 16


class LoggedRow(Record, frozen=True, gc=False):
    """One unit of a context at one layer: a row of ``icl_dynamics_log``, but for its ``id`` and ``created_at``."""

    session_id: str
    """The measurement: see :class:`LoggedSession`."""
    prompt_hash: str
    """Hash of context and query: equal texts have equal ones, on whatever model and however measured."""
    layer_idx: int
    """Index of the layer, from 0."""
    token_idx: int
    """Number of the context's unit, from 1; 0 before any unit has come, gone or been left out."""
    token_text: str | None
    """Text of the unit, see :func:`.stored_text`; None at 0."""
    delta_norm: float | None
    """``delta_norm``: ‖δ‖ = ‖A_i − A_{i−1}‖; None at 0."""
    update_frobenius_norm: float | None
    """``patch_norm``: ‖ΔW‖ = ‖W_i − W_{i−1}‖; None at 0."""
    implicit_learning_rate: float | None
    """``learning_rate``: h_i = 1/‖A_i‖²."""
    cumulative_update_norm: float | None
    """``cumulative_patch_norm``: the sum of ‖ΔW‖ over the units so far; None at 0, and under *drop*."""


class LoggedSession(Record, frozen=True):
    """One measurement, of which model and how: a row of ``icl_dynamics_session``, but for its ``created_at``."""

    session_id: str
    """32 hexadecimal digits that follow from all that the numbers depend on: the same measurement has the same."""
    source: Source
    """Where it comes from."""
    title: str
    """Of the session, or of the sweep's prompt; empty: none."""
    version: str | None
    """Version of icltui that measured it; None in what follows too: not known."""
    model: str | None
    """Name of the model."""
    revision: str | None
    """Branch, tag or commit; None: the default one."""
    fingerprint: str | None
    """Hash of the weights."""
    dtype: str | None
    """What the model computes in."""
    device: str | None
    """Device, such as ``cpu``."""
    dynamics: str
    """How the units come and go: grow, shrink or drop."""
    reference: str
    """What a missing unit means: free or local."""
    precision: str
    """What is measured in: model or float32."""
    positions: str | None
    """Where the query's positions are without the context: reset or keep."""
    unit: str
    """What a unit is: token, line, sentence, a separator, ``context``; auto where that took larger ones than tokens."""
    layers: str
    """The measured layers, such as ``0,3,5-8``."""
    path: str | None
    """Whether the units were measured together or one by one: packed or loop."""
    n_units: int
    """Units of the context."""
    n_context: int | None
    """Tokens of the context."""
    n_query: int | None
    """Tokens of the query."""
    context_text: str
    """The context, see :func:`.stored_text`."""
    query_text: str
    """The query, see :func:`.stored_text`."""
    recipe: dict[str, Any] | None
    """How the patch beside it was made, which no number of the log depends on; None: there was none."""


class LogEntry(Record, frozen=True):
    """One measurement, which is written as a whole or not at all."""

    session: LoggedSession
    rows: tuple[LoggedRow, ...]
    """One for each unit and layer."""


def measurement_entry(
    model: ModelInfo | None,
    prompt: Prompt,
    measurement: Measurement,
    *,
    source: Source,
    title: str = "",
    recipe: Recipe | None = None,
) -> LogEntry:
    """The measurement as rows; ``prompt`` is the one that was measured."""
    prompt_hash, tokens = hash_of_prompt(prompt.context, prompt.query), measurement.tokens
    session_id = _session_id(model, prompt, prompt_hash, measurement)
    session = LoggedSession(
        session_id=session_id,
        source=source,
        title=stored_text(title),
        **_of_model(model),
        dynamics=measurement.dynamics,
        reference=measurement.reference,
        precision=measurement.precision,
        positions=prompt.positions,
        unit=stored_text(_kind_of_units(prompt.unit, [unit.tokens for unit in tokens.units])),
        layers=_layers(measurement.layers),
        path=measurement.path,
        n_units=len(tokens.units),
        n_context=len(tokens.context),
        n_query=len(tokens.query),
        context_text=stored_text(prompt.context),
        query_text=stored_text(prompt.query),
        recipe=None if recipe is None else stored_json(msgspec.to_builtins(recipe)),
    )
    texts = [None, *(stored_text(unit.text) for unit in tokens.units)]
    rows = (_row(row, session_id, prompt_hash, texts[row.unit]) for row in measurement.rows)
    return LogEntry(session=session, rows=tuple(rows))


def session_entries(session: Session, title: str = "") -> Iterator[LogEntry]:
    """The measurement of each run of the session, and its own, each once; ``title`` where it has none itself."""
    seen = set()
    for one in (*(run.session for run in session.runs), session):
        if one.measurement is None:
            continue
        entry = measurement_entry(
            one.model,
            one.prompt,
            one.measurement,
            source="session",
            title=session.title or title,
            recipe=one.recipe,
        )
        if entry.session.session_id not in seen:
            seen.add(entry.session.session_id)
            yield entry


def sweep_entry(row: SweepRow, positions: Positions | None = None) -> LogEntry | None:
    """A sweep's row as the measurement of one unit, the whole context; None where the row has no result.

    Its session_id is the row's key, so that both tables join with the sweep's own rows.
    """
    if row.error is not None or not row.layers_used:
        return None
    prompt_hash, text = hash_of_prompt(row.context, row.query), stored_text(row.context)
    session = LoggedSession(
        session_id=row.key,
        source="sweep",
        title=f"prompt {row.prompt}",
        version=stored_or_none(row.version) or None,
        model=stored_text(row.model),
        revision=stored_or_none(row.revision) or None,
        fingerprint=stored_text(row.fingerprint),
        dtype=stored_text(row.dtype),
        device=None,
        dynamics="grow",
        reference="free",
        precision="model",
        positions=positions,
        unit=WHOLE_CONTEXT,
        layers=_layers(row.layers_used),
        path=None,
        n_units=1,
        n_context=row.n_context,
        n_query=row.n_query,
        context_text=text,
        query_text=stored_text(row.query),
        recipe={
            "mode": row.mode,
            "components": row.components,
            "alpha": stored_text(row.alpha_asked),
            "seed": row.seed,
        },
    )
    rows = (
        LoggedRow(
            session_id=row.key,
            prompt_hash=prompt_hash,
            layer_idx=layer,
            token_idx=1,
            token_text=text,
            delta_norm=stored_number(_at(row.delta_norms, index)),
            update_frobenius_norm=stored_number(_at(row.patch_norms, index)),
            implicit_learning_rate=stored_number(_at(row.learning_rates, index)),
            cumulative_update_norm=stored_number(_at(row.patch_norms, index)),  # the sum of one
        )
        for index, layer in enumerate(row.layers_used)
    )
    return LogEntry(session=session, rows=tuple(rows))


def hash_of_prompt(context: str, query: str) -> str:
    """32 hexadecimal digits of the texts."""
    return _digest([context, query])


def _kind_of_units(asked: str, sizes: Sequence[int]) -> str:
    """``asked``, or ``token`` where ``auto`` measured each token: rows of one kind are found by one word."""
    return "token" if asked == AUTO and all(size == 1 for size in sizes) else asked


def _row(row: Row, session_id: str, prompt_hash: str, text: str | None) -> LoggedRow:
    return LoggedRow(
        session_id=session_id,
        prompt_hash=prompt_hash,
        layer_idx=row.layer,
        token_idx=row.unit,
        token_text=text,
        delta_norm=stored_number(row.delta_norm),
        update_frobenius_norm=stored_number(row.patch_norm),
        implicit_learning_rate=stored_number(row.learning_rate),
        cumulative_update_norm=stored_number(row.cumulative_patch_norm),
    )


def _of_model(model: ModelInfo | None) -> dict[str, str | None]:
    names = ("version", "model", "revision", "fingerprint", "dtype", "device")
    if model is None:
        return dict.fromkeys(names)
    version = model.versions.get("icltui")
    texts = (version, model.name, model.revision, model.fingerprint, model.dtype, model.device)
    return dict(zip(names, map(stored_or_none, texts), strict=True))


def _session_id(model: ModelInfo | None, prompt: Prompt, prompt_hash: str, measurement: Measurement) -> str:
    """Of the weights and what runs them, the prompt as text and ids, its units, and how they are measured."""
    ids = measurement.tokens.ids
    weights = model and (
        model.fingerprint,
        model.revision,
        model.dtype,
        model.device,
        model.quantize,
        sorted(model.sites.items()),
        sorted(model.versions.items()),
    )
    how = (
        measurement.layers,
        measurement.dynamics,
        measurement.reference,
        measurement.precision,
        measurement.path,
        prompt.positions,
    )
    units = [unit.tokens for unit in measurement.tokens.units]
    return _digest([weights, prompt_hash, ids.prefix, ids.context, ids.query, units, how])


def _digest(what: object) -> str:
    # JSON in ASCII takes half a character too.
    return hashlib.blake2b(json.dumps(what).encode("ascii"), digest_size=_BYTES).hexdigest()


def _layers(layers: tuple[int, ...]) -> str:
    return layers_text(layers, n_layers=0)  # by their numbers, also where they are all


def _at(values: tuple[float | None, ...], index: int) -> float | None:
    return values[index] if index < len(values) else None
