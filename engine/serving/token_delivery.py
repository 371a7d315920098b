"""Tokens for whoever decodes them: what a step brought to each request, undecoded."""

from dataclasses import dataclass, field

from ..metrics.finish_reason import finish_reason
from ..protocol.served import FinishReason, RequestTimes, TokenLogprob
from ..text.tokenizer import Tokenizer
from .delivery import Delivery, RequestDelivery
from .request import Request
from .stopping import ends_with_stop_token


@dataclass(slots=True, eq=False)
class RequestOutput:
    """What one request got since the outbox was emptied last.

    `logprobs` has one entry for each of `token_ids`, where they were asked for; `prompt_logprobs`
    come once, with the first output, one for each prompt token but the first. The last output of a
    request has a `finish_reason`: `stop_token_id` is the token that ended it, which is the last of
    its tokens, and `error` says why one of reason "error" ended.
    """

    request: Request
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] | None = None
    prompt_logprobs: list[TokenLogprob] | None = None
    finish_reason: FinishReason | None = None
    stop_token_id: int | None = None
    error: str | None = None
    from_response_cache: bool = False

    @property
    def times(self) -> RequestTimes:
        """When what became of the request, so far."""
        request = self.request
        return RequestTimes(
            arrival_at_s=request.arrival_at_s,
            queued_at_s=request.queued_at_s,
            scheduled_at_s=request.scheduled_at_s,
            first_token_at_s=request.first_token_at_s,
            last_token_at_s=request.last_token_at_s,
        )


class TokenOutbox:
    """Collects the outputs of many requests until somebody takes them away."""

    def __init__(self) -> None:
        self._outputs: dict[int, RequestOutput] = {}

    def __len__(self) -> int:
        return len(self._outputs)

    def of(self, request: Request) -> RequestOutput:
        """What will go out next of a request, to be added to."""
        return self._outputs.setdefault(request.request_id, RequestOutput(request))

    def drain(self) -> list[RequestOutput]:
        """Take away what was collected: one output a request, in the order of their first news."""
        outputs, self._outputs = list(self._outputs.values()), {}
        return outputs


class TokenDelivery:
    """The tokens of one request on their way into an outbox: `RequestDelivery`.

    They go there at once whatever the strategy. Where it does not stream (`stream`), whoever reads
    them keeps the text until the end: that is when the first byte is there, then. The engine knows
    no text of such a request.
    """

    text = ""
    withheld = False

    def __init__(self, request: Request, outbox: TokenOutbox, *, stream: bool) -> None:
        self._request = request
        self._outbox = outbox
        self._streams = stream
        self._sent = 0
        self._sent_prompt = False

    def push(self, now_s: float) -> bool:
        """Send the newest token; no stop string is looked for."""
        self._send()
        if self._streams:
            self._on_first_byte(now_s)
        return False

    def set_streaming(self, stream: bool, now_s: float) -> None:
        """Go on under another kind of delivery: what was kept so far goes out with it."""
        self._streams = stream
        if stream and self._request.num_output_tokens:
            self._on_first_byte(now_s)

    def close(self, now_s: float, reason: str) -> None:
        self._send()
        self._on_first_byte(now_s)
        self._end("length" if reason == "length" else "stop")

    def cut(self, now_s: float) -> None:
        """The request has ended with fewer tokens than were sent: it has lost those beyond."""
        output = self._outbox.of(self._request)
        beyond = min(self._sent - self._request.num_output_tokens, len(output.token_ids))
        if beyond > 0:
            del output.token_ids[-beyond:]
            if output.logprobs is not None:
                del output.logprobs[-beyond:]
        self._sent = min(self._sent, self._request.num_output_tokens)
        self.close(now_s, "stop")

    def replay(self, text: str, now_s: float) -> None:
        self._send()
        self._request.first_byte_at_s = now_s
        self._outbox.of(self._request).from_response_cache = True
        self._end("length" if self._request.finish_reason == "length" else "stop")

    def fail(self, reason: str) -> None:
        word = finish_reason(reason, failed=True)
        self._end(word)
        if word == "error":
            self._outbox.of(self._request).error = reason

    def _send(self) -> None:
        """Put what was not sent yet into the outbox."""
        request, output = self._request, self._outbox.of(self._request)
        output.token_ids += request.tokens[len(request.prompt_tokens) + self._sent :]
        if request.logprobs is not None:
            output.logprobs = (output.logprobs or []) + request.token_logprobs[self._sent :]
        measured = len(request.prompt_token_logprobs) + 1 == len(request.prompt_tokens)
        if request.prompt_logprobs is not None and measured and not self._sent_prompt:
            output.prompt_logprobs = list(request.prompt_token_logprobs)
            self._sent_prompt = True
        self._sent = request.num_output_tokens

    def _end(self, finish_reason: FinishReason) -> None:
        output = self._outbox.of(self._request)
        output.finish_reason = finish_reason
        if finish_reason == "stop" and ends_with_stop_token(self._request):
            output.stop_token_id = self._request.tokens[-1]

    def _on_first_byte(self, now_s: float) -> None:
        if self._request.first_byte_at_s is None:
            self._request.first_byte_at_s = now_s


def delivery_for(
    request: Request, tokenizer: Tokenizer, outbox: TokenOutbox | None, *, stream: bool
) -> RequestDelivery:
    """How a request is delivered: as tokens into an `outbox`, or else as text."""
    if outbox is None:
        return Delivery(request, tokenizer, stream=stream)
    return TokenDelivery(request, outbox, stream=stream)
