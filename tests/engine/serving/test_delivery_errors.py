"""A tokenizer that raises while it decodes: that request fails, and all else goes on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from engine_harness import CheckedEngine, model_of
from prodtop.engine.protocol import StrategyName
from prodtop.engine.serving.request import Status
from prodtop.engine.text.token_stream import TextStream

PROMPTS = ((5,), tuple(range(40, 57)), (7, 8, 9))


@dataclass
class FragileTokenizer:
    """Shows tokens as numbers; raises as soon as `breaks` says so of the tokens of a text."""

    breaks: Callable[[list[int]], bool]
    stream_breaks: bool = False

    def encode(self, text: str) -> list[int]:
        return [len(text)]

    def encode_chat(self, system: str, user: str) -> list[int]:
        return [len(user)]

    def decode(self, token_ids: list[int]) -> str:
        if self.breaks(token_ids):
            raise Exception("Invalid prefix\nencountered \x1b[2J")
        return "".join(f"#{token} " for token in token_ids)

    def stream(self) -> TextStream:
        if self.stream_breaks:
            raise RuntimeError
        return _Stream(self)


class _Stream:
    def __init__(self, tokenizer: FragileTokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []

    def push(self, token_id: int) -> str:
        self._tokens.append(token_id)
        return self._tokenizer.decode(self._tokens)[-len(f"#{token_id} ") :]

    def flush(self) -> str:
        self._tokenizer.decode(self._tokens)
        return ""


def serve(folder: Path, name: StrategyName, tokenizer: FragileTokenizer) -> CheckedEngine:
    return CheckedEngine(replace(model_of(folder), tokenizer=tokenizer), name)


@pytest.mark.parametrize("name", StrategyName)
@pytest.mark.parametrize("stop_strings", [(), ("never",)])
def test_one_request_fails_and_the_others_end_well(
    tiny_folder: Path, name: StrategyName, stop_strings: tuple[str, ...]
) -> None:
    steady = serve(tiny_folder, name, FragileTokenizer(lambda tokens: False))
    wanted = [steady.ask(prompt, 8, ignore_eos=True) for prompt in PROMPTS]
    steady.drain()
    broken = wanted[1].output_tokens[:5]

    served = serve(tiny_folder, name, FragileTokenizer(lambda tokens: tokens[:5] == broken))
    requests = [
        served.ask(prompt, 8, ignore_eos=True, stop_strings=stop_strings) for prompt in PROMPTS
    ]
    served.drain()
    statuses = [request.status for request in requests]
    assert statuses == [Status.FINISHED, Status.ABORTED, Status.FINISHED]
    for number in (0, 2):
        text = served.completions[requests[number].request_id].text
        assert text == steady.completions[wanted[number].request_id].text
    assert served.completions[requests[1].request_id].latency is None
    assert served.engine.metrics.accounting().failed == 1
    assert served.engine.exported.counted().by_reason["error"] == 1
    (note,) = served.engine.notes
    assert note.startswith("the tokenizer cannot decode a text (Invalid prefix encountered [2J)")


@pytest.mark.parametrize("name", StrategyName)
def test_a_stream_that_cannot_even_begin_fails_its_requests(
    tiny_folder: Path, name: StrategyName
) -> None:
    tokenizer = FragileTokenizer(lambda tokens: False, stream_breaks=True)
    served = serve(tiny_folder, name, tokenizer)
    requests = [served.ask(prompt, 4, ignore_eos=True) for prompt in PROMPTS]
    served.drain()
    expected = Status.ABORTED if served.engine.strategy.stream else Status.FINISHED
    assert {request.status for request in requests} == {expected}
    assert len(served.engine.notes) == (expected is Status.ABORTED)


def test_a_switch_to_streaming_survives_a_text_that_cannot_be_decoded(tiny_folder: Path) -> None:
    served = serve(tiny_folder, StrategyName.CONTINUOUS, FragileTokenizer(lambda t: len(t) >= 2))
    request = served.ask(PROMPTS[0], 9, ignore_eos=True)
    for _ in range(4):
        served.step()
    served.engine.set_strategy(StrategyName.STREAMING)
    served.drain()
    assert request.status is Status.ABORTED
