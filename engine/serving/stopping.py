"""When a sequence ends: by a stop token, by its length, or by a stop string in its text."""

from ..text.stop_strings import FilteredText, StopStringFilter
from .request import Request

__all__ = ["FilteredText", "StopStringFilter", "ends_with_stop_token", "stop_reason"]


def ends_with_stop_token(request: Request) -> bool:
    """Whether the newest token ends the text. It counts as generated, but its text is not shown."""
    return (
        not request.ignore_eos
        and request.num_output_tokens > 0
        and request.tokens[-1] in request.stop_token_ids
    )


def stop_reason(request: Request, context_tokens: int) -> str | None:
    """Why a request that just got a token ends here: `stop`, `length`, or None if it goes on.

    `context_tokens` is the most tokens, prompt and output, that the model can have seen.
    """
    if ends_with_stop_token(request):
        return "stop"
    if request.num_output_tokens >= request.max_tokens or request.num_tokens >= context_tokens:
        return "length"
    return None
