"""POST /v1/chat/completions."""

from starlette.requests import Request
from starlette.responses import Response

from .admission import slot_of
from .asking import answer_length, ask, check_body, check_room, head_of, read_grammar, take_room
from .body import read_body
from .chat_prompt import chat_prompt
from .chat_writer import ChatWriter, ParserFactory
from .context import check_model, context_of
from .delivering import deliver
from .errors import bad_request
from .guarded_requests import PromptNotes, check_sizes, default_length, guarded_body, start
from .schema.chat import ChatRequest
from .tool_calls import ForcedCalls, FreeCalls
from .tool_grammars import named_tool, offered_tools


async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation. Raises `ApiError`, and what ends a generation."""
    context = context_of(request)
    body = await read_body(request, ChatRequest, context)
    serving = context.serving()
    check_model(body.model, serving)
    check_body(body, serving)
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    check_room(most, body, slot_of(request), serving)
    if body.top_logprobs is not None and not body.logprobs:
        raise bad_request("`top_logprobs` needs `logprobs`", "top_logprobs")
    body = guarded_body(body, context)
    tokenizer = await context.tokenizer(serving)
    grammar = await read_grammar(body, context)
    notes = PromptNotes.of(request)
    token_ids = await chat_prompt(
        body.messages,
        offered_tools(body),
        body.chat_template_kwargs,
        tokenizer,
        context,
        serving,
        add_generation_prompt=body.add_generation_prompt is not False,
        add_special_tokens=body.add_special_tokens is True,
        notes=notes,
    )
    check_sizes(body, most, len(token_ids), context)
    default = default_length(None, context)
    length = answer_length(most, default, len(token_ids), body.min_tokens or 0, serving)
    asked = ask(
        request,
        body,
        serving,
        tokenizer,
        [(token_ids, length)],
        grammar=grammar,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        prompt_logprobs=body.prompt_logprobs,
        guard=context.guard_output,
        entropy=context.measure_entropy,
    )
    take_room(asked, slot_of(request), serving)
    generation = start(request, asked, context, notes)
    head = head_of(request, body, serving, "chatcmpl")
    writer = ChatWriter(head, body, generation, tokenizer, _parser(body))
    return await deliver(request, generation, writer, context, stream=body.stream is True)


def _parser(body: ChatRequest) -> ParserFactory:
    """What finds the calls in an answer's text."""
    names = [tool.function.name for tool in offered_tools(body)]
    name = named_tool(body)
    if name is not None or body.tool_choice == "required":
        return lambda: ForcedCalls(name)
    return lambda: FreeCalls(names) if names else None
