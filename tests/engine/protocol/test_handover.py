"""Socket ends that a parent passes to a child."""

import os
import socket
from collections.abc import Iterator

import pytest
from prodtop.engine.protocol.handover import Handover, hand_over

Pair = tuple[socket.socket, Handover]


@pytest.fixture
def pair() -> Iterator[Pair]:
    parent, child = socket.socketpair()
    handover = Handover(child)
    yield parent, handover
    parent.close()
    handover.close()


def link() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def test_an_end_arrives_and_speaks_with_the_other(pair: Pair) -> None:
    parent, child = pair
    assert child.take() is None
    ours, theirs = link()
    with ours:
        assert hand_over(parent, theirs)
        theirs.close()
        taken = child.take()
        assert taken is not None
        with taken:
            taken.send(b"here")
            assert ours.recv(10) == b"here"
            assert not os.get_inheritable(taken.fileno())
    assert child.take() is None
    assert not child.closed


def test_the_newest_of_several_counts_and_the_others_are_closed(pair: Pair) -> None:
    parent, child = pair
    links = [link() for _ in range(3)]
    for _, theirs in links:
        assert hand_over(parent, theirs)
        theirs.close()
    taken = child.take()
    assert taken is not None
    with taken:
        taken.send(b"newest")
        assert links[2][0].recv(10) == b"newest"
    assert [ours.recv(10) for ours, _ in links[:2]] == [b"", b""]
    for ours, _ in links:
        ours.close()


def test_the_parents_end_closes_it_and_what_was_taken_stays(pair: Pair) -> None:
    parent, child = pair
    ours, theirs = link()
    hand_over(parent, theirs)
    theirs.close()
    parent.close()
    taken = child.take()
    assert taken is not None
    assert child.closed
    assert child.take() is None
    taken.send(b"still")
    assert ours.recv(10) == b"still"
    taken.close()
    ours.close()


def test_nobody_takes_what_is_handed_to_one_that_has_gone(pair: Pair) -> None:
    parent, child = pair
    child.close()
    ours, theirs = link()
    assert not hand_over(parent, theirs)
    ours.close()
    theirs.close()


def test_a_child_that_takes_nothing_does_not_block_its_parent(pair: Pair) -> None:
    parent, _ = pair
    ours, theirs = link()
    results = [hand_over(parent, theirs) for _ in range(2000)]
    assert results[0]
    assert not results[-1]
    ours.close()
    theirs.close()
