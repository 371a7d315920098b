"""The options that several commands share, and how their texts are read."""

import os
from collections.abc import Callable, Sequence
from enum import StrEnum
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ...engine.protocol import INT4_GROUPS, PrecisionName, StrategyName
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean

JSON = typer.Option("--json", help="JSON instead of a table.")
DEBUG = typer.Option("--debug", help="Show the traceback of an error.")

Json = Annotated[bool, JSON]
Debug = Annotated[bool, DEBUG]
Strategy = Annotated[str | None, typer.Option(metavar="S", help="What to serve with.")]
Precision = Annotated[str | None, typer.Option(metavar="P", help="The device's own, unless given.")]
Precisions = Annotated[
    str | None,
    typer.Option(metavar="a,b|all", help="The precisions; the device's own, unless given."),
]
Users = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Clients with one request each.")
]
Think = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Between a client's requests.")
]
Theme = Annotated[
    str | None, typer.Option(metavar="T", help="One of prodtop's themes, or of your own.")
]
Record = Annotated[
    str | None,
    typer.Option(metavar="[FILE]", help="Record to a new file, or one in the usual folder."),
]
UrlTokenFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="With --url: holds a bearer token.")
]
OutFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of standard output.")]

Command = Callable[..., None]
Name = TypeVar("Name", bound=StrEnum)


def put_options(run: Command, placeholder: str, options: Sequence[Parameter]) -> Command:
    """Let typer see `options` in place of the parameter `placeholder` of what `run` wraps."""
    own = signature(run)
    parameters: list[Parameter] = []
    for name, parameter in own.parameters.items():
        parameters += options if name == placeholder else [parameter]
    # What typer reads, before the signature of the command that `run` wraps.
    vars(run)["__signature__"] = own.replace(parameters=parameters)
    return run


def parse_strategy(text: str) -> StrategyName:
    """One strategy by its name. Raises `BadInputError`."""
    return _named(StrategyName, "strategy", text)


def parse_precision(text: str) -> PrecisionName:
    """One precision by its name. Raises `BadInputError`."""
    return _named(PrecisionName, "precision", text)


def parse_strategies(text: str) -> list[StrategyName]:
    """`a,b` or `all`, each once, in the order given. Raises `BadInputError`."""
    return _several(StrategyName, "strategy", text)


def parse_precisions(text: str) -> list[PrecisionName]:
    """`a,b` or `all`, each once, in the order given. Raises `BadInputError`."""
    return _several(PrecisionName, "precision", text)


def parse_groups(text: str) -> list[int]:
    """`32,128`, each once, in the order given; none for an empty text. Raises `BadInputError`."""
    parts = [part.strip() for part in text.split(",") if text.strip()]
    known = {str(group): group for group in INT4_GROUPS}
    for part in parts:
        if part not in known:
            raise BadInputError(
                f"groups of '{clean(part)}' weights: choose from {', '.join(known)}"
            )
    return list(dict.fromkeys(known[part] for part in parts))


def _several(names: type[Name], kind: str, text: str) -> list[Name]:
    if text.strip().lower() == "all":
        return list(names)
    return list(dict.fromkeys(_named(names, kind, part) for part in text.split(",")))


def _named(names: type[Name], kind: str, text: str) -> Name:
    try:
        return names(text.strip().lower())
    except ValueError:
        choices = ", ".join(names)
        raise BadInputError(f"unknown {kind} '{clean(text)}': choose from {choices}") from None


def check_model(model: str) -> str:
    """What can be known of `--model` before the worker looks: a path must exist.

    Returns the model with `~` expanded. Names are the worker's to judge. Raises `BadInputError`.
    """
    by_its_end = model.lower().endswith((".json", ".gguf"))
    looks_like_path = model.startswith(("/", "./", "../", "~")) or by_its_end
    # Unlike Path's, these say no to whatever cannot be looked at.
    path = os.path.expanduser(model)  # noqa: PTH111
    if looks_like_path and not os.path.lexists(path):
        raise BadInputError(
            f"model '{clean(model)}': there is no such file or folder; give a checkpoint folder,"
            " a .gguf file, a hub id, a .json config or a preset name such as 'bundled'"
        )
    if not model.strip():
        raise BadInputError("--model is empty: give a checkpoint folder, a hub id or a preset name")
    return path if looks_like_path else model


def refuse_options_before(context: typer.Context) -> None:
    """`prodtop --model M bench` would leave M unused: raise `BadInputError` that says where it
    belongs."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name != "debug":
            option = "--" + name.replace("_", "-")
            raise BadInputError(
                f"{option} stands before '{context.invoked_subcommand}', where it has no effect:"
                f" write it after"
            )
