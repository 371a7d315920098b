"""TLS files: read and checked in one place, and every fault of theirs is one line."""

import ssl
from pathlib import Path

import pytest
from certificates import PASSWORD, Certificate, certificate, encrypted
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.server_operations import TlsFiles
from prodtop.engine.server.tls import tls_context


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def own(folder: Path) -> Certificate:
    return certificate(folder, "own")


def files(cert: Path, key: Path | None = None, **others: Path) -> TlsFiles:
    named = {name: str(path) for name, path in others.items()}
    return TlsFiles(cert=str(cert), key=None if key is None else str(key), **named)


def test_a_pair_in_two_files_and_in_one(folder: Path, own: Certificate) -> None:
    both = folder / "both.pem"
    both.write_bytes(own.cert.read_bytes() + own.key.read_bytes())
    for each in (files(own.cert, own.key), files(both)):
        context = tls_context(each)
        assert context.verify_mode == ssl.CERT_NONE
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_an_authority_makes_clients_show_a_certificate(own: Certificate) -> None:
    context = tls_context(files(own.cert, own.key, client_ca=own.cert))
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_an_encrypted_key_needs_its_password(folder: Path, own: Certificate) -> None:
    locked = encrypted(folder, own)
    right, wrong, empty = folder / "right", folder / "wrong", folder / "empty"
    right.write_text(f"{PASSWORD}\nanother line\n")
    wrong.write_text("another password\n")
    empty.write_text("\n")
    tls_context(files(*locked, key_password_file=right))
    for password, words in (
        (None, "encrypted: give --tls-key-password-file"),
        (wrong, "is not the password"),
        (empty, "its first line is empty"),
        (folder / "missing", "there is no such file"),
    ):
        given = {} if password is None else {"key_password_file": password}
        with pytest.raises(BadInputError, match=words) as caught:
            tls_context(files(*locked, **given))
        assert "\n" not in str(caught.value)
        assert "another password" not in str(caught.value)


@pytest.mark.parametrize("fault", ["missing", "a folder", "no PEM", "hostile\x1b[2J"])
@pytest.mark.parametrize("which", ["--tls-cert", "--tls-key", "--tls-ca"])
def test_a_file_that_cannot_be_used_is_one_clean_line(
    which: str, fault: str, folder: Path, own: Certificate
) -> None:
    bad = folder / f"{which[2:]} {fault}"
    if fault == "a folder":
        bad.mkdir()
    elif fault == "no PEM":
        bad.write_text("no certificate")
    given = {
        "--tls-cert": files(bad, own.key),
        "--tls-key": files(own.cert, bad),
        "--tls-ca": files(own.cert, own.key, client_ca=bad),
    }
    with pytest.raises(BadInputError) as caught:
        tls_context(given[which])
    words = str(caught.value)
    assert which in words
    assert words.isprintable()


def test_a_key_of_another_certificate_is_named(folder: Path, own: Certificate) -> None:
    other = certificate(folder, "other")
    with pytest.raises(BadInputError, match="is not the key of the certificate"):
        tls_context(files(own.cert, other.key))
