"""Chat templates: how a model wants a conversation written down, as its checkpoint says in Jinja.

A template is a program from outside: it runs in a sandbox, within limits, in another process
(`template_process.py`). It matters for chat alone: what is wrong with it is told when it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files.bounded import read_bounded
from ..files.json_fields import read_json
from ..protocol.errors import BadInputError, CheckpointError
from .cleaning import clean
from .special_tokens import read_special_tokens
from .template_process import TemplateLimitError, TemplateProcess, TemplateSyntaxError

LARGEST_TEMPLATE_BYTES = 1 << 20

_TOOL_USE = "tool_use"
"""The name of a template for conversations with tools, beside the default."""

_process = TemplateProcess()

Content = str | list[dict[str, str]]
Message = dict[str, object]
Messages = list[Message]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. `role` is system, user or assistant, or another that the template knows.

    `tool_calls` are those that the assistant made, each as `{"type": "function", "function":
    {"name", "arguments"}}`; a tool's turn names its own by `tool_call_id`.
    """

    role: str
    content: str
    tool_calls: tuple[Mapping[str, object], ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class ChatTemplate:
    """A template; `special_tokens` are the texts it may name, such as `bos_token`.

    A text that is no template, or runs beyond its limits, raises `CheckpointError`, which names
    `source`, whenever it is used; so does `problem`, for a template that could not be read.
    `for_tools` is what takes its place where tools are offered.
    """

    def __init__(
        self,
        text: str,
        special_tokens: Mapping[str, str],
        source: str,
        problem: CheckpointError | None = None,
        for_tools: "ChatTemplate | None" = None,
    ) -> None:
        self._text = text
        self._for_tools = for_tools
        self._special_tokens = dict(special_tokens)
        self._source = source
        self._problem = problem
        self._shape: Callable[[str], Content] | None = None

    @property
    def text(self) -> str:
        """The template as it is written; empty where it could not be read."""
        return self._text

    def render(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, object]] = (),
        variables: Mapping[str, object] | None = None,
    ) -> str:
        """The conversation as text, special tokens included; at its end the model's turn begins.

        `tools` are those that the model may call, as OpenAI describes them; `variables` are the
        template's own, such as `enable_thinking`.

        Raises `BadInputError` where the template refuses the messages.
        """
        if tools and self._for_tools is not None:
            return self._for_tools.render(
                messages,
                add_generation_prompt=add_generation_prompt,
                tools=tools,
                variables=variables,
            )
        if self._shape is None:
            self._shape = self._content_shape()
        shape = self._shape
        more = {**(variables or {}), "tools": list(tools) or None}
        (text,) = self._render([[_entry(m, shape) for m in messages]], add_generation_prompt, more)
        if isinstance(text, BadInputError):
            raise text
        return text

    def _content_shape(self) -> Callable[[str], Content]:
        """How the template reads a content: as a text, or as a list of parts alone."""
        for shape in (_plain, _parts):
            turns: list[Messages] = [
                [{"role": "user", "content": shape(text)}] for text in ("a b", "a b c")
            ]
            one, other = self._render(turns, True)
            if isinstance(one, str) and one != other and _PRINTED_PARTS not in one:
                return shape
        return _plain

    def render_prompt(self, system: str, user: str) -> str:
        """A first turn. Where the template knows no system, its text begins the user's.

        A template may also pass over a text without a word: one that changes nothing in the output
        when it changes was not read. Some read content as a list of parts alone.

        Raises `BadInputError` where it refuses every such turn, or reads none.
        """
        refusal: BadInputError | None = None
        for shape in (_plain, _parts):
            user_unread = False
            for turn in (_two_turns, _one_turn):
                variants = [(system, user), (f"{system} {user}", user), (system, f"{user} {user}.")]
                texts = self._render([turn(*each, shape) for each in variants], True)
                text, other_system, other_user = texts
                if isinstance(text, BadInputError):
                    refusal = text
                elif (shape is _parts and _PRINTED_PARTS in text) or text == other_user:
                    user_unread = True
                elif text != other_system or not system.strip():
                    return text
            if not user_unread:
                break
        raise refusal or BadInputError("the model's chat template passes over the user's text")

    def _render(
        self,
        conversations: Sequence[Messages],
        add_generation_prompt: bool,
        variables: Mapping[str, object] | None = None,
    ) -> list[str | BadInputError]:
        if self._problem is not None:
            raise self._problem
        given: dict[str, object] = {
            "tools": None,
            "documents": None,
            **(variables or {}),
            "add_generation_prompt": add_generation_prompt,
            **self._special_tokens,
        }
        try:
            texts = _process.render(self._text, [given | {"messages": m} for m in conversations])
        except (TemplateSyntaxError, TemplateLimitError) as error:
            is_none = isinstance(error, TemplateSyntaxError)
            what = "not a chat template" if is_none else "refused"
            problem = CheckpointError(f"{self._source}: {what}: {clean(str(error))}")
            # One conversation that it takes too long for says nothing of others.
            if is_none or variables is None:
                self._problem = problem
            raise problem from error
        return [_refusal(text) if isinstance(text, BadInputError) else text for text in texts]


