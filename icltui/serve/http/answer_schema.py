"""What a server answers, as JSON Schema: the documents of ``icltui.report``, from the types of what is in them.

Every key of a document is required: nothing is left out where it is empty or unknown, which is ``null``; but for
``part_of`` of a unit, which only the tokens of an opened one have.
"""

import re
from collections.abc import Sequence
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import Struct

from icltui.report.measures import PREDICTIONS
from icltui.values import (
    AttentionHeads,
    Candidate,
    Compilation,
    Exam,
    Generation,
    IclScore,
    Lane,
    LaneStep,
    LaneText,
    LossCurves,
    Measurement,
    ModelInfo,
    Path,
    RefusedLayer,
    Row,
    Sink,
    Token,
    Unit,
    Verification,
)
from icltui.values.bounds import LayerIndex, TokenCount
from icltui.values.prompt import Positions
from icltui.values.recipe import Recipe

Types = dict[str, Any]
"""The keys of a document with the types of their values."""

_MODEL: Types = {"model": ModelInfo, "positions": Positions, "chat": bool}
_PROVENANCE: Types = {**_MODEL, "refused": tuple[RefusedLayer, ...]}
_KEPT: Types = {"kept_prefix": tuple[Token, ...], "sink": Sink | None}
_TOKENS: Types = {
    "context_tokens": tuple[Token, ...],
    "query_tokens": tuple[Token, ...],
    "units": tuple[Unit, ...],
    "notes": tuple[str, ...],
}


def _struct(name: str, types: Types) -> type[Struct]:
    return msgspec.defstruct(name, list(types.items()), kw_only=True)


def _fields(owner: type[Struct], *names: str) -> Types:
    """The fields of ``owner`` with their types; of ``names`` alone where there are any."""
    found = {info.name: info.type for info in msgspec.structs.fields(owner)}
    return {name: found[name] for name in names or found}


_NOISE = _struct("Noise", {"layer": LayerIndex, "delta_norm": float | None})
_PREDICTED = _struct(
    "PredictedToken",
    {
        "unit": TokenCount,
        "token": str,
        **dict.fromkeys(PREDICTIONS, float | None),
        "top": tuple[Candidate, ...],
    },
)
_STEP = _struct("GeneratedToken", _fields(LaneStep, "token", "top", "kl_to_context"))
_LANE = _struct("GeneratedLane", {**_fields(LaneText, "text", "token_ids"), "steps": tuple[_STEP, ...]})  # type: ignore[valid-type]

ANSWERS: dict[str, type[Struct]] = {
    "measure": _struct(
        "MeasureDocument",
        {
            **_PROVENANCE,
            **_KEPT,
            "path": Path,
            "path_reason": str,
            **_fields(Measurement, "dynamics", "reference", "precision"),
            "noise": tuple[_NOISE, ...],  # type: ignore[valid-type]
            "layers": tuple[LayerIndex, ...],
            "prefix_tokens": tuple[Token, ...],
            **_TOKENS,
            "rows": tuple[Row, ...],
            "predictions": tuple[_PREDICTED, ...],  # type: ignore[valid-type]
            **_fields(Measurement, "pairs", "seconds"),
        },
    ),
    "generate": _struct(
        "GenerateDocument",
        {
            **_PROVENANCE,
            **_KEPT,
            "lanes": dict[Lane, _LANE],  # type: ignore[valid-type]
            **_fields(Recipe, "mode", "components"),
            **_fields(Generation, "agreement", "recipe", "sampling", "holdout", "layers", "fit", "patch"),
        },
    ),
    "verify": _struct("VerifyDocument", {**_PROVENANCE, **_fields(Verification), **_KEPT}),
    "curves": _struct(
        "CurvesDocument",
        {
            **_PROVENANCE,
            **_KEPT,
            **_TOKENS,
            **{name: kind for name, kind in _fields(LossCurves).items() if name != "tokens"},
            "icl_score": float | None,
            "icl_score_bits": float | None,
            "icl_score_of": IclScore | None,
        },
    ),
    "heads": _struct(
        "HeadsDocument",
        {
            **_PROVENANCE,
            **_KEPT,
            **_TOKENS,
            **{name: kind for name, kind in _fields(AttentionHeads).items() if name != "tokens"},
        },
    ),
    "compile": _struct("CompileDocument", {**_MODEL, **_fields(Compilation)}),
    "exam": _struct("ExamDocument", {**_PROVENANCE, **_fields(Exam)}),
}
"""The document that an operation of that name answers with."""


_LEFT_OUT = {Unit.__name__: ("part_of",)}
"""By type, the keys that are not there where they have their default."""


def answer_schemas(template: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The schema of each operation's answer, and those that they refer to, by name.

    Args:
        template: what a reference looks like, with ``{name}`` in it.
    """
    answers, components = msgspec.json.schema_components(ANSWERS.values(), ref_template=template)
    return dict(zip(ANSWERS, answers, strict=True)), {
        name: _plain(part, _LEFT_OUT.get(name, ())) for name, part in components.items()
    }


def _plain(schema: dict[str, Any], left_out: Sequence[str]) -> dict[str, Any]:
    """``schema`` as an answer has it: no key left out but ``left_out``, no default, its meaning in one paragraph."""
    if "properties" not in schema:
        return schema
    schema["properties"] = {
        name: {key: value for key, value in part.items() if key != "default"}
        for name, part in schema["properties"].items()
    }
    schema["required"] = [name for name in schema["properties"] if name not in left_out]
    if "description" in schema:
        first = cleandoc(schema["description"]).partition("\n\n")[0]
        schema["description"] = re.sub(r":\w+:`([^`]*)`|``([^`]*)``", r"\1\2", " ".join(first.split()))
    return schema
