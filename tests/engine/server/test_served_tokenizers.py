"""The tokenizers that a server reads: beside the worker's own, and without torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from api_harness import saying, scripted
from checkpoints import END_OF_TEXT, write_tokenizer
from gguf_samples import TEMPLATE, byte_level_metadata, write_gguf
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.protocol.served import TokenizerSource
from prodtop.engine.server.tokenizers import ServedTokenizer, build_tokenizer
from prodtop.engine.text.chat_template import ChatMessage
from scripted_link import serving_of
from served_folders import CHATML, bundled_tokenizer, chat_folder

BUNDLED = TokenizerSource(kind="folder", path=str(BUNDLED_FOLDER), vocabulary=4096)
NUMBERS = TokenizerSource(kind="numbers", path=str(BUNDLED_FOLDER), vocabulary=100)


def gguf_source(folder: Path) -> TokenizerSource:
    """A GGUF file of a tokenizer alone."""
    path = write_gguf(folder / "m.gguf", "llama", byte_level_metadata(folder), {})
    return TokenizerSource(kind="gguf", path=str(path), vocabulary=2000)


def render(tokenizer: ServedTokenizer) -> str:
    messages = [ChatMessage("user", "Hi")]
    return tokenizer.render_chat(messages, add_generation_prompt=True, tools=(), variables={})


def test_a_folders_tokenizer_gives_the_ids_of_the_library() -> None:
    tokenizer = build_tokenizer(BUNDLED)
    for special in (True, False):
        ids = tokenizer.encode("Où est <|endoftext|> le\tcafé?", add_special_tokens=special)
        oracle = bundled_tokenizer().encode(
            "Où est <|endoftext|> le\tcafé?", add_special_tokens=special
        )
        assert ids == oracle.ids
        assert tokenizer.decode(ids) == bundled_tokenizer().decode(ids, skip_special_tokens=False)
        assert "<|endoftext|>" in tokenizer.decode(ids)
    assert tokenizer.info()["eos_token"] == "<|endoftext|>"
    assert tokenizer.info()["chat_template"] == (BUNDLED_FOLDER / "chat_template.jinja").read_text()


def test_a_gguf_files_tokenizer_is_the_one_it_was_made_from(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(gguf_source(tmp_path))
    original = write_tokenizer(tmp_path)
    ids = tokenizer.encode("the old mill", add_special_tokens=False)
    assert ids == original.encode("the old mill").ids
    assert render(tokenizer) == f"<user>Hi{END_OF_TEXT}"
    info = tokenizer.info()
    assert (info["eos_token"], info["bos_token"]) == (END_OF_TEXT, END_OF_TEXT)
    assert info["chat_template"] == TEMPLATE


def test_of_random_weights_tokens_are_numbers() -> None:
    tokenizer = build_tokenizer(NUMBERS)
    ids = tokenizer.encode("the old mill", add_special_tokens=True)
    assert ids == [n % 100 for n in bundled_tokenizer().encode("the old mill").ids]
    assert tokenizer.decode([1, 22]) == "#1 #22 "
    assert tokenizer.token_bytes(22) == b"#22 "
    assert render(tokenizer) == "Hi"


@given(text=st.text(max_size=200))
def test_a_text_that_could_fit_is_never_refused_by_its_length(text: str) -> None:
    tokenizer = build_tokenizer_once()
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert len(text) <= len(ids) * tokenizer.longest_token_chars


def build_tokenizer_once() -> ServedTokenizer:
    if not _built:
        _built.append(build_tokenizer(BUNDLED))
    return _built[0]


_built: list[ServedTokenizer] = []


@pytest.mark.parametrize("kind", ["folder", "gguf", "numbers"])
def test_what_cannot_be_read_is_told(kind: str, tmp_path: Path) -> None:
    source = replace(BUNDLED, kind=kind, path=str(tmp_path / "none"))
    with pytest.raises(CheckpointError):
        build_tokenizer(source)


def test_a_server_has_no_torch(tmp_path: Path) -> None:
    sources = [BUNDLED, NUMBERS, gguf_source(tmp_path)]
    arguments = [json.dumps([source.kind, source.path, source.vocabulary]) for source in sources]
    code = (
        "import json, sys\n"
        "import prodtop.engine.server.app\n"
        "from prodtop.engine.protocol.served import TokenizerSource\n"
        "from prodtop.engine.server.tokenizers import build_tokenizer\n"
        "for text in sys.argv[1:]:\n"
        "    kind, path, vocabulary = json.loads(text)\n"
        "    source = TokenizerSource(kind=kind, path=path, vocabulary=vocabulary)\n"
        "    build_tokenizer(source).encode('a', add_special_tokens=True)\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"


async def test_tokens_are_told_and_put_together_again() -> None:
    api, _ = scripted(saying("x"))
    text = "Once upon\ta time 🙂"
    answer = (await api.post("/tokenize", {"prompt": text, "return_token_strs": True})).json()
    assert answer["tokens"] == bundled_tokenizer().encode(text).ids
    assert (answer["count"], answer["max_model_len"]) == (len(answer["tokens"]), 512)
    assert len(answer["token_strs"]) == answer["count"]
    back = (await api.post("/detokenize", {"tokens": answer["tokens"]})).json()
    assert back == {"prompt": text}
    assert (await api.post("/tokenize", {"prompt": ""})).json()["tokens"] == []
    body = {"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": False}
    ids = (await api.post("/tokenize", body)).json()["tokens"]
    assert bundled_tokenizer().decode(ids) == "<user>Hi\n"


async def test_the_tokenizers_configuration_is_told() -> None:
    api, _ = scripted(saying("x"))
    info = (await api.get("/tokenizer_info")).json()
    config = json.loads((chat_folder() / "tokenizer_config.json").read_text())
    assert info == config | {"chat_template": CHATML}


async def test_another_model_brings_its_own_tokenizer() -> None:
    api, link = scripted(saying("x"))
    first = (await api.post("/tokenize", {"prompt": "the old mill"})).json()
    link.serving = replace(serving_of(), tokenizer=NUMBERS, vocabulary=100)
    second = (await api.post("/tokenize", {"prompt": "the old mill"})).json()
    assert second["tokens"] == [n % 100 for n in first["tokens"]]


async def test_a_model_without_a_template_takes_no_chat(tmp_path: Path) -> None:
    shutil.copy(BUNDLED_FOLDER / "tokenizer.json", tmp_path)
    api, _ = scripted(saying("x"), serving=serving_of(tmp_path))
    answer = await api.post(
        "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}
    )
    assert answer.status == 400
    assert "no chat template" in answer.json()["error"]["message"]
