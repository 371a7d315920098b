"""When the tokens of a request end it."""

import pytest
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.stopping import ends_with_stop_token, stop_reason

EOS, OTHER_EOS = 2, 3


def request_with(output: list[int], *, max_tokens: int = 10, ignore_eos: bool = False) -> Request:
    """A request with a prompt of three tokens (one of them a stop token) and this output."""
    return Request(
        request_id=0,
        prompt_tokens=[7, 8, EOS],
        max_tokens=max_tokens,
        sampling=Sampling(),
        arrival_at_s=0.0,
        stop_token_ids=frozenset({EOS, OTHER_EOS}),
        ignore_eos=ignore_eos,
        tokens=[7, 8, EOS, *output],
    )


@pytest.mark.parametrize("token", [EOS, OTHER_EOS])
def test_any_stop_token_stops(token: int) -> None:
    request = request_with([50, token])
    assert stop_reason(request, 100) == "stop"
    assert ends_with_stop_token(request)
    assert request.num_output_tokens == 2, "it counts as generated"


def test_a_stop_token_can_be_ignored() -> None:
    request = request_with([50, EOS], ignore_eos=True)
    assert stop_reason(request, 100) is None
    assert not ends_with_stop_token(request)


def test_a_stop_token_in_the_prompt_is_none() -> None:
    assert not ends_with_stop_token(request_with([]))
    assert stop_reason(request_with([50]), 100) is None


def test_max_tokens_stops() -> None:
    assert stop_reason(request_with([50, 51], max_tokens=3), 100) is None
    assert stop_reason(request_with([50, 51, 52], max_tokens=3), 100) == "length"


def test_a_full_context_stops() -> None:
    assert stop_reason(request_with([50]), 5) is None
    assert stop_reason(request_with([50, 51]), 5) == "length"


def test_a_stop_token_at_the_last_place_is_a_stop() -> None:
    assert stop_reason(request_with([50, EOS], max_tokens=2), 5) == "stop"
