"""What the generator is started with, and what it tells: JSON, a line each."""

from typing import Literal

import msgspec

from ..attach.asking.settings import ServerSettings
from ..protocol import Distribution, LoadSpec, RequestSample
from ..protocol.errors import BadInputError

Api = Literal["completions", "chat"]
REQUEST_TIMEOUT_S = 600.0


class HttpLoadOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One load after the other on a server: `loads` with `requests` each, after `warmup` ones that
    are not measured. `model`: as the server calls it; `None`: its first one."""

    server: ServerSettings
    loads: list[LoadSpec]
    requests: int
    warmup: int = 2
    model: str | None = None
    api: Api = "completions"
    context_tokens: int = 4096
    """Of a trace longer requests are cut to it."""
    timeout_s: float = REQUEST_TIMEOUT_S
    salt: str = ""
    """Begins every prompt, so that no cache of the server has any of it from a run before."""
    samples: bool = False


def to_argument(options: HttpLoadOptions) -> str:
    """The options as the text of `--options`."""
    return msgspec.json.encode(options).decode()


def from_argument(text: str) -> HttpLoadOptions:
    """Read `--options`; raises `BadInputError` where it is not what `to_argument` writes."""
    try:
        return msgspec.json.decode(text, type=HttpLoadOptions)
    except msgspec.DecodeError as error:
        raise BadInputError(f"the generator's options cannot be read: {error}") from error


class Word(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """What the generator tells; it goes over a pipe, to nobody but who started it."""


class LoadProgress(Word, frozen=True, kw_only=True):
    """How far the load under way is."""

    load: int
    """Its place among the loads."""
    done: int
    requests: int
    failed: int = 0


class LoadFailed(Word, frozen=True, kw_only=True):
    """Nothing could be measured; the exit code is the error's."""

    reason: str
    exit_code: int = 1


class ServerResult(Word, frozen=True, kw_only=True):
    """As a `CellResult`, of a server that is not ours to set: `strategy`, `precision`, `memory` and
    what else only an engine knows of itself is `None`."""

    model: str
    device: None
    url: str
    api: str
    strategy: None
    precision: None
    requests: int
    failed: int
    rejected: int
    """Answered by 429 or 503: in no other figure."""
    duration_s: float
    output_tok_s: float
    total_tok_s: float | None
    req_s: float
    ttft_ms: Distribution | None
    ttfb_ms: Distribution | None
    tpot_ms: Distribution | None
    itl_ms: Distribution | None
    e2e_ms: Distribution | None
    queue_ms: None
    batch_waste: None
    response_hit_rate: None
    prefix_hit_rate: float | None
    draft_acceptance_rate: None
    memory: None
    mbu: None
    mfu: None
    energy_j: None
    peak_running: int
    output_tokens: int
    """As the server counts them; where it does not, the pieces of text that came."""
    prompt_tokens: int | None
    dispatch_ms: Distribution | None
    """From each arrival to when its request was sent."""
    loop_lag_ms: Distribution | None
    """How late the generator itself was when it looked: more than a few ms and its figures are its
    own."""
    errors: dict[str, int]
    """Why requests failed, by how often."""
    versions: dict[str, str]
    samples: list[RequestSample] | None = None


Told = LoadProgress | LoadFailed | ServerResult
DECODER: msgspec.json.Decoder[Told] = msgspec.json.Decoder(Told)
"""Of the lines that the generator prints."""
