"""Headers with secrets: read from files or the environment for each request, and kept nowhere."""

import os
from pathlib import Path

from ...files.bounded import read_bounded
from ...protocol.errors import BadInputError, CheckpointError
from .settings import ServerSettings

MOST_BYTES = 64 * 1024
OF_THE_CONNECTION = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "upgrade"}
)
"""Headers that say how a request is sent: with others of these it would be no request."""


def secret_headers(server: ServerSettings) -> dict[str, str]:
    """The headers that a request to the server carries beside the usual ones.

    Read anew each time: tokens are renewed in place. Raises `BadInputError` where one cannot be
    read, without a word of what is in it.
    """
    headers = {} if server.headers_file is None else _header_lines(_path(server.headers_file))
    if server.token_env is not None:
        token = os.environ.get(server.token_env, "").strip()
        if not token:
            raise BadInputError(f"the environment has no {server.token_env}: set it to the token")
        headers["authorization"] = f"Bearer {_checked(token, server.token_env)}"
    if server.token_file is not None:
        token = _text(_path(server.token_file)).strip()
        if not token:
            raise BadInputError(f"{server.token_file} is empty: it should hold the token")
        headers["authorization"] = f"Bearer {_checked(token, server.token_file)}"
    return headers


def _path(text: str) -> Path:
    """A path as the config has it, which may begin with the home folder."""
    return Path(text).expanduser()


def _header_lines(path: Path) -> dict[str, str]:
    headers = {}
    for number, text in enumerate(_text(path).splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        name, colon, value = text.partition(":")
        name = name.strip().lower()
        letters = name.replace("-", "").replace("_", "")
        if not colon or not letters.isalnum() or not letters.isascii():
            raise BadInputError(f"{path}, line {number}: give a header as 'Name: value'")
        if name in OF_THE_CONNECTION:
            raise BadInputError(f"{path}, line {number}: '{name}' cannot be chosen")
        headers[name] = _checked(value.strip(), f"{path}, line {number}")
    return headers


def _checked(value: str, where: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise BadInputError(f"{where}: what is in it cannot be a header's value")
    return value


def _text(path: Path) -> str:
    try:
        return read_bounded(path, MOST_BYTES).decode()
    except FileNotFoundError:
        raise BadInputError(f"{path} is not there: it should hold a token or headers") from None
    except (CheckpointError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} cannot be read: {type(error).__name__}") from None
