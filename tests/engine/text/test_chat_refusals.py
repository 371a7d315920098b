"""What is no chat template, and what one must not do, is refused in one line and for chat alone."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from chat_samples import CHATML, CONVERSATION, folder_with_template
from checkpoints import VOCABULARY
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.text.chat_template import ChatTemplate, load_chat_template
from prodtop.engine.text.tokenizer import CheckpointTokenizer


@pytest.fixture
def folder_with(tmp_path: Path, tiny_folder: Path) -> Callable[[str], Path]:
    return partial(folder_with_template, tmp_path, tiny_folder)


def test_a_model_without_a_template_takes_no_chat(tiny_folder: Path) -> None:
    assert load_chat_template(tiny_folder) is None
    tokenizer = CheckpointTokenizer(tiny_folder / "tokenizer.json", VOCABULARY)
    with pytest.raises(BadInputError, match="no chat template"):
        tokenizer.encode_chat("Be brief", "Why?")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__['json'] }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include '/etc/hostname' %}",
        "{% import 'os' as os %}{{ os }}",
        "{{ range(10**9) | list }}",
        "{{ messages[5].content }}",
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_what_a_template_must_not_do_is_refused_in_one_line(text: str) -> None:
    template = ChatTemplate(text, {}, "here")
    with pytest.raises(BadInputError, match="the model's chat template refuses") as caught:
        template.render(CONVERSATION)
    assert "\n" not in str(caught.value)


BROKEN = {
    "an open block": b"{% for %}",
    "an open expression": b"{{ x",
    "an open generation": b"{% generation %}never closed",
    "a wrong end": b"{% if messages %}{% generation %}a{% else %}b{% endif %}",
    "no text": b"\xff\xfe{{ 1 }}",
    "too much": b"a" * (1 << 20) + b"b",
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_template_is_refused_by_name_and_for_chat_alone(
    folder_with: Callable[[str], Path], case: str
) -> None:
    folder = folder_with(CHATML)
    (folder / "chat_template.jinja").write_bytes(BROKEN[case])
    tokenizer = CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY)
    assert tokenizer.decode(tokenizer.encode("mill")) == "mill"
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"chat_template\.jinja: ") as caught:
            tokenizer.encode_chat("Be brief", "Why?")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", [3, True, [{"name": "rag", "template": "a"}], {"default": 1}])
def test_a_field_without_a_default_template_is_refused_for_chat_alone(
    folder_with: Callable[[str], Path], field: object
) -> None:
    folder = folder_with("")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": field}))
    tokenizer = CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY)
    assert tokenizer.encode("mill")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json: "):
        tokenizer.encode_chat("Be brief", "Why?")


def test_a_template_that_is_no_file_is_named_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "chat_template.jinja")
    template = load_chat_template(tmp_path)
    assert template is not None
    with pytest.raises(CheckpointError, match="not a regular file"):
        template.render([])
