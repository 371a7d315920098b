"""What a server and the worker tell each other: requests from outside, and their tokens.

A server names its requests by a `key` of its own, which it never uses twice over one link. Text
stays with the server: only token ids cross. `*_at_s` fields are on the monotonic clock, which all
processes of one machine share. Where the link ends, the worker aborts what came over it, and the
server has lost what it had asked for.
"""

from typing import Literal

import msgspec

from .message import Message, Part
from .settings import PrecisionName, StrategyName


class SamplingSpec(Part, frozen=True, kw_only=True):
    """How tokens are chosen. `temperature` 0 is greedy; the edits of logits hold then, too.

    `presence_penalty` and `frequency_penalty` are OpenAI's, over the output; `repetition_penalty`
    is that of Keskar et al. 2019, over prompt and output; 1 is none. `logit_bias` is added to the
    logits of single tokens. No stop token is chosen before `min_tokens` were generated.
    `grammar` is one of llguidance's, serialized: only texts that it allows are generated.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: dict[int, float] = {}
    min_tokens: int = 0
    grammar: str | None = None


class Submit(Message, frozen=True, kw_only=True):
    """Serve a request of tokens `[prompt]`. Answered by `Tokens`, or by one `Refused`.

    `stop_token_ids` are those beside the model's own, which `ignore_eos` leaves without effect.
    `logprobs` asks for the logprob of each generated token and of so many of the likeliest ones
    (0: of the token alone); `prompt_logprobs` for the same of each prompt token but the first.
    `max_tokens` 0 generates nothing: for the logprobs of a prompt. `may_stop`: the server looks for
    stop strings, so that it may send `Stop`.
    """

    key: int
    prompt_tokens: list[int]
    max_tokens: int
    sampling: SamplingSpec = SamplingSpec()
    stop_token_ids: list[int] = []
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    may_stop: bool = False
    arrival_at_s: float


class Stop(Message, frozen=True, kw_only=True):
    """A stop string was found after `output_tokens` tokens: the request has finished by that.

    Nothing more is told of it.
    """

    key: int
    output_tokens: int


class Abort(Message, frozen=True, kw_only=True):
    """Nobody waits for this any more: it counts as aborted, and nothing more is told of it."""

    key: int
    reason: str = "aborted"


class AskMetrics(Message, frozen=True, kw_only=True):
    """Tell all counters as they are now: answered by `EngineMetrics` with the same `ask_id`."""

    ask_id: int


ServerCommand = Submit | Stop | Abort | AskMetrics
"""Server to worker."""

TokenizerKind = Literal["folder", "gguf", "numbers"]


class TokenizerSource(Part, frozen=True, kw_only=True):
    """Where a server reads the model's tokenizer from: the same as the worker's own.

    `folder`: the checkpoint folder `path`. `gguf`: the file `path`. `numbers`: random weights, for
    which prompts go through the tokenizer of the folder `path` (`NumberTokenizer`).
    """

    kind: TokenizerKind
    path: str
    vocabulary: int


class Serving(Message, frozen=True, kw_only=True):
    """The first message of a worker over a link, and again after each switch: what it serves.

    `streams`: tokens go to clients as they come; else a text is delivered whole at its end.
    `kv_tokens` is how many tokens the KV cache holds.
    """

    model: str
    context_tokens: int
    vocabulary: int
    eos_token_ids: list[int]
    tokenizer: TokenizerSource
    strategy: StrategyName
    precision: PrecisionName
    streams: bool
    max_seqs: int
    kv_tokens: int
    loaded_at_wall_s: float


class TokenLogprob(Part, frozen=True, kw_only=True, array_like=True):
    """A token's natural logarithm of its probability before any edit, temperature 1, and its rank.

    `rank` 1 is the likeliest; `top` holds the likeliest tokens with theirs, likeliest first.
    """

    token_id: int
    logprob: float
    rank: int
    top: list[tuple[int, float]] = []


FinishReason = Literal["stop", "length", "abort", "error"]


class RequestTimes(Part, frozen=True, kw_only=True):
    """When what became of a request, as the worker's clock has it; `None`: it never did."""

    arrival_at_s: float
    queued_at_s: float | None = None
    scheduled_at_s: float | None = None
    first_token_at_s: float | None = None
    last_token_at_s: float | None = None


class Output(Part, frozen=True, kw_only=True):
    """What one request got since the last message.

    `prompt_logprobs` come once, with the first output, one for each prompt token but the first. The
    last output has a `finish_reason`, the `times`, and how many prompt tokens came from the prefix
    cache; `stop_token_id` is the token that ended it, which is part of `token_ids`. `error` says
    why a request of reason "error" ended.
    """

    key: int
    token_ids: list[int] = []
    logprobs: list[TokenLogprob] | None = None
    prompt_logprobs: list[TokenLogprob] | None = None
    finish_reason: FinishReason | None = None
    stop_token_id: int | None = None
    times: RequestTimes | None = None
    cached_prompt_tokens: int = 0
    from_response_cache: bool = False
    error: str | None = None


class Tokens(Message, frozen=True, kw_only=True):
    """What a step brought to all requests of the link, generated by `at_s`."""

    at_s: float
    outputs: list[Output]


class Refused(Message, frozen=True, kw_only=True):
    """A request that cannot be served, and why: it was counted as submitted and failed.

    `param` is the field of `Submit` at fault, if one is. `later`: nothing is wrong with it, the
    same may be asked again soon; it was counted as rejected then.
    """

    key: int
    message: str
    param: str | None = None
    later: bool = False


class ExportedHistogram(Part, frozen=True, kw_only=True):
    """Cumulative over the worker's life: values up to each bound, all of them, and their sum.

    `counts` `[bounds + 1]` are those of each bucket alone, the last of what lies above all.
    """

    counts: list[int]
    total: float


class EngineMetrics(Message, frozen=True, kw_only=True):
    """Everything that is exported, cumulative since `started_at_wall_s`, as of one moment.

    `counters` are by the names of `engine/metrics/exported.py`, `gauges` by those of
    `engine/worker/exported_metrics.py`, where one that is not known is missing, and `histograms` by
    those of `engine/metrics/export_buckets.py`, with the bounds `RAW_BOUNDS` there. `by_reason`
    counts ended requests by finish reason.
    """

    ask_id: int
    started_at_wall_s: float
    model: str
    strategy: StrategyName
    precision: PrecisionName
    counters: dict[str, float]
    gauges: dict[str, float]
    histograms: dict[str, ExportedHistogram]
    by_reason: dict[str, int]


ServerReport = Serving | Tokens | Refused | EngineMetrics
"""Worker to server."""

SERVER_COMMAND_DECODER: msgspec.msgpack.Decoder[ServerCommand] = msgspec.msgpack.Decoder(
    ServerCommand
)
SERVER_REPORT_DECODER: msgspec.msgpack.Decoder[ServerReport] = msgspec.msgpack.Decoder(ServerReport)
