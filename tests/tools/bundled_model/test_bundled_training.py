"""The training network, how it is scored, and a short run from corpus to checkpoint."""

import lzma
import time
from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM

from tools.bundled_model.attention import QUERY_BLOCK, attend_in_blocks
from tools.bundled_model.checkpoint import read_network, write_configs, write_weights
from tools.bundled_model.evaluation import loss_over
from tools.bundled_model.network import Network, Shape
from tools.bundled_model.prepare import load_prepared, prepare
from tools.bundled_model.train import train
from tools.bundled_model.trainer import Settings, window_batches
from tools.bundled_model.vocabulary import VOCABULARY_SIZE

CPU = torch.device("cpu")
TINY = Shape(
    hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, intermediate=48, context_tokens=64
)


def test_a_fresh_network_of_another_shape_agrees_with_transformers_too(tmp_path: Path) -> None:
    torch.manual_seed(3)
    made = Network(TINY)
    write_configs(TINY, tmp_path)
    write_weights(made.state_dict(), tmp_path)
    peer = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.randint(VOCABULARY_SIZE, (3, 50))
    with torch.inference_mode():
        expected = peer(ids).logits
        torch.testing.assert_close(read_network(tmp_path, CPU)(ids), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tokens", [1, 100, QUERY_BLOCK, 2 * QUERY_BLOCK + 44])
def test_attention_in_blocks_is_causal_grouped_attention(tokens: int) -> None:
    torch.manual_seed(tokens)
    query = torch.randn(2, 6, tokens, 16, requires_grad=True)
    key, value = torch.randn(2, 2, tokens, 16), torch.randn(2, 2, tokens, 16)
    expected = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    mixed = attend_in_blocks(query, key, value)
    torch.testing.assert_close(mixed, expected)
    weight = torch.randn_like(mixed)
    ((wanted,), (slope,)) = (
        torch.autograd.grad(result, query, weight) for result in (expected, mixed)
    )
    torch.testing.assert_close(slope, wanted)


@pytest.mark.parametrize("length", [5, 17, 33, 40, 100])
def test_every_token_is_scored_once(length: int) -> None:
    """A network that gives each token the same odds costs ln(vocabulary) a token, however cut."""
    flat = Network(TINY)
    with torch.no_grad():
        flat.model.embed_tokens.weight.zero_()
    row = torch.randint(VOCABULARY_SIZE, (length,)).numpy()
    for stride in (16, 8, 5):
        loss = loss_over(flat, row, 16, stride)
        assert loss.tokens == length - 1
        assert loss.per_token == pytest.approx(torch.log(torch.tensor(4096.0)).item(), rel=1e-5)


def test_strided_windows_agree_with_one_long_window() -> None:
    """A stride of one token with a long window is what a single forward pass computes."""
    torch.manual_seed(0)
    made = Network(TINY)
    row = torch.randint(VOCABULARY_SIZE, (41,))
    logits = made(row[None, :-1])[0]
    expected = torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum").item()
    assert loss_over(made, row.numpy(), 40, 1).nats == pytest.approx(expected, rel=1e-5)
    assert loss_over(made, row.numpy(), 64, 32).nats == pytest.approx(expected, rel=1e-5)


def test_windows_cover_the_row_in_a_new_order_each_pass() -> None:
    context = 30
    row = torch.arange(5 * context)
    batches = window_batches(row, 2, context, seed=7)
    seen = [next(batches) for _ in range(4)]
    for windows in seen:
        assert windows.shape == (2, context + 1)
        assert (windows.diff(dim=1) == 1).all()
    first_pass = torch.cat(seen[:2])[:, 0].tolist()
    assert len(set(first_pass)) == 4
    assert len({start % context for start in first_pass}) == 1
    assert not torch.equal(torch.cat(seen[:2]), torch.cat(seen[2:]))


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_learns_a_small_corpus_and_keeps_the_best_weights(
    tmp_path: Path, optimizer: str
) -> None:
    corpus, prepared_folder, out = tmp_path / "corpus", tmp_path / "prepared", tmp_path / "out"
    corpus.mkdir()
    out.mkdir()
    head = "Title: A Tale\n\nAuthor: Nobody\n\n-------\n\n"
    story = "\n\n".join(f"The cat number {n} sat on the mat and slept." for n in range(600))
    (corpus / "train.txt.xz").write_bytes(lzma.compress((head + story).encode()))
    (corpus / "valid.txt").write_text(head + story[:5000])
    (corpus / "BOOKS.md").write_text("# Books\n\n- Nobody/A Tale\n")
    facts = prepare(corpus, prepared_folder)
    assert (facts.train_books, facts.validation_books) == (1, ("A Tale, by Nobody",))
    prepared = load_prepared(prepared_folder)
    assert len(prepared.train) == facts.train_tokens

    write_configs(TINY, out)
    steps = 40
    chosen = Settings(
        minutes=1.0,
        batch_windows=8,
        optimizer=optimizer,
        learning_rate=1e-2,
        embedding_learning_rate=1e-2,
        weight_decay=0.1,
        warmup_steps=2,
        evaluate_every_s=600.0,
        validation_tokens=1000,
        finish_reserve_s=1.0,
        compiled=False,
        seed=1,
        max_steps=steps,
    )
    run, best = train(prepared, out, TINY, chosen, time.monotonic())
    assert run.steps == steps
    assert run.tokens_seen == steps * 8 * TINY.context_tokens
    context = TINY.context_tokens
    kept = loss_over(read_network(out, CPU), prepared.validation[:1000], context, context)
    assert kept.per_token == pytest.approx(best.loss, rel=0.02)
    assert kept.per_token < 4.0
