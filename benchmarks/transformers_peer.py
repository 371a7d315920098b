"""The other side of `strategies.py`: `transformers.generate`, in a process of its own.

    python benchmarks/transformers_peer.py WORK

`WORK` is the JSON of a `Work`; the last line printed is the JSON of a `Side`.
"""

import sys
import time
from pathlib import Path

import msgspec
import torch
from prodtop.engine.device.devices import resolve_device, synchronize, use_threads
from prodtop.engine.load.arrivals import fit_tokens
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.load.sequence import RequestSequence
from prodtop.engine.model.loading import BUNDLED_FOLDER, load_model
from prodtop.engine.precision.levels import base_dtype
from prodtop.engine.protocol import LoadSpec, PrecisionName
from prodtop.engine.protocol.options import BUNDLED_MODEL
from prodtop.engine.worker.bench import output_digest
from transformers import AutoModelForCausalLM


class Side(msgspec.Struct, frozen=True):
    """What one side did: output tokens per second, and the digest of what it said."""

    tok_s: float
    output_sha256: str


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides are given."""

    model: str
    device: str
    precision: PrecisionName
    requests: int
    prompt_tokens: int
    output_tokens: int
    threads: int

    @property
    def load(self) -> LoadSpec:
        """All requests at once, each prompt as likely as another."""
        return LoadSpec(
            users=self.requests,
            zipf_exponent=0.0,
            prompt_tokens_min=self.prompt_tokens,
            prompt_tokens_max=self.prompt_tokens,
            output_tokens_min=self.output_tokens,
            output_tokens_max=self.output_tokens,
            temperature=0.0,
            ignore_eos=True,
        )


def folder_of(model: str) -> Path:
    return BUNDLED_FOLDER if model == BUNDLED_MODEL else Path(model).expanduser()


def measure_transformers(work: Work) -> Side:
    """`generate` for one request after the other, each with its KV cache."""
    device = resolve_device(work.device)
    peer = AutoModelForCausalLM.from_pretrained(
        folder_of(work.model), dtype=base_dtype(work.precision)
    )
    peer.to(device)
    arrivals = RequestSequence(work.load, bundled_prompts()).fixed(work.requests, 0.0)
    tokenizer = load_model(work.model).tokenizer
    prompts = [
        fit_tokens(tokenizer.encode(arrival.text), work.prompt_tokens) for arrival in arrivals
    ]

    def generate(prompt: list[int]) -> list[int]:
        tokens = torch.tensor([prompt], device=device)
        with torch.inference_mode():
            found = peer.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=work.output_tokens,
                do_sample=False,
                eos_token_id=None,
                pad_token_id=0,
            )
        output: list[int] = found[0, len(prompt) :].tolist()
        return output

    for prompt in prompts[:2]:
        generate(prompt)
    synchronize(device)
    begun_s = time.perf_counter()
    outputs = [generate(prompt) for prompt in prompts]
    took_s = time.perf_counter() - begun_s
    return Side(sum(map(len, outputs)) / took_s, output_digest(outputs))


def main() -> None:
    work = msgspec.json.decode(sys.argv[1], type=Work)
    use_threads(work.threads)
    print(msgspec.json.encode(measure_transformers(work)).decode())


if __name__ == "__main__":
    main()
