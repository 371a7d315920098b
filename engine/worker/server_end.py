"""The worker's end of the link to the server: taken when it is handed over, read between steps."""

from collections.abc import Sequence

from ..protocol.channel import Channel, ChannelError
from ..protocol.handover import Handover
from ..protocol.message import Message
from ..protocol.served import SERVER_COMMAND_DECODER, ServerCommand


class ServerEnd:
    """The newest link, or none. Without `handover` there never is one, and looking costs nothing.

    Nothing is dropped silently: a link that does not take a message is closed.
    """

    def __init__(self, handover: Handover | None) -> None:
        self._handover = handover
        self._channel: Channel[ServerCommand] | None = None

    @property
    def open(self) -> bool:
        return self._channel is not None

    def take_new(self) -> bool:
        """Whether a link was handed over since the last call: it took the older one's place."""
        end = None if self._handover is None else self._handover.take()
        if end is None:
            return False
        self.close()
        self._channel = Channel(end, SERVER_COMMAND_DECODER)
        return True

    def receive(self) -> list[ServerCommand]:
        """What the server sent; where the link has ended, it is not `open` any more."""
        if self._channel is None:
            return []
        try:
            commands = self._channel.receive()
        except ChannelError:
            commands = []
        if self._channel.closed:
            self._channel = None
        return commands

    def send(self, message: Message) -> bool:
        """Send a message; where the server does not take it, the link is closed.

        Raises `ValueError` for a message that is too large for any link, which stays open.
        """
        if self._channel is None:
            return False
        if self._channel.send(message):
            return True
        self.close()
        return False

    def close(self) -> None:
        """End the link, if there is one."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    def readers(self) -> Sequence[Handover | Channel[ServerCommand]]:
        """For `select`: what a command or a new link may come from."""
        ends = (self._handover, self._channel)
        return [end for end in ends if end is not None and not end.closed]

    def writers(self) -> Sequence[Channel[ServerCommand]]:
        """For `select`: the link, as long as something is unsent."""
        channel = self._channel
        return [channel] if channel is not None and channel.unsent_bytes else []
