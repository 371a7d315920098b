"""Requests through a real server to a real worker, and what happens when one of them dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoints import TinyShape, write_checkpoint, write_tokenizer
from linked_engine import LinkedEngine
from prodtop.engine.protocol import LoadSpec
from prodtop.engine.protocol.options import WorkerOptions


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> WorkerOptions:
    folder: Path = tmp_path_factory.mktemp("tiny")
    write_checkpoint(folder, TinyShape(context_tokens=4096))
    write_tokenizer(folder)
    return WorkerOptions(
        model=str(folder), device="cpu", threads=1, max_seqs=8, load=LoadSpec(paused=True)
    )


@pytest.fixture(scope="module")
def engine(options: WorkerOptions) -> Iterator[LinkedEngine]:
    with LinkedEngine(options) as linked:
        linked.until_serving()
        yield linked


def test_a_request_comes_back_with_tokens(engine: LinkedEngine) -> None:
    outputs = list(engine.generate(max_tokens=8).begun())
    tokens = [token for output in outputs for token in output.get("token_ids", [])]
    assert len(tokens) == 8
    last = outputs[-1]
    assert last["finish_reason"] == "length"
    times = last["times"]
    assert times["arrival_at_s"] <= times["queued_at_s"] <= times["scheduled_at_s"]
    assert times["first_token_at_s"] < times["last_token_at_s"]
    assert engine.get("/in_flight") == [0, 0]
