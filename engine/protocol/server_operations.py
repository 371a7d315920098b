"""How a server is operated: who may use it, over what, how much at once, and what is logged."""

import msgspec

MAX_REQUESTS = 1024
MAX_CONNECTIONS = 4096
MAX_BODY_MIB = 16


class _Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all that travels in `ServerOptions`."""


class TlsFiles(_Options, frozen=True, kw_only=True):
    """PEM files. `key` may stand in `cert`; `client_ca`: clients need a certificate of it."""

    cert: str
    key: str | None = None
    key_password_file: str | None = None
    client_ca: str | None = None


class ServerLimits(_Options, frozen=True, kw_only=True):
    """How much is taken at once; what is above is refused, to be sent again later.

    `max_requests` are texts in flight, each choice of `n` one of them, and `max_tokens` their
    prompts and the most that they may generate; `None` follows the model (`most_tokens` of
    `engine/server/admission.py`).
    """

    max_requests: int = MAX_REQUESTS
    max_tokens: int | None = None
    max_connections: int = MAX_CONNECTIONS
    max_body_mib: int = MAX_BODY_MIB


class RequestLog(_Options, frozen=True, kw_only=True):
    """The log of requests: in `file`, or among what the server prints. `prompts`: with what clients
    sent."""

    file: str | None = None
    as_json: bool = False
    prompts: bool = False


class Operations(_Options, frozen=True, kw_only=True):
    """All of it. `key_hashes` are those of `key_hash`; without any, nobody is asked for a key."""

    key_hashes: tuple[str, ...] = ()
    tls: TlsFiles | None = None
    limits: ServerLimits = ServerLimits()
    log: RequestLog = RequestLog()
