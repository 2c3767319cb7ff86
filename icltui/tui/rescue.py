"""What remains of unsaved work when the program must leave without asking: a file, and the line that names it."""

import re
from datetime import UTC, datetime

from icltui.errors import SessionError
from icltui.folders import shown, state_folder
from icltui.session import write_session
from icltui.tui.flows.explorer import Explorer


def rescue(explorer: Explorer) -> str:
    """Save what is not saved into the state folder; a line that says where, or why not; empty if all is saved."""
    if not explorer.is_unsaved:
        return ""
    title = explorer.document.title
    name = re.sub(r"[^\w.-]+", "-", title)[:80]
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    try:
        path = state_folder() / "autosave" / f"{name}-{moment}.json"
        write_session(path, explorer.session(title))
    except SessionError as error:
        return f"icltui: unsaved work is lost: {error}"
    return f"unsaved work was kept: open it with  icltui {shown(path)}"
