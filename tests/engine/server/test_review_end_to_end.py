"""Held answers over a real worker and server: what ends their wait, a drain and `kill -9`."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from linked_engine import DEADLINE_S, HOST
from prodtop.engine.protocol import Drain, LoadSpec, Note
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.protocol.server_options import GuardOptions, ServerOptions
from prodtop.engine.server.guards.review_items import ReviewItem, ReviewVerdict
from prodtop.engine.server.guards.review_queue import ReviewQueue
from prodtop.engine.server.guards.settings import ReviewSettings
from served_engine import ServedEngine, served_engine

BODY = {"prompt": "a dubious phrase, said he; and", "max_tokens": 12, "temperature": 0}


class Asking:
    """A request on its way, and its answer once it has come."""

    def __init__(self, port: int, **fields: object) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE_S)
        self._connection.request("POST", "/v1/completions", json.dumps({**BODY, **fields}))
        self.body: bytes | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            self.body = self._connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self.body = b""

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def answer(self) -> bytes:
        self._thread.join(DEADLINE_S)
        assert self.body is not None
        return self.body

    def leave(self) -> None:
        assert self._connection.sock is not None
        self._connection.sock.shutdown(2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("review")
    (found / "words.txt").write_text("dubious phrase\n")
    return found


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[ServedEngine]:
    table: dict[str, object] = {
        "content": {"lists": [{"name": "words.txt", "severity": "low"}]},
        "review": {"mode": "hold", "file": "review.db"},
    }
    server = ServerOptions(port=0, guards=GuardOptions(table=table, folder=str(folder)))
    options = WorkerOptions(
        model="bundled", device="cpu", threads=1, max_seqs=4, load=LoadSpec(paused=True)
    )
    with served_engine(options, server) as engine:
        yield engine


@pytest.fixture
def queue(folder: Path) -> Iterator[ReviewQueue]:
    found = ReviewQueue(folder / "review.db", ReviewSettings())
    yield found
    found.close()


def held(queue: ReviewQueue) -> ReviewItem:
    """The held item, once it is there."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        for item in queue.items():
            if item.fate == "held":
                return item
        time.sleep(0.02)
    raise AssertionError("nothing was held")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("end", ["released", "refused", "corrected", "timed out"])
def test_a_held_answer_waits_for_its_end(
    end: str, served: ServedEngine, queue: ReviewQueue, *, stream: bool
) -> None:
    asking = Asking(served.port, stream=stream)
    item = held(queue)
    assert asking.waits
    if end == "timed out":
        assert queue.end_held([item.id]) == 1
        queue.decide(item.id, "ann", "accept")
    else:
        verdict: ReviewVerdict = "reject" if end == "refused" else "accept"
        queue.decide(
            item.id, "ann", verdict, corrected="as corrected" if end == "corrected" else None
        )
    answer = asking.answer()
    refused = end in ("refused", "timed out")
    assert (b"content_filter" in answer) is refused
    told = {"released": json.dumps(item.text)[1:-1], "corrected": "as corrected"}.get(end)
    if told is None:
        assert json.dumps(item.text)[1:-1].encode() not in answer
    else:
        assert told.encode() in answer


def test_a_client_that_leaves_frees_its_answer(served: ServedEngine, queue: ReviewQueue) -> None:
    asking = Asking(served.port)
    item = held(queue)
    asking.leave()
    served.wait("the item let go", lambda: (queue.get(item.id) or item).fate == "abandoned")
    assert served.metrics()['prodtop_review_held_answers_total{outcome="abandoned"}'] == 1
    queue.decide(item.id, "ann", "accept")


def test_kill_9_of_the_server_leaves_the_item(served: ServedEngine, queue: ReviewQueue) -> None:
    asking = Asking(served.port)
    item = held(queue)
    pid = served.linked.client.server_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    asking.answer()
    found = queue.get(item.id)
    assert found is not None
    assert (found.fate, found.text) == ("held", item.text)
    served.wait("another server", lambda: served.linked.client.server_pid not in (None, pid))
    served.until_ready()
    # A new one does not take it for its own, and it may still be decided.
    found = queue.get(item.id)
    assert found is not None
    assert found.fate == "held"
    assert queue.decide(item.id, "ann", "accept").fate == "released"
    again = Asking(served.port)
    queue.decide(held(queue).id, "ann", "accept")
    assert b"content_filter" not in again.answer()


def test_a_drain_times_held_answers_out(served: ServedEngine, queue: ReviewQueue) -> None:
    """The last test: the server is gone after it."""
    asking = Asking(served.port)
    item = held(queue)
    served.send(Drain(limit_s=0.1))
    assert b"content_filter" in asking.answer()
    found = queue.get(item.id)
    assert found is not None
    assert found.fate == "timed_out"
    notes = [each.message for each in served.linked.reports if isinstance(each, Note)]
    assert "guards: content, pii, injection; review hold" in notes
    served.wait(
        "the note",
        lambda: any(
            isinstance(each, Note) and each.message.endswith("server's end: 1")
            for each in served.linked.reports
        ),
    )
