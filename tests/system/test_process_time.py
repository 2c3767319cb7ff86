"""The CPU time of another process."""

import os
import sys
import time

import pytest

from icltui.system.process_time import cpu_seconds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")


def test_it_is_what_the_process_itself_reads():
    before = time.process_time()
    assert before <= cpu_seconds(os.getpid()) <= time.process_time()


def test_no_such_process():
    with pytest.raises(OSError, match=r"\S"):
        cpu_seconds(2**22 + 1)  # more than the kernel gives out
