"""A server at a rate: the fewest requests in flight that keep up, and where nothing does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.planner.cost.hardware import known_gpus
from prodtop.engine.planner.serving_capacity.at_rate import at_rate, served_req_s
from prodtop.engine.planner.serving_capacity.capacity import Capacity, capacity
from prodtop.engine.planner.serving_capacity.server import Load, server
from prodtop.engine.shape.presets import preset

MOST = 64


def full(model: str = "llama-3.1-8b", requests: int = MOST) -> Capacity:
    load = Load(requests=requests, prompt_tokens=900, output_tokens=150)
    return capacity(server(preset(model), known_gpus()["h100-sxm"], 1, "bf16"), load)


FULL = full()


@given(st.floats(1e-6, 1.0))
def test_the_fewest_that_keep_up_are_in_flight(share: float) -> None:
    most = served_req_s(FULL)
    assert most is not None
    found = at_rate(FULL, most * share)
    assert found.at is not None
    fewest = found.at.load.requests
    assert 1 <= fewest <= MOST
    assert (served_req_s(found.at) or 0.0) >= found.rate_req_s
    if fewest > 1:
        fewer = capacity(FULL.server, replace(FULL.load, requests=fewest - 1))
        assert (served_req_s(fewer) or 0.0) < found.rate_req_s
    assert found.output_tok_s == pytest.approx(found.rate_req_s * 150)
    assert found.e2e_s is not None
    assert found.at.tpot_s is not None
    assert found.e2e_s == pytest.approx(found.at.ttft_s + 149 * found.at.tpot_s)


def test_more_than_it_takes_is_said_and_gets_no_latency() -> None:
    most = served_req_s(FULL)
    assert most is not None
    found = at_rate(FULL, most * 1.01)
    assert found.at is None
    assert found.e2e_s is None
    assert found.output_tok_s == FULL.tokens_s
    assert found.most_req_s == most


def test_a_model_that_does_not_fit_takes_nothing() -> None:
    found = at_rate(full("llama-3.1-70b"), 0.1)
    assert found.at is None
    assert found.most_req_s is None
    assert found.output_tok_s is None
