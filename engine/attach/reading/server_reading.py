"""A server of others: takes what it answers, makes frames of it. Pure: no clock, no socket."""

from collections import deque
from typing import Final

from ...protocol import EngineKind, Frame
from ...protocol.errors import UnreadableAnswerError
from ...text.cleaning import clean
from ..mapping.engine_map import Endpoint, EngineMap
from ..mapping.engines import TABLES, recognise
from .exposition import Exposition, ExpositionError
from .frame_making import Server, make_frame
from .frame_rates import Ceilings
from .gauges import Gauges
from .json_answers import Answer, read_answer
from .session import Session

__all__ = ["Ceilings", "Endpoint", "ServerReading"]

_METRICS_JSON: Final = "/metrics"
_ABSENT_EVERY_S: Final = 120.0
_MOST_TRIED: Final = 200
"""So many names of an unknown exposition are tried for a value."""

_AN_INSTANT_S = 1e-6
"""Scrapes that lie no further apart are one: no clock here tells them apart."""


class ServerReading:
    """What is known of one server from its answers.

    All `at_s`, `now_s` are on one monotonic clock of the caller, `wall_s` is seconds since 1970.
    The server's own clock and the timestamps of its samples are never used for a rate.
    `metrics_path` is where its metrics are, if not where its engine has them.
    `of_a_row`: only what a row of a fleet shows is read.
    `ceilings` may be set where the server's GPU is known: then MBU and MFU can be told.
    """

    def __init__(
        self, url: str, name: str, metrics_path: str | None = None, *, of_a_row: bool = False
    ) -> None:
        self.url = clean(url)
        self.of_a_row = of_a_row
        self._own_path = metrics_path
        self.name = clean(name)
        self.ceilings: Ceilings | None = None
        self._answers: dict[str, Answer] = {}
        self._absent: dict[str, int] = {}
        self._path = 0
        self._table = self._read_of(TABLES[EngineKind.UNKNOWN])
        self._by_metrics = False
        self._kind_from: str | None = None
        self._gauges = Gauges()
        self._session: Session | None = None
        self._began_s: float | None = None
        self._scrapes_s: deque[float] = deque(maxlen=6)
        self._took_s: float | None = None
        self._sequence = 0
        self._restarts = 0

    @property
    def kind(self) -> EngineKind:
        """Which engine it is, as far as its answers tell."""
        return self._table.kind

    @property
    def metrics_path(self) -> str:
        """Where its metrics are: `/metrics`, of TensorRT-LLM `/prometheus/metrics`. Where that is
        absent the next path that it may have; the last one stays."""
        if self._own_path is not None:
            return self._own_path
        return self._table.metrics_paths[self._path]

    @property
    def restarts(self) -> int:
        """How often another process of it began since it was attached."""
        return self._restarts + (0 if self._session is None else self._session.restarts)

    def wanted(self) -> tuple[Endpoint, ...]:
        """The further paths that this kind of server should be asked for, and how often: those
        that it did not have rarely, as it may be started anew with them."""
        return tuple(
            Endpoint(path, max(every_s, _ABSENT_EVERY_S) if path in self._absent else every_s)
            for path, every_s in self._table.endpoints
        )

    def take(
        self, body: bytes, content_type: str, at_s: float, wall_s: float, took_s: float
    ) -> None:
        """Take in an answer of `metrics_path`, asked for at `at_s`; it took `took_s` to come.

        Raises `UnreadableAnswerError` (engine/protocol/errors.py) where it is no answer of metrics:
        what was known before stays.
        """
        if body[:1] == b"[" or (content_type.startswith("application/json")):
            self._take_statistics(body, at_s, took_s)
            return
        try:
            scrape = Exposition(body)
        except ExpositionError as error:
            raise UnreadableAnswerError(f"{self.name}: {error}") from error
        table = recognise(scrape)
        if table is None and not _has_sample(scrape):
            raise UnreadableAnswerError(f"{self.name}: no metrics in its answer")
        if table is not None:
            self._use(table, by_metrics=True, path=self.metrics_path)
        self._note(at_s, took_s)
        if self._session is None:
            self._session = Session(self._table, self._gauges, at_s)
        restarts = self._session.restarts
        self._session.take(scrape, at_s, wall_s)
        if self._session.restarts != restarts:
            self._absent.clear()

    def take_json(self, endpoint: str, body: bytes, at_s: float) -> None:
        """Take in the answer of one of `wanted`. What it does not understand it leaves."""
        answer = read_answer(endpoint, body)
        if answer is None:
            self._gauges.forget_fields(endpoint)
            return
        self._absent.pop(endpoint, None)
        self._answers[endpoint] = answer
        self._began_s = at_s if self._began_s is None else self._began_s
        self._gauges.take_fields(endpoint, answer.fields, at_s)
        if answer.kind is not None and not self._by_metrics:
            # Servers copy each other's paths: the first that says what it is goes on saying it.
            if self._kind_from is None:
                self._kind_from = endpoint
            if self._kind_from == endpoint:
                self._use(TABLES[answer.kind], by_metrics=False)

    def absent(self, endpoint: str, status: int) -> None:
        """The server has no such path (404, 405, 501), or refuses it (401, 403)."""
        self._absent[endpoint] = status
        self._answers.pop(endpoint, None)
        self._gauges.forget_fields(endpoint)
        if endpoint == self.metrics_path:
            self._path = min(self._path + 1, len(self._table.metrics_paths) - 1)

    def frame(self, now_s: float, wall_s: float) -> Frame | None:
        """All that is known now; `None` before any answer. Rates are as of the last scrape, and
        each figure's origin says how old it is."""
        if self._began_s is None:
            return None
        self._sequence += 1
        session = self._session or Session(self._table, self._gauges, self._began_s)
        server = Server(
            url=self.url,
            name=self.name,
            sequence=self._sequence,
            began_s=self._began_s,
            scraped_per_s=self._scraped_per_s(),
            scrape_ms=None if self._took_s is None else self._took_s * 1e3,
            answers=tuple(self._answers.values()),
            metrics_status=self._absent.get(self.metrics_path),
            ceilings=self.ceilings,
        )
        return make_frame(server, session, now_s, wall_s)

    def _take_statistics(self, body: bytes, at_s: float, took_s: float) -> None:
        """TensorRT-LLM has JSON where others have metrics."""
        # A server that told metrics before would go on with its last figures.
        if self._session is not None or read_answer(_METRICS_JSON, body) is None:
            raise UnreadableAnswerError(f"{self.name}: no metrics in its answer")
        self.take_json(_METRICS_JSON, body, at_s)
        self._note(at_s, took_s)

    def _note(self, at_s: float, took_s: float) -> None:
        self._began_s = at_s if self._began_s is None else self._began_s
        self._took_s = max(0.0, took_s)
        if not self._scrapes_s or at_s - self._scrapes_s[-1] > _AN_INSTANT_S:
            self._scrapes_s.append(at_s)

    def _use(self, table: EngineMap, *, by_metrics: bool, path: str | None = None) -> None:
        """From now on it is read by this table; what another one counted is dropped.

        `path`: where its metrics were. They are asked for there again, though this kind of server
        has them elsewhere as a rule: something else passes them on.
        """
        table = self._read_of(table)
        self._by_metrics = self._by_metrics or by_metrics
        if table is self._table:
            return
        if self._session is not None:
            self._restarts += self._session.restarts
        if self.kind is not EngineKind.UNKNOWN:
            # Another server, which may have what the last one had not.
            self._absent.clear()
        paths = table.metrics_paths
        self._path = paths.index(path) if path in paths else 0
        self._table, self._session = table, None

    def _read_of(self, table: EngineMap) -> EngineMap:
        return table.of_a_row if self.of_a_row else table

    def _scraped_per_s(self) -> float | None:
        if len(self._scrapes_s) < 2:
            return None
        return (len(self._scrapes_s) - 1) / (self._scrapes_s[-1] - self._scrapes_s[0])


def _has_sample(scrape: Exposition) -> bool:
    names = list(scrape.names)[:_MOST_TRIED]
    return any(scrape.samples(name) for name in names)
