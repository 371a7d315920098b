"""A private SSH server on loopback, with keys and a port of its own, for as long as a test runs."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
_SEPARATION = Path("/run/sshd")
"""The empty folder that Debian's sshd insists on when root starts it."""
_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class SshServer:
    """Where it listens, and what a client needs to be let in."""

    port: int
    folder: Path
    pid: int

    def client(self, *command: str, port: int | None = None) -> list[str]:
        """The command line that runs `command` there in a terminal of its own."""
        options = {
            "IdentityFile": str(self.folder / "user_key"),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "StrictHostKeyChecking": "accept-new",
            "HostKeyAlias": "prodtop-test",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            "SendEnv": "LANG LC_ALL XDG_* PRODTOP_*",
        }
        arguments = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        target = f"{getpass.getuser()}@127.0.0.1"
        return [
            "ssh",
            "-F",
            "none",
            "-tt",
            "-p",
            str(port or self.port),
            *arguments,
            target,
            *command,
        ]


def unavailable() -> str | None:
    """Why no server can be had here, or `None`."""
    if SSHD is None or not (shutil.which("ssh") and shutil.which("ssh-keygen")):
        return "OpenSSH's server or client is not installed"
    if os.geteuid() == 0:
        try:
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        except OSError as error:
            return f"sshd needs {_SEPARATION}: {error}"
    return None


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """An sshd that lets this user in by a key that is made here, and nobody else."""
    assert SSHD is not None
    folder.mkdir(mode=0o700)
    for name in ("host_key", "user_key"):
        arguments = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(arguments, check=True)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    port = _free_port()
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",  # the folders above the test's may be anyone's
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "AcceptEnv": "LANG LC_ALL XDG_* PRODTOP_*",
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
    try:
        deadline_s = time.monotonic() + _DEADLINE_S
        while not _answers(port):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline_s, (folder / "log").read_text()
            time.sleep(0.05)
        yield SshServer(port, folder, server.pid)
    finally:
        server.terminate()
        server.wait()
