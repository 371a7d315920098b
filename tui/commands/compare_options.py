"""The texts of `prodtop compare`'s options: lists of loads and settings, metrics, limits."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from ...engine.compare.metrics import Metric, metric_named
from ...engine.compare.schedule import Variant
from ...engine.protocol import LoadSpec, SpeculationSpec
from ...engine.protocol.bounds import WORKER_BOUNDS, load_violation, speculation_violation
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean

SHOWN = (
    "output_tok_s",
    "req_s",
    "ttft_p95_ms",
    "ttfb_p95_ms",
    "tpot_p50_ms",
    "e2e_p95_ms",
    "batch_efficiency",
    "response_hit_rate",
    "prefix_hit_rate",
    "memory_bytes",
    "j_per_token",
)
"""The columns of the matrix unless asked otherwise."""

Number = TypeVar("Number", int, float)


def require_finite(**values: float | None) -> None:
    """Raise `BadInputError`, naming the option, for a value that is no number or endless."""
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise BadInputError(f"--{name.replace('_', '-')} must be a number, not {value:g}")


def parse_list(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    """`A,B,C`, each once, in the order given. Raises `BadInputError`."""
    try:
        return list(dict.fromkeys(kind(part.strip()) for part in text.split(",")))
    except ValueError:
        raise BadInputError(
            f"{option} '{clean(text)}' is no list of numbers: write 1,4,16"
        ) from None


def parse_variants(
    load: LoadSpec, *, users: str | None, rates: str | None, vary: Sequence[str]
) -> list[Variant]:
    """Every load asked for, under every combination of the settings. Raises `BadInputError`."""
    settings = _settings(vary)
    return [
        Variant(load=each, max_seqs=max_seqs, drafts=drafts)
        for each, max_seqs, drafts in itertools.product(
            _loads(load, users, rates), settings["max-seqs"], settings["drafts"]
        )
    ]


def _loads(load: LoadSpec, users: str | None, rates: str | None) -> list[LoadSpec]:
    if rates is not None and users is not None:
        raise BadInputError("--rates and --users exclude each other: give one of them")
    if users is not None and load.rate_per_s is not None:
        raise BadInputError("--rate and --users exclude each other: give one of them")
    if load.trace is not None and (users or rates):
        raise BadInputError("--trace has its own arrivals: it goes without --users and --rates")
    loads = [load]
    if rates is not None:
        loads = [_replaced(load, rate_per_s=each) for each in parse_list("--rates", rates, float)]
    if users is not None:
        loads = [_replaced(load, users=each) for each in parse_list("--users", users, int)]
    for each in loads:
        violation = load_violation(each)
        if violation is not None:
            option = "--rates" if violation.field == "rate_per_s" else f"--{violation.field}"
            raise BadInputError(f"{option} {violation.reason}")
        if each.rate_per_s is None and not each.users:
            raise BadInputError("--users must be 1 or more: nobody asks for anything")
    return loads


def _replaced(load: LoadSpec, **fields: float) -> LoadSpec:
    return msgspec.structs.replace(load, **fields)


def _settings(vary: Sequence[str]) -> dict[str, list[int | None]]:
    """By setting what it is set to; `None` is what the engine is started with."""
    settings: dict[str, list[int | None]] = {"max-seqs": [None], "drafts": [None]}
    for text in vary:
        name, separator, values = text.partition("=")
        name = name.strip().lower()
        if not separator or name not in settings:
            raise BadInputError(
                f"--vary '{clean(text)}' cannot be read: write max-seqs=A,B or drafts=A,B"
            )
        if settings[name] != [None]:
            raise BadInputError(f"--vary {name} stands there twice: write all values in one list")
        numbers = parse_list(f"--vary {name}", values, int)
        for number in numbers:
            _check_setting(name, number)
        settings[name] = list(numbers)
    return settings


def _check_setting(name: str, value: int) -> None:
    if name == "max-seqs":
        reason = WORKER_BOUNDS["max_seqs"].violation(value)
    else:
        violation = speculation_violation(SpeculationSpec(drafts=value)) if value else None
        reason = None if violation is None else violation.reason
    if reason is not None:
        raise BadInputError(f"--vary {name}: {reason}")


def parse_metrics(text: str | None) -> list[Metric]:
    """`a,b`; those that are shown unless asked otherwise. Raises `BadInputError`."""
    names = SHOWN if text is None else text.split(",")
    return list({metric.name: metric for metric in map(metric_named, names)}.values())
