"""The chat template that a server uses: the model's, or a file's in its place."""

from pathlib import Path

import pytest
from api_harness import CHAT, HELLO, saying
from asgi_client import Client
from gguf_samples import byte_level_metadata, write_gguf
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.protocol.served import TokenizerKind, TokenizerSource
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.context import Context
from prodtop.engine.server.limits import Limits
from prodtop.engine.server.tokenizers import build_tokenizer
from prodtop.engine.text.chat_template import ChatMessage
from scripted_link import ScriptedLink, serving_of
from served_folders import bundled_tokenizer, chat_folder
from transformers import AutoTokenizer

MINE = "the old {{ messages[0].content }}{{ eos_token }}"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "mine.jinja"
    file.write_text(MINE)
    return file


def source_of(kind: TokenizerKind, folder: Path) -> TokenizerSource:
    path = BUNDLED_FOLDER
    if kind == "gguf":
        path = write_gguf(folder / "m.gguf", "llama", byte_level_metadata(folder), {})
    return TokenizerSource(kind=kind, path=str(path), vocabulary=4096)


@pytest.mark.parametrize("kind", ["folder", "gguf", "numbers"])
def test_a_files_template_takes_the_place_of_the_models(
    kind: TokenizerKind, template: Path, tmp_path: Path
) -> None:
    tokenizer = build_tokenizer(source_of(kind, tmp_path), template)
    text = tokenizer.render_chat(
        [ChatMessage("user", "mill")], add_generation_prompt=True, tools=(), variables={}
    )
    # Random weights have no special tokens.
    assert text == f"the old mill{tokenizer.info().get('eos_token', '')}"
    assert ("eos_token" in tokenizer.info()) == (kind != "numbers")
    assert tokenizer.info()["chat_template"] == MINE


@pytest.mark.parametrize("kind", ["folder", "gguf", "numbers"])
def test_a_template_that_is_not_there_is_an_error(kind: TokenizerKind, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        build_tokenizer(source_of(kind, tmp_path), tmp_path / "none.jinja")


async def test_a_server_renders_chats_with_the_template_it_was_given(template: Path) -> None:
    link = ScriptedLink(lambda _: saying("x"), serving_of(chat_folder()))
    api = Client(create_app(link, ServerOptions(chat_template=str(template))))
    assert (await api.post(CHAT, HELLO)).status == 200
    (stream,) = link.streams
    asked = bundled_tokenizer().decode(stream.submit.prompt_tokens)
    assert asked == "the old hello"


def test_the_bundled_template_writes_what_was_said_one_below_the_other() -> None:
    call = {"type": "function", "function": {"name": "mill", "arguments": {"x": 1}}}
    tools = [{"type": "function", "function": {"name": "mill"}}]
    turns = [
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "Hi"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "42", tool_call_id="a"),
    ]
    tokenizer = build_tokenizer(source_of("folder", BUNDLED_FOLDER))
    text = tokenizer.render_chat(turns, add_generation_prompt=True, tools=tools, variables={})
    assert text == (
        '<|endoftext|>{"name": "mill"}\n\nBe brief.\n\nHi\n\n'
        '<tool_call>{"name": "mill", "arguments": {"x": 1}}</tool_call>\n\n42\n\n'
    )
    messages: list[dict[str, object]] = [
        {"role": each.role, "content": each.content, "tool_calls": list(each.tool_calls)}
        for each in turns
    ]
    theirs = AutoTokenizer.from_pretrained(BUNDLED_FOLDER)
    assert text == theirs.apply_chat_template(
        messages, tools=tools, tokenize=False, add_generation_prompt=True
    )


async def test_what_requests_need_is_read_before_the_first_one(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes((BUNDLED_FOLDER / name).read_bytes())
    serving = serving_of(tmp_path)
    context = Context(ScriptedLink(lambda _: [], serving), ServerOptions(), Limits())
    await context.warm_up()
    (tmp_path / "tokenizer.json").unlink()
    assert (await context.tokenizer(serving)).encode("mill", add_special_tokens=False)


async def test_a_model_that_cannot_be_read_is_told_of_by_requests_alone(tmp_path: Path) -> None:
    context = Context(ScriptedLink(lambda _: [], serving_of(tmp_path)), ServerOptions(), Limits())
    await context.warm_up()
