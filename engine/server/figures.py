"""What an answer cost: its tokens, and on request its times on the engine's clock."""

from collections.abc import Iterable, Sequence

from ..protocol.served import RequestTimes
from .generation import Choice
from .schema.common import AnswerMetrics, PromptTokensDetails, Usage


def usage_of(choices: Sequence[Choice]) -> Usage:
    """Tokens so far. The prompt of several choices counts once."""
    firsts = {choice.prompt_index: choice for choice in reversed(choices)}
    prompt = sum(len(choice.prompt_tokens) for choice in firsts.values())
    completion = sum(choice.text.generated for choice in choices)
    cached = [choice.cached_prompt_tokens for choice in firsts.values()]
    known = [count for count in cached if count is not None]
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptTokensDetails(sum(known))
        if len(known) == len(cached)
        else None,
    )


def metrics_of(choices: Sequence[Choice]) -> AnswerMetrics:
    """The times of all choices together; missing where the engine told none of one.

    TTFT, ITL and E2E as everywhere here: docs/metrics.md. `tokens_per_second` is of all tokens
    over the time from admission to the last one.
    """
    times = [choice.times for choice in choices if choice.times is not None]
    known = times if len(times) == len(choices) else []
    arrival = _least(each.arrival_at_s for each in known)
    first = _least(each.first_token_at_s for each in known)
    last = _most(each.last_token_at_s for each in known)
    tokens = sum(choice.text.generated for choice in choices)
    scheduled = _least(each.scheduled_at_s for each in known)
    serving_s = _between(scheduled, last)
    return AnswerMetrics(
        time_to_first_token_ms=_ms(_between(arrival, first)),
        generation_time_ms=_ms(_between(first, last)),
        queue_time_ms=_ms(_most(_between(t.queued_at_s, t.scheduled_at_s) for t in known)),
        mean_itl_ms=_ms(_mean_gap_s(choices, known)),
        tokens_per_second=tokens / serving_s if serving_s else None,
        e2e_latency_ms=_ms(_between(arrival, last)),
    )


def _mean_gap_s(choices: Sequence[Choice], known: Sequence[RequestTimes]) -> float | None:
    """Between two tokens of one choice, over all such pairs."""
    gaps = sum(max(choice.text.generated - 1, 0) for choice in choices)
    spans = [_between(each.first_token_at_s, each.last_token_at_s) for each in known]
    total = [span for span in spans if span is not None]
    return sum(total) / gaps if gaps and total else None


def _between(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else end_s - start_s


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
