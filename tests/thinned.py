"""Many cases of one kind: a few in the plain run, which is to last five minutes, all others in the tier soak."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], keep: int) -> list[Any]:
    """The cases for one argument, of which every ``keep``-th runs plainly."""
    return [
        case if at % keep == 0 else pytest.param(case, marks=pytest.mark.soak)
        for at, case in enumerate(cases)
    ]
