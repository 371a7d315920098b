"""API keys out of a file and the environment, never of the command line, which others can list."""

import os
import stat
from pathlib import Path

from ...engine.files.bounded import read_bounded
from ...engine.protocol.api_keys import LEAST_KEY_CHARS, key_hash
from ...engine.protocol.errors import BadInputError, CheckpointError
from ...engine.text.cleaning import clean

VARIABLE = "PRODTOP_API_KEY"
OPTION = "--api-key-file"
_MOST_BYTES = 1 << 20


def key_hashes(file: str | None) -> tuple[str, ...]:
    """The hashes of all keys of `file` and of the environment, each once.

    The key is taken out of the environment, which child processes would inherit. Raises
    `BadInputError`, which never shows a key.
    """
    keys = [] if file is None else _keys_of(file)
    given = os.environ.pop(VARIABLE, "").strip()
    if given:
        keys.append((VARIABLE, given))
    hashes = [key_hash(_checked(key, where).encode()) for where, key in keys]
    return tuple(dict.fromkeys(hashes))


def _keys_of(file: str) -> list[tuple[str, str]]:
    """The keys of a file, one a line, with where each stands; `#` begins a comment's line."""
    path, name = Path(file), f"{OPTION} {clean(file)}"
    try:
        mode = path.stat().st_mode
        text = read_bounded(path, _MOST_BYTES).decode()
    except FileNotFoundError as error:
        raise BadInputError(f"{name}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{name}: is not a text") from error
    except (CheckpointError, OSError, ValueError) as error:
        raise BadInputError(f"{OPTION} {clean(str(error))}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInputError(f"{name}: others than its owner may read it: chmod 600 it")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    keys = [(f"{name}, line {n}", line) for n, line in lines if line and not line.startswith("#")]
    if not keys:
        raise BadInputError(f"{name}: there is no key in it")
    return keys


def _checked(key: str, where: str) -> str:
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BadInputError(f"{where}: a key is ASCII without spaces")
    if len(key) < LEAST_KEY_CHARS:
        raise BadInputError(
            f"{where}: a key has at least {LEAST_KEY_CHARS} characters, such as"
            " `openssl rand -hex 32` gives"
        )
    return key
