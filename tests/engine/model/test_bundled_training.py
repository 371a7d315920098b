"""How the bundled model is made: cleaned text, the training network, its scores, the card."""

import lzma
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.model.bundled.attention import QUERY_BLOCK, attend_in_blocks
from prodtop.engine.model.bundled.card import Quality, Run, Sample, model_card
from prodtop.engine.model.bundled.checkpoint import read_network, write_configs, write_weights
from prodtop.engine.model.bundled.corpus import (
    clean_characters,
    documents_of,
    is_heading,
    read_books,
    unwrap,
)
from prodtop.engine.model.bundled.evaluation import loss_over
from prodtop.engine.model.bundled.network import Network, Shape
from prodtop.engine.model.bundled.prepare import CorpusFacts, load_prepared, prepare
from prodtop.engine.model.bundled.train import train
from prodtop.engine.model.bundled.trainer import Settings, window_batches
from prodtop.engine.model.bundled.vocabulary import VOCABULARY_SIZE
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM

CPU = torch.device("cpu")
TINY = Shape(
    hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, intermediate=48, context_tokens=64
)


# The text


def test_a_book_becomes_its_chapters() -> None:
    book = (
        "Title: A Tale\n\nAuthor: Nobody\n\nYear: 1880\n\n-------\n\nCHAPTER I. THE START\n\n"
        "Of Beginnings\n\nIN the year 1878 it began. " + "He walked on. " * 40 + "\n\n* * *\n\n"
        "\u201cCome,\u201d said she\u2014quickly.\n\nCHAPTER II\n\nIt ended. "
        + "She slept. " * 50
        + "\n\nTHE END\n"
    )
    first, second = documents_of(book)
    assert first.startswith("In the year 1878 it began. He walked on.")
    assert first.endswith('\n\n"Come," said she--quickly.')
    assert second.startswith("It ended. She slept.")
    assert "END" not in second


@pytest.mark.parametrize(
    ("block", "paragraph"),
    [
        ("  one line \n", "one line"),
        ("the line was wrapped\nin the middle of\nthe sentence", None),
        ("The sun was shining on the sea,\nShining with all his might:", "keep"),
        ("a store-\nroom and\nthe rest", "a store-room and the rest"),
        ("A" * 60 + "\n" + "Bs follow", "A" * 60 + " Bs follow"),
    ],
)
def test_wrapped_prose_is_joined_and_verse_is_kept(block: str, paragraph: str | None) -> None:
    expected = {None: block.replace("\n", " "), "keep": block}.get(paragraph, paragraph)
    assert unwrap(block) == expected


@pytest.mark.parametrize(
    "text", ["CHAPTER I", "Chapter 12. A Walk", "XIV", "THE END", "BOOK THE FIRST", "12"]
)
def test_headings_are_known(text: str) -> None:
    assert is_heading(text)


@pytest.mark.parametrize(
    "text",
    [
        '"NO!"',
        "FIRE!",
        "Part of the crew went ashore.",
        "I saw him.",
        "Chapter and verse, he said.",
    ],
)
def test_text_is_not_taken_for_a_heading(text: str) -> None:
    assert not is_heading(text)


PRINTERS_MARKS = "\u2018\u2019\u201c\u201d`\u2013\u2014\u2026\u00a0\u017f\u200b\ufeff_\t"


@given(
    text=st.text(st.sampled_from(PRINTERS_MARKS + " -") | st.characters(exclude_categories=["Cs"]))
)
@settings(deadline=None)
def test_cleaned_text_has_one_kind_of_quote_dash_and_space(text: str) -> None:
    cleaned = clean_characters(text)
    assert not set(cleaned) & set(PRINTERS_MARKS)
    assert "  " not in cleaned
    assert {len(dashes) for dashes in re.findall("-+", cleaned)} <= {1, 2, 4}


def test_books_are_read_compressed_or_not(tmp_path: Path) -> None:
    raw = b"One.\r\nMore.\fTwo.\f\n"
    (tmp_path / "books.txt").write_bytes(raw)
    (tmp_path / "books.txt.xz").write_bytes(lzma.compress(raw))
    assert read_books(tmp_path / "books.txt") == ["One.\nMore.", "Two."]
    assert read_books(tmp_path / "books.txt.xz") == ["One.\nMore.", "Two."]


# The card

FACTS = CorpusFacts(
    train_books=3,
    train_authors=2,
    train_documents=40,
    train_chars=4_000_000,
    train_tokens=1_000_000,
    validation_books=("A Tale, by Nobody", "Another Tale, by Somebody Else"),
    validation_chars=4_000,
    validation_tokens=1_000,
    raw_validation_chars=4_100,
    prepare_s=1.0,
)
RUN = Run(
    device="CPU",
    threads=2,
    torch_version="2.0",
    optimizer="AdamW",
    learning_rate=1e-3,
    embedding_learning_rate=1e-3,
    weight_decay=0.1,
    batch_tokens=8192,
    context_tokens=64,
    evaluation_tokens=500,
    steps=1000,
    tokens_seen=8_192_000,
    training_s=3600.0,
    best_step=990,
    averaged=False,
    parameters=1_000_000,
)


def test_the_card_says_when_the_run_was_short() -> None:
    quality = Quality(3.5, 3.4, 1.5, 1.6, 3.3)
    short = model_card(FACTS, RUN, quality, [])
    assert "60 minutes and 8,192,000 tokens: 8.2 tokens a parameter" in short
    assert "CPU, 2 threads" in short
    assert "longer run" in short
    ample = replace(RUN, tokens_seen=25 * RUN.parameters, device="A GPU", threads=None)
    assert "longer run" not in model_card(FACTS, ample, quality, [])


@given(text=st.text(st.sampled_from('abc -"\n'), min_size=1, max_size=600))
@settings(deadline=None)
def test_the_card_wraps_a_sample_and_keeps_its_words(text: str) -> None:
    card = model_card(FACTS, RUN, Quality(3.5, 3.4, 1.5, 1.6, 3.3), [Sample("Once", text)])
    shown = card.partition("**Once**")[2].partition("## Limits")[0].strip().splitlines()
    assert all(line.startswith(">") for line in shown)
    assert [word for line in shown for word in line[1:].split()] == text.split()
    assert all(len(line) <= 102 or " " not in line[2:] for line in shown)


# The network, scoring and training


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
