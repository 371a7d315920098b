"""The options of an engine and its load, declared once for every command that starts one."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter
from typing import Any, NamedTuple

import msgspec
import typer

from ...engine.protocol import LoadSpec, SpeculationSpec
from ...engine.protocol.bounds import SPECULATION_BOUNDS, worker_violation
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import KvFormat, LoadFormat, WorkerOptions
from ..settings.ranges import parse_range
from .arguments import Command, check_model, put_options
from .load_options import load_fields

Given = Mapping[str, object]
"""What stands on the command line, or the command's own default, by option; else `None`."""


class EngineOption(NamedTuple):
    """`--name`, with what it sets: a field of `LoadSpec`, of `WorkerOptions`, or neither alone."""

    kind: object
    help: str
    metavar: str | None = None
    load_field: str | None = None
    is_worker_field: bool = False


_DRAFTS = SPECULATION_BOUNDS["drafts"]


def _worker(kind: object, help_text: str, metavar: str | None = None) -> EngineOption:
    return EngineOption(kind, help_text, metavar, is_worker_field=True)


def _load(kind: object, field: str, help_text: str, metavar: str | None = None) -> EngineOption:
    return EngineOption(kind, help_text, metavar, load_field=field)


OPTIONS: Mapping[str, EngineOption] = {
    "model": EngineOption(
        str, "A checkpoint folder, a .gguf file, a hub id, a .json config or a preset.", "M"
    ),
    "device": _worker(str, "auto, cpu, cuda or cuda:N.", "D"),
    "load_format": _worker(LoadFormat, "dummy: random weights of the model's shape."),
    "rate": _load(
        float, "rate_per_s", "Requests that arrive a second, however many are waiting.", "R"
    ),
    "burstiness": _load(
        float, "burstiness", "Of the arrivals: 1 is Poisson, below 1 burstier.", "B"
    ),
    "max_waiting": _load(
        int, "max_waiting", "With --rate: the most that wait; what comes then is rejected.", "N"
    ),
    "max_waiting_mib": _load(
        float, "max_waiting_mib", "With --rate: the most host memory that waiting takes.", "M"
    ),
    "ramp": EngineOption(
        str, "Users rise from A to B within S seconds; with A/s:B/s:S a rate does.", "A:B:S"
    ),
    "burst": EngineOption(
        str, "R requests a second for S seconds, every E seconds; --rate between.", "R:S:E"
    ),
    "trace": EngineOption(
        str, "Play a trace: Azure or BurstGPT CSV, Mooncake JSONL, one of your own.", "FILE"
    ),
    "trace_speed": EngineOption(float, "So many times as fast.", "X"),
    "trace_loop": EngineOption(bool, "Begin again at the end, with new prompts."),
    "trace_start": EngineOption(float, "Leave out the first seconds of the trace.", "SECONDS"),
    "trace_requests": EngineOption(int, "Play only so many requests.", "N"),
    "zipf": _load(
        float, "zipf_exponent", "How unequal the prompts' popularity is; 0 is equal.", "S"
    ),
    "output_tokens": EngineOption(str, "Tokens to generate, drawn from A to B.", "A[:B]"),
    "prompt_tokens": EngineOption(
        str, "Prompts cut or joined to A to B tokens; else as they are.", "A[:B]"
    ),
    "temperature": _load(float, "temperature", "0 is greedy.", "T"),
    "chat": _load(bool, "chat", "Send prompts through the model's chat template."),
    "seed": _load(int, "seed", "Makes the load repeatable.", "N"),
    "max_seqs": _worker(int, "The most requests that run at once.", "N"),
    "context_tokens": _worker(int, "Prompt and output at most; else the model's.", "N"),
    "kv_gib": _worker(float, "Memory for the KV cache; else what fits.", "G"),
    "kv_format": _worker(KvFormat, "Keys and values: as computed, or in fp8 (on a GPU)."),
    "speculate": EngineOption(
        int,
        "Speculative decoding: guess up to N tokens a step from what was said before"
        f" ({_DRAFTS.least:g} to {_DRAFTS.most:g}).",
        "N",
    ),
    "draft_model": EngineOption(
        str, "Speculative decoding: let a smaller model of the same vocabulary guess.", "M"
    ),
    "threads": _worker(int, "CPU threads; else all cores but one.", "N"),
}
_OPTION_OF_FIELD = {
    option.load_field: name for name, option in OPTIONS.items() if option.load_field is not None
} | {
    "users": "users",
    "think_s": "think",
    "output_tokens_min": "output_tokens",
    "drafts": "speculate",
    "ramp.start": "ramp",
    "ramp.seconds": "ramp",
    "burst.rate_per_s": "burst",
    "burst.seconds": "burst",
    "burst.every_s": "burst",
    "trace.speed": "trace_speed",
    "trace.start_s": "trace_start",
    "trace.most_requests": "trace_requests",
}


