"""Chat templates beside transformers' own rendering, and what a template may not do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoints import END_OF_TEXT, END_OF_TEXT_ID, VOCABULARY
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.text.chat_template import ChatMessage, ChatTemplate, load_chat_template
from prodtop.engine.text.tokenizer import CheckpointTokenizer
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA3 = """{{- bos_token }}
{%- set loop_messages = messages %}
{%- for message in loop_messages %}
    {%- set content = '<|start|>' + message.role + '<|mid|>\n\n' + message.content | trim %}
    {{- content + eos_token }}
{%- endfor %}
{%- if tools is not none %}{{ tools | tojson }}{% endif %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|mid|>\n\n' }}
{%- endif %}
"""
GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' %}
  {{- raise_exception('System role not supported') }}
{%- endif %}
{%- for message in messages %}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
    {{- raise_exception('Conversation roles must alternate') }}
  {%- endif %}
  {%- set role = 'model' if message.role == 'assistant' else message.role %}
  {{- '<turn>' + role + '\n' + message['content'] | trim + '<end>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}
"""
HELPERS = """{% set ns = namespace(count=0) %}
{% for message in messages %}
  {% if message.role == 'tool' %}{% continue %}{% endif %}
  {% set ns.count = ns.count + 1 %}
  {% if ns.count > 3 %}{% break %}{% endif %}
  {% generation %}{{ {'text': message.content, 'at': ns.count} | tojson }}{% endgeneration %}

{% endfor %}
{{ ns.count }} in {{ strftime_now('%Y') | length }} digits
"""
CONVERSATION = [
    ChatMessage("user", 'Où est <le> café & "l\'eau"?  '),
    ChatMessage("assistant", "日本語\nline two"),
    ChatMessage("user", "🙂 thanks"),
]
SYSTEM = ChatMessage("system", "Answer {{ nothing }} but {% raw %}")


@pytest.fixture
def folder_with(tmp_path: Path, tiny_folder: Path) -> Callable[[str], Path]:
    """Makes a tokenizer's folder with a template."""

    def make(template: str) -> Path:
        shutil.copy(tiny_folder / "tokenizer.json", tmp_path)
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": {"__type": "AddedToken", "content": END_OF_TEXT},
            "eos_token": END_OF_TEXT,
            "chat_template": template,
        }
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        return tmp_path

    return make


@pytest.mark.parametrize(
    "template",
    [CHATML, LLAMA3, GEMMA, HELPERS],
    ids=["chatml", "llama 3", "gemma", "every helper"],
)
@pytest.mark.parametrize("add_generation_prompt", [True, False])
def test_a_conversation_reads_as_transformers_writes_it(
    folder_with: Callable[[str], Path], template: str, add_generation_prompt: bool
) -> None:
    folder = folder_with(template)
    peer = PreTrainedTokenizerFast.from_pretrained(folder)
    begins = [[]] if template == GEMMA else [[], [SYSTEM]]
    for begin in begins:
        messages = [*begin, *CONVERSATION]
        theirs = peer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
        ours = CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY).render_chat(
            messages, add_generation_prompt=add_generation_prompt
        )
        assert ours == theirs
        assert "café" in ours


def test_a_chat_has_the_tokens_of_transformers_and_one_beginning(
    folder_with: Callable[[str], Path],
) -> None:
    folder = folder_with(LLAMA3)
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    raw.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, END_OF_TEXT_ID)]
    )
    raw.save(str(folder / "tokenizer.json"))
    ours = CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY).encode_chat(
        "Be brief", "Why?"
    )
    theirs = PreTrainedTokenizerFast.from_pretrained(folder).apply_chat_template(
        [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Why?"}],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert ours == theirs
    assert ours[0] == END_OF_TEXT_ID != ours[1]


def test_where_no_system_is_known_its_text_begins_the_users() -> None:
    template = ChatTemplate(GEMMA, {"bos_token": "<bos>"}, "here")
    rendered = template.render_prompt("Be brief", "Why?")
    assert rendered == "<bos><turn>user\nBe brief\n\nWhy?<end>\n<turn>model\n"


def test_a_file_of_its_own_comes_before_the_field(folder_with: Callable[[str], Path]) -> None:
    folder = folder_with(CHATML)
    (folder / "chat_template.jinja").write_text("{{ eos_token }}!")
    template = load_chat_template(folder)
    assert template is not None
    assert template.render([]) == f"{END_OF_TEXT}!"


def test_of_several_named_templates_the_default_is_taken(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    template = load_chat_template(tmp_path)
    assert template is not None
    assert template.render([]) == "yes"


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


@pytest.mark.parametrize("text", ["{% for %}", "{{ x", "{% generation %}never closed"])
def test_what_is_no_template_is_refused_by_name(
    folder_with: Callable[[str], Path], text: str
) -> None:
    folder = folder_with(text)
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json: not a chat template"):
        CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY)
