"""Windows, resets, ranks and percentiles of what a server counts."""

import math

import pytest
from engine_samples import GAPS_S, REQUEST_S, SGLANG, TTFT_S, hist, vllm_told
from exposition_writer import Buckets, Sample, Told, series
from prodtop.engine.attach.kept_scrapes import TIERS
from prodtop.engine.attach.server_reading import Ceilings, ServerReading
from prodtop.engine.protocol import Frame, Percentiles, Window

WALL_S = 1_790_000_000.0
TTFT = "vllm:time_to_first_token_seconds"


def body(**counts: float) -> bytes:
    """A small vLLM: `tokens`, `running`, and when it has `started`."""
    names = {
        "tokens": "vllm:generation_tokens_total",
        "running": "vllm:num_requests_running",
        "waiting": "vllm:num_requests_waiting",
        "started": "process_start_time_seconds",
        "hits": "vllm:prefix_cache_hits_total",
        "queries": "vllm:prefix_cache_queries_total",
    }
    lines = [series(names[name], {}, value) for name, value in counts.items()]
    return "\n".join(["vllm:num_requests_swapped 0", *lines, ""]).encode()


def take(reading: ServerReading, at_s: float, answer: bytes, wall_s: float | None = None) -> Frame:
    reading.take(answer, "text/plain", at_s, WALL_S + at_s if wall_s is None else wall_s, 0.01)
    frame = reading.frame(at_s, WALL_S + at_s)
    assert frame is not None
    return frame


def test_each_window_has_its_own_rate() -> None:
    """Ten tokens a second for four minutes, then a hundred for half a minute."""
    reading, tokens = ServerReading("u", "n"), 0.0
    frame = take(reading, 0.0, body(tokens=0.0))
    for at_s in range(1, 271):
        tokens += 10.0 if at_s <= 240 else 100.0
        frame = take(reading, float(at_s), body(tokens=tokens))
    rates = {window: each.decode_tok_s for window, each in frame.averages.items()}
    assert rates[Window.S10] == pytest.approx(100.0)
    assert rates[Window.M1] == pytest.approx(55.0)
    assert rates[Window.M5] == pytest.approx(tokens / 270)
    assert rates[Window.SESSION] == rates[Window.SWITCH] == pytest.approx(tokens / 270)
    assert frame.throughput.decode_tok_s == pytest.approx(100.0)
    assert frame.generated_tokens_total == tokens


def test_what_is_kept_is_bounded() -> None:
    reading = ServerReading("u", "n")
    for step in range(8_000):
        reading.take(body(tokens=step), "text/plain", step * 0.1, WALL_S, 0.01)
    session = reading._session
    assert session is not None
    kept = session._kept
    for tier, (span_s, step_s) in zip(kept.tiers, TIERS, strict=True):
        assert len(tier) <= span_s / step_s + 1
        assert tier[0].at_s >= 800.0 - span_s - 1
    frame = reading.frame(800.0, WALL_S)
    assert frame is not None
    assert frame.averages[Window.M5].decode_tok_s == pytest.approx(10.0)


def test_counters_that_fall_have_begun_anew() -> None:
    reading = ServerReading("u", "n")
    take(reading, 0.0, body(tokens=1000.0))
    take(reading, 1.0, body(tokens=1100.0))
    frame = take(reading, 2.0, body(tokens=50.0))
    assert frame.generated_tokens_total == 150
    assert frame.throughput.decode_tok_s == pytest.approx(75.0)


def test_a_restart_is_seen_where_no_counter_falls() -> None:
    """The new process has already counted more than the old one."""
    reading = ServerReading("u", "n")
    take(reading, 0.0, body(tokens=10.0, started=WALL_S - 100))
    frame = take(reading, 1.0, body(tokens=30.0, started=WALL_S + 0.5))
    assert frame.generated_tokens_total == 30
    assert reading.restarts == 1
    assert frame.uptime_s == pytest.approx(0.5)


def test_processes_behind_one_address_are_counted_each_by_itself() -> None:
    reading = ServerReading("u", "n")
    frame = take(reading, 0.0, body(tokens=1_000_000.0, started=WALL_S - 5_000))
    for at_s in range(1, 20):
        first, tokens = (5_000, 1e6) if at_s % 2 == 0 else (9_000, 7e6)
        answer = body(tokens=tokens + 10.0 * at_s, started=WALL_S - first)
        frame = take(reading, float(at_s), answer)
    assert frame.generated_tokens_total == 18 * 10 + 18 * 10
    assert frame.throughput.decode_tok_s == pytest.approx(20.0)


