"""Chat templates: how a model wants a conversation written down, as its checkpoint says in Jinja.

A template is a program from outside. It runs in Jinja's sandbox, where it can change nothing and
read nothing but the messages and the names of special tokens.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jinja2
from jinja2.ext import Extension
from jinja2.nodes import CallBlock, Node
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..files.json_fields import read_json
from ..protocol.errors import BadInputError, CheckpointError
from .cleaning import clean

_WHAT_TEMPLATES_RAISE = (
    jinja2.TemplateError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. `role` is system, user or assistant, or another that the template knows."""

    role: str
    content: str


class ChatTemplate:
    """A compiled template; `special_tokens` are the texts it may name, such as `bos_token`.

    Raises `CheckpointError`, which names `source`, for a text that is no template.
    """

    def __init__(self, text: str, special_tokens: Mapping[str, str], source: str) -> None:
        try:
            self._template = _environment().from_string(text)
        except (jinja2.TemplateError, RecursionError) as error:
            raise CheckpointError(f"{source}: not a chat template: {clean(str(error))}") from error
        self._special_tokens = dict(special_tokens)

    def render(self, messages: Sequence[ChatMessage], *, add_generation_prompt: bool = True) -> str:
        """The conversation as text, special tokens included; at its end the model's turn begins.

        Raises `BadInputError` where the template refuses the messages.
        """
        entries = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(
                messages=entries,
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
        except _WHAT_TEMPLATES_RAISE as error:
            reason = clean(str(error)) or type(error).__name__
            raise BadInputError(
                f"the model's chat template refuses the messages: {reason}"
            ) from error

    def render_prompt(self, system: str, user: str) -> str:
        """A first turn. Where the template knows no system, its text begins the user's."""
        question = ChatMessage("user", user)
        try:
            return self.render([ChatMessage("system", system), question])
        except BadInputError:
            return self.render([ChatMessage("user", f"{system}\n\n{user}")])


def load_chat_template(folder: Path) -> ChatTemplate | None:
    """The chat template of a checkpoint folder; `None` where it has none.

    `chat_template.jinja` comes before the field of `tokenizer_config.json`. Raises
    `CheckpointError` for a file that cannot be read or is no template.
    """
    config = folder / "tokenizer_config.json"
    values = read_json(config) if config.is_file() else {}
    file = folder / "chat_template.jinja"
    source, text = (file, _read(file)) if file.is_file() else (config, _template_text(values))
    if text is None:
        return None
    names = folder / "special_tokens_map.json"
    tokens = _special_tokens(read_json(names)) if names.is_file() else {}
    return ChatTemplate(text, tokens | _special_tokens(values), str(source))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from error


def _template_text(values: Mapping[str, object]) -> str | None:
    """The field's template; of several named ones, the default."""
    template = values.get("chat_template")
    if isinstance(template, list):
        tables = [each for each in template if isinstance(each, dict)]
        template = {each.get("name"): each.get("template") for each in tables}.get("default")
    return template if isinstance(template, str) else None


def _special_tokens(values: Mapping[str, object]) -> dict[str, str]:
    """Fields such as `eos_token`: a text, or a table with its `content`."""
    tokens: dict[str, str] = {}
    for name, value in values.items():
        content = value.get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(content, str):
            tokens[name] = content
    return tokens


class _Generation(Extension):
    """`{% generation %}` marks what the model said, for training; here it only lets it pass."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return CallBlock(self.call_method("_pass"), [], [], body).set_lineno(line)

    def _pass(self, caller: Macro) -> str:
        return str(caller())


def _environment() -> ImmutableSandboxedEnvironment:
    """The environment that templates are written for: transformers' own settings and helpers."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _now
    return environment


def _to_json(value: object, indent: int | None = None) -> str:
    """Jinja's own filter would escape HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - a template means the local day
