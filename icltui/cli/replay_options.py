"""The command line's arguments of *replay*: a session, and where to find the model that it was saved on."""

import argparse

from icltui.cli.options import add_model, add_output
from icltui.storage.paths import typed_path


def add_replay(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compute again all that a session records, on the model that it was saved on, and say what differs and by "
        "how much. The model is loaded as it was then, but for what is given here. Exit 0: nothing differs beyond "
        "rounding; 1: something does; 2: there is nothing to compute, or the weights are others."
    )
    parser.add_argument(
        "session", metavar="SESSION.json", type=typed_path, help="a saved session with results"
    )
    add_model(parser)
    add_output(parser, ("table", "json"))
