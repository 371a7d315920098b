"""`prodtop bench --url` beside guidellm and aiperf on the same server, with the same load.

    python benchmarks/generator_agreement.py --server mock|serve|URL [--rounds 3]
        [--requests 24] [--prompt-tokens 256] [--output-tokens 64] [--concurrency 4] [--rate 3]

Each load (a fixed concurrency, a constant rate) is sent by each client in turn, `--rounds` times;
medians over the rounds of their means are compared, ours against each of theirs. `mock` is
guidellm's mock server, which answers by the clock (first token after 60 ms, others every 12 ms):
only the clients differ. It needs `sanic`, which guidellm does not bring: `pip install --target
FOLDER sanic`, and `PYTHONPATH=FOLDER`. `serve` is `prodtop serve` of the bundled model, without a
prefix cache, on one thread. Prompts have the wanted length by the server's count, within some
tokens.
"""

import argparse
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory

from other_clients import CLIENTS, Work, run_aiperf, run_guidellm, run_prodtop, version_of
from serve_process import serving_process
from served_figures import Figures, scrape

OURS = "prodtop"
CLIENTS_BY_NAME: Mapping[str, Callable[[str, Work, Path], Figures]] = {
    OURS: run_prodtop,
    "guidellm": partial(run_guidellm, path="/v1/completions"),
    "aiperf": partial(run_aiperf, endpoint="completions"),
}
MEANS = {"ttft_ms": "TTFT, ms", "itl_ms": "TPOT, ms", "e2e_ms": "E2E, ms"}
SERVED = {
    "ttft_ms": "prodtop_time_to_first_token_seconds",
    "itl_ms": "prodtop_time_per_output_token_seconds",
    "e2e_ms": "prodtop_request_duration_seconds",
}
MOCK_TTFT_MS, MOCK_GAP_MS = 60.0, 12.0
START_S = 60.0


@contextmanager
def mock_server(port: int) -> Iterator[str]:
    """guidellm's mock server; gives its URL."""
    program, url = CLIENTS / "guidellm" / "bin" / "guidellm", f"http://127.0.0.1:{port}"
    pace = [f"--ttft-ms={MOCK_TTFT_MS}", f"--itl-ms={MOCK_GAP_MS}", "--model=mock"]
    command = [str(program), "mock-server", "--host=127.0.0.1", f"--port={port}", *pace]
    with Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL) as running:
        try:
            _wait_for(f"{url}/v1/models", running)
            yield url
        finally:
            running.terminate()


def _wait_for(url: str, running: "Popen[bytes]") -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=START_S):
                return
        except urllib.error.URLError:
            if running.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"{url} does not answer") from None
            time.sleep(0.1)


@dataclass(frozen=True)
class Round:
    """What a client measured, and the means of `prodtop serve` itself of the same requests."""

    client: Figures
    server: Mapping[str, float]


Found = Mapping[str, list[Round]]


def measure(url: str, work: Work, folder: Path, rounds: int) -> Found:
    """What each client measures, round by round; no round has the prompts of another."""
    found: dict[str, list[Round]] = {name: [] for name in CLIENTS_BY_NAME}
    for turn in range(rounds):
        for name, run in CLIENTS_BY_NAME.items():
            place = folder / f"{name}-{turn}-{work.rate_per_s}"
            place.mkdir()
            before = _counted(url)
            figures = run(url, replace(work, seed=work.seed + turn), place)
            found[name].append(Round(figures, _means(before, _counted(url), figures)))
    return found


def _counted(url: str) -> dict[str, float]:
    try:
        return scrape(url)
    except urllib.error.HTTPError:
        return {}


def _means(
    before: Mapping[str, float], after: Mapping[str, float], client: Figures
) -> dict[str, float]:
    """Of the requests meanwhile; none of TTFT and E2E for ours, whose generator has its prompts
    counted first, by requests of one token."""
    means = {}
    for name, family in SERVED.items():
        total, count = (
            after.get(f"{family}_{part}", 0.0) - before.get(f"{family}_{part}", 0.0)
            for part in ("sum", "count")
        )
        if count == client.requests:
            means[name] = 1e3 * total / count
    return means


def median(found: Sequence[Round], name: str) -> float:
    """Of one figure of a client over the rounds."""
    median: float = statistics.median(getattr(each.client, name) for each in found)
    return median


def beside_server(found: Sequence[Round], name: str) -> float | None:
    """The median over the rounds of a client's mean above the server's own of the same requests."""
    beside = [
        getattr(each.client, name) / each.server[name] - 1 for each in found if name in each.server
    ]
    return statistics.median(beside) if beside else None


def difference(found: Found, client: str, name: str) -> float:
    """Of a mean: ours above theirs, as a part of theirs."""
    return median(found[OURS], name) / median(found[client], name) - 1


def table(found: Found) -> str:
    """As Markdown: counts of a round, medians, and how far ours are above theirs; and how far a
    client's are above the server's own."""
    head = ["client", "requests", "prompt tokens", "output tokens", *MEANS.values()]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for client, rounds in found.items():
        counts = [
            " ".join(sorted({f"{each.client.counts[place]:,}" for each in rounds}))
            for place in range(3)
        ]
        means = [_cell(found, client, name) for name in MEANS]
        lines.append(f"| {client} | {' | '.join([*counts, *means])} |")
    return "\n".join(lines)


def _cell(found: Found, client: str, name: str) -> str:
    words = f"{median(found[client], name):.2f}"
    if client != OURS:
        words += f" ({100 * difference(found, client, name):+.1f} %)"
    beside = beside_server(found[client], name)
    return words if beside is None else f"{words}, server {100 * beside:+.1f} %"


def main() -> None:
    """Serve, send each load by each client, and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--model", default="mock")
    parser.add_argument("--port", type=int, default=8484)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=24)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--output-tokens", type=int, default=64)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--rate", type=float, default=3.0)
    given = parser.parse_args()
    work = Work(given.requests, given.prompt_tokens, given.output_tokens, given.concurrency)
    work = replace(work, model="bundled" if given.server == "serve" else given.model)
    with ExitStack() as stack:
        url = given.server
        if url == "serve":
            options = ("--precision", "fp32", "--strategy", "streaming")
            url = stack.enter_context(serving_process(*options))
        elif url == "mock":
            url = stack.enter_context(mock_server(given.port))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        print(f"{version_of('guidellm')}, {version_of('aiperf')}")
        loads = {
            f"{work.concurrency} at a time": work,
            f"{given.rate:g} a second": replace(work, rate_per_s=given.rate),
        }
        for name, load in loads.items():
            print(f"\n{name}:\n\n{table(measure(url, load, folder, given.rounds))}", flush=True)


if __name__ == "__main__":
    main()
