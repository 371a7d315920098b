"""Between the load and the engine: arrivals become requests, and ends are reported back."""

from collections import deque
from collections.abc import Sequence

import msgspec

from ..load.arrivals import fit_tokens
from ..load.generator import LoadGenerator
from ..load.load import Load
from ..load.prompts import Prompt
from ..load.queue_limit import QueueLimit, QueueSize
from ..load.sequence import Arrival
from ..load.synthetic import SyntheticPrompts
from ..load.trace_load import Clipped, TraceLoad, recording_of
from ..load.trace_source import trace_of
from ..metrics.collector import MOST_REASONS
from ..metrics.windows import WindowedHistogram
from ..protocol import LoadSpec, TraceProgress
from ..protocol.errors import BadInputError, PromptTooLongError
from ..protocol.wording import counted
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


def clipping_notes(name: str, load: TraceLoad, room_tokens: int) -> list[str]:
    """What is to be said of requests of a trace that do not fit as they are."""
    long, most = load.will_clip, counted(load.entries, "request", grouped=True)
    notes: list[str] = []
    if long.prompts:
        notes.append(
            f"trace {name}: of {long.prompts:,} of {most} the prompt is cut to its beginning: it"
            f" and the output take more than {room_tokens:,} tokens"
        )
    if long.outputs:
        notes.append(
            f"trace {name}: of {long.outputs:,} of {most} the output is cut: alone it takes more"
            f" than {room_tokens:,} tokens"
        )
    return notes


