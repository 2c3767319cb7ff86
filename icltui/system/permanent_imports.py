"""Imports that stay for as long as the process: no garbage collection runs over them, then or later.

An import of torch and transformers makes a million objects, hardly one of them garbage. Collections triggered by their
number take a quarter of the import's time, the one at the end of the process half a second more.
"""

import gc
import sys
from importlib import import_module


def import_for_good(name: str) -> None:
    """Import the module ``name`` without a garbage collection, and exempt all that exists from later ones.

    Where it is imported already nothing happens, as whatever else exists by then may become garbage.
    """
    if name in sys.modules:
        return
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        import_module(name)
    finally:
        gc.freeze()
        if is_collecting:
            gc.enable()
