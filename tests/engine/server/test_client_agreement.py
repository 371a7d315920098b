"""guidellm and aiperf over HTTP: what they measure is what the server says of itself.

`benchmarks/client_agreement.py` prints the exact figures; docs/serve.md has them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from client_agreement import MEANS, Agreement, compare, warm_up
from client_scripts import program_of
from other_clients import Work
from serve_process import serving_process

WORK = Work(requests=8, prompt_tokens=256, output_tokens=64, concurrency=4)
CLIENTS = ("guidellm chat", "aiperf completions")
"""A run of each; the benchmark has all."""
SLACK = {"ttft_ms": 0.2, "itl_ms": 0.03, "e2e_ms": 0.03, "output_tok_s": 0.2}
"""A first token's time and the time of all are short, and the client's own starting and ending is
in them."""
ATTEMPTS = 3
"""What is wrong with the server is wrong every time; a client that lost the processor is not. What
the server itself counts has to be right in each."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_process("--precision", "fp32") as url:
        warm_up(url, WORK)
        yield url


@pytest.mark.parametrize("run", CLIENTS)
def test_a_client_measures_what_the_server_does(
    request: pytest.FixtureRequest, tmp_path: Path, run: str
) -> None:
    client = run.partition(" ")[0]
    program_of(client, client)
    url, found = request.getfixturevalue("url"), []
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        found.append(compare(run, url, replace(WORK, seed=attempt), folder))
        ours = found[-1].ours
        assert ours.requests == WORK.requests
        assert ours.output_tokens == WORK.requests * WORK.output_tokens
        if agrees(found[-1]):
            return
    pytest.fail("\n".join(map(str, found)))


def agrees(found: Agreement) -> bool:
    close = all(abs(found.difference(name)) < SLACK[name] for name in MEANS)
    return found.theirs.counts == found.ours.counts and close
