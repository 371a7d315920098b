"""A conversation as token ids: rendered by the model's template and cut, beside the event loop."""

from collections.abc import Mapping, Sequence

from ..protocol.errors import BadInputError, CheckpointError
from ..protocol.served import Serving
from ..text.cleaning import clean
from .chat_messages import chat_messages, template_tools
from .context import Context
from .errors import ApiError, bad_request
from .guarded_requests import PromptNotes, guard_turns
from .prompts import check_chars, encode
from .schema.chat import Message
from .schema.tools import Tool
from .tokenizers import ServedTokenizer


async def chat_prompt(
    messages: Sequence[Message],
    tools: Sequence[Tool],
    variables: Mapping[str, object] | None,
    tokenizer: ServedTokenizer,
    context: Context,
    serving: Serving,
    *,
    add_generation_prompt: bool,
    add_special_tokens: bool,
    notes: PromptNotes | None = None,
) -> list[int]:
    """The ids of a conversation, whose template writes the special tokens itself. With `notes` the
    guards of prompts see it first, and note what they flag.

    Raises `ApiError` (400) where there is no template, it refuses the messages, they do not fit, or
    a guard blocks one.
    """
    turns = chat_messages(messages)
    if notes is not None:
        check_chars(sum(len(turn.content) for turn in turns), tokenizer, serving, "messages")
        beside = [template_tools(tools), variables]
        turns = await guard_turns(turns, beside, context, notes)
    try:
        text = await context.in_thread(
            tokenizer.render_chat,
            turns,
            add_generation_prompt=add_generation_prompt,
            tools=template_tools(tools),
            variables=variables or {},
        )
    except CheckpointError as error:
        # Without the file, which is the server's affair.
        reason = clean(str(error.__cause__ or "it cannot be read"))
        raise ApiError(500, f"the model's chat template cannot be used: {reason}") from error
    except BadInputError as error:
        raise bad_request(str(error), "messages") from error
    return await encode(text, add_special_tokens, tokenizer, context, serving, "messages")
