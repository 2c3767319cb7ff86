"""A session as something to keep, to paste or to print: a table, a report, a figure. Needs no model and no torch.

A :class:`~icltui.values.Session` enters :func:`render_session`, bytes of one file leave;
:func:`~icltui.storage.atomic.write_file` puts them in place. What draws and sets is imported when it is asked for.
"""

from contextlib import suppress
from typing import Literal, get_args

from icltui.values import Session
from icltui.values.errors import BadInput

SessionFormat = Literal["csv", "md", "html", "svg", "png"]
"""A CSV table; a report in Markdown, or as a web page; a figure as SVG, or as PNG."""
SESSION_FORMATS: tuple[SessionFormat, ...] = get_args(SessionFormat)
FORMAT_TITLES: dict[SessionFormat, str] = {
    "csv": "CSV table",
    "md": "Markdown report",
    "html": "HTML report",
    "svg": "SVG figure",
    "png": "PNG figure",
}


def render_session(session: Session, kind: SessionFormat) -> bytes:
    """The file's bytes.

    Raises:
        BadInput: the session holds nothing of the kind, or what draws figures is not installed.
    """
    if kind == "md" or kind == "html":
        return _report(session, kind).encode()
    if session.measurement is None or not session.measurement.rows:
        raise BadInput(
            f"the session holds no measures, so there is no {FORMAT_TITLES[kind]}: run it and save it first"
        )
    if kind == "csv":
        from icltui.report.measure_json_csv import measure_csv

        return measure_csv(session.measurement).encode()
    from icltui.report.figure import figure

    return figure(session, kind)


def _report(session: Session, kind: SessionFormat) -> str:
    """The report with the session's figure, where there is one and what draws it is installed."""
    from icltui.report.markdown import markdown

    picture = None
    if session.model is not None and session.measurement is not None and session.measurement.rows:
        from icltui.report.figure import figure

        with suppress(BadInput):
            picture = figure(session, "png")
    text = markdown(session, picture)
    if kind == "md":
        return text
    from icltui.report.web_page import web_page

    return web_page(text, session.title or "icltui session")
