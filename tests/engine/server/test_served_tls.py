"""The server over TLS, with and without clients' certificates, and with a key: as it is run."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from certificates import Certificate, certificate
from prodtop.engine.protocol import COMMAND_DECODER, REPORT_DECODER, ServerListening, Shutdown
from prodtop.engine.protocol.api_keys import key_hash
from prodtop.engine.protocol.channel import Channel, channel_pair
from prodtop.engine.protocol.handover import Handover
from prodtop.engine.protocol.server_operations import Operations, TlsFiles
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.http_server import HttpServer
from prodtop.engine.server.link import WorkerLink
from prodtop.engine.server.listener import listen, url_of

KEY = "a-key-of-many-characters"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, authority: Certificate) -> Certificate:
    return certificate(tmp_path_factory.mktemp("own"), "own", signer=authority)


@asynccontextmanager
async def serving(operations: Operations) -> AsyncIterator[int]:
    """Run a server that has no worker; gives its port."""
    mine, theirs = channel_pair(REPORT_DECODER)
    _, end = socket.socketpair()
    link = WorkerLink(Handover(end), lambda: None)
    options = ServerOptions(operations=operations)
    channel = Channel.from_fd(theirs.detach(), COMMAND_DECODER)
    server = HttpServer(create_app(link, options), link, channel, operations)
    with listen("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
        url = url_of(listener, tls=operations.tls is not None)
        running = asyncio.create_task(server.run(listener, ServerListening(url=url, port=port)))
        try:
            yield port
        finally:
            mine.send(Shutdown())
            await asyncio.wait_for(running, 60)
            mine.close()


async def head(port: int, tls: ssl.SSLContext | None, more: str = "") -> bytes:
    """The head of the answer to `GET /version`."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        request = f"GET /version HTTP/1.1\r\nhost: localhost\r\n{more}connection: close\r\n\r\n"
        writer.write(request.encode())
        return await asyncio.wait_for(reader.read(-1), 60)
    finally:
        writer.close()


def trusting(authority: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.cert))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_https_is_what_a_client_that_checks_certificates_accepts(
    own: Certificate, authority: Certificate
) -> None:
    tls = TlsFiles(cert=str(own.cert), key=str(own.key))
    operations = Operations(tls=tls, key_hashes=(key_hash(KEY.encode()),))
    async with serving(operations) as port:
        key = f"authorization: Bearer {KEY}\r\n"
        assert (await head(port, trusting(authority), key)).startswith(b"HTTP/1.1 200")
        assert (await head(port, trusting(authority))).startswith(b"HTTP/1.1 401")
        with pytest.raises(ssl.SSLCertVerificationError):
            await head(port, ssl.create_default_context())
        # Plain HTTP gets nothing.
        with pytest.raises((ConnectionError, AssertionError)):
            assert await head(port, None)
        old = trusting(authority)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await head(port, old)
        # It serves on after all that.
        assert (await head(port, trusting(authority), key)).startswith(b"HTTP/1.1 200")


async def test_clients_need_a_certificate_of_the_authority(
    own: Certificate, authority: Certificate, tmp_path: Path
) -> None:
    tls = TlsFiles(cert=str(own.cert), key=str(own.key), client_ca=str(authority.cert))
    async with serving(Operations(tls=tls)) as port:
        known, stranger = trusting(authority), trusting(authority)
        known.load_cert_chain(own.cert, own.key)
        assert (await head(port, known)).startswith(b"HTTP/1.1 200")
        stranger.load_cert_chain(*certificate(tmp_path, "stranger"))
        for context in (trusting(authority), stranger):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                assert await head(port, context)
