"""When a sequence ends by its tokens: by a stop token, its grammar, or its length."""

from .request import Request


def ends_with_stop_token(request: Request) -> bool:
    """Whether the newest token ends the text. It counts as generated, but its text is not shown."""
    if request.num_output_tokens == 0:
        return False
    newest = request.tokens[-1]
    if newest in request.extra_stop_token_ids:
        return True
    return not request.ignore_eos and newest in request.stop_token_ids


def stop_reason(request: Request, context_tokens: int) -> str | None:
    """Why a request that just got a token ends here: `stop`, `length`, or None if it goes on.

    `context_tokens` is the most tokens, prompt and output, that the model can have seen.
    """
    complete = request.match is not None and request.match.complete
    if complete or ends_with_stop_token(request):
        return "stop"
    if request.num_output_tokens >= request.max_tokens or request.num_tokens >= context_tokens:
        return "length"
    return None
