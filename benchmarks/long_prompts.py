"""What a long prompt does to the streams beside it: gaps between tokens, with and without.

    python benchmarks/long_prompts.py [--model bundled] [--device auto] [--precision bf16]
        [--streams 8] [--prompt-tokens 1000] [--limits 16,32,64,128,256] [--repeats 5]
        [--load-format auto] [--context-tokens N]

`--streams` requests generate tokens all the while. In the middle of it a long prompt arrives, and
is computed in chunks of so many tokens beside them. Shown for each limit: the median gap before it,
the 99th percentile and the longest of the gaps while it is computed, and how long it takes until
its first token. Median of the repeats.
"""

import argparse
import os
import random
import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

# As in the worker, and for its reasons.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch
from prodtop.engine.device.devices import keep_freed_memory, resolve_device, use_threads
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.settings import EngineSettings

SHORT_PROMPT = 16
BEFORE = 60
"""Tokens of each stream before the long prompt comes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Milliseconds: the median gap before, those while the prompt was computed, its TTFT."""

    before_ms: float
    p99_ms: float
    longest_ms: float
    ttft_ms: float


def make_engine(
    model: LoadedModel,
    precision: PrecisionName,
    device: torch.device,
    streams: int,
    limit: int,
    context: int,
) -> Engine:
    settings = EngineSettings(
        max_seqs=streams + 1,
        token_budget=streams + limit,
        prefill_beside_streams=limit,
        kv_blocks=(streams + 1) * -(-context // BLOCK_TOKENS),
        context_tokens=context,
    )
    return Engine(
        model,
        settings,
        strategy=StrategyName.STREAMING,
        precision=precision,
        device=device,
        clock=time.monotonic,
    )


def trial(engine: Engine, streams: int, prompt_tokens: int, seed: int) -> Trial:
    """One run; every request is ended before it returns."""
    draw = random.Random(seed)
    vocabulary = engine.model.config.vocabulary

    def ask(tokens: int, output: int) -> Request:
        prompt = [draw.randrange(vocabulary) for _ in range(tokens)]
        return engine.submit(prompt, Sampling(), output, ignore_eos=True)

    most = engine.settings.context_tokens - SHORT_PROMPT
    requests = [ask(SHORT_PROMPT, most) for _ in range(streams)]
    while min(request.num_output_tokens for request in requests) < BEFORE:
        engine.step()
    long = ask(prompt_tokens, 2)
    while long.first_token_at_s is None:
        engine.step()
    for request in requests:
        engine.abort(request.request_id)
    while engine.has_work:
        engine.step()
    before: list[float] = []
    during: list[float] = []
    for request in requests:
        times = request.token_times_s
        for earlier, later in pairwise(times):
            (before if later < long.arrival_at_s else during).append((later - earlier) * 1e3)
    return Trial(
        before_ms=median(before),
        p99_ms=quantiles(during, n=100)[-1] if len(during) > 1 else during[0],
        longest_ms=max(during),
        ttft_ms=(long.first_token_at_s - long.arrival_at_s) * 1e3,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", type=PrecisionName, default=PrecisionName.BF16)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=1000)
    parser.add_argument("--limits", default="16,32,64,128,256")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--load-format", choices=["auto", "dummy"], default="auto")
    parser.add_argument("--context-tokens", type=int, help="else what the model has")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    use_threads(None)
    keep_freed_memory()
    model = load_model(arguments.model, arguments.load_format, device=device)
    context = arguments.context_tokens or model.config.context_tokens
    longest = context - 2
    prompt_tokens = min(arguments.prompt_tokens, longest)
    print(
        f"{arguments.streams} streams of {model.name} at {arguments.precision}, a prompt of "
        f"{prompt_tokens} tokens; ms"
    )
    print(f"{'limit':>8}{'gap before':>12}{'p99':>8}{'longest':>9}{'TTFT':>8}")
    for limit in (int(each) for each in arguments.limits.split(",")):
        engine = make_engine(model, arguments.precision, device, arguments.streams, limit, context)
        trial(engine, arguments.streams, prompt_tokens, 0)
        trials = [
            trial(engine, arguments.streams, prompt_tokens, seed + 1)
            for seed in range(arguments.repeats)
        ]
        columns = (
            median(each.before_ms for each in trials),
            median(each.p99_ms for each in trials),
            median(each.longest_ms for each in trials),
            median(each.ttft_ms for each in trials),
        )
        print(
            f"{limit:>8}"
            + "".join(f"{c:>{w}.1f}" for c, w in zip(columns, (12, 8, 9, 8), strict=True))
        )


if __name__ == "__main__":
    main()
