"""A load over HTTP for minutes: is every token accounted for, is memory flat, what does HTTP cost?

    python benchmarks/serve_load.py [--streams 500] [--client-processes 1] [--seconds 300]
        [--warm-up-seconds 0] [--prompt-tokens 32] [--output-tokens 64] [--temperature 0]
        [--stop-share 0] [--leave-share 0] [--compare] [--url URL]
        [--json FILE] [-- OPTIONS OF prodtop serve]

Starts `prodtop serve` with the options after `--`, unless `--url` names a server that runs, which
may be any with vLLM's metrics. Each of the streams is a client with one request at a time; they are
spread over client processes. At the end all answers are read, and what the clients counted is
compared with `/metrics`. `--compare` measures the same load without HTTP too: `prodtop bench` with
as many requests in the system. The last line is short; all figures go to the file.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from client_processes import Counted, clients
from serve_client import Tally, Work

SAMPLE_S = 2.0
SETTLED = 1 / 3
"""Of the samples of memory the first third is of warming up."""
PERCENTILES = (50, 95, 99)
PRODTOP = [sys.executable, "-m", "prodtop.tui.commands.main"]
_SERVING = re.compile(r" at (http://\S+)/v1")


@contextmanager
def server(options: Sequence[str]) -> Iterator[str]:
    """Start a server; gives its URL."""
    command = [*PRODTOP, "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = _SERVING.search(line)
            if found is None:
                sys.exit(f"no server: {line}")
            print(line, end="", flush=True)
            yield found[1]
        finally:
            process.terminate()


def children() -> dict[str, psutil.Process]:
    """The server and the worker that this process's server runs, by name."""
    found = {}
    for each in psutil.Process().children(recursive=True):
        for name in ("server", "worker"):
            if f"prodtop.engine.{name}" in each.cmdline():
                found[name] = each
    return found


