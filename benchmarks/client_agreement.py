"""What guidellm and aiperf measure of `prodtop serve`, beside what the server says of itself.

    python benchmarks/client_agreement.py [--requests 24] [--prompt-tokens 512]
        [--output-tokens 96] [--concurrency 4] [--json]

Each client sends its own load to one server of the bundled model (fp32, one thread, so that the
clients have a core), streaming, with a fixed seed. Its figures are means over the requests; ours
are the sums of the histograms at `/metrics` divided by their counts, before and after. Requests
and tokens must be the same in number. The clients are those of `.venv/clients` (`make test`).
"""

import argparse
import json
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from other_clients import MOST_S, RUNS, Work, version_of
from serve_process import serving_process
from served_figures import Figures, Watch

MEANS = {
    "ttft_ms": "TTFT, ms",
    "itl_ms": "ITL, ms",
    "e2e_ms": "end to end, ms",
    "output_tok_s": "output, tok/s",
}
"""Their fields, and what they are called."""


@dataclass(frozen=True)
class Agreement:
    """One run from both sides."""

    client: str
    theirs: Figures
    ours: Figures

    def difference(self, name: str) -> float:
        """Of a mean: theirs above ours, as a part of ours."""
        ours: float = getattr(self.ours, name)
        theirs: float = getattr(self.theirs, name)
        return theirs / ours - 1


def warm_up(url: str, work: Work) -> None:
    """Send what is slow the first time alone: a request of each kind, as many as run at once."""
    for path in ("chat/completions", "completions"):
        asked: dict[str, object] = {"messages": [{"role": "user", "content": "Hello"}]}
        if path == "completions":
            asked = {"prompt": ["Hello"] * work.concurrency}
        body = json.dumps({"max_tokens": 16, "ignore_eos": True, **asked}).encode()
        with urllib.request.urlopen(f"{url}/v1/{path}", body, MOST_S) as answer:
            answer.read()


def compare(run: str, url: str, work: Work, folder: Path) -> Agreement:
    """One of `RUNS` against the server at `url`; what a client leaves behind goes to `folder`."""
    with Watch(url) as watch:
        theirs = RUNS[run](url, work, folder)
    return Agreement(run, theirs, watch.figures())


def table(agreements: Sequence[Agreement]) -> str:
    """As Markdown: a mean as theirs / ours, and how far theirs is above ours."""
    head = ["client", "requests", "prompt tokens", "output tokens", *MEANS.values()]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for each in agreements:
        counts = [
            f"{theirs:,} / {ours:,}"
            for theirs, ours in zip(each.theirs.counts, each.ours.counts, strict=True)
        ]
        means = [
            f"{getattr(each.theirs, name):.2f} / {getattr(each.ours, name):.2f}"
            f" ({100 * each.difference(name):+.1f} %)"
            for name in MEANS
        ]
        lines.append(f"| {each.client} | {' | '.join([*counts, *means])} |")
    return "\n".join(lines)


def main() -> None:
    """Serve, run every client, and print what both sides say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=24)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--output-tokens", type=int, default=96)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    work = Work(given.requests, given.prompt_tokens, given.output_tokens, given.concurrency)
    agreements = []
    with serving_process("--precision", "fp32") as url, TemporaryDirectory() as name:
        warm_up(url, work)
        for run in RUNS:
            folder = Path(name) / run.replace(" ", "-")
            folder.mkdir()
            agreements.append(compare(run, url, work, folder))
    if given.json:
        print(json.dumps([asdict(each) for each in agreements], indent=2))
    else:
        print(", ".join(sorted({version_of(run) for run in RUNS})), end="\n\n")
        print(table(agreements))


if __name__ == "__main__":
    main()
