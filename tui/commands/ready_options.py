"""What `prodtop ready` checks: the engine and the server that its options describe."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...engine.protocol import LoadSpec
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import WorkerOptions, child_command
from ...engine.protocol.server_options import DEFAULT_HOST
from ...engine.readiness.identity import (
    checkpoint_identity,
    device_name,
    model_name,
    versions,
)
from ...engine.readiness.items import Item, Subject
from ...engine.text.cleaning import clean
from .arguments import parse_precision, parse_strategy
from .engine_options import Given, engine_options
from .guard_options import guards_of_config, guards_of_file
from .server_operations import server_operations
from .server_options import asks_for_load, server_options

MAIN_MODULE = "prodtop.tui.commands.main"
DEFAULT_PRECISION = "bf16"
"""Of every device but GPUs before Ampere, for which it has to be named."""
NOT_IN_DRILLS = frozenset(
    {
        "api_key_file",
        "tls_cert",
        "tls_key",
        "tls_key_password_file",
        "tls_ca",
        "log_file",
        "log_json",
        "log_prompts",
    }
)
"""Options of a server that its drills leave out: they have a key of their own, and no log."""
RUNNABLE = tuple(item for item in Item if item is not Item.COST)
"""What `--run` can prove: the configuration proves the other itself."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The engine that is checked, and the command line that serves it on loopback."""

    options: WorkerOptions
    subject: Subject
    serve_command: tuple[str, ...]
    drain_s: float
    has_guards: bool

    @classmethod
    def of(
        cls,
        given: Given,
        operated: Given,
        *,
        strategy: str,
        precision: str | None,
        drain_s: float,
        chat_template: str | None,
        guards: Path | None,
    ) -> "Wanted":
        """Read the options as `prodtop serve` does. Raises `BadInputError`."""
        base = WorkerOptions(
            strategy=parse_strategy(strategy),
            precision=None if precision is None else parse_precision(precision),
            load=LoadSpec(paused=not asks_for_load(given)),
        )
        options = engine_options(given, base)
        operations = server_operations(operated)
        # Checked here as well: a drill would say it late.
        server = server_options(DEFAULT_HOST, 0, drain_s, operations, chat_template)
        guarded = guards_of_config() if guards is None else guards_of_file(guards)
        flags = {
            **given,
            "model": options.model,
            "strategy": options.strategy,
            "precision": options.precision,
            "drain": drain_s,
            "chat_template": server.chat_template,
            "guards": None if guards is None else guards.expanduser().absolute(),
            "host": DEFAULT_HOST,
            "port": 0,
        }
        kept = {name: operated[name] for name in operated if name not in NOT_IN_DRILLS}
        arguments = ["serve", *command_flags({**flags, **kept})]
        return cls(
            options=options,
            subject=subject_of_options(options),
            serve_command=tuple(child_command(MAIN_MODULE, arguments)),
            drain_s=drain_s,
            has_guards=guarded is not None,
        )

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU, as far as that is known here."""
        return self.subject.device != device_name("cpu")


def subject_of_options(options: WorkerOptions) -> Subject:
    """What an engine with these options will serve, and on what."""
    return Subject(
        model=model_name(options.model)[:200],
        device=device_name(options.device)[:200],
        precision=options.precision.value if options.precision else DEFAULT_PRECISION,
        strategy=options.strategy.value,
        versions=versions(),
        checkpoint=checkpoint_identity(options.model),
    )


def command_flags(values: Mapping[str, object]) -> list[str]:
    """Options as they stand on a command line; what is `None` or a switch that is off is left out.

    A value is joined with its option: it may begin with a dash.
    """
    flags: list[str] = []
    for name, value in values.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            flags.append(flag)
        elif value is not None and value is not False:
            flags.append(f"{flag}={value}")
    return flags


def parse_items(text: str, *, has_guards: bool) -> tuple[Item, ...]:
    """`quality,drain`; all that can be run for an empty text. Raises `BadInputError`."""
    if not text.strip():
        return tuple(item for item in RUNNABLE if has_guards or item is not Item.GUARDS)
    known = {item.value: item for item in Item}
    asked = [part.strip().lower() for part in text.split(",")]
    for part in asked:
        if part not in known:
            names = ", ".join(RUNNABLE)
            raise BadInputError(f"unknown item '{clean(part)}': choose from {names}")
    items = {known[part] for part in asked}
    if Item.COST in items:
        raise BadInputError("cost is proved by [cost] of config.toml: there is nothing to run")
    if Item.GUARDS in items and not has_guards:
        raise BadInputError("no guards are set: [guards] in config.toml, or --guards FILE")
    return tuple(item for item in RUNNABLE if item in items)
