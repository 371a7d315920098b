"""A hub on the loopback: the few answers that a download of one model's files asks for."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPOSITORY = "someone/Tiny-1.5"
GATED = "someone/gated"
REVISION = "v1"
_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """Serves the files of `folder` as the model `REPOSITORY`, at `main` and `REVISION`.

    `asked` has the names of the files whose content was asked for.
    """

    folder: Path
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)
    cuts_off: str | None = None
    """A file whose content ends halfway, without a word."""


@contextmanager
def fake_hub(folder: Path) -> Iterator[FakeHub]:
    """A hub that runs as long as the context."""
    hub = FakeHub(folder)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _answer(self, with_content: bool) -> None:
        path = self.path.partition("?")[0]
        revisions = ("main", REVISION, _COMMIT)
        if path.startswith(f"/api/models/{GATED}"):
            self._refuse(403, "GatedRepo")
        elif path in [f"/api/models/{REPOSITORY}", *(_info(name) for name in revisions)]:
            self._json({"id": REPOSITORY, "sha": _COMMIT, "siblings": []})
        elif path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            self._json([_entry(file) for file in sorted(self.hub.folder.iterdir())])
        elif path.startswith(f"/api/models/{REPOSITORY}/"):
            self._refuse(404, "RevisionNotFound")
        elif path.startswith(f"/{REPOSITORY}/resolve/"):
            self._file(path.rpartition("/")[2], with_content)
        else:
            self._refuse(404, "RepoNotFound")

    def _file(self, name: str, with_content: bool) -> None:
        content = (self.hub.folder / name).read_bytes()
        first = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        self.send_response(206 if first else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", _COMMIT)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if with_content:
            self.hub.asked.append(name)
            end = len(content) // 2 if name == self.hub.cuts_off else len(content)
            self.wfile.write(content[first:end])
            self.close_connection = name == self.hub.cuts_off

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Requests are in `asked`; nothing is printed."""


def _info(revision: str) -> str:
    return f"/api/models/{REPOSITORY}/revision/{revision}"


def _entry(file: Path) -> dict[str, object]:
    content = file.read_bytes()
    digest = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": file.name, "size": len(content), "oid": digest}
