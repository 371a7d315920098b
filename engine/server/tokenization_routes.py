"""POST /tokenize and /detokenize, GET /tokenizer_info, as vLLM has them."""

from starlette.requests import Request
from starlette.responses import Response

from ..protocol.served import Serving
from .answers import json_response
from .body import read_body
from .chat_prompt import chat_prompt
from .context import Context, check_model, context_of
from .errors import bad_request
from .prompts import encode
from .sampling import check_token_ids
from .schema.tokenization import (
    DetokenizeAnswer,
    DetokenizeRequest,
    TokenizeAnswer,
    TokenizeRequest,
)


async def tokenize(request: Request) -> Response:
    """The ids of a text or a conversation. Raises `ApiError`."""
    context = context_of(request)
    body = await read_body(request, TokenizeRequest, context)
    serving = context.serving()
    check_model(body.model, serving)
    ids = await _ids(body, context, serving)
    tokenizer = await context.tokenizer(serving)
    texts = [tokenizer.token_bytes(token_id).decode("utf-8", "replace") for token_id in ids]
    return json_response(
        TokenizeAnswer(
            count=len(ids),
            max_model_len=serving.context_tokens,
            tokens=ids,
            token_strs=texts if body.return_token_strs else None,
        )
    )


async def detokenize(request: Request) -> Response:
    """The text of ids. Raises `ApiError`."""
    context = context_of(request)
    body = await read_body(request, DetokenizeRequest, context)
    serving = context.serving()
    check_model(body.model, serving)
    check_token_ids(body.tokens, serving, "tokens")
    tokenizer = await context.tokenizer(serving)
    text = await context.in_thread(tokenizer.decode, body.tokens)
    return json_response(DetokenizeAnswer(prompt=text))


async def tokenizer_info(request: Request) -> Response:
    """What `tokenizer_config.json` says, with chat template and special tokens."""
    context = context_of(request)
    tokenizer = await context.tokenizer(context.serving())
    return json_response(tokenizer.info())


async def _ids(body: TokenizeRequest, context: Context, serving: Serving) -> list[int]:
    if (body.prompt is None) == (body.messages is None):
        raise bad_request("give either `prompt` or `messages`", "prompt")
    tokenizer = await context.tokenizer(serving)
    if body.messages is not None:
        return await chat_prompt(
            body.messages,
            body.tools or [],
            body.chat_template_kwargs,
            tokenizer,
            context,
            serving,
            add_generation_prompt=body.add_generation_prompt is not False,
            add_special_tokens=body.add_special_tokens is True,
        )
    if not body.prompt:
        return []
    special = body.add_special_tokens is not False
    return await encode(body.prompt, special, tokenizer, context, serving, "prompt")
