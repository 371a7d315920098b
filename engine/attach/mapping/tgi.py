"""Text Generation Inference's metrics; token counts are those of requests that ended."""

from typing import Final

from ...protocol import EngineKind, Figure
from .engine_map import Endpoint, EngineMap
from .further import gauge, mean_count, mean_time
from .source import Flow, Metric, flow, flow_of, level, spread

_TTFT: Final = "TGI does not export queue, validation and first step as one: use --proxy"

TGI: Final = EngineMap(
    kind=EngineKind.TGI,
    running=level("tgi_batch_current_size"),
    waiting=level("tgi_queue_size"),
    prefill=flow("tgi_request_input_length_sum", at_end=True),
    decode=flow("tgi_request_generated_tokens_sum", at_end=True),
    finished=flow("tgi_request_success"),
    failed=(
        Flow(
            (),
            also=(Metric("tgi_request_failure"),),
            less=flow_of("tgi_request_failure", err="overloaded").plus,
            needs=(Metric("tgi_request_count"),),
        ),
    ),
    rejected=(
        Flow(
            (),
            also=flow_of("tgi_request_failure", err="overloaded").plus,
            needs=(Metric("tgi_request_count"),),
        ),
    ),
    steps=flow("tgi_batch_inference_count"),
    tpot=spread("tgi_request_mean_time_per_token_duration"),
    e2e=spread("tgi_request_duration"),
    queue=spread("tgi_request_queue_duration"),
    max_seqs=level("/info max_concurrent_requests"),
    further=(
        mean_time("validation", "tgi_request_validation_duration"),
        mean_time("inference time", "tgi_request_inference_duration"),
        mean_time("prefill step", "tgi_batch_inference_duration", method="prefill"),
        mean_time("decode step", "tgi_batch_inference_duration", method="decode"),
        mean_count("prompt tokens", "tgi_request_input_length"),
        mean_count("output tokens", "tgi_request_generated_tokens"),
        gauge("batch tokens", "tgi_batch_current_max_tokens"),
    ),
    absent={
        Figure.TTFT: _TTFT,
        Figure.ITL: "TGI tells the mean of each request only: TPOT",
        Figure.KV_USAGE: "TGI does not export it",
        Figure.KV_SIZE: "TGI tells a batch's token budget only",
        Figure.BATCH_ROWS: "TGI does not count the sequences of its steps",
    },
    endpoints=(Endpoint("/info", 60.0),),
)
