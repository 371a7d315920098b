"""What speculative decoding gains and loses on this machine: the same requests with and without.

    python benchmarks/speculation.py [--model bundled] [--device auto] [--precision fp32]
        [--drafts 4] [--output-tokens 96] [--repeats 3] [--threads N]

Three kinds of work (greedy after prompts that repeat a sentence, greedy after the bundled prompts,
and sampled after them) for one request at a time and for eight. Each is served without drafts, with
drafts in every step, and with drafts as the engine paces them, by turns. Shown is the median of the
repeats, output tokens per second of wall time.
"""

import argparse
import os
import time
from dataclasses import dataclass
from statistics import median

# As in the worker, and for its reasons.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch
from prodtop.engine.device.devices import keep_freed_memory, resolve_device, use_threads
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.metrics.collector import Metrics
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import PrecisionName, SpeculationSpec, StrategyName
from prodtop.engine.protocol.options import BUNDLED_MODEL, WorkerOptions
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.request import Sampling
from prodtop.engine.worker.bench import output_digest
from prodtop.engine.worker.sizing import engine_settings

REQUESTS = 16
PROMPT_TOKENS = 64
GREEDY = Sampling()
SAMPLED = Sampling(temperature=0.8, top_p=0.95, seed=1)


@dataclass(frozen=True)
class Work:
    name: str
    prompts: list[list[int]]
    sampling: Sampling


@dataclass(frozen=True)
class Run:
    tok_s: float
    tokens_per_step: float
    acceptance: float | None
    output_sha256: str


def works(engine: Engine) -> list[Work]:
    encode = engine.model.tokenizer.encode
    texts = [prompt.text for prompt in bundled_prompts()[:REQUESTS]]
    plain = [encode(text)[:PROMPT_TOKENS] for text in texts]
    repeating = [(tokens[:12] * PROMPT_TOKENS)[:PROMPT_TOKENS] for tokens in plain]
    return [
        Work("repeating, greedy", repeating, GREEDY),
        Work("plain, greedy", plain, GREEDY),
        Work("plain, sampled", plain, SAMPLED),
    ]


def serve(engine: Engine, work: Work, spec: SpeculationSpec | None, output_tokens: int) -> Run:
    """All requests of a kind of work, in the system together."""
    engine.set_speculation(spec)
    engine.reset_caches()
    engine.metrics = Metrics(engine.clock())
    began_s = time.perf_counter()
    requests = [
        engine.submit(prompt, work.sampling, output_tokens, ignore_eos=True)
        for prompt in work.prompts
    ]
    while engine.has_work:
        engine.step()
    duration_s = time.perf_counter() - began_s
    totals = engine.metrics.throughput.totals(engine.clock())
    return Run(
        tok_s=totals.decode_tokens / duration_s,
        tokens_per_step=totals.decode_tokens / totals.rows,
        acceptance=engine.metrics.draft_acceptance(engine.clock(), float("inf")),
        output_sha256=output_digest(request.output_tokens for request in requests),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default=BUNDLED_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--drafts", type=int, default=SpeculationSpec().drafts)
    parser.add_argument("--output-tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    keep_freed_memory()
    device = resolve_device(arguments.device)
    precision = PrecisionName(arguments.precision)
    model = load_model(str(arguments.model))
    options = WorkerOptions(max_seqs=8)
    engine = Engine(
        model,
        engine_settings(options, model.config, precision, device),
        strategy=StrategyName.CONTINUOUS,
        precision=precision,
        device=device,
        clock=time.monotonic,
    )
    specs = {
        "off": None,
        "always": SpeculationSpec(drafts=arguments.drafts, adaptive=False),
        "paced": SpeculationSpec(drafts=arguments.drafts),
    }
    print(f"{model.name} {precision} on {device}, {torch.get_num_threads()} threads, ", end="")
    print(f"{REQUESTS} requests, {arguments.output_tokens} out, {arguments.drafts} drafts")
    for strategy in (StrategyName.SINGLE, StrategyName.CONTINUOUS):
        engine.set_strategy(strategy)
        for work in works(engine):
            runs: dict[str, list[Run]] = {name: [] for name in specs}
            for _ in range(1 + arguments.repeats):
                for name, spec in specs.items():
                    runs[name].append(serve(engine, work, spec, arguments.output_tokens))
            print_runs(f"{strategy}: {work.name}", runs)


def print_runs(title: str, runs: dict[str, list[Run]]) -> None:
    """The first turn is the warm-up."""
    print(title)
    speeds = {name: median(run.tok_s for run in each[1:]) for name, each in runs.items()}
    for name, each in runs.items():
        right = each[-1].acceptance
        print(
            f"  {name:<8}{speeds[name]:>9,.1f} tok/s  {speeds[name] / speeds['off']:>5.2f} x"
            f"  {each[-1].tokens_per_step:.2f} tokens a row"
            f"  {'--' if right is None else f'{right:.0%}'} of drafts right"
        )
    same = len({run.output_sha256 for each in runs.values() for run in each}) == 1
    print(f"  outputs {'identical' if same else 'differ'}")


if __name__ == "__main__":
    main()
