"""What drills make of answers and of scrapes, against plain counting."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.reading.exposition import MOST_BYTES
from prodtop.engine.readiness.counts import NO_SCRAPE, increase, label_values, read_scrape, total
from prodtop.engine.readiness.drills import batching_figures, load_figures, quantile
from prodtop.engine.readiness.http_client import Answer

BEFORE = b"""# HELP prodtop_steps_total steps
prodtop_steps_total 10
prodtop_step_rows_total 10
prodtop_guard_texts_total{guard="pii",outcome="pass"} 2
"""
AFTER = b"""prodtop_steps_total 20
prodtop_step_rows_total 35 1700000000
prodtop_prefix_cache_hit_tokens_total 64
prodtop_response_cache_tokens_total 8
prodtop_guard_texts_total{guard="pii",outcome="pass"} 3
prodtop_guard_texts_total{guard="pii",outcome="redact"} 1
prodtop_guard_texts_total{guard="a \\"b\\"",outcome="flag"} 4
broken{ 3
bad_value NaN
worse x
"""


def test_counters_are_summed_by_label_and_subtracted() -> None:
    before, after = read_scrape(BEFORE), read_scrape(AFTER)
    texts = "prodtop_guard_texts_total"
    assert total(after, texts) == 8
    assert total(after, texts, outcome="flag") == 4
    assert increase(before, after, texts, guard="pii") == 2
    assert increase(before, after, "none") is None
    assert label_values(after, texts, "guard") == {"pii", 'a "b"'}
    assert total(after, "bad_value") is None


def test_a_page_beyond_the_bounds_of_a_scrape_has_no_figures() -> None:
    scrape = read_scrape(AFTER + b"#" * MOST_BYTES)
    assert total(scrape, "prodtop_steps_total") is None


def test_batching_is_rows_by_step_and_caching_is_tokens_of_both_caches() -> None:
    figures = batching_figures(read_scrape(BEFORE), read_scrape(AFTER))
    assert figures == {"rows_per_step": 2.5, "cached_tokens": 72.0}
    assert batching_figures(NO_SCRAPE, NO_SCRAPE) == {}
    # No step was computed: nothing is known of batching.
    assert "rows_per_step" not in batching_figures(read_scrape(AFTER), read_scrape(AFTER))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=99), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_is_the_smallest_that_enough_do_not_exceed(
    samples: list[float], share: float
) -> None:
    found = quantile(samples, share)
    enough = math.ceil(round(share * 100) * len(samples) / 100)
    assert sum(each <= found for each in samples) >= enough
    assert sum(each < found for each in samples) < enough


def answer(status: int = 200, *, complete: bool = True, tokens: int = 5) -> Answer:
    return Answer(status, 10.0, 12.0, 11.0 if status == 200 else None, tokens, complete)


def test_a_load_is_counted_by_what_clients_got() -> None:
    answers = [answer(), answer(), answer(429), answer(complete=False)]
    assert load_figures(answers, 2.0) == {
        "requests": 4,
        "failed": 2,
        "refused": 1,
        "duration_s": 2.0,
        "failed_share": 0.5,
        "requests_per_s": 1.0,
        "output_tok_s": 5.0,
        "ttft_p95_ms": 1000.0,
        "e2e_p95_ms": 2000.0,
        "tpot_p95_ms": 250.0,
    }


def test_what_no_request_has_is_missing_and_not_zero() -> None:
    assert set(load_figures([], 2.0)) == {"requests", "failed", "refused", "duration_s"}
    assert "ttft_p95_ms" not in load_figures([answer(503)], 2.0)
