"""Every number that a session or a message may hold, far beyond what it may be: found from the types, none by name."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import inspect

from icltui.storage.sessions import read_session
from icltui.values import FORMAT, Session
from icltui.values.bounds import COUNT, LAYERS, SEED
from icltui.values.errors import EngineError, SessionError
from icltui.worker.protocol import ClientMessage, ServerMessage, decode_client_message, decode_server_message

SAID = {
    "n_parameters",
    "weight_bytes",
    "measure_bytes",
    "available_bytes",
    "window",
    "done",
    "total",
    "seed",
} | {
    "floats",
    "bytes",
}
"""Sizes in bytes and parameters, a model's own word on its positions, and seeds: nothing is as many as they say."""


class Place(NamedTuple):
    """A number inside of a document."""

    name: str
    kind: Any
    put: Callable[[Any], Any]
    """The least document that holds it, with another value there."""


def least(kind: Any) -> Any:
    """The least value of a type, as JSON has it."""
    match kind:
        case inspect.StructType(fields=fields, tag_field=tag_field, tag=tag):
            found = {field.encode_name: least(field.type) for field in fields if field.required}
            return {tag_field: tag, **found} if tag_field else found
        case inspect.VarTupleType():
            return []
        case inspect.DictType():
            return {}
        case inspect.UnionType(types=kinds):
            return least(kinds[-1])
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.IntType(ge=smallest):
            return smallest
    return {inspect.FloatType: 0.0, inspect.StrType: "x", inspect.BoolType: True, inspect.NoneType: None}[
        type(kind)
    ]


def places(kind: Any, name: str = "", above: tuple[type, ...] = ()) -> Iterator[Place]:
    """Every number in there, each struct once on the way."""
    match kind:
        case inspect.StructType(cls=cls, fields=fields) if cls not in above:
            for field in fields:
                for place in places(field.type, f"{cls.__name__}.{field.name}", (*above, cls)):
                    whole, key = least(kind), field.encode_name
                    yield place._replace(
                        put=lambda x, place=place, whole=whole, key=key: {**whole, key: place.put(x)}
                    )
        case inspect.VarTupleType(item_type=item):
            for place in places(item, name, above):
                yield place._replace(put=lambda x, place=place: [place.put(x)])
        case inspect.DictType(key_type=key, value_type=value):
            for place in places(value, name, above):
                yield place._replace(put=lambda x, place=place, key=key: {least(key): place.put(x)})
        case inspect.UnionType(types=kinds):
            for one in kinds:
                yield from places(one, name, above)
        case inspect.IntType() | inspect.FloatType():
            yield Place(name, kind, lambda x: x)


TYPES = {"order": ClientMessage, "report": ServerMessage, "session": Session}


def all_places(kind: type) -> list[Any]:
    """Each number of each struct once, as pytest takes them."""
    found = {
        f"{how} {place.name}": (how, place)
        for how, whole in TYPES.items()
        for place in places(inspect.type_info(whole))
        if isinstance(place.kind, kind)
    }
    return [pytest.param(how, place, id=name) for name, (how, place) in found.items()]


WHOLE, DECIMAL = all_places(inspect.IntType), all_places(inspect.FloatType)


def most(place: Place) -> int:
    """The largest that may be there."""
    return place.kind.lt - 1 if place.kind.le is None else place.kind.le


def refuse(how: str, document: Any, folder: Path) -> str:
    """The one line by which the document is refused."""
    read = {
        "order": decode_client_message,
        "report": decode_server_message,
        "session": lambda data: _read(folder, data),
    }[how]
    with pytest.raises(SessionError if how == "session" else EngineError) as caught:
        read(json.dumps(document).encode())
    return str(caught.value)


def _read(folder: Path, data: bytes) -> Session:
    path = folder / "some.json"
    path.write_bytes(data)
    return read_session(path)


def test_there_are_many() -> None:
    """The walk finds what it should."""
    names = {place.name for _, place in (param.values for param in WHOLE)}
    assert {"ModelInfo.n_layers", "Row.unit", "Token.id", "LayerFit.shift_rank", "Run.number"} <= names
    assert {"Submit.job", "Hello.protocol", "LaneStep.index", "Progress.total", "Recipe.rank"} <= names
    assert len(names) > 50


@pytest.mark.parametrize(("how", "place"), WHOLE)
def test_every_whole_number_has_bounds_and_is_refused_beyond_them(
    tmp_path: Path, how: str, place: Place
) -> None:
    assert place.kind.ge in (0, 1)
    assert most(place) <= (SEED if place.name.split(".")[1] in SAID else COUNT)
    tracemalloc.start()
    for wrong in (most(place) + 1, max(2**31, most(place) + 1), -1, 10**400, -(10**400)):
        said = refuse(how, place.put(wrong), tmp_path)
        assert said.isprintable()
        assert len(said) < 900
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize(("how", "place"), DECIMAL)
def test_every_decimal_number_is_one_that_a_float_holds(tmp_path: Path, how: str, place: Place) -> None:
    for wrong in (10**400, -(10**400), 10**4200):
        assert refuse(how, place.put(wrong), tmp_path).isprintable()


@pytest.mark.parametrize(("how", "place"), WHOLE)
def test_at_its_bound_it_is_taken(how: str, place: Place) -> None:
    """It is for the number that the others are refused."""
    data = json.dumps(place.put(most(place))).encode()
    if how == "session":
        msgspec.json.decode(data, type=Session)
    else:
        (decode_client_message if how == "order" else decode_server_message)(data)


def test_layers_that_only_their_text_names_are_bounded_too(tmp_path: Path) -> None:
    for layers in ("0-999999999", f"{LAYERS}", "9" * 19):
        assert "out of range" in refuse(
            "session", {"format": FORMAT, "prompt": {}, "layers": layers}, tmp_path
        )