def _refusal(error: BadInputError) -> BadInputError:
    return BadInputError(f"the model's chat template refuses the messages: {clean(str(error))}")


def _entry(message: ChatMessage, shape: Callable[[str], Content]) -> Message:
    """A message as templates read it: a field that it has not is not there."""
    entry: Message = {"role": message.role, "content": shape(message.content)}
    if message.tool_calls:
        entry["tool_calls"] = list(message.tool_calls)
    if message.tool_call_id is not None:
        entry["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        entry["name"] = message.name
    return entry


def _plain(text: str) -> Content:
    return text


def _parts(text: str) -> Content:
    return [{"type": "text", "text": text}]


_PRINTED_PARTS = str(_parts(""))[:-4]
"""What a template writes that takes a list of parts for a text: it reads neither."""


def _two_turns(system: str, user: str, shape: Callable[[str], Content]) -> Messages:
    return [
        {"role": "system", "content": shape(system)},
        {"role": "user", "content": shape(user)},
    ]


def _one_turn(system: str, user: str, shape: Callable[[str], Content]) -> Messages:
    text = f"{system}\n\n{user}" if system.strip() else user
    return [{"role": "user", "content": shape(text)}]


def load_chat_template(folder: Path) -> ChatTemplate | None:
    """The chat template of a checkpoint folder; `None` where it has none.

    Files of their own (`chat_template.jinja`, `additional_chat_templates/`) come before the field
    of `tokenizer_config.json`, and that before the processor's `chat_template.json`. Raises
    `CheckpointError` where a JSON file beside it cannot be read.
    """
    tokens = read_special_tokens(folder).texts
    config, processor = folder / "tokenizer_config.json", folder / "chat_template.json"
    try:
        source, templates = str(folder / "chat_template.jinja"), _files(folder)
        if not templates:
            source, templates = str(config), _field(config)
        if not templates:
            source, templates = str(processor), _field(processor)
        if not templates:
            return None
        named = templates.get(_TOOL_USE)
        for_tools = ChatTemplate(named, tokens, source) if isinstance(named, str) else None
        return ChatTemplate(_default(templates, source), tokens, source, for_tools=for_tools)
    except CheckpointError as error:
        return ChatTemplate("", tokens, str(folder), error)


def read_chat_template(file: Path, special_tokens: Mapping[str, str]) -> ChatTemplate:
    """The template in a file of its own, beside no checkpoint.

    Raises `CheckpointError` where it cannot be read.
    """
    return ChatTemplate(_read(file), special_tokens, str(file))


def _files(folder: Path) -> dict[object, object]:
    """Templates in files, by name."""
    more = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    own = folder / "chat_template.jinja"
    files = ({"default": own} if own.exists() else {}) | {file.stem: file for file in more}
    # The others need not be readable.
    used = ("default", _TOOL_USE)
    return {name: _read(file) if name in used else "" for name, file in files.items()}


def _field(path: Path) -> dict[object, object]:
    """The templates of a JSON file's field, by name: one, a list of tables, or a table."""
    template = read_json(path).get("chat_template") if path.is_file() else None
    if isinstance(template, list):
        tables = [each for each in template if isinstance(each, dict)]
        return {each.get("name"): each.get("template") for each in tables}
    if isinstance(template, dict):
        return dict(template)
    return {} if template is None else {"default": template}


def _default(templates: Mapping[object, object], source: str) -> str:
    if "default" not in templates:
        names = ", ".join(sorted(map(str, templates)))
        raise CheckpointError(f"{source}: no default among the chat templates: {clean(names)}")
    template = templates["default"]
    if not isinstance(template, str):
        raise CheckpointError(f"{source}: the chat template must be a text")
    return template


def _read(file: Path) -> str:
    try:
        # As text files are read: with any kind of line end.
        text = read_bounded(file, LARGEST_TEMPLATE_BYTES).decode("utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
