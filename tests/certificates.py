"""Certificates for tests, made by the `openssl` command; where there is none, tests are skipped."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

PASSWORD = "a password of a key"


class Certificate(NamedTuple):
    """Files in PEM."""

    cert: Path
    key: Path


def openssl(*arguments: str | Path) -> None:
    """Run the command; skips the test where it is missing."""
    command = shutil.which("openssl")
    if command is None:
        pytest.skip("no openssl here")
    subprocess.run([command, *map(str, arguments)], check=True, capture_output=True)


def certificate(folder: Path, name: str, *, signer: Certificate | None = None) -> Certificate:
    """A certificate for localhost, signed by itself or by another one."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    by: list[str | Path] = [] if signer is None else ["-CA", signer.cert, "-CAkey", signer.key]
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "2", "-subj", f"/CN={name}",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", made.key, "-out", made.cert, *by,
    )  # fmt: skip
    return made


def encrypted(folder: Path, plain: Certificate) -> Certificate:
    """The same with its key encrypted by `PASSWORD`."""
    key = folder / "encrypted.key"
    openssl("pkey", "-in", plain.key, "-out", key, "-aes256", "-passout", f"pass:{PASSWORD}")
    return Certificate(plain.cert, key)
