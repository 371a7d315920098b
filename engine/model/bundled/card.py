"""The model card, written from what the run measured."""

import platform
from dataclasses import dataclass

from .prepare import CorpusFacts


@dataclass(frozen=True)
class Run:
    """What training did."""

    device: str
    torch_version: str
    optimizer: str
    learning_rate: float
    embedding_learning_rate: float
    weight_decay: float
    batch_tokens: int
    steps: int
    tokens_seen: int
    training_s: float
    best_step: int
    averaged: bool
    parameters: int


@dataclass(frozen=True)
class Quality:
    """Measured on the shipped bf16 weights, computed in fp32. Losses are nats per token."""

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
    chars_per_token = facts.validation_chars / facts.validation_tokens
    epochs = run.tokens_seen / facts.train_tokens
    weights = "exponential moving average of the weights" if run.averaged else "weights"
    shown = "\n\n".join(
        f"**{sample.prompt or '(no prompt)'}**\n\n> "
        + sample.continuation.strip().replace("\n", "\n> ")
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

{facts.train_books} public-domain books in English by {facts.train_authors} authors, mostly
novels and tales of the eighteenth to the early twentieth century: {facts.train_chars:,} characters,
{facts.train_documents:,} documents (chapters), {facts.train_tokens:,} tokens after cleaning.
Cleaning drops book heads, chapter headings, ornaments and footnote marks, joins wrapped lines, and
writes quotes straight and dashes as `--`.

Validation, not in the training text: {"; ".join(facts.validation_books)}.
{facts.validation_chars:,} characters, {facts.validation_tokens:,} tokens after the same cleaning.
`heldout.txt` holds the opening of each book. The validation loss chose the best checkpoint
of the run, so it is very slightly optimistic.

Tokenizer: byte-level BPE, 4096 entries, trained on the training text; {chars_per_token:.2f}
characters a token on the validation text. `<|endoftext|>` (id 0) begins and ends a document.
Encoding never adds it: put it first to begin a document.

## Training

| | |
|---|---|
| device | {run.device} |
| software | torch {run.torch_version}, Python {platform.python_version()} |
| optimizer | {run.optimizer} |
| peak learning rate | {run.learning_rate:g}; embedding and norms {run.embedding_learning_rate:g} |
| weight decay | {run.weight_decay:g} |
| schedule | linear warm-up, then linear decay to 0 |
| batch | {run.batch_tokens:,} tokens, context 1024, bf16 autocast |
| steps | {run.steps:,} |
| tokens seen | {run.tokens_seen:,} ({epochs:.1f} times the training text) |
| time | {run.training_s:.0f} s |
| shipped | {weights} at step {run.best_step:,} |

## Quality

Measured on the shipped bf16 weights, computed in fp32, over all of the validation text.

| | |
|---|---|
| validation loss, disjoint windows of 1024 tokens | {quality.disjoint_loss:.4f} nats/token |
| validation loss, each token after at least 512 others | {quality.strided_loss:.4f} nats/token |
| bits per character, cleaned text | {quality.bits_per_char:.4f} |
| bits per character, the raw file | {quality.raw_bits_per_char:.4f} |
| loss on as much of the training text, disjoint windows | {quality.train_loss:.4f} nats/token |

Both bits-per-character figures come from the windows of the second line, divide by the characters
of the text that was scored, and include the cost of predicting where documents end. The raw file
has book heads and headings, which the model never saw in training.

## Samples

Temperature 0.8, top-p 0.95, seeds 1, 2, 3 and so on, the first ones drawn; cut at 160 tokens. The
bold text is the prompt.

{shown}

## Limits

It knows the books it read and little else. It writes sentences, not facts; over a page it loses
the thread. It follows no instructions. It repeats the views of its time, some of them ugly.
"""
