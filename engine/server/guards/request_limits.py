"""The largest request that is served. What is over a limit is refused before it costs anything."""

from dataclasses import dataclass

from .settings import LimitSettings


@dataclass(frozen=True, slots=True)
class OverLimit:
    """Which field of a request is over its limit, with the sentence that says so."""

    param: str
    message: str


def check_body(size_bytes: int, settings: LimitSettings) -> OverLimit | None:
    """Judge the size of a body, by its header before it is read, and again as it comes."""
    return _over("body", size_bytes, settings.body_bytes, "bytes")


def check_request(
    settings: LimitSettings,
    *,
    prompt_tokens: int,
    max_tokens: int | None,
    n: int = 1,
    stop: int = 0,
) -> OverLimit | None:
    """Judge a request: the first of its fields that is over a limit.

    `max_tokens` `None`: it left that to the server, which must then stay within the limit.
    `stop` is how many stop strings it has.
    """
    return (
        _over("n", n, settings.n, "choices")
        or _over("stop", stop, settings.stop, "stop sequences")
        or _over("max_tokens", max_tokens, settings.max_tokens, "tokens")
        or _over("prompt", prompt_tokens, settings.prompt_tokens, "tokens")
    )


def _over(param: str, value: int | None, most: int | None, unit: str) -> OverLimit | None:
    if value is None or most is None or value <= most:
        return None
    return OverLimit(param, f"{param}: {value} {unit}, more than the {most} that are allowed")
