"""What `--ramp`, `--burst` and the options of a trace say, as fields of the load."""

from collections.abc import Mapping
from pathlib import Path

from ...engine.protocol import BurstSpec, RampSpec, TraceSpec
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean

PER_SECOND = "/s"
OTHER_KINDS = {
    "trace": ("rate", "ramp", "burst"),
    "ramp": ("rate", "burst"),
}
"""Which options an option takes the place of."""
TRACE_OPTIONS = ("trace_speed", "trace_loop", "trace_start", "trace_requests")

Given = Mapping[str, object]


def load_fields(given: Given) -> dict[str, object]:
    """The fields of the load that these options set, of those that were given.

    Whichever kind of load is asked for takes the place of the kinds before it. Raises
    `BadInputError`, naming the option, for what cannot be read and for two kinds at once.
    """
    for name, others in OTHER_KINDS.items():
        for other in others:
            if given[name] is not None and given[other] is not None:
                raise BadInputError(f"--{name} and --{other} exclude each other: give one of them")
    if given["trace"] is not None:
        return {"trace": _trace(given), "ramp": None, "burst": None}
    for name in TRACE_OPTIONS:
        if given[name]:
            raise BadInputError(f"--{name.replace('_', '-')} needs --trace FILE")
    fields: dict[str, object] = {}
    if given["rate"] is not None:
        fields = {"trace": None, "ramp": None, "burst": None}
    if given["ramp"] is not None:
        fields |= {"trace": None, "burst": None, **parse_ramp(str(given["ramp"]))}
    if given["burst"] is not None:
        fields |= {"trace": None, "ramp": None, "burst": parse_burst(str(given["burst"]))}
        if given["rate"] is None:
            fields["rate_per_s"] = 0.0
    return fields


def parse_ramp(text: str) -> dict[str, object]:
    """`A:B:SECONDS` as the load's fields; with `/s` behind A and B it is a rate, else users.

    Raises `BadInputError`.
    """
    parts = text.split(":")
    per_second = [part.strip().endswith(PER_SECOND) for part in parts[:2]]
    numbers = _numbers([part.strip().removesuffix(PER_SECOND) for part in parts])
    if numbers is None or len(parts) != 3 or per_second[0] != per_second[1]:
        raise BadInputError(
            f"--ramp '{clean(text)}' is no ramp: write A:B:SECONDS for users, A/s:B/s:SECONDS for"
            " a rate"
        )
    start, end, seconds = numbers
    ramp = RampSpec(start=start, seconds=seconds)
    if per_second[0]:
        return {"ramp": ramp, "rate_per_s": end}
    if not end.is_integer():
        raise BadInputError(f"--ramp '{clean(text)}': {end:g} is no number of users")
    return {"ramp": ramp, "rate_per_s": None, "users": int(end)}


def parse_burst(text: str) -> BurstSpec:
    """`RATE:SECONDS:EVERY`. Raises `BadInputError`."""
    numbers = _numbers(text.split(":"))
    if numbers is None or len(numbers) != 3:
        raise BadInputError(
            f"--burst '{clean(text)}' is no burst: write RATE:SECONDS:EVERY, such as 50:5:30"
        )
    rate_per_s, seconds, every_s = numbers
    return BurstSpec(rate_per_s=rate_per_s, seconds=seconds, every_s=every_s)


def _trace(given: Given) -> TraceSpec:
    """The trace that the options ask for. Raises `BadInputError` for a file that is none."""
    # Here and not above: a start without a trace need not wait for what reads one.
    from ...engine.traces.trace_file import check_trace

    path = Path(str(given["trace"])).expanduser().absolute()
    check_trace(path)
    fields: dict[str, object] = {
        "speed": given["trace_speed"],
        "loop": given["trace_loop"],
        "start_s": given["trace_start"],
        "most_requests": given["trace_requests"],
    }
    chosen = {name: value for name, value in fields.items() if value is not None}
    return TraceSpec(path=str(path), **chosen)  # type: ignore[arg-type]  # typed by the options


def _numbers(parts: list[str]) -> list[float] | None:
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None
