"""Train the bundled model and write its whole checkpoint folder.

    python -m tools.bundled_model.train PREPARED OUT --minutes 9

On a CPU, short windows, small batches and a C library that keeps its memory are fast:

    MALLOC_MMAP_THRESHOLD_=17179869184 MALLOC_TRIM_THRESHOLD_=17179869184 OMP_WAIT_POLICY=passive \\
    python -m tools.bundled_model.train PREPARED OUT --minutes 75 --context 512 \\
        --batch-windows 16 --warmup-steps 100 --evaluate-every-s 240 --validation-tokens 32769 \\
        --finish-reserve-s 240

The clock rules: the learning rate follows the share of the time that has passed, so it reaches 0
when the time is up, on any machine. The weights with the lowest validation loss are in `OUT` at any
moment; the card and the final figures come last.
"""

import argparse
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from .card import Quality, Run, Sample, model_card
from .checkpoint import (
    TEMPERATURE,
    TOP_P,
    WEIGHTS,
    read_network,
    write_configs,
    write_weights,
)
from .evaluation import loss_over, sample
from .network import Shape
from .prepare import Prepared, load_prepared
from .trainer import Settings, Trainer, window_batches
from .vocabulary import CONTEXT_TOKENS, write_tokenizer_config

PROMPTS = (
    "",
    "The old man looked out of the window, and",
    "It was a cold evening in November when",
    '"I do not believe it," said the captain.',
    "Once upon a time there was a little girl who",
    "The ship had been three weeks at sea, and",
)

TEMPLATE = Path(__file__).parents[2] / "engine/model/bundled/chat_template.jinja"
"""Written by hand: no training makes another."""


@dataclass(frozen=True)
class Best:
    """The checkpoint now in the output folder."""

    loss: float
    step: int
    averaged: bool


def train(
    prepared: Prepared, out: Path, shape: Shape, settings: Settings, began: float
) -> tuple[Run, Best]:
    """Train until the time is up; the best weights are in `out` afterwards.

    `began` is the moment (`time.monotonic`) from which `settings.minutes` count.

    Raises `FloatingPointError` where a loss is not a finite number.
    """
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    row = torch.from_numpy(prepared.train.astype(np.int32)).to(device)
    context = shape.context_tokens
    batches = window_batches(row, settings.batch_windows, context, settings.seed)
    trainer = Trainer(shape, settings, device)
    first = float(trainer.first_step(next(batches)))
    start = time.monotonic()
    budget_s = began + 60 * settings.minutes - settings.finish_reserve_s - start
    print(
        f"first step: loss {first:.3f}, {start - began:.1f} s; {budget_s:.0f} s to go", flush=True
    )

    validation = prepared.validation[: settings.validation_tokens]
    best: Best | None = None
    next_evaluation = settings.evaluate_every_s
    loss = torch.zeros(())
    while True:
        elapsed = time.monotonic() - start
        progress = elapsed / budget_s
        if settings.max_steps is not None:
            progress = trainer.steps / settings.max_steps
        if best is None or progress >= 1.0 or elapsed >= next_evaluation:
            best = keep_best(trainer, validation, out, best)
            done = trainer.steps * settings.batch_windows * context
            print(
                f"{elapsed:6.1f} s  step {trainer.steps:6d}  train {float(loss):.4f}  "
                f"best {best.loss:.4f} (step {best.step}{', averaged' if best.averaged else ''})  "
                f"{done / max(elapsed, 1e-9) / 1e6:.3f} Mtok/s  "
                f"scale {max(0.0, 1.0 - progress):.3f}",
                flush=True,
            )
            next_evaluation = elapsed + settings.evaluate_every_s
        if progress >= 1.0:
            break
        loss = trainer.step(next(batches), progress)
        if trainer.steps % 10 == 0 and not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {float(loss)} at step {trainer.steps}")
    return _describe(trainer, best, time.monotonic() - start), best


def keep_best(trainer: Trainer, validation: np.ndarray, out: Path, best: Best | None) -> Best:
    """Score the weights and their average; write them to `out` where they beat `best`.

    Raises `FloatingPointError` where the first validation loss is not a number.
    """
    window = trainer.shape.context_tokens
    for network, averaged in ((trainer.network, False), (trainer.averaged_network(), True)):
        with torch.autocast(trainer.device.type, torch.bfloat16):
            loss = loss_over(network, validation, window, window).per_token
        print(f"  validation {'average' if averaged else 'weights'} {loss:.4f}", flush=True)
        if best is None or loss < best.loss:
            write_weights(network.state_dict(), out)
            best = Best(loss, trainer.steps, averaged)
    if best is None:
        raise FloatingPointError("the validation loss is not a number")
    return best


