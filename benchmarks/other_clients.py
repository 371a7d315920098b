"""guidellm and aiperf as `make test` installs them, each with a load of its own on one server.

Both call inter-token latency what is TPOT in prodtop's words: from the first piece of an answer to
the last, over the tokens but one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path

import msgspec
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol import Distribution
from served_figures import Figures

CLIENTS = Path(sys.prefix) / "clients"
MOST_S = 300.0
CONSTANT = "1e6"
"""A burstiness of which the gaps between arrivals are all the same."""


@dataclass(frozen=True)
class Work:
    """The load: so many requests, `concurrency` of them at a time, or at a constant rate."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    concurrency: int
    seed: int = 7
    """Of the prompts: those of another run must be others, or they come from the prefix cache."""
    rate_per_s: float | None = None
    model: str = "bundled"


def run_prodtop(url: str, work: Work, folder: Path) -> Figures:
    """A run of `prodtop bench --url`: completions of prompts that are all others."""
    pace = ["--concurrency", str(work.concurrency)]
    if work.rate_per_s is not None:
        pace = ["--rate", str(work.rate_per_s), "--burstiness", CONSTANT]
    report = folder / "prodtop.jsonl"
    _run(
        [Path(sys.prefix) / "bin" / "prodtop"],
        [
            "bench",
            "--url", url,
            *pace,
            "--requests", str(work.requests),
            "--warmup", "0",
            "--prompt-tokens", str(work.prompt_tokens),
            "--output-tokens", str(work.output_tokens),
            "--ignore-eos",
            "--zipf", "0",
            # The others do not say one: a server takes 1 then.
            "--temperature", "1",
            "--seed", str(work.seed),
            "--out", str(report),
        ],
        folder,
        {},
    )  # fmt: skip
    result = msgspec.json.decode(report.read_bytes().splitlines()[0], type=_Cell)
    return Figures(
        requests=result.requests,
        prompt_tokens=result.prompt_tokens,
        output_tokens=result.output_tokens,
        ttft_ms=result.ttft_ms.mean,
        itl_ms=result.tpot_ms.mean,
        e2e_ms=result.e2e_ms.mean,
        output_tok_s=result.output_tok_s,
    )


class _Cell(msgspec.Struct):
    """What of a result is compared."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    ttft_ms: Distribution
    tpot_ms: Distribution
    e2e_ms: Distribution
    output_tok_s: float


def run_guidellm(url: str, work: Work, folder: Path, *, path: str) -> Figures:
    """A run of guidellm's on `path`."""
    report = folder / "guidellm.json"
    profile = f"kind=concurrent,streams={work.concurrency}"
    if work.rate_per_s is not None:
        profile = f"kind=constant,rate={work.rate_per_s}"
    lengths = f"prompt_tokens={work.prompt_tokens},output_tokens={work.output_tokens}"
    _run(
        _of("guidellm"),
        [
            "run",
            "--backend", f"kind=openai_http,target={url},model={work.model},request_format={path}",
            "--profile", profile,
            "--constraint", f"kind=max_requests,count={work.requests}",
            "--tokenizer", f"kind=huggingface_auto,model={BUNDLED_FOLDER}",
            "--data", f"kind=synthetic_text,{lengths}",
            "--seed", f"kind=static,value={work.seed}",
            "--output", f"kind=json,path={report}",
            "--disable-console",
        ],
        folder,
        {"HF_HUB_OFFLINE": "1", "GUIDELLM__MAX_WORKER_PROCESSES": "1"},
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
    pace = ["--concurrency", str(work.concurrency)]
    if work.rate_per_s is not None:
        pace = ["--request-rate", str(work.rate_per_s), "--arrival-pattern", "constant"]
    _run(
        _of("aiperf"),
        [
            "profile",
            "--model", work.model,
            "--url", url,
            "--endpoint-type", endpoint,
            "--streaming",
            # What the server says of its tokens: counting a text again may give others.
            "--use-server-token-count",
            "--tokenizer", str(BUNDLED_FOLDER),
            *pace,
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


def _of(client: str) -> list[Path]:
    """The program of a client."""
    return [CLIENTS / client / "bin" / client]


def _run(
    program: Sequence[Path], arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> None:
    done = subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "hub"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MOST_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program[0].name} ended with {done.returncode}: {done.stdout[-3000:]}")


RUNS: dict[str, Callable[[str, Work, Path], Figures]] = {
    "guidellm chat": partial(run_guidellm, path="/v1/chat/completions"),
    "aiperf chat": partial(run_aiperf, endpoint="chat"),
    "aiperf completions": partial(run_aiperf, endpoint="completions"),
}


def version_of(run: str) -> str:
    """The client's name with its version."""
    client = run.partition(" ")[0]
    folders = [str(each) for each in (CLIENTS / client / "lib").glob("python*/site-packages")]
    (found,) = distributions(name=client, path=folders)
    return f"{client} {found.version}"
