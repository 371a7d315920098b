"""A completion's answer, whole and in chunks; with `echo` the prompt comes before the text."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from ..protocol.served import TokenLogprob
from .choice_text import Piece
from .figures import metrics_of, usage_of
from .generation import Choice, Generation
from .logprob_shapes import completion_logprobs, prompt_logprobs, token_texts, trimmed
from .prompts import Prompt
from .schema.common import AnswerMetrics, PromptLogprobs, Usage
from .schema.completions import (
    Completion,
    CompletionChoice,
    CompletionFinishReason,
    CompletionLogprobs,
    CompletionRequest,
)
from .tokenizers import ServedTokenizer
from .writers import Head, TextEvents, UsageWanted, event, events_of


class CompletionWriter:
    """Writes the answer to `body`, whose prompts were `prompts`."""

    def __init__(
        self,
        head: Head,
        body: CompletionRequest,
        prompts: Sequence[Prompt],
        generation: Generation,
        tokenizer: ServedTokenizer,
    ) -> None:
        self._head = head
        self._body = body
        self._prompts = prompts
        self._choices = generation.choices
        self._tokenizer = tokenizer
        self._token_text = token_texts(tokenizer, as_ids=body.return_tokens_as_token_ids is True)
        self._usage = UsageWanted.of(body)
        wants_more = body.logprobs is not None or body.return_token_ids is True
        self._plain = not (wants_more or self._usage.in_each)
        self._texts: dict[int, TextEvents] = {}
        self._begun: set[int] = set()
        self._ended = 0

    def events(self, choice: Choice, piece: Piece) -> bytes:
        texts = self._texts.get(choice.index)
        if texts is not None and piece.finish_reason is None:
            return texts.of(piece.text) if piece.text else b""
        chunks = self._chunks(choice, piece)
        if self._plain:
            self._texts[choice.index] = TextEvents(
                lambda text: self._chunk(self._choice(choice, Piece(text), echo=False))
            )
        return events_of(chunks)

    def _chunks(self, choice: Choice, piece: Piece) -> list[msgspec.Struct]:
        chunks: list[msgspec.Struct] = []
        if choice.index not in self._begun:
            self._begun.add(choice.index)
            if self._body.echo:
                chunks.append(self._chunk(self._choice(choice, None, echo=True)))
            elif self._body.return_token_ids:
                chunks.append(self._chunk(self._choice(choice, None, echo=False)))
        if piece.text or piece.logprobs or (self._body.return_token_ids and piece.token_ids):
            chunks.append(self._chunk(self._choice(choice, piece, echo=False)))
        if piece.finish_reason is not None:
            self._ended += 1
            wanted = self._head.metrics and not self._usage.at_end
            last = self._ended == len(self._choices)
            metrics = metrics_of(self._choices) if wanted and last else UNSET
            chunks.append(self._chunk(_end(choice, piece), metrics=metrics))
        return chunks

    def last_events(self) -> bytes:
        if not self._usage.at_end:
            return b""
        metrics = metrics_of(self._choices) if self._head.metrics else UNSET
        return event(self._answer([], usage_of(self._choices), metrics))

    def whole(self, pieces: Sequence[Piece]) -> msgspec.Struct:
        echo = self._body.echo is True
        choices = [
            msgspec.structs.replace(
                self._choice(choice, piece, echo=echo),
                finish_reason=_reason(piece),
                stop_reason=piece.stop_reason,
                prompt_logprobs=self._prompt_logprobs(choice),
                prompt_token_ids=choice.prompt_tokens if self._body.return_token_ids else UNSET,
            )
            for choice, piece in zip(self._choices, pieces, strict=True)
        ]
        metrics = metrics_of(self._choices) if self._head.metrics else UNSET
        return self._answer(choices, usage_of(self._choices), metrics)

    def _choice(self, choice: Choice, piece: Piece | None, *, echo: bool) -> CompletionChoice:
        """A piece as a choice, after its prompt with `echo`; without a piece the prompt's own."""
        text = (self._echo_text(choice) if echo else "") + ("" if piece is None else piece.text)
        token_ids: list[int] | UnsetType = UNSET
        prompt_ids: list[int] | UnsetType = UNSET
        if self._body.return_token_ids:
            token_ids = [] if piece is None else piece.token_ids
            prompt_ids = choice.prompt_tokens if piece is None else UNSET
        return CompletionChoice(
            index=choice.index,
            text=text,
            logprobs=self._logprobs(choice, piece, echo=echo),
            finish_reason=None,
            token_ids=token_ids,
            prompt_token_ids=prompt_ids,
        )

    def _echo_text(self, choice: Choice) -> str:
        """The prompt as it was given; of ids their text, without special tokens."""
        given = self._prompts[choice.prompt_index].text
        return self._decoded_prompt(choice)[0] if given is None else given

    def _decoded_prompt(self, choice: Choice) -> tuple[str, list[int]]:
        """The text of a prompt's tokens, and where in it each begins."""
        stream = self._tokenizer.stream()
        texts: list[str] = []
        offsets: list[int] = []
        length = 0
        for token_id in choice.prompt_tokens:
            offsets.append(length)
            texts.append(stream.push(token_id))
            length += len(texts[-1])
        return "".join([*texts, stream.flush()]), offsets

    def _logprobs(
        self, choice: Choice, piece: Piece | None, *, echo: bool
    ) -> CompletionLogprobs | None:
        asked = self._body.logprobs
        if asked is None:
            return None
        token_ids: list[int] = []
        logprobs: list[TokenLogprob | None] = []
        offsets: list[int] = []
        start = len(self._echo_text(choice)) if self._body.echo else 0
        if echo:
            token_ids += choice.prompt_tokens
            logprobs += [None, *trimmed(choice.prompt_logprobs or [], asked)]
            offsets += self._decoded_prompt(choice)[1]
        if piece is not None:
            token_ids += piece.token_ids
            logprobs += piece.logprobs
            offsets += [start + offset for offset in piece.text_offsets]
        return completion_logprobs(token_ids, logprobs, offsets, self._token_text)

    def _prompt_logprobs(self, choice: Choice) -> PromptLogprobs | UnsetType:
        asked = self._body.prompt_logprobs
        if asked is None:
            return UNSET
        return prompt_logprobs(trimmed(choice.prompt_logprobs or [], asked), self._tokenizer)

    def _chunk(
        self, choice: CompletionChoice, metrics: AnswerMetrics | UnsetType = UNSET
    ) -> Completion:
        usage = usage_of(self._choices) if self._usage.in_each else UNSET
        return self._answer([choice], usage, metrics)

    def _answer(
        self,
        choices: list[CompletionChoice],
        usage: Usage | UnsetType,
        metrics: AnswerMetrics | UnsetType,
    ) -> Completion:
        head = self._head
        return Completion(
            id=head.id,
            created=head.created,
            model=head.model,
            system_fingerprint=head.system_fingerprint,
            choices=choices,
            usage=usage,
            metrics=metrics,
        )


def _end(choice: Choice, piece: Piece) -> CompletionChoice:
    return CompletionChoice(
        index=choice.index,
        text="",
        logprobs=None,
        finish_reason=_reason(piece),
        stop_reason=piece.stop_reason,
    )


def _reason(piece: Piece) -> CompletionFinishReason:
    if piece.finish_reason == "content_filter":
        return "content_filter"
    return "length" if piece.finish_reason == "length" else "stop"