def _describe(trainer: Trainer, best: Best, training_s: float) -> Run:
    settings, cuda = trainer.settings, trainer.device.type == "cuda"
    batch_tokens = settings.batch_windows * trainer.shape.context_tokens
    names = {"muon": "Muon for the matrices, AdamW for the rest", "adamw": "AdamW"}
    return Run(
        device=torch.cuda.get_device_name() if cuda else "CPU",
        threads=None if cuda else torch.get_num_threads(),
        torch_version=torch.__version__,
        optimizer=names[settings.optimizer],
        learning_rate=settings.learning_rate,
        embedding_learning_rate=settings.embedding_learning_rate,
        weight_decay=settings.weight_decay,
        batch_tokens=batch_tokens,
        context_tokens=trainer.shape.context_tokens,
        evaluation_tokens=settings.validation_tokens,
        steps=trainer.steps,
        tokens_seen=trainer.steps * batch_tokens,
        training_s=training_s,
        best_step=best.step,
        averaged=best.averaged,
        parameters=sum(weight.numel() for weight in trainer.network.parameters()),
    )


def measure(prepared: Prepared, out: Path) -> Quality:
    """Measure the weights that lie in `out`."""
    network = read_network(out, torch.device("cuda:0" if torch.cuda.is_available() else "cpu"))
    device = next(network.parameters()).device
    facts, window = prepared.facts, network.shape.context_tokens
    part = prepared.train[: len(prepared.validation)]
    with torch.autocast(device.type, torch.bfloat16):
        disjoint = loss_over(network, prepared.validation, window, window)
        strided = loss_over(network, prepared.validation, window, window // 2)
        raw = loss_over(network, prepared.raw_validation, window, window // 2)
        seen = loss_over(network, part, window, window)
    return Quality(
        disjoint_loss=disjoint.per_token,
        strided_loss=strided.per_token,
        bits_per_char=strided.bits_per_char(facts.validation_chars),
        raw_bits_per_char=raw.bits_per_char(facts.raw_validation_chars),
        train_loss=seen.per_token,
    )


def write_samples(folder: Path) -> list[Sample]:
    """Return one continuation of each prompt by the model in `folder`."""
    network = read_network(folder, torch.device("cuda:0" if torch.cuda.is_available() else "cpu"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [
        Sample(
            prompt,
            sample(
                network,
                tokenizer,
                prompt,
                new_tokens=160,
                temperature=TEMPERATURE,
                top_p=TOP_P,
                seed=seed,
            ),
        )
        for seed, prompt in enumerate(PROMPTS, start=1)
    ]


def main() -> None:
    began = time.monotonic()
    parser = argparse.ArgumentParser(description="Train the bundled model.")
    parser.add_argument("prepared", type=Path, help="what `prepare` wrote")
    parser.add_argument("out", type=Path, help="the checkpoint folder to write")
    parser.add_argument("--minutes", type=float, default=9.0, help="the whole run, start to end")
    parser.add_argument("--context", type=int, default=CONTEXT_TOKENS, help="tokens a window")
    parser.add_argument("--batch-windows", type=int, default=128)
    parser.add_argument("--optimizer", choices=("muon", "adamw"), default="muon")
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--embedding-learning-rate", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.2)
    parser.add_argument("--warmup-steps", type=int, default=200)
    parser.add_argument("--evaluate-every-s", type=float, default=20.0)
    parser.add_argument("--validation-tokens", type=int, help="evaluate on so many (default: all)")
    parser.add_argument(
        "--finish-reserve-s",
        type=float,
        default=30.0,
        help="kept back from the time for the final figures, the samples and the card",
    )
    parser.add_argument("--no-compile", dest="compiled", action="store_false")
    parser.add_argument("--max-steps", type=int, help="count steps instead of minutes")
    parser.add_argument("--seed", type=int, default=1)
    chosen = vars(parser.parse_args())
    folder, out = chosen.pop("prepared"), chosen.pop("out")
    shape = Shape(context_tokens=chosen.pop("context"))
    settings = Settings(**chosen)

    out.mkdir(parents=True, exist_ok=True)
    prepared = load_prepared(folder)
    for name in ("tokenizer.json", "heldout.txt"):
        shutil.copyfile(folder / name, out / name)
    write_configs(shape, out)
    write_tokenizer_config(shape.context_tokens, out)
    if not (out / TEMPLATE.name).exists():
        shutil.copyfile(TEMPLATE, out / TEMPLATE.name)
    run, best = train(prepared, out, shape, settings, began)
    quality = measure(prepared, out)
    print(f"best in training {best.loss:.4f}; {quality}", flush=True)
    samples = write_samples(out)
    (out / "MODEL_CARD.md").write_text(
        model_card(prepared.facts, run, quality, samples), encoding="utf-8"
    )
    for one in samples:
        print(f"--- {one.prompt!r}\n{one.continuation}", flush=True)
    print(json.dumps({"bytes": (out / WEIGHTS).stat().st_size, "steps": run.steps}))


if __name__ == "__main__":
    main()
