"""llama.cpp's metrics (`--metrics`), `/slots` and `/props`.

Its prompt tokens do not include cached ones. Counters of tokens move when a request ends.
"""

from typing import Final

from ...protocol import EngineKind, Figure, Unit
from .engine_map import Endpoint, EngineMap, KvSize
from .further import Further, gauge
from .source import Flow, Level, Mean, Metric, Share, flow, level, share
from .vllm import MODELS

_COMPUTED = Metric("llamacpp:prompt_tokens_total")
_CACHED = Metric("llamacpp:prompt_tokens_cached_total")
_OFF: Final = "start llama-server with --metrics"
_NO_HISTOGRAM: Final = "llama.cpp exports no latencies: use --proxy or --probe"
_NO_REQUESTS: Final = "llama.cpp does not count requests: use --proxy"

LLAMA_CPP: Final = EngineMap(
    kind=EngineKind.LLAMA_CPP,
    running=level("llamacpp:requests_processing", "/slots processing"),
    waiting=level("llamacpp:requests_deferred"),
    kv_usage=level("/slots kv_usage", "llamacpp:kv_cache_usage_ratio"),
    kv_size=(KvSize(*level("/slots n_ctx")),),
    prefix_hits=(Share(Flow((_CACHED,)), Flow((_CACHED, _COMPUTED))),),
    prefill=(Flow((_COMPUTED,), at_end=True),),
    cached=(Flow((_CACHED,), at_end=True),),
    decode=flow("llamacpp:tokens_predicted_total", at_end=True),
    steps=flow("llamacpp:n_decode_total"),
    itl=(
        Mean(
            Flow((Metric("llamacpp:tokens_predicted_seconds_total"),)),
            Flow((Metric("llamacpp:tokens_predicted_total"),)),
        ),
    ),
    acceptance=(
        share(
            "llamacpp:spec_decode_num_accepted_tokens_total",
            "llamacpp:spec_decode_num_draft_tokens_total",
        ),
    ),
    drafts=(
        share(
            "llamacpp:spec_decode_num_draft_tokens_total", "llamacpp:spec_decode_num_drafts_total"
        ),
    ),
    max_seqs=level("/props total_slots", "/slots slots"),
    further=(
        Further(
            "prefill / token",
            Unit.MILLISECONDS,
            Mean(Flow((Metric("llamacpp:prompt_seconds_total"),)), Flow((_COMPUTED,))),
        ),
        Further("slots a step", Unit.COUNT, Level((Metric("llamacpp:n_busy_slots_per_decode"),))),
        gauge("most tokens", "llamacpp:n_tokens_max"),
    ),
    absent={
        Figure.WAITING: _OFF,
        Figure.DECODE_TOK_S: _OFF,
        Figure.PREFILL_TOK_S: _OFF,
        Figure.STEPS_PER_S: _OFF,
        Figure.ITL: _OFF,
        Figure.KV_USAGE: "needs /slots, which --no-slots turns off",
        Figure.KV_SIZE: "needs /slots, which --no-slots turns off",
        Figure.PREFIX_HITS: "this llama.cpp does not count cached tokens",
        Figure.CACHED_TOK_S: "this llama.cpp does not count cached tokens",
        Figure.BATCH_ROWS: "llama.cpp tells only the mean since its start",
        Figure.ACCEPTANCE: "no speculative decoding",
        **dict.fromkeys((Figure.TTFT, Figure.TPOT, Figure.E2E, Figure.QUEUE_TIME), _NO_HISTOGRAM),
        **dict.fromkeys((Figure.FINISHED, Figure.FAILED, Figure.REQUESTS_PER_S), _NO_REQUESTS),
    },
    endpoints=(MODELS, Endpoint("/props", 60.0), Endpoint("/slots", 1.0)),
)
