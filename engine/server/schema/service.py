"""What the server says of itself: models, health, errors."""

from typing import Literal

import msgspec


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is served; `max_model_len` is the most tokens of prompt and output."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "prodtop"
    root: str
    parent: None = None
    max_model_len: int


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them: one."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests can be served now."""

    status: Literal["ok"] = "ok"


class VersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """prodtop's version."""

    version: str


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong; `param` is the field of the request at fault."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every error's body, as OpenAI has it; in mid-stream a chunk of its own."""

    error: ErrorDetail
