"""Colours in OKLab, where equal steps look equally far apart (Ottosson 2020, *A perceptual color space*)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class OKLab(NamedTuple):
    """A colour: lightness from 0 to 1, from green to red, from blue to yellow."""

    lightness: float
    a: float
    b: float

    @property
    def hex(self) -> str:
        """The nearest colour of sRGB, as ``#rrggbb``."""
        light, a, b = self
        long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
        middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
        rgb = (
            4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
        )
        return "#" + "".join(f"{round(255 * _encoded(part)):02x}" for part in rgb)


def _encoded(linear: float) -> float:
    """Linear light as sRGB encodes it, both from 0 to 1."""
    linear = min(1.0, max(0.0, linear))
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def between(stops: Sequence[OKLab], fraction: float) -> OKLab:
    """The colour at ``fraction`` (0 to 1) of the way along two or more evenly spaced ``stops``."""
    pairs = list(pairwise(stops))
    at = min(int(fraction * len(pairs)), len(pairs) - 1)
    share = fraction * len(pairs) - at
    return OKLab(*(low + share * (high - low) for low, high in zip(*pairs[at], strict=True)))
