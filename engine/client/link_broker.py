"""Gives worker and server a socket pair of their own whenever one of them needs it."""

import socket
from collections.abc import Callable
from typing import Protocol


class Linked(Protocol):
    """A child that takes an end of a link: `Child`."""

    @property
    def pid(self) -> int | None: ...

    def hand_over(self, end: socket.socket) -> bool:
        """Pass it an end; `False` where there is no child to take it."""
        ...


class LinkBroker:
    """Hands the ends of a fresh pair to both children, so that neither knows the other's address.

    An end that nobody takes is closed, which the other child sees as the link's end.
    """

    def __init__(
        self,
        worker: Linked,
        server: Linked,
        make_pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair,
    ) -> None:
        self._children = (worker, server)
        self._make_pair = make_pair

    def link(self) -> bool:
        """Link the children anew, if both run; whether they are. Called when one was started, and
        when they have lost their link."""
        if any(child.pid is None for child in self._children):
            return False
        ends = self._make_pair()
        taken = [child.hand_over(end) for child, end in zip(self._children, ends, strict=True)]
        for end in ends:
            end.close()
        return all(taken)
