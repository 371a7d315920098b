"""What a request must be to be served by a model within the engine's limits."""

from ..protocol.errors import BadInputError, PromptTooLongError, RequestTooLargeError
from .blocks import BlockManager
from .request import Request, Sampling

MOST_TOP_K = 2**31 - 1
"""What the device's sampler counts to."""


def check_request(request: Request, context_tokens: int, vocabulary: int) -> None:
    """Raise `PromptTooLongError` for a prompt that fills the context, `BadInputError` for one with
    an id outside the vocabulary, or for a wish that cannot be fulfilled."""
    _check_prompt(request, context_tokens, vocabulary)
    for token in request.extra_stop_token_ids:
        if not 0 <= token < vocabulary:
            raise BadInputError(f"stop_token_ids has {token}, outside 0 … {vocabulary - 1}")
    _check_sampling(request.sampling)
    request.edits.check(vocabulary)
    for name, wanted in (
        ("logprobs", request.logprobs),
        ("prompt_logprobs", request.prompt_logprobs),
    ):
        if wanted is not None and not 0 <= wanted <= vocabulary:
            raise BadInputError(f"{name} must be from 0 to {vocabulary}, not {wanted}")


def _check_sampling(sampling: Sampling) -> None:
    if not sampling.temperature >= 0:
        raise BadInputError(f"temperature must be at least 0, not {sampling.temperature}")
    if not 0 <= sampling.top_p <= 1:
        raise BadInputError(f"top_p must be from 0 to 1, not {sampling.top_p}")
    if not 0 <= sampling.top_k <= MOST_TOP_K:
        raise BadInputError(f"top_k must be from 0 to {MOST_TOP_K}, not {sampling.top_k}")


def check_fit(request: Request, longest: int, blocks: BlockManager) -> None:
    """Raise `RequestTooLargeError` if a request of up to `longest` tokens could never get its KV
    blocks, `BadInputError` if it has nothing to compute or to generate."""
    if not request.tokens:
        raise BadInputError("the prompt is empty: give it at least one token")
    if request.max_tokens < 1 and (request.max_tokens or request.prompt_logprobs is None):
        raise BadInputError(f"max_tokens is {request.max_tokens}: ask for at least 1")
    # The last token is generated, never computed.
    needed = blocks.blocks_for(max(longest - 1, len(request.tokens)))
    if needed > blocks.num_blocks:
        room = blocks.num_blocks * blocks.block_tokens
        raise RequestTooLargeError(
            f"prompt and output may take {longest} tokens, but the KV cache holds {room}: "
            "shorten the prompt, lower max_tokens or enlarge the KV cache"
        )


def _check_prompt(request: Request, context_tokens: int, vocabulary: int) -> None:
    ids = request.prompt_tokens
    if len(ids) > context_tokens - bool(request.max_tokens):
        raise PromptTooLongError(
            f"the prompt has {len(ids)} tokens, the context holds {context_tokens} with at least "
            "one of output: shorten the prompt"
        )
    if ids and not (min(ids) >= 0 and max(ids) < vocabulary):
        raise BadInputError(f"the prompt has a token id outside 0 … {vocabulary - 1}")
