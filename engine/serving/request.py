"""A request on its way through the engine: what was asked, how far it is, and how it ended."""

from dataclasses import dataclass, field
from enum import Enum

from ..metrics.latency import RequestLatency
from ..metrics.request_timeline import Mark
from ..protocol.served import TokenLogprob
from .grammar import GrammarMatch
from .logit_edits import LARGEST_FP32, NO_EDITS, LogitEdits
from .token_effects import TokenEffects

GREEDY_BELOW = 1e-5
"""Temperatures below this are greedy, their limit: a logit's last bit in fp32 is worth as much."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy; then the rest is without effect.

    So is every temperature below `GREEDY_BELOW`.

    `seed` makes a sampled request repeatable: the noise of the token at a position depends on the
    seed and the position alone, whatever else is in the batch.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None

    @property
    def greedy(self) -> bool:
        """Whether the largest logit is taken."""
        return self.temperature < GREEDY_BELOW

    @property
    def temperature_fp32(self) -> float:
        """The temperature within fp32's range: 0 if greedy, and no infinity."""
        return 0.0 if self.greedy else min(self.temperature, LARGEST_FP32)

    @property
    def deterministic(self) -> bool:
        """Whether the same prompt always gives the same output."""
        return self.greedy or self.seed is not None


class Status(Enum):
    """Where a request is. The last two are final."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    ABORTED = "aborted"


@dataclass(slots=True, eq=False)
class Request:
    """One request. The scheduler owns `status`, the `num_` fields, `block_ids` and `block_hashes`.

    `tokens` is the prompt followed by what was generated, as far as it is known: a step that is
    still in flight brings `num_pending` more. A token is *computed* once a step that writes its
    keys and values is under way; the request is caught up when only the newest token is not.
    Timestamps are on the engine's monotonic clock.
    """

    request_id: int
    prompt_tokens: list[int]
    max_tokens: int
    sampling: Sampling
    arrival_at_s: float
    stop_token_ids: frozenset[int] = frozenset()
    """The model's own, which `ignore_eos` leaves without effect."""
    extra_stop_token_ids: frozenset[int] = frozenset()
    stop_strings: tuple[str, ...] = ()
    ignore_eos: bool = False
    edits: LogitEdits = NO_EDITS
    logprobs: int | None = None
    """Of each generated token and so many of the likeliest; `None`: not asked for."""
    prompt_logprobs: int | None = None
    """The same of each prompt token but the first."""
    grammar: str | None = None
    """What the text must follow, as llguidance writes it down."""
    undecoded: bool = False
    """It is delivered as tokens: the engine knows no text of it."""
    plain: bool = field(init=False)
    """No edits, logprobs or grammar: a step has nothing to do for it but choose its token."""
    noise_seed: int = 0
    """What the sampling noise is made from: the seed asked for, or one drawn for this request."""

    status: Status = Status.WAITING
    tokens: list[int] = field(default_factory=list)
    num_computed: int = 0
    num_pending: int = 0
    longest: int = 0
    """Tokens, prompt and output, with which it ends at the latest. Known once it is queued."""
    block_ids: list[int] = field(default_factory=list)
    block_hashes: list[bytes] = field(default_factory=list)
    """Content hashes of the leading full blocks of `tokens`, as far as they were asked for."""
    cached_prompt_tokens: int = 0
    preemptions: int = 0
    finish_reason: str | None = None

    queued_at_s: float | None = None
    scheduled_at_s: float | None = None
    first_token_at_s: float | None = None
    first_byte_at_s: float | None = None
    last_token_at_s: float | None = None
    token_times_s: list[float] = field(default_factory=list)
    last_gap_s: float | None = None
    """Before its newest token; `None` before it has two."""
    longest_gap_s: float = 0.0
    """Between two of its tokens, so far."""
    waiting_ahead: int | None = None
    """Requests that waited already when it was queued."""
    token_logprobs: list[TokenLogprob] = field(default_factory=list)
    """Of its output tokens, where they were asked for."""
    prompt_token_logprobs: list[TokenLogprob] = field(default_factory=list)
    """Of its prompt tokens but the first, as far as they are computed."""
    match: GrammarMatch | None = None
    """How far its text is in its grammar, if it has one."""
    effects: TokenEffects | None = None
    """What its edits do to which tokens; made when it is first needed."""
    marks: list[Mark] = field(default_factory=list)
    """Admissions, prefill chunks and preemptions, as they came."""

    def __post_init__(self) -> None:
        if not self.tokens:
            self.tokens = list(self.prompt_tokens)
        wants_logprobs = self.logprobs is not None or self.prompt_logprobs is not None
        self.plain = not (self.edits.any or wants_logprobs or self.grammar is not None)

    def on_token(self, now_s: float) -> None:
        """A token of it was generated."""
        if self.first_token_at_s is None or self.last_token_at_s is None:
            self.first_token_at_s = now_s
        else:
            self.last_gap_s = now_s - self.last_token_at_s
            self.longest_gap_s = max(self.longest_gap_s, self.last_gap_s)
        self.last_token_at_s = now_s
        self.token_times_s.append(now_s)

    def cut_output(self, output_tokens: int) -> None:
        """Drop what was generated beyond the first `output_tokens`, as if it had never been."""
        kept = min(output_tokens, self.num_output_tokens)
        del self.tokens[len(self.prompt_tokens) + kept :]
        del self.token_times_s[kept:]
        del self.token_logprobs[kept:]
        self.num_computed = min(self.num_computed, len(self.tokens))
        if kept:
            self.last_token_at_s = self.token_times_s[-1]
        else:
            self.first_token_at_s = self.last_token_at_s = None
        gaps = zip(self.token_times_s, self.token_times_s[1:], strict=False)
        self.longest_gap_s = max((later - earlier for earlier, later in gaps), default=0.0)

    @property
    def follows_tokens(self) -> bool:
        """Whether what is done to its logits hangs on the tokens before: they must be known."""
        return self.edits.by_tokens or self.grammar is not None

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    @property
    def num_prompt_tokens(self) -> int:
        return len(self.prompt_tokens)

    @property
    def num_output_tokens(self) -> int:
        return len(self.tokens) - len(self.prompt_tokens)

    @property
    def output_tokens(self) -> list[int]:
        return self.tokens[len(self.prompt_tokens) :]

    @property
    def done(self) -> bool:
        return self.status in (Status.FINISHED, Status.ABORTED)


@dataclass(frozen=True, slots=True)
class Completion:
    """A request that ended, with what its client got. `latency` is `None` if it was aborted."""

    request: Request
    text: str
    latency: RequestLatency | None
    from_response_cache: bool = False