class Traffic:
    """Puts a load on an engine. Prompts are tokenized once each; arrival comes before that.

    Where the queue of an open loop is as long as the load allows, requests are rejected: counted,
    and nothing else. `dispatch` are the delays from each arrival to when it was submitted: the part
    of a latency that the load itself makes.
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
        self._limited_to = limit
        self._spec = spec
        self._held = False
        self._load = self._make_load(spec)
        self._of: dict[int, Load] = {}
        """Which load made a request in the system, by request id."""
        self._left_over: deque[tuple[Load, Arrival]] = deque()
        """What had arrived under a load that was replaced, and was not submitted yet."""
        self.dispatch = WindowedHistogram()
        self._synthetic: SyntheticPrompts | None = None
        self._told_played = False
        self._token_ids: dict[tuple[int, bool], list[int]] = {}
        """By prompt, and whether it is a chat's."""
        self.prompts: dict[int, str] = {}
        """The prompt texts of the load's requests in the system, by request id."""
        self._limit = QueueLimit.of(spec)
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
        return self._load.exhausted and not self._load.in_flight

    @property
    def clipped(self) -> Clipped:
        """The requests of a trace that were made shorter than they were."""
        return self._load.clipped if isinstance(self._load, TraceLoad) else Clipped()

    def trace_progress(self) -> TraceProgress | None:
        """How far the trace is; `None` for another load."""
        load = self._load
        if not isinstance(load, TraceLoad):
            return None
        played, arrived = divmod(load.made, load.entries)
        done = load.exhausted
        return TraceProgress(
            entries=load.entries,
            arrived=load.entries if done else arrived,
            round=played if done else played + 1,
            clipped_prompts=load.clipped.prompts,
            clipped_outputs=load.clipped.outputs,
        )

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
        now_s = self._arrive()
        if spec.seed != self._spec.seed:
            self._synthetic = None
        # Paused and not replaced while it is held: a trace goes on where it stood.
        arriving = msgspec.structs.replace(spec, paused=True) if self._held else spec
        if recording_of(spec) == recording_of(self._spec):
            self._load.set_spec(arriving, self._engine.clock())
        else:
            old, self._load = self._load, self._make_load(arriving)
            while (arrival := old.take(now_s)) is not None:
                self._left_over.append((old, arrival))

    def next_due_s(self) -> float | None:
        """When the next request arrives, as far as can be known now."""
        if self._left_over:
            return self._left_over[0][1].arrival_at_s
        return self._load.next_due_s()

    def submit_arrivals(self) -> None:
        """Submit what has arrived by now and finds room, as much as one step's time allows."""
        now_s = self._arrive()
        tokens = 0
        for _ in range(MOST_SUBMITTED):
            load, arrival = self._take(now_s)
            if arrival is None:
                return
            tokens += self._submit(load, arrival)
            if tokens >= MOST_SUBMITTED_TOKENS:
                return

    def on_completions(self, completions: Sequence[Completion]) -> list[Completion]:
        """Tell the load's users which requests ended; returns those that are the load's own."""
        own: list[Completion] = []
        for completion in completions:
            load = self._of.pop(completion.request.request_id, None)
            if load is not None:
                del self.prompts[completion.request.request_id]
                load.on_done(self._engine.clock())
                own.append(completion)
        return own

    def _make_load(self, spec: LoadSpec) -> Load:
        """The load that `spec` asks for, from now on. Raises `BadInputError`."""
        now_s = self._engine.clock()
        if spec.trace is None:
            return LoadGenerator(spec, self._prompts, now_s, self._limited_to)
        settings, blocks = self._engine.settings, self._engine.blocks
        # The last token is generated, and never has a place in a KV block.
        room = min(settings.context_tokens, blocks.num_blocks * blocks.block_tokens + 1)
        trace = trace_of(spec.trace)
        load = TraceLoad(spec, trace, self._engine.clock(), room, self._limited_to)
        self._told_played = False
        if self._limited_to is None:
            self._engine.notes += [*trace.notes(), *clipping_notes(trace.name, load, room)]
        return load

    def _take(self, now_s: float) -> tuple[Load, Arrival | None]:
        if self._left_over:
            return self._left_over.popleft()
        return self._load, self._load.take(now_s)

    def _arrive(self) -> float:
        """Let arrive what is due now; returns the time that it is."""
        now_s = self._engine.clock()
        limit = self._limit
        room = None if limit is None else limit.room(self._queue(), self._rejected_tokens)
        before = self._load.rejected
        self._load.arrive(now_s, room)
        self._count_rejected(self._load.rejected - before, now_s)
        self._tell_played()
        return now_s

    def _tell_played(self) -> None:
        """Say once that the trace has come to its end, after which nothing arrives."""
        load = self._load
        if isinstance(load, TraceLoad) and load.exhausted and not self._told_played:
            self._told_played = True
            if self._limited_to is None and load.spec.trace is not None:
                came = counted(load.made, "request", grouped=True)
                self._engine.notes.append(f"trace {load.spec.trace.name} is at its end: {came}")

    def _queue(self) -> QueueSize:
        scheduler = self._engine.scheduler
        return QueueSize(scheduler.num_waiting, scheduler.num_waiting_tokens)

    def _reject(self, load: Load, tokens: int) -> None:
        """The request taken last has so many tokens and finds no room."""
        self._rejected_tokens = tokens
        before = load.rejected
        load.reject_taken()
        self._count_rejected(load.rejected - before, self._engine.clock())

    def _count_rejected(self, number: int, now_s: float) -> None:
        """Count rejected requests. The user is told once a load."""
        if not number:
            return
        self._engine.metrics.on_rejected(number, now_s)
        if not self._told_full:
            self._engine.notes.append(
                "the queue is full: what comes now is rejected; lower the rate, or raise the limit"
                " (--max-waiting, --max-waiting-mib)"
            )
        self._told_full = True

    def _submit(self, load: Load, arrival: Arrival) -> int:
        """Submit a request, or reject it; returns how many tokens its prompt has."""
        try:
            tokens = self._fitted_tokens(arrival)
            if self._limit is not None and not self._limit.takes(self._queue(), len(tokens)):
                self._reject(load, len(tokens))
                return 0
            request = self._engine.submit(
                tokens,
                Sampling(arrival.temperature, arrival.top_p, seed=arrival.seed),
                arrival.max_tokens,
                arrival_at_s=arrival.arrival_at_s,
                ignore_eos=arrival.ignore_eos,
            )
        except BadInputError as error:
            self._refuse(load, arrival, error)
            return 0
        now_s = self._engine.clock()
        self.dispatch.add(max(0.0, now_s - arrival.arrival_at_s), now_s)
        self.prompts[request.request_id] = arrival.text
        self._of[request.request_id] = load
        return len(tokens)

    def _fitted_tokens(self, arrival: Arrival) -> list[int]:
        """The prompt's tokens `[prompt]`. Raises `BadInputError` for a prompt without any."""
        if arrival.synthetic is not None:
            return self._synthetic_prompts().make(arrival.synthetic)
        assert arrival.prompt_index is not None
        tokens = self._tokens(arrival.prompt_index, chat=self.spec.chat)
        if not tokens:
            raise BadInputError("the model's tokenizer makes no tokens of a prompt")
        if arrival.prompt_tokens is not None:
            return fit_tokens(tokens, arrival.prompt_tokens)
        # A prompt as it is keeps its end: the output that was drawn must find room after it.
        room = self._engine.settings.context_tokens - arrival.max_tokens
        return tokens[-max(room, 1) :] if len(tokens) > room else tokens

    def _synthetic_prompts(self) -> SyntheticPrompts:
        """Made when the first one is asked for. Not of tokens that end a text."""
        if self._synthetic is None:
            config = self._engine.model.config
            self._synthetic = SyntheticPrompts(
                config.vocabulary, config.eos_token_ids, self.spec.seed
            )
        return self._synthetic

    def _refuse(self, load: Load, arrival: Arrival, error: BadInputError) -> None:
        """Count a request that the engine cannot take as failed. Each reason is told once."""
        now_s, reason = self._engine.clock(), clean(str(error))
        self._engine.metrics.on_refused(now_s, arrival.arrival_at_s, reason)
        load.on_refused(now_s)
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
