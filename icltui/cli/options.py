"""The table of options as arguments of the command line, and parsed arguments as the fields that they set."""

import argparse
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from icltui.api.operation import Operation
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
    elif option.is_list:
        words |= {"type": _reader(option), "metavar": option.metavar}
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


_GROUPS: dict[str, str] = {
    "prompt": "prompt",
    "method": "prompt",
    "pairs": "prompt",
    "patch": "patch",
    "text": "text",
    "tests": "tests of the patch",
}
"""The titles that groups of options have in a command's help, in its order; the others have their own name."""


def add_operation(
    parser: argparse.ArgumentParser,
    operation: Operation,
    titles: Mapping[str, str] = MappingProxyType({}),
    **changes: dict[str, Any],
) -> dict[str, argparse._ArgumentGroup]:
    """Add every option of an operation; returns their groups by title.

    ``titles`` and ``changes`` are by field: the group that an option goes to, and its arguments for argparse.
    """
    where = {o.field: titles.get(o.field, _GROUPS.get(o.group, o.group)) for o in operation.options}
    order = ["prompt", *titles.values(), *_GROUPS.values(), *where.values()]
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in sorted(operation.options, key=lambda option: order.index(where[option.field])):
        title = where[option.field]
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        own = {"help": operation.help(option)} | changes.get(option.field, {})
        if option.field in operation.required:
            own = {"required": True} | own
        add_option(groups[title], option, **own)
    return groups


def flat_values(args: argparse.Namespace, operation: Operation) -> dict[str, Any]:
    """What was given of an operation's options, by field, with the content of files.

    Raises:
        BadInput: a file cannot be read, or a value in it is not allowed.
    """
    given = ((option, getattr(args, option.field, None)) for option in operation.options)
    return {option.field: _value(option, value) for option, value in given if value is not None}


def values_of(args: argparse.Namespace, owner: type[Struct], without: Collection[str] = ()) -> dict[str, Any]:
    """The fields of ``owner`` that the options set, with the content of files, ``without`` those that are known.

    Raises:
        BadInput: a file cannot be read, or a value in it is not allowed.
    """
    wanted = (option for option in options_of(owner) if option.field not in without)
    given = ((option, getattr(args, option.field, None)) for option in wanted)
    return {option.field: _value(option, value) for option, value in given if value is not None}


def _value(option: Option, value: Any) -> Any:
    if option.takes_file:
        return read_text(value, is_query=option.field == "query")
    return read_queries(value) if tuple in option.types and not option.is_list else value


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


def add_model_and_output(parser: argparse.ArgumentParser, *formats: str, has_session: bool = False) -> None:
    """Add the options of the model and of the output, with ``--save`` where the result is kept in a session."""
    add_options(parser.add_argument_group("model"), "model")
    output = add_output(parser, formats)
    if has_session:
        output.add_argument(
            "--save", metavar="SESSION.json", type=typed_path, help="save the result as a session too"
        )
    else:
        parser.set_defaults(save=None)


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