@pytest.mark.parametrize("skew_s", [-3600.0, -30.0, 0.0, 30.0, 3600.0])
def test_the_server_s_clock_may_be_wrong(skew_s: float) -> None:
    reading = ServerReading("u", "n")
    started = WALL_S - 100 + skew_s
    for at_s in range(4):
        frame = take(reading, float(at_s), body(tokens=10.0 * at_s, started=started))
        assert frame.uptime_s >= at_s
    assert frame.throughput.decode_tok_s == pytest.approx(10.0)
    assert frame.generated_tokens_total == 30


def test_after_a_gap_nothing_is_told_of_the_last_seconds_until_there_are_two_scrapes() -> None:
    reading = ServerReading("u", "n")
    take(reading, 0.0, body(tokens=0.0))
    take(reading, 1.0, body(tokens=10.0))
    frame = take(reading, 600.0, body(tokens=6_000.0))
    assert frame.throughput.decode_tok_s is None
    assert frame.averages[Window.S10].decode_tok_s is None
    assert frame.averages[Window.SESSION].decode_tok_s == pytest.approx(10.0)
    frame = take(reading, 601.0, body(tokens=6_100.0))
    assert frame.throughput.decode_tok_s == pytest.approx(100.0)


def test_answers_that_come_out_of_order_are_left() -> None:
    reading = ServerReading("u", "n")
    take(reading, 5.0, body(tokens=100.0))
    take(reading, 6.0, body(tokens=110.0))
    frame = take(reading, 5.5, body(tokens=105.0))
    assert frame.generated_tokens_total == 10


def test_ranks_are_added_up_and_their_usage_is_averaged() -> None:
    first, second = (vllm_told(engine=engine) for engine in "01")
    reading = ServerReading("u", "n")
    for at_s in range(3):
        both = [*first.lines(at_s), *second.lines(at_s)]
        frame = take(reading, float(at_s), "\n".join(both).encode())
    assert frame.attached is not None
    assert frame.attached.ranks == 2
    assert (frame.queue.running, frame.queue.waiting) == (12, 4)
    assert frame.cache.blocks is not None
    assert frame.cache.blocks.total == 2000
    assert frame.cache.blocks.running == 500
    assert frame.throughput.decode_tok_s == pytest.approx(2000.0)
    ttft = frame.latency[Window.SESSION].ttft
    assert ttft is not None
    assert ttft.count == 16
    assert ttft.mean_ms == pytest.approx(30.0)


def test_ranks_of_tensor_parallelism_tell_the_same() -> None:
    reading = ServerReading("u", "n")
    for at_s in range(3):
        lines = SGLANG.told.lines(at_s)
        stages = [line.replace('pp_rank="0"', 'pp_rank="1"') for line in lines]
        frame = take(reading, float(at_s), "\n".join([*stages, *lines]).encode())
    assert frame.queue.running == 6
    assert frame.throughput.decode_tok_s == pytest.approx(1000.0)
    assert frame.attached is not None
    assert frame.attached.ranks == 1


def latency_of(*ranks: Buckets, name: str = "ttft") -> Percentiles | None:
    told = Told(gauges=(Sample("vllm:num_requests_running", 1.0),), histograms=ranks)
    reading = ServerReading("u", "n")
    for at_s in range(3):
        frame = take(reading, float(at_s), told.body(at_s))
    found: Percentiles | None = getattr(frame.latency[Window.SESSION], name)
    return found


def test_percentiles_are_interpolated_as_prometheus_does() -> None:
    """0.5, 0.95, 0.99 of a hundred values: 60 up to 10 ms, 30 to 20 ms, 10 to 40 ms."""
    found = latency_of(Buckets(TTFT, (0.005, 0.01, 0.02, 0.04), (0, 60, 30, 10, 0), 0.012))
    assert found is not None
    assert found.p50_ms == pytest.approx(5 + 5 * 50 / 60)
    assert found.p95_ms == pytest.approx(20 + 20 * 5 / 10)
    assert found.p99_ms == pytest.approx(20 + 20 * 9 / 10)
    assert (found.below_ms, found.above_ms) == (None, None)


def test_what_is_in_the_first_bucket_is_below_its_bound() -> None:
    found = latency_of(hist("vllm:inter_token_latency_seconds", GAPS_S, 0, 0.003), name="itl")
    assert found is not None
    assert found.below_ms == found.p50_ms == found.p95_ms == found.p99_ms == 10.0
    assert found.mean_ms == pytest.approx(3.0)


def test_what_is_above_the_last_bound_is_at_least_that() -> None:
    found = latency_of(hist(TTFT, TTFT_S, len(TTFT_S), 3.0))
    assert found is not None
    assert found.above_ms == found.p50_ms == found.p99_ms == 250.0