CONFIGURED: Mapping[str, object] = {
    "load_format": WorkerOptions().load_format,
    "max_seqs": WorkerOptions().max_seqs,
    "kv_format": WorkerOptions().kv_format,
}
"""The defaults of commands whose model and device the config file may name."""
SERVING: Mapping[str, object] = {
    "model": WorkerOptions().model,
    "device": WorkerOptions().device,
    **CONFIGURED,
}
"""The defaults of commands that the config file says nothing of."""
MEASURING: Mapping[str, object] = {
    **SERVING,
    "burstiness": LoadSpec().burstiness,
    "zipf": LoadSpec().zipf_exponent,
    "output_tokens": "64",
    "temperature": 0.0,
    "seed": 0,
}
"""The defaults of the commands that measure speed: greedy, and the same work in every run."""


def with_engine_options(*left_out: str, **defaults: object) -> Callable[[Command], Command]:
    """A decorator: the command's parameter `given` becomes one command-line option for each.

    `defaults` are the command's own; an option without one is `None` where it is not given, as
    are those `left_out`, which the command has no use for.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**values: object) -> None:
            given = {name: values.pop(name, None) for name in OPTIONS}
            command(**values, given=given)

        options = [_parameter(name, defaults.get(name)) for name in OPTIONS if name not in left_out]
        return put_options(run, "given", options)

    return decorate


def _parameter(name: str, default: object) -> Parameter:
    option, flag = OPTIONS[name], f"--{name.replace('_', '-')}"
    is_switch = option.kind is bool
    info: Any = typer.Option(  # typed by typer as the default's type, which differs by option
        default,
        f"{flag}/--no-{flag[2:]}" if is_switch else flag,
        metavar=option.metavar,
        help=option.help,
        show_default=not is_switch,
    )
    kind: Any = option.kind  # a type at run time, which no annotation can name
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=info, annotation=kind | None)


def engine_options(
    given: Given, base: WorkerOptions, load: Given | None = None, **option_names: str
) -> WorkerOptions:
    """`base` with what was `given`, and with the fields of `load` that are not `None`.

    `option_names` says by which option a command sets a field of the load, if not by its usual one.
    Raises `BadInputError`, naming the option, for a value that cannot be.
    """
    set_here = {name: value for name, value in given.items() if value is not None}
    fields = {
        option.load_field: set_here[name]
        for name, option in OPTIONS.items()
        if name in set_here and option.load_field is not None
    }
    for kind in ("output_tokens", "prompt_tokens"):
        if kind in set_here:
            least, most = parse_range(f"--{kind.replace('_', '-')}", str(set_here[kind]))
            fields |= {f"{kind}_min": least, f"{kind}_max": most}
    fields |= load_fields(given)
    fields |= {name: value for name, value in (load or {}).items() if value is not None}
    worker = {name: set_here[name] for name in set_here if OPTIONS[name].is_worker_field}
    if "model" in set_here:
        worker["model"] = check_model(str(set_here["model"]))
    options = msgspec.structs.replace(
        base,
        **worker,
        load=msgspec.structs.replace(base.load, **fields),
        speculation=_speculation(given, base.speculation),
    )
    violation = worker_violation(options)
    if violation is not None:
        field = violation.field
        name = option_names.get(field) or _OPTION_OF_FIELD.get(field, field)
        raise BadInputError(f"--{name.replace('_', '-')} {violation.reason}")
    return options


def refuse_two_loads(given: Given, name: str, users: int | None) -> None:
    """Raise `BadInputError` where `users`, which the option `name` sets, stand beside another kind
    of load."""
    for other in ("rate", "ramp", "burst", "trace"):
        if users is not None and given[other] is not None:
            raise BadInputError(f"--{other} and --{name} exclude each other: give one of them")


def _speculation(given: Given, base: SpeculationSpec | None) -> SpeculationSpec | None:
    """`base` with what `--speculate` and `--draft-model` ask for; either alone turns it on. Raises
    `BadInputError` where the draft model is a path that does not exist."""
    fields: dict[str, object] = {}
    if given["speculate"] is not None:
        fields["drafts"] = given["speculate"]
    if given["draft_model"] is not None:
        fields["draft_model"] = check_model(str(given["draft_model"]))
    return msgspec.structs.replace(base or SpeculationSpec(), **fields) if fields else base
