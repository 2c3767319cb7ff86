"""A report in Markdown as one web page: no script, no other file, light or dark as its reader has it."""

from markdown_it import MarkdownIt

from icltui.text.html import plain

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif }}
pre, code, table {{ font: 14px/1.4 'Fira Code', Menlo, Consolas, monospace }}
pre {{ padding: .6rem .8rem; background: rgba(127,127,127,.12); white-space: pre-wrap; overflow-wrap: anywhere }}
table {{ display: block; overflow-x: auto; border-collapse: collapse }}
th, td {{ padding: 1px 10px; border-bottom: 1px solid rgba(127,127,127,.3) }}
img {{ max-width: 100%; background: white }}
</style>
{body}</html>
"""


def web_page(markdown: str, title: str) -> str:
    """The page of a text in CommonMark with tables; markup of HTML in the text is shown and not obeyed."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    return _PAGE.format(title=plain(title), body=body)
