"""A server of others: takes what it answers, makes frames of it. Pure: no clock, no socket."""

from typing import NamedTuple

from ..protocol import EngineKind, Frame


class Endpoint(NamedTuple):
    """A path that the server is to be asked for, and how often: its answer goes to `take_json`."""

    path: str
    every_s: float


class ServerReading:
    """What is known of one server from its answers.

    All `at_s`, `now_s` are on one monotonic clock of the caller, `wall_s` is seconds since 1970.
    The server's own clock and the timestamps of its samples are never used for a rate.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    @property
    def kind(self) -> EngineKind:
        """Which engine it is, as far as its answers tell."""
        raise NotImplementedError

    @property
    def metrics_path(self) -> str:
        """Where its metrics are: `/metrics`, of TensorRT-LLM `/prometheus/metrics`."""
        raise NotImplementedError

    def wanted(self) -> tuple[Endpoint, ...]:
        """The further paths that this kind of server should be asked for, and how often."""
        raise NotImplementedError

    def take(
        self, body: bytes, content_type: str, at_s: float, wall_s: float, took_s: float
    ) -> None:
        """Take in an answer of `metrics_path`, asked for at `at_s`; it took `took_s` to come.

        Raises `UnreadableAnswerError` (engine/protocol/errors.py) where it is no answer of metrics:
        what was known before stays.
        """
        raise NotImplementedError

    def take_json(self, endpoint: str, body: bytes, at_s: float) -> None:
        """Take in the answer of one of `wanted`. What it does not understand it leaves."""
        raise NotImplementedError

    def absent(self, endpoint: str, status: int) -> None:
        """The server has no such path (404, 405, 501), or refuses it (401, 403)."""
        raise NotImplementedError

    def frame(self, now_s: float, wall_s: float) -> Frame | None:
        """All that is known now; `None` before any answer. Rates are as of the last scrape, and
        each figure's origin says how old it is."""
        raise NotImplementedError
