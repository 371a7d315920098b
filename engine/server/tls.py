"""TLS out of files: read and checked before anything starts, and again where it is served."""

import ssl
from pathlib import Path

from ..files.bounded import read_bounded, require_regular
from ..protocol.errors import BadInputError, CheckpointError
from ..protocol.server_operations import TlsFiles
from ..text.cleaning import clean

_MOST_PASSWORD_BYTES = 1 << 10
_MOST_PEM_BYTES = 4 << 20


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """The context of a server: TLS 1.2 or newer.

    Raises `BadInputError`, with the option at fault, for files that are missing, unreadable, no
    PEM, or do not belong together.
    """
    _require("--tls-cert", files.cert)
    if files.key is not None:
        _require("--tls-key", files.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    password = _Password(files.key_password_file)
    key = files.cert if files.key is None else files.key
    try:
        context.load_cert_chain(files.cert, key, password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise BadInputError(_why(files, password, error)) from error
    if files.client_ca is not None:
        _require("--tls-ca", files.client_ca)
        try:
            context.load_verify_locations(cafile=files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise BadInputError(f"--tls-ca {clean(files.client_ca)}: no certificates") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _Password:
    """Gives a key's password to OpenSSL, which would ask the terminal for it; notes that it was
    asked for."""

    def __init__(self, file: str | None) -> None:
        self.asked = False
        self._password = b"" if file is None else _read_password(file)

    def __call__(self) -> bytes:
        self.asked = True
        return self._password


def _read_password(file: str) -> bytes:
    try:
        lines = read_bounded(Path(file), _MOST_PASSWORD_BYTES).splitlines()
    except (FileNotFoundError, CheckpointError) as error:
        raise BadInputError(_no_file("--tls-key-password-file", file, error)) from error
    if not lines or not lines[0]:
        raise BadInputError(f"--tls-key-password-file {clean(file)}: its first line is empty")
    return lines[0]


def _require(option: str, file: str) -> None:
    try:
        require_regular(Path(file), _MOST_PEM_BYTES)
        read_bounded(Path(file), _MOST_PEM_BYTES)
    except (FileNotFoundError, CheckpointError) as error:
        raise BadInputError(_no_file(option, file, error)) from error


def _no_file(option: str, file: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{option} {clean(file)}: there is no such file"
    return f"{option} {clean(str(error))}"


def _why(files: TlsFiles, password: _Password, error: Exception) -> str:
    key = files.cert if files.key is None else files.key
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return f"--tls-key {clean(key)}: is not the key of the certificate {clean(files.cert)}"
    if password.asked and files.key_password_file is None:
        return f"--tls-key {clean(key)}: is encrypted: give --tls-key-password-file"
    if password.asked:
        return f"--tls-key-password-file: is not the password of {clean(key)}"
    what = f" ({clean(reason).replace('_', ' ').lower()})" if reason else ""
    files_named = " and ".join(dict.fromkeys((clean(files.cert), clean(key))))
    return f"--tls-cert, --tls-key: no certificate with its key in PEM in {files_named}{what}"
