"""``icltui demo``: the embedded model trained, scored and shown on examples."""

import argparse
from pathlib import Path

from icltui.api.option_table import option_of
from icltui.cli.common import local_engine
from icltui.cli.options import add_option
from icltui.cli.output import print_progress, terminal_width
from icltui.storage.paths import typed_path
from icltui.system.streams import print_error, print_text
from icltui.values.errors import BadInput, reason_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    train = actions.add_parser(
        "train", help="train the embedded model from a seed, about an hour on one core"
    )
    train.add_argument(
        "-o", "--output", type=typed_path, required=True, metavar="FOLDER", help="where to save it"
    )
    add_option(train, option_of("seed"), help=None)
    train.add_argument("--steps", type=int, default=4500, metavar="N", help="default 4500")
    train.add_argument(
        "--checkpoints",
        type=typed_path,
        default=None,
        metavar="FOLDER",
        help="keep a model step-N in it after 0, 1, 2, 3, 4, 6, 8, … steps, for the study of training",
    )
    examples = actions.add_parser("examples", help="make the sessions that come with the program")
    examples.add_argument(
        "-o", "--output", type=typed_path, required=True, metavar="FOLDER", help="where to save them"
    )
    actions.add_parser("patches", help="what each kind of patch achieves on the example prompts")
    evaluate = actions.add_parser("evaluate", help="score a demo model on fresh prompts")
    evaluate.add_argument(
        "--folder", type=typed_path, default=None, metavar="FOLDER", help="default: the embedded model"
    )
    add_option(evaluate, option_of("seed"), default=1, help="of the prompts (default 1)")
    evaluate.add_argument("--prompts", type=int, default=400, metavar="N", help="per task (default 400)")
    evaluate.add_argument("--save", action="store_true", help="write evaluation.json beside the weights")


def demo(args: argparse.Namespace) -> int:
    """``icltui demo train|examples|patches|evaluate``."""
    actions = {"train": _train, "examples": _examples, "patches": _patches, "evaluate": _evaluate}
    actions[args.action](args)
    return 0


def _evaluate(args: argparse.Namespace) -> None:
    from icltui.demo import evaluate
    from icltui.storage.paths import MODEL_DIR

    folder = args.folder or MODEL_DIR
    if not (folder / "model.safetensors").is_file():
        raise BadInput(f"no model in {str(folder)!r}: model.safetensors was expected there")
    if args.prompts < 1:
        raise BadInput(f"{args.prompts} prompts: ask for at least 1")
    evaluation = evaluate.evaluate(folder, args.seed, args.prompts)
    if args.save:
        evaluate.write_evaluation(folder, evaluation)
    print_text(evaluate.evaluation_markdown(evaluation))


def _train(args: argparse.Namespace) -> None:
    if args.steps < 1:
        raise BadInput(f"{args.steps} steps: ask for at least 1")
    _make_folder(args.output)
    if args.checkpoints is not None:
        _make_folder(args.checkpoints)
        if any(args.checkpoints.glob("step-*")):
            raise BadInput(f"{str(args.checkpoints)!r} holds checkpoints already: choose another folder")
    from icltui.demo.train import train

    def print_loss(step: int, loss: float) -> None:
        if (step + 1) % 50 == 0:
            print_error(f"step {step + 1} of {args.steps}  loss {loss:.3f} nats")

    train(args.output, args.seed, args.steps, on_step=print_loss, checkpoints=args.checkpoints)


def _patches(_args: argparse.Namespace) -> None:
    from icltui.demo.patch_kinds import try_patches
    from icltui.report.patch_comparison import patches_table

    print_text(patches_table(try_patches(local_engine()), terminal_width()))


def _make_folder(folder: Path) -> None:
    """Make the folder before the work, which may take an hour."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {str(folder)!r}: {reason_of(error)}") from error


def _examples(args: argparse.Namespace) -> None:
    from icltui.demo.example_sessions import write_examples

    _make_folder(args.output)
    write_examples(local_engine(), args.output, print_progress)
