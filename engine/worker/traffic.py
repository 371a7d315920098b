"""Between the load and the engine: arrivals become requests, and ends are reported back."""

from collections.abc import Sequence

import msgspec

from ..load.arrivals import fit_tokens
from ..load.generator import LoadGenerator
from ..load.prompts import Prompt
from ..load.queue_limit import QueueLimit, QueueSize
from ..load.sequence import Arrival
from ..metrics.collector import MOST_REASONS
from ..protocol import LoadSpec
from ..protocol.errors import BadInputError, PromptTooLongError
from ..serving.engine import Engine
from ..serving.request import Completion, Sampling
from ..text.cleaning import clean
from ..text.tokenizer import Tokenizer


def check_prompt_length(spec: LoadSpec, context_tokens: int) -> None:
    """Raise `PromptTooLongError` where a load's prompts leave no room in the context."""
    if spec.prompt_tokens_max is not None and spec.prompt_tokens_max >= context_tokens:
        raise PromptTooLongError(
            f"prompts of {spec.prompt_tokens_max} tokens leave no room in a context of "
            f"{context_tokens}: make them shorter than that"
        )


MOST_SUBMITTED = 256
MOST_SUBMITTED_TOKENS = 2**16
"""What is submitted before a step, about 50 ms of work: commands are looked at between steps. The
rest of a burst has arrived, and is submitted before the next steps."""


