"""What a bench tells of each of its requests, on request."""

from collections.abc import Iterable

from ..metrics.latency import RequestLatency
from ..protocol import RequestSample
from ..serving.request import Completion


def request_samples(
    completions: Iterable[Completion], ended_at_s: dict[int, float]
) -> list[RequestSample]:
    """The samples of `completions`, in their order; `ended_at_s` is by request id.

    Times count from the first arrival.
    """
    ended = list(completions)
    first_s = min((each.request.arrival_at_s for each in ended), default=0.0)
    return [_sample(each, first_s, ended_at_s[each.request.request_id]) for each in ended]


def _sample(completion: Completion, first_s: float, end_s: float) -> RequestSample:
    request, latency = completion.request, completion.latency
    return RequestSample(
        arrival_s=request.arrival_at_s - first_s,
        end_s=end_s - first_s,
        finished=latency is not None,
        response_hit=completion.from_response_cache,
        prompt_tokens=len(request.prompt_tokens),
        cached_prompt_tokens=request.cached_prompt_tokens,
        output_tokens=request.num_output_tokens,
        **_latencies_ms(latency),
    )


def _latencies_ms(latency: RequestLatency | None) -> dict[str, float | None]:
    if latency is None:
        return dict.fromkeys(("e2e_ms", "ttfb_ms", "ttft_ms", "tpot_ms"))
    seconds = {
        "e2e_ms": latency.e2e_s,
        "ttfb_ms": latency.ttfb_s,
        "ttft_ms": latency.ttft_s,
        "tpot_ms": latency.tpot_s,
    }
    return {name: None if value is None else value * 1e3 for name, value in seconds.items()}
