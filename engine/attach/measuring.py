"""What is measured beside a server's own metrics: by the proxy, by the prober, as asked for."""

from pathlib import Path

import msgspec

from ..protocol import Frame, Message, Note, SloSpec
from .asking.fetch import trust_of
from .asking.secrets import secret_headers
from .asking.settings import NamedServer
from .prober import Prober
from .proxy.proxy import Proxy


class Measuring:
    """The proxy and the prober of one server, or neither.

    All calls come from one thread. Raises `ProdtopError` where they cannot be made.
    """

    def __init__(self, server: NamedServer) -> None:
        self._slo: SloSpec | None = None
        self._notes: list[Message] = []
        self.proxy: Proxy | None = None
        self.prober: Prober | None = None
        tls = trust_of(server.ca_file) if server.url.startswith("https:") else None
        if server.proxy is not None:
            trace = None if server.record_trace is None else Path(server.record_trace)
            self.proxy = Proxy(server.url, server.proxy, trace_path=trace, tls=tls)
        if server.probe_s is not None:
            self.prober = Prober(
                server.url, server.probe_s, headers=lambda: secret_headers(server), tls=tls
            )
        self._name = server.name

    def start(self) -> None:
        """Listen, and begin to probe. Raises `BadInputError` where the port is taken."""
        if self.proxy is not None:
            self.proxy.start()
            told = (
                f"{self._name}: requests to http://{self.proxy.address} are passed on and measured"
            )
            self._notes.append(Note(message=told))
        if self.prober is not None:
            self.prober.start()
            self._notes.append(Note(message=f"{self._name}: {self.prober.begun}"))

    def set_slo(self, slo: SloSpec) -> None:
        """Judge what passes by these limits from now on."""
        self._slo = slo
        if self.proxy is not None:
            self.proxy.set_slo(slo)

    def inspect(self, request_id: int | None) -> None:
        """Report the timeline of one request that passed."""
        if self.proxy is not None:
            self.proxy.inspect(request_id)

    def reports(self) -> list[Message]:
        """What is to be sent now."""
        reports, self._notes = self._notes, []
        for each in (self.proxy, self.prober):
            if each is not None:
                reports += each.reports()
        return reports

    def overlay(self, frame: Frame) -> Frame:
        """The frame with what was measured: the proxy's first, which is of real requests."""
        if self.proxy is not None:
            if self._slo is not None:
                frame = msgspec.structs.replace(frame, slo=self._slo)
            frame = self.proxy.overlay(frame)
        return frame if self.prober is None else self.prober.overlay(frame)

    def close(self) -> None:
        """End both."""
        for each in (self.proxy, self.prober):
            if each is not None:
                each.close()
