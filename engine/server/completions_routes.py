"""POST /v1/completions."""

from starlette.requests import Request
from starlette.responses import Response

from .admission import slot_of
from .asking import answer_length, ask, check_body, check_room, head_of, read_grammar, take_room
from .body import read_body
from .completion_writer import CompletionWriter
from .context import check_model, context_of
from .delivering import deliver
from .errors import bad_request
from .guarded_requests import PromptNotes, check_sizes, default_length, guarded_body, start
from .prompts import read_prompts
from .schema.completions import CompletionRequest

_DEFAULT_TOKENS = 16
"""OpenAI's."""


async def create_completion(request: Request) -> Response:
    """Continue texts. Raises `ApiError`, and what ends a generation."""
    context = context_of(request)
    body = await read_body(request, CompletionRequest, context)
    serving = context.serving()
    check_model(body.model, serving)
    check_body(body, serving)
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    check_room(most, body, slot_of(request), serving)
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise bad_request("`best_of` other than `n` is not supported", "best_of")
    body = guarded_body(body, context)
    tokenizer = await context.tokenizer(serving)
    grammar = await read_grammar(body, context)
    notes = PromptNotes.of(request)
    prompts = await read_prompts(
        body.prompt, body.add_special_tokens is not False, context, serving, notes
    )
    check_sizes(body, most, max(len(prompt.token_ids) for prompt in prompts), context)
    default = default_length(_DEFAULT_TOKENS, context)
    sized = [
        (
            prompt.token_ids,
            answer_length(most, default, len(prompt.token_ids), body.min_tokens or 0, serving),
        )
        for prompt in prompts
    ]
    echoed = body.logprobs if body.echo else None
    wanted = [count for count in (echoed, body.prompt_logprobs) if count is not None]
    asked = ask(
        request,
        body,
        serving,
        tokenizer,
        sized,
        grammar=grammar,
        logprobs=body.logprobs,
        prompt_logprobs=max(wanted, default=None),
        guard=context.guard_output,
        entropy=context.measure_entropy,
    )
    take_room(asked, slot_of(request), serving)
    generation = start(request, asked, context, notes)
    head = head_of(request, body, serving, "cmpl")
    writer = CompletionWriter(head, body, prompts, generation, tokenizer)
    return await deliver(request, generation, writer, context, stream=body.stream is True)
