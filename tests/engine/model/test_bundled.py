"""The bundled model: an ordinary checkpoint that writes English, and the code that makes it."""

import lzma
import re
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.model.bundled import FOLDER, HELD_OUT_TEXT
from prodtop.engine.model.bundled.attention import QUERY_BLOCK, attend_in_blocks
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
from prodtop.engine.model.bundled.prepare import load_prepared, prepare
from prodtop.engine.model.bundled.train import train
from prodtop.engine.model.bundled.trainer import Settings, window_batches
from prodtop.engine.model.bundled.vocabulary import (
    END_OF_TEXT,
    END_OF_TEXT_ID,
    VOCABULARY_SIZE,
    encode_documents,
)
from safetensors import safe_open
from tokenizers import Tokenizer
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

CPU = torch.device("cpu")
TINY = Shape(
    hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, intermediate=48, context_tokens=64
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


@pytest.fixture(scope="module")
def network() -> Network:
    return read_network(FOLDER, CPU)


# The checkpoint


def test_transformers_loads_the_folder_unchanged_and_agrees_with_the_training_network(
    network: Network,
) -> None:
    peer = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    names = {name for name in peer.state_dict() if name != "lm_head.weight"}
    assert names == set(network.state_dict())
    assert type(peer).__name__ == "LlamaForCausalLM"
    ids = torch.randint(VOCABULARY_SIZE, (2, 150), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(ids), peer(ids).logits, atol=1e-4, rtol=0)


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


def test_the_weights_are_bf16_and_small_enough_to_ship() -> None:
    weights = FOLDER / "model.safetensors"
    assert weights.stat().st_size <= 16_000_000
    with safe_open(str(weights), framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert kinds == {"BF16"}


def test_transformers_reads_the_generation_settings() -> None:
    generation = GenerationConfig.from_pretrained(FOLDER)
    assert (generation.bos_token_id, generation.eos_token_id) == (END_OF_TEXT_ID, END_OF_TEXT_ID)
    assert generation.do_sample
    assert (generation.temperature, generation.top_p) == (0.8, 0.95)


def test_the_model_predicts_unseen_english(network: Network, tokenizer: Tokenizer) -> None:
    """Guessing costs ln 4096 = 8.3 nats a token; the card states what the whole text costs."""
    text = HELD_OUT_TEXT.read_text("utf-8")[:8000]
    row = encode_documents(tokenizer, [text])
    context = network.shape.context_tokens
    loss = loss_over(network, row, context, context)
    assert loss.per_token < 3.9
    assert loss.bits_per_char(len(text)) < 1.6


def test_the_held_out_text_is_a_hundred_kilobytes_of_clean_prose() -> None:
    text = HELD_OUT_TEXT.read_text("utf-8")
    assert 90_000 <= len(text.encode()) <= 110_000
    assert clean_characters(text) == text
    assert not any(is_heading(paragraph) for paragraph in text.strip().split("\n\n"))


# The tokenizer


@given(text=st.text())
@settings(deadline=None)
def test_any_text_round_trips(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert tokenizer.encode(text, add_special_tokens=True).ids == ids
    assert all(0 <= token < VOCABULARY_SIZE for token in ids)


def test_transformers_reads_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    peer = AutoTokenizer.from_pretrained(FOLDER)
    text = 'It was late--"very late," he said.\n\nNobody answered; naïve, 1887.'
    assert peer(text)["input_ids"] == tokenizer.encode(text).ids
    assert peer.decode(peer(text)["input_ids"]) == text
    assert (peer.bos_token_id, peer.eos_token_id) == (END_OF_TEXT_ID, END_OF_TEXT_ID)
    assert len(peer) == VOCABULARY_SIZE


def test_the_end_of_text_is_one_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.token_to_id(END_OF_TEXT) == END_OF_TEXT_ID
    assert tokenizer.encode(END_OF_TEXT).ids == [END_OF_TEXT_ID]


def test_documents_are_encoded_between_ends(tokenizer: Tokenizer) -> None:
    row = encode_documents(tokenizer, ["One.", "Two."]).tolist()
    one, two = tokenizer.encode("One.").ids, tokenizer.encode("Two.").ids
    assert row == [END_OF_TEXT_ID, *one, END_OF_TEXT_ID, *two, END_OF_TEXT_ID]


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


# Attention, scoring and training


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
