"""Commands and environments for child processes that import no code from the current folder.

That folder may be a downloaded model's, and any of its files may have the name of a module: ``python -m`` and ``python
-c`` would run a ``random.py`` there in place of the library's. This module imports only ``os`` and ``sys``, which no
file can replace.
"""

import os
import sys

PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
"""The folder that this package lies in."""


def own_command(*words: str, module: str = "icltui") -> list[str]:
    """This very program, or another ``module`` of it, on ``words``: ``-P`` keeps the current folder off its path."""
    return [sys.executable, "-P", "-m", module, *words]


def child_environment() -> dict[str, str]:
    """The environment for a child process and its own children: this process's, made safe.

    ``PYTHONSAFEPATH`` is set. ``PYTHONPATH`` stays the user's, but for entries that mean whatever folder is current:
    ``""``, which an unset variable in ``$OTHER:/path`` leaves, and ``"."``.
    """
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    entries = environment.pop("PYTHONPATH", "").split(os.pathsep)
    if named := [entry for entry in entries if os.path.normpath(entry) != "."]:
        environment["PYTHONPATH"] = os.pathsep.join(named)
    return environment


def guard_children() -> None:
    """Put :func:`child_environment` into this process's own, for libraries that start processes themselves."""
    guarded = child_environment()
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(guarded)


def leave_current_folder() -> None:
    """Remove the current folder from ``sys.path``, where ``python -m icltui`` puts it first unless ``-P`` is given.

    A package that is run from its own folder without being installed can still be imported, by child processes too.
    """
    try:
        here = os.getcwd()
    except OSError:  # it was deleted, so nothing can be imported from it
        return
    if sys.flags.safe_path or sys.path[:1] != [here]:
        return
    del sys.path[0]
    if here == PACKAGE_ROOT and here not in sys.path:
        sys.path.append(here)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), here)))
