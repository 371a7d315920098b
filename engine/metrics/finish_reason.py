"""Why a request ended, in the four words that servers and their clients know."""

from typing import Final

from ..protocol.served import FinishReason

FAULTS: Final = frozenset({"NaN", "grammar", "no memory", "no text"})
"""The engine's own reasons to abort a request: nobody asked for that."""


def finish_reason(reason: str | None, *, failed: bool) -> FinishReason:
    """The word for `Request.finish_reason` of a request that ended, well or `failed`."""
    if failed:
        return "error" if reason in FAULTS else "abort"
    return "length" if reason == "length" else "stop"
