"""The planner's options as those of a typer command, which gets what was given as texts."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Parameter

import typer

from ...engine.planner.question.option import Option
from ...engine.planner.question.parsers import AUTO
from .arguments import Command, put_options

Texts = Mapping[str, str]
"""What was given, or else the default, by each option's key."""


def with_options(options: Sequence[Option[object]]) -> Callable[[Command], Command]:
    """A decorator: the command's parameter `texts` becomes one command-line option for each."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**given: object) -> None:
            texts = {option.key: _text(given.pop(option.key)) for option in options}
            command(**given, texts=texts)

        return put_options(run, "texts", [_parameter(option) for option in options])

    return decorate


def _parameter(option: Option[object]) -> Parameter:
    """The parameter that typer makes the option of: a text, or a flag where nothing follows it."""
    name, is_open = option.argument, option.default == AUTO
    words = f"{option.help[0].upper()}{option.help[1:]}"
    if option.choices:
        words += f": {', '.join(option.choices[:-1])} or {option.choices[-1]}"
    words += f".  [default: {option.auto}]" if is_open and option.auto else "."
    kind: object = str | None
    if option.metavar:
        default = None if is_open else option.default
        info = typer.Option(default, name, metavar=option.metavar, help=words)
    elif is_open:
        kind, info = bool | None, typer.Option(None, f"{name}/--no-{name[2:]}", help=words)
    else:
        kind, info = bool, typer.Option(option.default == "on", name, help=words)
    return Parameter(option.key, Parameter.POSITIONAL_OR_KEYWORD, default=info, annotation=kind)


def _text(value: object) -> str:
    if value is None:
        return AUTO
    return str(value) if not isinstance(value, bool) else "on" if value else "off"
