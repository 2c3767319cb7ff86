"""``icltui help``: a page of the manual, or the list of its topics."""

import argparse
import sys

from icltui.cli.output import terminal_width
from icltui.storage.manual import TOPICS, page
from icltui.system.streams import is_terminal, print_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "topic", nargs="?", metavar="TOPIC", help="the page to print (default: the list of topics)"
    )


def help(args: argparse.Namespace) -> int:
    """Print the page: set for its width on a terminal, else as the Markdown that it is."""
    if args.topic is None:
        print_text(topics())
    elif is_terminal(sys.stdout):
        from icltui.text.rich_markdown import rendered

        print_text(rendered(page(args.topic), terminal_width()))
    else:
        print_text(page(args.topic))
    return 0


def topics() -> str:
    """A line for each topic."""
    longest = max(map(len, TOPICS))
    lines = (f"  {topic:<{longest}}  {about}" for topic, about in TOPICS.items())
    return "\n".join(["The manual; icltui help TOPIC prints a page:", "", *lines])
