"""What the palette lists: actions found by any word, and after ``/`` commands with an argument.

Both come from what there is already: the actions of the registry, of which some take an argument, and the one table of
options. A text enters, entries leave; each holds the action to run, as Textual's ``run_action`` takes it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType

from icltui.api.option import Option
from icltui.api.option_table import OPTIONS
from icltui.tui.actions.action import Action
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.settings_form import text_of, with_text
from icltui.values.errors import BadInput

SLASH = "/"


@dataclass(frozen=True)
class PaletteEntry:
    """One line of the palette."""

    title: str
    help: str
    keys: str = ""
    action: str = ""
    """What enter runs; empty: it only completes the text."""
    completion: str = ""
    """What tab makes of the text; empty: the title."""
    is_fault: bool = False


@dataclass(frozen=True)
class Word:
    """Something that a command's argument can be."""

    text: str
    remark: str = ""
    value: str = ""
    """What the action gets; empty: the text."""


def is_settable(option: Option) -> bool:
    """Whether the explorer's settings have the option, and no editor of their own for it."""
    return option.group != "model" and not _is_text(option) and RunSettings.has(option)


def _is_text(option: Option) -> bool:
    return option.field in ("context", "query")


SETTABLE: dict[str, Option] = {option.flag.lstrip("-"): option for option in OPTIONS if is_settable(option)}
"""The options that a command sets, by the command's name."""


