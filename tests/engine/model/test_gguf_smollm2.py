"""SmolLM2-135M-Instruct as GGUF: real weights beside transformers and the `gguf` package."""

import random
import re
import sys
from pathlib import Path

import gguf
import pytest
import torch
from checkpoints import peer_logits
from gguf_samples import gguf_name
from paged_logits import paged_logits, relative_error
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.text.chat_template import ChatMessage
from prodtop.engine.text.tokenizer import VocabularyTokenizer
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

FILE = Path(sys.prefix) / "weights" / "weights.gguf"
PROMPT = "The capital of France is Paris, and the capital of Italy is"
NEW_TOKENS = 8
COMMON = re.findall(
    "[a-z]+",
    "a an and are as at be but by for from has have in is it its of on or rome the that this to "
    "was were which with city country capital france germany italy spain berlin madrid",
)

pytestmark = pytest.mark.skipif(
    not FILE.is_file(), reason="no weights of SmolLM2 here: `make test` fetches them"
)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.set_num_threads(1)
    return load_model(str(FILE))


@pytest.fixture(scope="module")
def tokenizer(model: LoadedModel) -> VocabularyTokenizer:
    assert isinstance(model.tokenizer, VocabularyTokenizer)
    return model.tokenizer


def peer_of(model: LoadedModel) -> LlamaForCausalLM:
    """transformers' Llama of the file's shape, its weights as the `gguf` package reads them."""
    shape = model.config
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.context_tokens,
        rms_norm_eps=shape.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        peer = LlamaForCausalLM(config)
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(FILE).tensors}
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads}
    weights: dict[str, Tensor] = {}
    for name, parameter in peer.named_parameters():
        called = gguf_name(name)
        tensor = stored.pop(called)
        values = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type))
        of_heads = heads.get(called.split(".")[-2])
        if of_heads is not None:
            # The converter's permutation, undone: its pairs of rows are halves of a head.
            even, odd = values[0::2], values[1::2]
            width = shape.head_dim // 2
            values = torch.cat(
                [
                    half[head * width : (head + 1) * width]
                    for head in range(of_heads)
                    for half in (even, odd)
                ]
            )
        assert values.shape == parameter.shape
        weights[name] = values
    assert not stored
    # Nothing is drawn at random first, which would take seconds.
    peer.load_state_dict(weights, strict=False, assign=True)
    peer.tie_weights()
    peer.model.rotary_emb = LlamaRotaryEmbedding(config)
    torch.nn.Module.eval(peer)
    return peer


def test_logits_and_greedy_text_are_those_of_the_weights_in_the_file(
    model: LoadedModel, tokenizer: VocabularyTokenizer
) -> None:
    peer = peer_of(model)
    tokens = tokenizer.encode(PROMPT)
    made = peer.generate(
        torch.tensor([tokens]), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=2
    )
    tokens = made[0].tolist()
    exact = peer_logits(peer, tokens)
    decoder = Decoder(model.master, PrecisionName.FP32, torch.device("cpu"), 64)
    ours = paged_logits(decoder, [tokens], random.Random(0), sizes=(len(tokens),))[0]
    # The master copy keeps quantized values in fp16.
    assert model.master.dtype is torch.float16
    assert relative_error(ours, exact) < 2e-3
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.copy_(parameter.half().float())
    assert relative_error(ours, peer_logits(peer, tokens)) < 1e-5
    begin = len(tokens) - NEW_TOKENS
    assert ours[begin - 1 : -1].argmax(1).tolist() == tokens[begin:]
    text = tokenizer.decode(tokens[begin:])
    words = re.findall(r"[a-z]+", text.lower())
    assert words
    assert sum(word in COMMON for word in words) >= len(words) / 2, text


TEXTS = [
    PROMPT,
    "Hello, world! It's they'll  two   spaces\n\n\tand\ttabs.",
    "Où est le café? 日本語のテキスト русский текст 🙂🚀",
    "<|im_start|>user\nHi<|im_end|>\n",
    "def f(x):\n    return {'a': [x, -x]}",
    "",
]


def test_texts_have_the_ids_of_transformers_and_come_back(tokenizer: VocabularyTokenizer) -> None:
    theirs = AutoTokenizer.from_pretrained(str(FILE.parent), gguf_file=FILE.name)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert ids == theirs(text, add_special_tokens=False)["input_ids"], text
        shown = text.replace("<|im_start|>", "").replace("<|im_end|>", "")
        assert tokenizer.decode(ids) == shown.replace("\t", " ")


def test_digits_are_tokens_of_their_own(tokenizer: VocabularyTokenizer) -> None:
    """What `smollm` says, and transformers does not read from a file."""
    names = tokenizer.tokens()
    pieces = [names[token_id] for token_id in tokenizer.encode("In 1984x and 12")]
    assert [piece for piece in pieces if piece.strip("Ġ").isdecimal()] == list("198412")


def test_its_chat_template_is_its_own(tokenizer: VocabularyTokenizer) -> None:
    text = tokenizer.render_chat([ChatMessage("system", "Be brief."), ChatMessage("user", "Hi")])
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    ids = tokenizer.encode_chat("Be brief.", "Hi")
    assert ids[0] == 1
    assert ids.count(2) == 2
