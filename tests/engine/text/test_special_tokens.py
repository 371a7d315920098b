"""Tokens that only the files beside `tokenizer.json` name, beside transformers' own reading."""

import json
from pathlib import Path
from typing import Any

import pytest
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.text.tokenizer import CheckpointTokenizer
from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer, logging
from vocabularies import byte_fallback, byte_level, save

logging.set_verbosity_error()

TEXT = "Hi there, <s> you, the <|end|> of <think> it  <pad> now<think>!"
ROOM = 4000


def token(content: str, **flags: bool) -> dict[str, object]:
    names = ("lstrip", "rstrip", "single_word", "normalized", "special")
    return {"content": content, **dict.fromkeys(names, False), **flags}


Files = dict[str, dict[str, Any]]
CONFIG, MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
CASES: dict[str, Files] = {
    "nothing": {},
    "roles of tokens that are there": {CONFIG: {"eos_token": "<|end|>", "bos_token": None}},
    "roles of tokens that are not": {CONFIG: {"pad_token": "<pad>", "eos_token": "<|end|>"}},
    "a role as a table": {CONFIG: {"pad_token": {"__type": "AddedToken"} | token("<pad>")}},
    "a role of the model's own": {CONFIG: {"think_token": "<think>", "eos_token": "<|end|>"}},
    "a word": {CONFIG: {"added_tokens_decoder": {"900": token("you")}}},
    "several, ids out of order": {
        CONFIG: {"added_tokens_decoder": {"901": token("you"), "900": token("<think>")}}
    },
    "flags": {
        CONFIG: {
            "added_tokens_decoder": {
                "900": token("<think>", lstrip=True, rstrip=True),
                "901": token("he", single_word=True),
                "902": token("of", special=True),
            }
        }
    },
    "other flags than the file's": {
        CONFIG: {"added_tokens_decoder": {"0": token("<|end|>", rstrip=True, special=True)}}
    },
    "a role of an added token": {
        CONFIG: {"added_tokens_decoder": {"900": token("<pad>")}, "pad_token": "<pad>"}
    },
    "extra ones": {CONFIG: {"additional_special_tokens": ["<think>", "<pad>"]}},
    "extra ones with roles": {CONFIG: {"extra_special_tokens": {"image_token": "<think>"}}},
    "a map": {MAP: {"pad_token": token("<pad>"), "eos_token": "<|end|>"}},
    "a map before the config": {MAP: {"pad_token": "<think>"}, CONFIG: {"pad_token": "<pad>"}},
    "a map beside the whole truth": {
        MAP: {"pad_token": "<think>"},
        CONFIG: {"added_tokens_decoder": {"900": token("you")}, "eos_token": "<|end|>"},
    },
    "extra ones in a map": {MAP: {"additional_special_tokens": ["<think>"]}},
    "an older list": {ADDED: {"<think>": 900, "you": 901}, CONFIG: {"pad_token": "<think>"}},
    "names are text": {CONFIG: {"split_special_tokens": True, "eos_token": "<|end|>"}},
    "a beginning asked for": {CONFIG: {"add_bos_token": True, "bos_token": "<|end|>"}},
    "an end asked for": {CONFIG: {"add_eos_token": True, "eos_token": "<|end|>"}},
}


def write(folder: Path, files: Files) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    files = {CONFIG: {}} | files
    files[CONFIG] = {"tokenizer_class": "PreTrainedTokenizerFast"} | files[CONFIG]
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values))


def assert_same(path: Path) -> None:
    peer = AutoTokenizer.from_pretrained(path.parent)
    ours = CheckpointTokenizer(path, ROOM)
    ids = ours.encode(TEXT)
    assert ids == peer(TEXT)["input_ids"]
    whole = Tokenizer.decode(peer._tokenizer, ids, skip_special_tokens=True)
    stream = ours.stream()
    assert "".join(map(stream.push, ids)) + stream.flush() == ours.decode(ids) == whole


@pytest.mark.parametrize("case", CASES)
def test_a_text_has_the_ids_of_transformers(tmp_path: Path, case: str) -> None:
    path = save(byte_level(), tmp_path)
    write(tmp_path, CASES[case])
    assert_same(path)


@pytest.mark.parametrize("asked", [{}, {"add_bos_token": False}, {"add_bos_token": True}])
def test_a_beginning_is_the_post_processors_affair(tmp_path: Path, asked: dict[str, bool]) -> None:
    raw = byte_fallback()
    raw.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    path = save(raw, tmp_path)
    write(tmp_path, {CONFIG: {"bos_token": "<s>", "eos_token": "</s>"} | asked})
    assert_same(path)


@pytest.mark.parametrize("what", ["truncation", "padding", "both"])
@pytest.mark.parametrize("text", [TEXT * 4, "Hi"])
def test_what_a_training_cut_and_padded_is_not_the_prompts(
    tmp_path: Path, what: str, text: str
) -> None:
    raw = byte_level()
    whole = raw.encode(text).ids
    if what != "padding":
        raw.enable_truncation(max_length=8)
    if what != "truncation":
        raw.enable_padding(length=32, pad_id=0, pad_token="<|end|>")
    path = save(raw, tmp_path)
    write(tmp_path, {CONFIG: {"eos_token": "<|end|>"}})
    assert CheckpointTokenizer(path, ROOM).encode(text) == whole


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({CONFIG: {"added_tokens_decoder": []}}, "`added_tokens_decoder` must map ids"),
        ({CONFIG: {"added_tokens_decoder": {"x": token("a")}}}, "must map ids to tokens"),
        ({CONFIG: {"added_tokens_decoder": {"1": {}}}}, "`1` must be a text or a table"),
        ({CONFIG: {"eos_token": 3}}, "`eos_token` must be a text"),
        ({CONFIG: {"extra_special_tokens": "a"}}, "`extra_special_tokens` must be a list"),
        ({ADDED: {"a": "b"}}, "must map tokens to ids"),
    ],
)
def test_a_token_that_is_none_is_named(tmp_path: Path, files: Files, message: str) -> None:
    path = save(byte_level(), tmp_path)
    write(tmp_path, files)
    with pytest.raises(CheckpointError, match=message) as caught:
        CheckpointTokenizer(path, ROOM)
    assert str(tmp_path) in str(caught.value)
