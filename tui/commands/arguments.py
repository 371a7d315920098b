"""The options that several commands share, and how their texts are read."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ...engine.protocol import PrecisionName, SpeculationSpec, StrategyName
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean

MODEL = typer.Option(
    "--model", metavar="M", help="A checkpoint folder, a hub id, a .json config or a preset."
)
DEVICE = typer.Option("--device", metavar="D", help="auto, cpu, cuda or cuda:N.")
LOAD_FORMAT = typer.Option("--load-format", help="dummy: random weights of the model's shape.")
RATE = typer.Option(
    "--rate", metavar="R", help="Requests that arrive a second, however many are waiting."
)
BURSTINESS = typer.Option(
    "--burstiness", metavar="B", help="Of the arrivals: 1 is Poisson, below 1 burstier."
)
ZIPF = typer.Option(
    "--zipf", metavar="S", help="How unequal the prompts' popularity is; 0 is equal."
)
CHAT = typer.Option(
    "--chat/--no-chat", help="Send prompts through the model's chat template.", show_default=False
)
OUTPUT_TOKENS = typer.Option(
    "--output-tokens", metavar="A[:B]", help="Tokens to generate, drawn from A to B."
)
PROMPT_TOKENS = typer.Option(
    "--prompt-tokens",
    metavar="A[:B]",
    help="Prompts cut or joined to A to B tokens; else as they are.",
)
TEMPERATURE = typer.Option("--temperature", metavar="T", help="0 is greedy.")
SEED = typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Makes the load repeatable.")
MAX_SEQS = typer.Option(
    "--max-seqs", metavar="N", min=1, help="The most requests that run at once."
)
CONTEXT_TOKENS = typer.Option(
    "--context-tokens", metavar="N", min=1, help="Prompt and output at most; else the model's."
)
KV_FORMAT = typer.Option("--kv-format", help="Keys and values: as computed, or in fp8 (on a GPU).")
KV_GIB = typer.Option("--kv-gib", metavar="G", help="Memory for the KV cache; else what fits.")
SPECULATE = typer.Option(
    "--speculate",
    metavar="N",
    min=1,
    max=16,
    help="Speculative decoding: guess up to N tokens a step from what was said before.",
)
DRAFT_MODEL = typer.Option(
    "--draft-model",
    metavar="M",
    help="Speculative decoding: let a smaller model of the same vocabulary guess.",
)
THREADS = typer.Option("--threads", metavar="N", min=1, help="CPU threads; else all cores but one.")
JSON = typer.Option("--json", help="JSON instead of a table.")
DEBUG = typer.Option("--debug", help="Show the traceback of an error.")

Json = Annotated[bool, JSON]
Debug = Annotated[bool, DEBUG]

Name = TypeVar("Name", bound=StrEnum)


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


def parse_range(option: str, text: str) -> tuple[int, int]:
    """`A` or `A:B` as the smallest and the largest of a range of whole numbers from 1. Raises
    `BadInputError`."""
    first, _, last = text.partition(":")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        low, high = 0, 0
    if not 1 <= low <= high:
        raise BadInputError(
            f"{option} '{clean(text)}' is no range: give A or A:B, whole numbers with 1 <= A <= B"
        )
    return low, high


def check_positive(option: str, value: float | None) -> None:
    """Raise `BadInputError` unless the value is absent, or finite and above zero."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise BadInputError(f"{option} must be a number above 0, not {value:g}")


def check_not_negative(option: str, value: float | None) -> None:
    """Raise `BadInputError` unless the value is absent, or finite and not below zero."""
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise BadInputError(f"{option} must be a number from 0, not {value:g}")


def speculation(drafts: int | None, draft_model: str | None) -> SpeculationSpec | None:
    """What `--speculate` and `--draft-model` ask for; either alone is enough. Raises
    `BadInputError` where the draft model is a path that does not exist."""
    if drafts is None and draft_model is None:
        return None
    return SpeculationSpec(
        drafts=SpeculationSpec().drafts if drafts is None else drafts,
        draft_model=None if draft_model is None else check_model(draft_model),
    )


def check_model(model: str) -> str:
    """What can be known of `--model` before the worker looks: a path must exist.

    Returns the model with `~` expanded. Names are the worker's to judge. Raises `BadInputError`.
    """
    looks_like_path = model.startswith(("/", "./", "../", "~")) or model.endswith(".json")
    path = Path(model).expanduser()
    if looks_like_path and not path.exists():
        raise BadInputError(
            f"model '{clean(model)}': there is no such file or folder; give a checkpoint folder,"
            " a hub id, a .json config or a preset name such as 'bundled'"
        )
    if not model.strip():
        raise BadInputError("--model is empty: give a checkpoint folder, a hub id or a preset name")
    return str(path) if looks_like_path else model


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
