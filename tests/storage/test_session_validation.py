"""A thousand damaged session files: each is a session that fits together, or one plain line, and soon.

The files are the examples, damaged by chance: cut, bits flipped, values of another kind, huge numbers, names twice,
deep nesting, other formats and encodings. ``--damaged 10000`` reads more.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from icltui.storage.sessions import read_session
from icltui.values import Session
from icltui.values.errors import SessionError
from tests.tui.conftest import open_desk
from tests.tui.screen_checks import check_screen

EXAMPLES = Path(__file__).parents[2] / "sessions"
SECONDS = 5.0
"""Of this process, that reading a file of these sizes may take at most: an undamaged one takes hundredths."""
N_SHOWN = 4
"""Of the files that were read, how many are put on the screen."""
WRONG: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 10**40, -(2**63), 1e308, 0.5, "", "x\x1b[2J\n[/INST]", "\ud800", "9" * 400),
    *([], {}, [[]], {"a": {}}, [None] * 50, "all", "0-99999999", "NaN"),
)
HUGE = (
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 5000,
    "0." + "9" * 5000,
    "1e-5000",
    "0x10",
    "01",
)
Damage = Callable[[bytes, random.Random], bytes]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def a_place(value: Any, chance: random.Random) -> tuple[Any, list[Any]]:
    """A container in there and its keys, each step by chance: the few fields at the top as often as the many rows."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        inner = [key for key in keys if isinstance(value[key], dict | list) and value[key]]
        if not inner or chance.random() < 0.2:
            return value, keys
        value = value[chance.choice(inner)]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 50))):
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def lose_a_piece(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randint(1, 4096) :]


def change_a_value(data: bytes, chance: random.Random) -> bytes:
    document = json.loads(data)
    held, keys = a_place(document, chance)
    held[chance.choice(keys)] = chance.choice(WRONG)
    return json.dumps(document).encode()


def drop_a_value(data: bytes, chance: random.Random) -> bytes:
    document = json.loads(data)
    held, keys = a_place(document, chance)
    del held[chance.choice(keys)]
    return json.dumps(document).encode()


def add_a_name(data: bytes, chance: random.Random) -> bytes:
    document = json.loads(data)
    held, keys = a_place(document, chance)
    if isinstance(held, dict):
        held[chance.choice(["", "format", "\x1b", "x" * 5000, "extra"])] = chance.choice(WRONG)
    else:
        held.append(held[chance.choice(keys)])
    return json.dumps(document).encode()


def name_twice(data: bytes, chance: random.Random) -> bytes:
    return data.replace(
        b'"prompt":', chance.choice((b'"prompt": {}, "prompt":', b'"format": 3, "prompt":')), 1
    )


def huge_number(data: bytes, chance: random.Random) -> bytes:
    name = chance.choice(
        (b'"z_norm": ', b'"n_layers": ', b'"n_tokens": ', b'"unit": ', b'"layer": ', b'"format": ')
    )
    before, found, behind = data.partition(name)
    rest = behind.lstrip(b"-+.0123456789eE") if found else behind
    return before + found + chance.choice(HUGE).encode() + rest


def nest(data: bytes, chance: random.Random) -> bytes:
    depth, (opening, closing) = (
        chance.choice((10, 900, 1100, 200_000)),
        chance.choice((("[", "]"), ('{"a":', "}"))),
    )
    nested = opening * depth + "1" + closing * depth
    return data.replace(b'"prompt":', f'"prompt": {nested}, "was":'.encode(), 1)


def another_format(data: bytes, chance: random.Random) -> bytes:
    number = chance.choice((0, 1, 2, 4, 5, 99, 10**30, -3, "3", 3.0, None, [3]))
    return data.replace(b'"format": 3', f'"format": {json.dumps(number)}'.encode(), 1)


def another_encoding(data: bytes, chance: random.Random) -> bytes:
    codec = chance.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp037"))
    return data.decode().encode(codec)


def no_session(data: bytes, chance: random.Random) -> bytes:
    binary = chance.randbytes(chance.choice((1, 100, 10_000)))
    return chance.choice(
        (b"", b"\n", b"null", b"[]", b"{}", b"\0" * 5000, binary, data + data, b"PK\x03\x04" + data)
    )


DAMAGES: tuple[Damage, ...] = (
    cut,
    flip_bits,
    lose_a_piece,
    change_a_value,
    drop_a_value,
    add_a_name,
    name_twice,
    huge_number,
    nest,
    another_format,
    another_encoding,
    no_session,
)


def small(path: Path, n_units: int = 2) -> bytes:
    """An example with the numbers of its first units only, so that a thousand are read in seconds."""
    document = json.loads(path.read_text())
    measured = document["measurement"]
    for name in ("rows", "predictions"):
        measured[name] = [each for each in measured[name] if each["unit"] <= n_units]
    return json.dumps(document).encode()


def read(path: Path) -> Session | None:
    """The session, or None where it was refused in one line; nothing else may come of it, nor late."""
    began = process_time()
    try:
        session = read_session(path)
    except SessionError as error:
        line = str(error)
        assert line.isprintable(), line
        assert len(line) < 700, line
        session = None
    assert process_time() - began < SECONDS
    return session


@pytest.mark.timeout(0)
async def test_damaged_files_are_read_or_refused_in_one_line(
    tmp_path: Path, pytestconfig: pytest.Config, count: Callable[[str], None]
) -> None:
    chance, n_files = random.Random(11), pytestconfig.getoption("damaged")
    whole = [small(path) for path in sorted(EXAMPLES.glob("*.json"))]
    read_ones: list[Session] = []
    outcome: Counter[str] = Counter()
    for n in range(n_files):
        damage = DAMAGES[n % len(DAMAGES)]
        path = tmp_path / "damaged.json"
        path.write_bytes(damage(chance.choice(whole), chance))
        try:
            session = read(path)
        except BaseException as error:
            error.add_note(f"file {n}, by {damage.__name__}: {path.read_bytes()[:2000]!r}")
            raise
        outcome["refused" if session is None else "read"] += 1
        if session is not None:
            read_ones.append(session)
    assert outcome["refused"] > n_files / 2
    assert outcome["read"] > n_files / 20
    for session in chance.sample(read_ones, min(N_SHOWN, len(read_ones))):
        await show(session)
    count(
        f"{n_files} damaged files: {outcome['refused']} refused in one line, {outcome['read']} read, all sound"
    )


async def show(session: Session) -> None:
    """The explorer on it: every tab is drawn."""
    async with open_desk(session) as desk:
        await desk.drawn()
        for key in ("5", "6", "7", "4"):
            await desk.press(key)
            check_screen(desk.app)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(300 * 2**20)  # no bytes on the disk
    assert read(path) is None
