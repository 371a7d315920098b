"""Which children get a link, and when."""

import socket

from prodtop.engine.client.link_broker import LinkBroker


class FakeChild:
    """Keeps a copy of the ends that it was handed."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        self.ends: list[socket.socket] = []

    def hand_over(self, end: socket.socket) -> bool:
        if self.pid is not None:
            self.ends.append(end.dup())
        return self.pid is not None


def test_both_get_an_end_of_one_pair() -> None:
    worker, server = FakeChild(1), FakeChild(2)
    assert LinkBroker(worker, server).link()
    (left,), (right,) = worker.ends, server.ends
    left.send(b"hello")
    assert right.recv(10) == b"hello"
    left.close()
    # The broker has kept no end of its own: the link ends with the child.
    assert right.recv(10) == b""
    right.close()


def test_a_child_alone_gets_none() -> None:
    worker, server = FakeChild(1), FakeChild(None)
    broker = LinkBroker(worker, server)
    assert not broker.link()
    assert not worker.ends
    server.pid = 2
    assert broker.link()
    assert len(worker.ends) == len(server.ends) == 1
    for end in (*worker.ends, *server.ends):
        end.close()
