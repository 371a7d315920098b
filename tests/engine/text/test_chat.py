"""Chat templates beside transformers' own rendering, and what a template may not do."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from chat_samples import CHATML, CONVERSATION, folder_with_template
from checkpoints import END_OF_TEXT, END_OF_TEXT_ID, VOCABULARY
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.text.chat_template import ChatMessage, ChatTemplate, load_chat_template
from prodtop.engine.text.tokenizer import CheckpointTokenizer
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

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
VALUE = "{'b': [1, 2.5, none], 'a': 'é<>&\\'\"', 'c': messages[0].content}"
FEATURES = {
    "tojson": f"{{{{ {VALUE} | tojson }}}}",
    "tojson, escaped": f"{{{{ {VALUE} | tojson(ensure_ascii=True) }}}}",
    "tojson, every option": (
        f"{{{{ {VALUE} | tojson(ensure_ascii=false, indent=2, separators=(', ', ' = '), "
        "sort_keys=true) }}"
    ),
    "tojson, by place": f"{{{{ {VALUE} | tojson(true, 4) }}}}",
    "tojson, indented by text": f"{{{{ {VALUE} | tojson(indent='--') }}}}",
    "today": "{{ strftime_now('%d %b %Y') }} {{ strftime_now(format='%Y') }}",
    "filters with arguments": (
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') "
        "| join(' | ') | replace('a', 'b', 1) | indent(4, true) | truncate(30, true, '~') }}"
        "{{ messages | rejectattr('role', 'in', ['user']) | list | length }}"
        "{{ messages[0].content | default('x', boolean=true) | title | wordcount }}"
        "{{ messages | groupby('role') | map('first') | list }}{{ '%s-%d' | format('a', 3) }}"
        "{{ {'b': 1, 'a': 2} | dictsort(by='value') }}{{ [3, 1] | sort(reverse=true) }}"
    ),
    "dict and namespace": (
        "{% set ns = namespace(a=1, b='x') %}{% set ns.a = ns.a + 1 %}{{ ns.a }}{{ ns.b }}"
        "{{ dict(a=1, b=2).items() | list }}{{ dict.fromkeys(['x', 'y'], 0) }}"
        "{{ namespace({'k': 3}, self=4).k }}"
    ),
    "text methods": (
        "{% set c = messages[0].content %}{{ c.strip().split(' ', 1)[-1].upper() }}"
        "{{ c.startswith('Où') }}{{ c[::-1] }}{{ '{:>8}'.format('a') }}{{ c.rstrip('? ') }}"
    ),
    "macros": (
        "{% macro turn(m, end='!') -%}[{{ m.role }}]{{ m.content }}{{ end }}{{ caller() }}"
        "{%- endmacro %}"
        "{% for m in messages %}{% call turn(m, end='.') %}c{% endcall %}{% endfor %}"
    ),
    "tests": (
        "{{ tools is none }}{{ documents is defined }}{{ nothing is defined }}"
        "{{ messages is iterable and messages is not string and messages is not mapping }}"
        "{{ messages[0] is mapping }}{{ 'content' in messages[0] }}"
        "{{ add_generation_prompt is true }}"
    ),
    "loops": (
        "{% for m in messages if m.role != 'assistant' %}{{ loop.index }}/{{ loop.length }}"
        "{{ loop.first }}{{ loop.last }}{{ loop.previtem.role if loop.previtem }}"
        "{{ loop.cycle('a', 'b') }}{% else %}none{% endfor %}"
        "{% for m in messages recursive %}{{ m.role }}{% endfor %}"
    ),
    "generations that nest": (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
        "{% if loop.last %}.{% endif %}{% endgeneration %}{% else %}{{ m.content }}{% endif %}"
        "{% endfor %}"
    ),
    "raw, filter and set blocks": (
        "{% raw %}{{ x }}{% endraw %}{% filter upper %}{{ messages[0].content }}{% endfilter %}"
        "{% set t %}{{ messages[-1].content }}{% endset %}{{ t | trim }}{# a comment #}"
    ),
    "white space": (
        "  {% if true %}\n  a\n  {%- endif %}\n\n{{ 'b' }}\n{% if true +%}\nc{% endif %}\n"
    ),
    "special tokens": "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token is defined }}",
}
SYSTEM = ChatMessage("system", "Answer {{ nothing }} but {% raw %}")


@pytest.fixture
def folder_with(tmp_path: Path, tiny_folder: Path) -> Callable[[str], Path]:
    return partial(folder_with_template, tmp_path, tiny_folder)


@pytest.mark.parametrize(
    "template",
    [CHATML, LLAMA3, GEMMA, HELPERS, *FEATURES.values()],
    ids=["chatml", "llama 3", "gemma", "every helper", *FEATURES],
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
        assert ours


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


def test_files_of_their_own_come_before_every_field(folder_with: Callable[[str], Path]) -> None:
    folder = folder_with("the field's {{ messages[0].content }}")
    more = folder / "additional_chat_templates"
    more.mkdir()
    (more / "rag.jinja").write_text("rag")
    tokenizer = CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY)
    with pytest.raises(CheckpointError, match="no default among the chat templates: rag"):
        tokenizer.render_chat(CONVERSATION)
    for path in (more / "default.jinja", folder / "chat_template.jinja"):
        path.write_text(f"{path.stem}: {{{{ messages[0].content }}}}\r\n\r\nend", newline="")
        messages = [{"role": m.role, "content": m.content} for m in CONVERSATION]
        ours = CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY)
        peer = PreTrainedTokenizerFast.from_pretrained(folder)
        assert ours.render_chat(CONVERSATION) == peer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        (more / "default.jinja").unlink(missing_ok=True)


def test_a_processors_template_is_the_last_resort(folder_with: Callable[[str], Path]) -> None:
    folder = folder_with(CHATML)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "processor"}))
    template = load_chat_template(folder)
    assert template is not None
    assert template.render(CONVERSATION) != "processor"
    (folder / "tokenizer_config.json").write_text("{}")
    template = load_chat_template(folder)
    assert template is not None
    assert template.render(CONVERSATION) == "processor"


PASSES_OVER = """{% for m in messages %}{% if m['role'] == 'user' %}[user]{{ m['content'] }}[end]
{%- elif m['role'] == 'assistant' %}[bot]{{ m['content'] }}[end]{% endif %}{% endfor %}"""
SYSTEMS = {
    "passes over": (PASSES_OVER, "[user]SYSTEM\n\nUSER[end]"),
    "has its own": ("be good " + PASSES_OVER, "be good [user]SYSTEM\n\nUSER[end]"),
    "reads the last turn": ("{{ messages[-1].content }}", "SYSTEM\n\nUSER"),
    "says the role alone": (
        "{% for m in messages %}{{ m.role }} {{ m.content if m.role == 'user' }}{% endfor %}",
        "user SYSTEM\n\nUSER",
    ),
    "keeps": (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}",
        "[system]SYSTEM[user]USER",
    ),
    "keeps, changed": ("{{ messages | map(attribute='content') | join | lower }}", "systemuser"),
    "keeps, within the user's": (
        "{% set s = messages[0].content if messages[0].role == 'system' %}"
        "{{ s | trim }}/{{ messages[-1].content | trim }}",
        "SYSTEM/USER",
    ),
    "reads parts alone": (
        "{% for m in messages %}[{{ m.role }}]{{ m.content[0]['text'] }}{% endfor %}",
        "[system]SYSTEM[user]USER",
    ),
    "refuses a system, reads parts alone": (
        "{% for m in messages %}{{ raise_exception('no') if m.role == 'system' }}"
        "{{ m.content[0]['text'] }}{% endfor %}",
        "SYSTEM\n\nUSER",
    ),
    "reads parts of users alone": (
        "{% for m in messages if m.role == 'user' %}{{ m.content[0]['text'] }}{% endfor %}",
        "SYSTEM\n\nUSER",
    ),
}


@pytest.mark.parametrize("case", SYSTEMS)
def test_no_text_of_a_prompt_is_lost_in_silence(case: str) -> None:
    template, expected = SYSTEMS[case]
    assert ChatTemplate(template, {}, "here").render_prompt("SYSTEM", "USER") == expected


def test_texts_that_contain_each_other_are_told_apart() -> None:
    assert ChatTemplate(PASSES_OVER, {}, "here").render_prompt("a", "a b") == "[user]a\n\na b[end]"


def test_an_empty_system_is_not_missed() -> None:
    assert ChatTemplate(PASSES_OVER, {}, "here").render_prompt("", "USER") == "[user]USER[end]"


def test_a_template_that_passes_over_the_user_is_refused() -> None:
    with pytest.raises(BadInputError, match="passes over the user's text"):
        ChatTemplate("hello", {}, "here").render_prompt("SYSTEM", "USER")


@pytest.mark.parametrize("content", ["m.content[:3]", "m.content[:3] | string | trim"])
def test_a_list_of_parts_is_never_printed_as_one(content: str) -> None:
    """Where a template cuts texts off, parts would not be cut, but they are no text."""
    cuts = "{% for m in messages %}{{ " + content + " }}{% endfor %}"
    with pytest.raises(BadInputError, match="passes over the user's text"):
        ChatTemplate(cuts, {}, "here").render_prompt("SYSTEM", "USER")


def test_of_several_named_templates_the_default_is_taken(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    template = load_chat_template(tmp_path)
    assert template is not None
    assert template.render([]) == "yes"


QWEN_TOOLS = """{%- if tools %}{{- '<sys># Tools\\n<tools>' }}
{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
{{- "\\n</tools>" }}{%- endif %}
{%- for message in messages %}
  {%- if message.role == "assistant" and message.tool_calls %}
    {{- '<assistant>' + (message.content or '') }}
    {%- for tool_call in message.tool_calls %}
      {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
      {{- '<tool_call>{"name": "' + tool_call.name + '", "arguments": ' }}
      {{- tool_call.arguments | tojson }}{{- '}</tool_call>' }}
    {%- endfor %}
  {%- elif message.role == "tool" %}
    {{- '<tool ' + message.tool_call_id + ' ' + (message.name or '') + '>' + message.content }}
  {%- else %}{{- '<' + message.role + '>' + message.content }}{%- endif %}
{%- endfor %}{%- if thinking %}<think>{%- endif %}"""
TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Où? <b>",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL: dict[str, object] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": {"city": "Köln"}},
}


@pytest.mark.parametrize("tools", [[], [TOOL], [TOOL, TOOL]])
def test_tools_and_their_calls_read_as_transformers_writes_them(
    folder_with: Callable[[str], Path], tools: list[dict[str, object]]
) -> None:
    folder = folder_with(QWEN_TOOLS)
    theirs = PreTrainedTokenizerFast.from_pretrained(folder).apply_chat_template(
        [
            {"role": "user", "content": "Rain?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": "yes", "tool_call_id": "call_1", "name": "weather"},
        ],
        tools=tools or None,
        tokenize=False,
        thinking=True,
    )
    ours = CheckpointTokenizer(folder / "tokenizer.json", VOCABULARY).render_chat(
        [
            ChatMessage("user", "Rain?"),
            ChatMessage("assistant", "", tool_calls=(CALL,)),
            ChatMessage("tool", "yes", tool_call_id="call_1", name="weather"),
        ],
        tools=tools,
        variables={"thinking": True},
    )
    assert ours == theirs
    assert ours.count('{"type": "function"') == len(tools)


def test_variables_take_no_place_of_what_is_given() -> None:
    template = ChatTemplate(
        "{{ eos_token }}{{ messages[0].content }}{{ x }}", {"eos_token": "."}, ""
    )
    given = {"eos_token": "!", "messages": [], "add_generation_prompt": False, "x": 1}
    assert template.render([ChatMessage("user", "a")], variables=given) == ".a1"


def test_a_template_for_tools_takes_the_place_of_the_default(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    template = load_chat_template(tmp_path)
    assert template is not None
    assert template.render(CONVERSATION) == "plain"
    assert template.render(CONVERSATION, tools=[TOOL]) == "tools"


def test_a_template_that_reads_parts_alone_gets_them() -> None:
    reads = "{% for m in messages %}[{{ m.content[0]['text'] }}]{% endfor %}"
    assert ChatTemplate(reads, {}, "here").render(CONVERSATION[1:]) == (
        "[日本語\nline two][🙂 thanks]"
    )
