"""The table of options as arguments of the command line, and parsed arguments as the fields that they set."""

import argparse
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from icltui.api.option import Group, Option
from icltui.api.option_table import OPTIONS, SITES, options_of
from icltui.storage import text_file
from icltui.storage.paths import file_path, typed_path
from icltui.storage.query_file import read_queries
from icltui.values.errors import BadInput

Container = argparse.ArgumentParser | argparse._ArgumentGroup


def add_options(container: Container, group: Group, **changes: dict[str, Any]) -> None:
    """Add every option of ``group``, with ``changes`` of its arguments for argparse by field."""
    for option in OPTIONS:
        if option.group == group:
            add_option(container, option, **changes.get(option.field, {}))


def add_option(container: Container, option: Option, **changes: Any) -> None:
    """Add one option, with ``changes`` of its arguments for argparse.

    Texts that may be in a file, files of queries and the model are None if they are not given.
    """
    words: dict[str, Any] = {"dest": option.field, "default": option.default, "help": option.description}
    if bool in option.types:
        words["action"] = "store_true"
    elif dict in option.types:
        words |= {"action": _AddSite, "type": _site, "metavar": option.metavar}
    elif tuple in option.types:
        words |= {"type": typed_path, "metavar": "FILE", "default": None}
    elif option.takes_file or option.field == "model":
        words |= {"metavar": option.metavar, "default": None}
    elif option.names_file:
        words |= {"type": file_path, "metavar": option.metavar}
    elif option.types:
        words |= {"type": _reader(option), "metavar": option.metavar}
    else:
        words["choices"] = option.choices
    container.add_argument(*option.names, **(words | changes))


def values_of(args: argparse.Namespace, owner: type[Struct]) -> dict[str, Any]:
    """The fields of ``owner`` that the options set, with the content of files.

    Raises:
        BadInput: a file cannot be read, or a value in it is not allowed.
    """
    given = ((option, getattr(args, option.field, None)) for option in options_of(owner))
    return {option.field: _value(option, value) for option, value in given if value is not None}


def _value(option: Option, value: Any) -> Any:
    if option.takes_file:
        return read_text(value, is_query=option.field == "query")
    return read_queries(value) if tuple in option.types else value


def read_text(text: str, is_query: bool = False) -> str:
    """``text`` itself, or the content of FILE where it is ``@FILE``; a query loses the file's last line end.

    ``@@`` at the start means a text that begins with ``@``.

    Raises:
        BadInput: a file that cannot be read as text.
    """
    if not text.startswith("@"):
        return text
    if text.startswith("@@"):
        return text[1:]
    content = text_file.read_text(typed_path(text[1:]), "name a file, or write @@ where a text begins with @")
    return text_file.without_final_newline(content) if is_query else content


def changed_options(
    add_arguments: Callable[[argparse.ArgumentParser], object], args: argparse.Namespace
) -> list[str]:
    """The optional arguments of ``add_arguments`` whose value in ``args`` is not the default."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    return [
        max(action.option_strings, key=len)
        for action in parser._actions
        if not action.required and getattr(args, action.dest) != action.default
    ]


def add_output(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> argparse._ArgumentGroup:
    """Add the options of the output: its format, the first by default, and its file."""
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=formats, default=formats[0], help=f"default {formats[0]}")
    group.add_argument(
        "-o", "--output", metavar="FILE", type=typed_path, help="write there instead of to stdout"
    )
    return group


def add_job_options(
    parser: argparse.ArgumentParser, *formats: str, is_query_required: bool = True
) -> Container:
    """Add the options that measure, verify and generate share; returns the group of the prompt."""
    prompt = parser.add_argument_group("prompt")
    add_options(prompt, "prompt", query={"required": is_query_required})
    add_options(parser.add_argument_group("model"), "model")
    add_output(parser, formats).add_argument(
        "--save", metavar="SESSION.json", type=typed_path, help="save the result as a session too"
    )
    return prompt


def add_prompt_options(parser: argparse.ArgumentParser, *formats: str, has_layers: bool = True) -> None:
    """Add prompt, model and output of a command whose result is kept in no session."""
    prompt = parser.add_argument_group("prompt")
    for option in OPTIONS:
        if option.group == "prompt" and (has_layers or option.field != "layers"):
            add_option(prompt, option, **({"required": True} if option.field == "query" else {}))
    add_options(parser.add_argument_group("model"), "model")
    add_output(parser, formats)
    parser.set_defaults(save=None, **({} if has_layers else {"layers": "all"}))


class _AddSite(argparse.Action):
    """Collects the sites given by ``--site``, each key once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        key, path = values
        sites = getattr(namespace, self.dest)
        if key in sites:
            raise argparse.ArgumentError(self, f"{key} is given twice: give each site once")
        setattr(namespace, self.dest, {**sites, key: path})


def _site(text: str) -> tuple[str, str]:
    key, _, path = text.partition("=")
    if key not in SITES or "{layer}" not in path:
        keys = ", ".join(SITES)
        example = "mlp=model.layers.{layer}.mlp"
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a site: write {keys} and a path, such as {example}"
        )
    return key, path


def _reader(option: Option) -> Callable[[str], Any]:
    """:meth:`.Option.read`, whose refusals argparse puts the option's name before."""

    def read(text: str) -> Any:
        try:
            return option.read(text)
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
