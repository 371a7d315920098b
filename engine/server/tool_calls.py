"""Calls of tools found in a model's text, as it comes: Hermes's and Qwen's way, and Llama 3's.

The first wraps each call as `<tool_call>{"name": …, "arguments": …}</tool_call>`. The second is
nothing but JSON, `{"name": …, "parameters": …}`, maybe several with semicolons between, maybe
after `<|python_tag|>`. What looks like a call and is none stays text.
"""

import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from .schema.tools import FunctionCall, ToolCall

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_PYTHON_TAG = "<|python_tag|>"
_SPACE_BEFORE = re.compile(r"\s*\Z")
_BETWEEN = re.compile(r"[\s;]*")
_ARGUMENTS = ("arguments", "parameters")


@dataclass(slots=True)
class Parsed:
    """What is text, and which calls were made."""

    content: str = ""
    calls: list[ToolCall] = field(default_factory=list)


class CallParser(Protocol):
    """Takes a text in pieces; what it gives does not depend on how it was cut."""

    def push(self, text: str) -> Parsed: ...

    def end(self) -> Parsed:
        """What is left when no text follows."""
        ...


class FreeCalls:
    """A model that may call: `names` are the tools that it was told of."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._begun = False
        self._json_alone = False
        self._inside = False
        self._after_call = False
        self._gap = ""
        self._pending = ""

    def push(self, text: str) -> Parsed:
        self._pending += text
        if not self._begun:
            if not self._can_begin():
                return Parsed()
            self._begun = True
        return Parsed() if self._json_alone else self._tagged()

    def end(self) -> Parsed:
        if self._json_alone or not self._begun:
            calls = _json_calls(self._pending, self._names)
            if calls:
                self._pending = ""
                return Parsed(calls=calls)
        self._begun, self._json_alone = True, False
        parsed = self._tagged()
        rest, self._pending = self._pending, ""
        if self._inside:
            self._close(rest, "", parsed)
        else:
            parsed.content += rest
        return parsed

    def _can_begin(self) -> bool:
        """Whether it shows by now which of the two ways the text is written in."""
        start = self._pending.lstrip()
        if not start or (_PYTHON_TAG.startswith(start) and start != _PYTHON_TAG):
            return False
        self._json_alone = start.startswith(("{", _PYTHON_TAG))
        return True

    def _tagged(self) -> Parsed:
        parsed = Parsed()
        while True:
            if self._after_call:
                self._pending = self._pending.lstrip()
                self._after_call = not self._pending
            tag = _CLOSE if self._inside else _OPEN
            before, found, after = self._pending.partition(tag)
            if not found:
                if not self._inside:
                    cut = _certain(self._pending)
                    parsed.content += self._pending[:cut]
                    self._pending = self._pending[cut:]
                return parsed
            self._pending = after
            if self._inside:
                self._close(before, _CLOSE, parsed)
            else:
                # Models put a line break before a call.
                content = before.rstrip()
                self._gap = before[len(content) :]
                parsed.content += content
            self._inside = not self._inside

    def _close(self, text: str, tag: str, parsed: Parsed) -> None:
        """Take what stood in a tag as a call, or put it back into the text."""
        call = _tagged_call(text)
        if call is None:
            parsed.content += self._gap + _OPEN + text + tag
        else:
            parsed.calls.append(call)
            self._after_call = True


class ForcedCalls:
    """A model whose grammar lets it write nothing else than calls.

    With a `name` the whole text is that tool's arguments; else it is a list of calls.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._text = ""

    def push(self, text: str) -> Parsed:
        self._text += text
        return Parsed()

    def end(self) -> Parsed:
        if self._name is not None:
            return Parsed(calls=[_new_call(self._name, self._text.strip())])
        try:
            values = json.loads(self._text)
        except (ValueError, RecursionError):
            # Cut off by its length.
            return Parsed(content=self._text)
        calls = [_call_of(value) for value in values] if isinstance(values, list) else [None]
        whole = [call for call in calls if call is not None]
        return Parsed(calls=whole) if len(whole) == len(calls) else Parsed(content=self._text)


def _certain(text: str) -> int:
    """How much of `text` no opening tag can begin in, nor the space before one."""
    most = min(len(text), len(_OPEN) - 1)
    partial = next(n for n in range(most, -1, -1) if text.endswith(_OPEN[:n]))
    found = _SPACE_BEFORE.search(text, 0, len(text) - partial)
    return found.start() if found else len(text) - partial


def _tagged_call(text: str) -> ToolCall | None:
    try:
        return _call_of(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _json_calls(text: str, names: Collection[str]) -> list[ToolCall]:
    """The calls that a text consists of; none where it has anything else in it."""
    text = text.strip().removeprefix(_PYTHON_TAG).strip()
    decoder = json.JSONDecoder()
    calls: list[ToolCall] = []
    place = 0
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return []
        call = _call_of(value)
        if call is None or call.function.name not in names:
            return []
        calls.append(call)
        between = _BETWEEN.match(text, place)
        place = between.end() if between else place
    return calls


def _call_of(value: object) -> ToolCall | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments: object = next((value[key] for key in _ARGUMENTS if key in value), {})
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return _new_call(value["name"], arguments)


def _new_call(name: str, arguments: str) -> ToolCall:
    return ToolCall(
        id=f"call_{secrets.token_hex(12)}", function=FunctionCall(name=name, arguments=arguments)
    )