def test_ranks_with_other_buckets_are_merged_over_the_bounds_of_both() -> None:
    first = Buckets(TTFT, (0.01, 0.02, 0.04), (10, 10, 0, 0), 0.01, {"engine": "0"})
    second = Buckets(TTFT, (0.01, 0.04), (0, 20, 0), 0.02, {"engine": "1"})
    found = latency_of(first, second)
    assert found is not None
    assert found.count == 80
    assert found.mean_ms == pytest.approx(15.0)
    assert found.p50_ms == pytest.approx(10 + 30 * 10 / 30)


def test_buckets_that_change_with_a_restart_leave_the_mean() -> None:
    reading = ServerReading("u", "n")
    old = Told(histograms=(Buckets(TTFT, (0.01, 0.02), (5, 5, 0), 0.01),))
    new = Told(histograms=(Buckets(TTFT, (0.03, 0.06), (5, 5, 0), 0.01),))
    take(reading, 0.0, old.body(0))
    take(reading, 1.0, old.body(1))
    take(reading, 2.0, new.body(-99))
    frame = take(reading, 3.0, new.body(-98))
    whole, recent = (frame.latency[window].ttft for window in (Window.SESSION, Window.S10))
    assert whole is not None
    assert whole.count == 30
    assert whole.p50_ms is None
    assert recent is not None


def test_counts_of_latencies_hold_what_was_counted() -> None:
    reading = ServerReading("u", "n")
    told = Told(
        histograms=(
            Buckets(TTFT, TTFT_S, (0, 1, 2, 3, 4, 3, 2, 1, 1, 1), 0.02),
            hist("vllm:e2e_request_latency_seconds", REQUEST_S, 6, 3.0),
        )
    )
    for at_s in range(20):
        frame = take(reading, float(at_s), told.body(at_s))
    counts = frame.latency_counts
    assert counts is not None
    assert (sum(counts.ttft), sum(counts.e2e), sum(counts.tpot)) == (19 * 18, 19 * 4, 0)


def test_utilization_needs_the_gpu_s_ceilings() -> None:
    reading = ServerReading("u", "n")
    told = Told(
        counters=(
            Sample("vllm:estimated_flops_per_gpu_total", 2e14),
            Sample("vllm:estimated_read_bytes_per_gpu_total", 2e12),
        )
    )
    for at_s in range(3):
        frame = take(reading, float(at_s), told.body(at_s))
    assert (frame.roofline.mbu, frame.roofline.mfu) == (None, None)
    reading.ceilings = Ceilings(flops_per_s=8e14, bytes_per_s=4e12)
    frame = take(reading, 3.0, told.body(3))
    assert frame.roofline.mbu == pytest.approx(0.5)
    assert frame.roofline.mfu == pytest.approx(0.25)
    assert frame.averages[Window.S10].mbu == pytest.approx(0.5)


def test_little_s_law_from_a_histogram_and_gauges() -> None:
    reading = ServerReading("u", "n")
    told = Told(
        gauges=(Sample("vllm:num_requests_running", 6.0), Sample("vllm:num_requests_waiting", 2.0)),
        histograms=(hist("vllm:e2e_request_latency_seconds", REQUEST_S, 6, 2.0),),
    )
    for at_s in range(12):
        frame = take(reading, float(at_s), told.body(at_s))
    assert frame.queue.mean_in_system == pytest.approx(8.0)
    assert frame.queue.arrival_rate_times_residence == pytest.approx(8.0)
    assert not frame.queue.unsteady


def test_hit_rates_are_of_the_window_and_not_of_all_time() -> None:
    reading = ServerReading("u", "n")
    take(reading, 0.0, body(hits=900.0, queries=1000.0))
    take(reading, 1.0, body(hits=900.0, queries=1100.0))
    frame = take(reading, 2.0, body(hits=950.0, queries=1200.0))
    assert frame.cache.rates[Window.S10].prefix == pytest.approx(0.25)


def test_usage_is_what_was_counted_over_the_window() -> None:
    reading = ServerReading("u", "n")
    for at_s in range(11):
        frame = take(reading, float(at_s), vllm_told().body(at_s))
    usage = frame.usage[Window.SESSION]
    assert (usage.requests, usage.prefill_tokens, usage.decode_tokens) == (40, 3000, 10_000)
    assert usage.cached_prompt_tokens == 2000
    assert usage.span_s == pytest.approx(10.0)
    assert usage.device_s == pytest.approx(10.0)
    assert usage.prefill_device_s == pytest.approx(10.0 * 3 / 13)


def test_time_in_which_nothing_ran_is_not_the_device_s() -> None:
    reading = ServerReading("u", "n")
    for at_s in range(11):
        frame = take(reading, float(at_s), body(tokens=0.0, running=0.0, waiting=0.0))
    assert frame.roofline.active == 0.0
    assert math.isclose(frame.uptime_s, 10.0)
