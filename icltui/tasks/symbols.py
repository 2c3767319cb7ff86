"""Families of signs: letters of a word, its capitals, marks around it, short names of units and of months."""

from icltui.tasks.family import by_example, pairs

_WORDS = (
    "apple bread chair dance eagle fruit grass horse island jacket kitchen lemon mountain night ocean paper "
    "queen river school table uncle village water yellow zebra bridge castle doctor engine forest garden "
    "hammer insect jungle king letter music number orange pencil"
).split()
_UNITS = pairs(
    """metre: m
    gram: g
    second: s
    hour: h
    litre: L
    kilometre: km
    centimetre: cm
    millimetre: mm
    kilogram: kg
    milligram: mg
    minute: min
    millisecond: ms
    foot: ft
    inch: in
    yard: yd
    pound: lb
    ounce: oz
    mile: mi
    volt: V
    watt: W
    ampere: A
    hertz: Hz
    joule: J
    newton: N
    pascal: Pa
    kelvin: K
    byte: B
    kilobyte: KB
    megabyte: MB
    gigabyte: GB
    kilowatt: kW
    megawatt: MW
    megahertz: MHz
    gigahertz: GHz
    decibel: dB
    gallon: gal"""
)
_FIRST_LETTER = [(word, word[0]) for word in (*_WORDS, "violin", "ladder", "summer", "planet")]
_LAST_LETTER = [(word, word[-1]) for word in _WORDS]

SYMBOLS = (
    by_example("upper case", [(word, word.upper()) for word in _WORDS]),
    by_example("capitalized", [(word, word.capitalize()) for word in _WORDS]),
    by_example("first letter", _FIRST_LETTER),
    by_example("last letter", _LAST_LETTER),
    by_example("copy", [(word, word) for word in _WORDS]),
    by_example("unit to sign", _UNITS),
    by_example("brackets", [(word, f"[{word}]") for word in _WORDS], kind="form"),
    by_example("JSON", [(word, f'{{"word": "{word}"}}') for word in _WORDS], kind="form"),
    by_example("fixed suffix", [(word, f"{word}, over") for word in _WORDS], kind="form"),
)
