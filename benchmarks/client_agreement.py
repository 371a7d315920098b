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
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory

from prodtop.engine.model.loading import BUNDLED_FOLDER
from serve_process import serving_process
from served_figures import Figures, Watch

CLIENTS = Path(sys.prefix) / "clients"
MOST_S = 300.0


@dataclass(frozen=True)
class Work:
    """The load: so many requests, `concurrency` of them at a time."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    concurrency: int
    seed: int = 7
    """Of the prompts: those of another run must be others, or they come from the prefix cache."""


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


def run_guidellm(url: str, work: Work, folder: Path) -> Figures:
    """A run of guidellm's: chats."""
    report = folder / "guidellm.json"
    lengths = f"prompt_tokens={work.prompt_tokens},output_tokens={work.output_tokens}"
    _run(
        "guidellm",
        [
            "run",
            "--backend", f"kind=openai_http,target={url},model=bundled",
            "--profile", f"kind=concurrent,streams={work.concurrency}",
            "--constraint", f"kind=max_requests,count={work.requests}",
            "--tokenizer", f"kind=huggingface_auto,model={BUNDLED_FOLDER}",
            "--data", f"kind=synthetic_text,{lengths}",
            "--seed", f"kind=static,value={work.seed}",
            "--output", f"kind=json,path={report}",
            "--disable-console",
        ],
        folder,
        {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    (run,) = json.loads(report.read_text())["benchmarks"]
    metrics = run["metrics"]

    def of(name: str, statistic: str = "mean") -> float:
        value: float = metrics[name]["successful"][statistic]
        return value

    return Figures(
        requests=metrics["request_totals"]["total"],
        prompt_tokens=round(of("prompt_token_count", "total_sum")),
        output_tokens=round(of("output_token_count", "total_sum")),
        ttft_ms=of("time_to_first_token_ms"),
        itl_ms=of("inter_token_latency_ms"),
        e2e_ms=1e3 * of("request_latency"),
        output_tok_s=of("output_tokens_per_second"),
    )


def run_aiperf(url: str, work: Work, folder: Path, *, endpoint: str) -> Figures:
    """A run of aiperf's; `endpoint` is `chat` or `completions`."""
    _run(
        "aiperf",
        [
            "profile",
            "--model", "bundled",
            "--url", url,
            "--endpoint-type", endpoint,
            "--streaming",
            # What the server says of its tokens: counting a text again may give others.
            "--use-server-token-count",
            "--tokenizer", str(BUNDLED_FOLDER),
            "--concurrency", str(work.concurrency),
            "--request-count", str(work.requests),
            "--synthetic-input-tokens-mean", str(work.prompt_tokens),
            "--output-tokens-mean", str(work.output_tokens),
            "--extra-inputs", "ignore_eos:true",
            "--random-seed", str(work.seed),
            "--ui", "none",
            "--artifact-dir", str(folder),
            "--no-gpu-telemetry",
            "--no-server-metrics",
        ],
        folder,
        {},
    )  # fmt: skip
    report = json.loads((folder / "profile_export_aiperf.json").read_text())

    def of(name: str) -> float:
        value: float = report[name]["avg"]
        return value

    return Figures(
        requests=round(of("completed_request_count")),
        prompt_tokens=round(of("total_usage_prompt_tokens")),
        output_tokens=round(of("total_usage_completion_tokens")),
        ttft_ms=of("time_to_first_token"),
        itl_ms=of("inter_token_latency"),
        e2e_ms=of("request_latency"),
        output_tok_s=of("output_token_throughput"),
    )


def _run(
    client: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> None:
    done = subprocess.run(
        [CLIENTS / client / "bin" / client, *arguments],
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "hub"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MOST_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{client} ended with {done.returncode}: {done.stdout[-3000:]}")


RUNS: dict[str, Callable[[str, Work, Path], Figures]] = {
    "guidellm chat": run_guidellm,
    "aiperf chat": partial(run_aiperf, endpoint="chat"),
    "aiperf completions": partial(run_aiperf, endpoint="completions"),
}


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


def version_of(run: str) -> str:
    """The client's name with its version."""
    client = run.partition(" ")[0]
    folders = [str(each) for each in (CLIENTS / client / "lib").glob("python*/site-packages")]
    (found,) = distributions(name=client, path=folders)
    return f"{client} {found.version}"


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