@dataclass(frozen=True)
class PaletteOffers:
    """All that can be found.

    Args:
        actions: of the screen below.
        settings: what is chosen now; None where there are no options to set.
        check_layers: raises BadInput where the text names no layers of this model.
        words: what the argument of an action can be, by the action's id.
    """

    actions: Sequence[Action]
    settings: RunSettings | None = None
    check_layers: Callable[[str], object] = str
    words: Mapping[str, Sequence[Word]] = field(default_factory=dict)

    def entries(self, text: str) -> list[PaletteEntry]:
        """The lines for what is typed, the best first."""
        if not text.lstrip().startswith(SLASH):
            return self._found(text.lower().split())
        name, space, argument = text.strip(" ").removeprefix(SLASH).partition(" ")
        if text.endswith(" ") and not space:
            space = " "
        return list(self._of_command(name, argument.strip()) if space else self._commands(name))

    # Words.

    def _found(self, words: list[str]) -> list[PaletteEntry]:
        ranked = [(_rank(action, words), action) for action in self.actions if action.group]
        found = [(rank, action) for rank, action in ranked if rank is not None]
        return [_entry(action) for _, action in sorted(found, key=lambda pair: pair[0])]

    # Commands.

    @property
    def _options(self) -> Mapping[str, Option]:
        return SETTABLE if self.settings is not None else {}

    @property
    def _named(self) -> dict[str, Action]:
        named = {action.id.replace("_", "-"): action for action in self.actions if action.group}
        return {name: action for name, action in named.items() if name not in self._options}

    def _commands(self, start: str) -> Iterator[PaletteEntry]:
        """The commands whose name begins with, then those whose name holds, what is typed."""
        names = sorted(
            [*self._options, *self._named],
            key=lambda name: (not name.startswith(start), name not in self._options, name),
        )
        names = [name for name in names if start in name]
        if not names:
            yield _fault(f"{SLASH}{start}", "no such command: / alone lists all")
        for name in names:
            if (option := self._options.get(name)) is not None and self.settings is not None:
                now = text_of(option, self.settings) or "not set"
                yield PaletteEntry(
                    f"{SLASH}{name} {_metavar(option)}",
                    f"now {now}: {option.hint or option.description}",
                    completion=f"{SLASH}{name} ",
                )
            else:
                yield _command(name, self._named[name])

    def _of_command(self, name: str, argument: str) -> Iterator[PaletteEntry]:
        """What the command does with its argument, so far as it is typed."""
        if (option := self._options.get(name)) is not None:
            yield from self._of_option(name, option, argument)
        elif (action := self._named.get(name)) is None:
            yield _fault(f"{SLASH}{name}", "no such command: / alone lists all")
        elif not action.argument:
            if argument:
                yield _fault(f"{SLASH}{name} {argument}", "takes no argument")
            else:
                yield _command(name, action)
        else:
            yield from self._of_action(name, action, argument)

    def _of_option(self, name: str, option: Option, argument: str) -> Iterator[PaletteEntry]:
        assert self.settings is not None
        choices = option.choices or (("on", "off") if bool in option.types else ())
        near = [choice for choice in choices if argument in choice]
        is_free = bool(option.types - {bool, NoneType})
        if not argument and is_free:
            help = option.hint or option.description
            yield PaletteEntry(f"{SLASH}{name} {_metavar(option)}", help, completion=f"{SLASH}{name} ")
        for choice in near:
            yield self._set(name, option, choice)
        if argument and argument not in choices and (is_free or not near):
            entry = self._set(name, option, argument)
            if not (near and entry.is_fault):
                yield entry

    def _set(self, name: str, option: Option, text: str) -> PaletteEntry:
        """Setting the option to ``text``, or why that cannot be."""
        assert self.settings is not None
        title = f"{SLASH}{name} {text}"
        try:
            if option.field == "layers":
                self.check_layers(text)
            else:
                with_text(self.settings, option, text)
        except BadInput as error:
            return _fault(title, str(error).replace(" or @FILE", "").replace("--", SLASH))
        return PaletteEntry(
            title, option.hint or option.description, action=f"set_option({option.field!r}, {text!r})"
        )

    def _of_action(self, name: str, action: Action, argument: str) -> Iterator[PaletteEntry]:
        listed = [word for word in self.words.get(action.id, ()) if argument.lower() in word.text.lower()]
        listed.sort(key=lambda word: not word.text.lower().startswith(argument.lower()))
        for word in listed:
            run = f"{action.action}({word.value or word.text!r})"
            yield PaletteEntry(f"{SLASH}{name} {word.text}", word.remark or action.help, action=run)
        if argument and (action.takes_any or not listed):
            if self.words.get(action.id) and not action.takes_any:
                yield _fault(f"{SLASH}{name} {argument}", f"not known: {SLASH}{name} lists what there is")
            elif argument not in [word.text for word in listed]:
                yield PaletteEntry(
                    f"{SLASH}{name} {argument}", action.help, action=f"{action.action}({argument!r})"
                )
        elif not argument and not listed:
            yield PaletteEntry(
                f"{SLASH}{name} {action.argument}",
                action.help,
                completion=f"{SLASH}{name} ",
                action=action.action,
            )


def _rank(action: Action, words: list[str]) -> tuple[int, int] | None:
    """How well the words fit: in the label, then in the help; the label's beginning first."""
    label, text = action.label.lower(), f"{action.label} {action.id} {action.help}".lower()
    if not all(word in text for word in words):
        return None
    return -sum(word in label for word in words), -sum(label.startswith(word) for word in words)


def _entry(action: Action) -> PaletteEntry:
    completion = f"{SLASH}{action.id.replace('_', '-')} " if action.argument else action.label
    return PaletteEntry(action.label, action.help, action.keys_text(), action.action, completion)


def _command(name: str, action: Action) -> PaletteEntry:
    title = f"{SLASH}{name} {action.argument}".rstrip()
    completion = f"{SLASH}{name} " if action.argument else title
    run = "" if action.argument else action.action
    return PaletteEntry(title, action.help, action.keys_text(), run, completion)


def _fault(title: str, why: str) -> PaletteEntry:
    return PaletteEntry(title, why, is_fault=True)


def _metavar(option: Option) -> str:
    if bool in option.types:
        return "on|off"
    if option.choices and not option.metavar:
        return "…"
    return option.metavar or option.field[:1].upper()