class Traffic:
    """Puts a load on an engine. Prompts are tokenized once each; arrival comes before that.

    Where the queue of an open loop is as long as the load allows, requests are rejected: counted,
    and nothing else.
    """

    def __init__(
        self,
        engine: Engine,
        prompts: Sequence[Prompt],
        spec: LoadSpec,
        limit: int | None = None,
    ) -> None:
        check_prompt_length(spec, engine.settings.context_tokens)
        self._engine = engine
        self._prompts = prompts
        self._spec = spec
        self._held = False
        self._generator = LoadGenerator(spec, prompts, engine.clock(), limit)
        self._token_ids: dict[tuple[int, bool], list[int]] = {}
        """By prompt, and whether it is a chat's."""
        self.prompts: dict[int, str] = {}
        """The prompt texts of the load's requests in the system, by request id."""
        self._limit = QueueLimit.of(spec)
        self._rejected = 0
        """Rejected requests that were reported to the metrics."""
        self._rejected_tokens = 0
        """The tokens of the request that found no room last: the queue is full until it would."""
        self._told_full = False
        self._refused: set[str] = set()
        """The reasons that the user was told."""
        self._check_chat(spec)

    @property
    def spec(self) -> LoadSpec:
        """The load, also while it is held."""
        return self._spec

    @property
    def exhausted(self) -> bool:
        """All requests of a limited load were made, and all of them have ended."""
        return self._generator.exhausted and not self._generator.in_flight

    def set_spec(self, spec: LoadSpec) -> None:
        """Change the load; raises `BadInputError`, and keeps the old one, if it is impossible."""
        check_prompt_length(spec, self._engine.settings.context_tokens)
        self._check_chat(spec)
        self._generate(spec)
        self._spec, self._limit = spec, QueueLimit.of(spec)
        self._rejected_tokens, self._told_full = 0, False

    def hold(self) -> None:
        """Let nothing arrive until `release`; what is in the system stays."""
        self._held = True
        self._generate(self._spec)

    def release(self) -> None:
        """Let requests arrive again, from now on."""
        if self._held:
            self._held = False
            self._generate(self._spec)

    def _generate(self, spec: LoadSpec) -> None:
        """Have requests of `spec` arrive from now on. Raises `BadInputError`."""
        # What has come by now came under the old load, and is counted.
        self._arrive()
        arriving = msgspec.structs.replace(spec, paused=True) if self._held else spec
        self._generator.set_spec(arriving, self._engine.clock())

    def next_due_s(self) -> float | None:
        """When the next request arrives, as far as can be known now."""
        return self._generator.next_due_s()

    def submit_arrivals(self) -> None:
        """Submit what has arrived by now and finds room, as much as one step's time allows."""
        now_s = self._arrive()
        tokens = 0
        for _ in range(MOST_SUBMITTED):
            arrival = self._generator.take(now_s)
            if arrival is None:
                return
            tokens += self._submit(arrival)
            if tokens >= MOST_SUBMITTED_TOKENS:
                return

    def on_completions(self, completions: Sequence[Completion]) -> list[Completion]:
        """Tell the load's users which requests ended; returns those that are the load's own."""
        own: list[Completion] = []
        for completion in completions:
            if self.prompts.pop(completion.request.request_id, None) is not None:
                self._generator.on_done(self._engine.clock())
                own.append(completion)
        return own

    def _arrive(self) -> float:
        """Let arrive what is due now; returns the time that it is."""
        now_s = self._engine.clock()
        limit = self._limit
        room = None if limit is None else limit.room(self._queue(), self._rejected_tokens)
        self._generator.arrive(now_s, room)
        self._report_rejected(now_s)
        return now_s

    def _queue(self) -> QueueSize:
        scheduler = self._engine.scheduler
        return QueueSize(scheduler.num_waiting, scheduler.num_waiting_tokens)

    def _reject(self, tokens: int) -> None:
        """The request taken last has so many tokens and finds no room."""
        self._rejected_tokens = tokens
        self._generator.reject_taken()
        self._report_rejected(self._engine.clock())

    def _report_rejected(self, now_s: float) -> None:
        """Count what was rejected since the last report. The user is told once a load."""
        number = self._generator.rejected - self._rejected
        if not number:
            return
        self._rejected += number
        self._engine.metrics.on_rejected(number, now_s)
        if not self._told_full:
            self._engine.notes.append(
                "the queue is full: what comes now is rejected; lower the rate, or raise the limit"
                " (--max-waiting, --max-waiting-mib)"
            )
        self._told_full = True

    def _submit(self, arrival: Arrival) -> int:
        """Submit a request, or reject it; returns how many tokens its prompt has."""
        try:
            tokens = self._fitted_tokens(arrival)
            if self._limit is not None and not self._limit.takes(self._queue(), len(tokens)):
                self._reject(len(tokens))
                return 0
            request = self._engine.submit(
                tokens,
                Sampling(arrival.temperature, arrival.top_p, seed=arrival.seed),
                arrival.max_tokens,
                arrival_at_s=arrival.arrival_at_s,
                ignore_eos=arrival.ignore_eos,
            )
        except BadInputError as error:
            self._refuse(arrival, error)
            return 0
        self.prompts[request.request_id] = arrival.text
        return len(tokens)

    def _fitted_tokens(self, arrival: Arrival) -> list[int]:
        """The prompt's tokens `[prompt]`. Raises `BadInputError` for a prompt without any."""
        tokens = self._tokens(arrival.prompt_index, chat=self.spec.chat)
        if not tokens:
            raise BadInputError("the model's tokenizer makes no tokens of a prompt")
        if arrival.prompt_tokens is not None:
            return fit_tokens(tokens, arrival.prompt_tokens)
        # A prompt as it is keeps its end: the output that was drawn must find room after it.
        room = self._engine.settings.context_tokens - arrival.max_tokens
        return tokens[-max(room, 1) :] if len(tokens) > room else tokens

    def _refuse(self, arrival: Arrival, error: BadInputError) -> None:
        """Count a request that the engine cannot take as failed. Each reason is told once."""
        now_s, reason = self._engine.clock(), clean(str(error))
        self._engine.metrics.on_refused(now_s, arrival.arrival_at_s, reason)
        self._generator.on_refused(now_s)
        if reason not in self._refused and len(self._refused) < MOST_REASONS:
            self._engine.notes.append(f"{reason}: requests that meet this fail")
            self._refused.add(reason)

    def _check_chat(self, spec: LoadSpec) -> None:
        """Raise `BadInputError` now, and not at each request, where no chat is possible."""
        if spec.chat and self._prompts:
            self._tokens(0, chat=True)

    def _tokens(self, index: int, *, chat: bool) -> list[int]:
        tokens = self._token_ids.get((index, chat))
        if tokens is None:
            tokenizer: Tokenizer = self._engine.model.tokenizer
            prompt = self._prompts[index]
            tokens = (
                tokenizer.encode_chat(prompt.system, prompt.opening)
                if chat
                else tokenizer.encode(prompt.text)
            )
            self._token_ids[index, chat] = tokens
        return tokens
