"""A chat's answer, whole and in chunks: role first, then text and calls, then why it ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType

from .choice_text import Piece
from .figures import metrics_of, usage_of
from .generation import Choice, Generation
from .logprob_shapes import chat_logprobs, prompt_logprobs, token_texts
from .schema.chat import (
    AnswerMessage,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatDelta,
    ChatFinishReason,
    ChatLogprobs,
    ChatRequest,
)
from .schema.common import AnswerMetrics
from .schema.tools import ToolCall, ToolCallDelta
from .tokenizers import ServedTokenizer
from .tool_calls import CallParser, Parsed
from .writers import Head, TextEvents, UsageWanted, event, events_of

_MOST_CALLS = 1 << 20

ParserFactory = Callable[[], CallParser | None]
"""Makes what finds calls in one choice's text; `None` where no tool may be called."""


@dataclass(slots=True)
class _State:
    """Of one choice of a stream."""

    parser: CallParser | None
    texts: TextEvents
    begun: bool = False
    calls: int = 0


class ChatWriter:
    """Writes the answer to `body`; `parser` is asked once for each choice."""

    def __init__(
        self,
        head: Head,
        body: ChatRequest,
        generation: Generation,
        tokenizer: ServedTokenizer,
        parser: ParserFactory,
    ) -> None:
        self._head = head
        self._body = body
        self._choices = generation.choices
        self._tokenizer = tokenizer
        self._token_text = token_texts(tokenizer, as_ids=body.return_tokens_as_token_ids is True)
        self._parser = parser
        self._usage = UsageWanted.of(body)
        self._plain = not (body.logprobs or body.return_token_ids or self._usage.in_each)
        self._states: dict[int, _State] = {}
        self._ended = 0
        self._most_calls = 1 if body.parallel_tool_calls is False else _MOST_CALLS

    def events(self, choice: Choice, piece: Piece) -> bytes:
        state = self._states.get(choice.index)
        if state is None:
            texts = TextEvents(lambda text: self._chunk(choice, ChatDelta(content=text)))
            state = self._states[choice.index] = _State(self._parser(), texts)
        if self._plain and state.begun and state.parser is None and piece.finish_reason is None:
            return state.texts.of(piece.text) if piece.text else b""
        return events_of(self._chunks(choice, piece, state))

    def _chunks(self, choice: Choice, piece: Piece, state: _State) -> list[msgspec.Struct]:
        chunks: list[msgspec.Struct] = []
        if not state.begun:
            state.begun = True
            chunks.append(self._first(choice))
        parsed = self._parse(state.parser, piece)
        logprobs = self._logprobs(piece)
        token_ids = piece.token_ids if self._body.return_token_ids else UNSET
        if parsed.content or logprobs is not None or (token_ids is not UNSET and token_ids):
            delta = ChatDelta(content=parsed.content)
            chunks.append(self._chunk(choice, delta, logprobs=logprobs, token_ids=token_ids))
        for call in parsed.calls[: self._most_calls - state.calls]:
            delta = ChatDelta(tool_calls=[_delta(call, state.calls)])
            state.calls += 1
            chunks.append(self._chunk(choice, delta))
        if piece.finish_reason is not None:
            chunks.append(self._end(choice, piece, called=state.calls > 0))
        return chunks

    def last_events(self) -> bytes:
        if not self._usage.at_end:
            return b""
        head = self._head
        return event(
            ChatChunk(
                id=head.id,
                created=head.created,
                model=head.model,
                system_fingerprint=head.system_fingerprint,
                choices=[],
                usage=usage_of(self._choices),
                metrics=metrics_of(self._choices) if head.metrics else UNSET,
            )
        )

    def whole(self, pieces: Sequence[Piece]) -> msgspec.Struct:
        head, body = self._head, self._body
        first = self._choices[0]
        return ChatCompletion(
            id=head.id,
            created=head.created,
            model=head.model,
            system_fingerprint=head.system_fingerprint,
            choices=[
                self._whole_choice(choice, piece)
                for choice, piece in zip(self._choices, pieces, strict=True)
            ],
            usage=usage_of(self._choices),
            prompt_logprobs=(
                UNSET
                if body.prompt_logprobs is None
                else prompt_logprobs(first.prompt_logprobs or [], self._tokenizer)
            ),
            prompt_token_ids=first.prompt_tokens if body.return_token_ids else UNSET,
            metrics=metrics_of(self._choices) if head.metrics else UNSET,
        )

    def _whole_choice(self, choice: Choice, piece: Piece) -> ChatChoice:
        parsed = self._parse(self._parser(), piece)
        calls = parsed.calls[: self._most_calls]
        message = AnswerMessage(
            content=None if calls and not parsed.content else parsed.content,
            tool_calls=calls or UNSET,
        )
        return ChatChoice(
            index=choice.index,
            message=message,
            logprobs=self._logprobs(piece),
            finish_reason=_finish_reason(piece, called=bool(calls)),
            stop_reason=piece.stop_reason,
            token_ids=piece.token_ids if self._body.return_token_ids else UNSET,
        )

    def _parse(self, parser: CallParser | None, piece: Piece) -> Parsed:
        if parser is None:
            return Parsed(piece.text)
        parsed = parser.push(piece.text) if piece.text else Parsed()
        if piece.finish_reason is None:
            return parsed
        rest = parser.end()
        return Parsed(parsed.content + rest.content, [*parsed.calls, *rest.calls])

    def _logprobs(self, piece: Piece) -> ChatLogprobs | None:
        if not self._body.logprobs or not piece.logprobs:
            return None
        return chat_logprobs(piece.logprobs, self._tokenizer, self._token_text)

    def _first(self, choice: Choice) -> ChatChunk:
        chunk = self._chunk(choice, ChatDelta(role="assistant", content=""))
        if not self._body.return_token_ids:
            return chunk
        return msgspec.structs.replace(chunk, prompt_token_ids=choice.prompt_tokens)

    def _end(self, choice: Choice, piece: Piece, *, called: bool) -> ChatChunk:
        end = ChatChunkChoice(
            index=choice.index,
            delta=ChatDelta(),
            finish_reason=_finish_reason(piece, called=called),
            stop_reason=piece.stop_reason,
        )
        self._ended += 1
        wanted = self._head.metrics and not self._usage.at_end
        last = self._ended == len(self._choices)
        return self._of(end, metrics_of(self._choices) if wanted and last else UNSET)

    def _chunk(
        self,
        choice: Choice,
        delta: ChatDelta,
        *,
        logprobs: ChatLogprobs | None = None,
        token_ids: list[int] | UnsetType = UNSET,
    ) -> ChatChunk:
        part = ChatChunkChoice(
            index=choice.index, delta=delta, logprobs=logprobs, token_ids=token_ids
        )
        return self._of(part)

    def _of(self, part: ChatChunkChoice, metrics: AnswerMetrics | UnsetType = UNSET) -> ChatChunk:
        head = self._head
        return ChatChunk(
            id=head.id,
            created=head.created,
            model=head.model,
            system_fingerprint=head.system_fingerprint,
            choices=[part],
            usage=usage_of(self._choices) if self._usage.in_each else UNSET,
            metrics=metrics,
        )


def _delta(call: ToolCall, index: int) -> ToolCallDelta:
    return ToolCallDelta(index=index, id=call.id, function=call.function)


def _finish_reason(piece: Piece, *, called: bool) -> ChatFinishReason:
    """A text that its length or a guard cut off is not done, whatever it called before."""
    if piece.finish_reason == "length":
        return "length"
    if piece.finish_reason == "content_filter":
        return "content_filter"
    return "tool_calls" if called else "stop"
