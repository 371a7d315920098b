"""The bundled prompts: openings of scenes, in groups that share a long beginning."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

import msgspec

from ..protocol.errors import BadInputError

SCHEMA = 1

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class PromptGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prompts under one shared beginning, `system`, which a prefix cache keeps."""

    name: _Text
    system: _Text
    prompts: Annotated[list[_Text], msgspec.Meta(min_length=1)]


class PromptFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `prompts.json` holds."""

    schema: int
    groups: Annotated[list[PromptGroup], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, and the name and shared beginning of its group."""

    group: str
    system: str
    opening: str

    @property
    def text(self) -> str:
        """What the model continues."""
        return f"{self.system}\n\n{self.opening}"


@cache
def bundled_prompts() -> tuple[Prompt, ...]:
    """The prompts that ship with the package, groups interleaved.

    Neighbours differ in their group, so that the first few prompts already touch every group.
    """
    return parse_prompts(files(__package__).joinpath("prompts.json").read_bytes())


def parse_prompts(encoded: bytes) -> tuple[Prompt, ...]:
    """The prompts of a prompt file; raises BadInputError where it is malformed."""
    try:
        file = msgspec.json.decode(encoded, type=PromptFile)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"the prompt file is malformed: {error}") from error
    if file.schema != SCHEMA:
        raise BadInputError(f"the prompt file has schema {file.schema}; only {SCHEMA} is known")
    longest = max(len(group.prompts) for group in file.groups)
    return tuple(
        Prompt(group.name, group.system, group.prompts[index])
        for index in range(longest)
        for group in file.groups
        if index < len(group.prompts)
    )