def scrape(url: str, key: str | None) -> dict[str, float]:
    """`/metrics`, the values of one name added up."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    values: dict[str, float] = {}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/metrics", headers=headers)) as page:
        for line in page.read().decode().splitlines():
            if not line.startswith("#") and "_bucket" not in line:
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
                bare = name.partition("{")[0]
                if bare != name:
                    values[bare] = values.get(bare, 0.0) + float(value)
    return values


def sample(
    processes: dict[str, psutil.Process],
    samples: list[dict[str, float]],
    began_s: float,
    ended: threading.Event,
) -> None:
    """Note memory and CPU time of both processes, again and again."""
    while True:
        row = {"at_s": time.perf_counter() - began_s}
        for name, each in processes.items():
            times = each.cpu_times()
            row[f"{name}_mib"] = each.memory_info().rss / 2**20
            row[f"{name}_user_cpu_s"], row[f"{name}_system_cpu_s"] = times.user, times.system
        samples.append(row)
        if ended.wait(SAMPLE_S):
            return


@contextmanager
def sampled(samples: list[dict[str, float]]) -> Iterator[None]:
    """Take samples of the server that this process started, if it did."""
    ended = threading.Event()
    given = (children(), samples, time.perf_counter(), ended)
    thread = threading.Thread(target=sample, args=given)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Load:
    """How many ask, from how many processes, and for how long. Of `seconds` the first
    `warm_up_s` are not measured."""

    streams: int
    processes: int
    seconds: float
    warm_up_s: float
    work: Work


@dataclass(frozen=True, slots=True)
class Driven:
    """What was counted; `took_s` is to the last answer. `measured_tok_s` is the server's count of
    output tokens a second between warming up and the end of asking."""

    counted: list[Counted]
    took_s: float
    measured_tok_s: float
    samples: list[dict[str, float]]

    @property
    def tally(self) -> Tally:
        return Tally.of([each.tally for each in self.counted])


def drive(url: str, load: Load) -> Driven:
    """Run the load."""
    samples: list[dict[str, float]] = []

    def tokens_at() -> tuple[float, float]:
        began_s = time.perf_counter()
        tokens = scrape(url, load.work.key)["vllm:generation_tokens_total"]
        return tokens, (began_s + time.perf_counter()) / 2

    with clients(url, load.streams, load.processes, load.work) as asking, sampled(samples):
        began_s = time.perf_counter()
        time.sleep(load.warm_up_s)
        asking.measure()
        first, first_at_s = tokens_at()
        time.sleep(max(0.0, load.seconds - load.warm_up_s))
        last, last_at_s = tokens_at()
        counted = asking.end()
        took_s = time.perf_counter() - began_s
    return Driven(counted, took_s, (last - first) / (last_at_s - first_at_s), samples)


def percentiles_ms(values_s: Sequence[float]) -> dict[str, float]:
    """Mean and percentiles, in milliseconds."""
    if len(values_s) < 2:
        return {}
    cuts = statistics.quantiles(values_s, n=100)
    shown = {f"p{each}": round(cuts[each - 1] * 1e3, 2) for each in PERCENTILES}
    return {"mean": round(statistics.fmean(values_s) * 1e3, 2), **shown}


def memory(samples: Sequence[dict[str, float]], name: str) -> dict[str, float]:
    """MiB after warming up, at the end, and how many more each minute (least squares)."""
    rows = [row for row in samples if f"{name}_mib" in row][int(len(samples) * SETTLED) :]
    if len(rows) < 3:
        return {}
    at_min, mib = [row["at_s"] / 60 for row in rows], [row[f"{name}_mib"] for row in rows]
    slope = statistics.linear_regression(at_min, mib).slope
    return {
        "settled_mib": round(mib[0], 1),
        "end_mib": round(mib[-1], 1),
        "most_mib": round(max(mib), 1),
        "mib_per_min": round(slope, 2),
    }


def report(driven: Driven, before: dict[str, float], after: dict[str, float]) -> dict[str, object]:
    """All figures, the server's own being those that came since `before`. What a server does not
    count is None."""
    tally, took_s, samples = driven.tally, driven.took_s, driven.samples

    def grown(name: str) -> float | None:
        return after[name] - before.get(name, 0.0) if name in after else None

    served = {
        "generation_tokens": grown("vllm:generation_tokens_total"),
        "answers_tokens": grown("vllm:request_generation_tokens_sum"),
        "prompt_tokens": grown("vllm:prompt_tokens_total"),
        "submitted": grown("prodtop_requests_submitted_total"),
        "ended": grown("prodtop_requests_ended_total"),
        "refused": grown("prodtop_requests_refused_total"),
        "client_aborts": grown("prodtop_http_client_aborts_total"),
        "still_running": after.get("vllm:num_requests_running"),
        "still_waiting": after.get("vllm:num_requests_waiting"),
        "kv_usage": after.get("vllm:kv_cache_usage_perc"),
    }
    generated = served["generation_tokens"] or 0.0
    per_token_us = {}
    if len(samples) > 1 and generated:
        first, last = samples[0], samples[-1]
        for key in sorted(last):
            if key.endswith("_cpu_s"):
                used_s = last[key] - first[key]
                per_token_us[key.removesuffix("_cpu_s")] = round(used_s / generated * 1e6, 1)
    return {
        "seconds": round(took_s, 1),
        "statuses": dict(tally.statuses),
        "errors": dict(tally.errors),
        "clients": {
            "finished": tally.finished,
            "left": tally.left,
            "prompt_tokens": tally.prompt_tokens,
            "output_tokens": tally.output_tokens,
        },
        "server": served,
        "output_tok_s": round(generated / took_s, 1),
        "measured_tok_s": round(driven.measured_tok_s, 1),
        "busiest_client_share_of_a_core": round(max(e.cpu_share for e in driven.counted), 2),
        "ttft_ms": percentiles_ms(tally.ttft_s),
        "itl_ms": percentiles_ms(tally.itl_s),
        "cpu_us_per_token": per_token_us,
        "memory": {name: memory(samples, name) for name in ("server", "worker")},
        "load_average": os.getloadavg(),
    }


def without_http(arguments: argparse.Namespace, options: Sequence[str]) -> float:
    """Output tokens a second of the same load made by the worker itself."""
    command = [*PRODTOP, "bench", "--json", "--ignore-eos"]
    command += ["--prompt-tokens", str(arguments.prompt_tokens)]
    command += ["--output-tokens", str(arguments.output_tokens)]
    command += ["--concurrency", str(arguments.streams)]
    command += ["--requests", str(arguments.bench_requests or 4 * arguments.streams)]
    found = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True, text=True)
    figure = json.loads(found.stdout.splitlines()[-1])["output_tok_s"]
    return float(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--warm-up-seconds", type=float, default=0.0)
    parser.add_argument("--client-processes", type=int, default=1)
    parser.add_argument("--prompt-tokens", type=int, default=32)
    parser.add_argument("--output-tokens", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=4000)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--stop-share", type=float, default=0.0)
    parser.add_argument("--leave-share", type=float, default=0.0)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--bench-requests", type=int)
    parser.add_argument("--url")
    parser.add_argument("--key")
    parser.add_argument("--json", type=Path)
    parser.add_argument("options", nargs="*", help="of prodtop serve, after --")
    arguments = parser.parse_args()
    work = Work(
        arguments.prompt_tokens,
        arguments.output_tokens,
        arguments.vocabulary,
        arguments.stop_share,
        arguments.leave_share,
        arguments.key,
        arguments.temperature,
    )
    load = Load(
        arguments.streams,
        arguments.client_processes,
        arguments.seconds,
        arguments.warm_up_seconds,
        work,
    )

    def run(url: str) -> dict[str, object]:
        before = scrape(url, arguments.key)
        driven = drive(url, load)
        # Clients that left are noticed a moment later.
        time.sleep(1.0)
        return report(driven, before, scrape(url, arguments.key))

    if arguments.url:
        figures = run(arguments.url)
    else:
        with server(arguments.options) as url:
            figures = run(url)
    if arguments.compare:
        bare = without_http(arguments, arguments.options)
        figures["output_tok_s_without_http"] = round(bare, 1)
        figures["share_of_that"] = round(float(str(figures["output_tok_s"])) / bare, 3)
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures), encoding="utf-8")
    short = ("measured_tok_s", "ttft_ms", "itl_ms", "errors", "busiest_client_share_of_a_core")
    print(json.dumps({"streams": arguments.streams} | {key: figures[key] for key in short}))


if __name__ == "__main__":
    main()
