"""The memory of a process, where the system tells it."""

import os
import sys

import pytest

from icltui.system.process_memory import resident_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not tell")
def test_the_peak_is_no_less_than_what_is_resident_now() -> None:
    kept = bytearray(os.urandom(2**24))
    now, peak = resident_bytes("now"), resident_bytes("peak", os.getpid())
    assert now is not None
    assert peak is not None
    assert len(kept) < now <= peak


def test_a_process_that_is_not_there_has_none() -> None:
    assert resident_bytes("peak", "nobody") is None
