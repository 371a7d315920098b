"""The bundled model: an ordinary checkpoint that writes English."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.model.loading import BUNDLED_FOLDER
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tools.bundled_model.checkpoint import read_network
from tools.bundled_model.corpus import clean_characters, is_heading
from tools.bundled_model.evaluation import loss_over
from tools.bundled_model.network import Network
from tools.bundled_model.vocabulary import (
    END_OF_TEXT,
    END_OF_TEXT_ID,
    VOCABULARY_SIZE,
    encode_documents,
)

CPU = torch.device("cpu")
HELD_OUT_TEXT = BUNDLED_FOLDER / "heldout.txt"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))


@pytest.fixture(scope="module")
def network() -> Network:
    return read_network(BUNDLED_FOLDER, CPU)


# The checkpoint


def test_transformers_loads_the_folder_unchanged_and_agrees_with_the_training_network(
    network: Network,
) -> None:
    peer = AutoModelForCausalLM.from_pretrained(BUNDLED_FOLDER, dtype=torch.float32)
    names = {name for name in peer.state_dict() if name != "lm_head.weight"}
    assert names == set(network.state_dict())
    assert type(peer).__name__ == "LlamaForCausalLM"
    ids = torch.randint(VOCABULARY_SIZE, (2, 150), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(ids), peer(ids).logits, atol=1e-4, rtol=0)


def test_the_weights_are_bf16_and_small_enough_to_ship() -> None:
    weights = BUNDLED_FOLDER / "model.safetensors"
    assert weights.stat().st_size <= 16_000_000
    with safe_open(str(weights), framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert kinds == {"BF16"}


def test_every_file_names_the_same_context(network: Network) -> None:
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_FOLDER)
    assert network.shape.context_tokens == tokenizer.model_max_length
    assert f"context {tokenizer.model_max_length}" in (BUNDLED_FOLDER / "MODEL_CARD.md").read_text(
        "utf-8"
    )


def test_transformers_reads_the_generation_settings() -> None:
    generation = GenerationConfig.from_pretrained(BUNDLED_FOLDER)
    assert (generation.bos_token_id, generation.eos_token_id) == (END_OF_TEXT_ID, END_OF_TEXT_ID)
    assert generation.do_sample
    assert (generation.temperature, generation.top_p) == (0.8, 0.95)


def test_the_model_predicts_unseen_english(network: Network, tokenizer: Tokenizer) -> None:
    """Guessing costs ln 4096 = 8.3 nats a token.

    The weights as shipped need 2.909 nats a token and 1.204 bits a character here; the bounds leave
    3 % for another machine's arithmetic.
    """
    text = HELD_OUT_TEXT.read_text("utf-8")[:8000]
    row = encode_documents(tokenizer, [text])
    context = network.shape.context_tokens
    loss = loss_over(network, row, context, context)
    assert loss.per_token < 2.996
    assert loss.bits_per_char(len(text)) < 1.240


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
    peer = AutoTokenizer.from_pretrained(BUNDLED_FOLDER)
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
