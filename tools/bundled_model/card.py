"""The model card, written from what the run measured."""

import platform
import textwrap
from dataclasses import dataclass

from .prepare import CorpusFacts

AMPLE_TOKENS_PER_PARAMETER = 20


@dataclass(frozen=True)
class Run:
    """What training did."""

    device: str
    threads: int | None
    """CPU threads; `None` where a GPU did the work."""
    torch_version: str
    optimizer: str
    learning_rate: float
    embedding_learning_rate: float
    weight_decay: float
    batch_tokens: int
    context_tokens: int
    evaluation_tokens: int | None
    steps: int
    tokens_seen: int
    training_s: float
    best_step: int
    averaged: bool
    parameters: int


@dataclass(frozen=True)
class Quality:
    """Measured on the shipped bf16 weights, computed with bf16 autocast. Losses in nats a token."""

    disjoint_loss: float
    strided_loss: float
    bits_per_char: float
    raw_bits_per_char: float
    train_loss: float


@dataclass(frozen=True)
class Sample:
    """A prompt and how the model went on."""

    prompt: str
    continuation: str


def model_card(facts: CorpusFacts, run: Run, quality: Quality, samples: list[Sample]) -> str:
    """Return the card as Markdown."""
    context, epochs = run.context_tokens, run.tokens_seen / facts.train_tokens
    device = f"{run.device}, {run.threads} threads" if run.threads else run.device
    weights = "exponential moving average of the weights" if run.averaged else "weights"
    data = _wrapped(
        f"{facts.train_books} public-domain books in English by {facts.train_authors} authors, "
        "mostly novels and tales of the eighteenth to the early twentieth century: "
        f"{facts.train_chars:,} characters, {facts.train_documents:,} documents (chapters), "
        f"{facts.train_tokens:,} tokens after cleaning. Cleaning drops book heads, chapter "
        "headings, ornaments and footnote marks, joins wrapped lines, and writes quotes straight "
        "and dashes as `--`. `calibration.txt` holds excerpts, on which int4 may be calibrated."
    )
    scored = "all" if run.evaluation_tokens is None else f"the first {run.evaluation_tokens:,}"
    validation = _wrapped(
        f"Validation, not in the training text: {'; '.join(facts.validation_books)}. "
        f"{facts.validation_chars:,} characters, {facts.validation_tokens:,} tokens after the "
        f"same cleaning. `heldout.txt` holds the opening of each book. The loss over {scored} of "
        "these tokens chose the best checkpoint of the run, so it is very slightly optimistic."
    )
    tokenizer = _wrapped(
        "Tokenizer: byte-level BPE, 4096 entries, trained on the training text; "
        f"{facts.validation_chars / facts.validation_tokens:.2f} characters a token on the "
        "validation text. `<|endoftext|>` (id 0) begins and ends a document. Encoding never adds "
        "it: put it first to begin a document."
    )
    chat = _wrapped(
        "`chat_template.jinja` makes a chat of plain paragraphs: after `<|endoftext|>` tools as "
        "JSON, and what was said, one below the other. The model has seen no roles, no tools and "
        "no conversations."
    )
    quoted_samples = "\n\n".join(
        f"**{sample.prompt or '(no prompt)'}**\n\n{_quoted(sample.continuation)}"
        for sample in samples
    )
    return f"""---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# The bundled model

A Llama of {run.parameters / 1e6:.1f} million parameters that writes English prose in the manner of
the nineteenth century. It exists to be served: small enough to ship with the package, an ordinary
Hugging Face checkpoint in every other way. The weights are under Apache-2.0.

## Data

{data}

{validation}

{tokenizer}

{chat}

## Training

{_how_long(run)}

| | |
|---|---|
| device | {device} |
| software | torch {run.torch_version}, Python {platform.python_version()} |
| optimizer | {run.optimizer} |
| peak learning rate | {run.learning_rate:g}; embedding and norms {run.embedding_learning_rate:g} |
| weight decay | {run.weight_decay:g} |
| schedule | linear warm-up, then linear decay to 0 |
| batch | {run.batch_tokens:,} tokens, context {context}, bf16 autocast |
| steps | {run.steps:,} |
| tokens seen | {run.tokens_seen:,} ({epochs:.2f} times the training text) |
| time | {run.training_s:.0f} s |
| shipped | {weights} at step {run.best_step:,} |

## Quality

Measured on the shipped bf16 weights, computed with bf16 autocast, over all of the validation text.

| | |
|---|---|
| validation loss, disjoint windows of {context} tokens | {quality.disjoint_loss:.4f} nats/token |
| validation loss, after {context // 2} tokens or more | {quality.strided_loss:.4f} nats/token |
| bits per character, cleaned text | {quality.bits_per_char:.4f} |
| bits per character, the raw file | {quality.raw_bits_per_char:.4f} |
| loss on as much of the training text, disjoint windows | {quality.train_loss:.4f} nats/token |

Both bits-per-character figures come from the windows of the second line, divide by the characters
of the text that was scored, and include the cost of predicting where documents end. The raw file
has book heads and headings, which the model never saw in training.

## Samples

Temperature 0.8, top-p 0.95, seeds 1, 2, 3 and so on, the first ones drawn; cut at 160 tokens. The
bold text is the prompt.

{quoted_samples}

## Limits

It knows the books it read and little else. It writes sentences, not facts; over a page it loses
the thread. It follows no instructions. It repeats the views of its time, some of them ugly.
"""


def _how_long(run: Run) -> str:
    """Say what the run was given, and whether that was little."""
    share = run.tokens_seen / run.parameters
    text = (
        f"The clock ended the run, after {run.training_s / 60:.0f} minutes and "
        f"{run.tokens_seen:,} tokens: {share:.1f} tokens a parameter."
    )
    if share < AMPLE_TOKENS_PER_PARAMETER:
        text += (
            f" Enough would be about {AMPLE_TOKENS_PER_PARAMETER} (Hoffmann et al. 2022), so a "
            "longer run would make a better model of the same size."
        )
    return _wrapped(text)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _quoted(text: str) -> str:
    """Return `text` as a block quote; its lines become lines of at most 102 characters."""
    wrapped = "\n".join(_wrapped(line) for line in text.strip().split("\n"))
    return "\n".join(f"> {line}".rstrip() for line in wrapped.split("\n"))
