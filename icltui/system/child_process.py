"""How every process that the program starts is started: no code is imported from the folder that the user stands in.

That folder may be a downloaded model's, and any of its files may bear the name of a module: ``python -m`` and
``python -c`` would run a ``random.py`` there in place of the library's. Enters: what to run. Leaves: a command and an
environment. Nothing but ``os`` and ``sys``, which no file can stand in for, is imported here.
"""

import os
import sys

PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
"""The folder that this package lies in."""


def own_command(*words: str, module: str = "icltui") -> list[str]:
    """This very program, or another ``module`` of it, on ``words``: ``-P`` keeps the current folder off its path."""
    return [sys.executable, "-P", "-m", module, *words]


def child_environment() -> dict[str, str]:
    """This process's environment for a child of any kind, and for the children of that child.

    ``PYTHONSAFEPATH`` is set. ``PYTHONPATH`` stays the user's, but for entries that mean whatever folder is current:
    ``""``, which an unset variable in ``$OTHER:/path`` leaves behind, and ``"."``.
    """
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    entries = environment.pop("PYTHONPATH", "").split(os.pathsep)
    if named := [entry for entry in entries if os.path.normpath(entry) != "."]:
        environment["PYTHONPATH"] = os.pathsep.join(named)
    return environment


def guard_children() -> None:
    """Make this process's environment a child's: for libraries that start processes themselves."""
    guarded = child_environment()
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(guarded)


def leave_current_folder() -> None:
    """Take off the path of ``python -m icltui`` the current folder, which ``-m`` puts first unless ``-P`` is given.

    A package that is run where it lies, without being installed, stays findable, for its children too.
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
