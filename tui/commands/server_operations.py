"""The options of how a server is operated, declared once for both commands that start one."""

import os
from functools import wraps
from inspect import Parameter
from typing import Any, NamedTuple

import typer

from ...engine.protocol.errors import BadInputError
from ...engine.protocol.server_operations import (
    MAX_BODY_MIB,
    MAX_CONNECTIONS,
    MAX_REQUESTS,
    Operations,
    RequestLog,
    ServerLimits,
    TlsFiles,
)
from ...engine.text.cleaning import clean
from .arguments import Command, put_options
from .engine_options import Given

MOST_BODY_MIB = 1024


class _Option(NamedTuple):
    """`--name`; without a default it is `None` where it is not given."""

    kind: object
    help: str
    metavar: str | None = None
    default: object = None
    most: int | None = None


_OPTIONS = {
    "api_key_file": _Option(
        str, "Keys that clients need, one a line; PRODTOP_API_KEY is one as well.", "FILE"
    ),
    "tls_cert": _Option(str, "Serve https with this certificate, in PEM.", "FILE"),
    "tls_key": _Option(str, "Its key; else it stands in the same file.", "FILE"),
    "tls_key_password_file": _Option(str, "The key's password, on its first line.", "FILE"),
    "tls_ca": _Option(str, "Clients need a certificate of these authorities.", "FILE"),
    "max_requests": _Option(
        int, "Texts in flight; what comes then is answered by 429.", "N", MAX_REQUESTS
    ),
    "max_tokens_in_flight": _Option(
        int, "Their prompts' and answers' tokens; else what follows from the model.", "T"
    ),
    "max_body_mib": _Option(
        int, "The largest body of a request.", "M", MAX_BODY_MIB, MOST_BODY_MIB
    ),
    "max_connections": _Option(int, "Open at once.", "N", MAX_CONNECTIONS),
    "log_file": _Option(str, "Log requests here, not among what the server prints.", "FILE"),
    "log_json": _Option(bool, "Log requests as lines of JSON."),
    "log_prompts": _Option(bool, "Log what clients sent, prompts included."),
}


def with_server_operations(command: Command) -> Command:
    """A decorator: the command's parameter `operated` becomes one option for each of these."""

    @wraps(command)
    def run(**values: object) -> None:
        operated = {name: values.pop(name) for name in _OPTIONS}
        command(**values, operated=operated)

    return put_options(run, "operated", [_parameter(name) for name in _OPTIONS])


def asks_for_operations(operated: Given) -> bool:
    """Whether any of these options differs from what it is by default."""
    return any(operated[name] != _default(option) for name, option in _OPTIONS.items())


def server_operations(operated: Given) -> Operations:
    """What the options say. Raises `BadInputError` for files that cannot be used."""
    # Here and not above: what only a server needs, and the screen's start would wait for.
    from .api_keys import key_hashes

    tokens = operated["max_tokens_in_flight"]
    return Operations(
        key_hashes=key_hashes(_text(operated["api_key_file"])),
        tls=_tls(operated),
        limits=ServerLimits(
            max_requests=_number(operated["max_requests"]),
            max_tokens=None if tokens is None else _number(tokens),
            max_connections=_number(operated["max_connections"]),
            max_body_mib=_number(operated["max_body_mib"]),
        ),
        log=RequestLog(
            file=_absolute(operated["log_file"]),
            as_json=operated["log_json"] is True,
            prompts=operated["log_prompts"] is True,
        ),
    )


def _tls(operated: Given) -> TlsFiles | None:
    names = ("tls_cert", "tls_key", "tls_key_password_file", "tls_ca")
    cert, key, password, client_ca = (_absolute(operated[name]) for name in names)
    if cert is None:
        for name in names[1:]:
            if operated[name] is not None:
                raise BadInputError(f"{_flag(name)} needs --tls-cert")
        return None
    from ...engine.server.tls import tls_context

    files = TlsFiles(cert=cert, key=key, key_password_file=password, client_ca=client_ca)
    tls_context(files)
    return files


def _parameter(name: str) -> Parameter:
    option, flag = _OPTIONS[name], _flag(name)
    is_switch = option.kind is bool
    info: Any = typer.Option(  # typed by typer as the default's type, which differs by option
        _default(option),
        flag,
        metavar=option.metavar,
        help=option.help,
        show_default=option.default is not None,
        min=1 if option.kind is int else None,
        max=option.most,
    )
    kind: Any = option.kind  # a type at run time, which no annotation can name
    annotation = kind if option.default is not None or is_switch else kind | None
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=info, annotation=annotation)


def _default(option: _Option) -> object:
    return False if option.kind is bool else option.default


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"no number: {value!r}")
    return value


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _absolute(value: object) -> str | None:
    """A file by a name that another process finds as well. Raises `BadInputError`."""
    if value is None:
        return None
    try:
        return os.path.abspath(os.path.expanduser(str(value)))  # noqa: PTH100, PTH111
    except (OSError, ValueError) as error:
        raise BadInputError(f"{clean(str(value))}: is no file's name") from error
