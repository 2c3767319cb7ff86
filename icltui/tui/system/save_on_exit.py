"""At the end of the program: keep unsaved work in a file, and give the command that opens it again."""

import os
import shlex
import tempfile
from pathlib import Path

from icltui.storage.paths import is_example
from icltui.storage.sessions import write_session
from icltui.tui.state.explorer import Explorer
from icltui.tui.system.autosave import Autosave
from icltui.values.errors import SessionError


def save_on_exit(explorer: Explorer, autosave: Autosave) -> str:
    """Keep unsaved work; the line to leave on the terminal, empty if there is no file to open again."""
    path = explorer.document.path
    if not explorer.is_unsaved:
        autosave.forget()
        return "" if path is None or is_example(path) else f"open it again with:  icltui {shell_quoted(path)}"
    try:
        kept = autosave.keep().result() or _keep_elsewhere(explorer)
    except SessionError as error:
        try:
            kept = _keep_elsewhere(explorer)
        except (OSError, SessionError):
            return f"icltui: unsaved work is lost: {error}"
    return f"unsaved work was kept, open it with:  icltui {shell_quoted(kept)}"


def _keep_elsewhere(explorer: Explorer) -> Path:
    """Write into the folder for temporary files, where the state folder is full or cannot be written."""
    folder = Path(tempfile.mkdtemp(prefix="icltui-"))  # for the user alone
    path = folder / "unsaved.json"
    try:
        write_session(path, explorer.session(explorer.document.title))
    except SessionError:
        folder.rmdir()
        raise
    return path


def shell_quoted(path: Path) -> str:
    """The path as a word for the shell, on one line and no option, whatever is in it."""
    text = str(path)
    if not text.isprintable():
        escaped = (
            chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"./-_ " else f"\\x{byte:02x}"
            for byte in os.fsencode(text)
        )
        return f"$'{''.join(escaped)}'"
    # A bare name could be read as an option or a command.
    is_file = text.endswith(".json") and not text.startswith("-")
    return shlex.quote(text if is_file or path.is_absolute() else f"./{text}")
