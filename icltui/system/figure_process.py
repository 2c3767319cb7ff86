"""A figure, or a report with one, made in a process of its own: Matplotlib makes others wait, and stays in memory."""

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Literal

from icltui.storage.sessions import write_session
from icltui.system.child_environment import child_environment, own_command
from icltui.values import Session
from icltui.values.errors import BadInput


async def draw_figure(session: Session, kind: Literal["svg", "png", "md", "html"]) -> bytes:
    """The figure or the report as ``icltui export`` writes it.

    Raises:
        BadInput: the command refuses, with its reason.
    """
    what = "report was not made" if kind in ("md", "html") else "figure was not drawn"
    with tempfile.TemporaryDirectory(prefix="icltui-") as folder:
        source, target = Path(folder, "session.json"), Path(folder, f"figure.{kind}")
        await asyncio.to_thread(write_session, source, session if kind in ("md", "html") else session.alone)
        process = await asyncio.create_subprocess_exec(
            *own_command("export", str(source), "--to", kind, "-o", str(target)),
            env=child_environment(),
            cwd=folder,  # a downloaded folder could hold a matplotlibrc of its own
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, told = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            lines = told.decode("utf-8", "replace").strip().splitlines()
            reason = lines[-1].removeprefix("icltui: ") if lines else f"exit code {process.returncode}"
            raise BadInput(f"the {what}: {reason}")
        return target.read_bytes()
