"""The ghost devices are there from the first test on that asks for one, and for good: no other test looks for them."""

import warnings
from collections.abc import Iterator

import pytest
import torch
from transformers.utils import logging

from tests.ghost.device import make_ghosts


@pytest.fixture(autouse=True)
def ghosts() -> Iterator[None]:
    """Sums are taken in one order, and no library says what it thinks of tiny models."""
    make_ghosts()
    threads, verbosity = torch.get_num_threads(), logging.get_verbosity()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.set_verbosity(verbosity)
    torch.set_num_threads(threads)
