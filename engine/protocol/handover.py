"""How two children get a socket pair of their own: the parent hands each of them an end of it.

Each child inherits one end of a socket pair (`--handover-fd N`), over which its parent passes the
ends of links as they are made. A newer link takes the place of an older one.
"""

import socket
import struct
from typing import Self

_ONE_LINK = b"L"
_FD = struct.Struct("i")
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
"""Not for processes that the child starts; where there is no such flag that is said afterwards."""
_SPACE = socket.CMSG_SPACE(_FD.size)


def hand_over(over: socket.socket, end: socket.socket) -> bool:
    """Pass `end` to the child at the other side of `over`; `False` where it has gone or does not
    take it now. The caller's own `end` may be closed then."""
    try:
        over.sendmsg([_ONE_LINK], [_fds_message(end.fileno())], socket.MSG_DONTWAIT)
    except OSError:
        return False
    return True


class Handover:
    """The child's side. `take` costs one system call, and never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self.closed = False
        """The parent has gone: nothing more comes."""

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """Take over the inherited socket."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """For `select`; -1 once closed."""
        return self._socket.fileno()

    def take(self) -> socket.socket | None:
        """The newest end that was handed over since the last call, if any was."""
        newest: socket.socket | None = None
        while (end := self._take_one()) is not None:
            if newest is not None:
                newest.close()
            newest = end
        return newest

    def close(self) -> None:
        """Close it; links that were taken stay."""
        self.closed = True
        self._socket.close()

    def _take_one(self) -> socket.socket | None:
        if self.closed:
            return None
        try:
            data, ancillary, _, _ = self._socket.recvmsg(1, _SPACE, _CLOSE_ON_EXEC)
        except BlockingIOError:
            return None
        except OSError:
            data, ancillary = b"", []
        if not data:
            self.close()
            return None
        for _level, _kind, fds in ancillary:
            end = socket.socket(fileno=_FD.unpack(fds[: _FD.size])[0])
            end.set_inheritable(False)
            return end
        # This process may have no more files open: the link is lost, and its other end sees that.
        return self._take_one()


def _fds_message(fd: int) -> tuple[int, int, bytes]:
    """`socket.send_fds` without its disregard for flags."""
    return (socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(fd))
