"""The limits of a server as arguments of its command."""

import argparse

from icltui.api.limits import LIMIT_OPTIONS, Limits
from icltui.cli.options import add_option


def add_limit_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each limit."""
    group = parser.add_argument_group("limits", "a request beyond them is refused")
    for option in LIMIT_OPTIONS:
        add_option(group, option)


def limits_of(args: argparse.Namespace) -> Limits:
    """The limits that the options amount to."""
    return Limits(**{option.field: getattr(args, option.field) for option in LIMIT_OPTIONS})
