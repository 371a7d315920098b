"""guidellm and aiperf over HTTP: what they measure is what the server says of itself.

`benchmarks/client_agreement.py` prints the exact figures; docs/serve.md has them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from client_agreement import MEANS, RUNS, Work, compare, warm_up
from client_scripts import program_of
from serve_process import serving_process

WORK = Work(requests=12, prompt_tokens=384, output_tokens=64, concurrency=4)
SLACK = 0.1
"""Of a machine that does other work meanwhile, some of it the client's own."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_process("--precision", "fp32") as url:
        warm_up(url, WORK)
        yield url


@pytest.mark.parametrize("run", RUNS)
def test_a_client_measures_what_the_server_does(
    request: pytest.FixtureRequest, tmp_path: Path, run: str
) -> None:
    client = run.partition(" ")[0]
    program_of(client, client)
    found = compare(run, request.getfixturevalue("url"), WORK, tmp_path)
    assert found.theirs.counts == found.ours.counts
    assert found.ours.requests == WORK.requests
    assert found.ours.output_tokens == WORK.requests * WORK.output_tokens
    differences = {name: found.difference(name) for name in MEANS}
    assert all(abs(each) < SLACK for each in differences.values()), differences
